"""What mends a difference: a stored snapshot restored in the environment's place, or exact pins for pip and what pip cannot do. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from diffing.comparison import compare
from diffing.report import Fix
from diffing.requirements import observe
from diffing.verdict import Level, Verdict
from snapshot.errors import summarise
from snapshot.model import Kind
from snapshot.secrets import MASK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from diffing.model import EnvironmentDiff, FileChange
    from diffing.report import Report
    from diffing.requirements import Item, Requirements
    from diffing.sides import Side
    from snapshot.description import Description
    from snapshot.facts.model import Source
    from snapshot.model import Layer

#: A longer command is not one to paste from a terminal: the plan has it.
_LONGEST = 240


@dataclass(frozen=True, slots=True)
class Step:
    """One command, and what it is for."""

    command: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Commands to run in this order. `pins` are the exact requirements in them; `rest` is what they leave as it is, and what helps there."""

    steps: tuple[Step, ...]
    pins: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()

    def commands(self) -> tuple[str, ...]:
        """The commands as lines for a shell."""
        return tuple(shlex.join(step.command) for step in self.steps)

    def script(self) -> str:
        """The same as a shell script that stops at the first failure, with its reasons as comments."""
        lines = ["set -e"]
        for step, command in zip(self.steps, self.commands(), strict=True):
            lines += [f"# {_line(step.why)}", command]
        lines += [f"# left as it is: {_line(said)}" for said in self.rest]
        return "\n".join(lines) + "\n"


def _line(text: str) -> str:
    """A comment ends with its line, and a file may have any name."""
    return "".join(character if character.isprintable() else "?" for character in text)


def plan(train: Side, serve: Side, diff: EnvironmentDiff | None = None) -> Plan:
    """Say how `serve` becomes what `train` is.

    A stored snapshot is restored in its place. Else distributions are pinned exactly, for pip; files that nobody owns are copied from
    `train` if it is a live environment. `diff` is what `compare` found, if that is known already. Raises DiffError.
    """
    if train.kind == "snapshot" and train.name:
        return _restored(train, serve)
    pip = ("python", "-m", "pip", *(("--python", serve.label) if serve.kind == "environment" else ()))
    if train.requirements is not None:
        return _declared(train.requirements, serve.environment, pip)
    diff = diff or compare(train.environment, serve.environment)
    return _Pinned(train, serve, diff, pip).plan()


def fix(report: Report, train: Side, serve: Side, diff: EnvironmentDiff | None = None) -> Fix | None:
    """The one command that mends what `report` is about; None where nothing differs that matters, or no command can do it."""
    if report.verdict <= Verdict.EQUIVALENT:
        return None
    if diff is not None and diff.equal:
        return _variables(report)  # the files are right: what is left is the process and the machine
    found = plan(train, serve, diff)
    commands = found.commands()
    if not commands:
        return None
    command = " && ".join(commands)
    if (
        len(command) > _LONGEST or not command.isprintable()
    ):  # a report would show it with escapes: that is another file
        sides = ("--requirements", train.label) if train.requirements is not None else (train.label,)
        command = f"{shlex.join(_command(train, 'diff', '--plan', *sides, serve.label))} | sh"
    summary = "; ".join(dict.fromkeys(step.why for step in found.steps))
    left = f"; left as it is: {summarise(found.rest, most=3)}" if found.rest else ""
    return Fix(command, summary + left, found.pins)


def _variables(report: Report) -> Fix | None:
    """Set in the serving process what the training process had, as far as its values are known."""
    found = [each for each in report.differences if each.level is Level.VARIABLES and each.severity >= Verdict.NUMERIC]
    unknown = [each.subject for each in found if (each.train or "").startswith("keyed digest") or each.train == "set"]
    commands = [
        shlex.join(("unset", each.subject) if each.train is None else ("export", f"{each.subject}={each.train}"))
        for each in found
        if each.subject not in unknown
    ]
    if not commands:
        return None
    left = f"; not known is the value of {', '.join(unknown)}" if unknown else ""
    return Fix(
        " && ".join(commands), f"the files are equal: sets the variables of training in the serving process{left}"
    )


def _command(train: Side, *words: str) -> tuple[str, ...]:
    """The `envparity` command that finds the snapshot `train`: what has moved an environment away must not fail then."""
    return ("envparity", *(("--store", train.store) if train.store else ()), *words)


