"""What calls `snapshot` and `diffing`: the `envparity` command, and the registration of models with MLflow.

Everything public is imported when it is first used: `import registration` costs next to nothing, and needs no MLflow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from registration.deploying import deploy
    from registration.enabling import disable, enable
    from registration.env_pack import EnvPack
    from registration.errors import RegistrationError
    from registration.registering import register_model

__all__ = ["EnvPack", "RegistrationError", "deploy", "disable", "enable", "register_model"]

_HOMES = {
    "EnvPack": "env_pack",
    "RegistrationError": "errors",
    "deploy": "deploying",
    "disable": "enabling",
    "enable": "enabling",
    "register_model": "registering",
}


def __getattr__(name: str) -> Any:
    """Import the module of a public name when it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"registration.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
