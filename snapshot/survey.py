"""Find out what an environment consists of, without reading its files: who owns what, and one plan a layer."""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING

from snapshot import bytecode
from snapshot.editable import find_sources, unique, walk_source
from snapshot.excluding import Excludes
from snapshot.home import HOME, PYTHON_MOUNT, SOURCE_MOUNT
from snapshot.interpreter import NoEnvironmentError, Probing, find_python
from snapshot.model import Finding, Kind
from snapshot.ownership import assign, read_distributions, without_debris
from snapshot.parity import rule_for_path
from snapshot.plan import Item, Plan, Survey, located
from snapshot.requiring import still_required
from snapshot.scan import behind, encode, look, read_regular, refuse_unreadable, walk
from snapshot.secrets import is_secret_file
from snapshot.spelling import places_of, spellings
from snapshot.standard import Standard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from snapshot.interpreter import Probe
    from snapshot.scan import Found


def survey(
    prefix: str | os.PathLike[str],
    *,
    python: str | os.PathLike[str] | None = None,
    interpreter: bool = True,
    keep_bytecode: bool = True,
    exclude: Sequence[str] = (),
    begin: Callable[[str], object] | None = None,
) -> Survey:
    """Read the environment at `prefix` but what `exclude` names (`excluding`). `begin` is told the interpreter before anything is read.
    Raises NoEnvironmentError, InterpreterError, UnreadableError, InvalidPatternError.
    """
    Excludes(exclude)  # what is wrong with a pattern shows before anything is read
    given = os.path.abspath(prefix)
    root = os.path.realpath(given)
    if root in ("/usr", "/"):  # before it is walked through
        raise NoEnvironmentError(f"{given} holds the whole system: make a virtual environment and capture that")
    executable = os.fspath(python) if python is not None else find_python(given)
    probing = Probing(executable, root)
    refused: list[str] = []
    try:
        if begin is not None:
            begin(executable)
        found = walk(root, prune=lambda path: path == HOME, refused=refused)
        probe = probing.result()
    except BaseException:  # whatever ends this, Control-C too, must not leave the interpreter's process behind
        probing.stop()
        raise
    base = os.path.realpath(probe.base)
    kind = "base" if base == root else "venv"
    _check(given, kind, found, interpreter=interpreter)
    standard = Standard.of(probe, base)
    system = kind == "venv" and _sees_base(root)
    if system and not interpreter:
        raise NoEnvironmentError(
            f"{given} sees the packages of its base ({base}): it cannot be captured without the interpreter"
        )
    excludes = Excludes(exclude, probe.cache_tag)
    # What is left out need not be readable.
    refuse_unreadable(os.path.join(root, path) for path in refused if not excludes.matches(path))
    builder = _Builder(probe, excludes, keep_bytecode=keep_bytecode)
    sites = _relative(probe.site, root)
    sources = builder.root(root, "", found, sites, base, standard if kind == "base" else None)
    visible = _relative(probe.base_site, base) if system else ()
    if kind == "venv":
        more = builder.base(base, standard, stored=interpreter, sites=visible)
        for name, names in more.items():
            if names[0] not in {own for own, *_ in sources.values()}:
                sources[unique(name, sources)] = names
    for name, (directory, *_) in sorted(sources.items()):
        builder.source(name, directory)
    builder.bytecode()
    return Survey(
        prefix=given,
        base=base,
        python=executable,
        kind=kind,
        probe=probe,
        scripts=posixpath.dirname(posixpath.relpath(os.path.realpath(probe.executable), base)),
        system_site_packages=system,
        sources={name: directory for name, (directory, *_) in sources.items()},
        places=places_of(spellings(given, root, found), probe, base, sources, kind=kind, interpreter=interpreter),
        plans=[plan for plan in builder.plans if plan.items],
        shared=builder.shared,
        findings=[*builder.findings, *excludes.findings()],
        excluded=excludes.matches,
        sites=(*sites, *(posixpath.join(PYTHON_MOUNT, site) for site in visible)),
    )


