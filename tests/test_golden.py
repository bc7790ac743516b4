"""The format of schema 1, byte by byte: a snapshot made in code must give the files in tests/golden, which never change."""

from __future__ import annotations

import json
import os
import shutil
import struct
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import zstandard

from snapshot import load, restore, verify
from snapshot.delta import Delta, Operation, Range, Segment, encode_head, encode_segment
from snapshot.description import NO_FACTS
from snapshot.digest import Digest
from snapshot.documents import UnsupportedSchemaError, canonical, digest_of
from snapshot.facts.document import decode_facts, encode_facts
from snapshot.facts.model import (
    Build,
    DistributionFacts,
    Facts,
    Host,
    Measurement,
    Module,
    Native,
    Numeric,
    Source,
    StartupHook,
    SystemLibrary,
    Variable,
    Variables,
)
from snapshot.flattening import blueprint_of
from snapshot.home import PYTHON_MOUNT
from snapshot.model import Environment, Finding, Kind, Record
from snapshot.parity import console_script, rule_for_path
from snapshot.rendering import Rendering
from snapshot.serialize import decode_record, decode_snapshot, decode_tree, encode_record, encode_snapshot
from snapshot.store import Store
from tests.building import INTERPRETER, built, directory, file, link, snapshot_of, tar_of
from tests.deltas import Shelf

GOLDEN = Path(__file__).parent / "golden"
SITE = "lib/python3.11/site-packages"
SCRIPT = (
    b"#!/bin/python\nimport sys\nfrom package.cli import main\nif __name__ == '__main__':\n"
    b"    sys.argv[0] = sys.argv[0].removesuffix('.exe')\n    sys.exit(main())\n"
)
ENVIRONMENT = Environment("venv", PYTHON_MOUNT, "kept", False, (("app", ".envparity/src/app"),))
RECORD = Record(
    (
        Finding("modified", f"{SITE}/package/\udcff", "its content is not what RECORD says"),
        Finding("debris", "~x", "é\n"),
    ),
    "/home/me/env",
    "/opt/python",
    "envparity 0.1.0",
)


FACTS = Facts(
    build=Build("main, Jan  1 2026", "GCC 12.2.0", (("Py_DEBUG", "0"),)),
    host=Host("x86_64", "glibc", "2.36", "debian 12", "6.1.0", "A processor", ""),
    distributions=(
        DistributionFacts(
            "package",
            "1.0",
            f"{SITE}/package-1.0.dist-info",
            ("py3-none-any",),
            ("click>=8", 'tomli; python_version < "3.11"'),
            (("console_scripts", "tool", "package.cli:main"),),
            Source("https://****@host/package", "git", "0123abcd"),
            record=True,
            modified=(f"{SITE}/package/\udcff",),
            missing=(f"{SITE}/package/gone.py",),
            disputed=("bin/tool",),
        ),
        DistributionFacts("plain", "2", f"{SITE}/plain-2.egg-info"),
    ),
    startup=(StartupHook(f"{SITE}/a.pth", "pth", code=True, owner="package"),),
    search_path=(f"{PYTHON_MOUNT}/lib/python3.11", SITE, "/opt/outside"),
    modules=(
        Module("math", "built-in", "python"),
        Module("package", f"{SITE}/package/__init__.py", "package", (f"{SITE}/package.py",)),
    ),
    native=Native(
        (
            SystemLibrary("libm.so.6", "/lib/libm.so.6", "2.36", "00ff", ("package", "python")),
            SystemLibrary("libodd.so.1", "", "", "", ("",)),
        ),
        "2.34",
        f"{SITE}/package/fast.so",
    ),
    variables=Variables(
        (Variable("OMP_NUM_THREADS", "threads", value="2"), Variable("TOKEN", "other", digest="ab" * 32)), "0f0f"
    ),
    numeric=Numeric(
        (("openblas", "kernel", "Haswell"),),
        (Measurement("exp", "numpy", "float64", "cd" * 32, ("0x1.0000000000000p+0", "nan")),),
    ),
)


def interpreter_layer():
    return [
        file("bin/python3.11", b"\x7fELF of nothing", 0o755),
        link("bin/python3", "python3.11"),
        file("lib/libpython3.11.so.1.0", bytes(range(256)) * 5, 0o555),
        file("lib/python3.11/_sysconfigdata.py", b"prefix = ''\n", at=((10, "base"),)),
        file("lib/python3.11/os.py", b"name = 'posix'\n"),
    ]


