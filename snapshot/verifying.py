"""Verify a snapshot in the store, or a restored environment against the snapshot it came from."""

from __future__ import annotations

import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from snapshot import bytecode
from snapshot.cache import LayerCache
from snapshot.digest import Digest
from snapshot.documents import Reader, parse
from snapshot.errors import SnapshotError
from snapshot.flattening import blueprint_of
from snapshot.home import DEPLOYMENT, RECEIPT
from snapshot.parity import parity_of, parity_root
from snapshot.place import digest_of_file
from snapshot.progress import cores, counter
from snapshot.rendering import Rendering
from snapshot.scan import decode, encode, walk
from snapshot.store.reading import DamagedBlobError
from snapshot.store.scrub import Problem
from snapshot.store.store import NoCacheError, Store, UnknownSnapshotError
from snapshot.tars import Tars, bases, blob_of
from snapshot.trees import StoredTrees, read_facts, read_record
from snapshot.unpack import read_layer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from snapshot.blueprint import Blueprint, Template
    from snapshot.codec import Piece
    from snapshot.model import Entry, Layer, Snapshot
    from snapshot.progress import Progress
    from snapshot.scan import Found
    from snapshot.store.manifest import Manifest


class NoReceiptError(SnapshotError, ValueError):
    """A directory that no restore has made, so there is nothing to compare it with."""


