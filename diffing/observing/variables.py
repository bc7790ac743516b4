"""Environment variables. No value is shown that is not recorded, and none is recorded that could be a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing.observation import Observation
from diffing.verdict import Level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffing.observing.sides import Sides
    from snapshot.facts.model import Variable


def observe_variables(sides: Sides) -> Iterator[Observation]:
    train, serve = sides.train.facts.variables, sides.serve.facts.variables
    if train is None or serve is None:
        return
    same_key = train.key == serve.key
    one, two = ({variable.name: variable for variable in side.items} for side in (train, serve))
    for name in sorted(one.keys() | two.keys()):
        mine, yours = one.get(name), two.get(name)
        if mine is None or yours is None or _differ(mine, yours, same_key=same_key):
            yield _observe(name, mine, yours)


def _differ(train: Variable, serve: Variable, *, same_key: bool) -> bool:
    if train.value is not None and serve.value is not None:
        return train.value != serve.value
    if train.value is None and serve.value is None:
        return same_key and None not in (train.digest, serve.digest) and train.digest != serve.digest
    return True  # one looks as its type says, the other does not


def incomparable(sides: Sides) -> list[str]:
    """The variables that are set on both sides and cannot be compared: their digests have different keys, or there are none."""
    train, serve = sides.train.facts.variables, sides.serve.facts.variables
    if train is None or serve is None:
        return []
    two = {variable.name: variable for variable in serve.items}
    unvalued = [
        (mine, two[mine.name])
        for mine in train.items
        if mine.name in two and mine.value is None and two[mine.name].value is None
    ]
    same_key = train.key == serve.key
    return [one.name for one, other in unvalued if not same_key or None in (one.digest, other.digest)]


def _observe(name: str, train: Variable | None, serve: Variable | None) -> Observation:
    types = {variable.type for variable in (train, serve) if variable is not None}
    state = "both" if train and serve else "train" if train else "serve"
    return Observation(
        kind="variable",
        level=Level.VARIABLES,
        subject=name,
        train=_show(train),
        serve=_show(serve),
        attributes={"type": min(types - {"other"}, default="other"), "state": state},
        identity=(_identity(train), _identity(serve)),
    )


def _show(variable: Variable | None) -> str | None:
    if variable is None:
        return None
    if variable.value is not None:
        return variable.value
    return f"keyed digest {variable.digest.removeprefix('sha256:')[:12]}" if variable.digest else "set"


def _identity(variable: Variable | None) -> str | None:
    return None if variable is None else f"{variable.value!r} {variable.digest}"
