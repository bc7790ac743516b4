"""`envparity serve`: a registered model from its own environment, until it is interrupted."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import click

from registration import console
from registration.commands.deploy import as_document, deployed, print_events, refused, show
from registration.parameters import Duration, deploy_options, json_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from registration.deploying import Deployed
    from registration.deployments import Settings
    from registration.events import Event, Log
    from registration.invocation import Invocation
    from registration.resolving import Target
    from registration.serving import Server
    from snapshot.store import Store


class _Ended(BaseException):
    """Control-C or SIGTERM: the way in which serving is meant to end."""


@click.command()
@click.argument("model_uri", metavar="MODEL")
@click.option("--port", type=click.IntRange(1, 65535), help="Default: any that is free.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes that predict.")
@click.option(
    "--dest",
    metavar="DIR",
    type=click.Path(),
    help="Where to deploy. Default: a directory of its own for each snapshot.",
)
@click.option("--log", metavar="FILE", type=click.Path(dir_okay=False), help="Append the server's log there.")
@click.option(
    "--timeout", type=Duration(), default="120s", show_default=True, metavar="DURATION", help="To become ready."
)
@deploy_options
@json_option
@click.pass_obj
def serve(
    invocation: Invocation,
    *,
    model_uri: str,
    port: int | None,
    host: str,
    workers: int,
    dest: str | None,
    log: str | None,
    timeout: float,
    policy: str | None,
    tracking_uri: str | None,
    verify: Literal["full", "quick"],
    as_json: bool,
) -> int:
    """Serve MODEL from its own environment with MLflow's scoring server, until Control-C or SIGTERM.

    It is deployed first where it is not there yet. What was changed there since, or is beyond the policy on this host, is not served.

    \b
    Exit codes: 0 stopped, 1 a check failed or beyond the policy, 2 wrong use or
                an error, which includes a server that ended by itself.
    """  # noqa: D301 (a backspace: click keeps the lines)
    from registration.checking import RefusedError
    from registration.serving import Server

    events: list[Event] = []
    try:
        with _until_ended(quiet=as_json):
            done = deployed(
                invocation,
                model_uri,
                dest or managed,
                policy=policy,
                tracking_uri=tracking_uri,
                verify=verify,
                events=events.append,
            )

            def make(journal: Log) -> Server:
                return Server(
                    done.destination,
                    os.environ,
                    host=host,
                    port=port,
                    workers=workers,
                    log=log,
                    startup=timeout,
                    events=journal,
                )

            _serve(done, make, as_json=as_json)
    except RefusedError as error:
        refused(error, events, as_json=as_json)
        return 1
    return 0


def serve_until_ended(
    model_uri: str,
    store: Store | None,
    settings: Settings,
    *,
    cache: str | None,
    port: int | None,
    variables: Mapping[str, str],
    title: str,
) -> None:
    """The same for `mlflow deployments run-local`; what is refused is an error there."""
    from registration.deploying import deploy
    from registration.serving import Server

    with _until_ended(quiet=False):
        click.echo(console.printable(title))
        done = deploy(
            model_uri,
            managed,
            store,
            policy=settings.policy,
            variables=variables,
            verify=settings.verify,
            cache=cache,
            tracking_uri=settings.tracking_uri,
        )

        def make(journal: Log) -> Server:
            return Server(
                done.destination,
                variables,
                host=settings.host,
                port=port,
                workers=settings.workers,
                startup=settings.timeout,
                events=journal,
            )

        _serve(done, make, as_json=False)


def _serve(done: Deployed, make: Callable[[Log], Server], *, as_json: bool) -> None:
    """Start, say so, and wait: for ever, or for an error."""
    from registration.events import Log
    from registration.serving import ServerError

    journal = Log()
    try:
        with make(journal) as server:
            pid = None if server.identity is None else server.identity.pid
            if as_json:
                console.print_json(
                    as_document(done)
                    | {"url": server.url, "pid": pid}
                    | {"events": [event.document() for event in (*done.events, *journal.events)]}
                )
            else:
                show(done)
                print_events(journal.events)
                click.echo(f"serving at {server.url}/invocations (pid {pid}); Control-C stops it")
            server.wait()
    except ServerError as error:
        for line in error.log:
            click.echo(console.shortened(f"  {console.printable(line)}"), err=True)
        raise
    finally:
        journal.write(done.log)


def managed(target: Target) -> str:
    """The directory of a snapshot that is served without --dest."""
    import platformdirs

    return os.path.join(platformdirs.user_data_dir("envparity"), "deployed", target.reference.snapshot.hex)


@contextmanager
def _until_ended(*, quiet: bool) -> Iterator[None]:
    """SIGINT and SIGTERM end what is under way, so that it is cleaned up, and are no error."""

    def end(_number: int, _frame: object) -> None:
        raise _Ended

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except _Ended:
        if not quiet:
            click.echo("stopped")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
