"""Calls every collector, and remembers what they found for as long as nothing has changed. Orchestration only."""

from __future__ import annotations

import os
import posixpath
from contextlib import ExitStack
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from snapshot.facts import metadata, modules, startup
from snapshot.facts.build import build
from snapshot.facts.host import host
from snapshot.facts.libraries import may_be_elf, native
from snapshot.facts.listing import Listing
from snapshot.facts.loader import CACHE, directories
from snapshot.facts.memory import look
from snapshot.facts.model import Facts
from snapshot.facts.variables import OTHER
from snapshot.facts.variables import variables as typed
from snapshot.model import BESIDE, Finding, Kind
from snapshot.pack import ChangedError
from snapshot.progress import cores

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from snapshot.facts.memory import Memory
    from snapshot.facts.model import Native, Numeric
    from snapshot.facts.numeric import Fingerprinting
    from snapshot.model import Layer
    from snapshot.plan import Survey

#: Distributions that compute, or decide what computes: the fingerprint is taken again when one of them changes.
_COMPUTE = frozenset(
    {"numpy", "scipy", "threadpoolctl", "mkl", "intel-openmp", "blis", "scipy-openblas32", "scipy-openblas64"}
)
#: Those of them that the probe imports by their own names.
_IMPORTED = frozenset({"numpy", "scipy"})


def collect(
    found: Survey,
    layers: Sequence[Layer],
    findings: Iterable[Finding],
    *,
    variables: Mapping[str, str] | None,
    key: bytes | None,
    fingerprint: bool,
    stamps: Iterable[str | None] | None = None,
    memory: Memory | None = None,
    probe: Fingerprinting | None = None,
) -> tuple[Facts, tuple[Finding, ...]]:
    """The facts of the environment that was surveyed as `found`, and what stood in the way of one of them.

    `layers` and `findings` are what became of it; `variables` those of the process that the environment serves, `key` the key of
    their digests; `fingerprint`: whether to run the numeric probe in the environment. `stamps` are those of the plans (see
    `snapshot.stamps`): with them, what the files say is taken from `memory`. `probe` is what `Ahead` started.
    """
    library_path = (variables or {}).get("LD_LIBRARY_PATH", "")
    try:
        facts = _of_files(found, findings, library_path, _together(found, stamps, library_path), memory)
    except FileNotFoundError as error:
        raise ChangedError(
            f"{error.filename} has gone while the environment was read; capture when nothing is being installed"
        ) from error
    facts = replace(facts, host=host(), variables=None if variables is None else typed(variables, key))
    if not fingerprint:
        return facts, ()
    from snapshot.facts.numeric import FingerprintError

    try:
        numeric = _numeric(found, layers, facts, variables, memory, probe)
        absent = _left_out(numeric, layers, findings)
        if absent:
            raise FingerprintError(f"it computes with {', '.join(absent)}, which the capture leaves out")
        return replace(facts, numeric=numeric), ()
    except FingerprintError as error:
        return facts, (Finding("no-fingerprint", "", str(error)),)


def _together(found: Survey, stamps: Iterable[str | None] | None, library_path: str) -> str | None:
    """One stamp of all plans. None when one cannot be trusted, or when there are none."""
    each = None if stamps is None else list(stamps)
    if each is None or None in each:
        return None
    # Only in the digest: whoever pastes a secret into that variable does not find it in the cache.
    searched = [(directory, look(directory)) for directory in _directories(library_path)]
    return _digest(sorted(map(str, each)), found.probe, found.sites, searched)


def _directories(library_path: str) -> list[str]:
    return [directory for directory in library_path.replace(";", ":").split(":") if directory]


