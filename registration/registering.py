"""Register a model with the environment it was trained in: everything is checked and captured before MLflow hears of a new version.

Nothing half done: until there is a version the snapshot has a name of its own, which is taken back if anything fails.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
import sysconfig
import tempfile
import warnings
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from diffing.requirements import masked
from registration.eligibility import check, current_runtime, vet
from registration.env_pack import normalise, spelled
from registration.errors import RegistrationError
from registration.extra import conceal, need_mlflow
from registration.importing import Loading
from registration.locking import begin, prepare
from registration.models import fetch
from registration.naming import snapshot_name
from registration.pending import forget, forget_killed
from registration.surroundings import surroundings
from registration.variables import of_training, shown
from snapshot.errors import SnapshotError
from snapshot.pending import pending_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from registration.env_pack import EnvPack
    from registration.mlmodel import LocalModel
    from snapshot import Captured
    from snapshot.store import Store

    #: MLflow's ModelVersion; its type is not known without MLflow.
    ModelVersion: TypeAlias = Any
    #: Gets a line whenever something begins that takes longer than a moment.
    Said: TypeAlias = Callable[[str], None]
    #: Creates a version as `mlflow.register_model` does: model URI, name, keyword arguments.
    Create: TypeAlias = Callable[..., ModelVersion]

#: The notes of a registered snapshot: the lock of the model's requirements, and the modules that it imports.
LOCK = "requirements.lock"
MODULES = "modules.json"

#: Seconds that MLflow waits for a version to be ready; its own default.
AWAIT = 300

#: Versions of one model that may be registered at the same time: a new one is among so many newest.
_AT_ONCE = 16

_DOTTED = re.compile(r"[\w-]+(?:\.[\w-]+)*")


class RegistrationWarning(UserWarning):
    """A model that will be registered, and may not do what one expects of it."""


class RegisteredOtherwiseError(RegistrationError, RuntimeError):
    """MLflow created the version, but the store cannot name its snapshot: the version was deleted again."""


@dataclass(frozen=True, slots=True)
class _Packed:
    """A captured snapshot under its name for the time being."""

    captured: Captured
    name: str
    pending: str


def register_model(
    model_uri: str,
    name: str,
    *,
    tags: Mapping[str, Any] | None = None,
    env_pack: Any = None,
    store: Store | None = None,
    size_limit: int | None = None,
    budget: int | None = None,
    variables: Mapping[str, str] | None = None,
    await_registration_for: int | None = AWAIT,
    said: Said | None = None,
) -> ModelVersion:
    """Register the model at `model_uri` as a new version of `name`, with the environment of this process packed and staged.

    `model_uri` and `tags` as for `mlflow.register_model`; `env_pack` as `env_pack.normalise` takes it. `store` is where the snapshot goes
    (default: that of the `envparity` command, in the user's data directory). `size_limit` (packed bytes of the snapshot) and `budget` (bytes of all versions of `name`
    in the store) win over those of `env_pack`. `variables` are those of the process that trains, for the parity report (default: those of this process; what is
    kept of them is no secret, see `snapshot.facts.variables`). `await_registration_for` in seconds. `said` gets a line for each step.

    The version has tags that say which snapshot it is (`envparity.snapshot`, `envparity.parity_root`, `envparity.store`, …). Raises
    NotEligibleError with all that stands against it, LockError, LoadError, FetchError, SizeLimitError, BudgetError and other
    RegistrationError and SnapshotError; then there is no new version, and nothing of it in the store. A registered model that MLflow made
    for a version that it then refused stays, empty: to delete it could take the version that somebody else registers at that moment.
    """
    from registration.enabling import original

    need_mlflow()
    pack = normalise(env_pack)
    pack = replace(
        pack,
        size_limit=pack.size_limit if size_limit is None else size_limit,
        budget=pack.budget if budget is None else budget,
    )
    return register(
        original(),
        model_uri,
        name,
        pack,
        store or default_store(),
        tags=tags,
        variables=variables,
        await_registration_for=await_registration_for,
        said=said,
    )


def register(
    create: Create,
    model_uri: str,
    name: str,
    pack: EnvPack,
    store: Store,
    *,
    tags: Mapping[str, Any] | None,
    variables: Mapping[str, str] | None,
    await_registration_for: int | None,
    said: Said | None,
) -> ModelVersion:
    """The same, with everything given. `create` is MLflow's own function."""
    variables = dict(os.environ if variables is None else variables)  # like the command: this is where users come in
    with tempfile.TemporaryDirectory(prefix="envparity-model-") as scratch:
        with Loading(sys.executable) as loading:  # it imports MLflow while the model is fetched
            model = fetch(model_uri, scratch)
            packed = _pack(model, name, pack, store, variables, said or (lambda _: None), loading)
        try:
            version = create(
                model_uri if model_uri.startswith("runs:") else model.source,  # an alias may have moved; a run is noted
                name,
                await_registration_for=await_registration_for,
                tags={**(tags or {}), **_tags(packed, store)},
            )
        except BaseException as error:  # Control-C too
            conceal(error)
            _withdraw(name, packed, store)
            raise
    _settle(version, packed, store)
    return version


