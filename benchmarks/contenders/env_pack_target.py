"""Runs within an environment that has mlflow: pack the environment PREFIX beside a model in the directory MODEL.

Outside of Databricks the packer refuses to work; the two facts that it asks for are given to it here. What it packs is
`sys.prefix`, so that is set. Nothing of mlflow is changed or replaced.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time

RUNTIME = "client.2.5"


def main(prefix: str, model: str) -> None:
    os.makedirs(model)
    with open(os.path.join(model, "MLmodel"), "w", encoding="utf-8") as file:
        file.write(f"databricks_runtime: {RUNTIME}\nflavors: {{}}\n")
    os.environ["DATABRICKS_RUNTIME_VERSION"] = RUNTIME
    # It builds its tars in a temporary directory and moves them to the model: a rename, when both are on one file system.
    tempfile.tempdir = os.path.dirname(model)
    sys.prefix = prefix
    from mlflow.utils.env_pack import (  # type: ignore[import-not-found]
        pack_env_for_databricks_model_serving,
    )

    begin = time.perf_counter()
    with pack_env_for_databricks_model_serving(model):
        print(json.dumps({"seconds": time.perf_counter() - begin}))


if __name__ == "__main__":
    main(*sys.argv[1:])
