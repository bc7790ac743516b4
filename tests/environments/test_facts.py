"""The truth about facts: the real interpreter says what its path is and what each name resolves to."""

from __future__ import annotations

import json
import os

import pytest

import snapshot

pytestmark = pytest.mark.environments

#: What `site` made of the path, and the file that an import of each name would run; namespace packages have none.
ORACLE = """
import importlib.util, json, sys
found = {}
for name in json.load(sys.stdin):
    try:
        spec = importlib.util.find_spec(name)
    except ImportError:
        spec = None
    state = getattr(spec, "loader_state", None)
    found[name] = spec and (getattr(state, "filename", None) or spec.origin)
print(json.dumps([sys.path, found]))
"""
#: Redirected by a hook that setuptools installs at start-up.
HOOKED = {"distutils"}


@pytest.fixture(scope="module")
def packed(lab, root):
    """A venv with compiled modules, a namespace package, and much that hides something else."""
    made = lab.venv(root / "facts" / "packed")
    lab.pip_install(made, "numpy", "sphinxcontrib-jsmath", "cowsay<6.2")
    outside = root / "facts" / "outside"
    for path, content in {
        "from_a_path.py": "",
        "json.py": "",
        "cowsay.py": "",
        "sphinxcontrib/mine.py": "",
        "space/inner/deep.py": "",
        "both/__init__.py": "",
    }.items():
        lab.Made(outside, made.base).write(path, content)
    site = os.path.relpath(made.site, made.path)
    for path, content in {
        "json.py": "",
        "sys.py": "",
        "both.py": "",
        "only.pyc": "",
        "both_of_them.py": "",
        "both_of_them/__init__.py": "",
        "not_a_package/data.txt": "",
        "space/other.py": "",
        "dashed-name.py": "",
        "b.pth": f"{outside}\n/nowhere/at/all\n# nothing\n",
        "a.pth": "inside\n",
        "inside/within.py": "",
        "inside/cowsay.py": "",
    }.items():
        made.write(os.path.join(site, path), content)
    os.symlink("both_of_them", made.at(site, "linked"))
    os.symlink("gone.py", made.at(site, "dangling.py"))
    return made


@pytest.fixture(scope="module")
def facts(packed):
    return snapshot.describe(packed).facts


def ask(made, names):
    out = made.run("-I", "-c", ORACLE, stdin=None, input=json.dumps(sorted(names)).encode())
    return json.loads(out.stdout)


def restored(made, path, sources):
    """A path of this machine as facts have it."""
    if path is None or not path.startswith("/"):
        return path
    for directory, mount in sources:
        for spelling in {directory, os.path.realpath(directory)}:
            if path == spelling or path.startswith(spelling + "/"):
                return os.path.join(mount, path[len(spelling) + 1 :]).rstrip("/")
    return path


def places(made, facts):
    (outside,) = [each for each in facts.search_path if each.startswith(".envparity/src/")]
    directory = os.path.join(os.path.dirname(made.path), "outside")
    return [(made.path, ""), (directory, outside), (made.base, ".envparity/python")]


def test_the_search_path_is_that_of_the_interpreter(packed, facts):
    path, _ = ask(packed, [])
    assert [restored(packed, each, places(packed, facts)) for each in path] == list(facts.search_path)


def test_every_name_resolves_to_what_the_interpreter_finds(packed, facts):
    resolved = {each.name: each.path for each in facts.modules if each.name not in HOOKED}
    _, truth = ask(packed, resolved)
    assert {name: restored(packed, path, places(packed, facts)) for name, path in truth.items()} == resolved
    assert len(resolved) > 250


def test_no_name_that_the_interpreter_finds_is_missing(packed, facts):
    """All names that lie at the top of a directory of the path, whatever they are."""
    path, _ = ask(packed, [])
    listed = {name.partition(".")[0] for each in path if os.path.isdir(each) for name in os.listdir(each)}
    _, truth = ask(packed, listed - HOOKED - {"test", "__pycache__"})
    found = {name for name, where in truth.items() if where is not None}
    assert found - {each.name for each in facts.modules} == set()


