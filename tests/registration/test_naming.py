"""A snapshot's name for a registered model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registration.naming import snapshot_name
from snapshot.store.manifest import check_name


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("churn", 3, "churn/3"),
        ("main.prod.churn_model", "12", "main.prod.churn_model/12"),
        ("churn", None, "churn"),
        ("Churn model", 1, "Churn-model-f19c3526/1"),
        ("Churn  model", 1, "Churn-model-d53d579b/1"),
        ("_churn", 1, "churn-a66a4634/1"),
        ("模型", 1, "model-c98e118e/1"),
    ],
)
def test_what_fits_stays(name, version, expected):
    assert snapshot_name(name, version) == expected


@given(st.text(min_size=1), st.text(min_size=1))
def test_every_model_has_a_name_of_its_own(one, other):
    names = [snapshot_name(name, 7) for name in (one, other)]
    assert all(check_name(name).count("/") == 1 and name.endswith("/7") for name in names)
    assert (names[0] == names[1]) == (one == other)
