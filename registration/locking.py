"""Lock a model's requirements with hashes for the environment that is registered, and install what it lacks.

Everything is resolved before anything is installed. pip and pip-tools run in processes of the environment, with the configuration that
pip has there: its indexes, certificates and proxies. Nothing of it is written into the lock.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from packaging.utils import canonicalize_name

from diffing.requirements import RequirementsError, masked, origin, read
from registration.closure import breakage, reached
from registration.errors import RegistrationError
from registration.running import Running, run
from registration.surroundings import surroundings, target_command
from snapshot.errors import summarise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from diffing.requirements import Item, Requirements
    from registration.surroundings import Installed, Surroundings

    Said = Callable[[str], None]
    Vet = Callable[[Mapping[str, str]], None]

LOCK_SECONDS = 900.0
INSTALL_SECONDS = 1800.0

_REMEDY = "install what is missing yourself and set install_dependencies to False"
_WITHOUT = "or set install_dependencies to False"

_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")


class LockError(RegistrationError, RuntimeError):
    """Requirements that cannot be locked, or not be installed. The environment is as it was, unless the message says otherwise."""


class NoIndexError(LockError):
    """No package index can be reached, or none has a library."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An environment that has all that is required. `lock` is a requirements file with hashes; `installed` what was added, `NAME VERSION`."""

    lock: bytes
    installed: tuple[str, ...]
    here: Surroundings


def prepare(
    requirements: str | os.PathLike[str],
    here: Surroundings,
    *,
    previous: bytes | None = None,
    vet: Vet | None = None,
    said: Said | None = None,
    seconds: float = LOCK_SECONDS,
) -> Prepared:
    """Lock `requirements`, install into `here` what it lacks of them, and make sure that it then has them all.

    `previous` is an earlier lock: its hashes of the same versions are taken over. `vet` is told what is to be installed, versions by name, before
    anything is, and may raise. `said` gets a line whenever something begins.
    `seconds` for each of the steps. Raises LockError and its kin, RequirementsError, SurroundingsError.
    """
    content = lock(requirements, here, previous=previous, said=said, seconds=seconds)
    indexes = index_options(read(requirements))
    installed = install_missing(content, here, directory=_directory(requirements), indexes=indexes, vet=vet, said=said)
    after = surroundings(here.python) if installed else here
    validate(requirements, here, after)
    return Prepared(content, installed, after)


# -- locking


def lock(
    requirements: str | os.PathLike[str],
    here: Surroundings,
    *,
    previous: bytes | None = None,
    said: Said | None = None,
    seconds: float = LOCK_SECONDS,
) -> bytes:
    """A requirements file with the exact version and the hashes of every distribution that `requirements` need, for this environment.

    What is installed is locked as it is, and pip-tools resolves only when something is missing: to what goes with the rest, which is not
    touched. Hashes are those of all files that this interpreter can install. Raises NoIndexError, LockError, RequirementsError.
    """
    wanted = read(requirements)
    items, have, missing = _needed(wanted, here)
    indexes = index_options(wanted)
    with ExitStack() as stack:
        if _all_there(items, missing):
            return _locking(have, here, stack, indexes, previous=previous, said=said, seconds=seconds)()
        if said is not None:
            said(f"resolving {len(items)} requirements; missing: {summarise(missing) or 'nothing'}")
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="envparity-lock-"))
        return _resolved(os.path.abspath(requirements), items, missing, indexes, here, scratch, seconds)


def begin(
    requirements: str | os.PathLike[str],
    here: Surroundings,
    stack: ExitStack,
    *,
    previous: bytes | None = None,
    said: Said | None = None,
    seconds: float = LOCK_SECONDS,
) -> Callable[[], bytes] | None:
    """Begin with the lock of an environment that has all that is required; the function waits for it, and raises what `lock` does.

    None where something is to be resolved or installed first: that is for `prepare`. What is begun does not outlive the `stack`.
    """
    wanted = read(requirements)
    items, have, missing = _needed(wanted, here)
    if not _all_there(items, missing):
        return None
    return _locking(have, here, stack, index_options(wanted), previous=previous, said=said, seconds=seconds)


def _needed(wanted: Requirements, here: Surroundings) -> tuple[list[Item], Sequence[Installed], Sequence[str]]:
    """What is required, which installed distributions that takes, and the names of what is not there."""
    items = [item for item in wanted.applicable(here.markers) if not item.constraint]
    return items, *reached(items, here)


def _all_there(items: Sequence[Item], missing: Sequence[str]) -> bool:
    return not missing and all(item.name is not None and not item.url for item in items)


