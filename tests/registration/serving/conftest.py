"""Versions of a model in a real registry, each a snapshot of the environment that the tests run in; and nothing left running."""

from __future__ import annotations

import json
import os
import secrets
import sys
import warnings
from types import SimpleNamespace

import pytest

import snapshot
from registration import processes, tags
from registration.processes import MARK

#: Marks whatever a test starts, and what that starts.
OWN = "ENVPARITY_TESTS"

_LOADS_NOT = """\
import mlflow
from mlflow.pyfunc import PythonModel

class Model(PythonModel):
    def load_context(self, context):
        raise RuntimeError("the weights are gone, see https://user:secret@example.org/weights")

    def predict(self, context, model_input):
        return [0] * len(model_input)

mlflow.models.set_model(Model())
"""
_PREDICTS_NOT = """\
import mlflow
from mlflow.pyfunc import PythonModel

class Model(PythonModel):
    def predict(self, context, model_input):
        raise ValueError("no prediction today")

mlflow.models.set_model(Model())
"""


@pytest.fixture(scope="session")
def _marked():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(OWN, secrets.token_hex(8))
        patch.delenv("PYTHONPATH", raising=False)
        yield


@pytest.fixture(autouse=True)
def _nothing_left(_marked):
    """Whatever a test forgot to stop is stopped, and the test fails."""
    yield
    left = set()
    for pid in os.listdir("/proc"):
        if pid.isdigit() and int(pid) != os.getpid():
            try:
                with open(f"/proc/{pid}/environ", "rb") as file:
                    found = file.read().split(b"\0")
            except OSError:
                continue
            if f"{OWN}={os.environ[OWN]}".encode() in found:
                left |= {each.partition(b"=")[2].decode() for each in found if each.startswith(MARK.encode() + b"=")}
    for mark in left:
        processes.stop(mark, grace=1)
    assert not left


@pytest.fixture(scope="session")
def registry(mlflow, tmp_path_factory, _marked):
    """Model `prices`: 1 and 2 predict, 3 does not load, 4 loads and does not predict, 5 was registered without an environment."""
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    import pandas as pd
    from sklearn.linear_model import LinearRegression

    home = tmp_path_factory.mktemp("registry")
    store = snapshot.Store(home / "store")
    client = mlflow.MlflowClient()
    client.create_registered_model("prices")
    data = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [1.0, 0.0, 2.0, 5.0]})
    for version, factor in (("1", 2.0), ("2", 3.0)):
        model = LinearRegression().fit(data, data.a * factor + data.b)
        with warnings.catch_warnings():  # those of MLflow, pandas and what they use
            warnings.simplefilter("ignore")
            mlflow.sklearn.save_model(
                model,
                home / version,
                input_example=data,
                pip_requirements=["scikit-learn"],
                serialization_format="cloudpickle",
            )
    for version, code in (("3", _LOADS_NOT), ("4", _PREDICTS_NOT)):
        (home / f"{version}.py").write_text(code)
        mlflow.pyfunc.save_model(home / version, python_model=str(home / f"{version}.py"), pip_requirements=["mlflow"])
    (home / "4" / "serving_input_example.json").write_text(json.dumps({"inputs": [1]}))
    for version in "1234":
        captured = snapshot.capture(
            sys.prefix,
            store,
            name=f"prices/{version}",
            model=home / version,
            exclude=["dist:envparity", "dist:ruff", "dist:mypy", "*/tests/*"],
            deltas=False,
            size_limit=sys.maxsize,
            budget=sys.maxsize,
            variables=os.environ,
        )
        client.create_model_version(
            "prices",
            str(home / version),
            tags={
                tags.SNAPSHOT: captured.snapshot,
                tags.PARITY_ROOT: captured.parity_root,
                tags.STORE: str(home / "store"),
                tags.NAME: f"prices/{version}",
            },
        )
    client.create_model_version("prices", str(home / "1"))
    client.set_registered_model_alias("prices", "champion", "2")
    return SimpleNamespace(
        store=store,
        home=home,
        tracking_uri=mlflow.get_tracking_uri(),
        body=json.dumps({"dataframe_split": {"columns": ["a", "b"], "data": [[10.0, 1.0]]}}).encode(),
        frame=pd.DataFrame({"a": [10.0], "b": [1.0]}),
        answers={"1": 21.0, "2": 31.0},
    )


@pytest.fixture(scope="session")
def restored(registry, tmp_path_factory):
    """Version 1, deployed once: for tests that do not change it."""
    from registration.deploying import deploy

    return deploy("models:/prices/1", tmp_path_factory.mktemp("deployed") / "one", variables=os.environ)


@pytest.fixture
def command():
    """`envparity` and `mlflow` as processes, with this source tree."""
    root = os.path.dirname(os.path.dirname(snapshot.__file__))

    def environment(**more):
        added = os.environ.get("ENVPARITY_TEST_METADATA")
        return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [added, root])), **more}

    main = "from registration.cli import main; main()"
    return SimpleNamespace(
        environment=environment,
        envparity=[sys.executable, "-c", main],
        mlflow=[sys.executable, "-m", "mlflow"],
    )
