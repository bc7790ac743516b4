"""borg: a repository of chunks, cut by content. Its caches lie beside the repository, so that a copy has them too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.contenders.base import Call, Command, bytes_below

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Borg:
    """`env` is the program that sets variables and the directory."""

    program: str
    env: str
    level: int

    shares = True
    rounds = None

    @property
    def name(self) -> str:
        return f"borg, zstd {self.level}"

    @property
    def slug(self) -> str:
        return f"borg-{self.level}"

    def prepare(self, place: Path, prefix: Path, call: Call) -> None:
        if not (place / "repository").exists():
            call([*self._borg(place), "init", "--encryption", "none", place / "repository"])

    def pack(self, place: Path, prefix: Path, version: str) -> Command:
        compression = ["--compression", f"zstd,{self.level}"]
        return Command.of(
            [*self._borg(place, prefix), "create", *compression, f"{place / 'repository'}::{version}", "."],
            f"cd ENV; borg create --compression zstd,{self.level} REPOSITORY::VERSION .",
        )

    def unpack(self, place: Path, version: str, destination: Path) -> Command:
        return Command.of(
            [*self._borg(place, destination), "extract", f"{place / 'repository'}::{version}"],
            "cd DEST; borg extract REPOSITORY::VERSION",
        )

    def kept(self, place: Path) -> int:
        return bytes_below(place / "repository")

    def _borg(self, place: Path, directory: Path | None = None) -> list[str | Path]:
        chdir: list[str | Path] = ["--chdir", directory] if directory else []
        # A copied repository is no attack here, and borg would ask.
        answers = ["BORG_RELOCATED_REPO_ACCESS_IS_OK=yes", "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes"]
        return [self.env, *chdir, f"BORG_BASE_DIR={place / 'base'}", *answers, self.program]
