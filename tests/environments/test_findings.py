"""What is odd about an environment is named with its path, and the capture goes on; secrets are in nothing that is stored."""

from __future__ import annotations

import json
import os
import shutil

import pytest
import zstandard

import snapshot
from diffing import compare

pytestmark = pytest.mark.environments


@pytest.fixture(scope="module")
def plain(lab, root):
    made = lab.venv(root / "findings" / "plain", "--without-pip")
    lab.pip_install(made, "idna==3.7", "cowsay<6.2", "PyYAML")
    return made


@pytest.fixture
def made(lab, plain, tmp_path):
    """A copy that a test may damage. Its scripts name the original: only their being there matters here."""
    shutil.copytree(plain.path, tmp_path / "made", symlinks=True)
    return lab.Made(tmp_path / "made", plain.base)


@pytest.fixture
def look(lab, made, store):
    def run(**options):
        captured = snapshot.capture(made, store, interpreter=False, **options)
        assert all(not os.path.isabs(item.path) or item.kind in {"left-out", "missing"} for item in captured.findings)
        prefix = os.path.relpath(made.site, made.path) + "/"
        return {
            kind: {path.removeprefix(prefix): detail for path, detail in found.items()}
            for kind, found in lab.findings(captured).items()
        }

    return run


def site(made, *parts):
    return os.path.join(made.site, *parts)


def test_nothing_is_odd(lab, plain, store):
    assert snapshot.capture(plain, store, interpreter=False).findings == ()


def test_modified_missing_unowned_and_debris(made, look):
    with open(site(made, "idna", "core.py"), "a") as file:
        file.write("# patched by hand\n")
    os.unlink(site(made, "idna", "compat.py"))
    made.write(site(made, "mine", "module.py"), "x = 1\n")
    made.write(site(made, "mine", "other.py"), "x = 1\n")
    made.write("share/notes.txt", "x")
    made.write(site(made, "~dna", "core.py"), "left over")
    made.write(site(made, "~dna-3.6.dist-info", "METADATA"), "Name: idna\n")
    found = look()
    assert found["modified"] == {"idna/core.py": "its content is not what RECORD says"}
    assert found["missing"] == {"idna/compat.py": "idna 3.7 lists it in RECORD"}
    assert found["unowned"] == {
        "mine": "2 files that no distribution lists; captured",
        "share/notes.txt": "1 file that no distribution lists; captured",
    }
    assert set(found["debris"]) == {"~dna", "~dna-3.6.dist-info"}
    assert "stale-bytecode" in found  # of the modified and of the removed module
    assert found.keys() - {"script-outside"} == {"modified", "missing", "unowned", "debris", "stale-bytecode"}


def test_a_distribution_without_its_files(made, look):
    shutil.rmtree(site(made, "idna"))
    found = look()
    assert len(found["missing"]) > 5
    assert all(detail == "idna 3.7 lists it in RECORD" for detail in found["missing"].values())


