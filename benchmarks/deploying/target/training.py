"""Runs in the training environment: trains a small model and logs it with MLflow. The other scripts here begin with this one.

`train` as a script: log the model, register it with its environment in STORE under NAME, and print what a deployment has to answer.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import mlflow
import mlflow.sklearn
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor

COLUMNS = ("rooms", "age", "distance")
#: scikit-learn's trees, which MLflow's default format asks about.
_TRUSTED = ["sklearn.tree._tree.Tree"]
_EXPERIMENT = "deploying"


def log(seed: int, artifacts: str, requirements: list[str] | None) -> tuple[str, pd.DataFrame, list[float]]:
    """Train with other data for each `seed`: the URI of the logged model, questions for it, and its answers.

    `requirements` None: MLflow finds out by itself, which takes its time.
    """
    if mlflow.get_experiment_by_name(_EXPERIMENT) is None:
        mlflow.create_experiment(_EXPERIMENT, artifact_location=artifacts)
    mlflow.set_experiment(_EXPERIMENT)
    chance = np.random.default_rng(seed)
    data = pd.DataFrame(chance.uniform(0, 10, (400, len(COLUMNS))), columns=list(COLUMNS))
    model = RandomForestRegressor(n_estimators=20, random_state=0).fit(data, 10 * data["rooms"] - data["age"])
    given: dict[str, Any] = {"pip_requirements": requirements} if requirements else {}
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(
            model, name="model", input_example=data[:2], skops_trusted_types=_TRUSTED, **given
        )
    questions = data[:3]
    return info.model_uri, questions, [float(value) for value in model.predict(questions)]


def main(store: str, name: str, artifacts: str) -> None:
    import registration
    from snapshot.store import Store

    uri, questions, answers = log(1, artifacts, None)
    path = mlflow.artifacts.download_artifacts(uri)
    with open(os.path.join(path, "requirements.txt"), encoding="utf-8") as file:
        requirements = file.read().split()
    version = registration.register_model(uri, name, env_pack="databricks_model_serving", store=Store(store))
    print(
        json.dumps(
            {
                "version": int(version.version),
                "requirements": requirements,
                "request": {"dataframe_split": questions.to_dict(orient="split", index=False)},
                "answers": answers,
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
