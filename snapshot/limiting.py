"""How much a snapshot, and all versions of a name together, may weigh: checked before anything is published."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from snapshot.budgeting import together
from snapshot.digest import Descriptor
from snapshot.documents import digest_of
from snapshot.errors import SnapshotError
from snapshot.excluding import DISTRIBUTION
from snapshot.model import Kind
from snapshot.requiring import required, requires_of_directory
from snapshot.saving import Weighed, savings
from snapshot.sizing import Version, family, members, version, versions_of, weigh
from snapshot.store.manifest import CONFIG_TYPE, decode_manifest, encode_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from snapshot.digest import Digest
    from snapshot.model import Snapshot
    from snapshot.plan import Survey
    from snapshot.requiring import Required
    from snapshot.saving import Saving
    from snapshot.sizing import NameSizes, SnapshotSizes
    from snapshot.store.store import Store

#: What a capture allows unless it is told otherwise, in bytes.
SIZE_LIMIT = 1_000_000_000
BUDGET = 1_000_000_000

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Excess:
    """What is too large. `sizes` is the snapshot that was not published; `versions` has it as the last of its name's
    versions, or is None when the budget was kept. Limits in bytes; `problems` are sentences.
    """

    sizes: SnapshotSizes
    size_limit: int
    versions: NameSizes | None
    budget: int
    problems: tuple[str, ...]


def _argument(patterns: Sequence[str]) -> str:
    return f"exclude={list(patterns)}"


@dataclass(frozen=True, slots=True)
class Spelling:
    """How whoever reads of an excess can do what it advises: by default, with the arguments of `snapshot.capture`.

    `without` has what leaves a whole kind of layers out, by `Saving.what`, and `whole` what stores no deltas: nothing is said
    of what is not there. `exclude` makes one of patterns.
    """

    without: Mapping[str, str] = field(
        default_factory=lambda: {"bytecode": 'bytecode="drop"', "interpreter": "interpreter=False"}
    )
    whole: str | None = "deltas=False"
    exclude: Callable[[Sequence[str]], str] = _argument
    size_limit: str = "size_limit"
    budget: str = "budget"

    def of(self, saving: Saving) -> str | None:
        """What leaves it out."""
        return self.exclude(saving.exclude) if saving.exclude else self.without.get(saving.what)


class _TooLargeError(SnapshotError, ValueError):
    def __init__(self, excess: Excess, spelling: Spelling = Spelling()) -> None:
        super().__init__(explain(excess, spelling))
        self.excess = excess


class SizeLimitError(_TooLargeError):
    """The snapshot would be larger than allowed; nothing was published. `excess` has the figures."""


class BudgetError(_TooLargeError):
    """All versions of the name would be larger than allowed; nothing was published. `excess` has the figures."""


class SizeLimitAndBudgetError(SizeLimitError, BudgetError):
    """Both."""


def check(
    found: Survey,
    store: Store,
    snapshot: Snapshot,
    config: bytes,
    content: Mapping[Digest, Descriptor],
    name: str | None,
    *,
    size_limit: int,
    budget: int,
) -> None:
    """Raise SizeLimitError, BudgetError or one that is both, if `snapshot` must not be published under `name`.

    `size_limit` bounds what an empty node must fetch; `budget` all that the versions of the name have in the store, this
    one included, each blob once. Without a name there is no budget.
    """
    described = Descriptor(CONFIG_TYPE, digest_of(config), len(config))
    encoded = encode_manifest(described, content)
    manifest = decode_manifest(encoded)
    new = Version(name or "", "", digest_of(encoded), manifest, snapshot)
    over = manifest.packed_bytes > size_limit
    total = 0 if name is None else together(store, name, new, budget)
    if not over and total <= budget:
        return
    problems = []
    if over:
        problems.append(
            f"the snapshot would have {_amount(manifest.packed_bytes)} packed, over the limit of {_amount(size_limit)}"
        )
    versions = None
    if name is not None and total > budget:
        problems.append(
            f"all versions of {family(name)} would have {_amount(total)}, over the budget of {_amount(budget)}"
        )
        stamped = Version(name, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), new.digest, manifest, snapshot)
        versions = versions_of(family(name), [*_others(store, name), stamped])
    could = savings(snapshot, _weighed(found, snapshot, manifest.content), _requirements(found, snapshot))
    excess = Excess(weigh(name, snapshot, manifest, could), size_limit, versions, budget, tuple(problems))
    kind = SizeLimitAndBudgetError if over and versions else SizeLimitError if over else BudgetError
    raise kind(excess)


def _others(store: Store, name: str) -> list[Version]:
    """The versions that stay: the name itself moves to the new snapshot."""
    found = []
    for reference in members(family(name), store):
        if reference.name != name:
            # One that cannot be read does not stop a capture: `check` says what is wrong with it.
            with suppress(SnapshotError):
                found.append(version(store, reference))
    return found


def _weighed(found: Survey, snapshot: Snapshot, content: Mapping[Digest, Descriptor]) -> list[Weighed]:
    """The layers with the files of their plans: the trees of a snapshot that is not published cannot be read."""
    files: dict[tuple[Kind, str, str | None, str], list[tuple[str, int]]] = {}
    for plan in found.plans:
        rows = files.setdefault((plan.kind, plan.name, plan.version, plan.mount), [])
        rows += [(item.path, item.found.stat.st_size) for item in plan.items if item.found.is_file]
    return [
        Weighed(layer, content[layer.diff_id].size, files.get((layer.kind, layer.name, layer.version, layer.mount), ()))
        for layer in snapshot.layers
    ]


def _requirements(found: Survey, snapshot: Snapshot) -> dict[str, Required] | None:
    """What each distribution requires. None unless that is known of all: then nothing can be said of any."""
    directories: dict[str, bytes] = {}
    for plan in found.plans:
        if plan.kind is Kind.DISTRIBUTION:
            for item in plan.items:
                if item.path.endswith((".dist-info/METADATA", ".egg-info/PKG-INFO")):
                    directories[plan.name] = os.path.dirname(plan.location(item))
    if directories.keys() != {layer.name for layer in snapshot.distributions}:
        return None
    return {
        name: required(requires_of_directory(directory), snapshot.interpreter)
        for name, directory in directories.items()
    }


def _amount(size: int) -> str:
    """Bytes in a message: `158.1 MB`."""
    if size < 1_000_000:
        return f"{size / 1e3:,.1f} kB"
    return f"{size / 1e6:,.1f} MB"


def explain(excess: Excess, spelling: Spelling) -> str:
    """All of it in one line: the problems, what is large, what grew, and what can be done."""
    parts = [f"{', and '.join(excess.problems)}; nothing was stored"]
    layers = [f"{row.layer.label} {_amount(row.packed_bytes)}" for row in excess.sizes.layers[:_SHOWN]]
    parts.append(f"Largest: {', '.join(layers)}")
    if excess.versions is not None and excess.versions.growth:
        grown = [f"{one.name} {_amount(one.added_bytes)}" for one in excess.versions.growth[:_SHOWN]]
        parts.append(f"Changed most between versions: {', '.join(grown)}")
    remedies = "; ".join(_remedies(excess, spelling))
    over = [spelling.size_limit] if excess.sizes.packed_bytes > excess.size_limit else []
    raised = " and ".join([*over, *([spelling.budget] if excess.versions is not None else [])])
    parts.append(f"To make it smaller: {remedies}; or raise {raised}" if remedies else f"Raise {raised}")
    return ". ".join(parts)


def _remedies(excess: Excess, spelling: Spelling) -> Sequence[str]:
    """What can be done, a phrase each."""
    savings = [(one, spelling.of(one)) for one in excess.sizes.savings]
    said = [f"{how} saves about {_amount(one.packed_bytes)}" for one, how in savings if how and one.kind != "leaf"]
    leaves = [f"{one.what} {_amount(one.packed_bytes)}" for one, _ in savings if one.kind == "leaf"]
    if leaves:
        how = spelling.exclude([f"{DISTRIBUTION}NAME"])
        said.append(
            f"{how} for what is not used, of what nothing else in the environment requires: {', '.join(leaves[:_SHOWN])}"
        )
    over = excess.sizes.packed_bytes > excess.size_limit
    if excess.sizes.base_bytes and over and spelling.whole:
        bases = _amount(excess.sizes.base_bytes)
        said.append(f"{spelling.whole} stores whole layers and does without {bases} of bases")
    if excess.versions is not None:
        said.append("optimize the store, or remove versions that are not needed any more")
    return said
