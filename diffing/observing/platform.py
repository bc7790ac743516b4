"""The machine and its system: architecture, C library, kernel, processor, driver."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from diffing.observation import Observation
from diffing.verdict import Level

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from diffing.observing.sides import Sides
    from snapshot.facts.model import Facts

#: The C library that a tag of old promises (PEP 513, 571, 599).
_LEGACY = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_TAG = re.compile(r"manylinux_(\d+)_(\d+)_|(manylinux1|manylinux2010|manylinux2014)_")
_NUMBERS = re.compile(r"(\d+)\.(\d+)")


def observe_platform(sides: Sides) -> Iterator[Observation]:
    train, serve = sides.interpreters
    if train.platform != serve.platform:
        yield _plain("platform-machine", "platform", train.platform, serve.platform)
    one, two = sides.train.facts.host, sides.serve.facts.host
    if one is None or two is None:
        return
    if one.machine != two.machine and train.platform == serve.platform:
        yield _plain("platform-machine", "platform", one.machine, two.machine)
    if one.libc != two.libc:
        yield _plain("platform-libc", "libc", f"{one.libc} {one.libc_version}", f"{two.libc} {two.libc_version}")
    elif one.libc_version != two.libc_version:
        below = _below(sides.train.facts, one.libc_version, two.libc_version)
        yield _plain("platform-libc-version", one.libc, one.libc_version, two.libc_version, below_floor=below)
    if one.system != two.system:
        yield _plain("platform-system", "system", one.system, two.system)
    if one.kernel != two.kernel:
        yield _plain("platform-kernel", "kernel", one.kernel, two.kernel)
    if one.cpu != two.cpu:
        measured = sides.train.facts.numeric is not None and sides.serve.facts.numeric is not None
        yield _plain("platform-cpu", "cpu", one.cpu, two.cpu, measured="yes" if measured else "no")
    if one.gpu_driver != two.gpu_driver:
        yield _plain("gpu-driver", "gpu-driver", one.gpu_driver or None, two.gpu_driver or None)


def _plain(kind: str, subject: str, train: str | None, serve: str | None, **attributes: str) -> Observation:
    return Observation(kind, Level.PLATFORM, subject, train=train, serve=serve, attributes=attributes)


def _version(text: str) -> tuple[int, int] | None:
    match = _NUMBERS.match(text)
    return (int(match[1]), int(match[2])) if match else None


def _floor(facts: Facts) -> tuple[int, int] | None:
    """The oldest C library that an environment is known to need: by its files, and by its wheels' tags (PEP 600)."""
    floors = [_of_tags(row.tags) for row in facts.distributions or ()]
    floors.append(_version(facts.native.floor) if facts.native is not None else None)
    return max((floor for floor in floors if floor is not None), default=None)


def _of_tags(tags: Iterable[str]) -> tuple[int, int] | None:
    """A wheel with several tags runs wherever one of them is satisfied."""
    found = [
        (int(match[1]), int(match[2])) if match[1] else _LEGACY[match[3]]
        for tag in tags
        for match in _TAG.finditer(tag)
    ]
    return min(found, default=None)


def _below(train: Facts, trained_on: str, served_on: str) -> str:
    """Whether that C library is older than what the environment needs: `yes`, `no`, or `unknown` when it is only known to be older
    than the one in training.
    """
    there, before = _version(served_on), _version(trained_on)
    floor = _floor(train)
    if there is None or before is None:
        return "unknown"
    if floor is not None and there < floor:
        return "yes"
    return "unknown" if train.native is None and there < before else "no"
