"""Turn a plan into a layer: read each file once, and hash it and, for a tar, frame it on the way."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from snapshot import archive, bytecode
from snapshot.beside import link_within
from snapshot.codec import CHUNK
from snapshot.digest import Digest
from snapshot.documents import digest_of
from snapshot.errors import SnapshotError
from snapshot.framing import Framing
from snapshot.model import Entry, Finding, Kind, Layer, Tree
from snapshot.parity import is_venv_hook, parity_of, rule_for_path
from snapshot.plan import located
from snapshot.prepare import Prepared, Preparer, apply, patched_chunks
from snapshot.relocate import link_template
from snapshot.scan import Found, decode, refuse_unreadable
from snapshot.serialize import encode_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from snapshot.codec import Sink
    from snapshot.plan import Item, Plan
    from snapshot.relocate import Places

ATTEMPTS = 3

#: Files up to this size (bytes) are read at once; larger ones in chunks.
WHOLE = 4 << 20


class ChangedError(SnapshotError, RuntimeError):
    """A file changed while it was read, each time it was tried."""


class _Changed(Exception):  # noqa: N818 - a signal within this module
    def __init__(self, path: str) -> None:
        self.path = path


@dataclass(frozen=True, slots=True)
class Packed:
    """A layer, its tree, and what was noticed while it was read."""

    layer: Layer
    tree: Tree
    encoded_tree: bytes
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """What every plan of a capture shares. `source_hash` asks the target interpreter (PEP 552)."""

    places: Places
    scripts: str
    magic: bytes
    source_hash: Callable[[bytes], str]
    shared: Mapping[tuple[str, str], tuple[Plan, Item]]
    advance: Callable[[int], None]


def pack(plan: Plan, context: Context, sink: Callable[[], Sink | None] | None) -> Packed:
    """Read `plan`. `sink()` gives the place for the layer's tar, None to only hash it; it is called anew when a file changed
    under the reader and the layer is begun again. Without `sink` there is no tar, and the layer has no digest of it: that
    saves hashing every byte twice. Raises ChangedError, UnreadableError.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            out = sink() if sink is not None else None
            return _Packer(plan, context, out, last=attempt == ATTEMPTS, framed=sink is not None).run()
        except _Changed:
            _look_again(plan)
        except PermissionError as error:
            refuse_unreadable([os.fsdecode(error.filename)])
            raise
    raise ChangedError(f"files of {plan.name} keep changing; capture when nothing is being installed")


def _look_again(plan: Plan) -> None:
    kept = []
    for item in plan.items:
        try:
            item.found = Found(item.path, os.lstat(plan.location(item)))
        except FileNotFoundError:
            continue
        kept.append(item)
    plan.items = kept


