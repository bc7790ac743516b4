"""Real environments from the package index, made once a session; and a way to run things with their originals hidden."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from types import SimpleNamespace

import pytest

import snapshot

VERSIONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
#: Small distributions with what can go wrong: console scripts, compiled modules, a script of its own, headers, data files.
PINNED = ("requests", "flask", "numpy", "PyYAML", "huey", "greenlet")


def clean():
    """The variables for commands: not those that would make an interpreter look elsewhere."""
    taken = ("PYTHON", "VIRTUAL_ENV", "UV_", "COVERAGE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(taken)}
    return {**kept, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_WARN_SCRIPT_LOCATION": "1"}


def run(*command, code=0, hide=(), **options):
    """Run a command, with the directories in `hide` empty; its output, once its exit code is as expected."""
    if hide:
        command = (*hiding(), *(word for directory in hide for word in ("--tmpfs", directory)), "--", *command)
    options = {"env": clean(), "stdin": subprocess.DEVNULL, "cwd": "/", **options}
    done = subprocess.run(list(map(os.fspath, command)), capture_output=True, check=False, **options)
    out = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert code is None or done.returncode == code, out
    return SimpleNamespace(out=out, stdout=done.stdout.decode("utf-8", "replace"), code=done.returncode)


@cache
def hiding():
    """The command that starts another one in a mount namespace of its own."""
    command = ("bwrap", "--dev-bind", "/", "/")
    if shutil.which("bwrap") is None or subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("hiding directories needs a working bwrap (bubblewrap)")
    return command


@cache
def interpreter(version):
    """An interpreter of this machine outside of /usr, with its base; the test is skipped when there is none."""
    candidates = [os.path.join(sys.base_prefix, "bin", f"python{version}")]
    candidates += sorted(glob.glob(os.path.expanduser(f"~/.pyenv/versions/{version}.*/bin/python{version}")))
    candidates += [found] if (found := shutil.which(f"python{version}")) else []
    for path in candidates:
        if os.access(path, os.X_OK) and not os.path.realpath(path).startswith("/usr/bin/"):
            base = run(path, "-c", "import sys, ensurepip, venv; print(sys.base_prefix)", code=None)
            if base.code == 0:
                return SimpleNamespace(path=path, base=base.stdout.strip())
    pytest.skip(f"no Python {version} on this machine")


@cache
def uv():
    for path in (os.path.join(os.path.dirname(sys.executable), "uv"), shutil.which("uv")):
        if path and os.access(path, os.X_OK):
            return path
    pytest.skip("uv is not installed")


def default():
    """The interpreter most environments are made with."""
    return interpreter("3.11" if sys.version_info[:2] < (3, 11) else f"3.{sys.version_info.minor}")


class Made:
    """A live environment."""

    def __init__(self, path, base):
        self.path = str(path)
        self.base = base

    def __fspath__(self):
        return self.path

    def at(self, *parts):
        return os.path.join(self.path, *parts)

    @property
    def python(self):
        return self.at("bin", "python")

    @property
    def site(self):
        (found,) = glob.glob(glob.escape(self.path) + "/lib/python3*/site-packages")
        return found

    def run(self, *arguments, **options):
        return run(self.python, *arguments, **options)

    def pip(self, *arguments, **options):
        """Run a pip, the environment's own or one from outside."""
        return self.run("-m", "pip", *arguments, **options)

    def listed(self, **options):
        out = self.run(
            "-c",
            "import importlib.metadata as m\n"
            "print(sorted({(d.metadata['Name'], d.version) for d in m.distributions()}))",
            **options,
        )
        return out.stdout

    def write(self, path, content="", mode=0o644):
        path = os.path.join(os.fsencode(self.path), os.fsencode(path))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(path, mode)
        return path


def venv(path, *options, python=None):
    python = python or default()
    run(python.path, "-m", "venv", *options, path)
    return Made(path, python.base)