def _restored(train: Side, serve: Side) -> Plan:
    name = train.name
    if serve.kind != "environment":
        return Plan((Step(_command(train, "restore", name, "DEST"), f"restores {name}"),))
    aside = f"{serve.label.rstrip('/')}.before"
    return Plan(
        (
            Step(("mv", "-T", "--", serve.label, aside), f"keeps the environment as {aside}"),
            Step(_command(train, "restore", name, serve.label), f"restores {name} in its place"),
        )
    )


# -- pins


def pin_of(name: str, version: str, source: Source | None = None) -> str:
    """What makes pip install exactly that: PEP 440's `==` knows no version that is not PEP 440, and a direct URL says more than a version."""
    if source is not None and source.url:
        if source.vcs:
            return f"{name} @ {source.vcs}+{source.url}@{source.commit}"
        digest = source.digest.replace("=", ":", 1)
        fragment = f"#{digest.replace(':', '=', 1)}" if digest else ""
        return f"{name} @ {source.url}{fragment}"
    try:
        Version(version)
    except InvalidVersion:
        return f"{name}==={version}"
    return f"{name}=={version}"


def _arguments(pin: str, source: Source | None) -> tuple[str, ...]:
    if source is not None and source.editable:
        return ("--editable", source.url.removeprefix("file://"))
    return (pin,)


def _names(names: Iterable[str]) -> str:
    return summarise(sorted(names))


class _Pinned:
    """The plan for pip, from what differs between two environments."""

    def __init__(self, train: Side, serve: Side, diff: EnvironmentDiff, pip: tuple[str, ...]) -> None:
        self._train = train
        self._serve = serve
        self._diff = diff
        self._pip = pip
        rows = train.environment.facts.distributions
        self._known = rows is not None
        self._sources = {(str(canonicalize_name(row.name)), row.version): row.source for row in rows or ()}
        self._pins: list[str] = []
        self._rest: list[str] = []

    def plan(self) -> Plan:
        gone = [change.before for change in self._diff.distributions if change.before and not change.after]
        extra = [change.name for change in self._diff.distributions if change.after and not change.before]
        other = [change.before for change in self._diff.distributions if change.before and change.after]
        edited = [change.before for change in self._diff.distributions if change.before and change.same_version]
        changed = [layer for layer in other if layer not in edited]  # pip takes an edited one for installed
        again = {
            layer.name: layer for layer in (*edited, *self._disturbed({*extra, *(layer.name for layer in changed)}))
        }
        self._interpreter()
        steps = [
            *self._remove(),
            *self._uninstall(extra),
            *self._install([*gone, *changed], "installs"),
            *self._install(list(again.values()), "installs again", "--force-reinstall"),
            *self._copy(),
        ]
        return Plan(tuple(steps), tuple(self._pins), tuple(dict.fromkeys(self._rest)))

    def _disturbed(self, touched: set[str]) -> Iterator[Layer]:
        """Distributions that share a file with one that is taken away or replaced: their file goes with it."""
        shared = {
            str(canonicalize_name(row.name)): {*row.disputed}
            for side in (self._serve, self._train)
            for row in side.environment.facts.distributions or ()
            if row.disputed
        }
        lost = {path for name in touched for path in shared.get(str(canonicalize_name(name)), ())}
        for layer in self._train.environment.snapshot.distributions:
            if shared.get(str(canonicalize_name(layer.name)), set()) & lost and layer.name not in touched:
                self._rest.append(f"{layer.name} shares files with others; the one that is installed last wins")
                yield layer

    def _interpreter(self) -> None:
        for fact in self._diff.facts:
            if fact.name.startswith("interpreter."):
                self._rest.append(
                    f"{fact.name} is {fact.after}, was {fact.before}: make the environment anew with that Python"
                )
            else:
                self._rest.append(f"{fact.name} is {fact.after}, was {fact.before}: pyvenv.cfg says so")

    def _uninstall(self, names: Sequence[str]) -> Iterator[Step]:
        if names:
            wanted = sorted({str(canonicalize_name(name)) for name in names})
            yield Step((*self._pip, "uninstall", "--yes", *wanted), f"removes {_names(wanted)}")

    def _install(self, layers: Sequence[Layer], verb: str, *options: str) -> Iterator[Step]:
        if not layers:
            return
        if not self._known:
            self._rest.append("where distributions came from was not captured: an index has to have these versions")
        words: list[str] = []
        for layer in sorted(layers, key=lambda layer: layer.name):
            name, version = str(canonicalize_name(layer.name)), layer.version or ""
            source = self._sources.get((name, version))
            pin = pin_of(name, version, source)
            if MASK.decode() in pin:
                self._rest.append(f"{name} needs credentials, which are not stored: put them in for {MASK.decode()}")
            self._pins.append(pin)
            words += _arguments(pin, source)
        why = f"{verb} {_names(layer.name for layer in layers)}"
        yield Step((*self._pip, "install", "--no-deps", *options, *words), why)

    # -- files that no distribution has

    def _loose(self) -> Iterator[FileChange]:
        for change in self._diff.files:
            kinds = {state.owner.kind for state in change.states}
            if Kind.INTERPRETER in kinds:
                self._rest.append("files of the interpreter differ: make the environment anew with the Python it was")
            elif Kind.SOURCE in kinds:
                names = _names({state.owner.name for state in change.states})
                self._rest.append(f"the source tree of {names} differs: check out what it was")
            elif Kind.DISTRIBUTION not in kinds:
                yield change

    def _place(self, side: Side, path: str) -> str | None:
        return f"{side.label.rstrip('/')}/{path}" if side.kind == "environment" else None

    def _remove(self) -> Iterator[Step]:
        """Before anything is installed: a new `.pth` or a shadowing module would run while pip does."""
        for change in self._loose():
            if change.after is not None and change.before is None:
                place = self._place(self._serve, change.path)
                if place is None:
                    self._rest.append(f"{change.path} was not there: delete it")
                else:
                    yield Step(("rm", "--", place), f"deletes {change.path}, which nobody owns")

    def _copy(self) -> Iterator[Step]:
        for change in self._loose():
            if change.before is None:
                continue
            source, place = self._place(self._train, change.path), self._place(self._serve, change.path)
            if source is None or place is None:
                self._rest.append(f"{change.path} is no distribution's: put back what it was")
                continue
            yield Step(("install", "-d", "--", place.rpartition("/")[0]), "makes its directory")
            copy = ("cp", "-P", "--preserve=mode", "--remove-destination", "--", source, place)
            yield Step(copy, f"puts {change.path} back")


