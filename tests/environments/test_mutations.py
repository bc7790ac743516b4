"""The mutation catalogue: every single change is seen for what it is, and none that does not matter."""

from __future__ import annotations

import shutil
import sys

import pytest

from benchmarks.parity.examining import CHANGES, examine
from benchmarks.parity.laboratory import Laboratory
from diffing.verdict import Flag, Verdict

pytestmark = [
    pytest.mark.environments,
    pytest.mark.skipif(sys.version_info >= (3, 14), reason="the pinned versions have no wheels for this Python"),
]


@pytest.fixture(scope="module")
def laboratory(lab, root):
    """The environment, and the snapshot of it."""
    made = Laboratory(root / "mutations", lab.uv(), lab.default().path)
    made.prepare()
    return made


def test_there_are_as_many_as_promised():
    harmful = [change for change in CHANGES.values() if not change.harmless]
    assert len(harmful) >= 40
    assert len(CHANGES) - len(harmful) >= 15


@pytest.mark.parametrize("name", CHANGES)
def test_change(laboratory, name):
    examined, serving = examine(laboratory, CHANGES[name])
    assert examined.as_expected, str(examined)
    assert examined.report.passed == (
        examined.report.verdict <= Verdict.NUMERIC and Flag.INTEGRITY not in examined.report.flags
    )
    shutil.rmtree(serving.root)
