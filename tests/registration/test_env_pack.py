"""What `env_pack` may be."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from registration.env_pack import EnvPack, EnvPackError, normalise, spelled
from snapshot.limiting import Excess, SizeLimitError
from snapshot.saving import Saving


@pytest.mark.parametrize(
    "value", [None, "databricks_model_serving", {}, EnvPack(), {"name": "databricks_model_serving"}]
)
def test_everything_at_its_default(value):
    found = normalise(value)
    assert found == EnvPack()
    assert found.install_dependencies
    assert (found.size_limit, found.budget) == (1_000_000_000, 1_000_000_000)


def test_a_mapping_says_any_field():
    given = {
        "install_dependencies": False,
        "size_limit": "500MB",
        "budget": 7,
        "exclude": ["dist:pip"],
        "allow_cuda": True,
    }
    assert normalise(given) == EnvPack(
        install_dependencies=False, size_limit=500_000_000, budget=7, exclude=("dist:pip",), allow_cuda=True
    )


@pytest.mark.mlflow
@pytest.mark.parametrize("install", [True, False])
def test_mlflows_own(mlflow, install):
    config = pytest.importorskip("mlflow.utils.env_pack", reason="MLflow has it since 3.6")
    if not hasattr(config, "EnvPackConfig"):
        pytest.skip("this MLflow only knows the shorthand")
    given = config.EnvPackConfig(name="databricks_model_serving", install_dependencies=install)
    assert normalise(given) == EnvPack(install_dependencies=install)
    with pytest.raises(EnvPackError, match=r"env_pack.name is 'other': want 'databricks_model_serving'"):
        normalise(config.EnvPackConfig(name="other"))


def test_all_that_is_wrong_is_named():
    given = {
        "name": "sagemaker",
        "install_dependencies": "yes",
        "size_limit": "many",
        "budget": 0,
        "exclude": ["/absolute", "dist:"],
        "allow_cuda": 1,
        "colour": "red",
    }
    absolute = (
        "'/absolute' excludes nothing: want a pattern on paths relative to the environment, such as "
        "'*/tests/*', or 'dist:NAME' for a distribution"
    )
    with pytest.raises(EnvPackError) as raised:
        normalise(given)
    assert str(raised.value).splitlines() == [
        "env_pack.colour is not known: want name, install_dependencies, size_limit, budget, exclude, allow_cuda, fingerprint",
        "env_pack.size_limit: 'many' is no size; write 1GB, 500MB, 1GiB or a number of bytes",
        "env_pack.name is 'sagemaker': want 'databricks_model_serving'",
        "env_pack.install_dependencies is 'yes': want True or False",
        "env_pack.allow_cuda is 1: want True or False",
        "env_pack.budget is 0: want a number of bytes, at least 1, or in a mapping text such as '500MB'",
        f"env_pack.exclude: {absolute}",
        "env_pack.exclude: 'dist:' names no distribution: want 'dist:NAME'",
    ]


@pytest.mark.parametrize("name", ["size_limit", "budget"])
@pytest.mark.parametrize("value", [True, 1.5, None, -1])
def test_a_size_is_a_number_of_bytes(name, value):
    with pytest.raises(EnvPackError, match=rf"env_pack.{name} is {value}: want a number of bytes"):
        EnvPack(**{name: value})


def test_one_pattern_is_no_list_of_them():
    with pytest.raises(EnvPackError, match=r"env_pack.exclude is 'dist:pip': want patterns, such as"):
        normalise({"exclude": "dist:pip"})


@pytest.mark.parametrize("value", [3, ["databricks_model_serving"], object])
def test_anything_else_is_refused(value):
    with pytest.raises(EnvPackError, match=r"env_pack is a (int|list|type): want 'databricks_model_serving', mlflow"):
        normalise(value)


def test_it_needs_no_mlflow():
    import subprocess

    script = "import sys, registration.env_pack as e; e.normalise({}); sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_what_is_too_large_is_explained_in_its_fields():
    """Nothing is advised that whoever registers cannot do: a model goes with its interpreter and with what it imports."""
    savings = (
        Saving("layers", "bytecode", (), 9_000),
        Saving("files", "tests", ("*/tests/*", "*/test/*"), 5_000),
        Saving("leaf", "app", ("dist:app",), 1_000),
    )
    sizes = SimpleNamespace(layers=(), savings=savings, packed_bytes=2_000, base_bytes=700)
    excess = Excess(sizes, 1_000, SimpleNamespace(growth=()), 1_000, ("it is too large",))
    with pytest.raises(SizeLimitError) as raised, spelled():
        raise SizeLimitError(excess)
    assert raised.value.excess is excess
    assert str(raised.value).partition("To make it smaller: ")[2].split("; ") == [
        'env_pack={"exclude": ["*/tests/*", "*/test/*"]} saves about 5.0 kB',
        'env_pack={"exclude": ["dist:NAME"]} for what is not used, of what nothing else in the environment requires: app 1.0 kB',
        "optimize the store, or remove versions that are not needed any more",
        "or raise size_limit and budget",
    ]
    library = str(SizeLimitError(excess))
    assert "bytecode=\"drop\" saves about 9.0 kB; exclude=['*/tests/*', '*/test/*'] saves about 5.0 kB" in library
    assert "deltas=False stores whole layers" in library
    assert library.endswith("; or raise size_limit and budget")
