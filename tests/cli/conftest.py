"""The command with a real store, and with library calls that only say what they were called with."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

import snapshot
from diffing.testing import description, file, layer
from registration.cli import main
from snapshot.digest import Descriptor
from snapshot.documents import digest_of
from snapshot.model import Finding, Kind
from snapshot.serialize import encode_snapshot, encode_tree
from snapshot.store import Problem, Store

PARITY = digest_of(b"parity")
SNAPSHOT = digest_of(b"snapshot")


class Envparity:
    """Runs the command and checks what holds for every run."""

    def __init__(self, store_path):
        self.store_path = store_path

    def __call__(self, *words, code=0, store=True, explained=False):
        """`explained`: what stands above the error's own line is wanted."""
        words = [*(["--store", str(self.store_path)] if store else []), *map(str, words)]
        result = CliRunner().invoke(main, words)
        assert "Traceback" not in result.stderr
        assert code is None or result.exit_code == code, result.output
        assert bool(result.stderr) == (result.exit_code not in {0, 1})
        if result.stderr:
            *above, said = result.stderr.splitlines()
            assert said.startswith("envparity: error: ")
            assert bool(above) == explained
            assert all(len(line) <= 80 for line in above)
        return result

    def json(self, *words, code=0):
        return json.loads(self(*words, "--json", code=code).stdout)

    def error(self, *words, code=2):
        result = self(*words, code=code)
        assert not result.stdout
        return result.stderr.removeprefix("envparity: error: ").rstrip("\n")


@pytest.fixture(autouse=True)
def _no_store_of_the_user(monkeypatch, tmp_path):
    monkeypatch.delenv("ENVPARITY_STORE", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def envparity(tmp_path):
    return Envparity(tmp_path / "store")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def publish(store, described, name=None):
    with store.begin() as batch:
        content = {}
        for found in described.snapshot.layers:
            tree = encode_tree(described.trees[found.tree])
            content[found.tree] = Descriptor("application/vnd.envparity.tree.v1+json+zstd", *batch.put(tree))
            content[found.diff_id] = Descriptor(
                "application/vnd.oci.image.layer.v1.tar+zstd", *batch.put(b"packed" + found.diff_id.encode())
            )
        return batch.publish(encode_snapshot(described.snapshot), content, name).reference


def training(*, core=b"1", click="8.1.7"):
    """A small environment."""
    return description(
        [
            layer(
                Kind.DISTRIBUTION,
                "click",
                click,
                [file("lib/click/core.py", core), file("lib/click/__init__.py", click.encode())],
            ),
            layer(Kind.UNOWNED, "unowned", None, [file("bin/own", b"#!", executable=True), file("odd\n\udcff")]),
        ]
    )


class Library:
    """Stands in for the library: keeps what it was called with, and answers with what a test puts here."""

    def __init__(self):
        self.calls = []
        self.problems = ()
        self.findings = ()
        self.error = None
        self.environments = {}

    def called(self, what, *args, **options):
        self.calls.append((what, args, options))
        if self.error:
            raise self.error

    def capture(self, prefix, store, **options):
        self.called("capture", prefix, store, **options)
        return SimpleNamespace(
            snapshot=SNAPSHOT,
            name=options["name"],
            parity_root=PARITY,
            files=11_904,
            distributions=43,
            layers=1,
            raw_bytes=592_000_000,
            packed_bytes=205_000_000,
            added_bytes=1_234,
            findings=self.findings,
            seconds=3.14159,
        )

    def restore(self, reference, destination, store, **options):
        self.called("restore", reference, destination, store, **options)
        return SimpleNamespace(
            snapshot=SNAPSHOT,
            destination=destination,
            python=f"{destination}/bin/python",
            parity_root=PARITY,
            verified="quick",
            linked_files=11_000,
            written_files=42,
            link="hardlink",
            seconds=0.1,
        )

    def verify(self, subject, store, **options):
        self.called("verify", subject, store, **options)
        return SimpleNamespace(
            subject=str(subject),
            snapshot=SNAPSHOT,
            files=2,
            problems=self.problems,
            ok=not self.problems,
            seconds=0.5,
        )

    def describe(self, prefix, **options):
        self.called("describe", prefix, **options)
        return self.environments[str(prefix)]

    def load(self, reference, store):
        self.called("load", reference, store)
        return self.environments[reference]


@pytest.fixture
def library(monkeypatch):
    fake = Library()
    for name in ("capture", "restore", "verify", "describe", "load"):
        monkeypatch.setattr(snapshot, name, getattr(fake, name), raising=False)
    return fake


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A directory `live` in the working directory that looks like an environment."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "live"
    path.mkdir()
    (path / "pyvenv.cfg").write_text("home = /usr/bin\n")
    return path


@pytest.fixture
def make():
    """What test modules need of this one; they cannot import it."""
    return SimpleNamespace(publish=publish, training=training, snapshot=SNAPSHOT, Problem=Problem, Finding=Finding)
