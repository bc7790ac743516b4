"""From packed layers to the snapshot and its record. What `capture` and `describe` share."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from snapshot.documents import digest_of
from snapshot.home import PYTHON_MOUNT, SOURCE_MOUNT
from snapshot.interpreter import InterpreterError, Worker
from snapshot.model import Environment, Interpreter, Kind, Record, Snapshot
from snapshot.pack import Context
from snapshot.parity import parity_root
from snapshot.serialize import encode_tree
from snapshot.version import version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from snapshot.model import Finding, Layer
    from snapshot.plan import Survey


#: The tree of a layer of which nothing was kept, such as bytecode that was stale throughout: it is no layer.
EMPTY_TREE = digest_of(encode_tree(()))


class SourceHasher:
    """Asks the target interpreter for the PEP 552 hash of a source: the algorithm changed between versions.

    The process starts with the first question: hash-based bytecode is rare.
    """

    def __init__(self, python: str) -> None:
        self._python = python
        self._lock = threading.Lock()
        self._worker: Worker | None = None

    def ask(self, path: bytes) -> str:
        """The hash in hexadecimal. Raises InterpreterError."""
        with self._lock:
            if self._worker is None:
                self._worker = Worker(self._python)
            answer = self._worker.ask(op="hash", path=os.fsdecode(path))
        if "error" in answer:
            raise InterpreterError(f"cannot hash {os.fsdecode(path)}: {answer['error']}")
        return str(answer["hash"])

    def __enter__(self) -> SourceHasher:
        return self

    def __exit__(self, *_: object) -> None:
        if self._worker is not None:
            self._worker.close()


def context_of(found: Survey, hasher: SourceHasher, advance: Callable[[int], None]) -> Context:
    """What the plans of a survey are packed with."""
    return Context(found.places, found.scripts, found.probe.magic, hasher.ask, found.shared, advance)


def facts_of(found: Survey) -> str:
    """What decides, for every plan alike, how files are captured."""
    places = [(place.token, place.spellings, place.mount) for place in found.places.places]
    return repr((version(), places, found.scripts, found.probe.magic, found.probe.cache_tag))


def snapshot_of(found: Survey, layers: Sequence[Layer], *, interpreter: bool, bytecode: str) -> Snapshot:
    """The config. `layers` has the interpreter's too, which is left out when it is not captured. `bytecode`: what was to be done
    about it (`keep`, `drop` or `compile`), or `imported`.
    """
    probe = found.probe
    digest = next((layer.parity for layer in layers if layer.kind is Kind.INTERPRETER), None)
    described = Interpreter(
        implementation=probe.implementation,
        version=probe.version,
        cache_tag=probe.cache_tag,
        soabi=probe.soabi,
        platform=probe.platform,
        executable=found.executable,
        captured=interpreter,
        digest=digest or digest_of(b""),
    )
    stored = [layer for layer in layers if layer.tree != EMPTY_TREE]
    if not interpreter:
        stored = [layer for layer in stored if layer.kind is not Kind.INTERPRETER]
    stored.sort(key=lambda layer: layer.sort_key)
    kept = "kept" if any(layer.kind is Kind.BYTECODE for layer in stored) else "none"
    environment = Environment(
        kind=found.kind,
        base_mount=PYTHON_MOUNT if found.kind == "venv" else "",
        bytecode={"compile": "compiled", "imported": "imported"}.get(bytecode, kept),
        system_site_packages=found.system_site_packages,
        sources=tuple((name, f"{SOURCE_MOUNT}/{name}") for name in sorted(found.sources)),
    )
    return Snapshot(described, environment, tuple(stored), parity_root(described, environment, stored))


def record_of(found: Survey, findings: Sequence[Finding]) -> Record:
    return Record(tuple(sorted(set(findings))), found.prefix, found.base, f"envparity {version()}")
