"""What a snapshot could do without, and about how much that saves. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from posixpath import join
from typing import TYPE_CHECKING, Literal

from snapshot.excluding import DISTRIBUTION, Matcher
from snapshot.model import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from snapshot.model import Layer, Snapshot
    from snapshot.requiring import Required

#: Files that are there for people and compilers, not for programs that import the package.
_FILES = (
    ("tests", ("*/tests/*", "*/test/*")),
    ("web assets", ("*/static/*", "*.map")),
    ("type stubs", ("*.pyi",)),
    ("headers, static libs", ("*/include/*", "*.a")),
)

#: Distributions that build, install, check and test others.
_TOOLS = frozenset(
    [
        "black",
        "build",
        "coverage",
        "cython",
        "flake8",
        "flit",
        "flit-core",
        "hatch",
        "hatchling",
        "hypothesis",
        "isort",
        "meson",
        "meson-python",
        "mypy",
        "ninja",
        "nox",
        "pdm",
        "pip",
        "pip-tools",
        "pipenv",
        "poetry",
        "poetry-core",
        "pre-commit",
        "pybind11",
        "pylint",
        "pyright",
        "pytest",
        "pytest-cov",
        "pytest-xdist",
        "ruff",
        "scikit-build-core",
        "setuptools",
        "setuptools-scm",
        "sphinx",
        "tox",
        "twine",
        "uv",
        "versioneer",
        "virtualenv",
        "wheel",
    ]
)

#: Less than this share of a snapshot is not worth a line.
_WORTH = 1 / 1000


@dataclass(frozen=True, slots=True)
class Weighed:
    """A layer with the size of its blob (bytes) and its files: path below the layer's mount, size in bytes."""

    layer: Layer
    packed_bytes: int
    files: Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Saving:
    """One way to make a snapshot smaller. `exclude` are the patterns for it; `packed_bytes` is about what it saves.

    `kind`: `files` of many distributions, whole `layers` (`what` is `bytecode` or `interpreter`: no pattern is for these), a `tool` that nothing needs to run, or a `leaf`: a distribution
    that nothing else in the environment requires, which may be the very one that the environment is for.
    """

    kind: Literal["files", "layers", "tool", "leaf"]
    what: str
    exclude: tuple[str, ...]
    packed_bytes: int


def savings(
    snapshot: Snapshot, weighed: Sequence[Weighed], requires: Mapping[str, Required] | None
) -> tuple[Saving, ...]:
    """What could be left out of `snapshot`, the largest first in each kind.

    `requires` has what each distribution needs; None when that is not known: then nothing is said of distributions.
    """
    total = sum(item.packed_bytes for item in weighed)
    found = [*_layers(snapshot, weighed), *_files(weighed), *_distributions(snapshot, weighed, requires)]
    order = ("layers", "files", "tool", "leaf")
    worth = [each for each in found if each.packed_bytes and each.packed_bytes >= total * _WORTH]
    return tuple(sorted(worth, key=lambda each: (order.index(each.kind), -each.packed_bytes, each.what)))


def _layers(snapshot: Snapshot, weighed: Sequence[Weighed]) -> list[Saving]:
    compiled = sum(item.packed_bytes for item in weighed if item.layer.kind is Kind.BYTECODE)
    found = [Saving("layers", "bytecode", (), compiled)]
    environment = snapshot.environment
    if environment.kind == "venv" and not environment.system_site_packages:
        # The interpreter's bytecode goes with it.
        own = [item for item in weighed if item.layer.name == Kind.INTERPRETER.value]
        packed = sum(item.packed_bytes for item in own if item.layer.kind in (Kind.INTERPRETER, Kind.BYTECODE))
        found.append(Saving("layers", "interpreter", (), packed))
    return found


def _files(weighed: Sequence[Weighed]) -> list[Saving]:
    """Where files share a layer with others, their part of its blob is estimated by their part of its bytes."""
    matchers = {pattern: Matcher([pattern]) for _, patterns in _FILES for pattern in patterns}
    any_of = Matcher(matchers)
    shares: dict[str, float] = dict.fromkeys(matchers, 0.0)
    for item in weighed:
        if item.layer.kind in (Kind.INTERPRETER, Kind.ENVIRONMENT, Kind.MODEL):
            continue  # never excluded
        per_byte = item.packed_bytes / max(1, sum(size for _, size in item.files))
        for path, size in item.files:
            full = join(item.layer.mount, path)
            if any_of(full) and not _in_metadata(path):
                # The first pattern that matches: what several match is saved once.
                first = next(pattern for pattern, matches in matchers.items() if matches(full))
                shares[first] += size * per_byte
    found = []
    for what, patterns in _FILES:
        used = tuple(pattern for pattern in patterns if shares[pattern] >= 1)
        found.append(Saving("files", what, used, round(sum(shares[pattern] for pattern in used))))
    return found


def _in_metadata(path: str) -> bool:
    return ".dist-info/" in path or ".egg-info/" in path


def _distributions(
    snapshot: Snapshot, weighed: Sequence[Weighed], requires: Mapping[str, Required] | None
) -> list[Saving]:
    if requires is None:
        return []
    found = []
    names = {layer.name for layer in snapshot.distributions}
    for name in names:
        others = [needs for other, needs in requires.items() if other != name]
        if name in _TOOLS:
            # Many name their tools in an extra for developers, and tools need each other: neither makes them needed here.
            needed = any(
                name in needs.always for other, needs in requires.items() if other != name and other not in _TOOLS
            )
        else:
            needed = any(name in needs.ever for needs in others)
        if not needed:
            own = sum(
                item.packed_bytes
                for item in weighed
                if item.layer.name == name and item.layer.kind in (Kind.DISTRIBUTION, Kind.BYTECODE)
            )
            found.append(Saving("tool" if name in _TOOLS else "leaf", name, (DISTRIBUTION + name,), own))
    return found
