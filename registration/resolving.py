"""What is to be deployed: a model version of MLflow's registry, or a snapshot by its own name, without any MLflow."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diffing.requirements import masked
from registration import tags
from registration.errors import RegistrationError
from registration.extra import need_mlflow
from snapshot.store import Store, UnknownSnapshotError

if TYPE_CHECKING:
    from snapshot.store import Reference

_SCHEME = "models:"


class NotDeployableError(RegistrationError, LookupError):
    """A model without a snapshot, or one whose snapshot is not at hand."""


@dataclass(frozen=True, slots=True)
class Target:
    """What `uri` means. `label` is how it is called: `NAME/VERSION`, or the snapshot's name."""

    uri: str
    label: str
    store: Store
    reference: Reference


def resolve(
    model_uri: str,
    store: Store | None = None,
    *,
    cache: str | os.PathLike[str] | None = None,
    tracking_uri: str | None = None,
) -> Target:
    """Find the snapshot of `models:/NAME/VERSION`, `models:/NAME@ALIAS`, or of a snapshot's own name or id.

    `store` None: the one that the model version's tags name, with `cache` as its cache. `tracking_uri` None: the one that MLflow uses.
    Raises NotDeployableError, MlflowError, and UnknownSnapshotError or AmbiguousSnapshotError for a snapshot's name.
    """
    if not model_uri.startswith(_SCHEME):
        if store is None:
            raise NotDeployableError(
                f"{masked(model_uri)} is no models:/ URI, so it is the name of a snapshot: say in which store (--store)"
            )
        found = store.resolve(model_uri)
        return Target(model_uri, found.name or found.snapshot.short, store, found)
    label, tagged = _version(model_uri, tracking_uri)
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
    return Target(model_uri, label, chosen, reference)


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


def _version(uri: str, tracking_uri: str | None) -> tuple[str, dict[str, str]]:
    """`NAME/VERSION`, and the tags of that model version."""
    need_mlflow()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.utils.models import get_model_name_and_version

    client: Any = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
    try:
        found = get_model_name_and_version(client, uri)
        if len(found) == 1:
            raise NotDeployableError(
                f"{uri} is a logged model, and only a registered one has an environment: give models:/NAME/VERSION"
            )
        name, version = found
        row = client.get_model_version(name, str(version))
    except (MlflowException, OSError) as error:
        said = (str(getattr(error, "message", None) or error).strip() or type(error).__name__).splitlines()[0]
        raise NotDeployableError(
            f"MLflow has no {masked(uri)}: {masked(said).rstrip('.')}; check the name and the tracking URI"
        ) from error
    return f"{name}/{version}", dict(row.tags)
