"""What is collected of an environment that was made by hand, and that it goes into a store and comes out of it."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import snapshot
from snapshot.description import NO_FACTS
from snapshot.facts.document import encode_facts
from snapshot.facts.model import Source, StartupHook, SystemLibrary
from snapshot.store import Store
from snapshot.store.manifest import FACTS_TYPE
from tests.handmade import HandMade, recorded

VARIABLES = {"OMP_NUM_THREADS": "2", "SOMETHING": "else"}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return HandMade(Path(tmp_path_factory.mktemp("facts")) / "env").make()


@pytest.fixture
def env(plain, tmp_path):
    return plain.copy_to(tmp_path / "env")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def site(env, *parts):
    return "/".join((os.path.relpath(env.site, env.path), *parts))


def by_name(facts):
    return {each.name: each for each in facts.distributions}


def modules(facts):
    return {each.name: each for each in facts.modules}


def test_all_aspects_but_those_that_were_not_asked_for(plain):
    assert snapshot.describe(plain.path).facts.missing == ("variables", "numeric")
    assert snapshot.describe(plain.path, variables={}).facts.missing == ("numeric",)


def test_a_store_gives_back_what_a_capture_found(env, store):
    captured = snapshot.capture(env.path, store, name="env", variables=VARIABLES)
    loaded = snapshot.load("env", store)
    live = snapshot.describe(env.path, variables=VARIABLES, key=store.variables_key())
    assert loaded.facts == live.facts
    assert loaded.facts != NO_FACTS
    assert loaded.facts.host.machine == os.uname().machine
    assert {item.name for item in loaded.facts.variables.items} == VARIABLES.keys()
    assert snapshot.verify("env", store).problems == ()
    assert store.check() == ()
    assert captured.packed_bytes == store.manifest("env").packed_bytes


def test_facts_are_no_part_of_the_identity(env, store):
    one = snapshot.capture(env.path, store, name="env")
    first = store.manifest("env")
    other = snapshot.capture(env.path, store, name="env", variables=VARIABLES)
    assert one.snapshot == other.snapshot
    assert [each.name for each in store.references()] == ["env"]
    changed = store.manifest("env").content.keys() ^ first.content.keys()
    assert len(changed) == 2  # the facts of the one, and of the other
    assert snapshot.load("env", store).facts.variables is not None
    store.collect(grace=0)
    assert store.check() == ()
    assert snapshot.load("env", store).facts.variables is not None


def test_damaged_facts_are_a_problem_of_the_snapshot(env, store):
    snapshot.capture(env.path, store, name="env", interpreter=False)
    (blob,) = [blob for blob in store.manifest("env").content.values() if blob.media_type == FACTS_TYPE]
    os.unlink(os.path.join(store.backend.path, "blobs", "sha256", blob.digest.hex))
    (problem,) = snapshot.verify("env", store).problems
    assert blob.digest in problem.detail
    with pytest.raises(snapshot.SnapshotError, match=str(blob.digest)):
        snapshot.load("env", store)


def test_optimize_leaves_facts_alone_and_sizes_count_them(env, store):
    snapshot.capture(env.path, store, name="env/1", interpreter=False)
    (env.site / "one.py").write_text("value = 3\n")
    snapshot.capture(env.path, store, name="env/2", interpreter=False)
    before = snapshot.load("env/1", store).facts
    snapshot.optimize(store)
    assert snapshot.load("env/1", store).facts == before
    assert store.check() == ()
    sizes = snapshot.sizes("env/2", store)
    assert sizes.base_bytes == 0
    (blob,) = [blob for blob in store.manifest("env/2").content.values() if blob.media_type == FACTS_TYPE]
    assert sizes.other_bytes > blob.size


def test_what_a_distribution_says(env):
    (env.note / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: one\nVersion: 1.0\nRequires-Dist: click (>=8)\n"
        'Requires-Dist: tomli; python_version\n        < "3.11"\nRequires-Dist: x @ https://me:secret@host/x.whl\n\n'
        "Requires-Dist: not-this\n"
    )
    (env.note / "WHEEL").write_text("Wheel-Version: 1.0\nTag: py3-none-any\nTag: py2-none-any\n")
    (env.note / "entry_points.txt").write_text("# all\n[console_scripts]\ntool = one:main\n\n[a.group]\nb=c:d [e]\n")
    found = by_name(snapshot.describe(env.path).facts)["one"]
    assert (found.version, found.metadata) == ("1.0", site(env, "one-1.0.dist-info"))
    assert found.requires == ("click (>=8)", 'tomli; python_version < "3.11"', "x @ https://****@host/x.whl")
    assert found.tags == ("py2-none-any", "py3-none-any")
    assert found.entry_points == (("a.group", "b", "c:d [e]"), ("console_scripts", "tool", "one:main"))
    assert found.source is None


@pytest.mark.parametrize(
    ("direct_url", "source"),
    [
        (
            {"url": "https://me:pw@host/x.git", "vcs_info": {"vcs": "git", "commit_id": "0a1b"}},
            Source("https://****@host/x.git", "git", "0a1b"),
        ),
        (
            {"url": "https://host/x.whl?sig=pw#part", "archive_info": {"hashes": {"md5": "00", "sha256": "ff"}}},
            Source("https://host/x.whl?****#part", digest="sha256:ff"),
        ),
        (
            {"url": "https://host/x.whl", "archive_info": {"hash": "md5=00"}},
            Source("https://host/x.whl", digest="md5:00"),
        ),
        ({"url": "file:///opt/x%20y", "dir_info": {}}, Source("file:///opt/x%20y")),
        ({"url": "https://host/x.whl", "archive_info": {}}, Source("https://host/x.whl")),
        ({"uri": "x"}, None),
        ([], None),
        ({"url": "https://host/x", "dir_info": 3}, None),
    ],
)
def test_where_a_distribution_came_from(env, direct_url, source):
    (env.note / "direct_url.json").write_text(json.dumps(direct_url))
    assert by_name(snapshot.describe(env.path).facts)["one"].source == source


def test_an_editable_install_is_named_by_its_place_in_the_environment(env, tmp_path):
    code = tmp_path / "code of one"
    (code / "inner").mkdir(parents=True)
    (code / "inner" / "__init__.py").write_text("")
    content = {"url": code.as_uri(), "dir_info": {"editable": True}}
    (env.note / "direct_url.json").write_text(json.dumps(content))
    (env.site / "one.pth").write_text(f"{code}\n")
    facts = snapshot.describe(env.path).facts
    assert by_name(facts)["one"].source == Source(".envparity/src/one", editable=True)
    assert facts.search_path[-1] == ".envparity/src/one"
    found = modules(facts)["inner"]
    assert (found.path, found.owner) == (".envparity/src/one/inner/__init__.py", "one")


def test_the_finder_of_an_editable_install(env, tmp_path):
    code = tmp_path / "code"
    (code / "inner").mkdir(parents=True)
    (code / "inner" / "__init__.py").write_text("")
    (code / "single.py").write_text("")
    (env.note / "direct_url.json").write_text(json.dumps({"url": code.as_uri(), "dir_info": {"editable": True}}))
    mapping = {"inner": str(code / "inner"), "single": str(code / "single"), "json": str(code / "inner")}
    (env.site / "__editable___one_1_0_finder.py").write_text(f"import sys\nMAPPING: dict[str, str] = {mapping!r}\n")
    found = modules(snapshot.describe(env.path).facts)
    assert found["inner"].path == ".envparity/src/one/inner/__init__.py"
    assert found["single"].path == ".envparity/src/one/single.py"
    assert found["json"].owner == "python"  # such a finder is asked last
    assert found["json"].hidden == (".envparity/src/one/inner/__init__.py",)


def test_record_is_held_against_the_files(env):
    with (env.note / "RECORD").open("a") as record:
        record.write("gone.py,,\n")
    (env.site / "third.py").write_bytes(b"value = 2\n")
    (env.site / "other-1.0.dist-info" / "RECORD").unlink()
    found = by_name(snapshot.describe(env.path).facts)
    assert found["third"].modified == (site(env, "third.py"),)
    assert found["one"].missing == (site(env, "gone.py"),)
    assert found["one"].record
    assert not found["other"].record


def test_what_two_distributions_claim_with_other_content(env):
    record = env.site / "other-1.0.dist-info" / "RECORD"
    rows = [line for line in record.read_text().splitlines() if "bin/tool" not in line]
    record.write_text("\n".join([*rows, f"../../../bin/tool,{recorded(b'another')}", ""]))
    found = by_name(snapshot.describe(env.path).facts)
    assert found["one"].disputed == found["other"].disputed == ("bin/tool",)
    assert found["third"].disputed == ()


def test_startup_hooks(env):
    (env.site / "paths.pth").write_text("# a comment\n\n../x\n")
    (env.site / "code.pth").write_text("/nowhere\nimport os; os.getcwd()\n")
    (env.site / "marked.pth").write_bytes(b"\xef\xbb\xbfimport os\r\n")
    (env.site / "sitecustomize.py").write_text("")
    (env.site / "below").mkdir()
    (env.site / "below" / "not.pth").write_text("import os\n")
    (env.path / "also-not.pth").write_text("import os\n")
    found = snapshot.describe(env.path).facts.startup
    assert tuple(hook for hook in found if hook.owner != "python") == (  # Debian's Python has one of its own
        StartupHook(site(env, "code.pth"), "pth", code=True, owner=""),
        StartupHook(site(env, "marked.pth"), "pth", code=True, owner=""),
        StartupHook(site(env, "paths.pth"), "pth", code=False, owner=""),
        StartupHook(site(env, "sitecustomize.py"), "sitecustomize", code=True, owner=""),
    )


def test_directories_outside_are_looked_into_one_level_deep(env, tmp_path):
    """A path line may name the root of the file system, with all the links that lead round in it."""
    (env.site / "x.pth").write_text("/\n")
    facts = snapshot.describe(env.path).facts
    assert facts.search_path[-1] == "/"
    assert {each.name.count(".") for each in facts.modules if each.path.startswith("/")} <= {0}


def test_links_that_lead_round(env):
    (env.site / "space" / "inner").mkdir(parents=True)
    (env.site / "space" / "found.py").write_text("")
    (env.site / "space" / "round").symlink_to("..")
    (env.site / "self").symlink_to(".")
    (env.site / "loop").symlink_to("loop")
    found = modules(snapshot.describe(env.path).facts)
    assert found["space.found"].path == site(env, "space", "found.py")
    assert "loop" not in found


def test_what_is_left_out_is_in_no_facts(env, store):
    snapshot.capture(env.path, store, name="env", exclude=["dist:one", "*/third.py"], interpreter=False)
    facts = snapshot.load("env", store).facts
    assert by_name(facts).keys() == {"other", "third"}
    assert modules(facts).keys() & {"one", "third", "other"} == {"other"}
    assert by_name(facts)["third"].missing == ()


def test_the_facts_of_an_unchanged_environment_are_the_same_bytes(env, store, monkeypatch):
    monkeypatch.setattr("snapshot.capturing.TICK", -3600.0)
    snapshot.capture(env.path, store, name="env", variables=VARIABLES)
    first = store.manifest("env")
    monkeypatch.setattr("snapshot.facts.collect.native", _must_not)
    monkeypatch.setattr("snapshot.facts.metadata.distributions", _must_not)
    again = snapshot.capture(env.path, store, name="env", variables=VARIABLES)
    assert store.manifest("env") == first
    assert again.added_bytes == 0


def _must_not(*_, **__):
    raise AssertionError("nothing has changed: there is nothing to read")


EDITS = {
    "nothing": lambda env: None,
    "metadata": lambda env: (env.note / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: one\nVersion: 1.0\nRequires-Dist: click\n"
    ),
    "a hook": lambda env: (env.site / "a.pth").write_text("import os\n"),
    "a module": lambda env: (env.site / "json.py").write_text(""),
    "a modified file": lambda env: (env.site / "one.py").write_text("value = 7\n"),
    "a missing file": lambda env: (env.site / "third.py").unlink(),
    "a distribution less": lambda env: (env.site / "third-1.0.dist-info" / "METADATA").unlink(),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_what_is_remembered_does_not_change_what_is_found(env, store, tmp_path, monkeypatch, edit):
    monkeypatch.setattr("snapshot.capturing.TICK", -3600.0)
    snapshot.capture(env.path, store, name="env", interpreter=False)
    edit(env)
    snapshot.capture(env.path, store, name="env", interpreter=False)
    fresh = snapshot.describe(env.path).facts
    assert encode_facts(snapshot.load("env", store).facts) == encode_facts(fresh)


def test_a_damaged_memory_is_none(env, store, monkeypatch):
    monkeypatch.setattr("snapshot.capturing.TICK", -3600.0)
    snapshot.capture(env.path, store, name="env", interpreter=False)
    first = store.manifest("env")
    (file,) = (store.cache / "facts").iterdir()
    good = json.loads(file.read_bytes())
    for damaged in (
        b"",
        b"[]",
        b'{"files":3}',
        json.dumps({"files": {**good["files"], "facts": {"modules": 3}}}).encode(),
    ):
        file.write_bytes(damaged)
        snapshot.capture(env.path, store, name="env", interpreter=False)
        assert store.manifest("env") == first


def test_another_library_of_the_system_is_noticed(env, store, monkeypatch, tmp_path):
    """The witnesses: a file of the system that the facts rest upon is looked at each time."""
    monkeypatch.setattr("snapshot.capturing.TICK", -3600.0)
    directory = tmp_path / "libraries"
    directory.mkdir()
    variables = {"LD_LIBRARY_PATH": str(directory)}
    snapshot.capture(env.path, store, name="env", interpreter=False, variables=variables)
    (directory / "a-new-file").write_text("")
    looked = []
    real = snapshot.facts.collect.native
    monkeypatch.setattr(
        "snapshot.facts.collect.native", lambda *given, **more: looked.append(1) or real(*given, **more)
    )
    snapshot.capture(env.path, store, name="env", interpreter=False, variables=variables)
    assert looked == [1]


def test_the_fingerprint_is_taken_once(env, store, monkeypatch):
    taken = []

    class Fingerprinting(contextlib.nullcontext):
        def __init__(self, python, *, environ, seconds=0):
            super().__init__(self)
            taken.append((python, environ))

        def result(self):
            return snapshot.facts.model.Numeric((("libm", "version", str(len(taken))),), ())

    monkeypatch.setattr("snapshot.facts.numeric.Fingerprinting", Fingerprinting)

    def capture(**variables):
        snapshot.capture(env.path, store, name="env", interpreter=False, variables=variables, fingerprint=True)
        return snapshot.load("env", store).facts.numeric.backend[0][2]

    assert capture(OMP_NUM_THREADS="1") == "1"
    assert taken == [(str(env.path / "bin/python"), {"OMP_NUM_THREADS": "1"})]
    (env.site / "one.py").write_text("value = 9\n")
    assert capture(OMP_NUM_THREADS="1", OTHER="x") == "1"  # neither can change what computes
    assert capture(OMP_NUM_THREADS="2") == "2"
    (env.site / "sitecustomize.py").write_text("")
    assert capture(OMP_NUM_THREADS="2") == "3"

    def described(**options):
        found = snapshot.describe(env.path, variables={"OMP_NUM_THREADS": "2"}, fingerprint=True, **options)
        return found.facts.numeric.backend[0][2]

    assert described(cache=store.cache) == "3"
    assert described() == "4"


def test_the_fingerprint_is_taken_again_when_something_else_computes(env, store, tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr(
        "snapshot.facts.numeric.fingerprint", lambda *_, **__: taken.append(1) or snapshot.facts.model.Numeric((), ())
    )
    variables = {"LD_LIBRARY_PATH": "/opt/one"}

    def again():
        before = len(taken)
        snapshot.describe(env.path, variables=variables, fingerprint=True, cache=store.cache)
        return len(taken) > before

    monkeypatch.setattr("snapshot.facts.collect.Ahead.begin", lambda *_: None)
    assert again()
    assert not again()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text("{}")
    snapshot.capture(env.path, store, model=tmp_path / "model", variables=variables, fingerprint=True)
    assert len(taken) == 1  # a model is not imported by the probe
    for value in ("/nix/store/" + "a" * 32 + "-one", "/nix/store/" + "b" * 32 + "-one"):
        variables["LD_LIBRARY_PATH"] = value  # it could be a secret: facts do not have the value
        assert snapshot.describe(env.path, variables=variables).facts.variables.items[0].value is None
        assert again()
        assert not again()
    real = snapshot.facts.collect.native
    upgraded = SystemLibrary("libopenblas.so.0", "/usr/lib/libopenblas.so.0", "", "another", ())
    monkeypatch.setattr(
        "snapshot.facts.collect.native", lambda *given, **more: replace(real(*given, **more), libraries=(upgraded,))
    )
    (env.site / "third.py").write_text("")  # or else the libraries are as remembered, which have their own witnesses
    assert again()


def test_what_is_left_out_is_in_no_fingerprint(env, store, monkeypatch):
    """The probe runs where it still is."""
    (env.site / "numpy-2.0.dist-info").mkdir()
    (env.site / "numpy-2.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 2.0\n")
    (env.site / "numpy-2.0.dist-info" / "RECORD").write_text("numpy-2.0.dist-info/METADATA,,\n")
    rows = (
        ("libm", "version", "1"),
        ("mkl", "version", "2025"),
        ("numpy", "version", "2.0"),
        ("scipy", "status", "not installed"),
    )
    numeric = snapshot.facts.model.Numeric(rows, ())
    monkeypatch.setattr("snapshot.facts.collect.Ahead.begin", lambda *_: None)
    monkeypatch.setattr("snapshot.facts.numeric.fingerprint", lambda *_, **__: numeric)
    for name, options in (("whole", {}), ("less", {"exclude": ["dist:numpy"]}), ("other", {"exclude": ["dist:third"]})):
        captured = snapshot.capture(env.path, store, name=name, interpreter=False, fingerprint=True, **options)
        said = [each.detail for each in captured.findings if each.kind == "no-fingerprint"]
        assert said == (["it computes with numpy, which the capture leaves out"] if name == "less" else [])
        assert (snapshot.load(name, store).facts.numeric is None) == (name == "less")


def test_a_fingerprint_that_fails_is_a_finding(env, store, monkeypatch):
    from snapshot.facts.numeric import FingerprintError

    def result(_):
        raise FingerprintError("the numeric probe was ended by SIGILL")

    monkeypatch.setattr("snapshot.facts.numeric.Fingerprinting.result", result)
    captured = snapshot.capture(env.path, store, name="env", interpreter=False, fingerprint=True)
    assert [(each.kind, each.detail) for each in captured.findings if each.kind == "no-fingerprint"] == [
        ("no-fingerprint", "the numeric probe was ended by SIGILL")
    ]
    assert snapshot.load("env", store).facts.missing == ("variables", "numeric")
    assert any(each.kind == "no-fingerprint" for each in snapshot.describe(env.path, fingerprint=True).findings)


def test_another_interpreter_takes_no_fingerprint(env, store):
    snapshot.capture(
        env.path, store, name="env", python=os.path.realpath(sys.executable), interpreter=False, fingerprint=True
    )
    assert snapshot.load("env", store).facts.numeric is None
