"""From deploy to the first prediction: which figure is held against which bound, and what the report and the plot show of it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks.deploying.__main__ import main
from benchmarks.deploying.contenders import COLD, WARM, Way, find_pyenv, steps
from benchmarks.deploying.page import page
from benchmarks.deploying.plot import LEFT, WIDTH, plot
from benchmarks.deploying.registrations import FIRST, PACKER, RETRAINED
from benchmarks.deploying.results import GOALS, Findings, best, document
from benchmarks.deploying.turns import Answered, Deployments
from benchmarks.measuring import Sample, Series
from benchmarks.recipes import Recipe
from tests.benchmarks.conftest import built, contender
from tests.benchmarks.test_plot import SVG, bars, texts

UV, PIP = "uv pip install", "mlflow --env-manager <virtualenv>"


def deployments(name, *walls, moved=None, rounds=None):
    way = Way(name, f"{name} | serve", lambda _place, _port: [], lambda _: [], moved=moved, rounds=rounds)
    samples = tuple(Answered(wall, {"resolve": wall / 4, "ready": wall / 2}) for wall in walls)
    return Deployments(way, samples, 500_000_000, 18_000, 800_000_000, 3_000)


def registered(first=2.0, retrained=1.0, packer=5.0):
    def series(name, **figures):
        return Series(contender(name), (Sample(9.0, 1.0, 1.0, 1000, figures),), 300_000_000)

    return {
        FIRST: series(FIRST, seconds=first, bytes=230e6),
        RETRAINED: series(RETRAINED, seconds=retrained, again=0.8, bytes=40e3),
        PACKER: series(PACKER, seconds=packer, bytes=1.3e9),
    }


def findings(*found, registrations=None, bounds=GOALS, absent=None):
    return Findings(
        when="2026-11-22",
        rounds=3,
        quick=False,
        machine={"cores": "2"},
        versions={"mlflow": "3.17"},
        environments=[built(Recipe("deploy-training", ("mlflow",), "trains"))],
        deployments=found,
        registrations=registrations or {},
        bounds=bounds,
        packed=230_000_000,
        tars=1_300_000_000,
        absent=absent or {},
    )


USUAL = (deployments(WARM, 4, 4, 4), deployments(COLD, 8, 8, 8), deployments(UV, 10, 11, 12), deployments(PIP, 60, 61))


def test_the_best_of_the_others_has_the_lowest_median():
    quick_once = deployments("mlflow --env-manager uv", 1, 30, 30)
    assert best([*USUAL, quick_once]).way.name == UV
    assert best(USUAL[:2]) is None


def test_only_the_best_of_the_others_is_held_against_the_bound():
    judged = {row.key: row for row in findings(*USUAL).rows if row.bound is not None}
    assert {key: row.contender for key, row in judged.items()} == {"deploy.warm": UV, "deploy.cold": UV}
    assert judged["deploy.warm"].ratio.median == pytest.approx(4 / 11)
    assert judged["deploy.warm"].met
    assert not judged["deploy.cold"].met  # 8/11 is more than 0.7


def test_who_took_part_in_fewer_rounds_is_compared_in_those():
    mine = deployments(WARM, 6, 6, 60)
    (row,) = (row for row in findings(mine, *USUAL[2:]).rows if row.contender == PIP)
    assert row.ratio.high == pytest.approx(6 / 60)
    assert row.ours.high == 60


def test_registrations_are_compared_by_their_own_clock():
    rows = {row.key: row for row in findings(registrations=registered(first=3.0)).rows}
    assert rows["register.first"].ratio.median == pytest.approx(3 / 5)
    assert not rows["register.first"].met
    assert rows["register.retrained"].met
    assert rows["register.again"].ours.median == 0.8
    assert rows["register.again"].met is None


def test_a_quick_look_is_judged_by_nothing():
    quick = findings(*USUAL, registrations=registered(first=99), bounds={})
    assert quick.missed == []
    assert "Nothing that was measured has a bound." in page(quick)


def test_the_page_begins_with_what_was_missed():
    text = page(findings(*USUAL, registrations=registered(), absent={"mlflow --env-manager x": "it needs y"}))
    head = text.partition("## ")[0]
    assert f"1 of 4 bounds MISSED: {COLD} against {UV}." in head
    assert f"| MISSED | {COLD} against {UV} | 0.73 | 0.70 |" in head
    assert "- mlflow --env-manager x: it needs y" in text
    assert f"| {WARM} | 4.00 s | 3 |" in text
    assert f"| {UV} | 11.0 s (10.0-12.0) | 3 |" in text
    assert f"| {WARM} | 1.00 s | 2.00 s |" in text  # its steps


def test_nothing_to_move_is_no_unknown_amount():
    text = page(findings(deployments(WARM, 4, moved=0), deployments(COLD, 8, moved=230_000_000), deployments(UV, 11)))
    for start in (f"| {WARM} | 0 B | 800 MB |", f"| {COLD} | 230 MB | 800 MB |", f"| {UV} |  | 800 MB |"):
        assert start in text


def test_every_table_of_the_page_is_whole():
    lines = page(findings(*USUAL, registrations=registered())).splitlines()
    head = 0
    for line in lines:
        cells = line.replace("\\|", "").count("|")
        if not line.startswith("|"):
            head = 0
        else:
            head = head or cells
            assert cells == head, line


def test_the_document_has_each_sample_and_is_json():
    told = json.loads(json.dumps(document(findings(*USUAL, registrations=registered()))))
    assert [run["wall"] for run in told["deployments"][2]["runs"]] == [10, 11, 12]
    assert [row["met"] for row in told["rows"] if row["bound"]] == [True, False, True, True]
    assert told["registrations"][1]["runs"][0]["figures"]["again"] == 0.8


def test_bars_are_as_long_as_the_medians_and_inside_the_frame():
    drawn = plot(USUAL, GOALS)
    lengths = [float(bar.get("width")) for bar in bars(drawn)]
    assert lengths[2] / lengths[0] == pytest.approx(11 / 4, rel=0.01)
    assert all(LEFT + length < WIDTH - 100 for length in lengths)
    assert all(float(line.get("x2")) < WIDTH for line in ET.fromstring(drawn).iter(f"{SVG}line"))
    assert PIP in texts(drawn)


def test_bounds_are_seconds_in_the_plot():
    drawn = plot(USUAL, GOALS)
    assert "4.00 s, at most 5.50 s" in texts(drawn)
    assert "8.00 s, at most 7.70 s" in texts(drawn)
    missed = [item.text for item in ET.fromstring(drawn).iter(f"{SVG}text") if item.get("class") == "x"]
    assert missed == ["8.00 s, at most 7.70 s"]
    assert "at most" not in plot(USUAL, {})


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="no deployment was measured; run at least one round"):
        plot([], GOALS)


def test_steps_of_one_name_are_added():
    told = {"events": [{"event": "link", "seconds": 0.5}, {"event": "write"}, {"event": "link", "seconds": 0.25}]}
    assert steps(json.dumps(told).encode()) == {"link": 0.75}


def test_a_way_puts_its_programs_before_all_others():
    way = Way("a", "a", lambda _place, _port: [], lambda place: [place / "bin"], lambda place: {"ROOT": str(place)})
    environ = way.environ({"PATH": "/usr/bin", "ROOT": "/old", "LANG": "C"}, Path("/new"))
    assert environ == {"PATH": "/new/bin:/usr/bin", "ROOT": "/new", "LANG": "C"}


def test_why_virtualenv_is_left_out(tmp_path):
    environ = {"PYENV_ROOT": str(tmp_path), "PATH": ""}
    assert find_pyenv("3.11.7", environ) == (None, "MLflow's virtualenv needs pyenv, which is not on PATH")
    program = tmp_path / "bin" / "pyenv"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    absent, reason = find_pyenv("3.11.7", environ)
    assert absent is None
    assert reason == "pyenv has no Python 3.11.7, and would build it from source; run: pyenv install 3.11.7"
    (tmp_path / "versions/3.11.7/bin").mkdir(parents=True)
    (tmp_path / "versions/3.11.7/bin/python").touch()
    assert find_pyenv("3.11.7", environ) == (program.parent, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rounds", "0"], "--rounds must be at least 1"),
        (["--quick", "--write-docs"], "--write-docs needs all contenders; leave out --quick, or use --json FILE"),
    ],
)
def test_wrong_use_is_said_before_anything_is_built(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