def _locking(
    have: Sequence[Installed],
    here: Surroundings,
    stack: ExitStack,
    indexes: Sequence[str],
    *,
    previous: bytes | None,
    said: Said | None,
    seconds: float,
) -> Callable[[], bytes]:
    """The lock of what is installed: nothing is to be resolved, and only the indexes are asked for hashes."""
    scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="envparity-lock-"))
    known = _hashes_of(previous, scratch) if previous else {}
    keys = sorted((str(canonicalize_name(one.name)), one.version) for one in have)
    rows = [key for key in keys if key not in known]
    if said is not None:
        said(f"locking {len(have)} distributions")
    asked = (
        stack.enter_context(_asking({"rows": rows, "indexes": indexes}, here, scratch, None, seconds)) if rows else None
    )

    def finish() -> bytes:
        answer = {"hashes": [], "unfetched": []} if asked is None else _answer(asked, here, scratch)
        hashes = dict(known) | dict(zip(rows, answer["hashes"], strict=True))
        without = [f"{name}=={version}" for name, version in rows if not hashes[name, version]]
        if without:
            raise _unavailable(without, answer["unfetched"], "it is installed: set install_dependencies to False")
        lines = [
            f"{name}=={version} \\\n" + " \\\n".join(f"    --hash={digest}" for digest in hashes[name, version])
            for name, version in keys
        ]
        return ("\n".join(lines) + "\n").encode()

    return finish


def _resolved(
    requirements: str,
    items: Sequence[Item],
    missing: Sequence[str],
    indexes: Sequence[str],
    here: Surroundings,
    scratch: str,
    seconds: float,
) -> bytes:
    """The lock that pip-tools makes, with everything that is installed held at its version."""
    directory = os.path.dirname(requirements)
    pins, output = os.path.join(scratch, "installed.txt"), os.path.join(scratch, "requirements.lock")
    with open(pins, "w", encoding="utf-8") as file:
        file.writelines(f"{one.name}=={one.version}\n" for one in here.installed.values())
    direct = sorted({str(item.name) for item in items if item.name in missing and not item.url})
    request = {"wanted": direct, "pins": pins, "output": output, "requirements": requirements, "indexes": indexes}
    with _asking(request, here, scratch, directory, seconds) as asked:
        answer = _answer(asked, here, scratch)
    if answer["absent"]:
        raise _unavailable(answer["absent"], answer["unfetched"])
    if answer["code"] != 0:
        raise _unresolved(answer, here, missing or [str(item.name) for item in items])
    with open(output, encoding="utf-8") as file:
        # A wheel that lies beside the model is called by its path from there, wherever it was fetched to.
        text = re.sub(rf"(?m)^\S+ @ file://{re.escape(directory)}/", "./", file.read())
    unhashed = [item.where for item in _rows(text.encode(), scratch).items if not item.hashes]
    if unhashed:
        raise LockError(f"{summarise(unhashed)} of the lock: there is no file to take a hash of; {_REMEDY}")
    return text.encode()


def _asking(
    request: dict[str, Any], here: Surroundings, scratch: str, directory: str | None, seconds: float
) -> Running:
    """Ask the environment's pip-tools; the answer is a file in `scratch`."""
    return Running(
        target_command(here.python, "lock", os.path.join(scratch, "answer.json")),
        what="locking the requirements",
        seconds=seconds,
        hint=f"give it more time, {_WITHOUT}",
        stdin=json.dumps({"cache": os.path.join(scratch, "cache"), **request}).encode(),
        directory=directory,
    )


def _answer(asked: Running, here: Surroundings, scratch: str) -> dict[str, Any]:
    done = asked.result()
    answer = os.path.join(scratch, "answer.json")
    if done.code or not os.path.exists(answer):
        if "No module named 'pip" in done.last:
            raise LockError(f"{here.python} has no pip-tools: install envparity into that environment, {_WITHOUT}")
        raise LockError(f"the requirements cannot be locked: {done.last}; {_REMEDY}")
    with open(answer, encoding="utf-8") as file:
        found: dict[str, Any] = json.load(file)
    return {**found, "said": done.output}


def _unavailable(names: Sequence[str], unfetched: Sequence[str], remedy: str = _REMEDY) -> NoIndexError:
    if unfetched:
        return NoIndexError(
            f"no package index can be reached to lock {summarise(names)} ({_reason(unfetched)}); check the network and pip's configuration, {_WITHOUT}"
        )
    return NoIndexError(f"no package index has {summarise(names)} for this Python; {remedy}")


def _reason(unfetched: Sequence[str]) -> str:
    return masked(unfetched[0]).removeprefix("Could not fetch URL ").removesuffix(" - skipping")[:200]


