"""Configs, manifests and records that are not what the format says. The id is right: it is the digest of these very bytes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from snapshot import verify
from snapshot.codec import pack_small
from snapshot.digest import Descriptor
from snapshot.documents import UnsupportedSchemaError
from snapshot.model import Environment
from snapshot.serialize import encode_snapshot
from snapshot.store.errors import MissingBlobError
from tests.building import INTERPRETER, built, file, publish, snapshot_of

ANY = "sha256:" + "ab" * 32


def config_with(path, value):
    """The config of a good snapshot, with one value replaced, or removed."""
    document = json.loads(encode_snapshot(snapshot_of([PART.layer], environment=WITH_SOURCE)))
    where = document
    for key in path[:-1]:
        where = where[key]
    if value is REMOVED:
        del where[path[-1]]
    else:
        where[path[-1]] = value
    return json.dumps(document).encode("ascii")


PART = built(file("a", b"1"))
WITH_SOURCE = Environment("venv", ".envparity/python", "none", False, (("x", ".envparity/src/x"),))
REMOVED = object()


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        (["schema"], 3, r"\.schema: 3 is newer than this envparity reads \(2\); install a newer one"),
        (["schema"], 2, r"\.schema: 2 for what is written as 1"),
        (["schema"], 0, r"\.schema: 0 for what is written as 1"),
        (["environment", "bytecode"], "imported", r"\.schema: 1 for what is written as 2"),
        (["layers", 0, "kind"], "model", r"\.schema: 1 for what is written as 2"),
        (["schema"], "1", r"\.schema: want int, found str"),
        (["schema"], REMOVED, r"\.schema: missing"),
        (["schema"], -1, r"\.schema: want a count, found -1"),
        (["interpreter"], REMOVED, r"\.interpreter: missing"),
        (["interpreter"], [], r"\.interpreter: want dict, found list"),
        (["interpreter", "version"], 3.11, r"\.interpreter\.version: want str, found float"),
        (["interpreter", "soabi"], None, r"\.interpreter\.soabi: want str, found NoneType"),
        (["interpreter", "captured"], "yes", r"\.interpreter\.captured: want bool, found str"),
        (["interpreter", "captured"], 1, r"\.interpreter\.captured: want bool, found int"),
        (["interpreter", "digest"], "ab" * 32, r"\.interpreter\.digest: not a digest"),
        (["interpreter", "digest"], ANY.upper(), r"\.interpreter\.digest: not a digest"),
        (["interpreter", "digest"], ANY + "\n", r"\.interpreter\.digest: not a digest"),
        (["interpreter", "executable"], "../../bin/sh", r"\.interpreter\.executable: unsafe path '\.\./\.\./bin/sh'"),
        (["interpreter", "executable"], "/bin/sh", r"\.interpreter\.executable: unsafe path '/bin/sh'"),
        (["interpreter", "executable"], "", r"\.interpreter\.executable: unsafe path ''"),
        # It becomes part of the names of bytecode that a restore compiles.
        (
            ["interpreter", "cache_tag"],
            "/../../../victim",
            r"\.interpreter\.cache_tag: '/\.\./\.\./\.\./victim' is no cache tag",
        ),
        (["interpreter", "cache_tag"], "a\0b", r"\.interpreter\.cache_tag: 'a\\x00b' is no cache tag"),
        (["environment", "kind"], "conda", r"\.environment\.kind: 'conda' is neither venv nor base"),
        (
            ["environment", "bytecode"],
            "maybe",
            r"\.environment\.bytecode: 'maybe' is neither none, kept, compiled nor imported",
        ),
        (["environment", "base_mount"], "../beside", r"\.environment\.base_mount: unsafe path '\.\./beside'"),
        (["environment", "base_mount"], "/usr", r"\.environment\.base_mount: unsafe path '/usr'"),
        (["environment", "system_site_packages"], 0, r"\.environment\.system_site_packages: want bool, found int"),
        (["environment", "sources"], [], r"\.environment\.sources: want dict, found list"),
        (["environment", "sources", "x"], "../beside", r"\.environment\.sources\.x: unsafe path '\.\./beside'"),
        (["environment", "sources", "x"], ".envparity/src/..", r"\.environment\.sources\.x: unsafe path"),
        (["environment", "sources", "x"], "", r"\.environment\.sources\.x: unsafe path ''"),
        (["environment", "sources", "x"], 5, r"\.environment\.sources\.x: want str, found int"),
        (["layers"], {}, r"\.layers: want list, found dict"),
        (["layers", 0], [], r"\.layers\[0\]: want an object, found list"),
        (
            ["layers", 0, "kind"],
            "device",
            r"\.layers\[0\]\.kind: 'device' is no kind of layer that this envparity knows; install a newer one",
        ),
        (["layers", 0, "name"], REMOVED, r"\.layers\[0\]\.name: missing"),
        (["layers", 0, "version"], 1, r"\.layers\[0\]\.version: want str, found int"),
        (["layers", 0, "mount"], "a/../..", r"\.layers\[0\]\.mount: unsafe path 'a/\.\./\.\.'"),
        (["layers", 0, "diff_id"], "sha512:" + "ab" * 64, r"\.layers\[0\]\.diff_id: not a digest"),
        (["layers", 0, "tree"], "../../index.json", r"\.layers\[0\]\.tree: not a digest"),
        (["layers", 0, "files"], -1, r"\.layers\[0\]\.files: want a count, found -1"),
        (["layers", 0, "size"], True, r"\.layers\[0\]\.size: want int, found bool"),
        (["layers", 0, "size"], 10**400, r"\.layers\[0\]\.size: want a count, found 1000"),
        (["layers", 0, "parity"], "none", r"\.layers\[0\]\.parity: not a digest"),
        (["parity_root"], REMOVED, r"\.parity_root: missing"),
    ],
)
def test_a_config_with_something_else_in_one_place(ground, path, value, match):
    ground.publish(PART, config=config_with(path, value))
    ground.refuses(r"config sha256:[0-9a-f]{64}" + match)


def test_a_config_of_a_later_schema_says_what_to_do(ground):
    stored = ground.publish(PART, config=config_with(["schema"], 3))
    message = ground.refuses("newer", error=UnsupportedSchemaError)
    assert message == f"config {stored.id}.schema: 3 is newer than this envparity reads (2); install a newer one"


@pytest.mark.parametrize("config", [b"[" * 200_000, b"\x00", b"null", b'"text"', b"{}", b"", b"{" * 100])
def test_a_config_that_is_none(ground, config):
    ground.publish(PART, config=config)
    ground.refuses(r"config sha256:[0-9a-f]{64}(: want an object|\.schema: missing| is not JSON)")


def test_a_manifest_without_a_layers_blob(ground):
    ground.publish(PART, without={PART.layer.diff_id})
    ground.refuses("the manifest has no blob for layer unowned; copy or capture the snapshot again", MissingBlobError)


def test_a_manifest_without_a_trees_blob(ground):
    ground.publish(PART, without={PART.layer.tree})
    ground.refuses(
        f"tree of unowned: the manifest has no blob for {PART.layer.tree}; copy or capture", MissingBlobError
    )


def test_a_manifest_that_takes_one_blob_for_another(ground):
    """Each content is somebody else's blob: what is stored is sound, and still not what the config wants."""
    other = built(file("b", b"2"))
    with ground.store.begin() as batch:
        from tests.building import layer_blob

        blobs = [
            (PART.layer.diff_id, layer_blob(other.tar), "application/vnd.oci.image.layer.v1.tar+zstd"),
            (PART.layer.tree, pack_small(PART.tree), "application/vnd.envparity.tree.v1+json+zstd"),
        ]
        content = {digest: Descriptor(kind, *batch.put(data)) for digest, data, kind in blobs}
        batch.publish(encode_snapshot(snapshot_of([PART.layer])), content, "x")
    ground.refuses(r"layer unowned \(blob sha256:[0-9a-f]+\): at 'a' it is not what its tree says")


