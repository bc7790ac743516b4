"""Every kind of environment, with every Python of this machine: captured, restored with its originals hidden."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

import snapshot

pytestmark = pytest.mark.environments

IMPORTS = "import ssl, sqlite3, ctypes, lzma, zlib, decimal, cowsay, sys; print(sys.prefix)"


def made_by_venv(lab, path, version):
    made = lab.venv(path, python=lab.interpreter(version))
    made.pip("install", "-q", "cowsay<6.2")
    return made


def made_by_copies(lab, path, version):
    made = lab.venv(path, "--copies", "--without-pip", python=lab.interpreter(version))
    lab.pip_install(made, "cowsay<6.2")
    return made


def made_by_virtualenv(lab, path, version):
    made = lab.virtualenv(path, python=lab.interpreter(version))
    made.pip("install", "-q", "cowsay<6.2")
    return made


def made_by_uv(lab, path, version):
    made = lab.uv_venv(path, python=lab.interpreter(version))
    lab.uv_install(made, "cowsay<6.2")
    return made


def check(lab, made, store, root, name, hide):
    """Capture, restore, hide, use; and the capture of what was restored is the same environment."""
    first = snapshot.capture(made, store, name=name)
    listed = made.listed()
    back = lab.restored(store, name, root / f"{name}-back", made)
    again = snapshot.capture(back, store, name=f"{name}-again")
    assert again.parity_root == first.parity_root
    assert again.snapshot == first.snapshot
    hide = (*hide, made.base)
    said = back.run("-c", IMPORTS, hide=hide).stdout.strip()
    assert said == back.path
    assert "moo" in lab.run(back.at("bin", "cowsay"), "-t", "moo", hide=hide).out
    assert back.listed(hide=hide) == listed
    assert not lab.untrue_rows(back, hide=hide)
    verified = snapshot.verify(back.path, store)
    assert verified.ok, verified.problems[:5]
    return first


@pytest.mark.parametrize(
    ("how", "version"),
    [
        (made_by_venv, "3.8"),
        (made_by_uv, "3.9"),
        (made_by_virtualenv, "3.10"),
        (made_by_venv, "3.11"),
        (made_by_copies, "3.11"),
        (made_by_virtualenv, "3.12"),
        (made_by_uv, "3.13"),
        (made_by_venv, "3.14"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__.removeprefix("made_by_"),
)
def test_captured_and_restored(lab, root, store, how, version):
    name = f"{how.__name__.removeprefix('made_by_')}-{version}"
    made = how(lab, root / "kinds" / name, version)
    first = check(lab, made, store, root, name, [root / "kinds"])
    # Nothing is odd about a fresh environment, but that this machine's pip may have its own certificates, and that uv and
    # virtualenv put an import hook into those of older Pythons: that is no package's, and it is said.
    known = ("cacert.pem", "_virtualenv.pth", "_virtualenv.py")
    odd = [item for item in first.findings if not item.path.endswith(known)]
    assert odd == []


def test_the_packages_of_the_base_are_part_of_it(lab, root, store, tmp_path):
    """With --system-site-packages: what lies in the base's site-packages is imported, so it is captured."""
    python = lab.interpreter("3.9")
    base = tmp_path / "base"
    shutil.copytree(python.base, base, symlinks=True, ignore=shutil.ignore_patterns("test", "__pycache__"))
    for path in base.glob("lib/python3.9/site-packages/*"):  # what this machine has there is not the test's business
        if path.is_file() or not path.name.startswith("pip"):
            path.unlink() if path.is_file() else shutil.rmtree(path)
    host = lab.Made(base, str(base))
    lab.run(base / "bin" / "python3.9", "-m", "pip", "install", "-q", "cowsay<6.2")
    made = lab.Made(tmp_path / "seeing", str(base))
    lab.run(base / "bin" / "python3.9", "-m", "venv", "--system-site-packages", "--without-pip", made)
    lab.pip_install(made, "idna==3.6")

    captured = snapshot.capture(made, store, name="seeing")
    assert "missing" not in lab.findings(captured)
    back = lab.restored(store, "seeing", tmp_path / "back", made)
    hide = (made.path, base, python.base)
    seen = back.run(
        "-c", "import cowsay, idna, importlib.metadata as m; print(cowsay.__file__, m.version('idna'))", hide=hide
    )
    assert seen.stdout.split() == [
        f"{back.path}/.envparity/python/lib/python3.9/site-packages/cowsay/__init__.py",
        "3.6",
    ]
    assert host.path not in seen.stdout
    assert "moo" in lab.run(back.at(".envparity", "python", "bin", "cowsay"), "-t", "moo", hide=hide).out

    with pytest.raises(
        ValueError, match=r"sees the packages of its base .* cannot be captured without the interpreter"
    ):
        snapshot.capture(made, store, interpreter=False)


