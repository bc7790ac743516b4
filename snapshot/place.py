"""Put files of the cache into a tree: reflink, hard link or copy. Every file is checked before it is handed on."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from snapshot.errors import SnapshotError
from snapshot.scan import encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from snapshot.blueprint import Files

Link = Literal["auto", "reflink", "hardlink", "copy"]

#: In the order in which `auto` settles for them.
METHODS = ("reflink", "hardlink", "copy")

#: FICLONE (linux/fs.h): share a file's extents, where the file system can (btrfs, xfs, bcachefs, overlay on these).
_FICLONE = 0x40049409

#: What says that a way of linking does not work here, rather than that something is broken.
_CANNOT = frozenset(
    {errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOTTY, errno.EINVAL, errno.ENOSYS, errno.EMLINK}
)
_CHUNK = 1 << 20


class LinkError(SnapshotError, OSError):
    """The way of linking that was asked for does not work between the cache and the destination."""


class Placer:
    """Places files by one method. `auto` begins with reflinks and settles for what works; `method` says what it was."""

    def __init__(self, link: Link) -> None:
        self.asked = link
        self.method: str = "reflink" if link == "auto" else link
        self.linked = 0
        self.written = 0
        #: Whether anything came from a layer that another user can change.
        self.apart = False

    def place(
        self, files: Files, source: str, target: str, digests: Mapping[str, str] | None = None, *, apart: bool = False
    ) -> list[str]:
        """Put `files` from `source` into `target`, whose directories are there.

        Returns the paths of those that are not in `source` what they were: they were not placed. With `digests` (sha256 by
        path) each file is read to know. `apart`: what is placed shares nothing with `source`, whose owner can change it at any
        time; the copies are read.
        """
        with ExitStack() as opened:
            try:
                origin = opened.enter_context(_opened(source))
            except OSError:
                return list(files.paths)
            root = opened.enter_context(_opened(target))
            ends = (encode(source) + b"/", origin), (encode(target) + b"/", root)
            return self._copies(files, *ends, digests or {}) if apart else self._place(files, *ends, digests)

    def _copies(
        self, files: Files, source: tuple[bytes, int], target: tuple[bytes, int], digests: Mapping[str, str]
    ) -> list[str]:
        if self.asked == "hardlink":
            raise LinkError(
                errno.EPERM,
                f"cannot hardlink from {os.fsdecode(source[0])}: it is another user's, who could change what is linked; "
                "use --link auto or copy, or a cache of your own (--cache)",
            )
        self.apart = True
        put = _reflink if self.asked == "reflink" else _copy
        damaged = []
        for path, mode, size, time in zip(files.paths, files.modes, files.sizes, files.times, strict=True):
            name = path.encode("utf-8", "surrogateescape")
            try:
                status = os.stat(name, dir_fd=source[1], follow_symlinks=False)
            except OSError:
                damaged.append(path)
                continue
            if not stat.S_ISREG(status.st_mode) or status.st_size != size:
                damaged.append(path)
                continue
            try:
                put(source[0] + name, target[0] + name, mode, time)
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                damaged.append(path)
                continue
            except OSError as error:
                self._fall_back(error, target[0] + name)
                raise
            if digest_of_file(target[0] + name) != digests.get(path):
                os.unlink(target[0] + name)
                damaged.append(path)
                continue
            self.written += 1
        return damaged

    @property
    def used(self) -> str:
        """The method that most had to be done by: what is not linked from another user's layer is copied."""
        return "copy" if self.apart and self.asked != "reflink" else self.method

    def _place(
        self, files: Files, source: tuple[bytes, int], target: tuple[bytes, int], digests: Mapping[str, str] | None
    ) -> list[str]:
        """`source` and `target` are known by path and opened: the kernel finds twelve thousand files faster from there."""
        (source_root, origin), (target_root, root) = source, target
        regular = stat.S_IFREG
        look, link = os.stat, os.link
        damaged = []
        linked = 0
        for path, mode, size, time in zip(files.paths, files.modes, files.sizes, files.times, strict=True):
            name = path.encode("utf-8", "surrogateescape")
            try:
                status = look(name, dir_fd=origin, follow_symlinks=False)
            except OSError:
                damaged.append(path)
                continue
            if (
                status.st_mtime_ns != time
                or status.st_size != size
                or status.st_mode != regular | mode
                or (digests is not None and digest_of_file(source_root + name) != digests[path])
            ):
                damaged.append(path)
                continue
            if not size:
                # Every empty file has the same content: linked, their inode would run into the limit on links.
                write_file(target_root + name, b"", mode, time)
                self.written += 1
                continue
            if self.method == "hardlink":
                try:
                    link(name, name, src_dir_fd=origin, dst_dir_fd=root, follow_symlinks=False)
                    linked += 1
                    continue
                except OSError:
                    pass  # `_put` tries again, and either knows another way or says which paths it was about
            linked += self._put(source_root + name, target_root + name, mode, time)
        self.linked += linked
        return damaged

    def try_one(self, source: str, target: str) -> str:
        """Put one file into place, and say how it went. Raises LinkError, OSError."""
        self._put(encode(source), encode(target), 0o644, 0)
        return self.method

    def _put(self, source: bytes, target: bytes, mode: int, time: int) -> int:
        """1 when the file was linked, 0 when it was written."""
        while self.method != "copy":
            try:
                if self.method == "hardlink":
                    os.link(source, target)
                else:
                    _reflink(source, target, mode, time)
            except OSError as error:
                self._fall_back(error, target)
                if error.errno == errno.EMLINK:
                    break
            else:
                return 1
        _copy(source, target, mode, time)
        self.written += 1
        return 0

    def _fall_back(self, error: OSError, target: bytes) -> None:
        if error.errno not in _CANNOT:
            raise error
        if error.errno == errno.EMLINK:
            return  # this inode has all the links it can have: this file is copied, the next one linked
        if self.asked != "auto":
            raise LinkError(
                error.errno,
                f"cannot {self.asked} from the cache to {os.fsdecode(os.path.dirname(target))} ({error.strerror}); "
                "use --link auto or copy, or a store on the same file system",
            ) from error
        self.method = "hardlink" if self.method == "reflink" else "copy"


