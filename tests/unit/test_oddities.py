"""Odd files where metadata should be: capture grades what it finds and goes on; it never stops over one of them."""

from __future__ import annotations

import os
import sys

import pytest

from snapshot import Store, capture, restore, verify
from snapshot.interpreter import InterpreterError
from tests.handmade import HandMade, recorded


@pytest.fixture(scope="module")
def master(tmp_path_factory):
    return HandMade(tmp_path_factory.mktemp("odd") / "env").make()


def replaced_by(make):
    """A path removed, and something else made of it."""

    def change(path):
        path.unlink()
        make(path)

    return change


def raw_file(directory, name, data=b""):
    with open(os.path.join(os.fsencode(directory), name), "wb") as opened:
        opened.write(data)


#: What is done to the environment, and a finding that must come of it (its kind).
ODDITIES = {
    "RECORD with an unclosed quote": (lambda e: (e.note / "RECORD").write_bytes(b'"' + b"x,y,z\n" * 40_000), None),
    "RECORD with a huge field": (
        lambda e: (e.note / "RECORD").write_bytes(b"x" * 200_000 + b",,\n"),
        "record-unchecked",
    ),
    "RECORD with a NUL": (lambda e: (e.note / "RECORD").write_bytes(b"a\0b,,\n"), None),
    "RECORD that is not UTF-8": (lambda e: (e.note / "RECORD").write_bytes(b"\xff.py,sha256=abc,1\n"), "missing"),
    "RECORD with other digests": (
        lambda e: (e.note / "RECORD").write_bytes(b"one.py,sha256=!!!,1\none.py,sha256=,\none.py,md5=abc,\n"),
        "record-unchecked",
    ),
    "RECORD that leaves the environment": (
        lambda e: (e.note / "RECORD").write_bytes(b"../../../../../../../../../../etc/passwd,,\n/etc/passwd,,\n"),
        "record-outside",
    ),
    "RECORD with rows of nothing": (
        lambda e: (e.note / "RECORD").write_bytes(b",,\n\n.,,\none-1.0.dist-info/,,\n,\n"),
        None,
    ),
    "RECORD that is a directory": (lambda e: replaced_by(os.mkdir)(e.note / "RECORD"), "no-record"),
    "RECORD that is a dangling link": (
        lambda e: replaced_by(lambda path: path.symlink_to("gone"))(e.note / "RECORD"),
        "no-record",
    ),
    "METADATA that is not UTF-8": (
        lambda e: (e.note / "METADATA").write_bytes(
            b"Metadata-Version: 2.1\nName: one\nVersion: 1.0\nAuthor: \xff\xfe\n"
        ),
        "modified",
    ),
    "METADATA with a name of dots": (
        lambda e: (e.note / "METADATA").write_bytes(b"Metadata-Version: 2.1\nName: ../../x\nVersion: ../1\n"),
        "modified",
    ),
    "METADATA that is empty": (lambda e: (e.note / "METADATA").write_bytes(b""), "no-metadata"),
    "METADATA that is a directory": (lambda e: replaced_by(os.mkdir)(e.note / "METADATA"), "no-metadata"),
    "a path file that is a dangling link": (lambda e: (e.site / "x.pth").symlink_to("gone"), None),
    "a path file that is a directory": (lambda e: (e.site / "x.pth").mkdir(), None),
    "a path file that is no text": (lambda e: (e.site / "x.pth").write_bytes(b"\xff\xfe/\0a\n/gone/away\n"), "missing"),
    "a path file that names the root": (lambda e: (e.site / "x.pth").write_bytes(b"/\n"), "path-outside"),
    "an egg-link that is a directory": (lambda e: (e.site / "x.egg-link").mkdir(), None),
    "an egg-link that is empty": (lambda e: (e.site / "x.egg-link").touch(), None),
    "a direct_url.json that is deep": (lambda e: (e.note / "direct_url.json").write_bytes(b"[" * 100_000), None),
    "a direct_url.json of another form": (
        lambda e: (e.note / "direct_url.json").write_bytes(b'{"url":5,"dir_info":{"editable":true}}'),
        None,
    ),
    "a direct_url.json that is no URL": (
        lambda e: (e.note / "direct_url.json").write_bytes(b'{"url":"file://[x/","dir_info":{"editable":true}}'),
        None,
    ),
    "a metadata directory that is a file": (lambda e: (e.site / "x-1.0.dist-info").touch(), "unowned"),
    "a metadata directory that is not UTF-8": (lambda e: os.mkdir(os.fsencode(e.site) + b"/\xff-1.0.dist-info"), None),
    "a library that is none": (
        lambda e: (e.site / "x.so").write_bytes(b"\x7fELF\2\1" + b"\xff" * 300),
        "prefix-in-binary",
    ),
    "a pipe": (lambda e: os.mkfifo(e.site / "pipe"), "special-file"),
    "a bytecode file that is a directory": (lambda e: (e.site / "__pycache__/x.cpython-311.pyc").mkdir(), None),
    "times before the epoch": (lambda e: os.utime(e.site / "one.py", (-5, -5)), "stale-bytecode"),
}