def test_an_interpreters_own_prefix(lab, root, store, tmp_path):
    """A copy of an installed Python, so its libraries and build settings name the directory it was built for."""
    python = lab.interpreter("3.13")
    base = tmp_path / "plain"
    shutil.copytree(python.base, base, symlinks=True, ignore=shutil.ignore_patterns("test", "__pycache__"))
    lab.run(base / "bin" / "python3.13", "-m", "pip", "install", "-q", "cowsay<6.2")
    made = lab.Made(base, python.base)
    first = snapshot.capture(made, store, name="plain", python=made.at("bin", "python3.13"))
    done = snapshot.restore("plain", tmp_path / "back", store)
    assert done.python == tmp_path / "back" / "bin" / "python3.13"

    hide = (base, python.base)
    assert lab.run(done.python, "-c", IMPORTS, hide=hide).stdout.strip() == str(done.destination)
    assert "moo" in lab.run(done.destination / "bin" / "cowsay", "-t", "moo", hide=hide).out
    build = "import sysconfig; print(*sysconfig.get_config_vars('LIBDIR', 'INCLUDEPY', 'LDSHARED'), sep=chr(10))"
    said = lab.run(done.python, "-c", build, hide=hide).stdout
    assert str(done.destination) in said
    assert str(base) not in said
    assert python.base not in said
    lab.run(done.python, "-m", "venv", "--without-pip", tmp_path / "child", hide=hide)
    assert snapshot.capture(done.destination, store, python=done.python).parity_root == first.parity_root


def test_the_systems_interpreter(lab, root, store, tmp_path):
    """Its base is /usr, where most things are others': only its own files are captured, and no text is touched."""
    system = "/usr/bin/python3"
    if not os.access(system, os.X_OK) or lab.run(system, "-m", "venv", tmp_path / "try", code=None).code:
        pytest.skip("no /usr/bin/python3 with venv")
    made = lab.Made(tmp_path / "made", "/usr")
    lab.run(system, "-m", "venv", "--without-pip", made)
    lab.pip_install(made, "cowsay<6.2")
    first = snapshot.capture(made, store, name="system")
    assert first.raw_bytes < 150_000_000
    back = lab.restored(store, "system", tmp_path / "back", made)
    version = "python" + made.run("-c", "import sys; print('%d.%d' % sys.version_info[:2])").stdout.strip()
    hide = [path for path in (f"/usr/lib/{version}", "/usr/lib/python3") if os.path.isdir(path)]
    assert back.run("-c", IMPORTS, hide=(made.path, *hide)).stdout.strip() == back.path
    assert "moo" in lab.run(back.at("bin", "cowsay"), "-t", "moo", hide=(made.path, *hide)).out
    assert snapshot.capture(back, store).parity_root == first.parity_root
    # Debian's sitecustomize.py is a link to /etc: it is captured as the file that it is.
    assert "link-outside" not in lab.findings(first)
    hook = f"/usr/lib/{version}/sitecustomize.py"
    if os.path.exists(hook):
        kept = Path(back.at(".envparity", "python", "lib", version, "sitecustomize.py"))
        assert not kept.is_symlink()
        assert kept.read_bytes() == Path(hook).read_bytes()


def test_without_the_interpreter(lab, store, tmp_path):
    python = lab.default()
    made = lab.venv(tmp_path / "made", "--without-pip", python=python)
    lab.pip_install(made, "cowsay<6.2")
    captured = snapshot.capture(made, store, name="bare", interpreter=False)
    whole = snapshot.capture(made, store, name="whole")
    assert captured.parity_root == whole.parity_root
    assert captured.packed_bytes < whole.packed_bytes / 10

    back = lab.restored(store, "bare", tmp_path / "back", made)
    assert os.path.realpath(back.python) == os.path.realpath(made.python)
    assert "moo" in lab.run(back.at("bin", "cowsay"), "-t", "moo", hide=(made.path,)).out
    assert snapshot.verify(back.path, store).ok
    assert snapshot.capture(back, store, interpreter=False).snapshot == captured.snapshot


def test_an_interpreter_that_does_not_fit_is_refused(lab, store, tmp_path):
    others = (
        _interpreter_or_none(lab, version) for version in lab.versions if version != f"3.{sys.version_info.minor}"
    )
    other = next(filter(None, others), None)
    if other is None:
        pytest.skip("no other Python on this machine")
    made = lab.venv(tmp_path / "made", "--without-pip")
    snapshot.capture(made, store, name="picky", interpreter=False)
    with pytest.raises(LookupError, match=r"the snapshot has no interpreter and needs CPython 3[.].*--python"):
        snapshot.restore("picky", tmp_path / "back", store, python=other.path)
    assert not os.path.exists(tmp_path / "back")


def _interpreter_or_none(lab, version):
    try:
        return lab.interpreter(version)
    except pytest.skip.Exception:
        return None
