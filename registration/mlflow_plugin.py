"""The target `envparity` of `mlflow deployments`: MLflow's words for `deployments.py`.

Like the command line, and for it, this is where variables of the process and the user's directories come from.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from click import ClickException
from mlflow.deployments import BaseDeploymentClient, PredictionsResponse
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_DOES_NOT_EXIST,
    ErrorCode,
)

from registration.deployments import (
    FLAVOR,
    DeploymentExistsError,
    Deployments,
    NoSuchDeploymentError,
    Settings,
    State,
)
from registration.parameters import Duration
from snapshot.errors import SnapshotError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from snapshot.store import Store

_HELP = """\
Serves a model that was registered with env_pack from its own environment: restored from a snapshot, checked, never built.

Target URI
    envparity             deployments are kept in the user's data directory
    envparity:/DIR        they are kept in the directory /DIR

Config (-C name=value), for create, update and run-local
    store=DIR             the store that has the snapshot. Default: $ENVPARITY_STORE, or what the model version's tags name
    tracking_uri=URI      MLflow's registry. Default: MLflow's own
    policy=FILE           what may differ on this host (TOML). Default: envparity's
    verify=quick|full     compare size, mode and time of the files (default), or every byte
    host=ADDRESS          where the server listens. Default: 127.0.0.1
    workers=N             processes that predict. Default: 1
    timeout=DURATION      for the server to become ready. Default: 120s
    port=N                run-local only. A deployment gets a free port for each version; `get` says which

-m takes models:/NAME/VERSION, models:/NAME@ALIAS, or the name of a snapshot. An update starts the new version, checks its health and a
prediction on the model's input example, switches to it, and then stops the old one; when anything fails, the old one goes on serving.
"""
_CODES = (
    (NoSuchDeploymentError, RESOURCE_DOES_NOT_EXIST),
    (DeploymentExistsError, RESOURCE_ALREADY_EXISTS),
    (ValueError, INVALID_PARAMETER_VALUE),
    (LookupError, RESOURCE_DOES_NOT_EXIST),
)
#: The keys of a payload of MLflow's scoring protocol.
_PAYLOADS = frozenset({"dataframe_split", "dataframe_records", "instances", "inputs"})
_PATHS = frozenset({"store", "policy"})


class DeploymentError(MlflowException, ClickException):  # type: ignore[misc]  # MLflow has no types
    """An MlflowException for whoever calls from Python; MLflow's command line shows one line of it, and no traceback."""

    exit_code = 2

    def __init__(self, message: str, code: int) -> None:
        MlflowException.__init__(self, message, code)  # which goes on to the other one


def target_help() -> str:
    """What `mlflow deployments help -t envparity` shows."""
    return _HELP


def run_local(name: str, model_uri: str, flavor: str | None = None, config: Mapping[str, Any] | None = None) -> None:
    """Serve `model_uri` until the process is interrupted. Nothing is recorded; `name` is only shown."""
    from registration.commands.serve import serve_until_ended

    with _explained():
        _check_flavor(flavor)
        given = dict(config or {})
        port = _whole("port", given.pop("port")) if "port" in given else None
        settings = _settings(given, Settings())
        serve_until_ended(
            model_uri,
            _store(settings.store, model_uri),
            settings,
            cache=_cache(),
            port=port,
            variables=os.environ,
            title=name,
        )


