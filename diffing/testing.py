"""Descriptions built in code, for tests of what compares environments: no environment and no store is needed.

>>> click = layer(Kind.DISTRIBUTION, "click", "8.1.7", [file("lib/click.py", b"...")])
>>> description([click])
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from snapshot.description import NO_FACTS, Description
from snapshot.documents import digest_of
from snapshot.facts.model import Build, Facts, Host, Native, Numeric, Variables
from snapshot.model import Entry, Environment, Interpreter, Kind, Layer, Snapshot, Tree
from snapshot.parity import parity_of, parity_root
from snapshot.serialize import encode_tree

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snapshot.digest import Digest
    from snapshot.model import Finding

#: A layer with its entries.
Part = tuple[Layer, Tree]


def file(
    path: str, content: bytes = b"", *, executable: bool = False, rule: str | None = None, counts_as: str | None = None
) -> Entry:
    mode = 0o755 if executable else 0o644
    return Entry(path, "f", mode, len(content), sha256(content).hexdigest(), rule=rule, counts_as=counts_as)


def link(path: str, target: str, *, rule: str | None = None) -> Entry:
    return Entry(path, "l", target=target, rule=rule)


def layer(kind: Kind, name: str, version: str | None, entries: Iterable[Entry], *, mount: str = "") -> Part:
    tree = tuple(sorted(entries, key=lambda entry: entry.path.encode("utf-8", "surrogateescape")))
    digest = digest_of(encode_tree(tree))
    files = [entry for entry in tree if entry.type == "f"]
    parity = None if kind is Kind.BYTECODE else parity_of(tree)
    size = sum(entry.size for entry in files)
    return Layer(kind, name, version, mount, digest, digest, len(files), size, parity), tree


def description(
    parts: Iterable[Part],
    *,
    version: str = "3.11.7",
    system_site_packages: bool = False,
    interpreter_digest: Digest | None = None,
    facts: Facts = NO_FACTS,
    findings: Iterable[Finding] = (),
) -> Description:
    """An environment of these layers. Without `interpreter_digest` it follows from the interpreter layers among them."""
    parts = list(parts)
    base = sorted(found.parity or "" for found, _ in parts if found.kind is Kind.INTERPRETER)
    minor = version.replace(".", "")[:3]
    interpreter = Interpreter(
        implementation="cpython",
        version=version,
        cache_tag=f"cpython-{minor}",
        soabi=f"cpython-{minor}-x86_64-linux-gnu",
        platform="linux-x86_64",
        executable="bin/python3",
        captured=bool(base),
        digest=interpreter_digest or digest_of("".join(base).encode()),
    )
    environment = Environment(
        kind="venv", base_mount=".envparity/python", bytecode="kept", system_site_packages=system_site_packages
    )
    layers = tuple(sorted((found for found, _ in parts), key=lambda found: found.sort_key))
    root = parity_root(interpreter, environment, layers)
    trees = {found.tree: tree for found, tree in parts}
    return Description(Snapshot(interpreter, environment, layers, root), trees, tuple(findings), facts)


def full_facts(**changes: Any) -> Facts:
    """Facts in which nothing is missing, of a small environment; `changes` replaces whole aspects by name."""
    known: dict[str, Any] = {
        "build": Build("main, Dec  5 2023 10:00:00", "GCC 12.2.0", (("Py_DEBUG", "0"),)),
        "host": Host("x86_64", "glibc", "2.36", "debian 12", "6.1.0", "Xeon Gold 6130", ""),
        "distributions": (),
        "startup": (),
        "search_path": ("lib/python311.zip", "lib/python3.11", "lib/python3.11/site-packages"),
        "modules": (),
        "native": Native(()),
        "variables": Variables((), "k1"),
        "numeric": Numeric((), ()),
    }
    return Facts(**{**known, **changes})
