"""The words of docs/format.md as frozen values: what a snapshot is. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

from snapshot.errors import SnapshotError
from snapshot.home import DEPLOYMENT, HOME, MODEL_MOUNT, PYTHON_MOUNT, RECEIPT, SOURCE_MOUNT

if TYPE_CHECKING:
    from snapshot.digest import Digest

#: What of HOME is not free for notes.
_RESERVED = frozenset(
    path.removeprefix(f"{HOME}/") for path in (PYTHON_MOUNT, SOURCE_MOUNT, RECEIPT, DEPLOYMENT, MODEL_MOUNT)
)
#: Bytes. A note is read whole into memory.
LARGEST_NOTE = 16 << 20
_NOTE = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z"


class UnidentifiedError(SnapshotError, ValueError):
    """The digest of a layer's tar is needed, and the layer was described without it."""


class Kind(str, Enum):
    """What a layer holds."""

    INTERPRETER = "interpreter"
    DISTRIBUTION = "distribution"
    ENVIRONMENT = "environment"
    UNOWNED = "unowned"
    SOURCE = "source"
    BYTECODE = "bytecode"
    MODEL = "model"

    def __str__(self) -> str:
        return self.value


#: What does not count in the parity root, whatever it holds: derived, or no part of the environment.
BESIDE = frozenset({Kind.BYTECODE, Kind.MODEL})

#: The layers of kind `model`, and where each lies: the model's own files, and small files beside it.
MODEL_LAYERS = {"model": MODEL_MOUNT, "notes": HOME}


def is_note(name: str) -> bool:
    """Whether a note may have this name: a plain file name of at most 100 characters that means nothing else in HOME."""
    return bool(re.match(_NOTE, name)) and name not in _RESERVED


@dataclass(frozen=True, slots=True)
class Entry:
    """One directory, file or link of a layer.

    `path` is relative to the layer's mount, with undecodable bytes as surrogates (PEP 383). `type` is `d`, `f` or
    `l`. `size` (bytes) and `sha256` (hexadecimal) are those of the stored bytes. `at` are the substitutions of a
    template: pairs of an offset (for a link: into its target) and a token. `rule` names the normalisation that applies
    in the parity digest and `counts_as` the digest it uses instead (None: the entry does not count).
    """

    path: str
    type: str
    mode: int = 0
    size: int = 0
    sha256: str = ""
    target: str = ""
    at: tuple[tuple[int, str], ...] = ()
    rule: str | None = None
    counts_as: str | None = None
    outside: bool = False

    @property
    def executable(self) -> bool:
        return bool(self.mode & 0o100) and self.type == "f"


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer as the config has it. `size` is that of the uncompressed tar in bytes, `files` counts regular files.

    `tar` is the digest of that tar, None where it was not made (`describe(identify=False)`): then the layer can be compared, and
    not stored.
    """

    kind: Kind
    name: str
    version: str | None
    mount: str
    tar: Digest | None
    tree: Digest
    files: int
    size: int
    parity: Digest | None

    @property
    def diff_id(self) -> Digest:
        """The digest of the tar (OCI image-spec, config.md). Raises UnidentifiedError where it was not made."""
        if self.tar is None:
            raise UnidentifiedError(
                f"layer {self.label} was described without the digest of its tar, so it has no identity; describe it with identify=True"
            )
        return self.tar

    @property
    def label(self) -> str:
        if self.kind is Kind.DISTRIBUTION:
            return f"{self.name} {self.version}"
        return str(self.kind) if self.name == self.kind.value else f"{self.name} ({self.kind})"

    @property
    def sort_key(self) -> tuple[str, ...]:
        return (self.kind.value, self.name, self.mount, self.version or "", self.tar or self.tree)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The interpreter an environment runs on. `executable` is relative to the base; `digest` covers its files."""

    implementation: str
    version: str
    cache_tag: str
    soabi: str
    platform: str
    executable: str
    captured: bool
    digest: Digest

    @property
    def minor(self) -> str:
        return ".".join(self.version.split(".")[:2])


@dataclass(frozen=True, slots=True)
class Environment:
    """How the layers make an environment again. `kind` is `venv` or `base` (an interpreter's own prefix).

    `bytecode` is `none`, `kept` (as far as the environment had it), `compiled` (every source has its own) or `imported` (that of
    the modules that the capture was given).
    """

    kind: str
    base_mount: str
    bytecode: str
    system_site_packages: bool
    sources: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """The config: everything that the snapshot id covers."""

    interpreter: Interpreter
    environment: Environment
    layers: tuple[Layer, ...]
    parity_root: Digest

    @cached_property
    def distributions(self) -> tuple[Layer, ...]:
        return tuple(layer for layer in self.layers if layer.kind is Kind.DISTRIBUTION)

    @property
    def identified(self) -> bool:
        """Whether the snapshot has an id: only where the digest of every layer's tar is known."""
        return all(layer.tar is not None for layer in self.layers)

    @property
    def files(self) -> int:
        return sum(layer.files for layer in self.layers)

    @property
    def raw_bytes(self) -> int:
        return sum(layer.size for layer in self.layers)


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something odd about an environment that did not stop the capture. `path` is relative to the prefix where it can be."""

    kind: str
    path: str
    detail: str


@dataclass(frozen=True, slots=True)
class Record:
    """What is worth knowing of a capture but is no part of the snapshot's identity."""

    findings: tuple[Finding, ...]
    prefix: str
    base: str
    tool: str


Tree = tuple[Entry, ...]