def environment_layer():
    def ruled(path, data, **how):
        return file(path, data, rule=rule_for_path(Kind.ENVIRONMENT, path), **how)

    return [
        ruled(
            "pyvenv.cfg",
            b"home = /bin\nversion = 3.11.7\nexecutable = /bin/python3.11\n",
            at=((7, "base"), (42, "base")),
        ),
        ruled("bin/activate", b'VIRTUAL_ENV=""\n', at=((13, "prefix"),)),
        ruled(".gitignore", b"*\n"),
        link("bin/python", "/bin/python3.11", at=((0, "base"),), rule="venv-link"),
        link("bin/python3", "python"),
        link("lib64", "lib", rule="venv-link"),
        directory("include/python3.11"),
        directory("share/shut", 0o555),
    ]


def distribution_layer():
    note = f"{SITE}/package-1.0.dist-info"
    record = b"../../../bin/tool,\npackage/__init__.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n"
    return [
        file("bin/tool", SCRIPT, 0o755, at=((2, "prefix"),), rule="console-script", counts_as=console_script(SCRIPT)),
        file(f"{SITE}/package/__init__.py"),
        file(f"{SITE}/package/cli.py", b"def main():\n    return 0\n"),
        file(f"{SITE}/package/read_only.txt", b"read only\n", 0o444),
        file(f"{SITE}/package/run.sh", b"#!/bin/sh\n", 0o555),
        file(f"{SITE}/package/{'long/' * 20}name.py", b"a name of over a hundred bytes\n"),
        file(f"{SITE}/package/exactly.{'x' * 50}", b"512" + bytes(509)),
        file(f"{SITE}/package/é.txt", b"not ASCII\n"),
        file(f"{SITE}/package/\udcff\udcfe", b"not UTF-8\n"),
        file(f"{SITE}/package/new\nline", b"\n"),
        file(f"{note}/METADATA", b"Name: package\nVersion: 1.0\n"),
        file(f"{note}/INSTALLER", b"pip\n", rule="installer-note"),
        file(f"{note}/RECORD", record, rule="record", at=((18, "record:bin/tool"),)),
    ]


def unowned_layer():
    return [
        file("notes.txt", b"see file:///notes and /src\n", at=((11, "prefix+url"), (22, "source:app"))),
        file("tool.sh", b"#!/bin/python3.11 -E\n", 0o755, at=((2, "base"),)),
        link("dangling", "gone"),
        link("outside", "/etc/ssl/certs", outside=True),
        link("far", "../" * 40 + "x", outside=True),
        link("odd\udcff", "é\udcfe"),
        link("src", "", at=((0, "source:app"),)),
    ]


def layers():
    """By name: (kind, name, version, mount, rows)."""
    pyc = b"\xa7\r\r\n\0\0\0\0" + (1_000_000_000).to_bytes(4, "little") + (24).to_bytes(4, "little") + b"code"
    return {
        "interpreter": (Kind.INTERPRETER, "interpreter", None, PYTHON_MOUNT, interpreter_layer()),
        "environment": (Kind.ENVIRONMENT, "environment", None, "", environment_layer()),
        "distribution": (Kind.DISTRIBUTION, "package", "1.0", "", distribution_layer()),
        "unowned": (Kind.UNOWNED, "unowned", None, "", unowned_layer()),
        "source": (Kind.SOURCE, "app", None, ".envparity/src/app", [file("app/__init__.py", b"app = 1\n")]),
        "bytecode": (
            Kind.BYTECODE,
            "package",
            "1.0",
            "",
            [file(f"{SITE}/package/__pycache__/cli.cpython-311.pyc", pyc, rule="bytecode")],
        ),
    }


@pytest.fixture(scope="module")
def parts():
    return {
        name: built(*rows, kind=kind, name=label, version=version, mount=mount)
        for name, (kind, label, version, mount, rows) in layers().items()
    }


@pytest.fixture(scope="module")
def golden(parts):
    interpreter = replace(INTERPRETER, digest=parts["interpreter"].layer.parity)
    return snapshot_of([part.layer for part in parts.values()], interpreter, ENVIRONMENT)


@pytest.fixture(scope="module")
def digests():
    return json.loads((GOLDEN / "digests.json").read_bytes())


@pytest.mark.parametrize("name", layers())
def test_a_tree(parts, digests, name):
    pinned = (GOLDEN / "trees" / f"{name}.json").read_bytes()
    assert parts[name].tree == pinned
    assert digest_of(pinned) == digests["layers"][name]["tree"]
    assert decode_tree(pinned) == tuple(entry for entry, _ in sorted_rows(name))


