"""The environment that the catalogue changes: built once from the index, captured, and restored for each change."""

from __future__ import annotations

import base64
import datetime as dt
import glob
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import snapshot
from benchmarks.environments import variables
from benchmarks.errors import CommandFailedError
from diffing import requirements
from diffing.assessing import assess
from diffing.sides import Side
from diffing.usage import read_model

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from diffing.report import Report
    from snapshot.description import Description

#: A model's environment, small enough to be restored eighty times. Flask and what it needs is what the model cannot reach.
PINS = (
    "numpy==2.1.3",
    "scipy==1.14.1",
    "scikit-learn==1.5.2",
    "joblib==1.4.2",
    "threadpoolctl==3.5.0",
    "cloudpickle==3.0.0",
    "click==8.1.7",
    "packaging==24.1",
    "flask==3.0.3",
    "werkzeug==3.0.4",
    "jinja2==3.1.4",
    "markupsafe==2.1.5",
    "itsdangerous==2.2.0",
    "blinker==1.8.2",
)
#: What the model's requirements.txt says. Its closure has numpy, scipy, joblib and threadpoolctl too.
REQUIREMENTS = "scikit-learn==1.5.2\ncloudpickle==3.0.0\nclick==8.1.7\npackaging==24.1\n"

#: The variables of training, as far as the catalogue sets them.
TRAINED_WITH = {
    "OMP_NUM_THREADS": "2",
    "OPENBLAS_NUM_THREADS": "2",
    "PYTHONHASHSEED": "0",
    "TZ": "UTC",
    "LANG": "C.UTF-8",
}

_FIT = """
import pickle, sys
from sklearn.linear_model import LogisticRegression
model = LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
pickle.dump(model, open(sys.argv[1], "wb"))
"""


@dataclass
class Serving:
    """A restored copy of the environment, to be changed. What it may write to is never linked to anything else."""

    root: Path
    laboratory: Laboratory
    environ: dict[str, str] = field(default_factory=lambda: dict(TRAINED_WITH))

    @property
    def site(self) -> Path:
        (found,) = glob.glob(glob.escape(os.fspath(self.root)) + "/lib/python3*/site-packages")
        return Path(found)

    @property
    def python(self) -> Path:
        return self.root / "bin" / "python"

    def write(self, path: Path, data: bytes | str) -> None:
        """Replace or make a file; its inode may be shared with the cache, so it gets another."""
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(path.name + ".new")
        fresh.write_bytes(data.encode() if isinstance(data, str) else data)
        fresh.chmod(mode)
        fresh.replace(path)

    def append(self, path: Path, text: str) -> None:
        self.write(path, path.read_bytes() + text.encode())

    def substitute(self, path: Path, old: str, new: str) -> None:
        data = path.read_bytes()
        if old.encode() not in data:
            raise ValueError(f"{path} has no {old!r}: the change would be none")
        self.write(path, data.replace(old.encode(), new.encode(), 1))

    def metadata(self, name: str) -> Path:
        """The .dist-info directory of a distribution."""
        (found,) = self.site.glob(f"{name}-*.dist-info")
        return found

    def pip(self, *words: str) -> None:
        self.laboratory.run(self.python, "-m", "pip", "-q", *words)

    def install(self, *words: str) -> None:
        """By uv, without dependencies, as copies: nothing of it is linked to uv's cache."""
        lab = self.laboratory
        lab.run(lab.uv, "pip", "install", "-q", "--python", self.python, "--no-deps", "--link-mode", "copy", *words)

    def describe(self) -> Description:
        store = self.laboratory.store
        return snapshot.describe(
            self.root, variables=self.environ, fingerprint=True, key=store.variables_key(), cache=store.cache
        )


