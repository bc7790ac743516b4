"""Snapshots that a registration was killed before it could name."""

from __future__ import annotations

import time

import snapshot
from registration.pending import forget_killed
from snapshot.pending import pending_name
from snapshot.testing.samples import publish_sample


def test_what_was_killed_long_ago_goes_and_nothing_else(tmp_path, monkeypatch):
    store = snapshot.Store(tmp_path / "store")
    now = time.time()
    for name, age in (("churn", 3700), ("churn", 60), ("churn-2", 3700)):
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda age=age: now - age)
            publish_sample(store, pending_name(name), ["x"])
    publish_sample(store, "churn/1", ["x"])
    publish_sample(store, "churn/pending-work", ["x"])
    before = {each.name for each in store.references()}
    forget_killed(store, "churn")
    (gone,) = before - {each.name for each in store.references()}
    assert gone.startswith(f"churn/pending-{int(now - 3700):08x}-")