class _Packer:
    """One pass over one plan."""

    def __init__(self, plan: Plan, context: Context, sink: Sink | None, *, last: bool, framed: bool) -> None:
        self._plan = plan
        self._context = context
        self._last = last
        self._framed = framed
        self._framing = Framing(sink, wanted=framed)
        #: Whether files that are stored as they are need no look at their bytes.
        self._blind = plan.portable or plan.kind is Kind.SOURCE
        self._entries: list[Entry] = []
        self._findings: list[Finding] = []

    def run(self) -> Packed:
        plan = self._plan
        preparer = Preparer(plan, self._context.places, self._context.scripts, self._context.shared)
        try:
            prepared = preparer.prepare()
            for item in plan.items:
                self._item(item, prepared.get(item.path))
        except FileNotFoundError as error:
            raise _Changed(os.fsdecode(error.filename)) from error
        self._framing.put(archive.END)
        digest = self._framing.close()
        tree = tuple(self._entries)
        encoded = encode_tree(tree)
        layer = Layer(
            kind=plan.kind,
            name=plan.name,
            version=plan.version,
            mount=plan.mount,
            tar=Digest.of_hex(digest) if self._framed else None,
            tree=digest_of(encoded),
            files=sum(entry.type == "f" for entry in tree),
            size=self._framing.size if self._framed else archive.tar_size(tree),
            parity=parity_of(tree),
        )
        return Packed(layer, tree, encoded, located(plan.mount, (*preparer.findings, *self._findings)))

    def _item(self, item: Item, prepared: Prepared | None) -> None:
        if item.found.is_directory:
            self._plain(Entry(item.path, "d", 0o755 if item.found.stat.st_mode & 0o200 else 0o555))
        elif item.found.is_link:
            self._plain(self._link(item))
        elif self._plan.kind is Kind.BYTECODE:
            self._bytecode(item)
        elif prepared is not None and prepared.link is not None:
            self._plain(Entry(item.path, "l", target=prepared.link, at=((0, "base"),), rule="venv-link"))
            self._context.advance(item.found.stat.st_size)
        elif prepared is not None and prepared.data is not None:
            status = os.lstat(self._plan.location(item))
            self._unchanged(item, status, status, status.st_size)  # it was read before, when it was prepared
            self._check(item, prepared.raw, templated=True)
            self._file(item, prepared.data, prepared)
        elif prepared is None and self._blind and not self._last:
            self._as_it_is(item)
        elif item.found.stat.st_size <= WHOLE or self._last:
            self._whole(item, prepared)
        else:
            self._streamed(item, prepared)

    def _as_it_is(self, item: Item) -> None:
        """A file of any size that is read straight into the tar: most are. Its header comes first, so its size must hold."""
        fd = os.open(self._plan.location(item), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            before = os.fstat(fd)
            if self._framed:
                self._framing.put(archive.header(Entry(item.path, "f", _mode(item), before.st_size)))
            digest, size = self._framing.read(fd, before.st_size)
            self._unchanged(item, before, os.fstat(fd), size)
        finally:
            os.close(fd)
        self._framing.put(archive.padding(size))
        self._check(item, digest)
        self._entries.append(self._entry(item, size, digest, None))
        self._context.advance(size)

    def _whole(self, item: Item, prepared: Prepared | None) -> None:
        data = self._read(item)
        if prepared is not None:
            self._check(item, prepared.raw, templated=True)
            data = apply(data, 0, prepared.patches)
        digest = sha256(data).hexdigest()
        if prepared is None:
            self._check(item, digest)
            self._mentions(item, data)
        self._file(item, data, prepared, digest)

    def _read(self, item: Item) -> bytes:
        """A file's bytes, and the certainty that they were there together."""
        fd = os.open(self._plan.location(item), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            before = os.fstat(fd)
            data = os.read(fd, before.st_size + 1)
            while len(data) < before.st_size and (more := os.read(fd, CHUNK)):
                data += more
            self._unchanged(item, before, os.fstat(fd), len(data))
        finally:
            os.close(fd)
        return data

    def _unchanged(self, item: Item, before: os.stat_result, after: os.stat_result, size: int) -> None:
        same = (before.st_mtime_ns, before.st_ctime_ns, before.st_size) == (
            after.st_mtime_ns,
            after.st_ctime_ns,
            after.st_size,
        )
        # The scan's view must hold too: the stamp of this layer and the bytecode's validity rest on it.
        seen = item.found.stat
        if same and size == after.st_size and (seen.st_mtime_ns, seen.st_size) == (after.st_mtime_ns, after.st_size):
            return
        if not self._last:
            raise _Changed(item.path)
        self._findings.append(
            Finding("changed-while-read", item.path, "changed each time it was read; kept as read last")
        )

    def _streamed(self, item: Item, prepared: Prepared | None) -> None:
        """A large file: its header first, so its size must hold."""
        location = self._plan.location(item)
        before = os.lstat(location)
        patches = prepared.patches if prepared is not None else ()
        if self._framed:
            self._framing.put(archive.header(Entry(item.path, "f", _mode(item), before.st_size)))
        digest, size, tail = sha256(), 0, b""
        for chunk in patched_chunks(location, patches, CHUNK):
            digest.update(chunk)
            self._framing.put(chunk)
            size += len(chunk)
            if prepared is None and not self._blind:
                self._mentions(item, tail + chunk)
                tail = chunk[-4096:]
        self._unchanged(item, before, os.lstat(location), size)
        self._framing.put(archive.padding(size))
        self._check(item, prepared.raw if prepared is not None else digest.hexdigest())
        self._entries.append(self._entry(item, size, digest.hexdigest(), prepared))
        self._context.advance(size)

    def _bytecode(self, item: Item) -> None:
        data = self._read(item)
        source = item.source
        assert source is not None  # noqa: S101 - survey made it so
        sources = self._plan.sources
        assert sources is not None  # noqa: S101
        preparer = Preparer(sources, self._context.places, self._context.scripts, {})
        if preparer.concerns(source) and preparer.one(source) is not None:
            self._context.advance(len(data))
            return  # compiled anew where it is restored: its source is another one there
        stale = None
        if item.real is None:
            seen = source.found.stat
            stale = bytecode.stale_because(
                data,
                self._context.magic,
                int(seen.st_mtime),
                seen.st_size,
                lambda: self._context.source_hash(sources.location(source)),
            )
        if stale:
            self._findings.append(Finding("stale-bytecode", item.path, f"{stale}; left out"))
            self._context.advance(len(data))
            return
        self._file(item, bytecode.with_fixed_time(data), None)

    def _link(self, item: Item) -> Entry:
        plan = self._plan
        target = decode(os.readlink(plan.location(item)))
        if plan.kind is Kind.MODEL:
            return Entry(item.path, "l", target=link_within(target, item.path, plan.root), rule=plan.kind.value)
        text, at, outside = link_template(target, item.path, plan.root, self._context.places)
        rule = None
        own = bool(at and at[0][1] == "base") or ("/" not in text and text.startswith("python"))
        if plan.kind is Kind.ENVIRONMENT and ((item.path, text) == ("lib64", "lib") or own):
            rule = "venv-link"
        if outside:
            self._findings.append(Finding("link-outside", item.path, f"leads to {target}; kept as a link"))
        return Entry(item.path, "l", target=text, at=at, rule=rule, outside=outside)

    def _entry(self, item: Item, size: int, digest: str, prepared: Prepared | None) -> Entry:
        rule = rule_for_path(self._plan.kind, item.path)
        counts_as = None
        if prepared is not None and prepared.rule:
            rule, counts_as = prepared.rule, prepared.counts_as
        elif rule is None and is_venv_hook(item.path, digest):
            rule = "venv-hook"
        at = prepared.at if prepared is not None else ()
        return Entry(item.path, "f", _mode(item), size, digest, at=at, rule=rule, counts_as=counts_as)

    def _file(self, item: Item, data: bytes, prepared: Prepared | None, digest: str | None = None) -> None:
        entry = self._entry(item, len(data), digest or sha256(data).hexdigest(), prepared)
        self._entries.append(entry)
        if self._framed:
            self._framing.put(archive.header(entry))
            self._framing.put(data)
            self._framing.put(archive.padding(len(data)))
        self._context.advance(len(data))

    def _plain(self, entry: Entry) -> None:
        self._entries.append(entry)
        if self._framed:
            self._framing.put(archive.header(entry))

    def _check(self, item: Item, digest: str, *, templated: bool = False) -> None:
        if item.recorded is not None and item.recorded != digest:
            self._findings.append(Finding("modified", item.path, "its content is not what RECORD says"))
            if self._blind and not templated:  # what the wheel had cannot name a directory of this machine; this can
                for chunk in patched_chunks(self._plan.location(item)):
                    self._look(item, chunk)

    def _mentions(self, item: Item, data: bytes) -> None:
        if not self._blind:
            self._look(item, data)

    def _look(self, item: Item, data: bytes) -> None:
        token = self._context.places.names_any(data)
        if token is None:
            return
        kind = "prefix-in-binary" if b"\0" in data[:8192] else "prefix-in-text"
        finding = Finding(kind, item.path, f"names the directory of {token}; left as it is")
        if finding not in self._findings[-2:]:  # a large file is looked at piece by piece
            self._findings.append(finding)


def _mode(item: Item) -> int:
    """A file's mode as it is kept: executable or not, writable or not, by its owner."""
    mode = item.found.stat.st_mode
    return (0o755 if mode & stat.S_IXUSR else 0o644) & (0o777 if mode & stat.S_IWUSR else 0o555)


def items_by_size(plans: list[Plan]) -> Iterator[Plan]:
    """Largest first, so that the threads end together."""
    return iter(sorted(plans, key=lambda plan: -plan.bytes))
