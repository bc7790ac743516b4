"""Without MLflow, or with one that is too old."""

from __future__ import annotations

import sys

import pytest

from registration.extra import MlflowError, conceal, need_mlflow
from registration.models import fetch


def test_it_is_not_installed(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "mlflow", None)  # an import of it fails
    with pytest.raises(
        MlflowError, match=r"needs MLflow 3\.1 or later, which cannot be imported .*: pip install 'envparity\[mlflow\]'"
    ):
        fetch("models:/prices/1", tmp_path)


@pytest.mark.mlflow
@pytest.mark.parametrize("version", ["2.22.0", "3.0.1", ""])
def test_it_is_too_old(mlflow, monkeypatch, version):
    assert need_mlflow() is mlflow
    monkeypatch.setattr(mlflow, "__version__", version)
    with pytest.raises(
        MlflowError, match=rf"needs MLflow 3\.1 or later, and here is {version or 'unknown'}: pip install"
    ):
        need_mlflow()


@pytest.mark.mlflow
def test_what_mlflow_says_is_shown_without_credentials(mlflow):
    said = "API request to http://user:hunter2@tracking:5000/api failed"
    error = mlflow.MlflowException(said)
    conceal(error)
    assert (str(error), error.message) == (said.replace("user:hunter2", "****"),) * 2
    assert "hunter2" not in error.serialize_as_json()