def test_a_blob_that_is_gone(ground):
    stored = ground.publish(PART)
    blob = stored.content[PART.layer.diff_id].digest
    (ground.root / "store" / "blobs" / "sha256" / blob.hex).unlink()
    ground.refuses(blob, MissingBlobError)


def test_a_parity_root_that_is_not_the_environments_is_found_by_verify(ground):
    ground.publish(PART, config=config_with(["parity_root"], ANY))
    problems = verify("x", ground.store).problems
    assert [(problem.kind, problem.path) for problem in problems] == [("damaged", "parity_root")]
    assert f"is {ANY}, computed sha256:" in problems[0].detail


def test_a_layers_parity_that_is_not_its_trees_is_found_by_verify(ground):
    ground.publish(replace(PART, layer=replace(PART.layer, parity=ANY)))
    problems = verify("x", ground.store).problems
    assert [(problem.path, problem.detail) for problem in problems] == [
        ("unowned", "its parity digest is not that of its tree")
    ]


def test_a_diff_id_that_is_not_the_tars_is_found_by_verify(ground):
    part = replace(PART, layer=replace(PART.layer, tar=ANY))
    stored = publish(ground.store, part)
    problems = verify("x", ground.store).problems
    assert [(problem.kind, problem.path) for problem in problems] == [("damaged", "unowned")]
    assert f"its tar is {PART.layer.diff_id}, not {ANY}" in problems[0].detail
    assert stored.content[ANY].digest in problems[0].detail


def test_bytecode_is_not_compiled_by_what_is_no_interpreter(ground):
    """The restore runs the captured interpreter; one that is not there, or is none, is an error that says so."""
    ground.verifiable = False  # it is what it says that it is
    source = built(file("lib/m.py", b"a = ''\n", at=((5, "prefix"),)))
    environment = Environment("venv", ".envparity/python", "compiled", False)
    ground.publish(source, environment=environment)
    ground.refuses(r"cannot run the interpreter .*python3\.11")
    broken = built(file("bin/python3.11", b"\x7fELF nothing", 0o755), mount=".envparity/python")
    ground.publish(source, broken, environment=environment)
    ground.refuses(r"cannot run the interpreter .*python3\.11")
    plain = built(file("bin/python3.11", b"\x7fELF nothing", 0o644), mount=".envparity/python")
    ground.publish(source, plain, environment=environment, interpreter=replace(INTERPRETER, version="3.11.8"))
    ground.refuses(r"cannot run the interpreter .*python3\.11")