def uv_venv(path, *options, python=None):
    python = python or default()
    run(uv(), "venv", "--python", python.path, "--no-project", *options, path)
    return Made(path, python.base)


def virtualenv(path, *options, python=None):
    pytest.importorskip("virtualenv")
    python = python or default()
    run(sys.executable, "-m", "virtualenv", "--python", python.path, "--no-download", *options, path)
    return Made(path, python.base)


def pip_install(made, *requirements, **options):
    """Install with pip from outside, so that the environment has no pip of its own."""
    return run(sys.executable, "-m", "pip", "--python", made.python, "install", "-q", *requirements, **options)


def uv_install(made, *requirements, **options):
    return run(uv(), "pip", "install", "-q", "--python", made.python, *requirements, **options)


def restored(store, reference, path, like, **options):
    snapshot.restore(reference, path, store, **options)
    return Made(path, like.base)


def untrue_rows(made, of="", **options):
    """Rows of every RECORD (or that of one distribution) whose file is missing or has another content or size."""
    script = (
        "import base64, csv, glob, hashlib, os, sys\n"
        "count = 0\n"
        "for record in glob.glob(sys.argv[1] + '/' + sys.argv[2] + '*/RECORD'):\n"
        "    for path, digest, size in csv.reader(open(record, newline='')):\n"
        "        if digest:\n"
        "            count += 1\n"
        "            file = os.path.join(sys.argv[1], path)\n"
        "            data = open(file, 'rb').read() if os.path.exists(file) else b''\n"
        "            found = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')\n"
        "            if digest != 'sha256=' + found or int(size) != len(data):\n"
        "                print(path, digest, found)\n"
        "assert count, sys.argv\n"
    )
    return made.run("-c", script, made.site, of, **options).stdout


def findings(captured):
    found = {}
    for item in captured.findings:
        found.setdefault(item.kind, {})[item.path] = item.detail
    return found


@pytest.fixture(scope="session")
def lab():
    """The functions above: test modules cannot import a conftest."""
    return SimpleNamespace(
        run=run,
        clean=clean,
        hiding=hiding,
        interpreter=interpreter,
        default=default,
        uv=uv,
        venv=venv,
        uv_venv=uv_venv,
        virtualenv=virtualenv,
        pip_install=pip_install,
        uv_install=uv_install,
        restored=restored,
        untrue_rows=untrue_rows,
        findings=findings,
        Made=Made,
        versions=VERSIONS,
    )


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    """A directory for environments. Not under a home: that may hold the base of an interpreter, which tests hide."""
    return tmp_path_factory.mktemp("environments")


@pytest.fixture(scope="session")
def store(root):
    """One store for the session, so that layers and the unpacked cache are shared."""
    return snapshot.Store(root / "store")


@pytest.fixture(scope="session")
def reference(root):
    """The environment that most tests look at: pip's own venv with compiled packages, scripts, headers and data. Read only."""
    made = venv(root / "live" / "reference")
    made.pip("install", "-q", "scikit-learn", "setuptools", "wheel", *PINNED)
    return made


@pytest.fixture(scope="session")
def captured(reference, store):
    return snapshot.capture(reference, store, name="reference")


@pytest.fixture(scope="session")
def pins(reference):
    """What `reference` has, pinned, but for the packages that only build others."""
    frozen = reference.pip("list", "--format", "freeze").stdout.split()
    names = {re.sub(r"[-_.]+", "-", name.lower()) for name in (*PINNED, *REQUIRED)}
    return tuple(line for line in frozen if re.sub(r"[-_.]+", "-", line.partition("==")[0].lower()) in names)


#: What those of PINNED need.
REQUIRED = (
    "blinker",
    "certifi",
    "charset-normalizer",
    "click",
    "idna",
    "itsdangerous",
    "jinja2",
    "markupsafe",
    "urllib3",
    "werkzeug",
)


@pytest.fixture
def small(lab, tmp_path):
    """An environment of this test's own, without any package."""
    return lab.venv(tmp_path / "small", "--without-pip")
