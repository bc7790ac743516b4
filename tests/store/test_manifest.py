"""OCI documents to values and back."""

from __future__ import annotations

import json

import pytest

from snapshot.digest import Descriptor
from snapshot.documents import FormatError, canonical, digest_of
from snapshot.store.manifest import (
    ARTIFACT_TYPE,
    CONFIG_TYPE,
    CONTENT,
    EMPTY,
    LAYER_TYPE,
    MANIFEST_TYPE,
    RECORD_TYPE,
    TREE_TYPE,
    Index,
    InvalidNameError,
    NameTakenError,
    Reference,
    check_name,
    children,
    decode_index,
    decode_manifest,
    encode_manifest,
    encode_reference,
    identify,
    with_reference,
)

CONFIG = Descriptor(CONFIG_TYPE, digest_of(b"config"), 6)


def blob(text: str, media_type: str = LAYER_TYPE) -> Descriptor:
    return Descriptor(media_type, digest_of(text.encode()), len(text))


def reference(name: str | None, snapshot: str, manifest: str = "", created: str = "2025-01-01T00:00:00Z") -> Reference:
    found = blob(f"manifest {manifest or snapshot}", MANIFEST_TYPE)
    return Reference(name, digest_of(snapshot.encode()), found, created)


def index_of(*references: Reference) -> Index:
    return Index(EMPTY.raw, tuple(encode_reference(each) for each in references))


def by_annotation(row):
    return row.snapshot


def listing(index: Index) -> list[tuple[str | None, str]]:
    return [(row.name, str(row.snapshot)) for row in index.rows]


def pairs(*each: tuple[str | None, str]) -> list[tuple[str | None, str]]:
    return [(name, str(digest_of(snapshot.encode()))) for name, snapshot in each]


def test_manifest_is_the_documented_json():
    content = {digest_of(b"tar"): blob("layer"), digest_of(b"tree"): blob("t", TREE_TYPE)}
    assert json.loads(encode_manifest(CONFIG, content)) == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/vnd.envparity.snapshot.v1+json",
        "config": {
            "mediaType": "application/vnd.envparity.snapshot.config.v1+json",
            "digest": digest_of(b"config"),
            "size": 6,
        },
        "layers": [
            {
                "mediaType": "application/vnd.envparity.tree.v1+json+zstd",
                "digest": digest_of(b"t"),
                "size": 1,
                "annotations": {"vnd.envparity.content": digest_of(b"tree")},
            },
            {
                "mediaType": "application/vnd.oci.image.layer.v1.tar+zstd",
                "digest": digest_of(b"layer"),
                "size": 5,
                "annotations": {"vnd.envparity.content": digest_of(b"tar")},
            },
        ],
    }


def test_manifest_does_not_depend_on_the_order_of_content():
    content = {digest_of(bytes([each])): blob(f"{each}", RECORD_TYPE if each % 2 else LAYER_TYPE) for each in range(9)}
    backwards = dict(reversed(content.items()))
    assert encode_manifest(CONFIG, content) == encode_manifest(CONFIG, backwards)


def test_manifest_keeps_annotations_of_layers():
    base = Descriptor(LAYER_TYPE, digest_of(b"x"), 1, {"vnd.example.base": "y", CONTENT: "stale"})
    decoded = decode_manifest(encode_manifest(CONFIG, {digest_of(b"tar"): base}))
    assert decoded.content[digest_of(b"tar")].annotations == {"vnd.example.base": "y", CONTENT: digest_of(b"tar")}


def test_packed_bytes_count_each_blob_once():
    content = {digest_of(b"1"): blob("layer"), digest_of(b"2"): blob("layer"), digest_of(b"3"): blob("other!")}
    data = encode_manifest(CONFIG, content)
    assert decode_manifest(data).packed_bytes == len(data) + 6 + 5 + 6


def test_manifest_without_content_annotation_names_the_place():
    data = json.loads(encode_manifest(CONFIG, {digest_of(b"1"): blob("layer")}))
    del data["layers"][0]["annotations"][CONTENT]
    with pytest.raises(FormatError, match=r"m\.layers\[0\]\.annotations\.vnd\.envparity\.content: missing"):
        decode_manifest(canonical(data), "m")


def test_manifest_with_content_twice_is_refused():
    data = json.loads(encode_manifest(CONFIG, {digest_of(b"1"): blob("layer")}))
    data["layers"] *= 2
    with pytest.raises(FormatError, match=r"m\.layers\[1\]: sha256:[0-9a-f]+ is there twice"):
        decode_manifest(canonical(data), "m")


