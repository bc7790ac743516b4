"""`envparity deploy`: a registered model with its environment to a directory, without a build."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

import click

from registration import console
from registration.parameters import deploy_options, json_option
from registration.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Callable

    from registration.checking import RefusedError
    from registration.deploying import Deployed
    from registration.events import Event
    from registration.invocation import Invocation
    from registration.resolving import Target


@click.command()
@click.argument("model_uri", metavar="MODEL")
@click.argument("destination", metavar="DEST", type=click.Path())
@deploy_options
@json_option
@click.pass_obj
def deploy(
    invocation: Invocation,
    *,
    model_uri: str,
    destination: str,
    policy: str | None,
    tracking_uri: str | None,
    verify: Literal["full", "quick"],
    as_json: bool,
) -> int:
    """Deploy MODEL with its environment to the directory DEST.

    MODEL is models:/NAME/VERSION, models:/NAME@ALIAS, or the name of a snapshot. Without --store, the store is the one that the model
    version's tags name.

    \b
    Exit codes: 0 done, 1 a check failed or beyond the policy (then DEST is as it
                was before), 2 wrong use or an error.
    """  # noqa: D301 (a backspace: click keeps the lines)
    from registration.checking import RefusedError

    events: list[Event] = []
    try:
        done = deployed(
            invocation,
            model_uri,
            destination,
            policy=policy,
            tracking_uri=tracking_uri,
            verify=verify,
            events=events.append,
        )
    except RefusedError as error:
        refused(error, events, as_json=as_json)
        return 1
    if as_json:
        console.print_json(as_document(done))
    else:
        show(done)
    return 0


def deployed(
    invocation: Invocation,
    model_uri: str,
    destination: str | Callable[[Target], str],
    *,
    policy: str | None,
    tracking_uri: str | None,
    verify: Literal["full", "quick"],
    events: Callable[[Event], None],
) -> Deployed:
    """Deploy with the store of this run: the one that was named, or for a model of MLflow's the one that its tags name."""
    from registration.deploying import deploy as library
    from registration.interpreters import HostInterpreters

    tagged = invocation.where is None and model_uri.startswith("models:")
    store = invocation.store
    with progress_bar() as progress:
        return library(
            model_uri,
            destination,
            None if tagged else store,
            policy=policy,
            variables=os.environ,
            verify=verify,
            candidates=HostInterpreters(os.environ),
            cache=invocation.cache,
            tracking_uri=tracking_uri,
            nearby=store,
            progress=progress,
            events=events,
        )


def as_document(done: Deployed) -> dict[str, object]:
    return {
        "ok": True,
        "model": done.uri,
        "label": done.label,
        "snapshot": done.snapshot,
        "parity_root": done.parity_root,
        "destination": str(done.destination),
        "python": str(done.python),
        "verdict": str(done.report.verdict),
        "policy": done.report.policy.name,
        "again": done.again,
        "events": [event.document() for event in done.events],
        "seconds": round(done.seconds, 3),
    }


def show(done: Deployed) -> None:
    print_events(done.events)
    spent = console.seconds(done.seconds)
    what = f"{console.printable(done.label)} ({done.snapshot.short})"
    if done.again:
        click.echo(f"\n{what} was there before, and is as it should be: {done.report.verdict}, in {spent}")
    else:
        click.echo(f"\ndeployed {what} in {spent}: {done.report.verdict}, nothing was built")
    click.echo(console.printable(str(done.destination)))


def print_events(events: list[Event] | tuple[Event, ...]) -> None:
    from registration.events import table

    for line in table(events):
        click.echo(console.printable(line))


def refused(error: RefusedError, events: list[Event], *, as_json: bool) -> None:
    """A check that failed is a result, and no error of the command's."""
    if as_json:
        document: dict[str, object] = {
            "ok": False,
            "refused": str(error),
            "problems": [
                {"kind": problem.kind, "path": problem.path, "detail": problem.detail} for problem in error.problems
            ],
            "verdict": None if error.report is None else str(error.report.verdict),
            "differences": [
                {"rule": each.rule, "subject": each.subject, "path": each.path, "severity": str(each.severity)}
                for each in (() if error.report is None else error.report.differences)
            ],
            "events": [event.document() for event in events],
        }
        console.print_json(document)
        return
    print_events(events)
    click.echo(f"\nrefused: {console.printable(str(error))}")
