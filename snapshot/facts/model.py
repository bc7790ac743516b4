"""Facts as frozen values: what is known of an environment beyond its files. No I/O.

Paths are those of a restored environment, relative to its prefix (`lib/python3.11/site-packages/…`, `.envparity/python/…` for the
base); what lies outside is absolute. `owner` is the normalised name of a distribution, `python` for the interpreter's own files, or
empty for files that nobody owns. Tuples are sorted, so that equal facts have equal documents.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

#: The owner of the interpreter's own files.
PYTHON = "python"


@dataclass(frozen=True, slots=True)
class Build:
    """How the interpreter was built: `sys.version`'s build and compiler, and build settings by name (`Py_DEBUG`, …)."""

    build: str
    compiler: str
    settings: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Host:
    """The machine that the environment was captured on. `libc` is `glibc` or `musl`; `system` is os-release's ID and VERSION_ID.

    `gpu_driver` is the version of a kernel driver, empty where there is none.
    """

    machine: str
    libc: str
    libc_version: str
    system: str
    kernel: str
    cpu: str
    gpu_driver: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where a distribution came from (PEP 610 direct_url.json), without secrets. `commit` for a VCS, `digest` for an archive."""

    url: str
    vcs: str = ""
    commit: str = ""
    digest: str = ""
    editable: bool = False


@dataclass(frozen=True, slots=True)
class DistributionFacts:
    """What a distribution's metadata says. `metadata` is the path of its metadata directory.

    `tags` are those of WHEEL (PEP 425), `requires` the lines of Requires-Dist, `entry_points` rows of group, name and value.
    `record`: whether there is a RECORD with digests. `modified` and `missing`: files that disagree with it, and that it lists
    and that are not there. `disputed`: files that other distributions list too, with other content.
    """

    name: str
    version: str
    metadata: str
    tags: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    entry_points: tuple[tuple[str, str, str], ...] = ()
    source: Source | None = None
    record: bool = False
    modified: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    disputed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StartupHook:
    """A file that Python runs or reads at every start. `kind` is `pth`, `sitecustomize` or `usercustomize`.

    `code` says whether it executes anything: a `.pth` with nothing but paths does not.
    """

    path: str
    kind: str
    code: bool
    owner: str


@dataclass(frozen=True, slots=True)
class Module:
    """What an import of `name` finds. `name` is a top-level module, or one step below a namespace package (`google.protobuf`).

    `hidden` are the paths that it would find if that were not there: it shadows them.
    """

    name: str
    path: str
    owner: str
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SystemLibrary:
    """A shared library that the environment takes from the system. `path` is empty where the loader would not find it.

    `version` is what the real file's name says (`libstdc++.so.6.0.30` → `6.0.30`), `build_id` its GNU build id in hexadecimal;
    `needed_by` the owners of the files that need it.
    """

    soname: str
    path: str
    version: str
    build_id: str
    needed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Native:
    """Native code. `floor` is the newest glibc symbol version that any file of the environment needs (`2.34`), `floor_by` that file."""

    libraries: tuple[SystemLibrary, ...]
    floor: str = ""
    floor_by: str = ""


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable. `type` says how it counts (see `snapshot.facts.variables`); `other` is any that is not listed there.

    `value` is there for listed ones alone, and only when it looks as its type says; of all others there is a keyed `digest`, or nothing
    where no key was at hand.
    """

    name: str
    type: str
    value: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Variables:
    """The variables of a process. `key` names the key of the digests: digests of two keys cannot be compared."""

    items: tuple[Variable, ...]
    key: str = ""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One operation of the numeric fingerprint: `digest` over all results, `sample` some of them.

    `group` says what computes it: `libm`, `numpy`, `blas`, `lapack`, … A result in `sample` is the text of `float.hex`.
    """

    name: str
    group: str
    dtype: str
    digest: str
    sample: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Numeric:
    """The numeric fingerprint: what computes (`backend`: rows of component, property and value: `openblas`, `kernel`, `Haswell`), and
    what comes out.
    """

    backend: tuple[tuple[str, str, str], ...]
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it. None: not collected."""

    build: Build | None = None
    host: Host | None = None
    distributions: tuple[DistributionFacts, ...] | None = None
    startup: tuple[StartupHook, ...] | None = None
    search_path: tuple[str, ...] | None = None
    modules: tuple[Module, ...] | None = None
    native: Native | None = None
    variables: Variables | None = None
    numeric: Numeric | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of the aspects that were not collected."""
        return tuple(field.name for field in fields(self) if getattr(self, field.name) is None)
