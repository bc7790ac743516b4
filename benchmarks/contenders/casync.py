"""casync: a directory of chunks, cut by content, and an index for each version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.contenders.base import Call, Command, bytes_below

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Casync:
    program: str
    name: str = "casync"
    slug: str = "casync"
    shares: bool = True
    rounds: int | None = 2

    def prepare(self, place: Path, prefix: Path, call: Call) -> None:
        """It makes its directory of chunks by itself."""

    def pack(self, place: Path, prefix: Path, version: str) -> Command:
        return Command.of(
            [self.program, "make", f"--store={place / 'chunks'}", place / f"{version}.caidx", prefix],
            "casync make --store=CHUNKS FILE ENV",
        )

    def unpack(self, place: Path, version: str, destination: Path) -> Command:
        return Command.of(
            [self.program, "extract", f"--store={place / 'chunks'}", place / f"{version}.caidx", destination],
            "casync extract --store=CHUNKS FILE DEST",
        )

    def kept(self, place: Path) -> int:
        return bytes_below(place)
