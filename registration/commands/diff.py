"""`envparity diff`: what serves against what trained, graded, judged and explained."""

from __future__ import annotations

import datetime as dt
import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registration.errors import RegistrationError
from registration.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffing.report import Report
    from diffing.sides import Side
    from registration.invocation import Invocation
    from snapshot.store import Store

#: The module of a format that is not called like it.
_RENDERERS = {"json": "document"}
_COLOURS: dict[str, dict[str, Any]] = {
    "plain": {},
    "good": {"fg": "green"},
    "bad": {"fg": "red"},
    "doubtful": {"fg": "yellow"},
    "faint": {"dim": True},
    "strong": {"bold": True},
}
FORMATS = ("text", "json", "html", "markdown", "junit", "sarif")


class OutputError(RegistrationError, OSError):
    """The report cannot be written."""


@click.command()
@click.argument("sides", metavar="[TRAIN] SERVE...", nargs=-1, required=True)
@click.option(
    "--requirements",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Compare with a model's requirements.txt or a pylock.toml instead of TRAIN.",
)
@click.option(
    "--model",
    metavar="PATH",
    type=click.Path(exists=True),
    help="What decides which differences the model can reach: an MLflow model's directory, a pickle (it is never unpickled),"
    " or a file with the names of the modules that it imports. Default: what TRAIN has noted of its model.",
)
@click.option("--policy", metavar="FILE", type=click.Path(exists=True, dir_okay=False), help="What may differ (TOML).")
@click.option("--format", "form", type=click.Choice(FORMATS), help="Default: text.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--output", metavar="FILE", type=click.Path(dir_okay=False), help="Write the report there.")
@click.option("--all", "everything", is_flag=True, help="Show what does not matter and what is folded, too.")
@click.option("--plan", is_flag=True, help="Print the commands that would make SERVE what TRAIN is, and nothing else.")
@click.option(
    "--fingerprint/--no-fingerprint",
    default=None,
    help="Run the numeric probe in live environments. Default: if the other side has one.",
)
@click.option(
    "--no-cache",
    is_flag=True,
    help="Read every byte of live environments. Default: not of files that were not touched since they were last read.",
)
@click.pass_obj
def diff(
    invocation: Invocation,
    *,
    sides: tuple[str, ...],
    requirements: str | None,
    model: str | None,
    policy: str | None,
    form: str | None,
    as_json: bool,
    output: str | None,
    everything: bool,
    plan: bool,
    fingerprint: bool | None,
    no_cache: bool,
) -> int:
    """Compare environments with the one that a model was trained in.

    Each is a snapshot or the prefix of an environment; several serving sides are each compared with TRAIN, which may also be
    a requirements.txt or a pylock.toml.

    \b
    Exit codes: 0 within the policy, 1 beyond it, 2 wrong use or an error.
    """  # noqa: D301 (a backspace: click keeps the lines)
    if as_json and form not in (None, "json"):
        raise click.UsageError(f"--json and --format {form} exclude each other; give one of them")
    form = "json" if as_json else form or "text"
    if len(sides) < (1 if requirements else 2):
        raise click.UsageError(
            "there is nothing to compare with; give TRAIN and SERVE, or --requirements FILE and SERVE"
        )
    if plan and (len(sides) > (1 if requirements else 2) or form != "text"):
        raise click.UsageError("--plan is for one serving side, and is text")
    if everything and (plan or form != "text"):
        raise click.UsageError(
            "--plan is not a report; leave out --all"
            if plan
            else "--all is for text: the other formats always have all"
        )
    with progress_bar() as progress:
        from registration.sides import find_sides

        train, *others = find_sides(
            sides,
            invocation.store,
            requirements=requirements,
            fingerprint=fingerprint,
            cached=not no_cache,
            named=invocation.named,
            progress=progress,
        )
        reports = reports_of(train, others, invocation.store, model=model, policy=policy)
    if plan:
        from diffing import fixing

        _write(fixing.plan(train, others[0]).script(), output)
    else:
        _show(reports, form, everything=everything, output=output)
    return 0 if all(report.passed for report in reports) else 1


def reports_of(
    train: Side, others: Sequence[Side], store: Store, *, model: str | None, policy: str | None
) -> list[Report]:
    """Each of `others` against `train`. `model` and `policy` are paths; without a model, what `train` has noted of one counts."""
    from diffing import policy as policies
    from diffing.assessing import assess
    from diffing.requirements import read
    from diffing.rules import catalogue
    from diffing.usage import read_model
    from registration.sides import noted

    rules = catalogue.load()
    chosen = policies.DEFAULT if policy is None else policies.read(policy, rules.ids)
    if model is None:
        usage, declared = noted(train, store)
    else:
        usage = read_model(model)
        declared = read(usage.requirements) if usage.requirements else None
    today = dt.datetime.now(tz=dt.timezone.utc).date()
    return [
        assess(train, side, today=today, usage=usage, declared=declared, policy=chosen, catalogue=rules)
        for side in others
    ]


def _show(reports: Sequence[Report], form: str, *, everything: bool, output: str | None) -> None:
    if form == "text" and output is None:
        print_text(reports, everything=everything)
        return
    _write(render(reports, form, everything=everything), output)


def print_text(reports: Sequence[Report], *, everything: bool = False) -> None:
    """The reports for people, with the terminal's colours where there is one."""
    from diffing.rendering import text

    for line in text.lines(reports, full=everything):
        click.echo("".join(click.style(span.text, **_COLOURS[span.style.value]) for span in line))


def render(reports: Sequence[Report], form: str, *, everything: bool) -> str:
    """The reports in one of FORMATS; only text has an `everything` of its own, the others always have all."""
    if form == "text":
        from diffing.rendering import text

        return text.render(reports, full=everything)
    renderer = import_module(f"diffing.rendering.{_RENDERERS.get(form, form)}")
    return str(renderer.render(reports))


def _write(text: str, output: str | None) -> None:
    if output is None:
        click.echo(text, nl=False)
        return
    write(text.encode("utf-8", "backslashreplace"), output)


def write(data: bytes, output: str) -> None:
    """Write what a command made to the file `output`: all of it or nothing, but for a pipe or a device. Raises OutputError."""
    path = Path(output)
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        target = path.resolve()  # what a link leads to is replaced, not the link
        fresh = target.with_name(f".{target.name}.{os.getpid()}.new")
        try:
            fresh.write_bytes(data)
            fresh.replace(target)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(f"cannot write the report to {output}: {error.strerror}") from error
