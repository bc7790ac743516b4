"""The digest of a model: coreutils as the oracle, and what it refuses to leave out silently."""

from __future__ import annotations

import os
import shutil
import subprocess
from hashlib import sha256

import pytest

from diffing.modeldigest import UnfitModelError, model_digest


@pytest.fixture
def model(tmp_path):
    top = tmp_path / "model"
    (top / "data" / "deep").mkdir(parents=True)
    (top / "MLmodel").write_text("flavors: {}\n")
    (top / "data" / "model.pkl").write_bytes(b"\x80\x04.")
    (top / "data" / "deep" / "empty").write_bytes(b"")
    (top / "data.txt").write_text("sorted before data/ by its bytes")
    return top


def command(top):
    """What docs/attestation.md says to run."""
    script = "find -L . -type f | cut -c3- | LC_ALL=C sort | tr '\\n' '\\0' | xargs -0 -r sha256sum | sha256sum | cut -f1 -d' '"
    done = subprocess.run(["sh", "-c", script], cwd=top, check=True, capture_output=True, text=True)
    return f"dirHash:{done.stdout.strip()}"


needs_coreutils = pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs coreutils")


@needs_coreutils
def test_coreutils_compute_the_same(model):
    assert model_digest(str(model)) == command(model)
    (model / os.fsdecode(b"odd \xff name")).write_bytes(b"1")
    (model / "Z").write_bytes(b"2")
    assert model_digest(str(model)) == command(model)


@needs_coreutils
def test_a_link_within_counts_as_its_file(model):
    (model / "latest.pkl").symlink_to("data/model.pkl")
    assert model_digest(str(model)) == command(model)
    before = model_digest(str(model))
    (model / "latest.pkl").unlink()
    shutil.copy(model / "data" / "model.pkl", model / "latest.pkl")
    assert model_digest(str(model)) == before


def test_the_place_modes_times_and_empty_directories_do_not_count(model, tmp_path):
    found = model_digest(str(model))
    shutil.copytree(model, tmp_path / "elsewhere")
    os.utime(tmp_path / "elsewhere" / "MLmodel", (0, 0))
    os.chmod(tmp_path / "elsewhere" / "MLmodel", 0o755)
    (tmp_path / "elsewhere" / "hollow").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    assert model_digest(str(tmp_path / "elsewhere")) == found
    assert model_digest(str(tmp_path / "link")) == found


@pytest.mark.parametrize(
    "change",
    [
        lambda top: (top / "MLmodel").write_text("flavors: {a}\n"),
        lambda top: (top / "MLmodel").rename(top / "MLModel"),
        lambda top: (top / "new").write_text(""),
        lambda top: (top / "data" / "deep" / "empty").unlink(),
        lambda top: (top / "data" / "model.pkl").rename(top / "model.pkl"),
    ],
)
def test_every_change_of_a_file_counts(model, change):
    found = model_digest(str(model))
    change(model)
    assert model_digest(str(model)) != found


def test_a_single_file(model):
    path = model / "data" / "model.pkl"
    assert model_digest(str(path)) == f"sha256:{sha256(path.read_bytes()).hexdigest()}"


def test_all_that_would_not_be_covered_is_named_at_once(model):
    (model / "a").symlink_to("/etc/hostname")
    (model / "b").symlink_to("nothing")
    (model / "c").symlink_to("data")
    (model / "d\nd").write_text("")
    (model / "e").symlink_to("e")
    os.mkfifo(model / "f")
    with pytest.raises(UnfitModelError) as caught:
        model_digest(str(model))
    assert str(caught.value) == (
        f"{model} has what a digest of its files would not cover: 'a' is a link out of it, to '{os.path.realpath('/etc/hostname')}',"
        " 'b' is a link to nothing, 'c' is a link to a directory, 'd\\nd' has a line end in its name, 'e' is a link to nothing"
        " and 1 more; take it out, or put the file itself there"
    )


def test_a_neighbour_with_the_same_beginning_is_outside(model, tmp_path):
    (tmp_path / "model2").write_text("")
    (model / "a").symlink_to("../model2")
    with pytest.raises(UnfitModelError, match="is a link out of it"):
        model_digest(str(model))


def test_what_is_no_model(tmp_path):
    with pytest.raises(FileNotFoundError):
        model_digest(str(tmp_path / "nothing"))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnfitModelError, match="pipe is neither a file nor a directory; name the model's directory"):
        model_digest(str(tmp_path / "pipe"))


def test_a_file_that_changes_while_it_is_read(model, monkeypatch):
    real = os.fstat
    calls = []

    def fstat(fd):
        calls.append(fd)
        if len(calls) == 2:
            os.utime(fd, ns=(1, 1))
        return real(fd)

    monkeypatch.setattr("diffing.modeldigest.os.fstat", fstat)
    with pytest.raises(UnfitModelError, match="changed while it was read; wait until nothing writes there"):
        model_digest(str(model))