def _unresolved(answer: Mapping[str, Any], here: Surroundings, names: Sequence[str]) -> LockError:
    """Why pip-tools found no solution."""
    match = re.search(r"No matching distribution found for (.+)", answer["said"])
    if match:
        return _unavailable([match[1].strip()], answer["unfetched"])
    conflicts = [_conflict(by, wanted, here) for by, wanted in answer.get("conflicts", ())]
    if not conflicts and answer["unfetched"]:
        return _unavailable(names, answer["unfetched"])
    if not conflicts:
        return LockError(f"pip-tools cannot resolve the requirements: {_why(answer['said'])}; {_REMEDY}")
    unfetched = f" (not asked, for it cannot be reached: {_reason(answer['unfetched'])})" if answer["unfetched"] else ""
    return LockError(
        f"what is missing does not go with what is installed: {summarise(dict.fromkeys(conflicts))}{unfetched}; {_REMEDY}"
    )


def _conflict(by: str, wanted: str, here: Surroundings) -> str:
    match = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", wanted)
    found = here.installed.get(canonicalize_name(match[0])) if match else None
    there = f" ({found.version} is installed)" if found is not None else ""
    return f"{by or 'requirements.txt'} wants {wanted}{there}"


# -- installing


def install_missing(
    content: bytes,
    here: Surroundings,
    *,
    directory: str | None = None,
    indexes: Sequence[str] = (),
    vet: Vet | None = None,
    said: Said | None = None,
    seconds: float = INSTALL_SECONDS,
) -> tuple[str, ...]:
    """Install those rows of a lock that the environment does not have, and nothing else; `NAME VERSION` of each, or the URL in place of a version.

    `directory` is where paths in the lock begin, `indexes` are options for pip beside its own. pip fetches all of them, and compares the hashes, before it installs the first. Raises LockError.
    """
    with tempfile.TemporaryDirectory(prefix="envparity-install-") as scratch:
        items = _rows(content, scratch).applicable(here.markers)
        missing = [item for item in items if here.find(str(item.name)) is None]
        if not missing:
            return ()
        if vet is not None:
            vet({str(item.name): item.pin or unquote(item.url) for item in missing})
        names = tuple(f"{item.name} {item.pin or masked(origin(item))}" for item in missing)
        if said is not None:
            said(f"installing {summarise(names)}")
        path = os.path.join(scratch, "missing.txt")
        with open(path, "wb") as file:
            # In the file, and not on the command line: an index may be called with a password.
            file.write("".join(map(_line, indexes)).encode())
            file.write(b"".join(_row(content, item) for item in missing))
        command = [here.python, "-I", "-m", "pip", "install", "--quiet", "--no-input", "--no-deps", "--require-hashes"]
        done = run(
            [*command, "--disable-pip-version-check", "--no-warn-script-location", "-r", path],
            what=f"installing {summarise(names)}",
            seconds=seconds,
            hint=f"see with pip list what it left; {_REMEDY}",
            directory=directory,
        )
    if done.code:
        raise LockError(f"pip cannot install {summarise(names)}: {_why(done.output)}; {_REMEDY}")
    return names


def _why(output: str) -> str:
    """The first error that pip reports, or the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    reported = (line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: "))
    return next(reported, lines[-1] if lines else "no message")


def validate(requirements: str | os.PathLike[str], before: Surroundings, after: Surroundings) -> None:
    """Make sure that the requirements are there, and that nothing is broken that was not so before. Raises LockError."""
    names = {item.name for item in read(requirements).applicable(after.markers) if item.name and not item.constraint}
    problems = [f"{name} is not there" for name in sorted(names) if after.find(name) is None]
    problems += sorted(breakage(after) - breakage(before))
    if problems:
        raise LockError(f"after the installation {summarise(problems)}; repair the environment, {_WITHOUT}")


# -- where to look


def index_options(requirements: Requirements) -> list[str]:
    """Where its lines say that distributions are: options for pip, with the variables of this process in place of `${NAME}`, as pip has it."""
    return [_VARIABLE.sub(lambda found: os.environ.get(found[1], found[0]), option) for option in requirements.indexes]


def _line(option: str) -> str:
    """An option as a line of a requirements file."""
    name, _, value = option.partition("=")
    return f"{name}={shlex.quote(value)}\n" if value else f"{name}\n"


# -- the lock as text


def _rows(content: bytes, scratch: str) -> Requirements:
    path = os.path.join(scratch, "lock.txt")
    with open(path, "wb") as file:
        file.write(content)
    return read(path)


def _row(content: bytes, item: Item) -> bytes:
    """The lines of one row, from the one that names it to the last of its hashes."""
    lines = content.splitlines(keepends=True)
    end = start = (item.line or 1) - 1
    while lines[end].rstrip().endswith(b"\\"):
        end += 1
    return b"".join(lines[start : end + 1])


def _hashes_of(previous: bytes, scratch: str) -> dict[tuple[str, str], list[str]]:
    """What an earlier lock says; one that cannot be read says nothing."""
    try:
        rows = _rows(previous, scratch).items
    except RequirementsError:
        return {}
    return {(str(item.name), item.pin): list(item.hashes) for item in rows if item.pin and item.hashes}


def _directory(requirements: str | os.PathLike[str]) -> str:
    return os.path.dirname(os.path.abspath(requirements))