@pytest.mark.parametrize(("change", "kind"), ODDITIES.values(), ids=ODDITIES)
def test_a_capture_goes_on(master, tmp_path, change, kind):
    environment = master.copy_to(tmp_path / "env")
    change(environment)
    done = capture(environment.path, Store(tmp_path / "store"), interpreter=False)
    assert done.distributions >= 2
    kinds = {finding.kind for finding in done.findings}
    assert kind is None or kind in kinds


def test_all_odd_names_survive(master, tmp_path):
    environment = master.copy_to(tmp_path / "env")
    site = environment.site
    for name in (
        b"\xff.py",
        b"new\nline.py",
        b" ",
        b"a,b.py",
        b'q"uote.py',
        "é.py".encode(),
        b"-x",
        b"a\\b",
        b"%41.py",
    ):
        raw_file(site, name, name)
    os.mkdir(os.fsencode(site) + b"/\xfe\n")
    raw_file(site, b"\xfe\n/inner", b"x")
    (site / "dangling").symlink_to(os.fsdecode(b"gone\xff\n"))
    (site / "loop").symlink_to("loop")
    (site / "up").symlink_to("../../..")
    (site / "hollow").mkdir()
    (site / "shut").mkdir()
    (site / "shut/x").touch()
    (site / "shut/x").chmod(0o400)
    (site / "shut").chmod(0o555)
    os.link(site / "one.py", site / "again.py")
    store = Store(tmp_path / "store")
    captured = capture(environment.path, store, interpreter=False, name="x")
    restored = tmp_path / "a much longer place" / "env"
    restore("x", restored, store, python=sys.executable)
    assert verify(restored, store).problems == ()
    assert verify("x", store).problems == ()
    again = capture(restored, store, interpreter=False)
    assert again.parity_root == captured.parity_root
    names = sorted(os.listdir(os.fsencode(site)))
    assert sorted(os.listdir(os.fsencode(restored / site.relative_to(environment.path)))) == names


@pytest.mark.parametrize("python", ["/bin/echo", "/bin/cat"])
def test_an_interpreter_that_is_none(master, tmp_path, python):
    with pytest.raises(InterpreterError) as caught:
        capture(master.path, Store(tmp_path / "store"), python=python)
    assert python in str(caught.value)
    assert "--python" in str(caught.value)


def test_a_lib64_that_leads_elsewhere_counts(master, tmp_path):
    """Only the one that venv makes says nothing."""
    env = master.copy_to(tmp_path / "env")
    first = capture(env.path, Store(tmp_path / "store"), interpreter=False)
    link = env.path / "lib64"
    link.unlink(missing_ok=True)
    link.symlink_to("/usr/lib")
    assert capture(env.path, Store(tmp_path / "store"), interpreter=False).parity_root != first.parity_root


def test_bytecode_that_is_left_out_is_as_if_it_were_not_there(master, tmp_path):
    env = master.copy_to(tmp_path / "env")
    for compiled in env.site.glob("__pycache__/*.pyc"):
        compiled.unlink()
    first = capture(env.path, Store(tmp_path / "store"), interpreter=False)
    (env.site / "__pycache__" / f"one.{sys.implementation.cache_tag}.pyc").write_bytes(b"stale" * 20)
    again = capture(env.path, Store(tmp_path / "store"), interpreter=False)
    assert [each.kind for each in again.findings if each not in first.findings] == ["stale-bytecode"]
    assert again.snapshot == first.snapshot


def test_what_was_changed_in_a_wheel_for_elsewhere_is_looked_at(master, tmp_path):
    """Its files cannot name this directory, but what was put in their place can; a Jupyter kernel starts what it names."""
    env = master.copy_to(tmp_path / "env")
    (env.note / "WHEEL").write_text("Wheel-Version: 1.0\nTag: py3-none-any\n")
    (env.site / "one.py").write_text(f"home = '{env.path}'\n")
    kernel = env.path / "share" / "jupyter" / "kernels" / "one" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(f'{{"argv": ["{env.path}/bin/python", "-m", "one"]}}\n')
    with (env.note / "RECORD").open("a") as record:
        record.write(f"../../../{kernel.relative_to(env.path)},{recorded(b'another kernel')}\n")
    captured = capture(env.path, Store(tmp_path / "store"), name="one", interpreter=False)
    found = {(each.kind, os.path.basename(each.path)) for each in captured.findings}
    assert {("modified", "one.py"), ("prefix-in-text", "one.py"), ("modified", "kernel.json")} <= found
    assert ("prefix-in-text", "kernel.json") not in found
    back = restore("one", tmp_path / "back", Store(tmp_path / "store"), python=sys.executable).destination
    assert f'"{back}/bin/python"' in (back / "share/jupyter/kernels/one/kernel.json").read_text()