class EnvparityDeploymentClient(BaseDeploymentClient):  # type: ignore[misc]  # MLflow has no types
    """MLflow's interface; `mlflow.deployments.get_deploy_client("envparity")` makes one."""

    def create_deployment(
        self,
        name: str,
        model_uri: str,
        flavor: str | None = None,
        config: Mapping[str, Any] | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Deploy `model_uri` under `name`, and return when it has predicted. `config`: see `target_help`."""
        with _explained():
            _check_flavor(flavor)
            _no_endpoint(endpoint)
            settings = _settings(config, Settings())
            return self._document(self._deployments(model_uri).create(name, model_uri, settings))

    def update_deployment(
        self,
        name: str,
        model_uri: str | None = None,
        flavor: str | None = None,
        config: Mapping[str, Any] | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Switch to another version, or to what the same URI means by now. `config` changes the given settings, others stay."""
        with _explained():
            _check_flavor(flavor)
            _no_endpoint(endpoint)
            known = self._deployments().get(name)
            current = known.current
            uri = model_uri or ("" if current is None else current.model_uri)
            return self._document(self._deployments(uri).update(name, uri, _settings(config, known.settings)))

    def delete_deployment(
        self, name: str, config: Mapping[str, Any] | None = None, endpoint: str | None = None
    ) -> None:
        """Stop it and remove all of it; nothing where there is none."""
        with _explained():
            _no_endpoint(endpoint)
            if config:
                raise DeploymentError(
                    f"deleting takes no config, and got {', '.join(sorted(config))}", INVALID_PARAMETER_VALUE
                )
            self._deployments().delete(name)

    def list_deployments(self, endpoint: str | None = None) -> list[dict[str, Any]]:
        """Every deployment, as `get_deployment` has it."""
        with _explained():
            _no_endpoint(endpoint)
            deployments = self._deployments()
            return [self._document(deployments.get(name)) for name in deployments.names()]

    def get_deployment(self, name: str, endpoint: str | None = None) -> dict[str, Any]:
        """What is served, from which snapshot, at which address, and whether the server runs."""
        with _explained():
            _no_endpoint(endpoint)
            return self._document(self._deployments().get(name))

    def predict(
        self, deployment_name: str | None = None, inputs: Any = None, endpoint: str | None = None
    ) -> PredictionsResponse:
        """Predictions of what serves now. `inputs`: whatever MLflow's scoring protocol can carry (DataFrame, array, dictionary)."""
        with _explained():
            _no_endpoint(endpoint)
            if deployment_name is None:
                raise DeploymentError("say which deployment is to predict", INVALID_PARAMETER_VALUE)
            body = _payload(inputs).encode("utf-8")
            answer = self._deployments().predict(deployment_name, body)
            return PredictionsResponse.from_json(answer.decode("utf-8"))

    def _deployments(self, model_uri: str = "") -> Deployments:
        return Deployments(_directory(self.target_uri), os.environ, _store(None, model_uri), cache=_cache())

    def _document(self, state: State) -> dict[str, Any]:
        deployments, current = self._deployments(), state.current
        found: dict[str, Any] = {"name": state.name, "flavor": FLAVOR}
        if current is not None:
            found |= {
                "model_uri": current.model_uri,
                "version": current.label,
                "snapshot": current.snapshot,
                "parity_root": current.parity_root,
                "url": current.url,
                "status": "serving" if deployments.serves(state) else "ended",
                "pid": None if current.identity is None else current.identity.pid,
                "log": str(deployments.log(state)),
            }
        return found


@contextmanager
def _explained() -> Iterator[None]:
    """Our errors as MLflow's, and those as what its command line shows."""
    from registration.cli import describe_error
    from registration.errors import RegistrationError

    try:
        yield
    except DeploymentError:
        raise
    except MlflowException as error:
        raise DeploymentError(error.message, ErrorCode.Value(error.error_code)) from error
    except (RegistrationError, SnapshotError, OSError) as error:
        code = next((code for kind, code in _CODES if isinstance(error, kind)), INTERNAL_ERROR)
        raise DeploymentError(describe_error(error), code) from error


def _directory(target_uri: str) -> str:
    parts = urlsplit(target_uri)
    if parts.netloc:
        raise DeploymentError(
            f"{target_uri} names a host: want envparity:/DIR, with one slash", INVALID_PARAMETER_VALUE
        )
    path = unquote(parts.path) if parts.scheme else ""
    if path.strip("/"):
        return path
    import platformdirs

    return os.path.join(platformdirs.user_data_dir("envparity"), "deployments")


def _store(chosen: str | None, model_uri: str) -> Store | None:
    """The store that was chosen; for a snapshot's name the user's own; None: the one that the model version's tags name."""
    from registration.invocation import Invocation

    where = chosen or os.environ.get("ENVPARITY_STORE") or None
    if where is None and (model_uri.startswith("models:") or not model_uri):
        return None
    return Invocation(where, cache=_cache()).store


def _cache() -> str | None:
    return os.environ.get("ENVPARITY_CACHE") or None


def _settings(config: Mapping[str, Any] | None, known: Settings) -> Settings:
    """`known` with what `config` says instead. Raises DeploymentError naming all that is wrong."""
    from dataclasses import fields, replace

    names = [each.name for each in fields(Settings)]
    values: dict[str, Any] = {}
    problems = []
    for name, value in (config or {}).items():
        try:
            if name not in names:
                raise ValueError(f"{name}: not known; want {', '.join(names)}")
            values[name] = _value(name, value)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise DeploymentError(f"config: {'; '.join(problems)}", INVALID_PARAMETER_VALUE)
    return replace(known, **values)


def _value(name: str, value: Any) -> Any:
    """A command line gives text. Raises ValueError."""
    if name == "workers":
        return _whole(name, value)
    if name == "timeout":
        import click

        try:
            return Duration().convert(value, None, None)
        except click.ClickException as error:
            raise ValueError(f"{name}: {error.message}") from error
    if name == "verify" and value not in {"quick", "full"}:
        raise ValueError(f"verify: want quick or full, found {value!r}")
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name}: want text, found {value!r}")
    return os.path.abspath(value) if name in _PATHS else value


def _whole(name: str, value: Any) -> int:
    text = str(value)
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{name}: want a whole number from 1 on, found {value!r}")
    return int(text)


def _check_flavor(flavor: str | None) -> None:
    if flavor not in {None, FLAVOR}:
        raise DeploymentError(
            f"the flavor {flavor!r} cannot be served: MLflow's scoring server serves {FLAVOR}, which every model that was "
            "registered with its environment has",
            INVALID_PARAMETER_VALUE,
        )


def _no_endpoint(endpoint: str | None) -> None:
    if endpoint is not None:
        raise DeploymentError(
            f"envparity has deployments, and no endpoints such as {endpoint!r}", INVALID_PARAMETER_VALUE
        )


def _payload(inputs: Any) -> str:
    """What MLflow's scoring protocol has for `inputs`; a dictionary is a payload already, or the model's inputs by name."""
    from mlflow.utils.proto_json_utils import NumpyEncoder, dump_input_data

    if not isinstance(inputs, dict):
        return str(dump_input_data(inputs))
    found = inputs if _PAYLOADS & inputs.keys() else {"inputs": inputs}
    return json.dumps(found, cls=NumpyEncoder)
