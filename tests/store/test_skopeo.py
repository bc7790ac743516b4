"""Other tools read what we publish, and we read what they copy: skopeo as the oracle."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from snapshot.store import Store
from snapshot.testing.samples import blob_of, content_of, publish_sample, sample_snapshot

pytestmark = pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")


def skopeo(*arguments: str) -> bytes:
    done = subprocess.run(["skopeo", "--insecure-policy", *arguments], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store")
    publish_sample(store, "model/1", ["numpy", "pandas"])
    publish_sample(store, "model/2", ["numpy", "scipy"], reuse=store.contents())
    return store


def test_inspect(store):
    reference = store.resolve("model/2")
    raw = skopeo("inspect", "--raw", f"oci:{store}:model/2")
    assert raw == store.read(reference.manifest)
    assert json.loads(raw)["artifactType"] == "application/vnd.envparity.snapshot.v1+json"


def test_copy_is_a_store(store, tmp_path):
    skopeo("copy", f"oci:{store}:model/2", f"oci:{tmp_path}/other:model/2")
    row = json.loads((tmp_path / "other" / "index.json").read_bytes())["manifests"][0]
    assert set(row["annotations"]) == {"org.opencontainers.image.ref.name"}
    other = Store(tmp_path / "other")
    reference = store.resolve("model/2")
    for text in ("model/2", "model", reference.snapshot, reference.snapshot[:15]):
        assert other.resolve(text).snapshot == reference.snapshot
    assert other.snapshot(reference.snapshot) == sample_snapshot(["numpy", "scipy"])
    known = other.contents()
    assert other.read(known[content_of("scipy", "tar")]) == blob_of("scipy", "tar")
    assert other.manifest("model/2") == store.manifest("model/2")
    assert other.check() == ()
    assert other.collect(grace=0).blobs == 0


def test_copy_into_a_store(store, tmp_path):
    """skopeo rewrites the index of a store: what it leaves still works, and so does what was there before."""
    other = Store(tmp_path / "other")
    before = publish_sample(other, "own/1", ["mlflow"]).reference
    skopeo("copy", f"oci:{store}:model/1", f"oci:{other}:model/1")
    assert {each.name for each in other.references()} == {"own/1", "model/1"}
    assert other.resolve("own/1") == before
    assert other.snapshot("model/1") == sample_snapshot(["numpy", "pandas"])
    publish_sample(other, "own/2", ["numpy"], reuse=other.contents())
    other.remove("own/1")
    assert other.collect(grace=0).blobs > 0
    assert other.check() == ()
    skopeo("copy", f"oci:{other}:model/1", f"oci:{tmp_path}/third:model/1")
    assert Store(tmp_path / "third").snapshot("model/1") == sample_snapshot(["numpy", "pandas"])


def test_copy_to_a_directory_keeps_every_byte(store, tmp_path):
    """The transport that other tools build on: manifest and blobs unchanged."""
    skopeo("copy", f"oci:{store}:model/1", f"dir:{tmp_path}/plain")
    reference = store.resolve("model/1")
    assert (tmp_path / "plain" / "manifest.json").read_bytes() == store.read(reference.manifest)
    skopeo("copy", f"dir:{tmp_path}/plain", f"oci:{tmp_path}/back:model/1")
    assert Store(tmp_path / "back").resolve("model/1").manifest.digest == reference.manifest.digest
