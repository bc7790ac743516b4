"""A snapshot to restore in many ways, and what every restore of it must have made."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from snapshot.home import FIXED_MTIME
from snapshot.model import Kind
from snapshot.store import Store
from tests.building import built, file, link, publish

ROWS = (
    file("lib/a.py", b"a = 1\n"),
    file("lib/run", b"#!/bin/sh\n", 0o755),
    file("lib/shut", b"read only", 0o444),
    file("lib/empty"),
    file("lib/also_empty"),
    file("bin/tool", b"#!/bin/python\n", 0o755, at=((2, "prefix"),)),
    link("lib64", "lib"),
)


def published(directory):
    """A store in `directory` that has the snapshot under the name `x`."""
    made = Store(directory / "store")
    publish(made, built(*ROWS), built(file("lib/other.py", b"b = 2\n"), kind=Kind.DISTRIBUTION, name="other"))
    return made


def cached(store, path):
    """Where the cache has a file."""
    (found,) = Path(store.cache, "layers").glob(f"*/{path}")
    return found


def contents(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink() and ".envparity" not in path.parts
    }


def good(env):
    """What every restore to `env` must have made, however it was done."""
    assert contents(env) == {
        "lib/a.py": b"a = 1\n",
        "lib/run": b"#!/bin/sh\n",
        "lib/shut": b"read only",
        "lib/empty": b"",
        "lib/also_empty": b"",
        "lib/other.py": b"b = 2\n",
        "bin/tool": f"#!{env}/bin/python\n".encode(),
    }
    modes = {path: stat.S_IMODE((env / path).stat().st_mode) for path in contents(env)}
    assert modes == {
        "lib/a.py": 0o644,
        "lib/run": 0o755,
        "lib/shut": 0o444,
        "lib/empty": 0o644,
        "lib/also_empty": 0o644,
        "lib/other.py": 0o644,
        "bin/tool": 0o755,
    }
    assert all(int((env / path).stat().st_mtime) == FIXED_MTIME for path in modes)
    assert os.readlink(env / "lib64") == "lib"
