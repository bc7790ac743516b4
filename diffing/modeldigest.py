"""The digest of a model on disk: in-toto's dirHash for a directory, sha256 for a file. Reads every byte of it.

dirHash (in-toto attestation, spec/v1/digest_set.md; Hash1 of golang.org/x/mod/sumdb/dirhash) is the sha256 of what `sha256sum` prints for
all files, sorted by the bytes of their paths: whoever has coreutils can compute it.
"""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from typing import TYPE_CHECKING

from diffing.errors import DiffError
from snapshot.errors import summarise

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 20


class UnfitModelError(DiffError, ValueError):
    """A model directory with something in it that its digest would not cover, or that changed while it was read."""


def model_digest(path: str) -> str:
    """`dirHash:` and 64 hexadecimal digits for a directory, `sha256:` and as many for a file.

    The paths and contents of all files count; modes, times and empty directories do not. A link counts as the file that it leads to, when
    that lies in the directory too. Links that lead out or to a directory, sockets and the like, and names with a line end are refused, all
    of them at once: UnfitModelError. Raises OSError for what cannot be read.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISREG(mode):
        return f"sha256:{_hash(path)}"
    if not stat.S_ISDIR(mode):
        raise UnfitModelError(f"{path} is neither a file nor a directory; name the model's directory")
    top = os.path.realpath(path)
    files: dict[bytes, str] = {}
    unfit = []
    for found in _entries(top):
        name = os.path.relpath(found, top)
        why = _unfit(found, top, name)
        if why:
            unfit.append(f"{name!a} {why}")
        else:
            files[os.fsencode(name)] = found
    if unfit:
        raise UnfitModelError(
            f"{path} has what a digest of its files would not cover: {summarise(sorted(unfit))}; take it out, or put the file itself there"
        )
    whole = sha256()
    for row in sorted(files):
        whole.update(b"%s  %s\n" % (_hash(files[row]).encode("ascii"), row))
    return f"dirHash:{whole.hexdigest()}"


def _entries(top: str) -> Iterator[str]:
    """Everything in `top` but directories."""
    with os.scandir(top) as found:
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(entry.path)
            else:
                yield entry.path


def _unfit(path: str, top: str, name: str) -> str | None:
    if "\n" in name:
        return "has a line end in its name"
    real = os.path.realpath(path)
    if os.path.commonpath([top, real]) != top:
        return f"is a link out of it, to {real!a}"
    if not os.path.exists(real):
        return "is a link to nothing"
    mode = os.stat(real).st_mode
    if stat.S_ISDIR(mode):
        return "is a link to a directory"
    return None if stat.S_ISREG(mode) else "is no file"


def _hash(path: str) -> str:
    found = sha256()
    with open(path, "rb") as opened:
        before = os.fstat(opened.fileno())
        while chunk := opened.read(_CHUNK):
            found.update(chunk)
        after = os.fstat(opened.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise UnfitModelError(f"{path} changed while it was read; wait until nothing writes there, and try again")
    return found.hexdigest()
