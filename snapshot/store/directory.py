"""The store on disk: an OCI image layout (docs/format.md, 'The store')."""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from io import FileIO
from typing import TYPE_CHECKING, NoReturn

from snapshot.digest import Digest
from snapshot.documents import FormatError, Reader, canonical, parse
from snapshot.space import FULL
from snapshot.store.area import Area, sweep
from snapshot.store.errors import MissingBlobError, StoreError
from snapshot.store.locking import exclusive
from snapshot.store.removed import FILE as REMOVED
from snapshot.store.secret import FILE as KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

LAYOUT = "oci-layout"
INDEX = "index.json"
LOCK = "lock"
_LAYOUT_VERSION = "1.0.0"

#: What may lie in a directory that is to become a store: what a killed process left, or what a file system puts there.
_OURS = frozenset({LAYOUT, INDEX, REMOVED, KEY, "blobs", "tmp", "cache", LOCK, "lock.held", "lost+found"})
_HEX = r"[0-9a-f]{64}\Z"

#: Blobs from this size on are synchronised to disk by the thread that wrote them, so that others go on compressing.
#: The many small ones wait for `publish`, where one commit of the file system's journal serves most of them.
_EARLY = 1 << 20

_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class DirectoryBackend:
    """An OCI image layout in the directory `path`. It is made at the first write; until then it reads as empty."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.abspath(os.fspath(path))
        self._blobs = os.path.join(self.path, "blobs", "sha256")
        self._tmp = os.path.join(self.path, "tmp")

    def __str__(self) -> str:
        return self.path

    def has(self, digest: Digest) -> bool:
        with _explained("look into", self.path):
            try:
                return stat.S_ISREG(os.stat(self._blob(digest)).st_mode)
            except FileNotFoundError:
                return False

    def size(self, digest: Digest) -> int:
        return self._stat(digest).st_size

    def modified(self, digest: Digest) -> float:
        return self._stat(digest).st_mtime

    def open(self, digest: Digest) -> FileIO:
        with _explained("read blobs of", self.path):
            try:
                return _open_regular(self._blob(digest))
            except FileNotFoundError as error:
                raise self._missing(digest) from error

    def delete(self, digest: Digest) -> None:
        with _explained("delete blobs of", self.path), suppress(FileNotFoundError):
            os.unlink(self._blob(digest))

    def digests(self) -> Iterator[Digest]:
        with _explained("list the blobs of", self.path):
            try:
                names = os.listdir(self._blobs)
            except FileNotFoundError:
                return
        for name in sorted(names):
            if re.match(_HEX, name):
                yield Digest.of_hex(name)

    @contextmanager
    def staging(self) -> Iterator[DirectoryStaging]:
        with _explained("write to", self.path):
            self._prepare()
            sweep(self._tmp)
            staging = DirectoryStaging(self.path, self._blobs, Area(self._tmp))
        try:
            yield staging
        finally:
            staging.discard()

    def read_index(self) -> bytes | None:
        with _explained("read", self.path):
            try:
                data = _read(os.path.join(self.path, INDEX))
            except FileNotFoundError:
                return None
            # An index without oci-layout is still an index; `oddities` tells of it, and the next writer mends it.
            with suppress(FileNotFoundError):
                self._check_layout()
            return data

    def replace_index(self, data: bytes) -> None:
        with _explained("write the index of", self.path):
            self._prepare()
            self._replace(INDEX, data)

    def read_document(self, name: str) -> bytes | None:
        with _explained("read", self.path):
            try:
                return _read(os.path.join(self.path, name))
            except FileNotFoundError:
                return None

    def replace_document(self, name: str, data: bytes) -> None:
        with _explained(f"write {name} of", self.path):
            self._prepare()
            self._replace(name, data)

    @contextmanager
    def lock(self) -> Iterator[None]:
        with ExitStack() as held:
            with _explained("lock", self.path):
                self._prepare()
                with suppress(FileExistsError), FileIO(os.path.join(self.path, LOCK), "xb") as file:
                    self._share(file.fileno(), LOCK)
                held.enter_context(exclusive(os.path.join(self.path, LOCK)))
            yield

    def sweep(self) -> int:
        """Remove the staging of processes that are gone; return how many areas that was."""
        with _explained("clean up", self.path):
            return sweep(self._tmp)

    def oddities(self) -> Iterator[tuple[str, str, str]]:
        """What is wrong with the layout itself: kind, path and detail."""
        found = True
        try:
            with _explained("read", self.path):
                try:
                    self._check_layout()
                except FileNotFoundError:
                    found = False
        except StoreError as error:
            yield "damaged", LAYOUT, str(error)
        if not found and (any(self.digests()) or os.path.exists(os.path.join(self.path, INDEX))):
            yield "missing", LAYOUT, "other OCI tools do not read the store without it; any capture into it mends that"

    def _stat(self, digest: Digest) -> os.stat_result:
        with _explained("look into", self.path):
            try:
                return os.stat(self._blob(digest))
            except FileNotFoundError as error:
                raise self._missing(digest) from error

    def _blob(self, digest: Digest) -> str:
        return os.path.join(self._blobs, digest.hex)

    def _missing(self, digest: Digest) -> MissingBlobError:
        return MissingBlobError(
            f"blob {digest} is not in the store {self.path}; copy it there from another store, or capture again"
        )

    def _check_layout(self) -> None:
        data = _read(os.path.join(self.path, LAYOUT))
        try:
            version = Reader(parse(data, LAYOUT), LAYOUT).text("imageLayoutVersion")
        except FormatError as error:
            raise StoreError(f"{self.path} is not an OCI image layout: {error}; use another directory") from error
        if version != _LAYOUT_VERSION:
            raise StoreError(
                f"{self.path} is an OCI image layout of version {version!r}, and this envparity knows "
                f"{_LAYOUT_VERSION}; install a newer envparity, or use another store"
            )

    def _prepare(self) -> None:
        """Make what a writer needs, as far as it is not there."""
        try:
            self._check_layout()
            known = True
        except FileNotFoundError:
            known = os.path.exists(os.path.join(self.path, INDEX))
        if not known:
            os.makedirs(self.path, exist_ok=True)
            others = sorted(set(os.listdir(self.path)) - _OURS)
            if others:
                raise StoreError(
                    f"{self.path} is not a store, and not empty (there is {others[0]!r}); use an empty directory"
                )
        for path in (self._tmp, os.path.dirname(self._blobs), self._blobs):
            with suppress(FileExistsError):
                os.mkdir(path)
                os.chmod(path, stat.S_IMODE(os.stat(self.path).st_mode))
        if not os.path.exists(os.path.join(self.path, LAYOUT)):
            self._replace(LAYOUT, canonical({"imageLayoutVersion": _LAYOUT_VERSION}))
            for path in (os.path.dirname(self._blobs), os.path.dirname(self.path)):
                _sync_directory(path)

    def _replace(self, name: str, data: bytes) -> None:
        area = Area(self._tmp)
        try:
            path = area.file()
            with FileIO(path, "xb") as file:
                _write(file, memoryview(data))
                self._share(file.fileno(), name)
                os.fsync(file.fileno())
            os.replace(path, os.path.join(self.path, name))
            _sync_directory(self.path)
        finally:
            area.remove()

    def _share(self, fd: int, name: str) -> None:
        """Who could read and write the file before can do so afterwards, whatever this process's umask is; a new one is for those who
        may read and write the directory.
        """
        mode = stat.S_IMODE(os.stat(self.path).st_mode) & 0o666
        with suppress(FileNotFoundError):
            mode = stat.S_IMODE(os.stat(os.path.join(self.path, name)).st_mode) if name != LOCK else mode
        if stat.S_IMODE(os.fstat(fd).st_mode) != mode:
            with suppress(PermissionError):  # a file system without modes of its own
                os.fchmod(fd, mode)


class DirectoryStaging:
    """Files in an area under tmp/, each renamed to its digest by `publish`."""

    def __init__(self, store: str, blobs: str, area: Area) -> None:
        self.store = store
        self._blobs = blobs
        self._area = area
        self._open: set[DirectoryStagedBlob] = set()
        self._closed: list[DirectoryStagedBlob] = []

    def blob(self) -> DirectoryStagedBlob:
        with _explained("write to", self.store):
            blob = DirectoryStagedBlob(self, self._area.file())
        self._open.add(blob)
        return blob

    def publish(self) -> int:
        closed = list(self._closed)
        with _explained("write to", self.store):
            for blob in closed:
                blob.sync()
            added = sum(blob.enter(self._blobs) for blob in closed)
            # Also when nothing is new: whoever renamed a blob before us may have died before this step.
            _sync_directory(self._blobs)
        del self._closed[: len(closed)]
        return added

    def finished(self, blob: DirectoryStagedBlob) -> None:
        self._open.discard(blob)
        self._closed.append(blob)

    def abandoned(self, blob: DirectoryStagedBlob) -> None:
        self._open.discard(blob)

    def discard(self) -> None:
        for blob in list(self._open):
            blob.abandon()
        self._area.remove()


class DirectoryStagedBlob:
    """A file under tmp/ that is hashed while it is written."""

    def __init__(self, staging: DirectoryStaging, path: str) -> None:
        self._path = path
        self._staging = staging
        # Like git's objects, blobs are read-only (0444 less the umask): they never change, and nobody should edit one
        # by mistake. To delete or replace them takes write permission on the directory only.
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
        self._file = FileIO(fd, "wb")
        self._hash = sha256()
        self._size = 0
        self._done: tuple[Digest, int] | None = None
        self._synced = False

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        view = memoryview(data).cast("B")
        with _explained("write to", self._staging.store):
            _write(self._file, view)
        self._hash.update(view)
        self._size += len(view)
        return len(view)

    def close(self) -> tuple[Digest, int]:
        if self._done is None:
            with _explained("write to", self._staging.store):
                if self._size >= _EARLY:
                    os.fsync(self._file.fileno())
                    self._synced = True
                self._file.close()
            self._done = Digest.of_hex(self._hash.hexdigest()), self._size
            self._staging.finished(self)
        return self._done

    def sync(self) -> None:
        if not self._synced:
            with FileIO(self._path, "rb") as file:
                os.fsync(file.fileno())
            self._synced = True

    def enter(self, blobs: str) -> int:
        """Move the file to its place; return how many bytes that adds."""
        digest, size = self.close()
        place = os.path.join(blobs, digest.hex)
        with suppress(FileNotFoundError):
            if os.stat(place).st_size == size:
                return 0
        os.replace(self._path, place)
        return size

    def abandon(self) -> None:
        self._staging.abandoned(self)
        with suppress(OSError):  # nothing of it is needed
            self._file.close()
        with suppress(OSError):  # it goes with the area, at the latest
            os.unlink(self._path)


@contextmanager
def _explained(doing: str, path: str) -> Iterator[None]:
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        _explain(error, doing, path)


def _explain(error: OSError, doing: str, path: str) -> NoReturn:
    """Raise `error` as a StoreError that says what to do."""
    reason = error.strerror or str(error)
    if error.errno in FULL:
        message = (
            f"cannot {doing} {path}: the disk is full ({reason}); nothing was published; make room (deleting "
            "snapshots and collecting helps when the store is what fills it) and try again"
        )
    elif error.errno in _FORBIDDEN:
        what = "read" if doing.startswith(("read", "look", "list")) else "write to"
        message = f"cannot {doing} {path}: {reason}; use a store that you may {what}, or change its permissions"
    elif error.errno == errno.ENOTDIR or isinstance(error, FileExistsError):
        message = f"cannot {doing} {path}: a file is in the place of a directory; give the directory of a store"
    else:
        about = f" ({error.filename})" if error.filename else ""
        message = f"cannot {doing} {path}: {reason}{about}; see that its disk is well and mounted"
    explained = StoreError(message)
    explained.errno = error.errno
    raise explained from error


def _open_regular(path: str) -> FileIO:
    """Open a file for reading, but no pipe or device that somebody has put there."""
    # O_NONBLOCK: opening a pipe would otherwise wait for its other end.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return FileIO(fd, "rb")


def _read(path: str) -> bytes:
    with _open_regular(path) as file:
        return file.readall()


def _write(file: FileIO, view: memoryview) -> None:
    while view:
        view = view[file.write(view) :]


def _sync_directory(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
