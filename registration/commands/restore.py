"""`envparity restore`: a snapshot to a directory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

import click

from registration import console
from registration.interpreters import HostInterpreters
from registration.parameters import json_option
from registration.progress import progress_bar

if TYPE_CHECKING:
    from registration.invocation import Invocation
    from snapshot import Restored


@click.command()
@click.argument("reference", metavar="SNAPSHOT")
@click.argument("destination", metavar="DEST", type=click.Path())
@click.option(
    "--link",
    type=click.Choice(["auto", "reflink", "hardlink", "copy"]),
    default="auto",
    show_default=True,
    help="How files come from the cache of unpacked layers.",
)
@click.option(
    "--verify",
    type=click.Choice(["full", "quick"]),
    default="quick",
    show_default=True,
    help="Of cached files check every byte, or size and time. What comes from the store is always checked in full.",
)
@click.option(
    "--python", type=click.Path(), metavar="PATH", help="The interpreter to use for a snapshot that brings none."
)
@json_option
@click.pass_obj
def restore(
    invocation: Invocation,
    *,
    reference: str,
    destination: str,
    link: Literal["auto", "reflink", "hardlink", "copy"],
    verify: Literal["full", "quick"],
    python: str | None,
    as_json: bool,
) -> None:
    """Restore SNAPSHOT (a name, sha256:… or a unique prefix of it) to the directory DEST."""
    import snapshot

    with progress_bar() as progress:
        restored = snapshot.restore(
            reference,
            destination,
            invocation.store,
            link=link,
            verify=verify,
            python=python,
            candidates=HostInterpreters(os.environ),
            progress=progress,
        )
    if as_json:
        console.print_json(as_document(restored))
    else:
        _print(restored)


def as_document(restored: Restored) -> dict[str, object]:
    return {
        "snapshot": restored.snapshot,
        "destination": str(restored.destination),
        "python": str(restored.python),
        "parity_root": restored.parity_root,
        "verified": restored.verified,
        "linked_files": restored.linked_files,
        "written_files": restored.written_files,
        "link": restored.link,
        "seconds": round(restored.seconds, 3),
    }


def _print(restored: Restored) -> None:
    click.echo(f"restored {restored.snapshot.short} in {console.seconds(restored.seconds)}")
    click.echo(
        f"{console.count(restored.linked_files, 'file')} from the cache by {restored.link},"
        f" {restored.written_files:,} written, verified: {restored.verified}"
    )
    click.echo(console.printable(str(restored.python)))
