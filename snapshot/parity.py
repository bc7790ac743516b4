"""What counts in the parity root, and in which form: the named rules of docs/format.md, "Identity". Pure.

Equal roots mean the same environment, wherever it lies and whatever installed it.
"""

from __future__ import annotations

import posixpath
import re
from hashlib import sha256
from typing import TYPE_CHECKING

from snapshot.documents import SCHEMA, canonical, digest_of
from snapshot.model import BESIDE, Environment, Interpreter, Kind, Layer, Tree

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snapshot.digest import Digest
    from snapshot.model import Entry, Snapshot

#: The import hook that virtualenv (20.0 to 21.15) and uv (0.1 to 0.12) put into site-packages, by the sha256 of its content.
#: By content and not by name: a startup hook must not hide behind a name. A new release of it shows as a difference
#: until its digest is listed here.
_VENV_HOOKS = frozenset(
    {
        "684b8c07932ba4a84ac2e5ae9afe49ef04e92bac3d8d4191d455cf09d093e5fc",
        "c9199315871b11b12df226f890a38e66e63191e1adbfb11a66e6861151b33fca",
        "0aeb86546345c1d0fada097536e35525714d5cdbcc2d8eb3f9912a955044fcff",
        "0f20351ea7e90039c46d3fabdef991f28b1e3ff33eb13ee6f0d5cd21ea0e8b14",
        "bec6155ff7bfc88f8e79e481f27fd7ee0a3b40eeca9bfeb41f4c4b997b2f8100",
        "07584d2a5d13e0811eb567d78ed2aca0fb60e7defff59a01ca7a48d907bdea51",
        "ee52b2e2e720a40885a6b4b90c40e28e5c70e550af74d5efd169eaa5db2a6f6f",
        "e3e10c8a19a62a49928c139b8e6824eac92dcdda7639953bcd10921011cbbdff",
        "6cf30c56faf2a55228914dbbd17f8088ed371ebb08f5e7fa6fd931f913fcaf1d",
        "cfb3db86aaa53bb62b5ff764970bec2d71c9228590a0ebec57f6ec926cc0bf1a",
        "69ac3d8f27e679c81b94ab30b3b56e9cd138219b1ba94a1fa3606d5a76a1433d",  # _virtualenv.pth
    }
)
_IN_METADATA = {
    "RECORD": "record",
    "installed-files.txt": "record",
    "INSTALLER": "installer-note",
    "REQUESTED": "installer-note",
    "uv_cache.json": "installer-note",
    "uv_build.json": "installer-note",
    "direct_url.json": "direct-url",
}
_AT_TOP = {
    "pyvenv.cfg": "venv-config",
    ".gitignore": "tool-marker",
    ".lock": "tool-marker",
    "CACHEDIR.TAG": "tool-marker",
}
_ACTIVATION = re.compile(r"(?:[Aa]ctivate(?:_this\.py|\.[a-z0-9]+)?|deactivate(?:\.[a-z]+)?|pydoc\.bat)\Z")

# Every line that pip (19 to 26), distlib, uv and installer write into a script for an entry point, and nothing else.
_CONSOLE_SCRIPT = re.compile(
    rb"#![^\s]+\n"  # an option of the interpreter would be somebody's own
    rb"(?:# -\*- coding: utf-8 -\*-\n)?"
    rb"(?:import re\n)?import sys\n\n?"
    rb"(?P<early>from (?P<module>[\w.]+) import (?P<name>\w+)\n\n?)?"
    rb"if __name__ == (?P<q>['\"])__main__(?P=q):\n"
    rb"(?P<late>    from (?P<late_module>[\w.]+) import (?P<late_name>\w+)\n)?"
    rb"(?:    sys\.argv\[0\] = re\.sub\(r(?P<q2>['\"])\(-script\\\.pyw\|\\\.exe\)\?\$(?P=q2), (?:''|\"\"), sys\.argv\[0\]\)\n"
    rb"|    sys\.argv\[0\] = sys\.argv\[0\]\.removesuffix\((?P<q3>['\"])\.exe(?P=q3)\)\n"
    rb"|    if sys\.argv\[0\]\.endswith\((?P<q4>['\"])\.exe(?P=q4)\):\n        sys\.argv\[0\] = sys\.argv\[0\]\[:-4\]\n"
    rb"|    if sys\.argv\[0\]\.endswith\(\"-script\.pyw\"\):\n        sys\.argv\[0\] = sys\.argv\[0\]\[:-11\]\n"
    rb"    elif sys\.argv\[0\]\.endswith\(\"\.exe\"\):\n        sys\.argv\[0\] = sys\.argv\[0\]\[:-4\]\n)?"
    rb"    sys\.exit\((?P<function>[\w.]+)\(\)\)\n\Z"
)


