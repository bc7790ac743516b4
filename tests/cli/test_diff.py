"""`envparity diff`: sides, exit codes, formats. What the reports look like is tested beside the renderers."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from diffing.rendering import document
from diffing.testing import description, file, layer
from snapshot.model import Kind


@pytest.fixture
def trained(store, make, library):
    """A snapshot `churn/3`."""
    described = make.training()
    library.environments[make.publish(store, described, "churn/3").snapshot] = described
    return described


@pytest.fixture
def live(library, environment, make):
    """An environment `live`, in which one file differs."""
    described = library.environments["live"] = make.training(core=b"edited")
    return described


def test_equal(envparity, library, trained, environment, make):
    library.environments["live"] = make.training()
    said = envparity("diff", "churn/3", "live").stdout
    assert said.startswith("PARITY: PASSED  IDENTICAL")
    assert f"train  churn/3  {trained.snapshot.parity_root[:19]}" in said
    report = envparity.json("diff", "live", "churn")
    assert (report["verdict"], report["passed"], report["differences"]) == ("IDENTICAL", True, [])
    assert (report["train"]["label"], report["serve"]["label"]) == ("live", "churn")
    assert report["train"]["parity_root"] == report["serve"]["parity_root"] == trained.snapshot.parity_root


def test_beyond_the_policy_is_exit_code_1(envparity, trained, live):
    said = envparity("diff", "churn/3", "live", code=1).stdout
    assert said.startswith("PARITY: FAILED  DRIFTED")
    assert "core.py" in said
    report = envparity.json("diff", "churn/3", "live", code=1)
    assert (report["verdict"], report["passed"]) == ("DRIFTED", False)
    assert [each["path"] for each in report["differences"]] == ["lib/click/core.py"]


def test_within_a_policy_is_exit_code_0(envparity, trained, live, tmp_path):
    policy = tmp_path / "policy.toml"
    policy.write_text('max-verdict = "DRIFTED"\n')
    report = envparity.json("diff", "churn/3", "live", "--policy", policy)
    assert (report["verdict"], report["passed"], report["policy"]["name"]) == ("DRIFTED", True, "policy.toml")


def test_a_policy_with_mistakes_is_one_line(envparity, trained, live, tmp_path):
    policy = tmp_path / "policy.toml"
    policy.write_text('max-verdict = "FINE"\nallow = 1\n[rules]\n"no-such-rule" = "ignore"\n')
    said = envparity.error("diff", "churn/3", "live", "--policy", policy)
    assert "\n" not in said
    for part in ("policy.toml", "max-verdict", "'FINE'", "allow", "no-such-rule"):
        assert part in said


def test_what_the_model_cannot_reach_counts_less(envparity, library, trained, live, tmp_path):
    (tmp_path / "modules.txt").write_text("json\n")
    unknown = envparity.json("diff", "churn/3", "live", code=1)
    assert unknown["differences"][0]["reachable"] is None
    # These descriptions do not say which module is whose, so a list of modules does not help.
    listed = envparity.json("diff", "churn/3", "live", "--model", tmp_path / "modules.txt", code=1)
    assert listed["differences"][0]["reachable"] is None


def test_several_serving_sides(envparity, library, trained, live, tmp_path, make):
    other = tmp_path / "other"
    other.mkdir()
    (other / "pyvenv.cfg").write_text("home = /usr/bin\n")
    library.environments["other"] = make.training()
    said = envparity("diff", "churn/3", "live", "other", code=1).stdout
    assert said.count("PARITY:") == 2
    found = envparity.json("diff", "churn/3", "live", "other", code=1)
    assert [each["serve"]["label"] for each in found["reports"]] == ["live", "other"]
    assert [each["passed"] for each in found["reports"]] == [False, True]


def test_requirements_as_the_training_side(envparity, library, live, tmp_path):
    (tmp_path / "requirements.txt").write_text("click==8.1.7\n")
    (tmp_path / "other.txt").write_text("click==8.1.8\n")
    report = envparity.json("diff", "--requirements", "requirements.txt", "live")
    assert (report["train"]["kind"], report["verdict"], report["flags"]) == ("requirements", "EQUIVALENT", ["UNKNOWN"])
    report = envparity.json("diff", "other.txt", "live", code=1)
    assert [(each["subject"], each["train"], each["serve"]) for each in report["differences"]] == [
        ("click", "8.1.8", "8.1.7")
    ]


def test_requirements_cannot_be_the_serving_side(envparity, library, live, trained, tmp_path):
    (tmp_path / "requirements.txt").write_text("click==8.1.7\n")
    said = envparity.error("diff", "churn/3", "requirements.txt")
    assert said == (
        "requirements.txt is a file of requirements: only the first side can be one; give an environment to compare it with"
    )


def test_every_format(envparity, trained, live):
    expected = document.read(envparity("diff", "churn/3", "live", "--format", "json", code=1).stdout)
    assert expected == document.read(envparity("diff", "churn/3", "live", "--json", code=1).stdout)
    found = {
        name: envparity("diff", "churn/3", "live", "--format", name, code=1).stdout
        for name in ("text", "html", "markdown", "junit", "sarif")
    }
    assert found["text"] == envparity("diff", "churn/3", "live", code=1).stdout
    assert found["html"].startswith("<!doctype html>")
    assert "DRIFTED" in found["markdown"]
    assert ET.fromstring(found["junit"]).tag == "testsuites"
    assert json.loads(found["sarif"])["version"] == "2.1.0"


def test_all_shows_more(envparity, trained, live):
    short = envparity("diff", "churn/3", "live", code=1).stdout
    full = envparity("diff", "churn/3", "live", "--all", code=1).stdout
    digest = envparity.json("diff", "churn/3", "live", code=1)["differences"][0]["digest"]
    assert digest in full
    assert digest not in short
    assert all(len(line) <= 80 for line in full.splitlines())


def test_output_goes_to_a_file(envparity, trained, live, tmp_path):
    assert envparity("diff", "churn/3", "live", "--json", "--output", tmp_path / "r.json", code=1).stdout == ""
    assert document.read((tmp_path / "r.json").read_bytes())[0].passed is False
    said = envparity.error("diff", "churn/3", "live", "--output", tmp_path / "no" / "r.txt")
    assert said == f"cannot write the report to {tmp_path}/no/r.txt: No such file or directory"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["churn/3"], "there is nothing to compare with; give TRAIN and SERVE, or --requirements FILE and SERVE"),
        (["a", "b", "--json", "--format", "html"], "--json and --format html exclude each other; give one of them"),
        (["a", "b", "c", "--plan"], "--plan is for one serving side, and is text"),
        (["a", "b", "--plan", "--json"], "--plan is for one serving side, and is text"),
        (["a", "b", "--plan", "--all"], "--plan is not a report; leave out --all"),
        (["a", "b", "--json", "--all"], "--all is for text: the other formats always have all"),
    ],
)
def test_wrong_use(envparity, words, said):
    assert envparity.error("diff", *words) == f"{said} (see envparity diff --help)"


def test_paths_cannot_play_with_the_terminal(envparity, library, trained, environment):
    library.environments["live"] = description([layer(Kind.UNOWNED, "unowned", None, [file("\x1b[2J\n")])])
    said = envparity("diff", "churn/3", "live", "--all", code=1).stdout
    assert "\\x1b[2J\\n" in said
    assert "\x1b[2J" not in said


def test_every_side_is_looked_up_before_any_is_read(envparity, library, trained, live):
    envparity.error("diff", "live", "churn/3", "unknown")
    assert not [call for call in library.calls if call[0] == "describe"]


def test_the_probe_runs_if_there_is_something_to_compare_with(envparity, library, trained, live, tmp_path):
    def asked(*words):
        library.calls.clear()
        envparity("diff", *words, code=None)
        return [call[2]["fingerprint"] for call in library.calls if call[0] == "describe"]

    other = tmp_path / "other"
    other.mkdir()
    (other / "pyvenv.cfg").write_text("home = /usr/bin\n")
    library.environments["other"] = live
    assert asked("churn/3", "live") == [False]  # the snapshot has none
    assert asked("churn/3", "live", "--fingerprint") == [True]
    assert asked("live", "other") == [True, True]
    assert asked("live", "other", "--no-fingerprint") == [False, False]


def test_what_is_remembered_is_left_out_on_request(envparity, library, trained, live, store):
    envparity("diff", "churn/3", "live", code=1)
    envparity("diff", "churn/3", "live", "--no-cache", code=1)
    asked = [(call[2]["cache"], call[2]["identify"]) for call in library.calls if call[0] == "describe"]
    assert asked == [(store.cache, False), (None, False)]
