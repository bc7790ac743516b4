"""Real models: what is read of their files is what loading them looks up, and what they need is reached."""

from __future__ import annotations

import json

import pytest

import snapshot
from diffing.closure import reach
from diffing.requirements import read
from diffing.usage import read_model

from .conftest import run, uv, uv_venv

pytestmark = pytest.mark.environments

MAKE = """
import os, pickle, sys
import cloudpickle, joblib, numpy as np
os.chdir(sys.argv[1])
def f(x):
    import yaml
    return yaml.dump(np.log(x))
record = np.zeros(7, dtype=[("a", "f4"), ("s", "U3")])
things = {
    "arrays": [np.ones((3, 5)), np.zeros((0, 3)), np.array(5), np.asfortranarray(np.ones((4, 3))), record, record],
    "objects": [np.array([1, "x", None], dtype=object), np.zeros(2, dtype=[("a", "O")]), np.random.RandomState(1)],
    "function": {"f": f, "rng": np.random.default_rng(1)},
}
for name, thing in things.items():
    with open(name + ".cloud.pkl", "wb") as file:
        cloudpickle.dump(thing, file)
    if name == "function":
        continue
    joblib.dump(thing, name + ".joblib")
    for kind in ("zlib", "gzip", "bz2", "lzma", "xz"):
        joblib.dump([thing, thing], name + "." + kind + ".joblib", compress=(kind, 3))
    for protocol in range(6):
        with open(name + str(protocol) + ".pkl", "wb") as file:
            pickle.dump(thing, file, protocol)
np.save("objects.npy", things["objects"][0], allow_pickle=True)
"""
LOAD = """
import _compat_pickle as old, json, os, pickle, sys
import joblib, joblib.numpy_pickle, numpy as np
found = set()
class Listening(pickle._Unpickler):
    def find_class(self, module, name):
        found.add((module, name))
        return super().find_class(module, name)
joblib.numpy_pickle.NumpyUnpickler.find_class = Listening.find_class
joblib.numpy_pickle.NumpyUnpickler.__bases__ = (Listening,)
pickle.load = lambda file, **options: Listening(file, **options).load()
answers = {}
for name in sorted(os.listdir(sys.argv[1])):
    found.clear()
    path = os.path.join(sys.argv[1], name)
    if name.endswith(".joblib"):
        joblib.load(path)
    elif name.endswith(".npy"):
        np.load(path, allow_pickle=True)
    else:
        with open(path, "rb") as file:
            pickle.load(file)
    answers[name] = sorted(found)
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    made = uv_venv(tmp_path_factory.mktemp("models") / "env")
    pins = ("numpy", "joblib", "cloudpickle", "PyYAML", "flask", "six")
    run(uv(), "pip", "install", "--python", made.python, *pins)
    return made


@pytest.fixture(scope="module")
def models(environment, tmp_path_factory):
    directory = tmp_path_factory.mktemp("pickles")
    environment.run("-c", MAKE, directory)
    return directory


def test_names_are_those_that_loading_looks_up(environment, models):
    answers = json.loads(environment.run("-c", LOAD, models).stdout)
    assert len(answers) == 28
    for name, looked_up in answers.items():
        usage = read_model(models / name)
        assert usage.problems == (), name
        assert {(use.module, use.name) for use in usage.uses if use.how == "pickle"} == set(map(tuple, looked_up)), name


def test_what_a_function_imports_is_reached(environment, models):
    described = snapshot.describe(environment)
    found = reach(read_model(models / "function.cloud.pkl"), None, described, described)
    assert found.distributions == {"numpy", "cloudpickle", "pyyaml"}
    assert found.pickled == {"numpy", "cloudpickle"}
    assert found.because["pyyaml"] == "function.cloud.pkl may use yaml"


def test_the_closure_is_what_uv_says(environment, tmp_path):
    """`uv pip tree` walks the same metadata."""
    (tmp_path / "requirements.txt").write_text("flask\nsix\n")
    described = snapshot.describe(environment)
    found = reach(None, read(tmp_path / "requirements.txt"), described, described)
    tree = run(uv(), "pip", "tree", "--python", environment.python, "--package", "flask", "--package", "six").stdout
    named = {line.lstrip(" │├└─").split(" ")[0] for line in tree.splitlines() if line and not line.startswith("(")}
    assert found.distributions == named
    assert found.because["flask"] == "from requirements.txt:1"