def _digest(*parts: object) -> str:
    return sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _of_files(
    found: Survey, findings: Iterable[Finding], library_path: str, stamp: str | None, memory: Memory | None
) -> Facts:
    """What the files say. They are read again only when one of them has changed, or the system's libraries have."""
    known = memory.find("files", stamp) if memory is not None else None
    if known is not None:
        return known
    listing = Listing(found)
    path = modules.search_path(listing, found)
    importable = modules.modules(listing, found, path)
    files = [
        (path, os.fsdecode(listing.location(path)), listing.owner(path))
        for path in listing
        if may_be_elf(path) and listing.is_file(path)
    ]
    libraries = native(files, library_path=library_path)
    facts = Facts(
        build=build(found.probe),
        distributions=metadata.distributions(listing, found, findings),
        startup=startup.hooks(listing, found.sites, importable, found.probe.version),
        search_path=path,
        modules=importable,
        native=libraries,
    )
    if memory is not None and not listing.looked_outside:
        # A stamp covers a link and not where it leads.
        links = {os.fsdecode(listing.location(path)) for path in listing if listing.is_link(path)}
        memory.add("files", stamp, facts, _witnesses(libraries) | links)
    return facts


def _witnesses(libraries: Native) -> set[str]:
    """What decides which of the system's libraries are found: they, and where one could come to lie before them."""
    paths = [each.path for each in libraries.libraries if each.path]
    return {CACHE, *paths, *directories(os.uname().machine), *map(posixpath.dirname, paths)}


class Ahead:
    """The numeric probe, started before the environment is read where it is sure to be needed, so that it runs meanwhile: nothing is
    remembered of the environment. What it has not ended by the end of the block is killed.
    """

    def __init__(
        self, prefix: str | os.PathLike[str], variables: Mapping[str, str] | None, memory: Memory | None
    ) -> None:
        self._prefix = os.fspath(prefix)
        self._variables = variables
        self._stack = ExitStack()
        #: What is remembered of the environment, if anything is to be.
        self.memory = memory
        #: What `begin` started; None when nothing is to be started yet.
        self.probe: Fingerprinting | None = None

    def begin(self, python: str) -> None:
        """Start it in the environment of `python`."""
        if _runs(python, self._prefix) and not (self.memory is not None and self.memory.has("numeric")):
            from snapshot.facts.numeric import Fingerprinting

            self.probe = self._stack.enter_context(Fingerprinting(python, environ=self._variables))

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _numeric(
    found: Survey,
    layers: Sequence[Layer],
    facts: Facts,
    variables: Mapping[str, str] | None,
    memory: Memory | None,
    probe: Fingerprinting | None,
) -> Numeric | None:
    """The fingerprint; as remembered while all that has a say in it is as it was. Raises FingerprintError."""
    if not _runs(found.python, found.prefix):
        return None
    stamp = _stamp(found, layers, facts, variables or {})
    known = memory.find("numeric", stamp) if memory is not None else None
    if known is not None:
        return known.numeric
    from snapshot.facts.numeric import fingerprint

    numeric = probe.result() if probe is not None else fingerprint(found.python, environ=variables)
    if memory is not None:
        memory.add("numeric", stamp, Facts(numeric=numeric))
    return numeric


def _left_out(numeric: Numeric | None, layers: Sequence[Layer], findings: Iterable[Finding]) -> list[str]:
    """The distributions that the probe computed with, where they are, and that a capture with exclusions does not have."""
    if numeric is None or not any(each.kind == "excluded" for each in findings):
        return []
    used = {
        component for component, name, _ in numeric.backend if name != "status"
    }  # which says that it is not installed
    return sorted((used & _IMPORTED) - {layer.name for layer in layers})


def _runs(python: str, prefix: str) -> bool:
    """Whether the interpreter is the environment's own. With another one its packages would not be imported."""
    own = os.path.dirname(os.path.dirname(os.path.abspath(python)))
    return os.path.realpath(own) == os.path.realpath(prefix)


def _stamp(found: Survey, layers: Sequence[Layer], facts: Facts, values: Mapping[str, str]) -> str:
    """Covers what computes, what can change it at start-up, the machine with its libraries, and the variables that are known to
    matter: their values, for facts leave out what could be a secret. Only the digest is kept.
    """
    names = _COMPUTE | {hook.owner for hook in facts.startup or () if hook.code}
    computing = sorted(
        (layer.kind.value, layer.name, str(layer.parity))
        for layer in layers
        if layer.kind not in BESIDE and (layer.kind is not Kind.DISTRIBUTION or layer.name in names)
    )
    variables = facts.variables
    listed = (
        None if variables is None else [(each, values.get(each.name)) for each in variables.items if each.type != OTHER]
    )
    return _digest(computing, facts.host, facts.native, cores(), listed, found.python)