# -- from a file of requirements


def _declared(wanted: Requirements, serve: Description, pip: tuple[str, ...]) -> Plan:
    items = {str(item.name): item for item in wanted.items if item.name is not None}
    items |= {str(item.name): item for item in wanted.items if item.name is not None and not item.constraint}
    extra: list[str] = []
    install: list[tuple[str, ...]] = []
    again: list[tuple[str, ...]] = []
    rest: list[str] = []
    for found in observe(wanted, serve).found:
        if found.kind == "distribution-added":
            extra.append(found.subject)
        elif found.subject in items:
            (again if found.kind == "distribution-source" else install).append(_wish(items[found.subject]))
        else:
            rest.append(f"{found.subject} is {found.serve}, has to be {found.train}")
    # A lock has everything; what a requirements.txt names may need more.
    alone = ("--no-deps",) if wanted.kind == "pylock" else ()
    steps = []
    if extra:
        steps.append(Step((*pip, "uninstall", "--yes", *extra), f"removes {_names(extra)}"))
    for wishes, verb, options in ((install, "installs", ()), (again, "installs again", ("--force-reinstall",))):
        if wishes:
            words = [word for wish in wishes for word in wish]
            step = Step((*pip, "install", *alone, *options, *words), f"{verb} {summarise(wish[-1] for wish in wishes)}")
            steps.append(step)
    pins = tuple(wish[-1] for wish in (*install, *again))
    rest += [f"{pin}: put the credentials in for {MASK.decode()}" for pin in pins if MASK.decode() in pin]
    return Plan(tuple(steps), pins, tuple(rest))


def _wish(item: Item) -> tuple[str, ...]:
    """What pip is told for one item, its last word being the requirement."""
    name = str(item.name) + (f"[{','.join(item.extras)}]" if item.extras else "")
    if not item.url:
        return (f"{name}{item.specifier}",)
    if item.editable and not item.vcs:  # pip wants a directory there, not a requirement
        path = unquote(item.url.removeprefix("file://"))
        return "--editable", path + (f"[{','.join(item.extras)}]" if item.extras else "")
    place = f"{item.vcs}+{item.url}" if item.vcs else item.url
    place += f"@{item.commit}" if item.commit else ""
    hashes = [digest.replace(":", "=", 1) for digest in item.hashes[:1] if not item.vcs]
    fragments = [*hashes, *([f"subdirectory={item.subdirectory}"] if item.subdirectory else [])]
    wish = f"{name} @ {place}" + (f"#{'&'.join(fragments)}" if fragments else "")
    return ("--editable", wish) if item.editable else (wish,)