def _check(given: str, kind: str, found: Mapping[str, Found], *, interpreter: bool) -> None:
    if kind == "venv" and "pyvenv.cfg" not in found:
        raise NoEnvironmentError(
            f"{given} is no Python environment: it has no pyvenv.cfg, and it is not its interpreter's own prefix"
        )
    if kind == "base" and not interpreter:
        raise NoEnvironmentError(
            f"{given} is an interpreter's own prefix: it cannot be captured without the interpreter"
        )


def _sees_base(root: str) -> bool:
    """What `site.venv` makes of `pyvenv.cfg`: the last line counts, and where none says anything the base is seen."""
    text = (read_regular(encode(os.path.join(root, "pyvenv.cfg"))) or b"").decode("utf-8", "replace")
    said = "true"
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key.strip().lower() == "include-system-site-packages":
            said = value.strip().lower()
    return said == "true"


def _relative(paths: Iterable[str], root: str) -> tuple[str, ...]:
    """Directories below `root`, relative to it, with links resolved (lib64 is a link)."""
    inside = [os.path.relpath(os.path.realpath(path), root) for path in paths]
    return tuple(dict.fromkeys(path for path in inside if not path.startswith("..")))


class _Builder:
    """Collects plans and findings, root by root."""

    def __init__(self, probe: Probe, excludes: Excludes, *, keep_bytecode: bool) -> None:
        self.plans: list[Plan] = []
        self.shared: dict[tuple[str, str], tuple[Plan, Item]] = {}
        self.findings: list[Finding] = []
        self._probe = probe
        self._excludes = excludes
        self._keep_bytecode = keep_bytecode
        self._compiled: list[tuple[str, dict[str, tuple[Plan, Item]], list[Found]]] = []

    def root(
        self,
        root: str,
        mount: str,
        found: Mapping[str, Found],
        sites: tuple[str, ...],
        base: str,
        standard: Standard | None,
    ) -> dict[str, tuple[str, ...]]:
        """Plans for a prefix: its distributions, what generated it, the rest; returns the source trees it imports from."""
        before = len(self.findings)
        found, debris = without_debris(found, sites)
        everything = found
        distributions, findings = read_distributions(root, sites, found)
        left = self._excludes.filter(
            mount, found, distributions, lambda path: _needed(path, everything[path], standard)
        )
        found, distributions = left.found, left.distributions
        ownership = assign(distributions, found)
        sources, more = find_sources(root, base, sites, found, distributions)
        self.findings += [*debris, *findings, *ownership.findings, *more]
        plans = [
            Plan(Kind.DISTRIBUTION, one.name, one.version, mount, root, portable=one.portable) for one in distributions
        ]
        for index, each in enumerate(plans):
            each.declared = ownership.declared(index)
        others = (Kind.ENVIRONMENT, Kind.UNOWNED, Kind.INTERPRETER)
        rest = {kind: Plan(kind, kind.value, None, mount, root) for kind in others}
        left_out = 0
        skipped: set[str] = set()
        pycs: list[Found] = []
        by_path: dict[str, tuple[Plan, Item]] = {}
        occupied = _parents(found)
        for path in sorted(found, key=encode):
            item = found[path]
            if bytecode.is_bytecode(path):
                pycs.append(item)
                continue
            if standard is not None and _under(path, skipped, standard):
                left_out += item.is_file
                continue
            number = ownership.owner.get(path)
            if number is not None and not item.is_directory:
                plan, recorded = plans[number], distributions[number].rows[path]
            elif standard is not None and standard.owns(path):
                plan, recorded = rest[Kind.INTERPRETER], None
            else:
                plan, recorded = rest[_unowned_kind(path, item)], None
            self._add(plan, item, recorded, occupied, by_path)
        self._summarise_unowned(rest[Kind.UNOWNED], sites)
        self._left_out(left_out)
        self._collisions(by_path)
        for path, numbers in ownership.shared.items():
            if path in by_path:
                self.shared[root, path] = by_path[path]
                for number in numbers[1:]:
                    plans[number].claims.append(by_path[path][1])
        self.plans += [*plans, *rest.values()]
        self._compiled.append((mount, by_path, [item for item in pycs if not _below(item.path, skipped)]))
        self.findings[before:] = located(mount, self.findings[before:])
        self.findings += still_required(root, left.dropped, distributions, self._probe)
        return sources

    def base(
        self, base: str, standard: Standard, *, stored: bool, sites: tuple[str, ...]
    ) -> dict[str, tuple[str, ...]]:
        """The plan for the interpreter of a venv and, when the venv sees them, for the base's own packages.

        Returns the source trees that those import from.
        """
        found = standard.find(base)
        self._whole(Plan(Kind.INTERPRETER, Kind.INTERPRETER.value, None, PYTHON_MOUNT, base, stored=stored), found)
        seen: dict[str, Found] = {}
        for site in sites:
            seen.update(walk(base, site))
        if seen:
            # Scripts, headers and data of the base's packages lie elsewhere in it.
            rows = {path for item in read_distributions(base, sites, seen)[0] for path in item.rows}
            seen.update(look(base, rows - seen.keys() - found.keys()))
            return self.root(base, PYTHON_MOUNT, seen, sites, base, None)
        return {}

    def source(self, name: str, directory: str) -> None:
        real = os.path.realpath(directory)
        found, skipped = walk_source(real)
        if skipped:
            self.findings.append(
                Finding("left-out", directory, f"not captured with the source: {', '.join(sorted(skipped)[:5])}")
            )
        mount = f"{SOURCE_MOUNT}/{name}"
        kept = self._excludes.filter(mount, found, [], lambda _: False).found
        self._whole(Plan(Kind.SOURCE, name, None, mount, real), kept)

    def _whole(self, plan: Plan, found: Mapping[str, Found]) -> None:
        """A plan that has all of `found`, its bytecode apart."""
        before = len(self.findings)
        by_path: dict[str, tuple[Plan, Item]] = {}
        occupied = _parents(found)
        for path in sorted(found, key=encode):
            if not bytecode.is_bytecode(path):
                self._add(plan, found[path], None, occupied, by_path)
        self.plans.append(plan)
        if plan.stored:
            pycs = [item for path, item in found.items() if bytecode.is_bytecode(path)]
            self._compiled.append((plan.mount, by_path, pycs))
        self.findings[before:] = located(plan.mount, self.findings[before:])

    def _add(
        self,
        plan: Plan,
        item: Found,
        recorded: str | None,
        occupied: frozenset[str],
        by_path: dict[str, tuple[Plan, Item]],
    ) -> None:
        path = item.path
        if item.is_directory:
            # Directories are implied by what lies in them, unless they are empty or read-only.
            if item.stat.st_mode & 0o200 and path in occupied:
                return
            if posixpath.basename(path) == bytecode.CACHE:
                return
        elif not (item.is_file or item.is_link):
            self.findings.append(Finding("special-file", path, "a socket, pipe or device; left out"))
            return
        elif is_secret_file(path) and recorded is None:
            self.findings.append(Finding("secret", path, "a file of credentials; left out"))
            return
        entry = Item(item, recorded)
        if (
            plan.kind is Kind.INTERPRETER
            and item.is_link
            and path.endswith(".py")
            and (file := behind(plan.root, item))
        ):
            # Debian keeps sitecustomize.py in /etc: it is as much the interpreter's as if it lay here.
            entry = Item(file[0], real=file[1])
        plan.items.append(entry)
        by_path[path] = (plan, entry)

    def bytecode(self) -> None:
        """One plan for the bytecode of each plan that has any. What has no source, or is another interpreter's, is dropped."""
        if not self._keep_bytecode:
            return
        made: dict[int, Plan] = {}
        for mount, by_path, pycs in self._compiled:
            for found in sorted(pycs, key=lambda item: encode(item.path)):
                source = bytecode.source_of(found.path, self._probe.cache_tag)
                owner = _source(by_path, source) if source is not None and found.is_file else None
                if owner is None:
                    why = "another interpreter's" if source is None else "its source is not there"
                    finding = Finding("stale-bytecode", found.path, f"{why}; left out")
                    self.findings += located(mount, [finding])
                    continue
                plan, item = owner
                if not plan.stored:
                    continue
                compiled = made.get(id(plan))
                if compiled is None:
                    compiled = made[id(plan)] = bytecode_plan(plan)
                compiled.items.append(Item(found, source=item))
        self.plans += made.values()

    def _summarise_unowned(self, plan: Plan, sites: tuple[str, ...]) -> None:
        counts: dict[str, int] = {}
        for item in plan.items:
            if item.found.is_directory:
                continue
            site = next((site for site in sites if item.path.startswith(site + "/")), None)
            top = item.path if site is None else f"{site}/{item.path[len(site) + 1 :].partition('/')[0]}"
            counts[top] = counts.get(top, 0) + 1
        for top, count in counts.items():
            files = "1 file" if count == 1 else f"{count} files"
            self.findings.append(Finding("unowned", top, f"{files} that no distribution lists; captured"))

    def _left_out(self, count: int) -> None:
        if count:
            self.findings.append(
                Finding("left-out", "", f"{count} files: the standard library's tests, static libraries")
            )

    def _collisions(self, by_path: Mapping[str, object]) -> None:
        seen: dict[str, str] = {}
        for path in by_path:
            other = seen.setdefault(path.casefold(), path)
            if other != path:
                self.findings.append(Finding("case-collision", path, f"differs from {other} in case only"))


