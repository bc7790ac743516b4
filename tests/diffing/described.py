"""Descriptions for tests of what is observed: environments about which everything is known, and what is seen between two."""

from __future__ import annotations

from diffing import compare
from diffing.observing import observe
from diffing.testing import description, file, full_facts, layer
from snapshot.facts.model import DistributionFacts, Host
from snapshot.model import Kind

SITE = "lib/python3.11/site-packages"
CLICK = {f"click/{name}.py": name.encode() for name in ("__init__", "core", "types", "utils")}
HOST = Host("x86_64", "glibc", "2.36", "debian 12", "6.1.0", "Xeon Gold 6130", "")


def dist(name="click", version="8.1.7", site=SITE, **changes):
    """A distribution of four modules; `changes` replaces contents by module name, None takes one out."""
    files = {**CLICK, **{f"click/{module}.py": content for module, content in changes.items()}}
    entries = [file(f"{site}/{path}", content) for path, content in files.items() if content is not None]
    return layer(Kind.DISTRIBUTION, name, version, entries)


def unowned(*entries):
    return layer(Kind.UNOWNED, "unowned", None, entries)


def base(*entries):
    return layer(Kind.INTERPRETER, "interpreter", None, entries, mount=".envparity/python")


def said(name="click", version="8.1.7", **changes):
    return DistributionFacts(name, version, f"{SITE}/{name}.dist-info", record=True, **changes)


def seen(one, other):
    return observe(one, other, compare(one, other))


def env(*parts, **known):
    """An environment about which everything is known; `known` replaces aspects and what `description` takes."""
    own = {name: known.pop(name) for name in ("version", "system_site_packages", "findings") if name in known}
    return description(parts, facts=full_facts(**known), **own)


def only(one, other):
    (found,) = seen(one, other).found
    return found
