"""`envparity quickstart`: the whole way once, with this very environment, and with a model where MLflow is installed."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import textwrap
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from registration import console
from registration.commands.diff import print_text
from registration.errors import RegistrationError
from registration.invocation import Invocation
from registration.parameters import json_option
from registration.progress import progress_bar
from snapshot.store.area import remove

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffing.report import Report
    from registration.quickstart import Step

#: Lines that say more of a step that failed.
NOTES = 10

_COLUMNS = (16, 54, 10)


class KeptDirectoryError(RegistrationError, FileExistsError):
    """The directory for the results holds something."""


@dataclass(slots=True)
class _Run:
    """One run of the command, and what came of it. `model` is that model's URI, None where none was tried, which `hint` says why."""

    invocation: Invocation
    place: Path
    restored: Path
    kept: str | None
    quiet: bool
    hint: str | None = None
    steps: list[Step] = field(default_factory=list)
    model: str | None = None
    predictions: dict[str, float] = field(default_factory=dict)
    report: Report | None = None

    @property
    def ok(self) -> bool:
        return all(step.ok for step in self.steps)

    def ended(self, step: Step) -> None:
        self.steps.append(step)
        if not self.quiet:
            _print(step)


@click.command()
@click.option("--keep", metavar="DIR", type=click.Path(), help="Keep the store and what was restored in DIR.")
@json_option
@click.pass_obj
def quickstart(invocation: Invocation, keep: str | None, as_json: bool) -> int:
    """Train a model, register it with this environment, deploy and serve it, and compare. Exit code 1 if a check fails.

    Without MLflow and scikit-learn (pip install 'envparity[mlflow]'): capture this environment, restore it elsewhere, verify it and compare it. All of it
    happens in a directory of its own, with an MLflow registry of its own, and without the network.
    """
    from registration.trying import hindrance

    with _workshop(keep) as place:
        hint = hindrance(sys.prefix)
        # Not the store of the environment variable: a trial has no business in the store of somebody's models.
        chosen = invocation if invocation.chosen else Invocation(str(place / "store"))
        this = _Run(chosen, place, place / ("restored" if hint else "deployed"), keep, as_json, hint)
        _print_head(this)
        if hint is None:
            _with_a_model(this)
        else:
            _without_a_model(this)
        if as_json:
            console.print_json(_document(this))
        else:
            _print_end(this, chosen.store_path if invocation.chosen else None)
    return 0 if this.ok else 1


def _without_a_model(this: _Run) -> None:
    from registration.quickstart import run

    for step in run(sys.prefix, this.invocation.store, this.restored, progress_bar, os.environ):
        this.ended(step)


def _with_a_model(this: _Run) -> None:
    from registration.trying import Doing, Trial

    invocation = this.invocation
    try:
        with (
            _Status(sys.stderr) as status,
            Trial(sys.prefix, this.place, invocation.store_path, cache=invocation.cache, variables=os.environ) as trial,
        ):
            for heard in trial:
                status.clear()
                if isinstance(heard, Doing):
                    status.show(heard.text)
                else:
                    this.ended(heard)
    finally:
        remove(os.fspath(this.place / "scratch"))
    this.model, this.predictions, this.report = trial.model, trial.predictions, trial.report


class _Status:
    """A line on a terminal that says what is under way; whatever comes next takes its place."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = False

    def show(self, text: str) -> None:
        if self._stream.isatty():
            self._stream.write(click.style(console.shortened(f"{console.printable(text)} …"), dim=True))
            self._stream.flush()
            self._shown = True

    def clear(self) -> None:
        if self._shown:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()
            self._shown = False

    def __enter__(self) -> _Status:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()


@contextmanager
def _workshop(keep: str | None) -> Iterator[Path]:
    """A directory for the results: the one to keep, or one that is gone afterwards, after SIGTERM too."""
    if keep is not None:
        place = Path(keep).absolute()
        place.mkdir(parents=True, exist_ok=True)
        if any(place.iterdir()):
            raise KeptDirectoryError(f"{place} is not empty; give --keep a directory that is new or empty")
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        if keep is not None:
            yield place
            return
        place = Path(tempfile.mkdtemp(prefix="envparity-"))
        try:
            yield place
        finally:
            remove(os.fspath(place))  # restored directories can be read-only
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, _frame: object) -> None:
    """What a shell reports for a process that ended by the signal; on the way everything is cleaned up."""
    raise SystemExit(128 + number)


def _document(this: _Run) -> dict[str, object]:
    from diffing.rendering import document

    return {
        "ok": this.ok,
        "environment": sys.prefix,
        "store": this.invocation.store_path,
        "restored": str(this.restored),
        "kept": this.kept is not None,
        "steps": [
            {
                "name": step.name,
                "ok": step.ok,
                "detail": step.detail,
                "seconds": round(step.seconds, 3),
                "notes": list(step.notes),
            }
            for step in this.steps
        ],
        "model": this.model,
        "predictions": this.predictions or None,
        "report": None if this.report is None else document.encode(this.report),
        "hint": this.hint,
    }


def _print_head(this: _Run) -> None:
    if this.quiet:
        return
    what = "restored to" if this.hint else "deployed to"
    click.echo(f"environment  {console.printable(sys.prefix)}")
    click.echo(f"store        {console.printable(this.invocation.store_path)}")
    click.echo(f"{what}  {console.printable(str(this.restored))}\n")
    click.echo(_line("step", "what happened", "time"))


def _line(name: str, detail: str, time: str) -> str:
    first, second, third = _COLUMNS
    return f"{name:<{first}}{detail:<{second}}{time:>{third}}"


def _print(step: Step) -> None:
    parts = textwrap.wrap(console.printable(step.detail), _COLUMNS[1] - 2, break_on_hyphens=False) or [""]
    name = step.name if step.ok else f"{step.name} !"
    click.echo(_line(name, parts[0], console.seconds(step.seconds)))
    for part in parts[1:]:
        click.echo(_line("", part, "").rstrip())
    for note in step.notes[:NOTES]:
        click.echo(console.shortened(f"  {console.printable(note)}"))
    if len(step.notes) > NOTES:
        click.echo(f"  … and {len(step.notes) - NOTES:,} more (--json has all)")


def _print_end(this: _Run, store: str | None) -> None:
    if this.report is not None:
        click.echo()
        print_text([this.report])
    total = console.seconds(sum(step.seconds for step in this.steps))
    failed = [step.name for step in this.steps if not step.ok]
    if failed:
        click.echo(f"\nFAILED in {total}: {', '.join(failed)}")
    elif this.model is None:
        click.echo(f"\nthe restored environment is the same, in {total}")
    else:
        click.echo(f"\nthe deployed model predicts exactly what it did when trained, in {total}")
    if this.kept is not None:
        click.echo(f"kept in {console.printable(this.kept)}")
    elif store is None:
        click.echo("everything was removed again; --keep DIR keeps it")
    if store is not None:
        name = "quickstart" if this.model is None else this.model.removeprefix("models:/")
        click.echo(f"the snapshot stays in {console.printable(store)}; envparity remove {name} takes it out")
    if this.hint is not None:
        click.echo(this.hint)
    elif not failed:
        click.echo("next, with a model of yours: envparity deploy models:/NAME/VERSION DIRECTORY")