def rule_for_path(kind: Kind, path: str) -> str | None:
    """The rule that a file's place alone decides. `path` is relative to the layer's mount."""
    if kind in BESIDE:
        return kind.value
    directory, _, name = path.rpartition("/")
    if name in _IN_METADATA and directory.endswith((".dist-info", ".egg-info")):
        return _IN_METADATA[name]
    if kind is Kind.ENVIRONMENT:
        if not directory:
            return _AT_TOP.get(name)
        if directory == "bin" and _ACTIVATION.match(name):
            return "activation"
    return None


def is_venv_hook(path: str, digest: str) -> bool:
    """Whether a file is the import hook of virtualenv and uv, by its content."""
    return digest in _VENV_HOOKS and posixpath.basename(path) in ("_virtualenv.py", "_virtualenv.pth")


def console_script(template: bytes) -> str | None:
    """The digest that stands for a generated script: that of its entry point. None when any line is somebody's own."""
    match = _CONSOLE_SCRIPT.match(template)
    if match is None or bool(match["early"]) == bool(match["late"]):
        return None
    module = match["module"] or match["late_module"]
    name = match["name"] or match["late_name"]
    if match["function"].split(b".")[0] != name:
        return None
    return sha256(b"console-script\0" + module + b":" + match["function"]).hexdigest()


def counted(entry: Entry) -> tuple[str, str, bool, str] | None:
    """An entry's row in its layer's parity digest: path, type, executable, digest or target. None: it does not count."""
    if entry.type == "d" or (entry.rule and not entry.counts_as):
        return None
    value = entry.counts_as or (entry.target if entry.type == "l" else entry.sha256)
    if entry.at and not entry.counts_as:
        value = sha256(value.encode("utf-8", "surrogateescape") + canonical(entry.at)).hexdigest()
    return (entry.path, entry.type, entry.executable, value)


def parity_of(tree: Tree) -> Digest | None:
    """A layer's parity digest; None when nothing in it counts."""
    rows = [row for row in map(counted, tree) if row is not None]
    return digest_of(canonical(rows)) if rows else None


def parity_root(interpreter: Interpreter, environment: Environment, layers: Iterable[Layer]) -> Digest:
    """The digest over the normalised environment."""
    rows = sorted(
        [layer.kind.value, layer.name, layer.version or "", layer.parity]
        for layer in layers
        if layer.parity is not None and layer.kind is not Kind.INTERPRETER and layer.kind not in BESIDE
    )
    facts = {name: getattr(interpreter, name) for name in ("implementation", "version", "soabi", "platform", "digest")}
    return digest_of(
        canonical(
            {
                "schema": SCHEMA,
                "interpreter": facts,
                "system_site_packages": environment.system_site_packages,
                "layers": rows,
            }
        )
    )


def strict_digest(snapshot: Snapshot) -> Digest:
    """The digest over every stored byte of the environment, normalised or not: equal ones mean the very same files.

    The interpreter counts by the digest of its files, so that it does not matter whether it was captured. What model lies in the
    environment does not count.
    """
    layers = sorted(
        [layer.kind.value, layer.name, layer.version or "", layer.mount, layer.tree]
        for layer in snapshot.layers
        if layer.kind not in (Kind.INTERPRETER, Kind.MODEL)
    )
    return digest_of(canonical({"schema": SCHEMA, "parity_root": snapshot.parity_root, "layers": layers}))
