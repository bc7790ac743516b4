"""MLflow is an optional dependency: whoever needs it asks here, when it is needed."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from registration.errors import RegistrationError

if TYPE_CHECKING:
    from types import ModuleType

#: The first release whose logged models have what a registration with an environment needs.
OLDEST = "3.1"


class MlflowError(RegistrationError, ImportError):
    """MLflow is not installed, or is too old."""


def need_mlflow() -> ModuleType:
    """The module `mlflow`, which takes a second or more to import. Raises MlflowError."""
    from packaging.version import Version

    try:
        mlflow: ModuleType = importlib.import_module("mlflow")
    except ImportError as error:
        raise MlflowError(
            f"this needs MLflow {OLDEST} or later, which cannot be imported ({error}): pip install 'envparity[mlflow]'"
        ) from error
    found = str(getattr(mlflow, "__version__", "")) or "unknown"
    if found == "unknown" or Version(found) < Version(OLDEST):
        raise MlflowError(f"this needs MLflow {OLDEST} or later, and here is {found}: pip install 'envparity[mlflow]'")
    return mlflow


def conceal(error: BaseException) -> None:
    """Mask the credentials in what MLflow says: it names the tracking URI as it was given."""
    from mlflow.exceptions import MlflowException

    from diffing.requirements import masked

    if isinstance(error, MlflowException):
        error.message = masked(str(error.message))
        error.args = (error.message,)
