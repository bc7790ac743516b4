"""Let MLflow's own `register_model(…, env_pack=…)` pack and stage environments with envparity, and take that back.

MLflow's function is one private function deep (`mlflow.tracking._model_registry.fluent._register_model`): that one is wrapped, whatever name it
was imported by. A call without `env_pack` goes through as it is.
"""

from __future__ import annotations

import functools
import inspect
import threading
from typing import TYPE_CHECKING, Any

from registration.env_pack import normalise
from registration.errors import RegistrationError
from registration.extra import need_mlflow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from snapshot.store import Store

#: What the wrapped function must take. Others have come since, and are passed on where nothing is packed.
_WANTED = ("model_uri", "name", "await_registration_for", "tags", "env_pack")
_ORIGINAL = "__envparity_original__"
_lock = threading.Lock()
#: What `enable` has put in the place of MLflow's function and nobody has taken back, the latest last.
_wrapped: list[Callable[..., Any]] = []


class UnknownMlflowError(RegistrationError, RuntimeError):
    """MLflow is built otherwise than this code expects."""


def _fluent() -> Any:
    need_mlflow()
    from mlflow.tracking._model_registry import fluent

    found = getattr(fluent, "_register_model", None)
    if found is None or any(name not in inspect.signature(found).parameters for name in _WANTED):
        import mlflow

        raise UnknownMlflowError(
            f"mlflow {mlflow.__version__} registers models otherwise than envparity knows; "
            "call registration.register_model instead, or install an mlflow that it knows (3.1 to 3.17)"
        )
    return fluent


def original() -> Callable[..., Any]:
    """MLflow's own function, whether `enable` was called or not. Raises UnknownMlflowError."""
    found = _fluent()._register_model  # noqa: SLF001 (there is no public one)
    return getattr(found, _ORIGINAL, found)  # type: ignore[no-any-return]


class Enabled:
    """What `enable` did. As a context manager it takes that back at the end of the block, and nothing else.

    Blocks of several threads may end in any order: what was enabled last, and was not taken back, holds.
    """

    def __init__(self, wrapper: Callable[..., Any]) -> None:
        self._wrapper = wrapper

    def __enter__(self) -> Enabled:
        return self

    def __exit__(self, *_: object) -> None:
        with _lock:
            if self._wrapper in _wrapped:  # `disable` may have been there before
                _wrapped.remove(self._wrapper)
                _fluent()._register_model = _wrapped[-1] if _wrapped else original()  # noqa: SLF001


def enable(
    *, store: Store | None = None, variables: Mapping[str, str] | None = None, said: Callable[[str], None] | None = None
) -> Enabled:
    """From now on `mlflow.register_model(…, env_pack=…)` in this process packs with envparity, into `store`.

    The parameters are those of `registering.register_model`. A second call replaces the first; `disable` ends it, or, for a while only:
    `with registration.enable(): …`. Raises UnknownMlflowError, MlflowError.
    """
    from registration import registering

    with _lock:
        fluent = _fluent()
        mlflows = original()

        @functools.wraps(mlflows)  # whoever looks sees MLflow's signature
        def register(model_uri: str, name: str, *arguments: Any, env_pack: Any = None, **options: Any) -> Any:
            if env_pack is None:
                return mlflows(model_uri, name, *arguments, **options)
            bound = inspect.signature(mlflows).bind(model_uri, name, *arguments, **options)
            given = bound.arguments
            return registering.register(
                mlflows,
                model_uri,
                name,
                normalise(env_pack),
                store or registering.default_store(),
                tags=given.get("tags"),
                variables=variables,
                await_registration_for=given.get("await_registration_for", registering.AWAIT),
                said=said,
            )

        setattr(register, _ORIGINAL, mlflows)
        fluent._register_model = register  # noqa: SLF001
        _wrapped.append(register)
    return Enabled(register)


def disable() -> None:
    """MLflow's own packing again. Does nothing when it is not enabled."""
    with _lock:
        _fluent()._register_model = original()  # noqa: SLF001
        _wrapped.clear()
