"""`envparity verify`: every digest of a snapshot, or of a restored environment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from registration import console
from registration.parameters import json_option
from registration.progress import progress_bar
from registration.subjects import find_subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registration.invocation import Invocation
    from snapshot import Verification
    from snapshot.store import Problem


@click.command()
@click.argument("subject", metavar="SNAPSHOT|DEST")
@json_option
@click.pass_obj
def verify(invocation: Invocation, subject: str, as_json: bool) -> int:
    """Check every digest of a snapshot, or of a restored environment against the snapshot that it came from."""
    import snapshot

    store = invocation.store
    found = find_subject(subject, store)
    with progress_bar() as progress:
        checked = snapshot.verify(found if isinstance(found, Path) else found.snapshot, store, progress=progress)
    if as_json:
        console.print_json(as_document(checked, subject))
    else:
        _print(checked, subject)
    return 0 if checked.ok else 1


def as_document(checked: Verification, subject: str) -> dict[str, object]:
    return {
        "subject": subject,
        "snapshot": checked.snapshot,
        "ok": checked.ok,
        "files": checked.files,
        "problems": problems_document(checked.problems),
        "seconds": round(checked.seconds, 3),
    }


def problems_document(problems: Sequence[Problem]) -> list[dict[str, str]]:
    return [{"kind": problem.kind, "path": problem.path, "detail": problem.detail} for problem in problems]


def print_problems(problems: Sequence[Problem]) -> None:
    for problem in problems:
        detail = f"  ({console.printable(problem.detail)})" if problem.detail else ""
        click.echo(f"  {console.printable(problem.kind):<10} {console.printable(problem.path)}{detail}")


def _print(checked: Verification, subject: str) -> None:
    what = f"{console.printable(subject)} ({checked.snapshot.short})"
    spent = console.seconds(checked.seconds)
    if checked.ok:
        click.echo(f"verified {what}: {console.count(checked.files, 'file')} as captured, in {spent}")
        return
    click.echo(f"failed {what}: {console.count(len(checked.problems), 'problem')} in {spent}")
    print_problems(checked.problems)
