"""Locks and installations with a real pip and pip-tools, from wheels that lie in a directory: no index but that one."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import sysconfig
import threading
import zipfile
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from diffing.requirements import read
from registration.locking import (
    LockError,
    NoIndexError,
    _unresolved,
    begin,
    index_options,
    install_missing,
    lock,
    prepare,
    validate,
)
from registration.surroundings import Installed, Surroundings, surroundings

pytest.importorskip("piptools", reason="locks are made by pip-tools")

UNREACHABLE = "http://127.0.0.1:9"


def wheel(directory, name, version, *requires, body="value = 1\n"):
    """A wheel of one module."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {line}\n" for line in requires)
    metadata += "".join(f"Provides-Extra: {found}\n" for found in re.findall("extra == '(.*)'", "\n".join(requires)))
    files = {
        f"{module}.py": body,
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    path = directory / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(zipfile.ZipInfo(file), text)
    return path


def digest(path):
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """The directory of wheels, the only place where pip looks."""
    directory = tmp_path / "wheels"
    directory.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(directory))
    monkeypatch.setenv("PIP_RETRIES", "0")
    return directory


@pytest.fixture
def environment(tmp_path, wheels):
    """An environment of this test's own, with the pip and pip-tools of the one that runs it, and `leaf` 1.0."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    python = str(tmp_path / "env" / "bin" / "python")
    (site,) = (tmp_path / "env" / "lib").glob("python3*/site-packages")
    (site / "shared.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    path = wheel(wheels, "leaf", "1.0")
    command = [python, "-I", "-m", "pip", "install", "-q", "--no-deps", "--disable-pip-version-check", path]
    subprocess.run(command, check=True)
    return SimpleNamespace(python=python, site=site, leaf=path)


@pytest.fixture
def here(environment):
    return surroundings(environment.python)


@pytest.fixture
def wanted(tmp_path):
    """A model's directory with these requirements."""
    directory = tmp_path / "model"
    directory.mkdir()

    def write(*lines):
        (directory / "requirements.txt").write_text("".join(f"{line}\n" for line in lines))
        return directory / "requirements.txt"

    return write


def listed(environment):
    return sorted(os.listdir(environment.site))


def test_what_is_installed_is_locked_as_it_is(environment, here, wanted, wheels):
    wheel(wheels, "leaf", "2.0")
    said = []
    found = lock(wanted("leaf>=1", "absent; sys_platform == 'win32'"), here, said=said.append)
    assert found.decode() == f"leaf==1.0 \\\n    --hash={digest(environment.leaf)}\n"
    assert said == ["locking 1 distributions"]


