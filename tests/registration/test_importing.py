"""Models that are loaded for real, in a process of the environment that runs the tests."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import time
from dataclasses import replace

import pytest

from registration.importing import LoadError, Loading, imports
from registration.mlmodel import read_model
from registration.running import Done, NotStartedError, Running, TookTooLongError, run
from registration.variables import of_training

pytestmark = pytest.mark.mlflow

MLMODEL = """\
flavors:
  python_function:
    code: code
    loader_module: mine
    python_version: {python}
mlflow_version: 3.4.0
model_uuid: '0'
utc_time_created: '2026-01-01 00:00:00'
"""

GOOD = """\
import colorsys

class Model:
    def predict(self, data):
        import mailcap_of_mine
        return [len(data)]

def _load_pyfunc(path):
    return Model()
"""


@pytest.fixture
def coded(mlflow, tmp_path):
    """A model that is what its code says: MLflow imports `mine`, and calls `_load_pyfunc` there."""

    def write(mine, *, example=False, **modules):
        path = tmp_path / "model"
        (path / "code").mkdir(parents=True)
        text = MLMODEL.format(python=".".join(map(str, sys.version_info[:3])))
        if example:
            text += "saved_input_example_info:\n  artifact_path: input_example.json\n  type: json_object\n"
            (path / "input_example.json").write_text("[1, 2, 3]")
        (path / "MLmodel").write_text(text)
        for name, source in {"mine": mine, **modules}.items():
            (path / "code" / f"{name}.py").write_text(source)
        return read_model(path)

    return write


def test_a_real_model(mlflow, logged, monkeypatch):
    """It has an example: the digest is that of what a server would answer."""
    from mlflow.pyfunc.scoring_server import predictions_to_json

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("KMP_INIT_AT_FORK", "FALSE")
    monkeypatch.setenv("KMP_DUPLICATE_LIB_OK", "no")
    found = imports(read_model(logged.path), sys.executable)
    names = {module.name for module in found.modules}
    assert {"mlflow.pyfunc", "mlflow.sklearn", "sklearn.ensemble", "pandas", "encodings", "json"} <= names
    assert not names & {"uvicorn", "__main__", "__mp_main__"}
    assert {"uvicorn", "fastapi", "mlflow.pyfunc.scoring_server", "email.policy"} <= found.names
    assert "mlflow.cli" not in found.names, "no server of ours imports it, and it takes a second"
    assert not names & {module.name for module in found.serving}
    assert [module.name for module in found.modules] == sorted(names)
    (forest,) = [module for module in found.modules if module.name == "sklearn.ensemble"]
    assert forest.origin.endswith("/sklearn/ensemble/__init__.py")
    out = io.StringIO()
    predictions_to_json(mlflow.pyfunc.load_model(logged.path).predict(logged.data[:2]), out)
    assert found.prediction == "sha256:" + hashlib.sha256(out.getvalue().encode()).hexdigest()
    assert (found.predicted, found.problem) == (True, None)
    assert found.seconds > 0
    # What sklearn sets where there is nothing, whether there is something or not.
    assert (found.variables["KMP_INIT_AT_FORK"], found.variables["KMP_DUPLICATE_LIB_OK"]) == ("FALSE", "True")


SETTING = """\
import os

os.environ["ONCE"] = "1"
os.environ.setdefault("DEFAULT", "2")
os.environ.setdefault("DEFAULT", "3")
before = os.environ["BACK"]
os.environ["BACK"] = "4"
os.environ["BACK"] = before
os.environ["GONE"] = "5"
del os.environ["GONE"]