def default_store() -> Store:
    """The store of the `envparity` command, when nothing else is said."""
    from registration.invocation import Invocation

    return Invocation().store


def _pack(
    model: LocalModel,
    name: str,
    pack: EnvPack,
    store: Store,
    variables: Mapping[str, str],
    said: Said,
    loading: Loading,
) -> _Packed:
    """Everything before MLflow is asked for a version: checks first, then all the rest at once."""
    import snapshot

    mlflow = need_mlflow()
    here = surroundings(sys.executable)
    check(model, name, here, pack, registry_uri=mlflow.get_registry_uri(), runtime=current_runtime())
    forget_killed(store, snapshot_name(name))
    pending = pending_name(snapshot_name(name))
    with ExitStack() as stack:
        stack.push(_taken_back(store, pending))
        lock = None
        if pack.install_dependencies and model.requirements is not None:
            previous = _last_lock(store, name)
            lock = begin(model.requirements, here, stack, previous=previous, said=said)
            if lock is None:
                loading.stop()  # it has seen the environment as it was
                prepared = prepare(
                    model.requirements, here, previous=previous, vet=lambda new: vet(new, pack), said=said
                )
                here, lock = prepared.here, lambda: prepared.lock
                loading = stack.enter_context(Loading(here.python))
        said("loading the model, to see what it imports")
        loading.load(model)
        said(f"capturing {here.prefix}")
        with spelled():
            captured = snapshot.capture(
                here.prefix,
                store,
                python=here.python,
                name=pending,
                size_limit=pack.size_limit,
                budget=pack.budget,
                exclude=pack.exclude,
                fingerprint=pack.fingerprint,
                model=model.path,
                # What follows is still being found out.
                variables=lambda: of_training(variables, loading.result().variables),
                imports=lambda: _modules(loading),
                notes=lambda: _notes(model, loading, lock),
            )
        problem = loading.result().problem
        if problem:  # it may be meant for another way of serving; whoever does not expect that has to hear of it
            warnings.warn(
                f"{masked(model.source)} will be registered, but {problem}", RegistrationWarning, stacklevel=_caller()
            )
    return _Packed(captured, snapshot_name(name), pending)


def _taken_back(store: Store, pending: str) -> Callable[..., None]:
    """For the end of a block: after an error, Control-C too, the store does not have `pending`, however far the capture came."""

    def close(kind: type[BaseException] | None, _: object, __: object) -> None:
        if kind is not None:
            # The error that is on its way says more than one about this; and the next registration takes it away.
            with suppress(SnapshotError):
                forget(store, pending)

    return close


def _caller() -> int:
    """The `stacklevel` of whoever registers, for a warning of the function that asks: the first that is neither ours nor MLflow's."""
    level, frame = 1, inspect.currentframe()
    frame = frame.f_back if frame is not None else None
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in {"registration", "mlflow"}:
        level, frame = level + 1, frame.f_back
    return level


def _modules(loading: Loading) -> list[str]:
    return sorted(name for name in loading.result().names if _DOTTED.fullmatch(name))  # some programs make up others


