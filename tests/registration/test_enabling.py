"""MLflow's function is replaced and put back, whatever the order in which that is asked for."""

from __future__ import annotations

import pytest

import registration
from registration.enabling import UnknownMlflowError, original

pytestmark = pytest.mark.mlflow


@pytest.fixture
def fluent(mlflow):
    from mlflow.tracking._model_registry import fluent

    before = fluent._register_model
    yield fluent
    fluent._register_model = before


def test_blocks_of_two_threads_end_in_any_order(fluent):
    before = fluent._register_model
    one = registration.enable()
    first = fluent._register_model
    two = registration.enable()
    second = fluent._register_model
    one.__exit__()
    assert fluent._register_model is second  # the other block goes on
    two.__exit__()
    assert fluent._register_model is before
    assert first is not second


def test_blocks_within_each_other(fluent):
    with registration.enable():
        outer = fluent._register_model
        with registration.enable():
            assert fluent._register_model is not outer
        assert fluent._register_model is outer


def test_disabled_within_a_block(fluent):
    before = fluent._register_model
    registration.enable()
    with registration.enable():
        registration.disable()
    assert fluent._register_model is before


def test_mlflows_own_is_found_through_ours(fluent):
    before = fluent._register_model
    with registration.enable():
        assert original() is before


def test_an_mlflow_that_is_built_otherwise(fluent):
    fluent._register_model = lambda model_uri, name: None
    with pytest.raises(UnknownMlflowError, match=r"registers models otherwise than envparity knows; call registration"):
        registration.enable()
    del fluent._register_model
    with pytest.raises(UnknownMlflowError, match=r"registers models otherwise"):
        registration.enable()
