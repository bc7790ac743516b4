"""Which variables of the process that registers are facts of the model's environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Variables that lead Python out of its environment, or say where it lies. A model is loaded without them (`-I`) before it is
#: registered, and no server gets them: they make no difference.
ASTRAY = frozenset({"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE", "PYTHONEXECUTABLE", "VIRTUAL_ENV"})


def of_training(variables: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """What of `variables` a server has to be given to be as the process that trained.

    `given` are those that loading the model sets, with their values: a server gets these without being told, as sklearn's
    KMP_INIT_AT_FORK. What has another value stays: somebody chose it.
    """
    return unset({name: value for name, value in variables.items() if name not in ASTRAY}, given)


def unset(variables: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """`variables` without those that have the value which they are `given` when the model is loaded."""
    return {name: value for name, value in variables.items() if given.get(name) != value}


def shown(given: Mapping[str, str]) -> dict[str, str]:
    """Of `given` what can be written down: variables that are known, with values as theirs are. What else a model sets may be a secret."""
    from snapshot.facts.variables import variables

    return {each.name: each.value for each in variables(given, None).items if each.value is not None}
