"""`envparity tag` and `retain`: one more name for a snapshot, and which versions of a name stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from registration import console
from registration.parameters import Duration, json_option

if TYPE_CHECKING:
    from registration.invocation import Invocation
    from snapshot.retention import Retained
    from snapshot.store import Reference


@click.command()
@click.argument("snapshot")
@click.argument("name")
@json_option
@click.pass_obj
def tag(invocation: Invocation, snapshot: str, name: str, as_json: bool) -> None:
    """Give SNAPSHOT one more NAME, such as churn-model/production. A name that is there moves."""
    reference = invocation.store.tag(snapshot, name)
    if as_json:
        console.print_json({"name": reference.name, "snapshot": reference.snapshot})
    else:
        click.echo(f"tagged {reference.snapshot.short} as {console.printable(reference.label)}")


@click.command()
@click.argument("name")
@click.option("--keep-last", type=click.IntRange(min=1), metavar="N", help="Keep the newest N versions.")
@click.option(
    "--keep-tagged", is_flag=True, help="Keep tags (NAME/VERSION where VERSION is no number) and what they name."
)
@click.option("--older-than", type=Duration(), metavar="DURATION", help="Remove only what is older (12h, 30d).")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@json_option
@click.pass_obj
def retain(
    invocation: Invocation,
    name: str,
    keep_last: int | None,
    keep_tagged: bool,
    older_than: float | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Remove old versions of NAME: those that every given rule lets go. The newest version always stays.

    What only they needed stays on disk until the next gc.
    """
    import snapshot

    if keep_last is None and older_than is None:
        raise click.UsageError("nothing says what may go: give --keep-last, --older-than or both")
    done = snapshot.retain(
        invocation.store,
        name,
        keep_last=keep_last,
        keep_tagged=keep_tagged,
        older_than=older_than,
        dry_run=dry_run,
    )
    if as_json:
        console.print_json(_document(done, dry_run=dry_run))
    else:
        _print(done, dry_run=dry_run)


def _document(done: Retained, *, dry_run: bool) -> dict[str, object]:
    return {
        "name": done.name,
        "dry_run": dry_run,
        "removed": [_reference(each) for each in done.removed],
        "kept": [{**_reference(each.reference), "reason": each.reason} for each in done.kept],
        "free_bytes": done.free_bytes,
    }


def _reference(reference: Reference) -> dict[str, object]:
    return {"name": reference.name, "snapshot": reference.snapshot, "created": reference.created}


def _print(done: Retained, *, dry_run: bool) -> None:
    rows = [(each, "would be removed" if dry_run else "removed") for each in done.removed]
    rows += [(each.reference, f"kept: {each.reason}") for each in done.kept]
    cells = [
        (each.label, each.snapshot.short, each.created[:10] or "-", what)
        for each, what in sorted(rows, key=lambda row: row[0].created)
    ]
    console.print_table(["name", "snapshot", "created", ""], cells)
    if not done.removed:
        click.echo("nothing to remove")
        return
    only = "what only it needed" if len(done.removed) == 1 else "what only they needed"
    frees = only if done.free_bytes is None else console.size(done.free_bytes)
    does = "would remove" if dry_run else "removed"
    click.echo(f"{does} {console.count(len(done.removed), 'reference')}; envparity gc frees {frees} an hour later")