"""


def test_variables_that_loading_sets(coded, monkeypatch):
    """Not those that it puts back: whether it leaves one as it was cannot be told from whether it gave it that value."""
    for name in ("DEFAULT", "BACK", "OTHER"):
        monkeypatch.setenv(name, "0")
    given = imports(coded(SETTING + GOOD), sys.executable).variables
    assert (given["ONCE"], given["DEFAULT"]) == ("1", "2")
    assert not given.keys() & {"BACK", "GONE", "OTHER", "MLFLOW_DISABLE_TELEMETRY"}
    assert of_training(
        {"ONCE": "1", "DEFAULT": "0", "BACK": "0", "PYTHONPATH": "/x", "OMP_NUM_THREADS": "1"}, given
    ) == {
        "DEFAULT": "0",
        "BACK": "0",
        "OMP_NUM_THREADS": "1",
    }


def test_code_of_the_model_s_own(coded):
    """What is only imported when it predicts is among them."""
    model = coded(GOOD, example=True, mailcap_of_mine="import colorsys\n")
    found = imports(model, sys.executable)
    origins = {module.name: module.origin for module in found.modules}
    assert origins["mine"] == os.path.join(model.path, "code", "mine.py")
    assert origins["colorsys"].endswith("/colorsys.py")
    assert "mailcap_of_mine" in origins
    assert found.predicted
    assert sorted(os.listdir(os.path.join(model.path, "code"))) == ["mailcap_of_mine.py", "mine.py"], "and no bytecode"


def test_without_an_example(coded):
    found = imports(coded(GOOD), sys.executable)
    assert (found.predicted, found.prediction, found.problem) == (False, "", None)
    assert "mailcap_of_mine" not in found.names
    assert "mine" in found.names


def test_a_prediction_that_fails_is_reported(coded):
    found = imports(coded(GOOD, example=True), sys.executable)
    assert found.problem == (
        "the prediction on its input example failed: ModuleNotFoundError: No module named 'mailcap_of_mine'"
    )
    assert (found.predicted, found.prediction) == (False, "")
    assert "mine" in found.names


def test_what_only_pythonpath_has_is_not_found(coded, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "only_here.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "elsewhere"))
    with pytest.raises(LoadError) as raised:
        imports(coded("import only_here\n"), sys.executable)
    assert "cannot be loaded in this environment: ModuleNotFoundError: No module named 'only_here'; " in str(
        raised.value
    )
    assert "make mlflow.pyfunc.load_model work here first" in str(raised.value)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "raise ValueError('get it from https://me:geheim@example.org')",
            r"ValueError: get it from https://\*\*\*\*@example\.org",
        ),
        ("import sys; sys.exit(3)", r"RuntimeError: it ends the process that loads it: sys\.exit\(3\)"),
        ("import os; os._exit(0)", "it ended the process that loads it"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "it was ended by SIGSEGV"),
    ],
)
def test_a_model_that_does_not_load(coded, code, said):
    with pytest.raises(LoadError, match=rf"cannot be loaded in this environment: {said}; make"):
        imports(coded(f"print('loading')\n{code}\n"), sys.executable)


def test_where_the_model_comes_from_is_said_without_a_password(coded):
    model = replace(coded("raise ValueError('no')"), source="sftp://me:hunter2@host/model")
    with pytest.raises(
        LoadError, match=r"^the model sftp://\*\*\*\*@host/model cannot be loaded in this environment: "
    ):
        imports(model, sys.executable)


def test_a_model_that_takes_too_long(coded):
    with pytest.raises(
        TookTooLongError, match=r"loading the model .* took more than 0\.1 s and was stopped; give it more"
    ):
        imports(coded("import time; time.sleep(600)\n"), sys.executable, seconds=0.1)


def test_a_load_that_is_given_up(loads):
    """Before it is known which model, or while that is loaded: the process ends with the block."""
    with Loading(sys.executable) as loading:
        (pid,) = there(loads)
    assert ends(pid)
    loading.stop()


# -- the process itself


def there(loads):
    """The processes, as soon as there are any: one that has just begun has no command line yet."""
    for _ in range(600):
        found = loads()
        if found:
            return found
        time.sleep(0.1)
    return []


def ends(pid):
    """Whether the process ends within a minute: a signal takes its time. Nobody may have asked for its exit code yet."""
    for _ in range(600):
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] in {"Z", "X"}:
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.1)
    return False


def test_what_is_left_in_the_background_is_not_waited_for():
    script = "import subprocess, sys; c = subprocess.Popen(['sleep', '600']); print('child', c.pid); sys.exit(3)"
    done = run([sys.executable, "-c", script], what="x", seconds=60, hint="y")
    assert done.code == 3
    assert ends(int(done.output.split()[1]))


def test_what_takes_too_long_is_stopped_with_what_it_started(tmp_path):
    script = f"sleep 600 & echo $! > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/child; wait"
    with pytest.raises(TookTooLongError, match=r"waiting took more than 3 s and was stopped; do something"):
        run(["/bin/sh", "-c", script], what="waiting", seconds=3, hint="do something")
    assert ends(int((tmp_path / "child").read_text()))


def test_the_end_of_a_long_output_is_kept():
    script = "import sys; sys.stdout.write('x' * 3_000_000 + '\\nlast\\n\\n'); print(sys.stdin.read())"
    done = run([sys.executable, "-c", script], what="x", seconds=60, hint="y", stdin=b"given")
    assert len(done.output) == 1 << 20
    assert done.last == "given"


def test_a_command_that_is_told_later():
    script = "import sys; print(sys.stdin.read().upper())"
    with Running([sys.executable, "-c", script], what="x", seconds=60, hint="y", stdin=None) as running:
        running.tell(b"given")
        assert running.result() == Done(0, "GIVEN\n")
    with Running(
        [sys.executable, "-c", "raise SystemExit('done')"], what="x", seconds=60, hint="y", stdin=None
    ) as running:
        assert ends(running._process.pid)
        running.tell(b"given")
        assert running.result() == Done(1, "done\n")


def test_a_command_that_is_not_there(tmp_path):
    with pytest.raises(NotStartedError, match=r"cannot run .*/python: No such file or directory"):
        run([str(tmp_path / "python")], what="x", seconds=1, hint="y")
