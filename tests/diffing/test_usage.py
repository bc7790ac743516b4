"""What a model uses, as its files say: pickles of every make, archives, source code, MLflow's own file, lists of modules."""

from __future__ import annotations

import bz2
import collections
import copyreg
import datetime as dt
import decimal
import fractions
import gzip
import io
import json
import lzma
import os
import pickle
import zipfile
import zlib

import pytest

from diffing import DiffError
from diffing.usage import ModelError, Use, read_model

THING = {"when": dt.date(2025, 1, 1), "price": decimal.Decimal("1.5"), "order": collections.OrderedDict(a=1)}
USED = {("datetime", "date"), ("decimal", "Decimal"), ("collections", "OrderedDict")}


class Harmful:
    """Loading its pickle writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


def names(usage):
    return {(use.module, use.name) for use in usage.uses}


def of_bytes(tmp_path, data, name="model.pkl"):
    (tmp_path / name).write_bytes(data)
    return read_model(tmp_path / name)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol(tmp_path, protocol):
    assert names(of_bytes(tmp_path, pickle.dumps(THING, protocol))) >= USED


@pytest.mark.parametrize("name", ["model.pkl", "model", "model.bin"])
def test_a_pickle_is_known_by_its_content(tmp_path, name):
    assert names(of_bytes(tmp_path, pickle.dumps(THING), name)) >= USED


def test_a_pickle_is_never_loaded(tmp_path):
    flag = tmp_path / "flag"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.dumps(Harmful(flag), protocol)
        usage = of_bytes(tmp_path, data)
        assert names(usage) == {(os.system.__module__, "system")}
        assert not flag.exists()
    pickle.loads(data)
    assert flag.exists()  # the pickle would have done it


@pytest.mark.parametrize("compress", [zlib.compress, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("name", ["model.pkl", "model.bin"])
def test_compressed(tmp_path, compress, name):
    assert names(of_bytes(tmp_path, compress(pickle.dumps(THING)), name)) >= USED


def test_a_name_that_is_remembered(tmp_path):
    data = b"\x80\x04\x8c\x07decimal\x94\x8c\x07Decimal\x940h\x00h\x01\x930h\x00\x8c\x07Context\x93."
    assert names(of_bytes(tmp_path, data)) == {("decimal", "Decimal"), ("decimal", "Context")}


def test_instances_of_old(tmp_path):
    assert names(of_bytes(tmp_path, b"(S'1.5'\nidecimal\nDecimal\np0\n.")) == {("decimal", "Decimal")}
    assert names(of_bytes(tmp_path, b"(cdecimal\nDecimal\no.")) == {("decimal", "Decimal")}


def test_an_escaped_name(tmp_path):
    assert names(of_bytes(tmp_path, b"\x80\x04V\\u0064ecimal\nS'Dec\\x69mal'\n\x93.")) == {("decimal", "Decimal")}


def test_a_pickle_in_the_bytes_of_a_pickle(tmp_path):
    inner = pickle.dumps({"inner": pickle.dumps(decimal.Decimal(1))})
    assert ("decimal", "Decimal") in names(of_bytes(tmp_path, pickle.dumps([inner])))


def test_bytes_that_only_begin_like_a_pickle(tmp_path):
    usage = of_bytes(tmp_path, pickle.dumps([b"\x80\x04cos\nsystem\n\xff\xff\xff", fractions.Fraction(1)]))
    assert names(usage) == {("fractions", "Fraction")}
    assert not usage.problems


def test_pickles_one_after_the_other(tmp_path):
    data = pickle.dumps(1) + pickle.dumps(decimal.Decimal(1)) + b"and data"
    usage = of_bytes(tmp_path, data)
    assert names(usage) == {("decimal", "Decimal")}
    assert not usage.problems


def test_modules_that_a_function_by_value_imports(tmp_path):
    subimport = b"ccloudpickle.cloudpickle\nsubimport\n(X\x05\x00\x00\x00numpytR0"
    function = b"ccloudpickle.cloudpickle\n_make_function\n(X\x06\x00\x00\x00pandasX\x06\x00\x00\x00not ittR."
    usage = of_bytes(tmp_path, b"\x80\x02" + subimport + function)
    assert Use("numpy", "", "model.pkl", "code") in usage.uses
    assert Use("pandas", "", "model.pkl", "mention") in usage.uses
    assert "pandas" not in usage.modules
    assert {"numpy", "cloudpickle.cloudpickle"} <= usage.modules


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (pickle.dumps(THING)[:-20], "model.pkl: a damaged pickle: it ends at byte"),
        (b"\x80\x04\xff.", "model.pkl: a damaged pickle: no such opcode: b'\\xff' at byte 2"),
        (b"\x80\x04\x80\x09.", "model.pkl: a damaged pickle: pickle protocol 9 is not known"),
        (b"\x80\x04R.", "model.pkl: a damaged pickle: it makes no sense at byte 3"),
        (b"", "model.pkl: a damaged pickle: it ends at byte 0"),
        (b"\x80\x02\x82\x07.", "model.pkl: extension code 7: what it stands for is only known where it is loaded"),
        (b"\x80\x04\x8c\x02os)R\x8c\x06system\x93.", "model.pkl: a name in it is not known: computed while it loads"),
        (gzip.compress(pickle.dumps(THING))[:-30], "model.pkl: a damaged pickle: its compression is damaged"),
        (b"\x04\x22\x4d\x18 and so on", "model.pkl: compressed with lz4, which cannot be read here"),
    ],
)
def test_what_cannot_be_read_is_a_problem(tmp_path, data, problem):
    (found,) = of_bytes(tmp_path, data).problems
    assert found.startswith(problem)


def test_what_was_found_before_the_damage_counts(tmp_path):
    usage = of_bytes(tmp_path, pickle.dumps([decimal.Decimal(1), "x" * 300])[:-100])
    assert ("decimal", "Decimal") in names(usage)
    assert usage.problems


def array(shape, *, kind=b"f8", flags=0, aligned=True):
    """What joblib writes before the bytes of an array."""
    text = lambda value: b"\x8c" + bytes([len(value)]) + value  # noqa: E731
    sizes = b"".join(b"K" + bytes([size]) for size in shape)
    dtype = text(b"numpy") + text(b"dtype") + b"\x93" + text(kind) + b"\x89\x88\x87R"
    dtype += b"(K\x03" + text(b"<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK" + bytes([flags]) + b"tb"
    wrapper = text(b"joblib.numpy_pickle") + text(b"NumpyArrayWrapper") + b"\x93)\x81"
    state = b"}(" + text(b"shape") + b"(" + sizes + b"t" + text(b"dtype") + dtype
    state += text(b"numpy_array_alignment_bytes") + (b"K\x10" if aligned else b"N") + b"u"
    return wrapper + state + b"b"


AFTER = b"0cdecimal\nDecimal\n."


@pytest.mark.parametrize("aligned", [True, False])
def test_the_raw_arrays_of_joblib(tmp_path, aligned):
    raw = b"cos\nsystem\n" + b"\xff" * 37  # 6 * 8 bytes that are no opcodes
    data = b"\x80\x04" + array((2, 3), aligned=aligned) + (b"\x02\xff\xff" if aligned else b"") + raw + AFTER
    usage = of_bytes(tmp_path, data, "model.joblib")
    assert ("decimal", "Decimal") in names(usage)
    assert ("os", "system") not in names(usage)
    assert not usage.problems


def test_an_array_of_objects_is_a_pickle_of_its_own(tmp_path):
    data = b"\x80\x04" + array((2,), kind=b"O8", flags=63) + pickle.dumps([fractions.Fraction(1)], 2) + AFTER
    usage = of_bytes(tmp_path, data, "model.joblib")
    assert {("decimal", "Decimal"), ("fractions", "Fraction")} <= names(usage)
    assert not usage.problems


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), data)
    return buffer.getvalue()


def test_an_archive_of_torch(tmp_path):
    usage = of_bytes(tmp_path, zipped(archive__data_pkl=pickle.dumps(THING, 2), archive__data__0=b"\0" * 64), "net.pt")
    assert names(usage) >= USED
    assert next(iter(usage.uses)).file == "net.pt:archive/data.pkl"


def test_a_schema_of_skops(tmp_path):
    schema = {
        "__module__": "sklearn.pipeline",
        "__class__": "Pipeline",
        "content": [
            {"__class__": "function", "__module__": "numpy", "content": {"module_path": "numpy", "function": "log"}}
        ],
    }
    usage = of_bytes(tmp_path, zipped(schema_json=json.dumps(schema)), "model.skops")
    assert names(usage) == {("sklearn.pipeline", "Pipeline"), ("numpy", "function"), ("numpy", "log")}


def test_a_damaged_archive_and_a_damaged_schema(tmp_path):
    (problem,) = of_bytes(tmp_path, zipped(data_pkl=b"x" * 99)[:-30], "model.pt").problems
    assert problem.startswith("model.pt: a zip file that cannot be read")
    (problem,) = of_bytes(tmp_path, zipped(schema_json=b"{"), "model.skops").problems
    assert problem.startswith("model.skops:schema.json: a schema that cannot be read")


MLMODEL = """\
artifact_path: model
flavors:
  python_function:
    env:
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
    model_path: model.pkl
  sklearn:
    code: null
    pickled_model: model.pkl
  pytorch:
    pytorch_version: 2.5.1