@contextmanager
def _opened(directory: str) -> Iterator[int]:
    fd = os.open(encode(directory), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def is_trusted(directory: str) -> bool:
    """Whether nobody but this user, and root, can change what lies in a directory of the cache."""
    try:
        status = os.lstat(encode(directory))
        return status.st_uid in {0, os.geteuid()} and not status.st_mode & 0o022
    except FileNotFoundError:
        return True


def digest_of_file(path: bytes) -> str:
    """sha256 in hexadecimal; empty when the file cannot be read."""
    digest = sha256()
    try:
        with open(path, "rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError:
        return ""
    return digest.hexdigest()


def write_file(path: bytes, data: bytes, mode: int, time: int) -> None:
    """Write a new file. `time` in nanoseconds."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fchmod(fd, mode)
        os.utime(fd, ns=(time, time))
    finally:
        os.close(fd)


def _reflink(source: bytes, target: bytes, mode: int, time: int) -> None:
    origin = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.ioctl(fd, _FICLONE, origin)
            os.fchmod(fd, mode)
            os.utime(fd, ns=(time, time))
        except OSError:
            os.unlink(target)
            raise
        finally:
            os.close(fd)
    finally:
        os.close(origin)


def _copy(source: bytes, target: bytes, mode: int, time: int) -> None:
    origin = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            while os.sendfile(fd, origin, None, 1 << 30):
                pass
            os.fchmod(fd, mode)
            os.utime(fd, ns=(time, time))
        finally:
            os.close(fd)
    finally:
        os.close(origin)