def _notes(model: LocalModel, loading: Loading, lock: Callable[[], bytes] | None) -> dict[str, bytes]:
    said = {
        "schema": 1,
        "modules": _modules(loading),
        "pickled": _pickled(model.path),
        "sets": shown(loading.result().variables),
    }
    notes = {MODULES: json.dumps(said, indent=1, sort_keys=True).encode()}
    return notes if lock is None else {**notes, LOCK: lock()}


def _pickled(model: str) -> list[str]:
    """The modules that pickles of the model name: what changes in these may make it impossible to load."""
    from diffing.usage import read_model

    return sorted(
        {use.module for use in read_model(model).uses if use.how == "pickle" and _DOTTED.fullmatch(use.module)}
    )


def _last_lock(store: Store, name: str) -> bytes | None:
    """The lock of the version before, whose hashes need not be asked for again: they are those of what its Python can install."""
    from snapshot.trees import read_note

    try:
        python = store.snapshot(snapshot_name(name)).interpreter
        if (python.soabi, python.platform) != (sysconfig.get_config_var("SOABI") or "", sysconfig.get_platform()):
            return None
        return read_note(store, snapshot_name(name), LOCK)
    except SnapshotError:
        return (
            None  # there is none, or it cannot be read: then the index is asked, and `check` says what is wrong with it
        )


def _tags(packed: _Packed, store: Store) -> dict[str, str]:
    from registration import tags
    from snapshot.version import version

    return {
        tags.SNAPSHOT: packed.captured.snapshot,
        tags.PARITY_ROOT: packed.captured.parity_root,
        tags.STORE: str(store.backend),
        tags.NAME: packed.name,
        tags.VERSION: version(),
        tags.REGISTRATION: packed.pending.rpartition("/")[2],
    }


def _withdraw(name: str, packed: _Packed, store: Store) -> None:
    """After an error of MLflow's: no version, so no snapshot. It may have made the version all the same, and then failed to wait for it or to say so."""
    from registration import tags

    quote = '"' if "'" in name else "'"
    try:
        client = need_mlflow().MlflowClient()
        mine = packed.pending.rpartition("/")[2]
        found = sorted(int(each.version) for each in client.search_model_versions(f"name = {quote}{name}{quote}"))
        for number in found[-_AT_ONCE:]:
            # Asked for one by one: what a search in Unity Catalog finds has no tags.
            if client.get_model_version(name, str(number)).tags.get(tags.REGISTRATION) == mine:
                client.delete_model_version(name, str(number))
    except Exception as error:  # noqa: BLE001 - whatever it is: the version may be there, and its snapshot must stay
        conceal(error)
        with suppress(RegistrationWarning):  # where warnings are errors, the error that is on its way comes first
            warnings.warn(
                f"whether MLflow made a version of {name} all the same cannot be seen ({error}); its snapshot is kept in {store} as "
                f"{packed.pending}: look for the version, and delete it before registering again",
                RegistrationWarning,
                stacklevel=_caller(),
            )
        return
    forget(store, packed.pending)


def _settle(version: ModelVersion, packed: _Packed, store: Store) -> None:
    """Give the snapshot the version's name, and take the one for the time being away; or take everything back."""
    name, final = snapshot_name(version.name), snapshot_name(version.name, version.version)
    try:
        taken = {each.name: each.snapshot for each in store.references()}.get(final)
        if taken not in (None, packed.captured.snapshot):
            raise RegisteredOtherwiseError(
                f"{store.backend} has another {final}, and the new version was deleted again: if it is of another registry, give each a "
                f"store of its own; if it is of a model that was deleted, envparity remove {final} (or retain {name}) makes room"
            )
        store.tag(packed.pending, final)
    except BaseException:  # Control-C too: a version without a snapshot is none
        try:
            need_mlflow().MlflowClient().delete_model_version(version.name, str(version.version))
        except Exception as error:
            conceal(error)
            raise
        finally:  # even where MLflow cannot be reached any more
            forget(store, packed.pending)
        raise
    forget(store, packed.pending)