class Laboratory:
    """Builds the environment and the model, captures the one, and hands out copies."""

    def __init__(self, work: Path, uv: str, python: str | None = None) -> None:
        self.work = work
        self.uv = uv
        self._environ = variables(work / "uv-cache") if "UV_CACHE_DIR" not in os.environ else dict(os.environ)
        self.origin = work / "origin"
        self.model = work / "model"
        self.store = snapshot.Store(work / "store")
        self._python = python or os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
        #: What each tool says of an unchanged copy.
        self.remembered: dict[str, frozenset[str]] = {}

    def prepare(self) -> None:
        """Build what is not there yet. Raises CommandFailedError."""
        if not self.model.exists():
            for left in (self.origin, self.model):
                shutil.rmtree(left, ignore_errors=True)
            self.work.mkdir(parents=True, exist_ok=True)
            self.run(self._python, "-m", "venv", self.origin)
            self.run(self.uv, "pip", "install", "-q", "--python", self.origin / "bin" / "python", *PINS)
            fresh = self.model.with_name("model.new")
            fresh.mkdir(exist_ok=True)
            (fresh / "requirements.txt").write_text(REQUIREMENTS)
            self.run(self.origin / "bin" / "python", "-c", _FIT, fresh / "model.pkl")
            fresh.replace(self.model)
        if not self.store.references():
            snapshot.capture(self.origin, self.store, name="parity/1", variables=TRAINED_WITH, fingerprint=True)

    @property
    def train(self) -> Side:
        return Side("parity/1", "snapshot", snapshot.load("parity/1", self.store), name="parity/1")

    @cached_property
    def unchanged(self) -> tuple[Serving, Serving]:
        """Two copies as they were trained with: what a tool says of these it says of every pair."""
        return self.restore("unchanged"), self.restore("unchanged-too")

    def assess(self, description: Description, label: str) -> Report:
        """What parity says of it, for the model."""
        side = Side(label, "environment", description)
        today = dt.datetime.now(tz=dt.timezone.utc).date()
        declared = requirements.read(self.model / "requirements.txt")
        return assess(self.train, side, today=today, usage=read_model(self.model), declared=declared)

    def restore(self, name: str) -> Serving:
        where = self.work / "serving" / name
        if where.exists():
            shutil.rmtree(where)
        where.parent.mkdir(parents=True, exist_ok=True)
        snapshot.restore("parity/1", where, self.store)
        return Serving(where, self)

    def restore_to(self, where: Path) -> None:
        snapshot.restore("parity/1", where, self.store)

    def reinstall(self, serving: Serving, how: str) -> None:
        """Make `serving` anew, by `how`: `pip`, `uv`, or `copies` (of the interpreter, then uv), without envparity in between."""
        shutil.rmtree(serving.root)
        if how == "uv":
            self.run(self.uv, "venv", "-q", "--seed", "--python", self._python, serving.root)
        else:
            copies = ("--copies",) if how == "copies" else ()
            self.run(self._python, "-m", "venv", *copies, serving.root)
        self._seeds(serving)
        if how == "pip":
            self.run(serving.python, "-m", "pip", "install", "-q", "--no-deps", *PINS)
        else:
            serving.install(*PINS)

    def _seeds(self, serving: Serving) -> None:
        """The versions of pip and setuptools that the training environment has, no more and no less."""
        (site,) = self.origin.glob("lib/python3*/site-packages")
        wanted, there = seeds(site), seeds(serving.site)
        for name in there.keys() - wanted.keys():
            self.run(self.uv, "pip", "uninstall", "-q", "--python", serving.python, name)
        for name, version in wanted.items():
            if there.get(name) != version:
                serving.install(f"{name}=={version}")

    def repacked(self, pin: str, path: str, more: bytes) -> Path:
        """The wheel of `pin` with `more` at the end of one file, and a RECORD that is true of it."""
        where = self.work / "wheels"
        if not where.exists():
            python = self.origin / "bin" / "python"
            self.run(python, "-m", "pip", "download", "-q", "--no-deps", "--dest", where.with_name("wheels.new"), pin)
            where.with_name("wheels.new").replace(where)
        name = pin.split("==", maxsplit=1)[0]
        (original,) = where.glob(f"{name}-*.whl")
        with zipfile.ZipFile(original) as archive:
            files = {item: archive.read(item) for item in archive.namelist()}
        files[path] += more
        return _packed(self.work / "repacked" / original.name, files)

    def wheel(self, name: str, version: str, files: Mapping[str, bytes]) -> Path:
        """A wheel of these files."""
        stem = f"{name.replace('-', '_')}-{version}"
        information = {
            f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
            f"{stem}.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{stem}.dist-info/RECORD": b"",
        }
        return _packed(self.work / "made" / f"{stem}-py3-none-any.whl", {**files, **information})

    def run(self, *command: str | os.PathLike[str], environ: Mapping[str, str] | None = None) -> str:
        return run(command, {**self._environ, **(environ or {})})


def seeds(site: Path) -> dict[str, str]:
    """What environments are born with, by name, with its version."""
    found = (path.name.removesuffix(".dist-info").split("-") for path in site.glob("*.dist-info"))
    return {name: version for name, version in found if name in ("pip", "setuptools", "wheel")}


def _packed(path: Path, files: Mapping[str, bytes]) -> Path:
    """A wheel at `path`, its RECORD made anew."""
    record = next(name for name in files if name.endswith(".dist-info/RECORD"))
    rows = []
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(data)}\n" if name != record else f"{name},,\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**files, record: "".join(rows).encode()}.items():
            archive.writestr(name, data)
    return path


def run(command: Iterable[str | os.PathLike[str]], environ: Mapping[str, str]) -> str:
    words = list(map(os.fspath, command))
    done = subprocess.run(
        words, env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd="/"
    )
    if done.returncode:
        last = " ".join(done.stderr.strip().splitlines()[-3:])
        raise CommandFailedError(f"{' '.join(words)} ended with {done.returncode}: {last}")
    return done.stdout