def bytecode_plan(plan: Plan) -> Plan:
    """An empty plan for the bytecode of another plan's sources."""
    return Plan(Kind.BYTECODE, plan.name, plan.version, plan.mount, plan.root, sources=plan)


def _source(by_path: Mapping[str, tuple[Plan, Item]], path: str) -> tuple[Plan, Item] | None:
    """The plan of a source and the file that is read for it: Python takes its time and size from where a link leads."""
    plan, item = by_path.get(path, (None, None))
    if plan is None or item is None or item.found.is_file:
        return None if plan is None or item is None else (plan, item)
    real = os.path.relpath(os.path.realpath(os.fsdecode(plan.location(item))), plan.root)
    target = by_path.get(real)
    return None if target is None or not target[1].found.is_file else (plan, target[1])


def _parents(found: Mapping[str, Found]) -> frozenset[str]:
    return frozenset(posixpath.dirname(path) for path in found)


def _under(path: str, skipped: set[str], standard: Standard) -> bool:
    if _below(path, skipped):
        return True
    if standard.left_out(path):
        skipped.add(path)
        return True
    return False


def _below(path: str, skipped: set[str]) -> bool:
    return any(path.startswith(directory + "/") for directory in skipped)


def _needed(path: str, item: Found, standard: Standard | None) -> bool:
    """Whether something that no distribution lists must not be excluded: the interpreter, and what venv generates."""
    if standard is not None and standard.owns(path):
        return True
    return not item.is_directory and _unowned_kind(path, item) is Kind.ENVIRONMENT


def _unowned_kind(path: str, item: Found) -> Kind:
    """What `venv`, virtualenv and uv generate; anything else that nobody lists is unowned."""
    if item.is_directory or rule_for_path(Kind.ENVIRONMENT, path):
        return Kind.ENVIRONMENT
    if item.is_link and (path == "lib64" or (path.startswith("bin/python") and "/" not in path[4:])):
        return Kind.ENVIRONMENT
    if path.startswith("bin/python") and "/" not in path[4:]:
        return Kind.ENVIRONMENT
    return Kind.UNOWNED