def test_files_of_two_distributions(made, look, store, lab, tmp_path):
    """The last to be installed wins; RECORD of the other is wrong. What both agree on is no harm."""

    def wheel(name, content):
        info = site(made, f"{name}-1.0.dist-info")
        made.write(os.path.join(info, "METADATA"), f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        import base64
        import hashlib

        def row(path, data):
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
            return f"{path},sha256={digest},{len(data)}\n"

        rows = row("common/here.py", content) + row("common/__init__.py", b"") + row("common/same.py", b"1\n")
        made.write(os.path.join(info, "RECORD"), rows + f"{name}-1.0.dist-info/RECORD,,\n")
        made.write(site(made, "common", "here.py"), content)

    made.write(site(made, "common", "__init__.py"))
    made.write(site(made, "common", "same.py"), b"1\n")
    wheel("first", b"FIRST = 1\n")
    wheel("second", b"SECOND = 2\n")
    found = look()
    assert found["multiply-owned"] == {
        "common/here.py": "first, second disagree on its content; kept as it lies there",
        "common/__init__.py": "first, second share 2 files and agree on them",
    }
    back = lab.restored(store, snapshot.capture(made, store, interpreter=False).snapshot, tmp_path / "back", made)
    assert back.run("-c", "from common.here import SECOND; print(SECOND)").stdout == "2\n"


def test_the_prefix_inside_of_files(made, look, lab, store, tmp_path):
    """In text that nobody owns it is replaced; in what a distribution owns, and in binaries, it is left and named."""
    made.write("share/jupyter/kernels/mine/kernel.json", json.dumps({"argv": [made.python, "-m", "mine"]}))
    made.write("share/binary.dat", b"\0\1" + os.fsencode(made.path) + b"\0\2")
    with open(site(made, "cowsay", "__init__.py"), "a") as file:
        file.write(f"HOME = {made.path!r}\n")
    # A wheel that was built here, not for everyone: its files may name the place.
    info = next(name for name in os.listdir(made.site) if name.startswith("cowsay-"))
    made.write(site(made, info, "WHEEL"), "Wheel-Version: 1.0\nTag: cp311-cp311-linux_x86_64\n")
    found = look()
    assert found["prefix-in-binary"] == {"share/binary.dat": "names the directory of prefix; left as it is"}
    assert found["prefix-in-text"] == {"cowsay/__init__.py": "names the directory of prefix; left as it is"}
    back = lab.restored(store, snapshot.capture(made, store, interpreter=False).snapshot, tmp_path / "back", made)
    with open(back.at("share", "jupyter", "kernels", "mine", "kernel.json")) as file:
        assert json.load(file) == {"argv": [back.python, "-m", "mine"]}
    with open(back.at("share", "binary.dat"), "rb") as file:
        assert os.fsencode(made.path) in file.read()


def test_metadata_that_is_odd(made, look):
    info = site(made, "broken-1.0.dist-info")
    made.write(os.path.join(info, "METADATA"), "Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    made.write(
        os.path.join(info, "RECORD"),
        "/etc/passwd,sha256=abc,1\n../../../../../outside.txt,,\nbroken.py,md5=abc,1\nbroken.py\n,,\n",
    )
    made.write(site(made, "broken.py"), "x = 1\n")
    made.write(site(made, "empty-2.0.dist-info", "METADATA"), "Metadata-Version: 2.1\nName: empty\nVersion: 2.0\n")
    found = look()
    assert "2 files outside of the environment: /etc/passwd" in found["record-outside"]["broken-1.0.dist-info"]
    assert "broken.py" in found["record-unchecked"]["broken-1.0.dist-info"]
    assert found["no-record"] == {"empty-2.0.dist-info": "empty has no RECORD: its files are unowned"}


def test_what_python_takes_for_its_own_is_no_debris(made, look, plain):
    """A `.pth` runs whatever it is called, and entry points are found in any directory of metadata."""
    made.write(site(made, "~z.pth"), "import os\n")
    made.write(site(made, "~dna", "core.py"), "left over")
    made.write(site(made, "~dna-1.0.dist-info", "METADATA"), "Metadata-Version: 2.1\nName: dna\nVersion: 1.0\n")
    info = "~plug-1.0.dist-info"
    made.write(site(made, info, "METADATA"), "Metadata-Version: 2.1\nName: plug\nVersion: 1.0\n")
    made.write(site(made, info, "entry_points.txt"), "[mlflow.deployments]\nplug = plug\n")
    assert look()["debris"].keys() == {"~dna", "~dna-1.0.dist-info"}
    changes = compare(snapshot.describe(plain), snapshot.describe(made)).files
    names = {state.path.rpartition("site-packages/")[2] for change in changes for state in change.states}
    assert {"~z.pth", f"{info}/METADATA", f"{info}/entry_points.txt"} <= names


def test_a_file_that_changes_all_the_time(made, look, monkeypatch, store, lab):
    """It is read again; when it never comes to rest the capture says so."""
    from snapshot import pack

    log = made.write("share/busy.log", b"0" * 1000)
    read = pack.CHUNK  # a file is read to its end, so the writer only has to be faster than each attempt
    assert read
    real = os.fstat

    def busy(fd):
        if os.readlink(f"/proc/self/fd/{fd}") == os.fsdecode(log):
            with open(log, "ab") as file:
                file.write(b"1")
        return real(fd)

    monkeypatch.setattr(pack.os, "fstat", busy)
    found = look()
    assert found["changed-while-read"] == {"share/busy.log": "changed each time it was read; kept as read last"}


@pytest.mark.parametrize("times", [1, 99])
def test_a_script_that_changes_after_it_was_prepared(made, look, monkeypatch, times):
    """What names the environment's directory is read ahead of the rest: what is stored is one state of it all the same."""
    from snapshot.pack import Preparer

    script = made.write("bin/tool", f"#!{made.path}/bin/python\nprint(0)\n")
    prepare, left = Preparer.prepare, [None] * times

    def meanwhile(preparer):
        found = prepare(preparer)
        if "bin/tool" in found and left:
            left.pop()
            with open(script, "a") as file:
                file.write("print(1)\n")
        return found

    monkeypatch.setattr(Preparer, "prepare", meanwhile)
    found = look()
    changing = {"bin/tool": "changed each time it was read; kept as read last"}
    assert found.get("changed-while-read", {}) == (changing if times > 1 else {})


SECRET = "hunter2-canary-7f3a9c"
FILES_WITH_SECRETS = {
    "pip.conf": f"[global]\nextra-index-url = https://build:{SECRET}@packages.example.com/simple\n",
    "uv.toml": f'[[index]]\nurl = "https://{SECRET}@packages.example.com/simple"\n',
    ".netrc": f"machine packages.example.com login build password {SECRET}\n",
    ".pypirc": f"[pypi]\npassword = {SECRET}\n",
    ".env": f"TOKEN={SECRET}\n",
}


def everything_in(store_path):
    """All bytes of a store, its cache too, decompressed."""
    for directory, _, names in os.walk(store_path):
        for name in names:
            path = os.path.join(directory, name)
            yield os.fsencode(path)
            with open(path, "rb") as file:
                data = file.read()
            yield data
            if data.startswith(b"\x28\xb5\x2f\xfd"):
                reader = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True)
                yield reader.read()