@dataclass(frozen=True, slots=True)
class Verification:
    """`problems` is empty when all is as it should be. `files` is how many were compared."""

    subject: str
    snapshot: Digest
    files: int
    problems: tuple[Problem, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        return not self.problems


def verify(
    subject: str | os.PathLike[str], store: Store, progress: Progress | None = None, *, quick: bool = False
) -> Verification:
    """Check every digest of `subject`: an existing directory that `restore` made, or a reference to a snapshot.

    For a snapshot: blobs, trees, diff_ids, each file in them, and the parity root. For a directory: which files are modified,
    missing or added; bytecode that Python wrote there and that is valid for its source is none of these. `quick`: of a directory's
    files compare size, mode and time, which depends on the content, as a restore does with the files of its cache; those that were
    written for the place are read all the same.
    Raises UnknownSnapshotError and NoReceiptError; whatever is wrong with the content is a problem in the result.
    """
    begin = time.perf_counter()
    path = os.fspath(subject)
    if os.path.isdir(path):
        snapshot, files, problems = _Directory(os.path.realpath(path), store, progress, quick=quick).run()
    else:
        snapshot, files, problems = _Stored(path, store, progress).run()
    return Verification(path, snapshot, files, tuple(sorted(problems, key=str)), time.perf_counter() - begin)


class _Stored:
    """A snapshot in the store."""

    def __init__(self, reference: str, store: Store, progress: Progress | None) -> None:
        self._store = store
        self._reference = store.resolve(reference)
        self._progress = progress
        self._problems: list[Problem] = []

    def run(self) -> tuple[Digest, int, list[Problem]]:
        snapshot_id = self._reference.snapshot
        try:
            manifest = self._store.manifest(self._reference)
            snapshot = self._store.snapshot(self._reference)
            trees = StoredTrees(self._store, manifest, snapshot)
            read_record(self._store, manifest)
            read_facts(self._store, manifest)
            blueprint_of(snapshot_id, snapshot, trees)
        except SnapshotError as error:
            return snapshot_id, 0, [Problem("damaged", snapshot_id, str(error))]
        self._parity(snapshot, trees)
        advance = counter("verify", self._progress, snapshot.raw_bytes)

        def one(layer: Layer) -> Problem | None:
            try:
                self._layer(layer, manifest, trees[layer.tree], advance)
            except (SnapshotError, KeyError) as error:
                return Problem("damaged", layer.label, str(error))
            return None

        with ThreadPoolExecutor(cores()) as pool:
            ordered = sorted(snapshot.layers, key=lambda layer: -layer.size)
            self._problems += [problem for problem in pool.map(one, ordered) if problem is not None]
        return snapshot_id, snapshot.files, self._problems

    def _parity(self, snapshot: Snapshot, trees: Mapping[Digest, tuple[Entry, ...]]) -> None:
        for layer in snapshot.layers:
            if parity_of(trees[layer.tree]) != layer.parity:
                self._problems.append(Problem("damaged", layer.label, "its parity digest is not that of its tree"))
        root = parity_root(snapshot.interpreter, snapshot.environment, snapshot.layers)
        if root != snapshot.parity_root:
            self._problems.append(Problem("damaged", "parity_root", f"is {snapshot.parity_root}, computed {root}"))

    def _layer(self, layer: Layer, manifest: Manifest, tree: tuple[Entry, ...], advance: Callable[[int], None]) -> None:
        blob = blob_of(manifest.content, layer.diff_id, layer.label)
        bases(manifest.content, layer.diff_id)  # all of them are there: what no manifest lists, a collection takes
        whole = _Hashing()

        def take(entry: Entry, pieces: Iterator[memoryview]) -> None:
            digest = sha256()
            for piece in pieces:
                digest.update(piece)
            if digest.hexdigest() != entry.sha256:
                raise DamagedBlobError(f"blob {blob.digest}: {entry.path!r} does not have the digest of its tree")
            advance(entry.size)

        chunks = Tars(self._store, manifest.content).chunks(layer.diff_id, layer.label)
        read_layer(chunks, layer, tree, blob.digest, take, whole.update)
        if whole.digest != layer.diff_id:
            raise DamagedBlobError(f"blob {blob.digest}: its tar is {whole.digest}, not {layer.diff_id}")


class _Hashing:
    def __init__(self) -> None:
        self._hash = sha256()

    def update(self, data: Piece) -> None:
        self._hash.update(data)

    @property
    def digest(self) -> Digest:
        return Digest.of_hex(self._hash.hexdigest())


class _Directory:
    """A restored environment."""

    def __init__(self, root: str, store: Store, progress: Progress | None, *, quick: bool) -> None:
        self._root = root
        self._quick = quick
        self._progress = progress
        self._problems: list[Problem] = []
        receipt = self._receipt()
        self._destination = receipt.text("destination")
        self._base = receipt.optional_text("base")
        self._snapshot = receipt.digest("snapshot")
        self._store = self._store_with(self._snapshot, store, receipt.text("store"))

    def _receipt(self) -> Reader:
        path = os.path.join(self._root, RECEIPT)
        try:
            with open(path, "rb") as file:
                receipt = Reader(parse(file.read(), path), path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NoReceiptError(
                f"{self._root} was not made by a restore (it has no {RECEIPT}); "
                "to compare any environment with a snapshot use: envparity diff SNAPSHOT PREFIX"
            ) from error
        receipt.schema()
        return receipt

    @staticmethod
    def _store_with(snapshot: Digest, store: Store, origin: str) -> Store:
        for candidate in (store, Store(origin)):
            try:
                candidate.resolve(snapshot)
            except UnknownSnapshotError:
                continue
            return candidate
        raise UnknownSnapshotError(f"snapshot {snapshot} is neither in {store} nor in {origin}, where it came from")

    def run(self) -> tuple[Digest, int, list[Problem]]:
        reference = self._store.resolve(self._snapshot)
        manifest = self._store.manifest(reference)
        snapshot = self._store.snapshot(reference)
        trees = StoredTrees(self._store, manifest, snapshot)
        blueprint = self._cached(reference.snapshot) or blueprint_of(reference.snapshot, snapshot, trees)
        if self._destination != self._root:
            self._problem("moved", "", f"it was restored to {self._destination}: scripts and pyvenv.cfg point there")
        found = walk(self._root)
        digests: dict[tuple[str, str], str] = {
            (layer.tree, entry.path): entry.sha256
            for layer in (() if self._quick else snapshot.layers)
            for entry in trees[layer.tree]
        }
        expected = self._files(blueprint, found, digests)
        expected |= self._templates(blueprint, found, snapshot.layers, manifest, trees)
        expected |= self._links(blueprint, found)
        self._directories(blueprint, found)
        self._added(found, expected | {RECEIPT, DEPLOYMENT}, blueprint.cache_tag)
        return self._snapshot, len(expected), self._problems

    def _problem(self, kind: str, path: str, detail: str) -> None:
        self._problems.append(Problem(kind, path, detail))

    def _files(
        self, blueprint: Blueprint, found: Mapping[str, Found], digests: Mapping[tuple[str, str], str]
    ) -> set[str]:
        rows = [
            (f"{files.mount}/{path}" if files.mount else path, mode, size, time, digests.get((files.tree, path)))
            for files in blueprint.files
            for path, mode, size, time in zip(files.paths, files.modes, files.sizes, files.times, strict=True)
        ]
        advance = counter("verify", self._progress, sum(row[2] for row in rows))

        def wrong(row: tuple[str, int, int, int, str | None]) -> str | None:
            path, _, size, time, digest = row
            location = os.path.join(encode(self._root), encode(path))
            same = found[path].stat.st_size == size and (
                found[path].stat.st_mtime_ns == time if self._quick else digest_of_file(location) == digest
            )
            advance(size)
            return None if same else "its content is not the snapshot's"

        present = [row for row in rows if self._regular(row[0], row[1], found)]
        with ThreadPoolExecutor(cores()) as pool:
            reasons = map(wrong, present) if self._quick else pool.map(wrong, present)
            for row, reason in zip(present, reasons, strict=True):
                if reason:
                    self._problem("modified", row[0], reason)
        return {row[0] for row in rows}

    def _regular(self, path: str, mode: int, found: Mapping[str, Found]) -> bool:
        item = found.get(path)
        if item is None:
            self._problem("missing", path, "is in the snapshot")
            return False
        if not item.is_file:
            self._problem("modified", path, "is no regular file any more")
            return False
        if stat.S_IMODE(item.stat.st_mode) & 0o100 != mode & 0o100:
            self._problem("modified", path, f"its mode is {stat.S_IMODE(item.stat.st_mode):04o}, was {mode:04o}")
        return True

    def _templates(
        self,
        blueprint: Blueprint,
        found: Mapping[str, Found],
        layers: tuple[Layer, ...],
        manifest: Manifest,
        trees: StoredTrees,
    ) -> set[str]:
        wanted = {(item.tree, item.inner) for item in blueprint.templates}
        content: dict[tuple[str, str], bytes] = {}
        if self._quick:
            content.update(self._unpacked(blueprint))
        for layer in layers:
            if any(key not in content for key in wanted if key[0] == layer.tree):
                content.update(self._template_bytes(layer, manifest, trees[layer.tree], wanted))

        def read(template: Template) -> bytes:
            return content[template.tree, template.inner]

        for template, data in Rendering(blueprint, self._destination, self._base).files(read):
            location = os.path.join(encode(self._root), encode(template.path))
            if (
                self._regular(template.path, template.mode, found)
                and digest_of_file(location) != sha256(data).hexdigest()
            ):
                self._problem("modified", template.path, "its content is not the snapshot's")
        return {template.path for template in blueprint.templates}

    def _cache(self) -> LayerCache | None:
        try:
            return LayerCache(self._store.cache)
        except NoCacheError:
            return None

    def _cached(self, snapshot: Digest) -> Blueprint | None:
        """What a restore on this node made of the snapshot; only a quick check goes by it."""
        cache = self._cache() if self._quick else None
        return None if cache is None else cache.blueprint(snapshot)

    def _unpacked(self, blueprint: Blueprint) -> Iterator[tuple[tuple[str, str], bytes]]:
        """The templates that are unpacked on this node, and are what they were: no layer needs to be decoded for these."""
        cache = self._cache()
        if cache is None:
            return
        for item in blueprint.templates:
            location = os.path.join(encode(cache.layer(item.tree)), encode(item.inner))
            if digest_of_file(location) == item.sha256:
                with open(location, "rb") as file:
                    yield (item.tree, item.inner), file.read()

    def _template_bytes(
        self, layer: Layer, manifest: Manifest, tree: tuple[Entry, ...], wanted: set[tuple[str, str]]
    ) -> dict[tuple[str, str], bytes]:
        content: dict[tuple[str, str], bytes] = {}

        def take(entry: Entry, pieces: Iterator[memoryview]) -> None:
            data = b"".join(map(bytes, pieces)) if (layer.tree, entry.path) in wanted else None
            for _ in pieces:
                pass
            if data is not None:
                content[layer.tree, entry.path] = data

        blob = blob_of(manifest.content, layer.diff_id, layer.label)
        chunks = Tars(self._store, manifest.content).chunks(layer.diff_id, layer.label)
        read_layer(chunks, layer, tree, blob.digest, take)
        return content

    def _links(self, blueprint: Blueprint, found: Mapping[str, Found]) -> set[str]:
        paths = set()
        for path, target in Rendering(blueprint, self._destination, self._base).links():
            paths.add(path)
            item = found.get(path)
            if item is None:
                self._problem("missing", path, f"is a link to {target} in the snapshot")
            elif not item.is_link:
                self._problem("modified", path, "is no link any more")
            elif decode(os.readlink(os.path.join(encode(self._root), encode(path)))) != target:
                self._problem("modified", path, f"leads elsewhere than to {target}")
        return paths

    def _directories(self, blueprint: Blueprint, found: Mapping[str, Found]) -> None:
        for path in blueprint.directories:
            if path not in found:
                self._problem("missing", path, "is a directory in the snapshot")

    def _added(self, found: Mapping[str, Found], expected: set[str], cache_tag: str) -> None:
        for path, item in found.items():
            if item.is_directory or path in expected:
                continue
            if bytecode.is_bytecode(path) and item.is_file and self._valid(path, found, cache_tag):
                continue
            self._problem("added", path, "is not in the snapshot")

    def _valid(self, path: str, found: Mapping[str, Found], cache_tag: str) -> bool:
        """Bytecode that Python wrote when it imported: derived, and true to its source. Hash-based is never written so."""
        source = bytecode.source_of(path, cache_tag)
        if source is None or source not in found:
            return False
        with open(os.path.join(encode(self._root), encode(path)), "rb") as file:
            head = file.read(17)
        status = found[source].stat
        return (
            head[4:8] == b"\0\0\0\0"
            and bytecode.stale_because(head, head[:4], int(status.st_mtime), status.st_size, lambda: "") is None
        )
