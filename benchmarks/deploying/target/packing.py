"""Runs in the training environment: train and log a model, then pack it and the environment with MLflow's own packer.

Outside of Databricks the packer refuses to work; the two facts that it asks for are given to it here, after logging. Nothing of MLflow is
changed or replaced. It gets the model as a local directory, so that its time has no download in it. The tars are kept in KEPT, when that is given.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time

import mlflow
from mlflow.utils.env_pack import pack_env_for_databricks_model_serving
from training import log  # type: ignore[import-not-found]

RUNTIME = "client.3.1"


def main(scratch: str, artifacts: str, requirements: str, seed: str, kept: str = "") -> None:
    uri, _, _ = log(int(seed), artifacts, json.loads(requirements))
    os.makedirs(scratch)
    path = mlflow.artifacts.download_artifacts(uri, dst_path=os.path.join(scratch, "model"))
    about = os.path.join(path, "MLmodel")
    with open(about, encoding="utf-8") as file:
        text = file.read()
    with open(about, "w", encoding="utf-8") as file:
        file.write(f"databricks_runtime: {RUNTIME}\n{text}")
    os.environ["DATABRICKS_RUNTIME_VERSION"] = RUNTIME
    # Its tars are built in a temporary directory: on the file system of everything else here.
    tempfile.tempdir = scratch
    begin = time.perf_counter()
    with pack_env_for_databricks_model_serving(uri, enforce_pip_requirements=True, local_model_path=path) as packed:
        seconds = time.perf_counter() - begin
        tars = os.path.join(packed, "_databricks")
        size = sum(os.stat(os.path.join(tars, name)).st_size for name in os.listdir(tars))
        if kept:
            shutil.copytree(tars, kept)
    print(json.dumps({"seconds": seconds, "bytes": size}))


if __name__ == "__main__":
    main(*sys.argv[1:])
