"""envparity itself, by its command line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.contenders.base import Call, Command, bytes_below

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: What all contenders hold: the files of the environment, without bytecode.
SAME_FILES = ("--no-interpreter", "--no-bytecode")
#: Everything that is needed to start it elsewhere, and to start it fast.
EVERYTHING = ("--compile-bytecode",)
NO_DELTAS = "--no-deltas"

SLUG = "envparity"
_FIGURES = ("seconds", "packed_bytes", "added_bytes", "linked_files", "written_files")


@dataclass(frozen=True, slots=True)
class Envparity:
    """`options` are those of its capture."""

    program: str
    options: tuple[str, ...] = SAME_FILES
    name: str = "envparity"
    slug: str = SLUG
    shares: bool = True
    rounds: int | None = None

    def prepare(self, place: Path, prefix: Path, call: Call) -> None:
        """A store makes itself."""

    def pack(self, place: Path, prefix: Path, version: str) -> Command:
        return self._run(
            place,
            ["capture", prefix, "--name", reference(version), *self.options],
            f"capture ENV --name NAME/VERSION {' '.join(self.options)}",
        )

    def unpack(self, place: Path, version: str, destination: Path) -> Command:
        return self._run(place, ["restore", reference(version), destination], "restore NAME/VERSION DEST")

    def optimize(self, place: Path) -> Command:
        return self._run(place, ["optimize"], "optimize")

    def kept(self, place: Path) -> int:
        return bytes_below(*(path for path in place.iterdir() if path.name != "cache"))

    def _run(self, store: Path, arguments: list[str | Path], shown: str) -> Command:
        command = [self.program, "--store", str(store), *map(str, arguments), "--json"]
        return Command(tuple(command), f"envparity --store STORE {shown}", told, watched=True)


def reference(version: str) -> str:
    """The name of a version in the store."""
    return f"m/{version}"


def told(output: bytes) -> Mapping[str, float]:
    """What a command of ours says of itself with --json."""
    document = json.loads(output)
    return {name: float(document[name]) for name in _FIGURES if name in document}


def blobs(store: Path, version: str) -> dict[str, int]:
    """Sizes by digest of everything that a node must fetch for a version: manifest, config, and what the manifest lists."""
    index = json.loads((store / "index.json").read_bytes())
    for row in index["manifests"]:
        if row["annotations"].get("org.opencontainers.image.ref.name") == reference(version):
            algorithm, _, digest = row["digest"].partition(":")
            manifest = json.loads((store / "blobs" / algorithm / digest).read_bytes())
            listed = [row, manifest["config"], *manifest["layers"]]
            return {item["digest"]: item["size"] for item in listed}
    raise ValueError(f"{store} has nothing called {reference(version)}; capture it first")
