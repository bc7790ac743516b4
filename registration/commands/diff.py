"""`envparity diff`: two environments, each a snapshot or a live prefix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from registration import console
from registration.parameters import json_option
from registration.progress import progress_bar
from registration.subjects import find_subject

if TYPE_CHECKING:
    from registration.invocation import Invocation
    from snapshot.model import Description
    from snapshot.progress import Progress
    from snapshot.store import Store


@click.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@json_option
@click.pass_obj
def diff(invocation: Invocation, before: str, after: str, as_json: bool) -> int:
    """Compare A and B, each a snapshot or the prefix of an environment. Exit code 1 if they differ."""
    from diffing import compare

    store = invocation.store
    subjects = [find_subject(text, store) for text in (before, after)]
    with progress_bar() as progress:
        one, other = (
            describe(subject if isinstance(subject, Path) else subject.snapshot, store, progress)
            for subject in subjects
        )
        found = compare(one, other)
    if as_json:
        from diffing.document import as_document

        console.print_json({"before": before, "after": after, **as_document(found)})
    else:
        from registration.differences import lines

        for line in lines(found):
            click.echo(console.printable(line))
    return 0 if found.equal else 1


def describe(subject: str | Path, store: Store, progress: Progress | None) -> Description:
    import snapshot

    if isinstance(subject, Path):
        return snapshot.describe(subject, progress=progress)
    return snapshot.load(subject, store)
