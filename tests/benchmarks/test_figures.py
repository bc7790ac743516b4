"""Medians, pairwise ratios, bounds."""

from __future__ import annotations

import pytest

from benchmarks.figures import Summary, ratios, verdict
from tests.benchmarks.conftest import memory, row


@pytest.mark.parametrize(
    ("values", "expected"),
    [([3.0], (3.0, 3.0, 3.0)), ([5.0, 1.0, 2.0], (2.0, 1.0, 5.0)), ([4.0, 1.0, 2.0, 3.0], (2.5, 1.0, 4.0))],
)
def test_summary(values, expected):
    summary = Summary.of(values)
    assert (summary.median, summary.low, summary.high) == expected


def test_no_samples():
    with pytest.raises(ValueError, match="run at least one round"):
        Summary.of([])


def test_ratios_are_taken_round_by_round():
    # The second round was twice as slow for both: the ratio of medians would not be a half.
    assert ratios([1.0, 2.0, 1.0], [2.0, 4.0, 2.0]) == [0.5, 0.5, 0.5]


def test_ratios_of_different_rounds():
    with pytest.raises(ValueError, match="1 samples cannot be paired with 2"):
        ratios([1.0], [1.0, 2.0])


@pytest.mark.parametrize(("ratio", "word"), [(0.59, "met"), (0.6, "met"), (0.61, "MISSED")])
def test_a_bound_applies_to_the_median_ratio(ratio, word):
    assert verdict(row(ratio=ratio, bound=0.6)) == word


def test_without_a_contender_the_largest_figure_counts():
    alone = row(unit="B", ours=Summary(10, 5, 200), theirs=None, ratio=None, bound=100)
    assert alone.judged == 200
    assert verdict(alone) == "MISSED"


def test_without_a_bound_there_is_no_verdict():
    assert row(bound=None).met is None
    assert verdict(row(bound=None)) == ""


def test_memory_counts_what_is_larger():
    assert memory(300, 200, 250).met is False
    assert memory(200, 300, 250).met is False
    assert memory(200, None, 250).met is True
