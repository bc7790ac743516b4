"""What lies in an environment without being part of it: a model and notes of it, as plans for two layers of kind `model`."""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING

from snapshot import bytecode
from snapshot.errors import SnapshotError, summarise
from snapshot.home import MODEL_MOUNT
from snapshot.model import LARGEST_NOTE, MODEL_LAYERS, Finding, Kind, is_note
from snapshot.plan import Item, Plan, located
from snapshot.scan import Found, encode, walk
from snapshot.secrets import is_secret_file

if TYPE_CHECKING:
    from collections.abc import Mapping


class ModelFilesError(SnapshotError, ValueError):
    """A directory that cannot be captured as a model."""


class NoteError(SnapshotError, ValueError):
    """A note that cannot be kept under its name."""


def check_notes(notes: Mapping[str, bytes]) -> None:
    """Raises NoteError naming every note that cannot be one."""
    wrong = []
    for name, data in notes.items():
        if not (isinstance(name, str) and is_note(name)):
            wrong.append(f"{name!r} is taken, or no plain file name")
        elif is_secret_file(name):
            wrong.append(f"{name!r} is the name of a file of credentials")
        elif not isinstance(data, bytes):
            wrong.append(f"{name!r} is {type(data).__name__}, not bytes")
        elif len(data) > LARGEST_NOTE:
            wrong.append(f"{name!r} has {len(data):,} bytes, over {LARGEST_NOTE:,}")
    if wrong:
        raise NoteError(f"notes that cannot be kept: {summarise(sorted(wrong))}; give each a name such as modules.json")


def plan_notes(notes: Mapping[str, bytes], directory: str) -> Plan:
    """The layer of `notes`, which are written into `directory` to be read like any other file."""
    plan = Plan(Kind.MODEL, "notes", None, MODEL_LAYERS["notes"], directory, portable=True)
    for name, data in sorted(notes.items()):
        path = os.path.join(directory, name)
        with open(path, "xb") as file:
            file.write(data)
        os.chmod(path, 0o644)
        plan.items.append(Item(Found(name, os.lstat(path)), real=os.fsencode(path)))
    return plan


def plan_model(model: str | os.PathLike[str]) -> tuple[Plan, list[Finding]]:
    """The layer of the model in the directory `model`, and what was noticed.

    Files of credentials and bytecode are left out. Raises ModelFilesError naming every link that leads out, UnreadableError.
    """
    root = os.path.realpath(model)
    if not os.path.isdir(root):
        raise ModelFilesError(f"the model {os.fspath(model)} is no directory; give the one that its files lie in")
    found = walk(root)
    plan = Plan(Kind.MODEL, "model", None, MODEL_MOUNT, root, portable=True)
    findings: list[Finding] = []
    outside: list[str] = []
    occupied = {posixpath.dirname(path) for path in found}
    compiled = 0
    for path in sorted(found, key=encode):
        item = found[path]
        if item.is_directory:
            # As in any layer: implied by what lies in it, unless it is empty or read-only.
            kept = posixpath.basename(path) != bytecode.CACHE and not (item.stat.st_mode & 0o200 and path in occupied)
        elif item.is_link:
            kept = True
            outside += [path] if _leads_out(root, path) else []
        elif not item.is_file:
            kept = False
            findings.append(Finding("special-file", path, "a socket, pipe or device; left out"))
        elif is_secret_file(path):
            kept = False
            findings.append(Finding("secret", path, "a file of credentials; left out"))
        else:
            kept = not bytecode.is_bytecode(path)
            compiled += not kept
        if kept:
            plan.items.append(Item(item))
    if outside:
        raise ModelFilesError(
            f"links that lead out of the model {root}: {summarise(outside, most=20)}; put the files there in their place"
        )
    if not any(item.found.is_file for item in plan.items):
        raise ModelFilesError(f"the model {root} has no files; give the directory that its files lie in")
    findings = list(located(MODEL_MOUNT, findings))
    if compiled:
        findings.append(Finding("left-out", MODEL_MOUNT, f"bytecode ({compiled} .pyc files): Python makes it again"))
    return plan, findings


def _leads_out(root: str, path: str) -> bool:
    """Whether a link leads out: by its text, or in the end, through other links."""
    location = os.path.join(encode(root), encode(path))
    where = posixpath.normpath(posixpath.join(posixpath.dirname(path), link_within(_target(location), path, root)))
    real = os.path.realpath(location)
    return where == ".." or where.startswith("../") or not (real + b"/").startswith(encode(root) + b"/")


def _target(location: bytes) -> str:
    return os.readlink(location).decode("utf-8", "surrogateescape")


def link_within(target: str, path: str, root: str) -> str:
    """The target of the link at `path` in `root`, relative where it leads into `root`: then it does not depend on where that lies."""
    if not target.startswith("/"):
        return target
    # A directory has many names; what is below the link's target, if that is a link in turn, has one only here.
    inside = target if (target + "/").startswith(root + "/") else os.path.realpath(target)
    return posixpath.relpath(inside, posixpath.dirname(posixpath.join(root, path)))
