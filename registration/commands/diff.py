"""`envparity diff`: what serves against what trained, graded, judged and explained."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import click

from registration import console
from registration.errors import RegistrationError
from registration.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffing.report import Report
    from diffing.sides import Side
    from registration.invocation import Invocation

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
    " or a file with the names of the modules that it imports.",
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
) -> int:
    r"""Compare environments with the one that a model was trained in.

    Each is a snapshot or the prefix of an environment; several serving sides are each compared with TRAIN, which may also be
    a requirements.txt or a pylock.toml.

    \b
    Exit codes: 0 within the policy, 1 beyond it, 2 wrong use or an error.
    """
    if as_json and form not in (None, "json"):
        raise click.UsageError(f"--json and --format {form} exclude each other; give one of them")
    form = "json" if as_json else form or "text"
    if len(sides) < (1 if requirements else 2):
        raise click.UsageError("there is nothing to compare with; give TRAIN and SERVE, or --requirements FILE and SERVE")
    if plan and (len(sides) > (1 if requirements else 2) or form != "text"):
        raise click.UsageError("--plan is for one serving side, and is text")
    with progress_bar() as progress:
        from registration.sides import find_sides

        train, *others = find_sides(
            sides, invocation.store, requirements=requirements, fingerprint=fingerprint, progress=progress
        )
        reports = reports_of(train, others, model=model, policy=policy)
    if plan:
        from diffing import fixing

        text = "".join(f"{line}\n" for line in fixing.plan(train, others[0]).commands())
    else:
        text = render(reports, form, everything=everything)
    _write(text, output)
    return 0 if all(report.passed for report in reports) else 1


def reports_of(train: Side, others: Sequence[Side], *, model: str | None, policy: str | None) -> list[Report]:
    """Each of `others` against `train`. `model` and `policy` are paths."""
    from diffing import policy as policies
    from diffing.assessing import assess
    from diffing.usage import read_model

    usage = None if model is None else read_model(model)
    chosen = policies.DEFAULT if policy is None else policies.read(policy)
    today = dt.datetime.now(tz=dt.timezone.utc).date()
    return [assess(train, side, today=today, usage=usage, policy=chosen) for side in others]
