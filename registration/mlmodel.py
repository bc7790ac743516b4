"""A model's directory as MLflow writes it: the facts in `MLmodel` and the files beside it, as one frozen value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registration.errors import RegistrationError

_MLMODEL = "MLmodel"
_PYFUNC = "python_function"
#: What MLflow writes into the metadata of a model whose files are somewhere else (`mlflow.create_external_model`).
_EXTERNAL = "mlflow.model.isExternal"
#: Packages of a conda.yaml that are no dependencies of their own: the interpreter, and what installs the rest.
_CONDA_TOOLS = frozenset({"python", "pip", "setuptools", "wheel"})


class ModelError(RegistrationError, ValueError):
    """A directory that is no model, or an MLmodel that cannot be read. The message has all that is wrong with it."""


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model that lies in the directory `path`. Texts are empty where the model does not say.

    `source` is what MLflow would register for the URI that was given: an alias is replaced by its version, a run by its logged model.
    `python_version` is that of the python_function flavor, `python_env` that of python_env.yaml. `size` in bytes of all files.
    `requirements` is the path of requirements.txt, `conda` the packages of conda.yaml that only conda installs. `external`: its files are
    not in MLflow at all; `hub`: the model on a hub that takes the place of the weights (transformers with `save_pretrained=False`).
    `signature` is MLmodel's, as it stands there.
    """

    path: str
    source: str
    mlflow_version: str
    python_version: str
    python_env: str
    flavors: tuple[str, ...]
    loader_module: str
    databricks_runtime: str
    size: int
    requirements: str | None
    conda: tuple[str, ...]
    input_example: bool
    signature: Mapping[str, Any] | None
    external: bool
    hub: str
    model_id: str | None
    run_id: str | None

    @property
    def is_python_function(self) -> bool:
        return _PYFUNC in self.flavors


class _Fields:
    """The values of a mapping by name, each of the type that is wanted; what is not becomes a problem."""

    def __init__(self, label: str, values: Mapping[Any, Any], problems: list[str]) -> None:
        self._label = label
        self._values = values
        self.problems = problems

    def text(self, name: str) -> str:
        value = self._values.get(name)
        if value is None or isinstance(value, str):
            return value or ""
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            self.problems.append(f"{self._label}{name} is the number {value}: want text, in quotes")
        else:
            self.problems.append(f"{self._label}{name} is a {type(value).__name__}: want text")
        return ""

    def mapping(self, name: str) -> _Fields:
        value = self._values.get(name)
        if value is not None and not isinstance(value, Mapping):
            self.problems.append(f"{self._label}{name} is a {type(value).__name__}: want a mapping")
        return _Fields(f"{self._label}{name}.", value if isinstance(value, Mapping) else {}, self.problems)

    def value(self, name: str) -> Any:
        return self._values.get(name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(map(str, self._values)))


def read_model(path: str | os.PathLike[str], source: str = "") -> LocalModel:
    """Read the model in the directory `path`; `source` is the URI that it has for MLflow (default: the path).

    Raises ModelError.
    """
    path = os.path.abspath(path)
    problems: list[str] = []
    document = _yaml(path, _MLMODEL, problems)
    if document is None and not problems:
        raise ModelError(f"{path} has no MLmodel: give the URI of a model that MLflow logged or saved")
    root = _Fields("", document or {}, problems)
    flavors = root.mapping("flavors")
    pyfunc = flavors.mapping(_PYFUNC)
    transformers = flavors.mapping("transformers")
    example = root.mapping("saved_input_example_info").text("artifact_path")
    python_env = _Fields("python_env.yaml: ", _yaml(path, "python_env.yaml", problems) or {}, problems)
    requirements = os.path.join(path, "requirements.txt")
    signature = root.value("signature")
    found = LocalModel(
        path=path,
        source=source or path,
        mlflow_version=root.text("mlflow_version"),
        python_version=pyfunc.text("python_version"),
        python_env=python_env.text("python"),
        flavors=flavors.names,
        loader_module=pyfunc.text("loader_module"),
        databricks_runtime=root.text("databricks_runtime"),
        size=_size(path),
        requirements=requirements if os.path.isfile(requirements) else None,
        conda=_conda(path, problems),
        input_example=bool(example) and os.path.isfile(os.path.join(path, example)),
        signature=signature if isinstance(signature, Mapping) else None,
        external=root.mapping("metadata").value(_EXTERNAL) is True,
        hub=transformers.text("source_model_name") if transformers.value("source_model_revision") else "",
        model_id=root.text("model_id") or None,
        run_id=root.text("run_id") or None,
    )
    if problems:
        raise ModelError(
            f"{path} is a damaged model: {'; '.join(problems)}; log or save it again, or take a whole copy"
        )
    return found


def _yaml(path: str, name: str, problems: list[str]) -> Mapping[Any, Any] | None:
    """The mapping in a YAML file; None when there is no such file, or one more problem."""
    import yaml  # MLflow needs it; ours does not

    try:
        with open(os.path.join(path, name), encoding="utf-8") as file:
            found = yaml.safe_load(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        problems.append(f"{name} cannot be read: {error.strerror}")
        return None
    except UnicodeDecodeError:
        problems.append(f"{name} is not UTF-8 text")
        return None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        problems.append(f"{name} is not YAML{where}: {getattr(error, 'problem', None) or 'it cannot be parsed'}")
        return None
    if not isinstance(found, Mapping):
        problems.append(f"{name} is empty" if found is None else f"{name} holds no mapping")
        return None
    return found


def _conda(path: str, problems: list[str]) -> tuple[str, ...]:
    rows = (_yaml(path, "conda.yaml", problems) or {}).get("dependencies")
    if rows is None:
        return ()
    if not isinstance(rows, list):
        problems.append("conda.yaml: dependencies is no list")
        return ()
    named = [row for row in rows if isinstance(row, str)]
    return tuple(sorted(row for row in named if _conda_name(row) not in _CONDA_TOOLS))


def _conda_name(row: str) -> str:
    """`conda-forge::numpy >=1.2` is `numpy`."""
    name = row.rpartition("::")[2].strip()
    for mark in "=<>! ~[":
        name = name.partition(mark)[0]
    return name.lower()


def _size(path: str) -> int:
    """Bytes of all files; a link counts as what it is."""
    return sum(
        os.lstat(os.path.join(directory, name)).st_size for directory, _, names in os.walk(path) for name in names
    )
