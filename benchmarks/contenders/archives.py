"""tar with zstd, tar with gzip: one file a version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.contenders.base import Call, Command, bytes_below

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.tools import Tools

TAR_ZSTD, TAR_GZ = "tar | zstd -3 -T2", "tar.gz"


@dataclass(frozen=True, slots=True)
class Archive:
    """Through a pipe. `write` and `read` are scripts for sh: tar, the compressor, the directory, the file."""

    name: str
    slug: str
    suffix: str
    write: str
    read: str
    shown: str
    shown_read: str
    programs: tuple[str, str, str]
    rounds: int | None = None
    shares: bool = False

    def prepare(self, place: Path, prefix: Path, call: Call) -> None:
        """A file needs nothing."""

    def pack(self, place: Path, prefix: Path, version: str) -> Command:
        return self._run(self.write, prefix, self._file(place, version), self.shown)

    def unpack(self, place: Path, version: str, destination: Path) -> Command:
        return self._run(self.read, destination, self._file(place, version), self.shown_read)

    def kept(self, place: Path) -> int:
        return bytes_below(place)

    def _file(self, place: Path, version: str) -> Path:
        return place / f"{version}{self.suffix}"

    def _run(self, script: str, directory: Path, file: Path, shown: str) -> Command:
        sh, tar, zstd = self.programs
        return Command.of([sh, "-c", script, "sh", tar, zstd, directory, file], shown)


def tar_zstd(tools: Tools) -> Archive:
    return Archive(
        TAR_ZSTD,
        "tar-zstd",
        ".tar.zst",
        '"$1" -C "$3" -cf - . | "$2" -q -3 -T2 > "$4"',
        '"$2" -dcq "$4" | "$1" -C "$3" -xf -',
        "tar -C ENV -cf - . | zstd -q -3 -T2 > FILE",
        "zstd -dcq FILE | tar -C DEST -xf -",
        (tools.sh, tools.tar, tools.zstd),
    )


def tar_gz(tools: Tools) -> Archive:
    return Archive(
        TAR_GZ,
        "tar-gz",
        ".tar.gz",
        'exec "$1" -C "$3" -czf "$4" .',
        'exec "$1" -C "$3" -xzf "$4"',
        "tar -C ENV -czf FILE .",
        "tar -C DEST -xzf FILE",
        (tools.sh, tools.tar, tools.zstd),
        rounds=2,
    )
