"""restic: a repository of chunks, cut by content, always encrypted. Its cache lies beside it, so that a copy has it too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.contenders.base import Call, Command, bytes_below

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Restic:
    """`compression` is `auto`, which is the default, or `max`. `env` is the program that sets variables."""

    program: str
    env: str
    compression: str

    shares = True
    rounds = None

    @property
    def name(self) -> str:
        return "restic" if self.compression == "auto" else f"restic, {self.compression}"

    @property
    def slug(self) -> str:
        return f"restic-{self.compression}"

    def prepare(self, place: Path, prefix: Path, call: Call) -> None:
        if not (place / "repository").exists():
            call([*self._restic(place), "init"])

    def pack(self, place: Path, prefix: Path, version: str) -> Command:
        return Command.of(
            [*self._restic(place), "backup", "--compression", self.compression, "--tag", version, prefix],
            f"restic -r REPOSITORY backup --compression {self.compression} --tag VERSION ENV",
        )

    def unpack(self, place: Path, version: str, destination: Path) -> Command:
        return Command.of(
            [*self._restic(place), "restore", "latest", "--tag", version, "--target", destination],
            "restic -r REPOSITORY restore latest --tag VERSION --target DEST",
        )

    def kept(self, place: Path) -> int:
        return bytes_below(place / "repository")

    def _restic(self, place: Path) -> list[str | Path]:
        # It insists on a password, whatever it is.
        chosen: list[str | Path] = [
            self.env,
            "RESTIC_PASSWORD=benchmark",
            self.program,
            "-q",
            "-r",
            place / "repository",
        ]
        return [*chosen, "--cache-dir", place / "cache"]
