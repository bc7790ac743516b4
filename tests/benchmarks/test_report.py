"""The table, the Markdown, the JSON."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from benchmarks.figures import Point, Summary
from benchmarks.recipes import RECIPES
from benchmarks.reports.document import document
from benchmarks.reports.markdown import markdown
from benchmarks.reports.terminal import tables
from benchmarks.reports.words import amount, conclusion, misses, ratio_spread, spread
from tests.benchmarks.conftest import built, growth, memory, results, row


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.123, "s", "0.12 s"),
        (12.34, "s", "12.3 s"),
        (0, "B", "0 B"),
        (999, "B", "999 B"),
        (100_000, "B", "100 kB"),
        (1_500_000, "B", "1.5 MB"),
        (161_000_000, "B", "161 MB"),
        (1_325_000_000, "B", "1.3 GB"),
    ],
)
def test_amount(value, unit, text):
    assert amount(value, unit) == text


def test_spread():
    assert spread(Summary(0.5, 0.4, 0.6), "s") == "0.50 s (0.40-0.60)"
    assert spread(Summary(0.5, 0.5, 0.5), "s") == "0.50 s"
    assert spread(Summary(2e6, 9e5, 2e6), "B") == "2.0 MB (900 kB-2.0 MB)"


def test_ratios_of_sizes_are_told_to_the_thousandth():
    assert ratio_spread(Summary(1.0014, 1.0014, 1.0014), "B") == "1.001"
    assert ratio_spread(Summary(1.0014, 0.9, 1.2), "s") == "1.00 (0.90-1.20)"


def printed(given):
    console = Console(width=80, file=io.StringIO(), highlight=False)
    for table in tables(given):
        console.print(table)
    return console.file.getvalue()


def test_the_table_fits_a_terminal():
    long = row(what="packed size with interpreter", contender="uv pip install --compile-bytecode", unit="B")
    text = printed(results([row(), long, row(ratio=1.0)], [memory()]))
    assert max(map(len, text.splitlines())) <= 80
    assert "plain: mlflow pandas, 12,184 files, 585 MB" in text
    assert "…" not in text


def test_the_table_says_met_and_missed():
    lines = printed(results([row(), row(ratio=1.0), row(bound=None)], [memory(bound=1e6)])).splitlines()
    assert [line.split()[-1] for line in lines if line.startswith("warm restore")] == ["met", "MISSED", "0.50"]
    assert [line.split()[-1] for line in lines if line.startswith("plain: capture")] == ["MISSED"]


def test_conclusion():
    assert conclusion(results([row()], [memory()])) == "All 2 bounds are met."
    assert conclusion(results([row(bound=None)])) == "Nothing that was measured has a bound."
    missed = results([row(ratio=1.0), row()], [memory(bound=1e6)])
    assert conclusion(missed) == "2 of 3 bounds MISSED:"
    assert misses(missed) == ["plain: warm restore against uv pip install", "plain: peak memory of capture"]


def test_markdown_has_every_row_and_how_it_was_measured():
    text = markdown(results([row(), row("capture", contender="tar | zstd", ratio=1.0)], [memory()]))
    assert "**1 of 3 bounds MISSED:**" in text
    assert (
        "| warm restore | 0.50 s (0.40-0.60) | 0.30 s | `uv pip install` | 1.00 s (0.90-1.10) | 0.50 (0.40-0.60) | 0.60 | met |"
        in text
    )
    assert r"`tar \| zstd`" in text
    assert "| plain | capture | 100 MB | 120 MB | 400 MB | met |" in text
    assert "- cores: 2" in text
    assert "A note." in text
    assert "page cache is warm" in text


def test_all_rows_of_a_markdown_table_have_the_same_columns():
    text = markdown(results([row(), row(contender="", theirs=None, ratio=None, call=None, bound=None)]))
    rows = [
        line.replace(r"\|", "")
        for line in text.split("## plain")[1].split("##")[0].splitlines()
        if line.startswith("|")
    ]
    assert len(rows) == 4
    assert {line.count("|") for line in rows} == {9}


def test_json_has_every_sample():
    found = json.loads(json.dumps(document(results([row()], [memory()]))))
    taken = found["samples"]["plain"]["warm"]["warm restore"]
    assert [run["wall"] for run in taken["runs"]] == [0.5, 0.6]
    assert taken["runs"][0]["figures"] == {"seconds": 0.3}
    assert found["rows"][0]["met"] is True
    assert found["rows"][0]["ratio"]["median"] == 0.5
    assert found["memory"][0]["together"] == 120_000_000


def a_series():
    environments = [built(recipe) for recipe in RECIPES["series"][:3]]
    rows = [row(environment="series", key="first.borg-3", what="first capture", contender="borg, zstd 3", ratio=1.0)]
    return results([row(), *rows], environments=environments, growths=[growth()], absent={"casync": "not on PATH"})


def test_a_series_has_its_bytes_after_each_version():
    text = markdown(a_series())
    assert "| envparity | 100 MB | 120 MB | 150 MB |" in text
    assert "| envparity, after optimize |  |  | 130 MB |" in text
    assert "| envparity | 100 MB | 20 MB | 30 MB |" in text
    assert "| envparity | 2.50 s |  |  |" in text
    assert "![Bytes on disk after each version](benchmarks-series.svg)" in text
    assert "as of 2025-01-01, 2025-02-01, 2025-03-01" in text


def test_the_bounds_come_first_and_the_missed_ones_before_all():
    lines = markdown(a_series()).splitlines()
    table = [line for line in lines if line.startswith(("| met", "| MISSED"))]
    assert table[0] == "| MISSED | series | first capture against borg, zstd 3 | 1.00 | 0.60 |"
    assert table[1] == "| met | plain | warm restore against uv pip install | 0.50 | 0.60 |"
    assert lines.index(table[0]) < lines.index("## What it ran on")


def test_who_is_left_out_is_named_with_the_reason():
    assert "- casync: not on PATH" in markdown(a_series())
    assert "casync not on PATH" in " ".join(printed(a_series()).split())


def test_the_growth_fits_a_terminal():
    text = printed(a_series())
    assert max(map(len, text.splitlines())) <= 80
    assert "tar.gz & <co>" in text
    assert "series: 3 versions of mlflow scikit-learn pandas lightgbm" in " ".join(text.split())


def test_the_curve_of_scale_has_a_column_a_size():
    points = [Point("snapshots", size, "list", seconds) for size, seconds in ((1, 0.25), (1000, 0.5), (1000, 1.5))]
    text = markdown(results([row()], scale={"scale": [*points, Point("files", 1, "capture", 2.0)]}))
    assert "| number of snapshots | 1 | 1,000 |" in text
    assert "| list | 0.25 s | 1.00 s (0.50-1.50) |" in text
    assert "| capture | 2.00 s |" in text


def test_json_has_the_growth():
    found = json.loads(json.dumps(document(a_series())))
    assert found["growth"][0]["lines"][0]["totals"]["2025-03-01"] == 150e6
    assert found["absent"] == {"casync": "not on PATH"}
    assert [item["date"] for item in found["environments"]][1:] == ["2025-01-01", "2025-02-01", "2025-03-01"]
