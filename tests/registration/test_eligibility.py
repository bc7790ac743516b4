"""Every rule by itself, and all of them at once. Most need no model on disk: the rules look at values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from registration.eligibility import Failure, NotEligibleError, check, current_runtime, vet
from registration.env_pack import EnvPack
from registration.mlmodel import LocalModel
from registration.models import fetch
from registration.surroundings import Installed, Surroundings
from snapshot.facts.model import Source

pytestmark = pytest.mark.mlflow

SQLITE = "sqlite:///mlflow.db"
MARKERS = {
    "python_version": "3.11",
    "python_full_version": "3.11.7",
    "sys_platform": "linux",
    "platform_machine": "x86_64",
}


@pytest.fixture(autouse=True)
def _mlflow(mlflow):
    """Names are checked by MLflow."""


def installed(**versions):
    return {name.replace("_", "-"): Installed(name, version) for name, version in versions.items()}


HERE = Surroundings("/env/bin/python", "/env", "3.11.7", installed(mlflow="3.17.2", numpy="2.4.6"), MARKERS)


@pytest.fixture
def model(tmp_path):
    """An eligible model; `model("…")` has these requirements."""

    def with_requirements(text="mlflow==3.17.2\nnumpy\n", **changes):
        path = tmp_path / "requirements.txt"
        path.write_text(text)
        found = LocalModel(
            path=str(tmp_path),
            source="models:/m-1",
            mlflow_version="3.17.2",
            python_version="3.11.7",
            python_env="3.11.7",
            flavors=("python_function", "sklearn"),
            loader_module="mlflow.sklearn",
            databricks_runtime="",
            size=1,
            requirements=str(path),
            conda=(),
            input_example=True,
            signature=None,
            external=False,
            hub="",
            model_id="m-1",
            run_id=None,
        )
        return replace(found, **changes)

    return with_requirements


def failures(model, *, name="churn", here=HERE, pack=None, registry=SQLITE, runtime=None):
    try:
        check(model, name, here, pack or EnvPack(), registry_uri=registry, runtime=runtime)
    except NotEligibleError as error:
        said, found = str(error), list(error.failures)
    else:
        return []
    assert said.splitlines() == list(map(str, found))
    assert all(failure.remedy and failure.what for failure in found)
    return found


def only(found):
    (failure,) = found
    return failure


def test_an_eligible_model(model):
    assert failures(model()) == []


def test_the_model_and_environment_of_these_tests(logged, here, pack, tmp_path):
    """A real logged model in the environment that logged it. Its GPU distributions, if any, are of no interest here."""
    found = fetch(logged.second.model_uri, tmp_path)
    check(found, "prices", here, replace(pack, allow_cuda=True), registry_uri=SQLITE, runtime=current_runtime())


def test_all_failures_at_once(model):
    bad = model(
        "mlflow==3.1.0\nmissing-library\n",
        mlflow_version="2.22.0",
        python_version="3.10.4",
        databricks_runtime="15.4",
        conda=("cudatoolkit",),
        flavors=("spark", "python_function"),
        hub="org/big",
    )
    here = replace(HERE, conda=True, installed={**HERE.installed, **installed(nvidia_nccl_cu12="2.27")})
    found = failures(
        bad, name="two.levels", here=here, registry="databricks-uc", pack=EnvPack(install_dependencies=False)
    )
    assert [failure.rule for failure in found] == [
        "foundation model",
        "MLflow version",
        "Python version",
        "Databricks runtime",
        "environment",
        "requirements",
        "requirements",
        "requirements",
        "model name",
        "CPU serving",
    ]


# -- the model


def test_an_external_model(mlflow, tmp_path):
    found = failures(
        fetch(mlflow.create_external_model(name="elsewhere").model_uri, tmp_path), pack=EnvPack(allow_cuda=True)
    )
    assert only(found) == Failure(
        "external model",
        "its files are not in MLflow (mlflow.create_external_model)",
        "log the model itself, with its flavor's log_model",
    )


def test_a_model_that_databricks_hosts(model):
    assert only(failures(model(source="models:/system.ai.llama_v3/2"))).rule == "foundation model"
    assert failures(model(source="models:/system.aim/2")) == []


def test_a_reference_to_a_hub(model):
    found = only(failures(model(hub="org/big", source="models:/m-7")))
    assert found.what == "its weights are on a hub (org/big), not in the model"
    assert found.remedy == "call mlflow.transformers.persist_pretrained_model('models:/m-7') first"


def test_a_client_of_a_hosted_model_is_a_custom_model(model):
    assert failures(model(flavors=("openai", "python_function"), loader_module="mlflow.openai")) == []


@pytest.mark.parametrize(
    ("flavors", "said"),
    [((), "it has no flavor at all"), (("spark", "mleap"), "its flavors are spark, mleap")],
)
def test_no_python_function(model, flavors, said):
    found = only(failures(model(flavors=flavors, python_version="", python_env="")))
    assert found.what == f"it has no python_function flavor: {said}"


@pytest.mark.parametrize("version", ["3.1.0", "3.1.4", "3.17.2", "4.0"])
def test_a_new_enough_mlflow(model, version):
    assert failures(model(mlflow_version=version)) == []


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("3.0.1", "it was logged with MLflow 3.0.1"),
        ("2.22.0", "it was logged with MLflow 2.22.0"),
        ("", "MLmodel does not say which MLflow logged it"),
        ("new", "MLmodel says 'new', which is no version"),
    ],
)
def test_an_old_mlflow(model, version, said):
    assert only(failures(model(mlflow_version=version))) == Failure(
        "MLflow version", said, "log it again with MLflow 3.1 or later"
    )


# -- the environment


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"python_version": "3.11.9"}, "MLmodel says 3.11.9, this is 3.11.7"),
        ({"python_env": "3.10.12"}, "python_env.yaml says 3.10.12, this is 3.11.7"),
        (
            {"python_version": "3.9.1", "python_env": "3.9.2"},
            "MLmodel says 3.9.1 and python_env.yaml says 3.9.2, this is 3.11.7",
        ),
        ({"python_version": "", "python_env": ""}, "the model does not say which Python logged it"),
    ],
)
def test_another_python(model, changes, said):
    assert only(failures(model(**changes))).what == said


def test_one_file_that_says_the_python_is_enough(model):
    assert failures(model(python_env="")) == []
    assert failures(model(python_version="")) == []


@pytest.mark.parametrize(
    ("logged", "runtime"), [("client.3", "client.3"), ("client.4.2", "client.4.10"), ("client.4", "client.4.1")]
)
def test_the_same_runtime(model, logged, runtime):
    assert failures(model(databricks_runtime=logged), runtime=runtime) == []


@pytest.mark.parametrize(
    ("logged", "runtime", "said"),
    [
        ("client.3.1", "client.4.1", "it was logged on client.3.1, this is client.4.1"),
        ("client.2.1", "client.2.1", "it was logged on client.2.1"),
        ("15.4.x-scala2.12", "15.4.x-scala2.12", "it was logged on 15.4.x-scala2.12"),
        ("client.4", None, "it was logged on client.4, this is not Databricks"),
        ("", "client.4", "this is client.4, and it was not logged on Databricks"),
        ("", "15.4", "this is 15.4"),
    ],
)
def test_another_runtime(model, logged, runtime, said):
    found = only(failures(model(databricks_runtime=logged), runtime=runtime))
    assert (found.rule, found.what) == ("Databricks runtime", said)


def test_a_runtime_with_gpus(model):
    found = only(failures(model(databricks_runtime="client.4-gpu"), runtime="client.4-gpu"))
    assert found == Failure(
        "CPU serving", "the runtime client.4-gpu is one with GPUs", "register on CPU, or set allow_cuda"
    )
    allowed = EnvPack(allow_cuda=True)
    assert failures(model(databricks_runtime="client.4-gpu"), runtime="client.4-gpu", pack=allowed) == []


def test_the_runtime_is_what_mlflow_sees(monkeypatch):
    assert current_runtime() is None
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "client.4.1")
    assert current_runtime() == "client.4.1"


@pytest.mark.parametrize("prefix", ["/usr", "/"])
def test_the_system_is_no_environment(model, prefix):
    assert only(failures(model(), here=replace(HERE, prefix=prefix))).what == f"{prefix} holds the whole system"


def test_conda(model):
    found = only(failures(model(), here=replace(HERE, conda=True)))
    assert found.what == "conda made /env, and its libraries only work there"
    assert "python -m venv" in found.remedy


# -- requirements

NOT_INSTALLED = EnvPack(install_dependencies=False)


def test_another_version_is_named(model):
    for pack in (EnvPack(), NOT_INSTALLED):
        found = failures(model("mlflow==3.17.2\nnumpy==2.0.0\n"), pack=pack)
        assert only(found).what == "requirements.txt:2: numpy==2.0.0 is wanted, 2.4.6 is installed"


def test_what_is_missing_may_be_installed(model):
    wanted = model("mlflow\nleftpad>=2\nextra; sys_platform == 'win32'\n")
    assert failures(wanted) == []
    found = only(failures(wanted, pack=NOT_INSTALLED))
    assert found == Failure(
        "requirements",
        "requirements.txt:2: leftpad>=2 is not installed",
        "install it, or set install_dependencies to True",
    )


def test_the_local_part_may_be_left_out(model):
    """MLflow pins `torch==2.1.0` where 2.1.0+cpu is installed."""
    here = replace(HERE, installed=installed(torch="2.1.0+cpu"))
    assert failures(model("torch==2.1.0"), here=here) == []
    assert only(failures(model("torch==2.1.0+cu118"), here=here)).rule == "requirements"


def test_constraints_need_not_be_installed(model, tmp_path):
    (tmp_path / "constraints.txt").write_text("numpy<2\nabsent==1\n")
    found = failures(model("mlflow\n-c constraints.txt\n"), pack=NOT_INSTALLED)
    assert only(found).what == "constraints.txt:1: numpy<2 is wanted, 2.4.6 is installed"


def test_a_commit(model):
    line = "mine @ git+https://example.org/mine@" + "a" * 40
    here = replace(
        HERE,
        installed={"mine": Installed("mine", "1", source=Source("https://example.org/mine", "git", "a" * 40))},
    )
    assert failures(model(line), here=here, pack=NOT_INSTALLED) == []
    other = replace(
        here, installed={"mine": Installed("mine", "1", source=Source("https://example.org/mine", "git", "b" * 40))}
    )
    assert only(failures(model(line), here=other, pack=NOT_INSTALLED)).what.startswith(
        "requirements.txt:1: mine @ git+"
    )
    locked = only(failures(model(line), here=here))
    assert "has no file to take a hash of, so it cannot be locked" in locked.what
    assert locked.remedy == "install it yourself and set install_dependencies to False"


@pytest.mark.parametrize("line", ["./code/mine", "-e ./code/mine", "mine @ file:///code/mine"])
def test_a_directory_cannot_be_locked(model, line):
    assert any("cannot be locked" in failure.what for failure in failures(model(line)))


def test_a_wheel_beside_the_model(model):
    here = replace(HERE, installed=installed(mine="1.0"))
    assert failures(model("code/mine-1.0-py3-none-any.whl"), here=here) == []
    found = failures(model("code/mine-2.0-py3-none-any.whl"), here=here)
    assert only(found).what.endswith("is wanted, 1.0 is installed")


def test_lines_that_cannot_be_read(model):
    found = failures(model("a b\n==1\nmlflow\n"))
    assert [failure.what.partition(": ")[0] for failure in found] == ["requirements.txt:1", "requirements.txt:2"]


def test_no_requirements(model):
    assert only(failures(model(requirements=None))).what == "the model has no requirements.txt"


def test_what_only_conda_installs(model):
    found = only(failures(model(conda=("cudatoolkit=11", "r-base"))))
    assert found.what == "only conda installs cudatoolkit=11, r-base (conda.yaml)"


# -- GPUs


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("nvidia-cublas-cu12", "12.4"),
        ("nvidia-nccl", "2.27"),
        ("torch", "2.5.1+cu121"),
        ("jaxlib", "0.4.30+cuda12.cudnn89"),
        ("jax-cuda12-plugin", "0.8"),
        ("cupy-cuda12x", "13.3"),
        ("rmm-cu12", "25.2"),
        ("tensorrt-cu12-libs", "10.1"),
        ("onnxruntime-gpu", "1.20"),
    ],
)
def test_cuda(model, name, version):
    here = replace(HERE, installed={**HERE.installed, name: Installed(name, version)})
    assert only(failures(model(), here=here)).what == f"{name} {version}, which only a GPU can use"
    assert failures(model(), here=here, pack=EnvPack(allow_cuda=True)) == []
    assert failures(model(), here=here, pack=EnvPack(exclude=(f"dist:{name[:-1]}*",))) == []


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("nvidia-ml-py", "12"),
        ("torch", "2.5.1+cpu"),
        ("torch", "2.5.1"),
        ("cupy", "13"),
        ("xgboost-cpu", "3"),
        ("jax", "0.8"),
    ],
)
def test_no_cuda(model, name, version):
    assert failures(model(), here=replace(HERE, installed={**HERE.installed, name: Installed(name, version)})) == []


def test_what_is_to_be_installed_is_no_exception():
    missing = {"xgboost": "3.2.0", "nvidia-nccl-cu12": "2.32.3"}
    with pytest.raises(NotEligibleError) as caught:
        vet(missing, EnvPack())
    said = "CPU serving: installing what is missing brings nvidia-nccl-cu12 2.32.3, which only a GPU can use; install the CPU builds"
    assert str(caught.value).startswith(said)
    vet(missing, EnvPack(allow_cuda=True))
    vet(missing, EnvPack(exclude=("dist:nvidia-*",)))


def test_the_cpu_build_is_what_is_required(model):
    """MLflow's flavor requires xgboost by that name, whichever of the two is installed."""
    wanted = model("xgboost==3.2.0\n")
    pack = EnvPack(install_dependencies=False)
    for name, version, broken in [
        ("xgboost-cpu", "3.2.0", False),
        ("xgboost-cpu", "3.1.0", True),
        ("xgboost-gpu", "3.2.0", True),
    ]:
        here = replace(HERE, installed={**HERE.installed, name: Installed(name, version)})
        assert bool(failures(wanted, here=here, pack=pack)) == broken


