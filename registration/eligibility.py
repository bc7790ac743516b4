"""Whether a model may be registered together with the environment it was logged in: every rule, before anything is captured.

How large the environment may get, and all versions of a model together, is not asked here: only a capture knows, and it checks both before it
publishes anything.
"""

from __future__ import annotations

import fnmatch
import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from diffing.requirements import RequirementsError, masked, origin, read, source_differs
from registration.errors import RegistrationError
from registration.extra import OLDEST, need_mlflow
from snapshot.errors import summarise
from snapshot.excluding import DISTRIBUTION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from diffing.requirements import Item
    from registration.env_pack import EnvPack
    from registration.mlmodel import LocalModel
    from registration.surroundings import Installed, Surroundings

#: The Databricks runtimes whose environments can be packed, by what they say before the first minor version.
RUNTIMES = ("client.3", "client.4")

#: Distributions without any use where there is no GPU. `xgboost` and `torch` bring them along on x86-64 Linux.
_CUDA = re.compile(
    r"nvidia-(?!ml-py|pyindex).+|jax-cuda\d*-.+|cupy-(cuda|rocm).+|.+-cu\d+|.+-cu\d+-(bindings|libs)|tensorrt.*"
    r"|(faiss|onnxruntime|paddlepaddle|tensorflow)-gpu.*"
)
_CUDA_BUILD = re.compile(r"\+(cu|cuda)\d")
#: What Unity Catalog refuses in each of the three names.
_NOT_IN_CATALOG = re.compile(r"[\x00-\x20/.\x7f]")
_LONGEST_IN_CATALOG = 255


@dataclass(frozen=True, slots=True)
class Failure:
    """One rule that is broken. `rule` names it; `what` says how, `remedy` what to do."""

    rule: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}; {self.remedy}"


class NotEligibleError(RegistrationError, ValueError):
    """A model that cannot be registered with its environment. The message has a line for each rule that is broken."""

    def __init__(self, failures: Sequence[Failure]) -> None:
        super().__init__("\n".join(map(str, failures)))
        self.failures = tuple(failures)


def current_runtime() -> str | None:
    """The Databricks runtime that this process runs in, as MLflow sees it (and writes it into MLmodel); None elsewhere."""
    need_mlflow()
    from mlflow.utils.databricks_utils import get_databricks_runtime_version

    found: str | None = get_databricks_runtime_version()
    return found or None


def check(
    model: LocalModel, name: str, here: Surroundings, pack: EnvPack, *, registry_uri: str, runtime: str | None
) -> None:
    """Make sure that `model` may be registered as `name`, with the environment `here`.

    `registry_uri` is MLflow's, `runtime` the Databricks runtime of this process (`current_runtime`). With `pack.install_dependencies` a
    requirement may be missing, since it gets installed; one that is there in another version may not.

    Raises NotEligibleError with all that stands against it, RegistrationError where MLflow is missing.
    """
    if not isinstance(name, str):  # from a caller without types
        raise NotEligibleError(
            [Failure("model name", f"{name!r} is no name", "give that of a registered model, or a new one")]
        )
    failures = [
        *_custom(model, name),
        *_logged_with(model),
        *_python(model, here),
        *_runtime(model, runtime, pack),
        *_environment(here),
        *_requirements(model, here, pack),
        *_name(name, registry_uri),
        *_cuda({each: one.version for each, one in here.installed.items()}, pack),
    ]
    if failures:
        raise NotEligibleError(failures)


# -- the model


def _custom(model: LocalModel, name: str) -> Iterator[Failure]:
    """A model whose code and weights are all here, to be loaded in our environment.

    A python_function that calls a model elsewhere (mlflow.openai, langchain) is one of those: its client runs in this environment.
    """
    hosted = model.source.partition("models:/")[2].startswith("system.ai.") or name.startswith("system.ai.")
    if model.external:
        yield Failure(
            "external model",
            "its files are not in MLflow (mlflow.create_external_model)",
            "log the model itself, with its flavor's log_model",
        )
    elif hosted:
        yield Failure(
            "foundation model",
            "the models in system.ai are hosted by Databricks, in an environment of its own",
            "deploy it as it is, without env_pack",
        )
    elif model.hub:
        yield Failure(
            "foundation model",
            f"its weights are on a hub ({model.hub}), not in the model",
            f"call mlflow.transformers.persist_pretrained_model({masked(model.source)!r}) first",
        )
    elif not model.is_python_function:
        flavors = f"its flavors are {', '.join(model.flavors)}" if model.flavors else "it has no flavor at all"
        yield Failure(
            "custom model",
            f"it has no python_function flavor: {flavors}",
            "log it with a flavor that has one, or wrapped in mlflow.pyfunc.PythonModel",
        )


