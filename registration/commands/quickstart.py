"""`envparity quickstart`: the whole way once, with this very environment."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import textwrap
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from registration import console
from registration.errors import RegistrationError
from registration.invocation import Invocation
from registration.parameters import json_option
from registration.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registration.quickstart import Step

#: Lines that say more of a step that failed.
NOTES = 10

_COLUMNS = (16, 54, 10)


class KeptDirectoryError(RegistrationError, FileExistsError):
    """The directory for the results holds something."""


@click.command()
@click.option("--keep", metavar="DIR", type=click.Path(), help="Keep the store and the restored environment in DIR.")
@json_option
@click.pass_obj
def quickstart(invocation: Invocation, keep: str | None, as_json: bool) -> int:
    """Capture this environment, restore it elsewhere, verify it and compare it. Exit code 1 if a check fails."""
    from registration.quickstart import run

    steps: list[Step] = []
    with _workshop(keep) as place:
        # Not the store of the environment variable: a trial has no business in the store of somebody's models.
        chosen = invocation if invocation.chosen else Invocation(str(place / "store"))
        if not as_json:
            click.echo(f"environment  {console.printable(sys.prefix)}")
            click.echo(f"store        {console.printable(chosen.store_path)}")
            click.echo(f"restored to  {console.printable(str(place / 'restored'))}\n")
            click.echo(_line("step", "what happened", "time"))
        for step in run(sys.prefix, chosen.store, place / "restored", progress_bar, os.environ):
            steps.append(step)
            if not as_json:
                _print(step)
    ok = all(step.ok for step in steps)
    if as_json:
        console.print_json(
            {
                "ok": ok,
                "environment": sys.prefix,
                "store": chosen.store_path,
                "restored": str(place / "restored"),
                "kept": keep is not None,
                "steps": [
                    {
                        "name": step.name,
                        "ok": step.ok,
                        "detail": step.detail,
                        "seconds": round(step.seconds, 3),
                        "notes": list(step.notes),
                    }
                    for step in steps
                ],
            }
        )
    else:
        _print_end(steps, keep, chosen.store_path if invocation.chosen else None)
    return 0 if ok else 1


@contextmanager
def _workshop(keep: str | None) -> Iterator[Path]:
    """A directory for the results: the one to keep, or one that is gone afterwards."""
    if keep is not None:
        place = Path(keep).absolute()
        place.mkdir(parents=True, exist_ok=True)
        if any(place.iterdir()):
            raise KeptDirectoryError(f"{place} is not empty; give --keep a directory that is new or empty")
        yield place
        return
    place = Path(tempfile.mkdtemp(prefix="envparity-"))
    try:
        yield place
    finally:
        for directory, _, _ in os.walk(place):  # restored directories can be read-only
            os.chmod(directory, 0o700)
        shutil.rmtree(place)


def _line(name: str, detail: str, time: str) -> str:
    first, second, third = _COLUMNS
    return f"{name:<{first}}{detail:<{second}}{time:>{third}}"


def _print(step: Step) -> None:
    parts = textwrap.wrap(console.printable(step.detail), _COLUMNS[1] - 2) or [""]
    name = step.name if step.ok else f"{step.name} !"
    click.echo(_line(name, parts[0], console.seconds(step.seconds)))
    for part in parts[1:]:
        click.echo(_line("", part, "").rstrip())
    for note in step.notes[:NOTES]:
        click.echo(console.shortened(f"  {console.printable(note)}"))
    if len(step.notes) > NOTES:
        click.echo(f"  … and {len(step.notes) - NOTES:,} more (--json has all)")


def _print_end(steps: list[Step], keep: str | None, store: str | None) -> None:
    total = console.seconds(sum(step.seconds for step in steps))
    failed = [step.name for step in steps if not step.ok]
    if failed:
        click.echo(f"\nFAILED in {total}: {', '.join(failed)}")
    else:
        click.echo(f"\nthe restored environment is the same, in {total}")
    if keep is not None:
        click.echo(f"kept in {console.printable(keep)}")
    elif store is None:
        click.echo("everything was removed again; --keep DIR keeps it")
    if store is not None:
        click.echo(f"the snapshot stays in {console.printable(store)}; envparity remove quickstart takes it out")
