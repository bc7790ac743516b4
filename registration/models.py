"""The URI of a model, as MLflow has them, to a model on disk."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from diffing.requirements import masked
from registration.errors import RegistrationError
from registration.extra import need_mlflow
from registration.mlmodel import LocalModel, ModelError, read_model

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FetchError", "LocalModel", "ModelError", "fetch", "read_model"]

#: A note of MLflow's that it leaves in what it downloads from the registry: which version that was. No part of the model.
_NOTE = "registered_model_meta"


class FetchError(RegistrationError, LookupError):
    """A model that MLflow does not have, or cannot get."""


def fetch(model_uri: str, directory: str | os.PathLike[str]) -> LocalModel:
    """Bring a model into `directory`, an empty one or one that does not exist, and read what it is.

    `model_uri` is any that `mlflow.register_model` takes: `runs:/RUN/NAME` (the run's own artifact, or else its logged model of that name),
    `models:/NAME/VERSION`, `models:/NAME@ALIAS`, `models:/MODEL_ID`, or the URI of artifacts elsewhere. A local path stays where it is,
    and nothing is written. Raises FetchError, ModelError, and MlflowError where MLflow is missing.
    """
    mlflow = need_mlflow()
    local = _local_path(model_uri)
    if local is not None:
        if not os.path.isdir(local):
            hint = f"; did you mean models:/{model_uri}?" if model_uri.startswith("m-") else ""
            raise FetchError(f"there is no model at {local}: it is no directory{hint}")
        return read_model(local, model_uri)
    from mlflow.exceptions import MlflowException

    try:
        source = _source(mlflow, model_uri)
        path = mlflow.artifacts.download_artifacts(artifact_uri=source, dst_path=os.fspath(directory))
    except (MlflowException, OSError) as error:
        said = (str(getattr(error, "message", None) or error).strip() or type(error).__name__).splitlines()[0]
        raise FetchError(
            f"MLflow cannot fetch {masked(model_uri)}: {masked(said.splitlines()[0]).rstrip('.')}; "
            "check the URI, and the tracking and registry URIs that MLflow uses"
        ) from error
    with suppress(FileNotFoundError):
        os.remove(os.path.join(path, _NOTE))
    return read_model(path, source)


def _local_path(uri: str) -> str | None:
    """The directory that a path or a file: URI means; None for any other URI."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        from urllib.request import url2pathname

        return url2pathname(parts.path)
    return None if parts.scheme else uri


def _source(mlflow: Any, uri: str) -> str:
    """The URI of what MLflow registers for `uri`: resolved once, so that an alias that moves meanwhile does no harm."""
    from mlflow.store.artifact.utils.models import get_model_name_and_version

    parts = urlsplit(uri)
    if parts.scheme == "runs":
        return _of_run(mlflow, uri)
    if parts.scheme != "models":
        return uri
    found = get_model_name_and_version(mlflow.MlflowClient(), uri)
    return urlunsplit(("models", parts.netloc, "/" + "/".join(map(str, found)), "", "")).replace(
        "models:///", "models:/"
    )


def _of_run(mlflow: Any, uri: str) -> str:
    """As `mlflow.register_model` looks for it: the run's own artifacts first, then the run's logged models of that name.

    `mlflow.artifacts.download_artifacts` would take any one of several; what is registered is the one of the largest step.
    """
    from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository

    run_id, name = RunsArtifactRepository.parse_runs_uri(uri)
    if not name:
        raise FetchError(f"{uri} names a run, and no model in it: want runs:/RUN_ID/NAME")
    underlying: str = RunsArtifactRepository.get_underlying_uri(uri)
    listed = mlflow.artifacts.list_artifacts(artifact_uri=underlying)
    if "MLmodel" in {os.path.basename(row.path) for row in listed}:
        return underlying
    client = mlflow.MlflowClient()
    run = client.get_run(run_id)
    logged = [model.model_id for model in _logged_models(client, run, name)]
    if not logged:
        raise FetchError(
            f"run {run_id} has no model {name!r}: neither an artifact with an MLmodel nor a logged model of that name"
        )
    if len(logged) == 1:
        return f"models:/{logged[0]}"
    steps = {row.model_id: row.step for row in run.outputs.model_outputs} if run.outputs is not None else {}
    if not all(model_id in steps for model_id in logged):
        raise FetchError(
            f"run {run_id} has {len(logged)} logged models {name!r}, and which is the last one is not known: "
            f"give one as models:/MODEL_ID ({', '.join(logged)})"
        )
    return f"models:/{max(logged, key=lambda model_id: steps[model_id])}"


def _logged_models(client: Any, run: Any, name: str) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_logged_models(
            experiment_ids=[run.info.experiment_id], filter_string=f"name = '{name}'", page_token=token
        )
        yield from (model for model in page if model.source_run_id == run.info.run_id)
        token = page.token
        if not token:
            return
