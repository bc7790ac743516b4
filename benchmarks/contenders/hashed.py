"""What ours cannot do without, done by standard tools on all processors: the fastest of the others, and every byte hashed.

Nobody works like this. The rows have no bounds: they say how much of a time is the machine's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.contenders.archives import TAR_ZSTD
from benchmarks.contenders.base import Command, bytes_below
from benchmarks.contenders.copies import COPY

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.contenders.base import Call
    from benchmarks.tools import Tools

HASHED_TAR = f"{TAR_ZSTD}, and sha256sum"
HASHED_COPY = f"{COPY}, and sha256sum"

_FILES = "find . -type f -print0 | xargs -0 -P2 -n500 sha256sum"


@dataclass(frozen=True, slots=True)
class HashedTar:
    """A tar with zstd. Packing hashes each file and the tar, as a capture does; unpacking each file, as a restore does."""

    tools: Tools
    name: str = HASHED_TAR
    slug: str = "hashed"
    shares: bool = False
    rounds: int | None = None

    def prepare(self, place: Path, prefix: Path, call: Call) -> None:
        """A file needs nothing."""

    def pack(self, place: Path, prefix: Path, version: str) -> Command:
        script = (
            '"$1" -cf - . | "$2" -q -3 -T2 > "$3" & one=$!; "$1" -cf - . | sha256sum > "$3.tar" & two=$!; '
            f'{_FILES} > "$3.files" && wait $one && wait $two'
        )
        shown = (
            "in ENV, all at once: tar -cf - . | zstd -q -3 -T2 > FILE; tar -cf - . | sha256sum; "
            "find … | xargs -P2 sha256sum"
        )
        return self._in(prefix, script, place, version, shown)

    def unpack(self, place: Path, version: str, destination: Path) -> Command:
        script = f'"$2" -dcq "$3" | "$1" -xf - && {_FILES} > "$3.restored"'
        shown = "in DEST: zstd -dcq FILE | tar -xf - && find … | xargs -P2 sha256sum"
        return self._in(destination, script, place, version, shown)

    def kept(self, place: Path) -> int:
        return bytes_below(place)

    def _in(self, directory: Path, script: str, place: Path, version: str, shown: str) -> Command:
        tools = self.tools
        command = [tools.sh, "-c", f'cd "$4" || exit; {script}', "sh", tools.tar, tools.zstd]
        return Command.of([*command, place / f"{version}.tar.zst", directory], shown)


def hashed_copy(tools: Tools, source: Path, destination: Path, file: Path) -> Command:
    """A copy of `source` at `destination`; the digests of its files go to `file`."""
    script = f'"$1" -a "$2" "$3" && cd "$3" && {_FILES} > "$4"'
    shown = "cp -a ENV DEST && find DEST … | xargs -P2 sha256sum"
    return Command.of([tools.sh, "-c", script, "sh", tools.cp, source, destination, file], shown)
