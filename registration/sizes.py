"""Sizes for people: what a snapshot is made of, how a name grew, what could be left out. Fits 80 columns."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from registration import console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snapshot.limiting import Excess, Spelling
    from snapshot.saving import Saving
    from snapshot.sizing import Growth, LayerSize, NameSizes, SnapshotSizes

#: Rows that are shown where not all are asked for.
MOST = 20
_GROWN = 10
_IN_AN_ERROR = 5


def print_snapshot(found: SnapshotSizes, *, limit: int, everything: bool) -> None:
    named = f"{console.printable(found.name)}  " if found.name else ""
    click.echo(f"{named}{found.snapshot.short}")
    click.echo(
        f"{console.size(found.packed_bytes)} packed, {console.size(found.raw_bytes)} unpacked;"
        f" {console.percent(found.packed_bytes, limit)} of the limit of {console.size(limit)}"
    )
    click.echo()
    shown = found.layers if everything else found.layers[:MOST]
    rest = found.layers[len(shown) :]
    rows = [(*_layer_cells(each), each.packed_bytes) for each in shown]
    if rest:
        raw, packed = sum(each.layer.size for each in rest), sum(each.packed_bytes for each in rest)
        rows.append((f"{console.count(len(rest), 'more layer')} (--all)", "", console.size(raw), packed))
    if found.base_bytes:
        rows.append(("bases of deltas", "", "", found.base_bytes))
    rows.append(("lists of files", "", "", found.other_bytes))
    most = max(packed for *_, packed in rows)
    deltas = any(each.delta for each in found.layers)
    headings = ["layer", *(["stored"] if deltas else []), "raw", "packed", "share"]
    console.print_table(
        headings,
        [
            (
                name,
                *([encoding] if deltas else []),
                raw,
                console.size(packed),
                console.percent(packed, found.packed_bytes),
            )
            for name, encoding, raw, packed in rows
        ],
        right=["raw", "packed", "share"],
        bars=[(packed, most) for *_, packed in rows],
    )
    print_savings(found.savings)


def _layer_cells(each: LayerSize) -> tuple[str, str, str]:
    return (each.layer.label, "delta" if each.delta else "full", console.size(each.layer.size))


def print_savings(found: Sequence[Saving], *, err: bool = False) -> None:
    """What could be left out. Nothing is printed when that is nothing."""
    sure = [each for each in found if each.kind != "leaf"]
    if sure:
        click.echo(err=err)
        console.print_table(
            ["could be left out", "saves about", "option of capture"],
            [(each.what, console.size(each.packed_bytes), options().of(each) or "") for each in sure],
            right=["saves about"],
            err=err,
        )
    leaves = [each for each in found if each.kind == "leaf"]
    if leaves:
        click.echo(err=err)
        click.echo("Nothing else in the environment requires these. What is not used goes with", err=err)
        click.echo("--exclude dist:NAME (and what only it needs with a further one):", err=err)
        cells = [f"{each.what} {console.size(each.packed_bytes)}" for each in leaves]
        more = len(cells) - MOST
        console.print_columns([*cells[:MOST], *([f"and {more:,} more"] if more > 0 else [])], err=err)


def print_name(found: NameSizes, *, budget: int, everything: bool) -> None:
    click.echo(
        f"{console.printable(found.name)}: {console.count(len(found.versions), 'version')},"
        f" {console.size(found.total_bytes)} together,"
        f" {console.percent(found.total_bytes, budget)} of the budget of {console.size(budget)}"
    )
    click.echo()
    shown = found.versions if everything else found.versions[-MOST:]
    hidden = found.versions[: len(found.versions) - len(shown)]
    rows = [
        (
            each.name.partition("/")[2] or each.name,
            each.created[:10] or "-",
            console.size(each.packed_bytes),
            console.size(each.added_bytes),
            console.size(each.total_bytes),
        )
        for each in shown
    ]
    added = [each.added_bytes for each in shown]
    if hidden:
        earlier = sum(each.added_bytes for each in hidden)
        first = f"{len(hidden):,} earlier (--all)"
        rows.insert(0, (first, "", "", console.size(earlier), console.size(hidden[-1].total_bytes)))
        added.insert(0, earlier)
    console.print_table(
        ["version", "created", "packed", "added", "total"],
        rows,
        right=["packed", "added", "total"],
        bars=[(each, max(added)) for each in added],
    )
    print_growth(found.growth if everything else found.growth[:_GROWN])


def print_growth(found: Sequence[Growth], *, err: bool = False) -> None:
    """What grew the store most. Nothing is printed when nothing did."""
    if found:
        click.echo(err=err)
        console.print_table(
            ["added after the first version", "versions", "bytes"],
            [(each.name, f"{each.versions:,}", console.size(each.added_bytes)) for each in found],
            right=["versions", "bytes"],
            bars=[(each.added_bytes, found[0].added_bytes) for each in found],
            err=err,
        )


def options() -> Spelling:
    """What is advised about sizes, as options of `envparity capture`."""
    from snapshot.excluding import DISTRIBUTION
    from snapshot.limiting import Spelling

    def exclude(patterns: Sequence[str]) -> str:
        # Quoted, so that a shell hands on what it would take for the names of files.
        return " ".join(
            f"--exclude {each}" if each.startswith(DISTRIBUTION) else f"--exclude '{each}'" for each in patterns
        )

    return Spelling(
        without={"bytecode": "--no-bytecode", "interpreter": "--no-interpreter"},
        whole="--no-deltas",
        exclude=exclude,
        size_limit="--size-limit",
        budget="--budget",
    )


def explain(excess: Excess) -> str:
    """Print, to standard error, what is large, what grew and what can be left out; the sentence that is left to say."""
    found = excess.sizes
    rows = [(each.layer.label, each.packed_bytes) for each in found.layers[:_IN_AN_ERROR]]
    if found.base_bytes:
        rows.append(("bases of deltas", found.base_bytes))
    most = max(packed for _, packed in rows)
    console.print_table(
        ["largest layers", "packed", "share"],
        [(name, console.size(packed), console.percent(packed, found.packed_bytes)) for name, packed in rows],
        right=["packed", "share"],
        bars=[(packed, most) for _, packed in rows],
        err=True,
    )
    if excess.versions is not None:
        print_growth(excess.versions.growth[:_IN_AN_ERROR], err=True)
    print_savings(found.savings, err=True)
    click.echo(err=True)
    over = found.packed_bytes > excess.size_limit
    raised = [*(["--size-limit"] if over else []), *(["--budget"] if excess.versions is not None else [])]
    smaller = ["leave something out"]
    if over and found.base_bytes:
        smaller.append("capture with --no-deltas")
    if excess.versions is not None:
        smaller += ["run envparity optimize", "remove versions that are not needed"]
    problems = ", and ".join(excess.problems)
    return f"{problems}; nothing was stored; {', '.join(smaller)}, or raise {' and '.join(raised)}"


def snapshot_document(found: SnapshotSizes, limit: int) -> dict[str, object]:
    return {
        "name": found.name,
        "snapshot": found.snapshot,
        "packed_bytes": found.packed_bytes,
        "raw_bytes": found.raw_bytes,
        "size_limit": limit,
        "layers": [
            {
                "kind": each.layer.kind.value,
                "name": each.layer.name,
                "version": each.layer.version,
                "mount": each.layer.mount,
                "raw_bytes": each.layer.size,
                "packed_bytes": each.packed_bytes,
                "delta": each.delta,
            }
            for each in found.layers
        ],
        "base_bytes": found.base_bytes,
        "other_bytes": found.other_bytes,
        "savings": [{**asdict(each), "option": options().of(each)} for each in found.savings],
    }


def name_document(found: NameSizes, budget: int) -> dict[str, object]:
    return {**asdict(found), "budget": budget}
