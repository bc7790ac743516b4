"""Registering with the environment, against a real MLflow with a SQLite registry."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import warnings

import pytest

import registration
import snapshot
from diffing.verdict import Verdict
from registration import enabling
from registration.deploying import deploy
from registration.env_pack import EnvPackError
from registration.importing import LoadError
from registration.naming import snapshot_name
from registration.registering import LOCK, MODULES, RegisteredOtherwiseError, RegistrationWarning, _last_lock
from snapshot.testing.samples import publish_sample
from snapshot.trees import read_note

pytestmark = pytest.mark.mlflow

#: For snapshots that nobody restores: most of the environment may stay away.
PACK = {"install_dependencies": False, "fingerprint": False, "exclude": ["*/site-packages/*", "dist:*"]}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return snapshot.Store(tmp_path_factory.mktemp("registered") / "store")


@pytest.fixture
def client(mlflow):
    return mlflow.MlflowClient()


def tags_of(client, version):
    return client.get_model_version(version.name, str(version.version)).tags


def names(store):
    return {each.name for each in store.references()}


#: Of a process that trains: it has imported sklearn, which sets the first two.
VARIABLES = {
    "KMP_INIT_AT_FORK": "FALSE",
    "KMP_DUPLICATE_LIB_OK": "True",
    "MLFLOW_TRACKING_URI": "sqlite:////x.db",
    "PYTHONPATH": "/x",
    "OMP_NUM_THREADS": "1",
}


@pytest.fixture(scope="module")
def first(mlflow, logged, store):
    """Version 1 of `flats`, locked."""
    return registration.register_model(
        f"runs:/{logged.run}/prices",
        "flats",
        tags={"team": "x"},
        env_pack={"fingerprint": False},
        store=store,
        variables=VARIABLES,
    )


def test_a_version_says_which_snapshot_it_is(client, first, store):
    tags = tags_of(client, first)
    assert (first.name, str(first.version), tags["team"]) == ("flats", "1", "x")
    assert names(store) == {"flats/1"}
    found = store.resolve("flats/1")
    assert tags["envparity.snapshot"] == found.snapshot
    assert tags["envparity.parity_root"] == store.snapshot("flats/1").parity_root
    assert tags["envparity.store"] == str(store.backend)
    assert tags["envparity.name"] == "flats"
    assert first.run_id


def test_the_snapshot_has_the_model_its_lock_and_its_modules(first, store, logged, tmp_path):
    lock = read_note(store, "flats/1", LOCK).decode()
    assert "scikit-learn==" in lock
    assert "--hash=sha256:" in lock
    modules = json.loads(read_note(store, "flats/1", MODULES))["modules"]
    assert {"mlflow.pyfunc", "sklearn.ensemble", "pandas"} <= set(modules)
    assert "sklearn.ensemble._forest" in json.loads(read_note(store, "flats/1", MODULES))["pickled"]
    snapshot.restore("flats/1", tmp_path / "env", store)
    kept = tmp_path / "env" / ".envparity" / "model"
    for name in ("MLmodel", "requirements.txt"):
        with open(os.path.join(logged.path, name), "rb") as file:
            assert (kept / name).read_bytes() == file.read()


def test_what_a_server_has_without_being_told_is_no_difference(first, store):
    """Only what the user chose is left of the variables."""
    recorded = snapshot.load("flats/1", store).facts.variables
    assert [(each.name, each.value) for each in recorded.items] == [("OMP_NUM_THREADS", "1")]
    noted = json.loads(read_note(store, "flats/1", MODULES))["sets"]
    assert {"KMP_INIT_AT_FORK": "FALSE", "KMP_DUPLICATE_LIB_OK": "True"}.items() <= noted.items()


@pytest.mark.parametrize(
    ("more", "differing"),
    [({}, set()), ({"KMP_INIT_AT_FORK": "TRUE"}, {"KMP_INIT_AT_FORK"}), ({"KMP_BLOCKTIME": "0"}, {"KMP_BLOCKTIME"})],
)
def test_a_process_that_trained_deploys_what_it_trained(first, store, tmp_path, more, differing):
    """It has imported sklearn, so it has the variables that a server gets when it does so."""
    done = deploy("flats/1", tmp_path / "x", store, variables={**VARIABLES, **more})
    assert {
        each.subject for each in done.report.differences if each.reason and each.severity > Verdict.EQUIVALENT
    } == differing


def test_again_with_nothing_changed(mlflow, logged, first, store, client):
    size = sum(blob.size for blob in blobs(store))
    with registration.enable(store=store):
        again = mlflow.register_model(f"runs:/{logged.run}/prices", "flats", env_pack={"fingerprint": False})
    assert str(again.version) == "2"
    assert tags_of(client, again)["envparity.snapshot"] == tags_of(client, first)["envparity.snapshot"]
    assert sum(blob.size for blob in blobs(store)) - size < 1_000_000
    assert {"flats/1", "flats/2"} <= names(store)


def blobs(store):
    return {
        blob.digest: blob
        for each in store.references()
        for blob in (each.manifest, *store.manifest(each).content.values())
    }.values()


def test_mlflows_own_call_unchanged(mlflow, logged, store, client):
    from mlflow.utils.env_pack import EnvPackConfig

    before = mlflow.tracking._model_registry.fluent._register_model
    pack = EnvPackConfig(name="databricks_model_serving", install_dependencies=False)
    with registration.enable(store=store):
        version = mlflow.register_model(logged.second.model_uri, "own", env_pack=pack)
        plain = mlflow.register_model(logged.second.model_uri, "own")
    assert "envparity.snapshot" in tags_of(client, version)
    assert "envparity.snapshot" not in tags_of(client, plain)
    assert mlflow.tracking._model_registry.fluent._register_model is before
    with pytest.raises(Exception, match="databricks runtime"):
        mlflow.register_model(logged.second.model_uri, "own", env_pack=pack)


def test_enabled_until_it_is_disabled(mlflow):
    from mlflow.tracking._model_registry import fluent

    before = fluent._register_model
    registration.enable()
    registration.enable()
    assert fluent._register_model is not before
    registration.disable()
    registration.disable()
    assert fluent._register_model is before


@pytest.mark.parametrize("form", ["version", "alias", "path"])
def test_every_form_of_a_model_uri(mlflow, logged, first, store, client, form):
    client.set_registered_model_alias("flats", "champion", "1")
    uri = {"version": "models:/flats/1", "alias": "models:/flats@champion", "path": logged.path}[form]
    version = registration.register_model(uri, f"by-{form}", env_pack={**PACK, "exclude": []}, store=store)
    assert f"by-{form}/1" in names(store)
    assert tags_of(client, version)["envparity.parity_root"] == store.snapshot("flats/1").parity_root


def test_a_name_that_no_snapshot_can_have(mlflow, logged, store, client):
    version = registration.register_model(logged.second.model_uri, "Prices (of flats)", env_pack=PACK, store=store)
    assert tags_of(client, version)["envparity.name"] == snapshot_name("Prices (of flats)")
    assert snapshot_name("Prices (of flats)", 1) in names(store)


def untouched(client, store, name, before):
    assert names(store) == before
    assert not list(client.search_model_versions(f"name='{name}'"))


def test_a_capture_that_fails_leaves_nothing(mlflow, logged, first, store, client):
    before = names(store)
    with pytest.raises(snapshot.SizeLimitError, match=r"over the limit of 1\.0 kB; nothing was stored") as refused:
        registration.register_model(logged.second.model_uri, "large", env_pack=PACK, store=store, size_limit=1000)
    # What it advises can be done by whoever registers.
    said = str(refused.value)
    assert said.endswith("aise size_limit")
    assert not re.search(r"--|interpreter=|bytecode=|deltas=", said)
    untouched(client, store, "large", before)
    assert "large" not in {each.name for each in client.search_registered_models()}


def test_a_warning_that_is_an_error_leaves_nothing(mlflow, logged, first, store, client, tmp_path):
    """It comes when the environment was captured already."""
    path = tmp_path / "model"
    shutil.copytree(logged.path, path)
    example = json.loads((path / "input_example.json").read_text())
    (path / "input_example.json").write_text(json.dumps({**example, "columns": ["rooms", "colour"]}))
    before = names(store)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RegistrationWarning)
        with pytest.raises(RegistrationWarning, match="will be registered, but"):
            registration.register_model(str(path), "strict", env_pack=PACK, store=store)
    untouched(client, store, "strict", before)


def test_a_version_that_cannot_be_read_any_more_stops_no_further_one(tmp_path):
    """Its lock only saves asking the index."""
    store = snapshot.Store(tmp_path / "store")
    found = publish_sample(store, "damaged/1", ["x"]).reference
    os.unlink(tmp_path / "store" / "blobs" / "sha256" / found.manifest.digest.hex)
    assert _last_lock(store, "damaged") is None
    assert _last_lock(store, "unknown") is None


def test_hashes_are_those_of_what_one_python_can_install(first, store, monkeypatch):
    assert b"\nscikit-learn==" in _last_lock(store, "flats")
    monkeypatch.setattr("sysconfig.get_config_var", lambda _: "cpython-39-x86_64-linux-gnu")
    assert _last_lock(store, "flats") is None


@pytest.mark.parametrize("limit", ["size_limit", "budget"])
def test_no_limit_is_taken_for_none_given(mlflow, logged, store, limit):
    with pytest.raises(EnvPackError, match=rf"^env_pack\.{limit} is 0: want a number of bytes, at least 1"):
        registration.register_model(logged.second.model_uri, "large", store=store, **{limit: 0})


def test_a_model_that_fails_on_its_own_example_is_warned_of(mlflow, logged, first, store, client, tmp_path):
    path = tmp_path / "model"
    shutil.copytree(logged.path, path)
    example = json.loads((path / "input_example.json").read_text())
    (path / "input_example.json").write_text(json.dumps({**example, "columns": ["rooms", "colour"]}))
    with pytest.warns(RegistrationWarning, match="will be registered, but the prediction on its input example") as seen:
        version = registration.register_model(str(path), "colours", env_pack=PACK, store=store)
    assert [each.filename for each in seen if each.category is RegistrationWarning] == [__file__]
    assert tags_of(client, version)["envparity.name"] == "colours"


@pytest.mark.parametrize("at", ["loading", "capturing"])
def test_control_c_leaves_nothing(mlflow, logged, first, store, client, loads, at):
    before = names(store)

    def said(line):
        if line.startswith(at):
            assert loads(), "it is under way"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        registration.register_model(logged.second.model_uri, "stopped", env_pack=PACK, store=store, said=said)
    assert not loads()
    untouched(client, store, "stopped", before)


def test_a_model_that_does_not_load_leaves_nothing(mlflow, logged, first, store, client, loads, tmp_path):
    """All the rest is packed by then."""
    model = tmp_path / "model"
    shutil.copytree(logged.path, model)
    (model / "model.skops").unlink()
    before = names(store)
    with pytest.raises(LoadError, match="cannot be loaded in this environment"):
        registration.register_model(str(model), "broken", env_pack=PACK, store=store)
    untouched(client, store, "broken", before)
    assert not loads()


def test_a_refusal_of_mlflow_leaves_nothing(mlflow, logged, first, store, client):
    before = names(store)
    with pytest.raises(mlflow.MlflowException):
        registration.register_model(
            logged.second.model_uri, "refused", tags={"x" * 300: "1"}, env_pack=PACK, store=store
        )
    untouched(client, store, "refused", before)


def after(mlflow, monkeypatch, error):
    """MLflow makes the version, and then fails."""
    create = enabling.original()

    def late(*words, **options):
        create(*words, **options)
        raise error

    monkeypatch.setattr(enabling, "original", lambda: late)


@pytest.mark.parametrize("error", [TimeoutError("it never became ready"), KeyboardInterrupt()])
def test_a_version_that_was_made_before_the_error_goes_with_its_snapshot(
    mlflow, logged, first, store, client, monkeypatch, error
):
    name = f"late's {type(error).__name__}"
    registration.register_model(logged.second.model_uri, name, env_pack=PACK, store=store)
    before = names(store)
    after(mlflow, monkeypatch, error)
    with pytest.raises(type(error)):
        registration.register_model(logged.second.model_uri, name, env_pack=PACK, store=store)
    assert [str(each.version) for each in client.search_model_versions(f'name="{name}"')] == ["1"]
    assert names(store) == before


def test_where_mlflow_cannot_be_asked_any_more_the_snapshot_stays(mlflow, logged, first, store, client, monkeypatch):
    """The version may be there, and would be one without its environment."""

    def unreachable(*_, **__):
        raise mlflow.MlflowException("no answer from https://user:hunter2@registry")

    after(mlflow, monkeypatch, TimeoutError("no answer"))
    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "search_model_versions", unreachable)
        with (
            pytest.raises(TimeoutError),
            pytest.warns(
                RegistrationWarning, match=r"cannot be seen .*its snapshot is kept in .* as lost/pending-"
            ) as seen,
        ):
            registration.register_model(logged.second.model_uri, "lost", env_pack=PACK, store=store)
    assert "hunter2" not in str([each.message for each in seen])
    (version,) = client.search_model_versions("name='lost'")
    assert store.resolve(tags_of(client, version)["envparity.snapshot"])
    client.delete_model_version("lost", version.version)
    store.remove(next(each for each in names(store) if each and each.startswith("lost/pending-")))


def test_a_store_that_belongs_to_another_registry(mlflow, logged, first, store, client, tmp_path):
    other = snapshot.Store(tmp_path / "other")
    with other.begin():
        pass
    from snapshot.testing.samples import publish_sample

    publish_sample(other, "taken/1", ["x"])
    with pytest.raises(RegisteredOtherwiseError, match=r"give each a store of its own; .*envparity remove taken/1 "):
        registration.register_model(logged.second.model_uri, "taken", env_pack=PACK, store=other)
    untouched(client, other, "taken", {"taken/1"})


def test_two_at_once(mlflow, logged, first, store, client):
    versions, failed = [], []

    def one():
        try:
            versions.append(registration.register_model(logged.second.model_uri, "twice", env_pack=PACK, store=store))
        except Exception as error:  # noqa: BLE001 (shown below)
            failed.append(error)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert sorted(str(version.version) for version in versions) == ["1", "2"]
    assert {"twice/1", "twice/2"} <= names(store)
    assert not [name for name in names(store) if name and "pending" in name]


def test_a_wrong_env_pack_is_refused_before_anything(mlflow, logged, store):
    with pytest.raises(EnvPackError, match="want 'databricks_model_serving'"):
        registration.register_model(logged.second.model_uri, "x", env_pack="conda", store=store)