def test_a_name_that_is_none(model):
    assert only(failures(model(), name=None)).what == "None is no name"


# -- the name


@pytest.mark.parametrize("registry", ["databricks-uc", "databricks-uc://profile", "uc:http://127.0.0.1:8080"])
def test_three_levels(model, registry):
    assert failures(model(), name="main.prod.churn_model", registry=registry) == []
    for name in ("churn", "prod.churn", "main.prod.churn.model", "main..churn", "main.prod."):
        found = only(failures(model(), name=name, registry=registry))
        assert found == Failure(
            "model name", f"{name!r} does not fit Unity Catalog", "want three levels: catalog.schema.model"
        )
    found = only(failures(model(), name="main.my schema.a/b", registry=registry))
    assert found.what == "Unity Catalog refuses 'my schema', 'a/b'"
    assert "'" + "x" * 256 + "'" in only(failures(model(), name="a.b." + "x" * 256, registry=registry)).what


@pytest.mark.parametrize("name", ["churn", "Churn model", "main.prod.churn", "模型"])
def test_names_for_other_registries(model, name):
    assert failures(model(), name=name) == []
    assert failures(model(), name=name, registry="databricks") == []


@pytest.mark.parametrize("name", ["a/b", "a:b", "", " "])
def test_names_that_mlflow_refuses(model, name):
    assert only(failures(model(), name=name)).rule == "model name"
