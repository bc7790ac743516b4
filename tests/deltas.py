"""Delta blobs made by hand, as wrong as a test wants them, and tars that were taken apart and put together again."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from snapshot.codec import note, pack_small
from snapshot.delta import Planner
from snapshot.digest import Descriptor
from snapshot.documents import digest_of
from snapshot.encoding import write_delta
from snapshot.serialize import decode_tree
from snapshot.store import Store
from snapshot.store.manifest import BASE, CONTENT, DELTA_TYPE, LAYER_TYPE
from snapshot.store.memory import MemoryBackend
from snapshot.tars import Tar, Tars
from tests.building import layer_blob


def tar_file(data):
    """`data` as a Tar; whoever asks for it closes it."""
    tar = Tar(None)
    tar.write(data)
    return tar


class Written:
    """Takes what is written, in place of a staged blob."""

    def __init__(self):
        self.data = bytearray()

    def write(self, data):
        self.data += data
        return len(data)


def plan_of(base, part):
    return Planner(base.layer.diff_id, decode_tree(base.tree)).plan(decode_tree(part.tree))


def delta_of(base, part, plan=None):
    """The bytes of the delta that makes `part` out of `base`."""
    blob = Written()
    with ThreadPoolExecutor(1) as pool, tar_file(part.tar) as raw, tar_file(base.tar) as other:
        plan = plan_of(base, part) if plan is None else plan
        assert write_delta(plan, raw, other, blob, pool) == len(blob.data)
    return bytes(blob.data)


def as_delta(base, part, blob=None, said=None):
    """`part` with a delta against `base` as its blob; `said` is the base that the manifest names."""
    notes = {BASE: str(said or base.layer.diff_id)}
    return replace(part, blob=delta_of(base, part) if blob is None else blob, media_type=DELTA_TYPE, notes=notes)


def head(base, part, changes=()):
    """The first note of a delta blob."""
    row = {"schema": 1, "base": base.layer.diff_id, "base_size": len(base.tar), "size": len(part.tar)}
    return note(json.dumps({**row, **dict(changes)}).encode())


def segment(operations, frame=b"", dictionary=(), packed=None):
    """A further note, and the frame behind it."""
    row = {"packed": len(frame) if packed is None else packed, "dictionary": dictionary, "operations": operations}
    return note(json.dumps(row).encode()) + frame


def frame(data):
    return pack_small(data)


class Shelf:
    """Layers in a store without manifests: the first is whole, each further one a delta against the one before it."""

    def __init__(self):
        self._backend = MemoryBackend()
        self.content = {}

    def whole(self, part):
        self._add(part, layer_blob(part.tar), LAYER_TYPE, {})

    def delta(self, base, part, plan=None, blob=None):
        blob = delta_of(base, part, plan) if blob is None else blob
        self._add(part, blob, DELTA_TYPE, {BASE: base.layer.diff_id})

    @property
    def store(self):
        return Store(self._backend)

    def read(self, part):
        return b"".join(map(bytes, Tars(Store(self._backend), self.content).chunks(part.layer.diff_id, "any")))

    def file(self, part, wanted=None):
        """The tar, or these ranges of it, as a file."""
        tars = Tars(Store(self._backend), self.content)
        return tars.file(part.layer.diff_id, "any", part.layer.size, wanted)

    def verified(self, part):
        """The tar, compared with its diff_id."""
        with self.file(part) as tar:
            return bytes(tar.read((0, tar.size)))

    def _add(self, part, data, media_type, notes):
        digest, diff_id = digest_of(data), part.layer.diff_id
        self._backend.blobs[digest] = data
        self.content[diff_id] = Descriptor(media_type, digest, len(data), {CONTENT: diff_id, **notes})
