"""The plot: well-formed, everything in it inside its frame, as long as the figures say."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from benchmarks.reports.plot import LEFT, WIDTH, plot
from tests.benchmarks.conftest import row

SVG = "{http://www.w3.org/2000/svg}"


def bars(text):
    return [item for item in ET.fromstring(text).iter(f"{SVG}rect") if item.get("rx")]


def texts(text):
    return [item.text for item in ET.fromstring(text).iter(f"{SVG}text")]


def test_bars_are_as_long_as_the_ratios():
    first, second = bars(plot([row(ratio=0.5), row(ratio=1.0)]))
    assert float(second.get("width")) == pytest.approx(2 * float(first.get("width")), abs=0.2)
    assert first.get("x") == str(LEFT)


def test_met_and_missed_differ_in_words_and_colour():
    drawn = plot([row(ratio=0.5), row(ratio=1.0)])
    assert "0.50, at most 0.60" in texts(drawn)
    assert "1.00, missed 0.60" in texts(drawn)
    assert len({bar.get("fill") for bar in bars(drawn)}) == 2


@pytest.mark.parametrize("ratio", [0.01, 1.0, 3.0, 40.0])
def test_nothing_leaves_the_frame(ratio):
    drawn = plot([row(ratio=ratio), row(bound=1.3)])
    (frame, *_) = ET.fromstring(drawn).iter(f"{SVG}rect")
    height = float(frame.get("height"))
    for bar in bars(drawn):
        assert float(bar.get("x")) + float(bar.get("width")) < WIDTH - 100
        assert float(bar.get("y")) + float(bar.get("height")) < height
    for line in ET.fromstring(drawn).iter(f"{SVG}line"):
        assert 0 < float(line.get("x2")) < WIDTH


def test_the_axis_has_few_numbers():
    numbers = [text for text in texts(plot([row(ratio=40.0)])) if text.replace(".", "").isdigit()]
    assert 3 <= len(numbers) <= 14


def test_names_are_escaped():
    assert "against uv venv && uv pip <install>" in texts(plot([row(contender="uv venv && uv pip <install>")]))


def test_rows_without_a_bound_are_left_out():
    drawn = plot([row(), row(bound=None, what="for information")])
    assert len(bars(drawn)) == 1
    assert "for information" not in drawn


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="no row has a ratio with a bound"):
        plot([row(bound=None)])