def _logged_with(model: LocalModel) -> Iterator[Failure]:
    remedy = f"log it again with MLflow {OLDEST} or later"
    if not model.mlflow_version:
        yield Failure("MLflow version", "MLmodel does not say which MLflow logged it", remedy)
        return
    try:
        old = Version(model.mlflow_version) < Version(OLDEST)
    except InvalidVersion:
        yield Failure("MLflow version", f"MLmodel says {model.mlflow_version!r}, which is no version", remedy)
        return
    if old:
        yield Failure("MLflow version", f"it was logged with MLflow {model.mlflow_version}", remedy)


# -- the environment


def _python(model: LocalModel, here: Surroundings) -> Iterator[Failure]:
    """The very version: another patch release has another standard library."""
    remedy = "register it in the environment that logged it, or log it again here"
    said = {"MLmodel": model.python_version, "python_env.yaml": model.python_env}
    differing = [
        f"{file} says {version}" for file, version in said.items() if version and version != here.python_version
    ]
    if differing:
        yield Failure("Python version", f"{' and '.join(differing)}, this is {here.python_version}", remedy)
    elif not any(said.values()) and model.is_python_function:
        yield Failure("Python version", "the model does not say which Python logged it", remedy)


def _runtime(model: LocalModel, runtime: str | None, pack: EnvPack) -> Iterator[Failure]:
    logged = model.databricks_runtime
    remedy = "register it where it was logged, or log it again here"
    wanted = f"want {' or '.join(RUNTIMES)} (serverless)"
    if logged and _major(logged) not in RUNTIMES:
        yield Failure("Databricks runtime", f"it was logged on {logged}", f"{wanted}: log it again there")
    elif logged and not runtime:
        yield Failure("Databricks runtime", f"it was logged on {logged}, this is not Databricks", remedy)
    elif runtime and _major(runtime) not in RUNTIMES:
        yield Failure("Databricks runtime", f"this is {runtime}", f"{wanted}: log and register it there")
    elif runtime and not logged:
        yield Failure("Databricks runtime", f"this is {runtime}, and it was not logged on Databricks", remedy)
    elif runtime and _major(logged) != _major(runtime):
        yield Failure("Databricks runtime", f"it was logged on {logged}, this is {runtime}", remedy)
    if runtime and runtime.endswith("-gpu") and not pack.allow_cuda:
        yield Failure("CPU serving", f"the runtime {runtime} is one with GPUs", "register on CPU, or set allow_cuda")


def _major(runtime: str) -> str:
    """`client.4.2` and `client.4-gpu` are `client.4`."""
    return ".".join(runtime.removesuffix("-gpu").split(".")[:2])


def _environment(here: Surroundings) -> Iterator[Failure]:
    """What a capture cannot bring elsewhere. Of a conda environment the libraries hold its directory, where nothing can be put in its place."""
    remedy = "make a virtual environment (python -m venv), log the model in it and register it there"
    if here.conda:
        yield Failure("environment", f"conda made {here.prefix}, and its libraries only work there", remedy)
    elif os.path.realpath(here.prefix) in {"/", "/usr"}:
        yield Failure("environment", f"{here.prefix} holds the whole system", remedy)


# -- what it requires


def _requirements(model: LocalModel, here: Surroundings, pack: EnvPack) -> Iterator[Failure]:
    if model.conda:
        yield Failure(
            "requirements",
            f"only conda installs {summarise(model.conda)} (conda.yaml)",
            "log the model with pip_requirements",
        )
    if not model.is_python_function:
        return  # it needs no environment
    if model.requirements is None:
        yield Failure("requirements", "the model has no requirements.txt", "log it again with pip_requirements")
        return
    try:
        wanted = read(model.requirements)
    except RequirementsError as error:
        for line in str(error).splitlines():
            yield Failure("requirements", line, "log the model again with requirements that pip can read")
        return
    for item in wanted.applicable(here.markers):
        yield from _one_requirement(item, here, pack)