@pytest.fixture
def index(wheels, monkeypatch):
    """A package index (PEP 691) that states hashes; `asked` are the paths that were asked for. What it links to is not there."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            found = self.path == "/simple/leaf/"
            files = [
                {"filename": name, "url": f"/files/{name}", "hashes": {"sha256": sha}} for name, sha in served.items()
            ]
            body = json.dumps(
                {"meta": {"api-version": "1.0"}, "name": "leaf", "files": files if found else []}
            ).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    served = {
        "leaf-1.0-py3-none-any.whl": "1" * 64,
        "leaf-1.0.tar.gz": "2" * 64,
        "leaf-1.0-cp38-cp38-win_amd64.whl": "3" * 64,
        "leaf-1.0.1-py3-none-any.whl": "4" * 64,
        "leaf-2.0-py3-none-any.whl": "5" * 64,
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_address[1]}/simple")
    yield SimpleNamespace(asked=asked, served=served)
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_hashes_are_those_that_the_index_states(environment, here, wanted, index):
    """No file is fetched for them, and those of other platforms are left out."""
    found = lock(wanted("leaf"), here)
    assert found.decode() == f"leaf==1.0 \\\n    --hash=sha256:{'1' * 64} \\\n    --hash=sha256:{'2' * 64}\n"
    assert index.asked == ["/simple/leaf/"]


def test_one_of_two_indexes_cannot_be_reached(environment, here, wanted, index, monkeypatch):
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", UNREACHABLE)
    assert b"1" * 64 in lock(wanted("leaf"), here)
    index.served.clear()
    with pytest.raises(
        NoIndexError, match=r"no package index can be reached to lock leaf==1\.0 \(http://127\.0\.0\.1:9/leaf/"
    ):
        lock(wanted("leaf"), here)


def test_a_version_that_its_files_spell_otherwise(environment, here, wanted, index):
    index.served.clear()
    index.served["leaf-1.0.0-py3-none-any.whl"] = "6" * 64
    index.served["leaf-1-py3-none-any.whl"] = "7" * 64
    assert b"6" * 64 in lock(wanted("leaf"), here)
    del index.served["leaf-1.0.0-py3-none-any.whl"]
    assert b"7" * 64 in lock(wanted("leaf"), here)


def test_an_earlier_lock_needs_no_index(environment, here, wanted, monkeypatch, tmp_path):
    first = lock(wanted("leaf"), here)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert lock(wanted("leaf"), here, previous=first) == first
    assert (
        lock(wanted("leaf"), here, previous=b"leaf==0.9 --hash=sha256:" + b"0" * 64 + b"\nleaf==1.0\n" + first) == first
    )
    for previous in (None, b"leaf==0.9 \\\n    --hash=sha256:" + b"0" * 64, b"no lock at all\n"):
        with pytest.raises(NoIndexError, match=r"no package index has leaf==1\.0 for this Python"):
            lock(wanted("leaf"), here, previous=previous)


def test_what_is_missing_is_resolved_to_what_goes_with_the_rest(environment, here, wanted, wheels):
    wheel(wheels, "leaf", "2.0")
    wheel(wheels, "other", "1.0")
    branch = wheel(
        wheels, "branch", "3.0", "leaf", "bark[thick]; python_version >= '3'", "never; sys_platform == 'win32'"
    )
    bark = wheel(wheels, "bark", "0.1", "moss; extra == 'thick'")
    moss = wheel(wheels, "moss", "5")
    said = []
    found = prepare(wanted("branch<4"), here, said=said.append)
    rows = {"bark==0.1": bark, "branch==3.0": branch, "leaf==1.0": environment.leaf, "moss==5": moss}
    assert found.lock.decode() == "".join(f"{row} \\\n    --hash={digest(path)}\n" for row, path in rows.items())
    assert found.installed == ("bark 0.1", "branch 3.0", "moss 5")
    assert said == ["resolving 1 requirements; missing: branch", "installing bark 0.1, branch 3.0, moss 5"]
    assert found.here.installed.keys() - here.installed.keys() == {"bark", "branch", "moss"}
    assert found.here.installed["leaf"].version == "1.0"
    again = prepare(wanted("branch<4"), found.here, previous=found.lock)
    assert (again.lock, again.installed) == (found.lock, ()), "the same lock, whether it was resolved or read off"


def test_what_may_not_be_installed_is_not(here, wanted, wheels):
    for name in ("branch", "gpu"):
        wheel(wheels, name, "3.0", *(["gpu"] if name == "branch" else []))
    told = []

    def vet(missing):
        told.append(dict(missing))
        raise LockError("no")

    with pytest.raises(LockError, match=r"^no$"):
        prepare(wanted("branch"), here, vet=vet)
    assert told == [{"branch": "3.0", "gpu": "3.0"}]
    assert surroundings(here.python).installed == here.installed


def test_the_requirements_say_where_to_look(environment, here, wanted, wheels, tmp_path, monkeypatch):
    """As pip itself takes these lines, for what is installed and for what is not."""
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("MIRROR", str(wheels))
    branch = wheel(wheels, "branch", "3.0", "leaf")
    (tmp_path / "model" / "more.txt").write_text("leaf\n-f ${MIRROR}  # the wheels\n")
    path = wanted("-r more.txt", "--trusted-host=example.invalid", "branch")
    assert index_options(read(path)) == [f"--find-links={wheels}", "--trusted-host=example.invalid"]
    found = prepare(path, here)
    rows = {"branch==3.0": branch, "leaf==1.0": environment.leaf}
    assert found.lock.decode() == "".join(f"{row} \\\n    --hash={digest(file)}\n" for row, file in rows.items())
    assert found.installed == ("branch 3.0",)
    assert prepare(path, found.here).lock == found.lock


def test_where_to_look_as_options(wanted, tmp_path, monkeypatch):
    monkeypatch.setenv("TOKEN", "secret")
    monkeypatch.delenv("ABSENT", raising=False)
    (tmp_path / "model" / "my wheels").mkdir()
    (tmp_path / "model" / "where.txt").write_text("--extra-index-url https://five/simple\n")
    lines = [
        '-i "https://one/simple"',
        "  --extra-index-url=https://${TOKEN}@two/simple --trusted-host two # why",
        "--extra-index-url \\",
        "  https://three/${ABSENT}/$TOKEN",
        "--find-links './my wheels'",
        "-f https://four/page",
        "--no-index --pre",
        "# --index-url https://comment",
        "leaf --hash=sha256:" + "0" * 64,
        "--no-binary :all:",
        "-r where.txt",
    ]
    assert index_options(read(wanted(*lines))) == [
        "--index-url=https://one/simple",
        "--extra-index-url=https://secret@two/simple",
        "--trusted-host=two",
        "--extra-index-url=https://three/${ABSENT}/$TOKEN",
        f"--find-links={tmp_path}/model/./my wheels",
        "--find-links=https://four/page",
        "--no-index",
        "--pre",
        "--extra-index-url=https://five/simple",
    ]


def test_libraries_that_no_index_has(environment, here, wanted):
    before = listed(environment)
    with pytest.raises(NoIndexError) as raised:
        prepare(wanted("no-such-library-4711==1", "leaf", "nor-this-one"), here)
    assert str(raised.value) == (
        "no package index has no-such-library-4711, nor-this-one for this Python; "
        "install what is missing yourself and set install_dependencies to False"
    )
    assert listed(environment) == before


def test_a_version_that_no_index_has(environment, here, wanted, wheels):
    wheel(wheels, "branch", "3.0")
    with pytest.raises(NoIndexError, match=r"no package index has branch==4.*set install_dependencies to False"):
        prepare(wanted("branch==4"), here)


def test_a_library_of_a_library_that_no_index_has(environment, here, wanted, wheels):
    wheel(wheels, "branch", "3.0", "nor-this-one>=2")
    with pytest.raises(NoIndexError, match=r"no package index has nor-this-one>=2"):
        prepare(wanted("branch"), here)
    assert "branch.py" not in listed(environment)


def test_two_lines_that_contradict_each_other(environment, here, wanted, wheels):
    wheel(wheels, "branch", "3.0")
    with pytest.raises(LockError, match=r"requirements\.txt wants branch>=3, requirements\.txt wants branch<3"):
        prepare(wanted("branch>=3", "branch<3"), here)


def test_to_begin_with(environment, here, wanted):
    """The index is asked while something else is done; where something is missing there is nothing to begin with."""
    with ExitStack() as stack:
        assert begin(wanted("leaf", "missing"), here, stack) is None
        finish = begin(wanted("leaf"), here, stack)
        assert finish() == lock(wanted("leaf"), here)
        assert begin(wanted("leaf"), here, stack, previous=finish())() == finish()


def test_a_conflict_names_the_index_that_was_not_asked(here):
    """It might have had what does go with the rest."""
    fetched = "Could not fetch URL https://me:geheim@example.org/simple/leaf/: connection error - skipping"
    answer = {"said": "", "conflicts": [("branch 3.0", "leaf>=2")], "unfetched": [fetched]}
    said = str(_unresolved(answer, here, ["branch"]))
    assert "branch 3.0 wants leaf>=2" in said
    assert "(not asked, for it cannot be reached: https://****@example.org/simple/leaf/: connection error)" in said
    assert "geheim" not in said


def test_what_does_not_go_with_what_is_installed(environment, here, wanted, wheels):
    wheel(wheels, "leaf", "2.0")
    wheel(wheels, "branch", "3.0", "leaf>=2")
    before = listed(environment)
    with pytest.raises(LockError) as raised:
        prepare(wanted("branch"), here)
    assert str(raised.value) == (
        "what is missing does not go with what is installed: branch 3.0 wants leaf>=2 (1.0 is installed); "
        "install what is missing yourself and set install_dependencies to False"
    )
    assert listed(environment) == before


@pytest.mark.parametrize("lines", [["leaf"], ["branch"]])
def test_no_network(environment, here, wanted, monkeypatch, lines):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:geheim@packages.invalid/simple")
    monkeypatch.setenv("PIP_PROXY", UNREACHABLE)
    before = listed(environment)
    with pytest.raises(NoIndexError) as raised:
        prepare(wanted(*lines), here)
    assert str(raised.value).startswith(f"no package index can be reached to lock {lines[0]}")
    assert str(raised.value).endswith("check the network and pip's configuration, or set install_dependencies to False")
    assert "geheim" not in str(raised.value)
    assert listed(environment) == before


def test_a_wheel_that_lies_beside_the_model(environment, here, wanted):
    requirements = wanted("leaf", "code/mine-1.0-py3-none-any.whl")
    (requirements.parent / "code").mkdir()
    mine = wheel(requirements.parent / "code", "mine", "1.0", "leaf")
    found = prepare(requirements, here)
    assert f"./code/mine-1.0-py3-none-any.whl \\\n    --hash={digest(mine)}\n" in found.lock.decode()
    assert str(requirements.parent) not in found.lock.decode()
    assert found.installed == ("mine 1.0",)


def test_another_file_than_the_one_that_was_locked(environment, here, wanted, wheels):
    wheel(wheels, "branch", "3.0")
    content = lock(wanted("branch"), here)
    wheel(wheels, "branch", "3.0", body="import os\n")
    with pytest.raises(LockError, match=r"pip cannot install branch 3\.0: .*HASH.*set install_dependencies to False"):
        install_missing(content, here)
    assert "branch.py" not in listed(environment)


def test_nothing_is_installed_that_is_there(here):
    content = (
        b"leaf==1.0 \\\n    --hash=sha256:"
        + b"0" * 64
        + b"\nabsent==1 ; sys_platform == 'win32' \\\n    --hash=sha256:"
        + b"0" * 64
    )
    assert install_missing(content, here) == ()


def test_an_environment_without_pip_tools(environment, wanted, wheels, tmp_path):
    wheel(wheels, "branch", "3.0")
    (environment.site / "shared.pth").unlink()
    with pytest.raises(LockError, match="has no pip-tools: install envparity into that environment"):
        lock(wanted("branch"), surroundings(environment.python))


# -- afterwards, which needs no environment


def of(*rows):
    installed = {name: Installed(name, version, requires) for name, version, *requires in rows}
    return Surroundings("python", "/env", "3.11.7", installed, {"sys_platform": "linux"})


def test_old_breakage_is_not_blamed(wanted):
    before = of(("a", "1", "b>=2"), ("b", "1"))
    validate(wanted("a"), before, of(("a", "1", "b>=2"), ("b", "1"), ("c", "1")))


def test_new_breakage_is(wanted):
    before = of(("a", "1"))
    with pytest.raises(
        LockError, match=r"after the installation c is not there, d 1 requires a>=2, and 1 is installed; repair"
    ):
        validate(wanted("c"), before, of(("a", "1"), ("d", "1", "a>=2")))
