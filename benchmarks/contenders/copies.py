"""cp: a copy of the tree, or a tree of hard links."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measuring import Contender

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.workloads.base import Bench

COPY, LINKS = "cp -a", "cp -al"


def copy(bench: Bench, name: str, source: Path, shown: str) -> Contender:
    """A copy of `source`, which `shown` tells the reader about."""
    destination = bench.directory / f"copy-of-{source.name}"
    return Contender(
        name, [bench.tools.cp, "-a", str(source), str(destination)], shown, lambda: bench.put_aside(destination)
    )


def link(bench: Bench) -> Contender:
    """Hard links to the environment itself."""
    source, destination = bench.built.prefix, bench.directory / "links-to-env"
    command = [bench.tools.cp, "-al", str(source), str(destination)]
    return Contender(LINKS, command, "cp -al ENV DEST", lambda: bench.put_aside(destination))