def test_secrets_are_in_nothing_that_is_stored(lab, made, tmp_path):
    own = snapshot.Store(tmp_path / "store")
    for name, content in FILES_WITH_SECRETS.items():
        made.write(name, content)
    made.write("etc/pip.conf", FILES_WITH_SECRETS["pip.conf"])
    url = {"url": f"https://build:{SECRET}@git.example.com/x.git", "vcs_info": {"vcs": "git", "commit_id": "0" * 40}}
    info = next(name for name in os.listdir(made.site) if name.startswith("idna-"))
    made.write(site(made, info, "direct_url.json"), json.dumps(url))
    project = tmp_path / "project"
    project.mkdir()
    (project / "code.py").write_text("x = 1\n")
    (project / ".env").write_text(f"TOKEN={SECRET}\n")
    (project / ".git").mkdir()
    (project / ".git" / "config").write_text(f"url = https://x:{SECRET}@git.example.com/x.git\n")
    made.write(site(made, "project.pth"), f"{project}\n")

    captured = snapshot.capture(made, own, name="secret", interpreter=False)
    secret = lab.findings(captured)["secret"]
    assert set(secret) == {
        *FILES_WITH_SECRETS,
        "etc/pip.conf",
        ".envparity/src/project/.env",
        os.path.relpath(site(made, info, "direct_url.json"), made.path),
    }
    assert secret[".netrc"] == "a file of credentials; left out"
    assert secret["pip.conf"] == "1 credentials in URLs; masked in what is stored"
    assert SECRET not in repr(captured)
    back = lab.restored(own, "secret", tmp_path / "back", made)
    canary = SECRET.encode()
    assert not [data[:80] for data in everything_in(own.path if hasattr(own, "path") else str(own)) if canary in data]
    assert not [data[:80] for data in everything_in(back.path) if canary in data]
    with open(back.at("pip.conf")) as file:
        assert file.read() == "[global]\nextra-index-url = https://****@packages.example.com/simple\n"
    assert not os.path.exists(back.at(".netrc"))
    assert snapshot.capture(back, own, interpreter=False).parity_root == captured.parity_root


def test_a_direct_url_that_was_masked_keeps_record_true(lab, made, store, tmp_path):
    import base64
    import hashlib

    info = next(name for name in os.listdir(made.site) if name.startswith("idna-"))
    content = json.dumps({"url": f"https://{SECRET}@example.com/idna.whl", "archive_info": {}})
    made.write(site(made, info, "direct_url.json"), content)
    digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).decode().rstrip("=")
    with open(site(made, info, "RECORD"), "a") as file:
        file.write(f"{info}/direct_url.json,sha256={digest},{len(content)}\n")
    captured = snapshot.capture(made, store, interpreter=False)
    assert "modified" not in lab.findings(captured)
    back = lab.restored(store, captured.snapshot, tmp_path / "back", made)
    assert not lab.untrue_rows(back, of="idna")


def test_findings_are_kept_with_the_snapshot(lab, made, store):
    made.write("share/notes.txt", "x")
    captured = snapshot.capture(made, store, interpreter=False)
    assert snapshot.load(captured.snapshot, store).findings == captured.findings
    # Unchanged layers are not read again, but what is odd about them is still said.
    assert snapshot.capture(made, store, interpreter=False).findings == captured.findings


def test_a_script_of_another_python(lab, made, look, store, tmp_path):
    """An environment that was copied or moved has scripts that run somewhere else. Nobody notices until that is gone."""
    made.write("bin/elsewhere", "#!/opt/some/where/bin/python3.11 -E\nprint(1)\n", 0o755)
    made.write("bin/any", "#!/usr/bin/env python\nprint(1)\n", 0o755)
    found = look()
    assert found["script-outside"]["bin/elsewhere"] == (
        "runs with /opt/some/where/bin/python3.11, which is not the environment's; left as it is"
    )
    # `made` is a copy of another environment.
    assert set(found["script-outside"]) == {"bin/elsewhere", "bin/cowsay"}
