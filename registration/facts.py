"""The facts of a snapshot for people: what was recorded beside its files. Fits 80 columns."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import click

from registration import console

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from snapshot.facts.model import Facts, Host, Module, StartupHook, SystemLibrary, Variable

#: Columns of the names of the first lines, as `inspect` has them.
_LEFT = 14


def print_facts(facts: Facts) -> None:
    """A line for each aspect, then what has names of its own. With `--json` there is all of it."""
    for name, value in _lines(facts):
        click.echo(_folded(name, value))
    native = () if facts.native is None else facts.native.libraries
    _table(["start-up hook", "of", "runs code"], map(_hook, facts.startup or ()))
    _table(["imported from", "module", "in place of"], map(_shadowing, _shadows(facts)))
    _table(["computes with", "property", "value"], () if facts.numeric is None else facts.numeric.backend)
    _table(["library of the system", "version", "found at"], map(_library, native))
    _table(["variable", "value"], map(_variable, () if facts.variables is None else facts.variables.items))


def _folded(name: str, value: str) -> str:
    return textwrap.fill(
        console.printable(value),
        console.WIDTH,
        initial_indent=f"{name:<{_LEFT}}",
        subsequent_indent=" " * _LEFT,
        break_on_hyphens=False,
    )


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    found = list(rows)
    if found:
        click.echo()
        console.print_table(headings, found)


def _lines(facts: Facts) -> Iterator[tuple[str, str]]:
    if facts.build is not None:
        yield "build", f"{facts.build.build}, {facts.build.compiler}"
    if facts.host is not None:
        yield from _machine(facts.host)
    if facts.distributions is not None:
        edited = sum(bool(each.modified or each.missing) for each in facts.distributions)
        yield (
            "metadata",
            f"of {console.count(len(facts.distributions), 'distribution')}; edited or incomplete: {edited:,}",
        )
    if facts.search_path is not None:
        yield "search path", ", ".join(facts.search_path)
    if facts.modules is not None:
        yield "modules", f"{len(facts.modules):,}; {len(_shadows(facts)):,} in place of another"
    if facts.native is not None:
        needs = facts.native.floor and f"glibc {facts.native.floor} or newer, for {facts.native.floor_by}; "
        yield "native code", f"{needs}libraries of the system: {len(facts.native.libraries):,}"
    if facts.numeric is not None:
        yield "numeric", f"a fingerprint of {console.count(len(facts.numeric.measurements), 'measurement')}"
    if facts.missing:
        yield "not recorded", ", ".join(facts.missing)


def _machine(host: Host) -> Iterator[tuple[str, str]]:
    yield "machine", f"{host.machine}, {host.libc} {host.libc_version}, {host.system}, kernel {host.kernel}"
    yield "processor", host.cpu or "-"
    if host.gpu_driver:
        yield "gpu driver", host.gpu_driver


def _shadows(facts: Facts) -> list[Module]:
    return [each for each in facts.modules or () if each.hidden]


def _hook(hook: StartupHook) -> tuple[str, str, str]:
    return hook.path, hook.owner or "nobody", "yes" if hook.code else "no"


def _shadowing(module: Module) -> tuple[str, str, str]:
    return module.path, module.name, ", ".join(module.hidden)


def _library(library: SystemLibrary) -> tuple[str, str, str]:
    return library.soname, library.version or "-", library.path or "nowhere"


def _variable(variable: Variable) -> tuple[str, str]:
    if variable.value is not None:
        return variable.name, variable.value or "(empty)"
    return variable.name, "a digest of it alone" if variable.digest else "not recorded: there was no key for a digest"
