"""Models that a real MLflow logs, once a session, into a SQLite store of this session's own."""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import suppress
from types import SimpleNamespace

import pytest

from registration.env_pack import EnvPack
from registration.surroundings import surroundings

#: Telemetry would be sent from a thread while tests run, the bar would fill their output.
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}


@pytest.fixture(autouse=True)
def _warnings_of_others():
    """MLflow, pandas and what they use warn of each other; whose version it is decides of what."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory):
    """MLflow, on a store of its own."""
    home = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, value in QUIET.items():
            patch.setenv(name, value)
        for name in [name for name in os.environ if name.startswith("DATABRICKS_")]:
            patch.delenv(name)
        found = pytest.importorskip("mlflow", reason="needs the mlflow extra")
        before = found.get_tracking_uri(), found.get_registry_uri()
        found.set_tracking_uri(f"sqlite:///{home}/mlflow.db")
        found.set_registry_uri(f"sqlite:///{home}/mlflow.db")
        found.create_experiment("tests", artifact_location=str(home / "artifacts"))
        found.set_experiment("tests")
        yield found
        found.set_tracking_uri(before[0])
        found.set_registry_uri(before[1])


@pytest.fixture(scope="session")
def logged(mlflow):
    """A random forest, logged twice under one name in one run: `first` without an example, `second`, a step later, with one."""
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    import pandas as pd
    from sklearn.ensemble import RandomForestRegressor

    data = pd.DataFrame({"rooms": [1.0, 2, 3, 4, 5, 6], "age": [9.0, 8, 7, 3, 2, 1]})
    forest = RandomForestRegressor(n_estimators=3, random_state=0).fit(data, data.rooms * 10 - data.age)
    with warnings.catch_warnings(), mlflow.start_run() as run:
        warnings.simplefilter("ignore")
        options = {"name": "prices", "pip_requirements": REQUIREMENTS}
        first = mlflow.sklearn.log_model(forest, serialization_format="cloudpickle", **options)
        second = mlflow.sklearn.log_model(forest, input_example=data[:2], step=1, **trusted(mlflow), **options)
    return SimpleNamespace(
        run=run.info.run_id,
        first=first,
        second=second,
        path=mlflow.artifacts.download_artifacts(second.model_uri),
        forest=forest,
        data=data,
    )


#: What MLflow would find out by itself in some seconds more.
REQUIREMENTS = ["mlflow", "scikit-learn", "pandas"]


def trusted(mlflow):
    """From 3.17 on MLflow saves with skops, which loads nothing that is not named; before, it has no such option."""
    import inspect

    known = "skops_trusted_types" in inspect.signature(mlflow.sklearn.log_model).parameters
    return {"skops_trusted_types": ["sklearn.tree._tree.Tree"]} if known else {}


@pytest.fixture(scope="session")
def here():
    """The environment that the tests run in."""
    return surroundings(sys.executable)


@pytest.fixture
def pack():
    return EnvPack()


@pytest.fixture
def model_directory(tmp_path):
    """Writes a model's directory: `MLmodel` and other files by name."""

    def write(mlmodel, **files):
        path = tmp_path / f"model-{len(list(tmp_path.iterdir()))}"
        path.mkdir()
        (path / "MLmodel").write_text(mlmodel)
        for name, text in files.items():
            (path / name.replace("__", ".")).write_text(text)
        return path

    return write


@pytest.fixture
def loads():
    """Gives the processes of this one that load a model, or are about to."""

    def now():
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError):
                with open(f"/proc/{pid}/stat") as file:
                    parent = file.read().rpartition(")")[2].split()[1]
                with open(f"/proc/{pid}/cmdline") as file:
                    if parent == str(os.getpid()) and "/target/load.py" in file.read():
                        found.append(int(pid))
        return found

    return now
