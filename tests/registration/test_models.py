"""Every URI that a model can have, against a real MLflow; and models that are damaged."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from registration.models import FetchError, ModelError, fetch, read_model

PYFUNC = "flavors:\n  python_function:\n    loader_module: mine\n    python_version: 3.11.7\nmlflow_version: 3.4.0\n"

pytest.importorskip("yaml", reason="needs the mlflow extra")


@pytest.fixture(scope="session")
def registered(mlflow, logged):
    """Version 1 of a model, with an alias."""
    version = mlflow.register_model(logged.second.model_uri, "House prices", await_registration_for=None)
    mlflow.MlflowClient().set_registered_model_alias("House prices", "champion", version.version)
    return version


@pytest.mark.mlflow
def test_a_logged_model(logged, tmp_path):
    found = fetch(logged.second.model_uri, tmp_path / "fetched")
    assert found.path.startswith(str(tmp_path / "fetched"))
    assert found.source == logged.second.model_uri
    assert (found.model_id, found.run_id) == (logged.second.model_id, logged.run)
    assert {"python_function", "sklearn"} == set(found.flavors)
    assert found.is_python_function
    assert found.loader_module == "mlflow.sklearn"
    assert found.mlflow_version == logged.second.mlflow_version
    assert found.python_version == found.python_env
    assert found.python_version.startswith("3.")
    assert (found.input_example, found.external, found.hub, found.databricks_runtime) == (True, False, "", "")
    assert "rooms" in found.signature["inputs"]
    assert Path(found.requirements).read_text().splitlines() == ["mlflow", "scikit-learn", "pandas"]
    assert found.size == sum(
        os.path.getsize(os.path.join(root, name)) for root, _, names in os.walk(found.path) for name in names
    )


@pytest.mark.mlflow
def test_of_a_run_it_is_the_one_that_mlflow_would_register(mlflow, logged, tmp_path):
    """Two models of one name: the later step counts, whichever a download would take."""
    uri = f"runs:/{logged.run}/prices"
    found = fetch(uri, tmp_path)
    version = mlflow.register_model(uri, "steps", await_registration_for=None)
    assert found.source == version.source == logged.second.model_uri


@pytest.mark.mlflow
def test_an_artifact_of_the_run_comes_before_its_logged_models(mlflow, logged, tmp_path):
    with mlflow.start_run() as run:
        mlflow.log_artifacts(logged.path, "old-style")
    found = fetch(f"runs:/{run.info.run_id}/old-style", tmp_path)
    assert found.source.endswith(f"{run.info.run_id}/artifacts/old-style")
    assert found.path.startswith(str(tmp_path))
    assert found.loader_module == "mlflow.sklearn"


@pytest.mark.mlflow
@pytest.mark.parametrize(
    "uri", ["models:/House prices/1", "models:/House prices@champion", "models:/House prices/latest"]
)
def test_a_registered_model(registered, logged, tmp_path, uri):
    found = fetch(uri, tmp_path)
    assert found.source == "models:/House prices/1"
    assert found.model_id == logged.second.model_id
    # A note of which version it was, which MLflow leaves even in its own store, is no part of the model.
    assert set(os.listdir(found.path)) == set(os.listdir(logged.path)) - {"registered_model_meta"}


def test_a_local_path_stays_where_it_is(model_directory, tmp_path):
    path = model_directory(PYFUNC)
    for uri in (str(path), path.as_uri()):
        found = fetch(uri, tmp_path / "unused")
        assert (found.path, found.source) == (str(path), uri)
        assert (found.loader_module, found.python_version, found.mlflow_version) == ("mine", "3.11.7", "3.4.0")
        assert (found.requirements, found.input_example, found.signature) == (None, False, None)
    assert not (tmp_path / "unused").exists()


@pytest.mark.mlflow
@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("models:/m-0000", "MLflow cannot fetch models:/m-0000: .*m-0000.* not found; check the URI"),
        ("models:/nobody/7", "MLflow cannot fetch models:/nobody/7: .*not found"),
        ("models:/House prices@nobody", "MLflow cannot fetch models:/House prices@nobody: .*alias nobody not found"),
        ("models:/a/b/c", "MLflow cannot fetch models:/a/b/c: Not a proper models:/ URI"),
        ("runs:/nobody/model", "MLflow cannot fetch runs:/nobody/model: Run with id=nobody not found"),
        ("runs:/{run}", "names a run, and no model in it: want runs:/RUN_ID/NAME"),
        ("runs:/{run}/other", "run {run} has no model 'other': neither an artifact with an MLmodel nor a logged model"),
        ("m-0000", r"there is no model at m-0000: it is no directory; did you mean models:/m-0000\?"),
        ("/nowhere", "there is no model at /nowhere: it is no directory"),
    ],
)
def test_what_is_not_there(registered, logged, tmp_path, uri, said):
    with pytest.raises(FetchError, match=said.format(run=logged.run)):
        fetch(uri.format(run=logged.run), tmp_path)


@pytest.mark.mlflow
def test_a_url_is_shown_without_its_password(mlflow, tmp_path):
    with pytest.raises(FetchError) as raised:
        fetch("ftp://me:geheim@127.0.0.1:1/model", tmp_path)
    assert "geheim" not in str(raised.value)


@pytest.mark.mlflow
def test_an_external_model_is_seen_as_one(mlflow, tmp_path):
    external = mlflow.create_external_model(name="elsewhere")
    found = fetch(external.model_uri, tmp_path)
    assert found.external
    assert not found.is_python_function


def test_weights_on_a_hub(model_directory):
    path = model_directory(
        PYFUNC.replace(
            "flavors:\n", "flavors:\n  transformers:\n    source_model_name: org/big\n    source_model_revision: abc\n"
        )
    )
    assert read_model(path).hub == "org/big"


def test_what_only_conda_installs(model_directory):
    rows = "dependencies:\n- python=3.11.7\n- pip<=26\n- conda-forge::cudatoolkit=11.8\n- libgfortran >=5\n- pip:\n  - mlflow\n"
    assert read_model(model_directory(PYFUNC, conda__yaml=rows)).conda == (
        "conda-forge::cudatoolkit=11.8",
        "libgfortran >=5",
    )


def test_a_directory_without_mlmodel(tmp_path):
    with pytest.raises(ModelError, match="has no MLmodel: give the URI of a model that MLflow logged or saved"):
        read_model(tmp_path)


@pytest.mark.parametrize(
    ("mlmodel", "files", "said"),
    [
        ("flavors: [a", {}, r"MLmodel is not YAML \(line 1\)"),
        ("", {}, "MLmodel is empty"),
        ("- 1", {}, "MLmodel holds no mapping"),
        (
            "flavors: [a]\nmlflow_version: 3.1\nmodel_id: {}\nmetadata: yes\n",
            {"python_env__yaml": "python: 3.11", "conda__yaml": "dependencies: 1"},
            None,
        ),
    ],
)
def test_a_damaged_model_is_one_error(model_directory, mlmodel, files, said):
    with pytest.raises(ModelError) as raised:
        read_model(model_directory(mlmodel, **files))
    assert "is a damaged model: " in str(raised.value)
    if said is None:
        assert str(raised.value).partition("model: ")[2].split("; ") == [
            "flavors is a list: want a mapping",
            "mlflow_version is the number 3.1: want text, in quotes",
            "python_env.yaml: python is the number 3.11: want text, in quotes",
            "conda.yaml: dependencies is no list",
            "metadata is a bool: want a mapping",
            "model_id is a dict: want text",
            "log or save it again, or take a whole copy",
        ]
    else:
        assert re.search(said, str(raised.value))


def test_bytes_that_are_no_text(model_directory):
    path = model_directory("")
    (path / "MLmodel").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="MLmodel is not UTF-8 text"):
        read_model(path)


@pytest.mark.mlflow
def test_half_a_download(logged, tmp_path):
    path = shutil.copytree(logged.path, tmp_path / "half")
    text = (path / "MLmodel").read_text()
    (path / "MLmodel").write_text(text[: text.index("inputs:") + 12])
    with pytest.raises(ModelError, match="is a damaged model: MLmodel is not YAML"):
        read_model(path)
