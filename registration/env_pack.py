"""What a registration is asked to pack: MLflow's `EnvPackConfig`, and what envparity can do beside it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from registration.errors import RegistrationError
from snapshot.errors import SnapshotError
from snapshot.excluding import Excludes
from snapshot.limiting import BUDGET, SIZE_LIMIT, BudgetError, SizeLimitError, Spelling

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: The only name that MLflow knows, and so do we: code that is written for MLflow runs unchanged.
NAME = "databricks_model_serving"


class EnvPackError(RegistrationError, ValueError):
    """An `env_pack` that says what it may not. The message has a line for each field that is wrong."""


@dataclass(frozen=True, slots=True)
class EnvPack:
    """How the environment of a model is packed. The first two fields are MLflow's.

    `install_dependencies`: whether the model's requirements are locked, and what is missing is installed, before the capture. `size_limit` and
    `budget` in bytes, `exclude` patterns, `fingerprint`: as `snapshot.capture` has them. `allow_cuda`: whether the environment may have
    distributions that only a GPU can use.

    Raises EnvPackError.
    """

    name: str = NAME
    install_dependencies: bool = True
    size_limit: int = SIZE_LIMIT
    budget: int = BUDGET
    exclude: tuple[str, ...] = ()
    allow_cuda: bool = False
    fingerprint: bool = True

    def __post_init__(self) -> None:
        problems = [*_flags(self), *_sizes(self), *_patterns(self.exclude)]
        if self.name != NAME:
            problems.insert(0, f"env_pack.name is {self.name!r}: want {NAME!r}")
        if problems:
            raise EnvPackError("\n".join(problems))


def _flags(pack: EnvPack) -> list[str]:
    rows = ((name, getattr(pack, name)) for name in ("install_dependencies", "allow_cuda", "fingerprint"))
    return [f"env_pack.{name} is {value!r}: want True or False" for name, value in rows if not isinstance(value, bool)]


def _sizes(pack: EnvPack) -> list[str]:
    return [
        f"env_pack.{name} is {value!r}: want a number of bytes, at least 1, or in a mapping text such as '500MB'"
        for name, value in (("size_limit", pack.size_limit), ("budget", pack.budget))
        if isinstance(value, bool) or not isinstance(value, int) or value < 1
    ]


def _patterns(value: Any) -> list[str]:
    if not isinstance(value, tuple) or not all(isinstance(pattern, str) for pattern in value):
        return [f"env_pack.exclude is {value!r}: want patterns, such as ('*/tests/*', 'dist:pip')"]
    problems = []
    for pattern in value:
        try:
            Excludes((pattern,))
        except SnapshotError as error:
            problems.append(f"env_pack.exclude: {error}")
    return problems


def normalise(value: Any) -> EnvPack:
    """The `EnvPack` that `value` stands for.

    `value`: an EnvPack, MLflow's EnvPackConfig, a mapping of an EnvPack's fields (sizes may be text, such as `"500MB"`, and `exclude` a list),
    or None or `"databricks_model_serving"`, which leave everything at its default.

    Raises EnvPackError with every field that is wrong.
    """
    if isinstance(value, EnvPack):
        return value
    if value is None or isinstance(value, str):
        return EnvPack() if value is None else EnvPack(name=value)
    if _is_mlflows(value):
        return EnvPack(name=value.name, install_dependencies=value.install_dependencies)
    if isinstance(value, Mapping):
        return _of_mapping(value)
    raise EnvPackError(
        f"env_pack is a {type(value).__name__}: want {NAME!r}, mlflow.utils.env_pack.EnvPackConfig, "
        "registration.EnvPack or a mapping of its fields"
    )


def _is_mlflows(value: Any) -> bool:
    """Whether it is MLflow's own configuration: nobody can have one while that module is not loaded."""
    kind = getattr(sys.modules.get("mlflow.utils.env_pack"), "EnvPackConfig", None)
    return kind is not None and isinstance(value, kind)


def _of_mapping(value: Mapping[Any, Any]) -> EnvPack:
    known = [field.name for field in fields(EnvPack)]
    problems = [f"env_pack.{key} is not known: want {', '.join(known)}" for key in value if key not in known]
    given = {key: item for key, item in value.items() if key in known}
    for key in ("size_limit", "budget"):
        if isinstance(given.get(key), str):
            try:
                given[key] = _bytes(given[key])
            except ValueError as error:
                problems.append(f"env_pack.{key}: {error}")
                del given[key]
    if isinstance(given.get("exclude"), list):
        given["exclude"] = tuple(given["exclude"])
    try:
        pack = EnvPack(**given)
    except EnvPackError as error:
        raise EnvPackError("\n".join([*problems, str(error)])) from error
    if problems:
        raise EnvPackError("\n".join(problems))
    return pack


def _bytes(text: str) -> int:
    from registration.parameters import parse_size

    return parse_size(text)


def _exclude(patterns: Sequence[str]) -> str:
    return f'env_pack={{"exclude": {json.dumps(list(patterns))}}}'


#: A model goes with its interpreter, and with the bytecode that it imports. Limits are fields of env_pack, and arguments too, which win.
_SPELLING = Spelling({}, None, _exclude, "size_limit", "budget")


@contextmanager
def spelled() -> Iterator[None]:
    """What a capture in here says of an environment that is too large, as whoever registers can do it."""
    try:
        yield
    except (SizeLimitError, BudgetError) as error:
        raise type(error)(error.excess, _SPELLING) from None
