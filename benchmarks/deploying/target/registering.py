"""Runs in the training environment: train and log a model, then register it with its environment, and with `again` once more."""

from __future__ import annotations

import json
import sys
import time

from training import log  # type: ignore[import-not-found]

import registration
from snapshot.store import Store


def main(store: str, name: str, artifacts: str, requirements: str, seed: str, again: str = "") -> None:
    uri, _, _ = log(int(seed), artifacts, json.loads(requirements))
    taken = {}
    for figure in ("seconds", "again") if again else ("seconds",):
        begin = time.perf_counter()
        registration.register_model(uri, name, env_pack="databricks_model_serving", store=Store(store))
        taken[figure] = time.perf_counter() - begin
    print(json.dumps(taken))


if __name__ == "__main__":
    main(*sys.argv[1:])