def test_manifest_of_something_else_is_refused():
    data = json.loads(encode_manifest(CONFIG, {}))
    data["artifactType"] = "application/vnd.example.chart"
    with pytest.raises(FormatError, match=r"m\.artifactType: 'application/vnd\.example\.chart' is no snapshot"):
        decode_manifest(canonical(data), "m")
    assert identify(canonical(data), "m") is None


def test_manifest_whose_artifact_type_a_tool_dropped_is_still_ours():
    data = json.loads(encode_manifest(CONFIG, {}))
    del data["artifactType"]
    assert identify(canonical(data), "m") == CONFIG.digest
    assert decode_manifest(canonical(data)).config == CONFIG


def test_image_manifest_is_not_ours():
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha512:00", "size": 1}
    assert identify(canonical({"schemaVersion": 2, "config": config, "layers": []}), "m") is None
    assert identify(canonical({"schemaVersion": 2, "manifests": []}), "m") is None


def test_children_are_all_descriptors():
    rows = {key: {"mediaType": "a/b", "digest": digest_of(key.encode()), "size": 1} for key in "abcde"}
    data = {"config": rows["a"], "subject": rows["b"], "layers": [rows["c"]], "manifests": [rows["d"]], "blobs": []}
    assert {each.digest for each in children(canonical(data), "m")} == {digest_of(each.encode()) for each in "abcd"}
    assert children(canonical({"config": None, "layers": None}), "m") == ()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "index.json is not JSON"),
        (b"[]", "index.json: want an object, found list"),
        (b"{}", r"index.json\.schemaVersion: missing"),
        (b'{"schemaVersion":3,"manifests":[]}', r"index.json\.schemaVersion: want 2, found 3"),
        (b'{"schemaVersion":2}', r"index.json\.manifests: missing"),
        (b'{"schemaVersion":2,"manifests":[7]}', r"index.json\.manifests\[0\]: want an object, found int"),
        (
            b'{"schemaVersion":2,"manifests":[{"digest":"sha256:.."}]}',
            r"index.json\.manifests\[0\]\.mediaType: missing",
        ),
    ],
)
def test_bad_index_names_the_place(data, message):
    with pytest.raises(FormatError, match=message):
        decode_index(data)


def test_reference_in_the_index_is_the_documented_json():
    index = index_of(reference("m/1", "s", created="2025-12-01T10:00:00Z"))
    assert json.loads(index.encode()) == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {
                "mediaType": MANIFEST_TYPE,
                "artifactType": ARTIFACT_TYPE,
                "digest": digest_of(b"manifest s"),
                "size": 10,
                "annotations": {
                    "org.opencontainers.image.ref.name": "m/1",
                    "org.opencontainers.image.created": "2025-12-01T10:00:00Z",
                    "vnd.envparity.snapshot": digest_of(b"s"),
                },
            }
        ],
    }


def test_what_the_index_has_beside_is_kept():
    data = {
        "schemaVersion": 2,
        "annotations": {"who": "ever"},
        "manifests": [
            {"mediaType": "text/plain", "digest": "sha512:00", "size": 1, "annotations": {"a": {"deep": [1, None]}}},
            {"mediaType": MANIFEST_TYPE, "digest": digest_of(b"m"), "size": 1, "platform": {"os": "plan9"}},
        ],
    }
    index, _ = with_reference(decode_index(canonical(data)), reference("new", "s"), by_annotation)
    written = json.loads(index.encode())
    assert written["annotations"] == data["annotations"]
    assert written["manifests"][:2] == data["manifests"]
    assert len(written["manifests"]) == 3


def test_empty_list_of_other_tools():
    index = decode_index(b'{"schemaVersion":2,"manifests":null}')
    assert index.rows == ()
    assert json.loads(index.encode())["manifests"] == []


def test_annotations_of_other_types_are_kept_and_do_not_count():
    row = {"mediaType": MANIFEST_TYPE, "digest": digest_of(b"m"), "size": 1}
    annotations = {"org.opencontainers.image.ref.name": ["a"], "vnd.envparity.snapshot": 7, "other": "text"}
    rows = [{**row, "annotations": annotations}, {**row, "annotations": None}, {**row, "annotations": 7}]
    index = decode_index(canonical({"schemaVersion": 2, "manifests": rows}))
    assert [(each.name, each.snapshot, each.created, each.foreign) for each in index.rows] == [
        (None, None, "", False)
    ] * 3
    assert index.rows[0].descriptor.annotations == {"other": "text"}
    assert json.loads(index.encode())["manifests"] == rows


def test_name_of_a_row_with_another_digest_is_taken():
    row = {"mediaType": MANIFEST_TYPE, "digest": "sha512:00", "size": 1}
    row["annotations"] = {"org.opencontainers.image.ref.name": "a"}
    index = decode_index(canonical({"schemaVersion": 2, "manifests": [row]}))
    with pytest.raises(NameTakenError, match=r"\(sha512:00\); choose another name"):
        with_reference(index, reference("a", "1"), by_annotation)