def _one_requirement(item: Item, here: Surroundings, pack: EnvPack) -> Iterator[Failure]:
    if pack.install_dependencies and not item.constraint and (item.vcs or item.editable or _is_directory(item)):
        yield Failure(
            "requirements",
            f"{item.where}: {masked(origin(item))} has no file to take a hash of, so it cannot be locked",
            "install it yourself and set install_dependencies to False",
        )
    if item.name is None:
        return  # a path that does not say what it installs: nothing to compare
    shown = f"{item.name}{item.specifier}" + (f" @ {masked(origin(item))}" if item.url else "")
    found = here.find(canonicalize_name(item.name))
    if found is None:
        if not item.constraint and not pack.install_dependencies:
            yield Failure(
                "requirements",
                f"{item.where}: {shown} is not installed",
                "install it, or set install_dependencies to True",
            )
    elif not _fits(item, found):
        yield Failure(
            "requirements",
            f"{item.where}: {shown} is wanted, {found.version} is installed",
            "register the model in the environment that logged it, or log it again here",
        )


def _fits(item: Item, found: Installed) -> bool:
    """As PEP 440 has it: MLflow leaves the local part out of what it pins, so `==2.1` is `2.1+cpu` too.

    Of a wheel the version counts, not where the file lay.
    """
    try:
        contained = item.specifier.contains(Version(found.version), prereleases=True)
    except InvalidVersion:
        contained = item.pin in {None, found.version}
    return contained and not (item.vcs and source_differs(item, found.source))


def _is_directory(item: Item) -> bool:
    """A path or file: URL that is neither a wheel nor a source archive."""
    local = item.url.startswith(("file:", ".", "/")) or (bool(item.url) and "://" not in item.url)
    return local and not item.url.endswith((".whl", ".zip", ".tar.gz", ".tar.bz2", ".tar.xz", ".tgz"))


def vet(missing: Mapping[str, str], pack: EnvPack) -> None:
    """Make sure that what is about to be installed (versions by normalised name) breaks no rule either. Raises NotEligibleError."""
    failures = [replace(each, what=f"installing what is missing brings {each.what}") for each in _cuda(missing, pack)]
    if failures:
        raise NotEligibleError(failures)


def _cuda(versions: Mapping[str, str], pack: EnvPack) -> Iterator[Failure]:
    if pack.allow_cuda:
        return
    excluded = [
        canonicalize_name(pattern.removeprefix(DISTRIBUTION))
        for pattern in pack.exclude
        if pattern.startswith(DISTRIBUTION)
    ]
    found = [
        f"{name} {version}"
        for name, version in sorted(versions.items())
        if (_CUDA.fullmatch(name) or _CUDA_BUILD.search(version))
        and not any(fnmatch.fnmatchcase(name, pattern) for pattern in excluded)
    ]
    if found:
        yield Failure(
            "CPU serving",
            f"{summarise(found)}, which only a GPU can use",
            "install the CPU builds (xgboost-cpu, torch from its CPU index) and log the model again, leave them out with "
            "exclude=('dist:nvidia-*',), or set allow_cuda",
        )


# -- the name


def _name(name: str, registry_uri: str) -> Iterator[Failure]:
    """Three levels for Unity Catalog; what MLflow itself demands for any other registry.

    Not every MLflow refuses `/` and `:` yet, but no `models:/` URI can name such a model.
    """
    need_mlflow()
    from mlflow.exceptions import MlflowException
    from mlflow.utils.uri import is_databricks_unity_catalog_uri, is_oss_unity_catalog_uri
    from mlflow.utils.validation import _validate_model_name

    if is_databricks_unity_catalog_uri(registry_uri) or is_oss_unity_catalog_uri(registry_uri):
        levels = name.split(".")
        wrong = [level for level in levels if _NOT_IN_CATALOG.search(level) or len(level) > _LONGEST_IN_CATALOG]
        if len(levels) != 3 or not all(levels):
            yield Failure(
                "model name", f"{name!r} does not fit Unity Catalog", "want three levels: catalog.schema.model"
            )
        elif wrong:
            yield Failure(
                "model name",
                f"Unity Catalog refuses {summarise(map(repr, wrong))}",
                f"leave out spaces and '/', and use at most {_LONGEST_IN_CATALOG} characters for each level",
            )
        return
    if "/" in name or ":" in name:
        yield Failure(
            "model name", f"{name!r} has a '/' or ':', which ends a name in models:/ URIs", "choose another name"
        )
        return
    try:
        _validate_model_name(name)
    except MlflowException as error:
        yield Failure("model name", str(error.message).rstrip("."), "choose another name")
