"""Files whose stored bytes are not the ones on disk: templates, rewritten ELF files, masked secrets, RECORD.

Every layer has few of them. They are prepared before the layer is streamed, because RECORD has to know what became of them
and comes early in the tar.
"""

from __future__ import annotations

import csv
import filecmp
import io
import os
import posixpath
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from snapshot.elf import MAGIC, Patch, rpath_patches
from snapshot.model import Finding, Kind
from snapshot.parity import console_script, rule_for_path
from snapshot.pathfile import made_absolute
from snapshot.relocate import (
    Places,
    as_if_fixed,
    script_interpreter,
    script_template,
    venv_config_template,
    without_trampoline,
)
from snapshot.scan import decode
from snapshot.secrets import may_hold_secrets, redact
from snapshot.substitution import At, hash_field, record_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from snapshot.plan import Item, Plan

_PATHS_INSIDE = re.compile(
    r"(?:.*\.pth|.*\.egg-link|__editable__.*\.py|__editables?_.*\.py|direct_url\.json|kernel\.json)\Z", re.DOTALL
)
#: How all these end: quicker to ask.
_ENDS_INSIDE = (".pth", ".egg-link", ".py", ".json")
_BUILD_FACTS = re.compile(
    r"(?:_sysconfigdata_.*\.py|_sysconfig_vars_.*\.json|build-details\.json|Makefile|python.*\.pc|python.*-config(?:\.py)?)\Z"
)
#: Where `site` looks for path files: elsewhere a .pth is anything, such as a model's weights.
_SITES = ("site-packages", "dist-packages")
_LARGEST_TEXT = 8 << 20


@dataclass(slots=True)
class Prepared:
    """What is stored for one file. `raw` is the sha256 of what lies on disk (empty where no RECORD has it); `data` the
    bytes to store, or `patches` for a file that is streamed. `rule` and `counts_as` as in `model.Entry`.
    `link`: a link to this path of the base is stored instead.
    """

    raw: str
    data: bytes | None = None
    at: At = ()
    patches: tuple[Patch, ...] = ()
    rule: str | None = None
    counts_as: str | None = None
    link: str | None = None
    rewritten: tuple[str, int] | None = None