def test_row_of_another_artifact_is_foreign():
    row = {"mediaType": MANIFEST_TYPE, "digest": digest_of(b"m"), "size": 1}
    rows = [
        row,
        {**row, "artifactType": ""},
        {**row, "artifactType": ARTIFACT_TYPE},
        {**row, "artifactType": "application/vnd.example.chart"},
        {**row, "mediaType": "application/vnd.oci.image.index.v1+json"},
        {**row, "digest": "sha512:00"},
    ]
    index = decode_index(canonical({"schemaVersion": 2, "manifests": rows}))
    assert [found.foreign for found in index.rows] == [False, False, False, True, True, True]


def test_same_name_and_manifest_change_nothing():
    index = index_of(reference("a", "1"), reference("b", "2"))
    changed, found = with_reference(index, reference("a", "1", created="2026-01-01T00:00:00Z"), by_annotation)
    assert changed is index
    assert found.created == "2025-01-01T00:00:00Z"


def test_moved_name_leaves_the_older_snapshot_without_a_name():
    index, found = with_reference(index_of(reference("a", "1")), reference("a", "2"), by_annotation)
    assert listing(index) == pairs((None, "1"), ("a", "2"))
    assert found.name == "a"
    assert "org.opencontainers.image.ref.name" not in index.encode().decode().split("manifest 2")[0].split("}")[0]


def test_moved_name_leaves_nothing_when_another_reference_has_the_snapshot():
    index, _ = with_reference(index_of(reference("a", "1"), reference("b", "1")), reference("a", "2"), by_annotation)
    assert listing(index) == pairs(("b", "1"), ("a", "2"))


def test_name_with_another_manifest_of_the_same_snapshot_is_replaced():
    index, _ = with_reference(index_of(reference("a", "1", "old")), reference("a", "1", "new"), by_annotation)
    assert listing(index) == pairs(("a", "1"))
    assert index.rows[0].descriptor.digest == digest_of(b"manifest new")


def test_naming_takes_over_the_row_without_a_name():
    index, _ = with_reference(index_of(reference(None, "1")), reference("a", "1"), by_annotation)
    assert listing(index) == pairs(("a", "1"))


def test_unnamed_snapshot_that_has_a_reference_changes_nothing():
    index = index_of(reference("a", "1"))
    changed, found = with_reference(index, reference(None, "1"), by_annotation)
    assert changed is index
    assert found.name == "a"


def test_unnamed_snapshot_with_another_manifest_is_added_once():
    index = index_of(reference("a", "1", "old"))
    for manifest in ("new", "newer"):
        index, _ = with_reference(index, reference(None, "1", manifest), by_annotation)
    assert listing(index) == pairs(("a", "1"), (None, "1"))
    assert index.rows[1].descriptor.digest == digest_of(b"manifest newer")


def test_name_of_something_else_is_not_taken():
    row = {
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "digest": digest_of(b"m"),
        "size": 1,
        "annotations": {"org.opencontainers.image.ref.name": "a"},
    }
    index = decode_index(canonical({"schemaVersion": 2, "manifests": [row]}))
    with pytest.raises(NameTakenError, match=r"'a' already names something that is no snapshot.*choose another name"):
        with_reference(index, reference("a", "1"), by_annotation)
    assert listing(with_reference(index, reference("b", "1"), by_annotation)[0])[1:] == pairs(("b", "1"))


@pytest.mark.parametrize("name", ["a", "model/1", "Model.v2/2025-01-01", "a_b", "a--b", "x+y@z:1", "abcd", "7"])
def test_good_names(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "a/", "/a", "a//b", "a/b/c", "a b", "-a", "a-", "a..b", "a---b", "é", "a\n", "a/..", "../a", "a\0"]
)
def test_bad_names_say_what_is_allowed(name):
    with pytest.raises(InvalidNameError, match="want NAME or NAME/VERSION, each of letters and digits"):
        check_name(name)


@pytest.mark.parametrize("name", ["sha256:abcd", "0" * 64, "sha256:a/1"])
def test_names_that_look_like_digests(name):
    with pytest.raises(InvalidNameError, match="it looks like a digest"):
        check_name(name)


def test_a_name_has_an_end():
    assert check_name("a" * 1000 + "/1") == "a" * 1000 + "/1"
    with pytest.raises(
        InvalidNameError, match=r"'a{40}'… cannot name a snapshot: it has 2000 letters, want 1024 at most"
    ):
        check_name("a" * 2000)
