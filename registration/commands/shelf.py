"""`envparity list`, `remove`, `gc` and `check`: what is in the store, and keeping it in order."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from registration import console
from registration.commands.verify import print_problems, problems_document
from registration.parameters import json_option
from registration.progress import progress_bar

if TYPE_CHECKING:
    from registration.invocation import Invocation
    from snapshot.model import Snapshot
    from snapshot.store import Reference, Store


@dataclass(frozen=True)
class Row:
    """A snapshot in the list. What cannot be read of it is None, and `error` says why."""

    reference: Reference
    snapshot: Snapshot | None
    packed_bytes: int | None
    error: str | None

    def as_document(self) -> dict[str, object]:
        return {
            "name": self.reference.name,
            "snapshot": self.reference.snapshot,
            "created": self.reference.created,
            "python": self.snapshot.interpreter.version if self.snapshot else None,
            "distributions": len(self.snapshot.distributions) if self.snapshot else None,
            "parity_root": self.snapshot.parity_root if self.snapshot else None,
            "packed_bytes": self.packed_bytes,
            "error": self.error,
        }

    def as_cells(self) -> tuple[str, ...]:
        return (
            self.reference.name or "-",
            self.reference.snapshot.short,
            self.reference.created[:16].replace("T", " ") or "-",
            self.snapshot.interpreter.version if self.snapshot else "damaged",
            str(len(self.snapshot.distributions)) if self.snapshot else "-",
            "-" if self.packed_bytes is None else console.size(self.packed_bytes),
        )


@click.command("list")
@json_option
@click.pass_obj
def list_snapshots(invocation: Invocation, as_json: bool) -> int:
    """List the snapshots in the store, oldest first. Exit code 1 if one of them cannot be read."""
    store = invocation.store
    rows = [_read(store, reference) for reference in store.references()]
    damaged = [row for row in rows if row.error is not None]
    if as_json:
        console.print_json({"store": invocation.store_path, "snapshots": [row.as_document() for row in rows]})
    elif rows:
        headings = ["name", "snapshot", "created (UTC)", "python", "dists", "packed"]
        console.print_table(headings, [row.as_cells() for row in rows], right=["dists", "packed"])
        if damaged:
            click.echo(f"{console.count(len(damaged), 'snapshot')} cannot be read; envparity check says why")
    else:
        click.echo(f"no snapshots in {console.printable(invocation.store_path)}; envparity capture makes one")
    return 1 if damaged else 0


def _read(store: Store, reference: Reference) -> Row:
    from snapshot.errors import SnapshotError

    try:
        return Row(reference, store.snapshot(reference), store.manifest(reference).packed_bytes, None)
    except SnapshotError as error:  # one damaged snapshot must not hide the others; the exit code tells
        return Row(reference, None, None, str(error))


@click.command()
@click.argument("name")
@json_option
@click.pass_obj
def remove(invocation: Invocation, name: str, as_json: bool) -> None:
    """Take the snapshot NAME off the list. What only it needed stays on disk until the next gc."""
    reference = invocation.store.remove(name)
    if as_json:
        console.print_json({"name": reference.name, "snapshot": reference.snapshot})
    else:
        named = f"{console.printable(reference.name)}  " if reference.name else ""
        click.echo(f"removed {named}{reference.snapshot.short}; envparity gc frees what only it needed")


@click.command("gc")
@json_option
@click.pass_obj
def collect(invocation: Invocation, as_json: bool) -> None:
    """Delete what no snapshot needs any more, here and in the store, and what interrupted commands left behind."""
    import snapshot

    collected = snapshot.collect(invocation.store)
    if as_json:
        console.print_json(asdict(collected))
    else:
        click.echo(
            f"freed {console.size(collected.bytes)} of the store: {console.count(collected.blobs, 'blob')};"
            f" forgot {console.count(collected.layers, 'unpacked layer')};"
            f" removed {collected.leftovers:,} left by interrupted commands"
        )


@click.command()
@json_option
@click.pass_obj
def check(invocation: Invocation, as_json: bool) -> int:
    """Read the whole store and check every digest. Exit code 1 if anything is missing or damaged."""
    with progress_bar() as progress:
        problems = invocation.store.check(progress=progress)
    if as_json:
        console.print_json({"ok": not problems, "problems": problems_document(problems)})
    elif problems:
        click.echo(f"failed {console.printable(invocation.store_path)}: {console.count(len(problems), 'problem')}")
        print_problems(problems)
    else:
        click.echo(f"checked {console.printable(invocation.store_path)}: every blob is there and as it was written")
    return 1 if problems else 0
