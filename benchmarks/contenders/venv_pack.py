"""venv-pack: a gzipped tar with relocated scripts. It is unpacked by tar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.contenders.base import Call, Command, bytes_below

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class VenvPack:
    program: str
    tar: str
    name: str = "venv-pack"
    slug: str = "venv-pack"
    shares: bool = False
    rounds: int | None = 2

    def prepare(self, place: Path, prefix: Path, call: Call) -> None:
        """A file needs nothing."""

    def pack(self, place: Path, prefix: Path, version: str) -> Command:
        file = place / f"{version}.tar.gz"
        return Command.of(
            [self.program, "--quiet", "--prefix", prefix, "--output", file], "venv-pack --quiet -p ENV -o FILE"
        )

    def unpack(self, place: Path, version: str, destination: Path) -> Command:
        return Command.of(
            [self.tar, "-C", destination, "-xzf", place / f"{version}.tar.gz"], "tar -C DEST -xzf FILE (of venv-pack)"
        )

    def kept(self, place: Path) -> int:
        return bytes_below(place)