mlflow_version: 2.19.0
signature:
  inputs: '[]'
"""


def test_a_model_directory_of_mlflow(tmp_path):
    (tmp_path / "code" / "mine").mkdir(parents=True)
    (tmp_path / "MLmodel").write_text(MLMODEL)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(decimal.Decimal(1)))
    (tmp_path / "requirements.txt").write_text("mlflow\n")
    (tmp_path / "serving_input_example.json").write_text("{}")
    (tmp_path / "code" / "mine" / "__init__.py").write_text(
        "import yaml.nodes\nfrom . import other\ndef f():\n    from google import protobuf\n"
        "    importlib.import_module('click')\n    __import__(name)\n"
    )
    usage = read_model(tmp_path)
    code = "code/mine/__init__.py"
    assert usage.uses == (
        Use("click", "", code, "code"),
        Use("decimal", "Decimal", "model.pkl", "pickle"),
        Use("google", "protobuf", code, "code"),
        Use("mlflow.sklearn", "", "MLmodel", "flavor"),
        Use("sklearn", "", "MLmodel", "flavor"),
        Use("torch", "", "MLmodel", "flavor"),
        Use("yaml.nodes", "", code, "code"),
    )
    assert usage.requirements == str(tmp_path / "requirements.txt")
    assert usage.problems == ()


def test_problems_name_the_file_within_the_model(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "broken.py").write_text("def f(:\n")
    (tmp_path / "data.pkl").write_bytes(b"no pickle")
    (tmp_path / "gone").symlink_to("nowhere")
    os.mkfifo(tmp_path / "queue.pkl")  # nobody writes to it: reading would never end
    first, second, third = read_model(tmp_path).problems
    assert first.startswith("code/broken.py: source that cannot be read (invalid syntax")
    assert second.startswith("data.pkl: a damaged pickle")
    assert third == "gone: No such file or directory"


@pytest.mark.parametrize(
    "text",
    [
        "numpy  # for arrays\n\nsklearn.ensemble\n",
        '["sklearn.ensemble", "numpy"]',
        '{"modules": ["numpy", "sklearn.ensemble"]}',
    ],
)
def test_a_list_of_modules(tmp_path, text):
    usage = of_bytes(tmp_path, text.encode(), "modules.txt")
    assert usage.uses == (
        Use("numpy", "", "modules.txt", "listed"),
        Use("sklearn.ensemble", "", "modules.txt", "listed"),
    )
    assert usage.modules == {"numpy", "sklearn.ensemble"}


def test_a_list_that_says_what_is_pickled(tmp_path):
    usage = of_bytes(tmp_path, b'{"modules": ["numpy", "yaml"], "pickled": ["numpy", "numpy"]}', "modules.json")
    assert usage.uses == (
        Use("numpy", "", "modules.json", "listed"),
        Use("numpy", "", "modules.json", "pickle"),
        Use("yaml", "", "modules.json", "listed"),
    )
    assert usage.listed


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a b\nok\n.x\n81d2__mypyc\n", "is no list of modules: line 1: 'a b'; line 3: '.x'"),
        (b"[1, 2", "is no list of modules: Expecting"),
        (b'{"other": 1}', 'is no list of modules: want [NAME, …] or {"modules": [NAME, …]}'),
        (b'{"modules": [], "pickled": 1}', 'is no list of modules: want [NAME, …] or {"modules": [NAME, …]}'),
        (b'{"modules": ["a"], "pickled": ["b", "c d", 5]}', "is no list of modules: pickled 2: 'c d'; pickled 3: '5'"),
        (b"\xff\xfe\x00", "is no model that can be read: neither a pickle nor text"),
    ],
)
def test_what_is_no_model(tmp_path, data, message):
    with pytest.raises(ModelError) as caught:
        of_bytes(tmp_path, data, "modules")
    assert isinstance(caught.value, DiffError)
    assert message in str(caught.value)


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match=r"cannot read the model .*/gone: No such file or directory"):
        read_model(tmp_path / "gone")


def test_a_registered_extension_is_still_not_known(tmp_path):
    """Which class a code stands for depends on the process, so that of this one says nothing."""
    copyreg.add_extension("decimal", "Decimal", 200)
    try:
        data = pickle.dumps(decimal.Decimal(1), 2)
        pickle.loads(data)
    finally:
        copyreg.remove_extension("decimal", "Decimal", 200)
        copyreg.clear_extension_cache()
    assert of_bytes(tmp_path, data).problems
