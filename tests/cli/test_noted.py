"""`envparity diff` with what a snapshot notes of its model, on real environments: no --model is needed."""

from __future__ import annotations

import json

import pytest

import snapshot
from diffing.usage import ModelError
from registration.deploying import deploy
from registration.sides import noted_variables
from tests.library.conftest import make_environment

MODULES = json.dumps({"schema": 1, "modules": ["thing"]}).encode()


def spare(site, version):
    information = site / f"spare-{version}.dist-info"
    information.mkdir()
    (site / "spare.py").write_text(f"x = {version!r}\n")
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: spare\nVersion: {version}\n")
    (information / "RECORD").write_text(
        "".join(f"{information.name}/{name},,\n" for name in ("METADATA", "RECORD")) + "spare.py,,\n"
    )


@pytest.fixture
def live(tmp_path):
    """An environment that has another `spare` than the one that is captured as often as `captured` is called."""
    for name, version in (("train", "1.0"), ("live", "2.0")):
        spare(make_environment(tmp_path / name), version)
    return tmp_path / "live"


@pytest.fixture
def captured(tmp_path, store, live):
    def capture(name, **notes):
        found = {name.replace("_", "."): data for name, data in notes.items()}
        snapshot.capture(tmp_path / "train", store, name=name, notes=found)
        return name

    return capture


def test_modules_decide_what_is_reachable(envparity, captured, live):
    without = envparity.json("diff", captured("plain"), live, code=None)
    noted = envparity.json("diff", captured("noted", modules_json=MODULES), live, code=None)
    assert without["counts"] != noted["counts"]
    assert "reachable 1 of 2 distributions" in envparity("diff", "noted", live, code=None).stdout
    assert "what the model reaches is not known" in envparity("diff", "plain", live, code=None).stdout


@pytest.mark.parametrize(
    ("note", "found"),
    [(b'{"modules": ["thing"], "sets": {"A": "1"}}', {"A": "1"}), (MODULES, {}), (b'["thing"]', {}), (b"thing\n", {})],
)
def test_variables_that_loading_sets(captured, store, note, found):
    assert noted_variables(captured("noted", modules_json=note), store) == found


@pytest.mark.parametrize(
    ("note", "message"),
    [
        (b'{"modules": ', r"^modules\.json of bad is no JSON \(.*\); register the model again$"),
        (
            b'{"modules": [], "sets": ["A"]}',
            r"^modules\.json of bad: sets: want an object of variables and their values, both",
        ),
        (
            b'{"modules": [], "sets": {"A": 1}}',
            r"^modules\.json of bad: sets: want an object of variables and their values",
        ),
    ],
)
def test_variables_that_cannot_be_read(captured, store, note, message):
    with pytest.raises(ModelError, match=message):
        noted_variables(captured("bad", modules_json=note), store)


def test_what_is_not_reached_does_not_decide(envparity, captured, live):
    """`spare` has another version."""
    captured("noted", modules_json=MODULES)
    captured("other", modules_json=MODULES.replace(b"thing", b"spare"))
    assert envparity("diff", "noted", live, code=0).stdout.startswith("PARITY: PASSED")
    assert envparity("diff", "other", live, code=1).stdout.startswith("PARITY: FAILED  DRIFTED")


@pytest.mark.parametrize("verify", ["quick", "full"])
def test_a_deployment_reaches_what_diff_reaches(store, captured, tmp_path, verify):
    found = {}
    for name, notes in (("plain", {}), ("noted", {"modules_json": MODULES})):
        done = deploy(captured(name, **notes), tmp_path / name / "there", store, verify=verify)
        found[name] = done.report.counts.reachable
    assert found == {"plain": None, "noted": 1}


def test_what_is_locked_is_reachable_too(envparity, captured, live):
    captured("both", modules_json=MODULES, requirements_lock=b"--index-url https://host/simple\nspare==1.0\n")
    assert "reachable 2 of 2 distributions" in envparity("diff", "both", live, code=None).stdout


def test_a_lock_alone_says_nothing(envparity, captured, live):
    captured("lock", requirements_lock=b"thing==1.0\n")
    assert "what the model reaches is not known" in envparity("diff", "lock", live, code=None).stdout


def test_a_model_that_is_given_wins(envparity, captured, live, tmp_path):
    (tmp_path / "list.txt").write_text("spare\nthing\n")
    captured("noted", modules_json=MODULES)
    assert "reachable 2 of 2" in envparity("diff", "noted", live, "--model", tmp_path / "list.txt", code=None).stdout


@pytest.mark.parametrize(
    ("notes", "match"),
    [
        ({"modules_json": b"{"}, "modules.json of bad is no list of modules"),
        ({"modules_json": b'{"schema":2,"modules":[]}'}, "schema 2, and 1 is read; install a newer envparity"),
        ({"modules_json": b'{"modules":["a b"]}'}, "no list of modules: item 1: 'a b'"),
        (
            {"modules_json": MODULES, "requirements_lock": b"-r /etc/passwd\n"},
            "requirements.lock of bad:1: /etc/passwd cannot be included here; write its lines instead",
        ),
        (
            {"modules_json": MODULES, "requirements_lock": b"-c https://me:pw@host/x.txt\n"},
            "requirements.lock of bad:1: https://****@host/x.txt cannot be included here",
        ),
    ],
)
def test_notes_that_say_nothing(envparity, captured, live, notes, match):
    captured("bad", **notes)
    said = envparity.error("diff", "bad", live)
    assert match in said
    assert "root:" not in said
