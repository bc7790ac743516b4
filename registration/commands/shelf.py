"""`envparity list`, `remove`, `gc` and `check`: what is in the store, and keeping it in order."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from registration import console
from registration.commands.verify import print_problems, problems_document
from registration.parameters import Duration, json_option
from registration.progress import progress_bar

if TYPE_CHECKING:
    from registration.invocation import Invocation
    from snapshot.store import Reference, Store
    from snapshot.store.summary import Summary


@dataclass(frozen=True)
class Row:
    """A snapshot in the list. What cannot be read of it is None, and `error` says why."""

    reference: Reference
    summary: Summary | None
    error: str | None

    def as_document(self) -> dict[str, object]:
        return {
            "name": self.reference.name,
            "snapshot": self.reference.snapshot,
            "created": self.reference.created,
            "python": self.summary.python if self.summary else None,
            "distributions": self.summary.distributions if self.summary else None,
            "parity_root": self.summary.parity_root if self.summary else None,
            "packed_bytes": self.summary.packed_bytes if self.summary else None,
            "error": self.error,
        }

    def as_cells(self) -> tuple[str, ...]:
        return (
            self.reference.name or "-",
            self.reference.snapshot.short,
            self.reference.created[:16].replace("T", " ") or "-",
            self.summary.python if self.summary else "damaged",
            str(self.summary.distributions) if self.summary else "-",
            console.size(self.summary.packed_bytes) if self.summary else "-",
        )


@click.command("list")
@json_option
@click.pass_obj
def list_snapshots(invocation: Invocation, as_json: bool) -> int:
    """List the snapshots in the store, oldest first. Exit code 1 if one of them cannot be read."""
    store = invocation.store
    rows = [_read(store, reference) for reference in store.references()]
    damaged = [row for row in rows if row.error is not None]
    if not rows:
        _refuse_lost(store)
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


def _refuse_lost(store: Store) -> None:
    """A store that has lost its index is not just empty."""
    from snapshot.store.reading import DamagedIndexError
    from snapshot.store.scrub import LOST, published

    if store.backend.read_index() is None and published(store.backend):
        raise DamagedIndexError(f"{store} has no index.json: {LOST}")


def _read(store: Store, reference: Reference) -> Row:
    from snapshot.errors import SnapshotError

    try:
        return Row(reference, store.summary(reference), None)
    except SnapshotError as error:  # one damaged snapshot must not hide the others; the exit code tells
        return Row(reference, None, str(error))


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
@click.option(
    "--grace",
    type=Duration(),
    default="1h",
    show_default=True,
    metavar="DURATION",
    help="Keep what was removed more lately than that (90s, 30m, 12h, 7d): a capture or restore may need it. 0: now.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@json_option
@click.pass_obj
def collect(invocation: Invocation, grace: float, dry_run: bool, as_json: bool) -> None:
    """Delete what no snapshot needs any more, here and in the store, and what interrupted commands left behind."""
    import snapshot
    from snapshot.errors import summarise

    with progress_bar() as progress:
        collected = snapshot.collect(invocation.store, grace=grace, dry_run=dry_run, progress=progress)
    if as_json:
        console.print_json({**asdict(collected), "dry_run": dry_run})
        return
    if collected.removed:
        names = summarise(map(console.printable, collected.removed))
        click.echo(f"{'would free' if dry_run else 'freed'} what only {names} needed")
    if collected.rebased:
        click.echo(
            f"encoded {console.count(collected.rebased, 'layer')} anew: their deltas needed what no snapshot has now"
        )
    if collected.full:
        click.echo("the disk was full, so deltas that need a removed layer keep it: envparity optimize frees that")
    amount = f"{console.size(collected.bytes)} of the store: {console.count(collected.blobs, 'blob')}"
    layers = console.count(collected.layers, "unpacked layer")
    if dry_run:
        click.echo(f"would free {amount}; would forget {layers}")
    else:
        click.echo(f"freed {amount}; forgot {layers}; removed {collected.leftovers:,} left by interrupted commands")
    if collected.kept_until is not None:
        click.echo(_kept(collected.kept_bytes, collected.kept_until, grace))


def _kept(size: int, until: int, grace: float) -> str:
    moment = time.strftime("%Y-%m-%d %H:%M", time.gmtime(until + 59))
    return (
        f"kept {console.size(size)} that were removed or written less than {console.period(grace)} ago;\n"
        f"a gc after {moment} (UTC) deletes all of them, gc --grace 0 does it now"
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