class Preparer:
    """Prepares the files of one plan. Findings gather in `findings`."""

    def __init__(
        self, plan: Plan, places: Places, scripts: str, shared: Mapping[tuple[str, str], tuple[Plan, Item]]
    ) -> None:
        self._plan = plan
        self._shared = shared
        self._places = places
        self._scripts = scripts
        self.findings: list[Finding] = []

    def prepare(self) -> dict[str, Prepared]:
        """Everything in the plan that needs it, by path; RECORD last."""
        prepared: dict[str, Prepared] = {}
        if self._plan.kind is Kind.BYTECODE:
            return prepared
        records = []
        for item in self._plan.items:
            if not item.found.is_file:
                continue
            if rule_for_path(self._plan.kind, item.path) == "record" and posixpath.basename(item.path) == "RECORD":
                records.append(item)
            elif self.concerns(item):
                made = self.one(item)
                if made is not None:
                    prepared[item.path] = made
        for item in records:
            made = self._record(item, prepared)
            if made is not None:
                prepared[item.path] = made
        return prepared

    def concerns(self, item: Item) -> bool:
        """Whether the stored bytes may differ, judged by the path alone."""
        path, kind = item.path, self._plan.kind
        directory, _, name = path.rpartition("/")
        if kind is Kind.MODEL:  # what it is to load it: nothing in it depends on the place
            return may_hold_secrets(path, kind)
        # A wheel for manylinux was built elsewhere: it cannot name a directory of this machine.
        if not self._plan.portable and (".so" in name or directory == "bin" or kind is Kind.UNOWNED):
            return True
        if item.found.stat.st_size > _LARGEST_TEXT:
            return False
        return (
            directory == "bin"
            or kind is Kind.UNOWNED
            or kind is Kind.ENVIRONMENT
            or may_hold_secrets(path, kind)
            or (name.endswith(_ENDS_INSIDE) and _PATHS_INSIDE.match(name) is not None)
            or (kind is Kind.INTERPRETER and _BUILD_FACTS.match(name) is not None)
        )

    def one(self, item: Item) -> Prepared | None:
        """None: the bytes are stored as they are."""
        original = self._copied(item)
        if original is not None:
            return Prepared("", link="/" + original)
        with open(self._plan.location(item), "rb") as file:
            if file.read(4) == MAGIC:
                return self._elf(item)
            if item.found.stat.st_size > _LARGEST_TEXT:
                return None
            file.seek(0)
            raw = file.read()
        data, at = self._template(item, raw)
        if may_hold_secrets(item.path, self._plan.kind):
            data, at = self._masked(item, raw, data, at)
        fixed = self._script(item, data, at)
        counts_as = console_script(fixed) if fixed is not None else None
        if data == raw and not at and counts_as is None:
            return None
        made = Prepared(sha256(raw).hexdigest(), data, at)
        made.counts_as, made.rule = counts_as, "console-script" if counts_as else None
        if not at:
            made.rewritten = (sha256(data).hexdigest(), len(data))
        return made

    def _script(self, item: Item, data: bytes, at: At) -> bytes | None:
        """A script that the environment's own Python runs, with its `#!` line in the plainest form."""
        if posixpath.dirname(item.path) != "bin" or not data.startswith(b"#!"):
            return None
        if at and at[0] == (2, "prefix"):
            return data if data.startswith(b"#!/bin/python") else None
        interpreter = script_interpreter(data) if not at else None
        if interpreter is not None and self._plan.kind is not Kind.INTERPRETER:
            detail = f"runs with {interpreter}, which is not the environment's; left as it is"
            self.findings.append(Finding("script-outside", item.path, detail))
        return as_if_fixed(data)

    def _template(self, item: Item, raw: bytes) -> tuple[bytes, At]:
        directory, name = posixpath.split(item.path)
        kind = self._plan.kind
        if kind is Kind.ENVIRONMENT and item.path == "pyvenv.cfg":
            return venv_config_template(raw, self._places, self._scripts)
        if kind is Kind.MODEL or b"\0" in raw[:8192]:
            return raw, ()
        if kind is Kind.INTERPRETER and _BUILD_FACTS.match(name):
            return self._places.template(without_trampoline(raw, self._places))
        if directory == "bin" and raw.startswith(b"#!") and kind is not Kind.ENVIRONMENT:
            return script_template(raw, self._places)
        if name.endswith(".pth") and posixpath.basename(directory) in _SITES:
            raw = made_absolute(raw, os.path.join(self._plan.root, directory), self._is_source)
        if kind is Kind.ENVIRONMENT or _PATHS_INSIDE.match(name):
            return self._places.template(raw, "own")
        return self._places.template(without_trampoline(raw, self._places)) if kind is Kind.UNOWNED else (raw, ())

    def _is_source(self, path: str) -> bool:
        inside = self._places.split(path)
        return inside is not None and inside[0].token.startswith("source:")

    def _masked(self, item: Item, raw: bytes, data: bytes, at: At) -> tuple[bytes, At]:
        masked, count = redact(raw)
        if not count:
            return data, at
        self.findings.append(Finding("secret", item.path, f"{count} credentials in URLs; masked in what is stored"))
        return self._template(item, masked)

    def _elf(self, item: Item) -> Prepared | None:
        location = self._plan.location(item)
        with open(location, "rb") as file:
            patches, problems = rpath_patches(file, item.path, self._plan.root, self._places)
            whole = self._places.if_captured
            relative = patches if whole is self._places else rpath_patches(file, item.path, self._plan.root, whole)[0]
        self.findings += [Finding("prefix-in-binary", item.path, problem) for problem in problems]
        if not relative:
            return None
        made = Prepared("", patches=tuple(patches))
        if item.recorded is None and relative == patches:  # no RECORD has a row to keep true
            return made
        raw, new, size = sha256(), sha256(), 0
        for chunk in patched_chunks(location):
            raw.update(chunk)
            new.update(apply(chunk, size, tuple(relative)))
            size += len(chunk)
        made.raw = raw.hexdigest()
        if relative == patches:
            made.rewritten = (new.hexdigest(), size)
        else:
            made.rule, made.counts_as = "rpath", new.hexdigest()
            made.rewritten = (made.raw, size)
            self.findings.append(Finding("prefix-in-binary", item.path, "its RPATH names the base; left as it is"))
        return made

    def _copied(self, item: Item) -> str | None:
        """The file below the base of which `venv --copies` has put a copy where a link would do."""
        directory, name = posixpath.split(item.path)
        if self._plan.kind is not Kind.ENVIRONMENT or directory != "bin" or not name.startswith("python"):
            return None
        for base in [place.spellings[-1] for place in self._places.places if place.token == "base"]:  # noqa: S105
            for path in (posixpath.join(self._scripts, name), posixpath.join(self._scripts, "python3")):
                original = os.path.join(base, path)
                if os.path.isfile(original) and filecmp.cmp(original, self._plan.location(item), shallow=False):
                    return path
        return None

    def _record(self, item: Item, prepared: dict[str, Prepared]) -> Prepared | None:
        """RECORD with rows that stay true: of templates by a token, of rewritten files by their new digest."""
        with open(self._plan.location(item), "rb") as file:
            raw = file.read()
        site = posixpath.dirname(posixpath.dirname(item.path))
        out: list[bytes] = []
        at: list[tuple[int, str]] = []
        length = 0
        for line in raw.splitlines(keepends=True):
            made = self._row(line, site, prepared) if prepared or self._shared else None
            if made is None:
                out.append(line)
            else:
                path, change = made
                head = line.rsplit(b",", 2)[0] + b","
                end = line[len(line.rstrip(b"\r\n")) :]
                if change.rewritten is None:
                    at.append((length + len(head), f"record:{path}"))
                    out.append(head + end)
                else:
                    out.append(head + record_value(*change.rewritten) + end)
            length += len(out[-1])
        data = b"".join(out)
        return None if data == raw and not at else Prepared(sha256(raw).hexdigest(), data, tuple(at))

    def _row(self, line: bytes, site: str, prepared: dict[str, Prepared]) -> tuple[str, Prepared] | None:
        name, _, rest = decode(line).partition(",")
        if name.startswith('"'):
            fields = next(csv.reader(io.StringIO(decode(line), newline="")), [])
        else:
            fields = [name, *rest.strip().rsplit(",", 1)]
        if len(fields) != 3 or not fields[1]:
            return None
        path = f"{site}/{fields[0]}"
        if "/../" in path or "/./" in path or "//" in path:
            path = posixpath.normpath(path)
        change = prepared.get(path) or self._elsewhere(path)
        if change is None or not fields[1].startswith("sha256="):
            return None
        # A row that was not true of the captured file stays untrue: the modification must remain visible.
        return (path, change) if hash_field(change.raw) == fields[1][7:].rstrip("=") else None

    def _elsewhere(self, path: str) -> Prepared | None:
        """What became of a file that this distribution claims and another layer has."""
        plan, item = self._shared.get((self._plan.root, path), (self._plan, None))
        if item is None or plan is self._plan:
            return None
        other = Preparer(plan, self._places, self._scripts, {})
        return other.one(item) if other.concerns(item) else None


def patched_chunks(location: bytes, patches: tuple[Patch, ...] = (), size: int = 1 << 20) -> Iterator[bytes]:
    """A file's bytes with the patches applied, in chunks of `size` bytes."""
    position = 0
    with open(location, "rb", buffering=0) as file:
        while chunk := file.read(size):
            yield apply(chunk, position, patches)
            position += len(chunk)


def apply(chunk: bytes, position: int, patches: tuple[Patch, ...]) -> bytes:
    """`chunk`, which begins at `position` of the file, with what of the patches falls into it."""
    for patch in patches:
        start, stop = patch.offset - position, patch.offset - position + len(patch.data)
        if stop <= 0 or start >= len(chunk):
            continue
        data = patch.data[max(0, -start) : len(patch.data) - max(0, stop - len(chunk))]
        chunk = chunk[: max(0, start)] + data + chunk[min(stop, len(chunk)) :]
    return chunk