def sorted_rows(name):
    return sorted(layers()[name][4], key=lambda row: row[0].path.encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("name", layers())
def test_a_tar(parts, digests, name):
    pinned = digests["layers"][name]
    assert "sha256:" + sha256(tar_of(sorted_rows(name))).hexdigest() == pinned["diff_id"]
    assert parts[name].layer.diff_id == pinned["diff_id"]
    assert parts[name].layer.size == pinned["size"] == len(parts[name].tar)


@pytest.mark.parametrize("name", layers())
def test_a_parity_digest(parts, digests, name):
    assert parts[name].layer.parity == digests["layers"][name]["parity"]


def test_the_config_and_its_id(golden, digests):
    pinned = (GOLDEN / "config.json").read_bytes()
    assert encode_snapshot(golden) == pinned
    assert digest_of(pinned) == digests["snapshot"]
    assert decode_snapshot(pinned) == golden


def test_the_parity_root(golden, digests):
    assert golden.parity_root == digests["parity_root"]


def test_the_record():
    pinned = (GOLDEN / "record.json").read_bytes()
    assert encode_record(RECORD) == pinned
    assert decode_record(pinned) == RECORD


def test_the_facts():
    pinned = (GOLDEN / "facts.json").read_bytes()
    assert FACTS.missing == ()
    assert encode_facts(FACTS) == pinned
    assert decode_facts(pinned) == FACTS


def test_a_config_of_the_next_schema():
    later = (GOLDEN / "config.json").read_bytes().replace(b'"schema":1}', b'"schema":3}')
    with pytest.raises(UnsupportedSchemaError) as caught:
        decode_snapshot(later, "config x")
    assert str(caught.value) == "config x.schema: 3 is newer than this envparity reads (2); install a newer one"


PLACES = ["/p/e", "/srv/" + "a-long-name/" * 12 + "env"]


def rendered(golden, parts, destination):
    """Every location-dependent file and link at `destination`, bytes as latin-1."""
    trees = {part.layer.tree: decode_tree(part.tree) for part in parts.values()}
    rendering = Rendering(blueprint_of(digest_of(b"any"), golden, trees), destination, None)
    content = {(parts[name].layer.tree, entry.path): data for name in layers() for entry, data in layers()[name][4]}
    files = rendering.files(lambda template: content[template.tree, template.inner])
    return {
        "files": {template.path: data.decode("latin-1") for template, data in files},
        "links": dict(rendering.links()),
    }


@pytest.mark.parametrize("destination", PLACES)
def test_what_depends_on_the_place(golden, parts, destination):
    pinned = json.loads((GOLDEN / "places.json").read_bytes())[destination]
    assert rendered(golden, parts, destination) == pinned


@pytest.fixture
def store(tmp_path):
    """A copy of the store that was written once. Nothing may be written into the original."""
    shutil.copytree(GOLDEN / "store", tmp_path / "store")
    return Store(tmp_path / "store", cache=tmp_path / "cache")


def test_a_store_that_was_written_once_is_read(store, golden, digests):
    assert [(each.name, each.snapshot) for each in store.references()] == [("golden/1", digests["snapshot"])]
    assert store.snapshot("golden") == golden
    description = load("golden", store)
    assert description.findings == RECORD.findings
    assert description.facts == NO_FACTS  # it is older than facts are
    assert store.check() == ()
    assert verify("golden", store).problems == ()
    for name, row in digests["layers"].items():
        assert description.trees[row["tree"]] == tuple(entry for entry, _ in sorted_rows(name))


def test_a_store_that_was_written_once_is_restored(store, tmp_path):
    # Compiling would run the interpreter, and here it is none: so there is nothing kept to compile for.
    env = tmp_path / "env"
    snapshot = decode_snapshot((GOLDEN / "config.json").read_bytes())
    assert snapshot.environment.bytecode == "kept"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("snapshot.blueprint.Blueprint.needs_compiling", lambda _: [])
        restore("golden", env, store)
    for name in layers():
        mount = layers()[name][3]
        for entry, data in layers()[name][4]:
            path = os.fsencode(env / mount) + b"/" + entry.path.encode("utf-8", "surrogateescape")
            if entry.type == "f" and not entry.at:
                with open(path, "rb") as opened:
                    assert opened.read() == data
                assert os.stat(path).st_mode & 0o7777 == entry.mode
            elif entry.type == "l":
                assert os.path.islink(path)
    assert (env / "bin/tool").read_bytes().startswith(b"#!" + os.fsencode(env))
    assert os.path.realpath(env / "bin/python") == str(env / ".envparity/python/bin/python3.11")
    assert verify(env, store).problems == ()


def test_the_documents_say_the_same_as_the_code(digests):
    """docs/format.md, "Identity", computed from the pinned JSON by nothing but json and hashlib."""

    def digest(value):
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return "sha256:" + sha256(text.encode()).hexdigest()

    config = json.loads((GOLDEN / "config.json").read_bytes())
    parities = {}
    for name in layers():
        rows = []
        for path, kind, *rest in json.loads((GOLDEN / "trees" / f"{name}.json").read_bytes())["entries"]:
            extra = rest[-1] if isinstance(rest[-1], dict) else {}
            if kind == "d" or ("rule" in extra and "as" not in extra):
                continue
            value = rest[2] if kind == "f" else rest[0]
            if "at" in extra:
                at = json.dumps(extra["at"], separators=(",", ":")).encode()
                value = sha256(value.encode("utf-8", "surrogateescape") + at).hexdigest()
            rows.append([path, kind, kind == "f" and bool(rest[0] & 0o100), extra.get("as", value)])
        parities[name] = digest(rows) if rows else None
    assert parities == {name: row["parity"] for name, row in digests["layers"].items()}
    counting = [
        [layer["kind"], layer["name"], layer.get("version", ""), layer["parity"]]
        for layer in config["layers"]
        if "parity" in layer and layer["kind"] not in ("bytecode", "interpreter")
    ]
    facts = {name: config["interpreter"][name] for name in ("implementation", "version", "soabi", "platform", "digest")}
    root = {
        "schema": 1,
        "interpreter": facts,
        "system_site_packages": config["environment"]["system_site_packages"],
        "layers": sorted(counting),
    }
    assert digest(root) == digests["parity_root"] == config["parity_root"]
    assert digest(config) == digests["snapshot"]


def delta_pair():
    """Two versions of a layer: one file edited, one renamed, one new, one removed, one as it was."""
    before = bytes(range(256)) * 12
    base = [
        file("a/edited.so", before),
        file("a/name-1.0.txt", b"a text that stays\n" * 40),
        file("a/gone.py", b"gone = True\n"),
        file("a/kept.py", b"kept = True\n"),
        link("a/link", "kept.py"),
    ]
    part = [
        file("a/edited.so", before[:700] + b"an edit" + before[700:]),
        file("a/name-1.1.txt", b"a text that stays\n" * 40),
        file("a/new.py", b"new = True\n"),
        file("a/kept.py", b"kept = True\n"),
        link("a/link", "kept.py"),
    ]
    return tuple(built(*rows, kind=Kind.DISTRIBUTION, name="a", version="1.0") for rows in (base, part))


def notes_and_frames(blob):
    """A delta blob taken apart as docs/format.md has it, by nothing but struct, json and zstandard."""
    found, at = [], 0
    while at < len(blob):
        magic, size = struct.unpack_from("<II", blob, at)
        assert magic == 0x184D2A5E
        row = json.loads(zstandard.ZstdDecompressor().decompress(blob[at + 8 : at + 8 + size]))
        at += 8 + size
        frame = blob[at : at + row.get("packed", 0)]
        at += len(frame)
        found.append((row, frame))
    return found


def test_a_delta_that_was_written_once_is_read():
    base, part = delta_pair()
    shelf = Shelf()
    shelf.whole(base)
    shelf.delta(base, part, blob=(GOLDEN / "delta" / "blob").read_bytes())
    assert shelf.verified(part) == part.tar


def test_the_container_of_a_delta():
    """The notes are fixed to the byte. Which parts a writer chooses may change, and what zstd makes of them."""
    pinned = json.loads((GOLDEN / "delta" / "notes.json").read_bytes())
    (head, nothing), *segments = notes_and_frames((GOLDEN / "delta" / "blob").read_bytes())
    assert [head, *({**row, "packed": None} for row, _ in segments)] == pinned
    assert nothing == b""
    what = Delta(Digest(head["base"]), head["base_size"], head["size"], ())
    assert json.loads(encode_head(what)) == head
    for row, frame in segments:
        assert row["packed"] == len(frame)
        steps = tuple(Operation(length, *(offset or [None])) for length, *offset in row["operations"])
        segment = Segment(tuple(Range(*each) for each in row["dictionary"]), steps)
        assert json.loads(encode_segment(segment, len(frame))) == row
        assert encode_segment(segment, len(frame)) == canonical(row)


def test_a_delta_by_the_documents_alone():
    """What the notes say, done by slices of the base's tar."""
    base, part = delta_pair()
    tar = b""
    (head, _), *segments = notes_and_frames((GOLDEN / "delta" / "blob").read_bytes())
    assert (head["base"], head["base_size"], head["size"]) == (base.layer.diff_id, len(base.tar), len(part.tar))
    for row, frame in segments:
        dictionary = b"".join(base.tar[offset : offset + length] for offset, length in row["dictionary"])
        known = zstandard.ZstdCompressionDict(dictionary, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        new = zstandard.ZstdDecompressor(dict_data=known).decompress(frame)
        for length, *offset in row["operations"]:
            if offset:
                tar += base.tar[offset[0] : offset[0] + length]
            else:
                tar += new[:length]
                new = new[length:]
        assert new == b""
    assert tar == part.tar
