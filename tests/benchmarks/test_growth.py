"""Bytes after each version: what is added, what a node needs, how the lines are drawn."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.contenders.ours import blobs
from benchmarks.figures import Line
from benchmarks.recipes import Recipe
from benchmarks.reports.growth_plot import HEIGHT, WIDTH, plot_growth, spread_out
from benchmarks.workloads.growth import is_typical
from tests.benchmarks.conftest import built, growth

if TYPE_CHECKING:
    from pathlib import Path

SVG = "{http://www.w3.org/2000/svg}"


def test_what_each_version_added():
    assert Line("a", {"1": 10, "2": 12, "3": 12}).added(("1", "2", "3")) == {"1": 10, "2": 2, "3": 0}


def test_what_only_the_end_has_adds_nothing():
    assert Line("a", {"3": 12}).added(("1", "2", "3")) == {}


def write_store(store: Path, versions):
    """A store with a manifest for each of `versions`: blobs by digest."""
    directory = store / "blobs" / "sha256"
    directory.mkdir(parents=True)
    rows = []
    for name, layers in versions.items():
        listed = [{"digest": f"sha256:{digest}", "size": size} for digest, size in layers.items()]
        manifest = json.dumps({"config": {"digest": f"sha256:config-{name}", "size": 7}, "layers": listed})
        (directory / f"manifest-{name}").write_text(manifest)
        annotations = {"org.opencontainers.image.ref.name": f"m/{name}"}
        rows.append({"digest": f"sha256:manifest-{name}", "size": len(manifest), "annotations": annotations})
    (store / "index.json").write_text(json.dumps({"manifests": rows}))


def test_a_node_needs_manifest_config_and_layers(tmp_path):
    write_store(tmp_path, {"1": {"a": 100, "b": 50}, "2": {"a": 100, "c": 60}})
    found = blobs(tmp_path, "2")
    size = (tmp_path / "blobs/sha256/manifest-2").stat().st_size
    assert found == {"sha256:manifest-2": size, "sha256:config-2": 7, "sha256:a": 100, "sha256:c": 60}
    assert set(found) - set(blobs(tmp_path, "1")) == {"sha256:manifest-2", "sha256:config-2", "sha256:c"}


def test_a_version_that_is_not_there(tmp_path):
    write_store(tmp_path, {"1": {}})
    with pytest.raises(ValueError, match="has nothing called m/2; capture it first"):
        blobs(tmp_path, "2")


@pytest.mark.parametrize(
    ("days", "versions", "typical"),
    [
        (("2025-01-01", "2025-02-01"), ("18.1.0", "18.1.0"), True),
        (("2025-01-01", "2025-02-01"), ("18.1.0", "19.0.1"), False),
        (("2025-06-01", "2025-09-01"), ("19.0.1", "19.0.1"), False),
    ],
)
def test_a_typical_step_is_a_month_without_a_new_pyarrow(tmp_path, days, versions, typical):
    pair = []
    for day, version in zip(days, versions, strict=True):
        (tmp_path / day / f"lib/python3.11/site-packages/pyarrow-{version}.dist-info").mkdir(parents=True)
        pair.append(built(Recipe(day, (), "", date=day), tmp_path / day))
    assert is_typical(*pair) is typical


def test_the_version_of_a_distribution(tmp_path):
    (tmp_path / "lib/python3.11/site-packages/scikit_learn-1.6.0.dist-info").mkdir(parents=True)
    there = built(Recipe("a", (), ""), tmp_path)
    assert there.installed("scikit-learn") == "1.6.0"
    assert there.installed("pyarrow") is None


def test_every_line_ends_with_its_name_and_figure():
    texts = [item.text for item in ET.fromstring(plot_growth(growth())).iter(f"{SVG}text")]
    assert {"envparity: 150 MB", "envparity, after optimize: 130 MB", "tar.gz & <co>: 510 MB"} <= set(texts)
    assert {"25-01-01", "25-02-01", "25-03-01"} <= set(texts)


def test_more_bytes_are_higher_up_and_nothing_leaves_the_frame():
    lines = [item.get("points").split() for item in ET.fromstring(plot_growth(growth())).iter(f"{SVG}polyline")]
    points = [[tuple(map(float, point.split(","))) for point in line] for line in lines]
    assert [len(line) for line in points] == [3, 1, 3]
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for line in points for x, y in line)
    assert points[0][0][1] > points[0][1][1] > points[0][2][1] > points[2][2][1]


@given(st.lists(st.floats(min_value=0, max_value=500), max_size=15))
def test_names_do_not_overlap(heights):
    wanted = {str(number): height for number, height in enumerate(heights)}
    found = spread_out(wanted, 10, 500)
    assert set(found) == set(wanted)
    assert all(height <= wanted[name] for name, height in found.items())
    assert all(above - below >= 10 - 1e-6 for below, above in pairwise(sorted(found.values())))
