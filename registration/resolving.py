"""What is to be deployed: a model version of MLflow's registry, or a snapshot by its own name, without any MLflow."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffing.requirements import masked
from registration import tags
from registration.asking import NotDeployableError, ask, asking, is_here
from registration.errors import RegistrationError
from registration.naming import snapshot_name
from snapshot.errors import SnapshotError
from snapshot.store import Store, UnknownSnapshotError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registration.asking import ModelVersion
    from registration.events import Log
    from snapshot.store import Reference

__all__ = ["MistakenError", "NotDeployableError", "Resolution", "Target", "resolving"]

_SCHEME = "models:"
_VERSION = re.compile(r"models:/+(?P<name>[^/@]+)/(?P<version>[1-9][0-9]*)\Z")


class MistakenError(RegistrationError, LookupError):
    """A guess that was wrong: the registry says that another snapshot is meant, or the same one in another store."""


@dataclass(frozen=True, slots=True)
class Target:
    """What `uri` means. `label` is how it is called: `NAME/VERSION`, or the snapshot's name."""

    uri: str
    label: str
    store: Store
    reference: Reference


class Resolution:
    """What a URI means. What it says for certain is asked for with `settle`; `guess` is there at once, where there is one."""

    def __init__(self, find: Callable[[], Target], guess: Target | None = None) -> None:
        self.guess = guess
        self._find = find
        self._found: Target | None = None

    def settle(self, log: Log) -> Target:
        """Wait for the answer: a step of the log. Raises NotDeployableError, MlflowError, and what a store raises for a name it does not have."""
        if self._found is None:
            with log.step("resolve") as step:
                self._found = self._find()
                how = "" if self.guess is None else "in parallel: "
                step.detail = f"{how}{self._found.label} is {self._found.reference.snapshot.short}"
        return self._found

    def means(self, target: Target) -> bool:
        """Whether it is certain already that `target` is meant."""
        found = self._found
        return (
            found is not None
            and found.reference.snapshot == target.reference.snapshot
            and (found.store is target.store or _same(str(found.store), str(target.store)))
        )

    @contextmanager
    def confirming(self, target: Target, log: Log) -> Iterator[None]:
        """What is done in this block, or fails, counts only if `target` is meant: in the end that is certain.

        Raises MistakenError where it is not, and what `settle` raises.
        """
        try:
            yield
        except Exception:  # whatever failed: where `target` was a mistake, that is what has to be said
            self._confirm(target, log)
            raise
        self._confirm(target, log)

    def _confirm(self, target: Target, log: Log) -> None:
        self.settle(log)
        if not self.means(target):
            raise MistakenError(f"{target.label} of {target.store} is not the snapshot that the registry means")


@contextmanager
def resolving(
    model_uri: str,
    store: Store | None = None,
    *,
    cache: str | os.PathLike[str] | None = None,
    tracking_uri: str | None = None,
    nearby: Store | None = None,
) -> Iterator[Resolution]:
    """Find the snapshot of `models:/NAME/VERSION`, `models:/NAME@ALIAS`, or of a snapshot's own name or id.

    `store` None: the one that the model version's tags name, with `cache` as its cache. `tracking_uri` None: the one that MLflow uses.
    Where MLflow has to be imported first, it is asked while the caller works with the guess: the snapshot called NAME/VERSION in `store` or
    else in `nearby`.
    Raises NotDeployableError, MlflowError, and UnknownSnapshotError or AmbiguousSnapshotError for a snapshot's name.
    """
    if not model_uri.startswith(_SCHEME):
        yield Resolution(lambda: _named(model_uri, store))
        return
    if is_here():
        yield Resolution(lambda: _registered(model_uri, ask(model_uri, tracking_uri), store, cache))
        return
    with asking(model_uri, tracking_uri) as answer:
        guess = _guess(model_uri, nearby if store is None else store)
        yield Resolution(lambda: _registered(model_uri, answer(), store, cache), guess)


def _named(name: str, store: Store | None) -> Target:
    if ":/" in name:  # no snapshot is called that
        raise NotDeployableError(
            f"{masked(name)} is no registered model: give models:/NAME/VERSION or models:/NAME@ALIAS"
        )
    if store is None:
        raise NotDeployableError(
            f"{masked(name)} is no models:/ URI, so it is the name of a snapshot: say in which store (--store)"
        )
    found = store.resolve(name)
    return Target(name, found.name or found.snapshot.short, store, found)


def _guess(uri: str, store: Store | None) -> Target | None:
    """The snapshot that a registration of this version would have made. Whatever keeps from finding it, there is just no guess."""
    said = _VERSION.match(uri)
    if said is None or store is None:
        return None
    try:
        name = snapshot_name(said["name"], said["version"])
        found = store.resolve(name)
    except (SnapshotError, OSError):
        return None
    return Target(uri, f"{said['name']}/{said['version']}", store, found) if found.name == name else None


def _registered(uri: str, version: ModelVersion, store: Store | None, cache: str | os.PathLike[str] | None) -> Target:
    """The target that the tags of a model version name."""
    label, tagged = version.label, version.tags
    snapshot = tagged.get(tags.SNAPSHOT)
    if not snapshot:
        raise NotDeployableError(
            f"{label} was registered without its environment (it has no tag {tags.SNAPSHOT}); register it with env_pack"
        )
    chosen = store or _tagged_store(label, tagged, cache)
    try:
        reference = chosen.resolve(snapshot)
    except UnknownSnapshotError as error:
        raise NotDeployableError(
            f"the snapshot of {label} ({snapshot[:19]}) is not in {chosen}; give the store that has it (--store), or copy it "
            "there"
        ) from error
    _compare(label, chosen, reference, tagged.get(tags.PARITY_ROOT))
    return Target(uri, label, chosen, reference)


def _tagged_store(label: str, tagged: dict[str, str], cache: str | os.PathLike[str] | None) -> Store:
    path = tagged.get(tags.STORE, "")
    if not path or not os.path.isdir(path):
        raise NotDeployableError(
            f"{label} says that its snapshot is in the store {path or '(none)'}, which is not on this host; give the store "
            "that has it (--store)"
        )
    return Store(path, cache=cache)


def _compare(label: str, store: Store, reference: Reference, parity_root: str | None) -> None:
    found = store.snapshot(reference).parity_root
    if parity_root and parity_root != found:
        raise NotDeployableError(
            f"{label} has the parity root {parity_root[:19]} in its tags, and its snapshot has {found.short}; "
            "somebody has changed the tags: register it again"
        )


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