def test_what_is_hidden(packed, facts):
    modules = {each.name: each for each in facts.modules}
    site = os.path.relpath(packed.site, packed.path)
    outside = places(packed, facts)[1][1]
    assert modules["json"].owner == "python"
    assert modules["json"].hidden == (f"{site}/json.py", f"{outside}/json.py")
    assert modules["sys"].path == "built-in"
    assert modules["sys"].hidden == (f"{site}/sys.py",)
    assert modules["both_of_them"].hidden == (f"{site}/both_of_them.py",)
    assert modules["both"].path == f"{site}/both.py"
    assert modules["cowsay"].owner == "cowsay"
    assert modules["cowsay"].hidden == (f"{site}/inside/cowsay.py", f"{outside}/cowsay.py")
    assert modules["space.other"].path == f"{site}/space/other.py"
    assert modules["space.inner.deep"].path == f"{outside}/space/inner/deep.py"
    assert modules["sphinxcontrib.jsmath"].owner == "sphinxcontrib-jsmath"
    assert modules["sphinxcontrib.mine"].owner == ""
    assert not {"dangling", "not_a_package", "__pycache__"} & modules.keys()


def test_the_interpreters_own_prefix(lab, root, tmp_path):
    base = lab.default().base
    path, truth = json.loads(
        lab.run(
            lab.default().path, "-I", "-c", ORACLE, stdin=None, input=json.dumps(["json", "math", "os", "pip"]).encode()
        ).stdout
    )
    made = lab.venv(tmp_path / "seeing", "--system-site-packages", "--without-pip")
    facts = snapshot.describe(made).facts
    found = {each.name: each for each in facts.modules}
    assert found["pip"].path == ".envparity/python/" + os.path.relpath(truth["pip"], base)
    assert found["pip"].owner == "pip"
    assert facts.search_path[-1] == ".envparity/python/" + os.path.relpath(path[-1], base)
    assert facts.search_path[-2] == os.path.relpath(made.site, made.path)
    assert "pip" in {each.name for each in facts.distributions}


#: Part of the executable, or said of them nothing, in older versions: what stands for them on the path is never imported.
FROZEN = {"_imp", "builtins", "sys", "zipimport"}


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_every_version_of_the_interpreter(lab, tmp_path, version):
    made = lab.venv(tmp_path / "env", "--without-pip", python=lab.interpreter(version))
    site = os.path.relpath(made.site, made.path)
    for path, content in {
        ".hidden.pth": f"{made.path}/{site}/beside\n",
        "a.pth": "inside\n\n# no\nnowhere\n",
        "beside/found.py": "",
        "inside/within.py": "",
        "space/below.py": "",
        "json.py": "",
    }.items():
        made.write(os.path.join(site, path), content)
    facts = snapshot.describe(made).facts
    resolved = {each.name: each.path for each in facts.modules if each.name not in FROZEN}
    path, truth = ask(made, {*resolved, "found"} - FROZEN)
    known = [(made.path, ""), (made.base, ".envparity/python")]
    assert [restored(made, each, known) for each in path] == list(facts.search_path)
    assert {name: restored(made, truth[name], known) for name in resolved} == resolved
    assert ("found" in resolved) == (truth["found"] is not None)  # whether a hidden .pth is read depends on the release


def test_a_restored_environment_has_the_same_facts(lab, packed, facts, store, tmp_path):
    """Wherever it lies, and whatever its base is."""
    snapshot.capture(packed, store, name="facts/whole")
    assert snapshot.load("facts/whole", store).facts == facts
    made = lab.restored(store, "facts/whole", tmp_path / "elsewhere", packed)
    found = snapshot.describe(made).facts
    for name in ("distributions", "startup", "search_path", "modules", "native", "build", "host"):
        assert getattr(found, name) == getattr(facts, name), name


def test_the_fingerprint_of_a_real_environment(packed, store):
    snapshot.capture(packed, store, name="facts/1", variables=dict(os.environ), fingerprint=True, interpreter=False)
    facts = snapshot.load("facts/1", store).facts
    assert facts.missing == ()
    assert {each.group for each in facts.numeric.measurements} >= {"libm", "numpy", "blas"}
    assert facts.native.floor
