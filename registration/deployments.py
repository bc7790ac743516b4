"""Deployments that outlive the command: each a server process in an environment of its own, recorded in a directory.

`DIR/NAME/state.json` names the generation that serves, and those that do not: one that is being made, or is being taken down. Whoever
comes next, after a command that was killed, ends the latter and removes what they left. A generation is `DIR/NAME/NUMBER/env` and
`DIR/NAME/NUMBER/server.log`; what was done stands in `DIR/NAME/events.jsonl`. The log of a server that failed to take over is
`DIR/.NAME.failed.log`, until the next one succeeds.
"""

from __future__ import annotations

import json
import os
import secrets
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, unquote

from registration import processes
from registration.claiming import held
from registration.errors import RegistrationError
from registration.events import Log
from registration.serving import STARTUP, Server, ServerError, predict, tail
from snapshot.store.area import remove

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from snapshot.store import Store

FLAVOR = "python_function"
_SCHEMA = 1
_STATE = "state.json"
_LOG = "server.log"
_EVENTS = "events.jsonl"


class NoSuchDeploymentError(RegistrationError, LookupError):
    """A name that no deployment has."""


class DeploymentExistsError(RegistrationError, FileExistsError):
    """A name that a deployment has already."""


class DeploymentNameError(RegistrationError, ValueError):
    """A name that no deployment can have."""


class StateError(RegistrationError, ValueError):
    """A record that cannot be read."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a deployment is made and served; see `deploying.deploy` and `serving.Server`. `timeout` in seconds."""

    store: str | None = None
    tracking_uri: str | None = None
    policy: str | None = None
    verify: Literal["full", "quick"] = "quick"
    host: str = "127.0.0.1"
    workers: int = 1
    timeout: float = STARTUP


@dataclass(frozen=True, slots=True)
class Generation:
    """One version of a deployment. `identity` is None until its server runs."""

    number: int
    mark: str
    model_uri: str
    label: str = ""
    snapshot: str = ""
    parity_root: str = ""
    url: str = ""
    identity: processes.Identity | None = None


@dataclass(frozen=True, slots=True)
class State:
    """`current` serves; `others` are to be ended and removed."""

    name: str
    settings: Settings
    current: Generation | None = None
    others: tuple[Generation, ...] = field(default_factory=tuple)


class Deployments:
    """The deployments in one directory. Changes of one deployment wait for each other, between processes too."""

    def __init__(
        self,
        directory: str | os.PathLike[str],
        variables: Mapping[str, str],
        store: Store | None = None,
        *,
        cache: str | None = None,
    ) -> None:
        """`variables` are those that servers run with, `store` the one for deployments whose settings name none; `cache` is that of every
        other store.
        """
        self.directory = Path(os.path.abspath(directory))
        self._variables = variables
        self._store = store
        self._cache = cache

    def create(self, name: str, model_uri: str, settings: Settings | None = None) -> State:
        """Deploy and serve; returns when the server has answered. Raises DeploymentExistsError, and what `deploy` and `Server` raise."""
        with self._changing(name) as state:
            if state is not None:
                raise DeploymentExistsError(f"there is a deployment {name!r} already; update it, or delete it first")
            return self._replace(State(name, settings or Settings()), model_uri, Log())

    def update(self, name: str, model_uri: str | None = None, settings: Settings | None = None) -> State:
        """Start another version (or the same URI again), check it, switch to it, and only then stop the one that served.

        Whatever goes wrong leaves that one serving. Raises NoSuchDeploymentError, and what `deploy` and `Server` raise.
        """
        with self._changing(name) as state:
            current = self._current(name, state)
            kept = Settings() if state is None else state.settings
            return self._replace(State(name, settings or kept, current), model_uri or current.model_uri, Log())

    def delete(self, name: str) -> bool:
        """Stop it and remove all of it. False where there is none."""
        with self._changing(name) as state:
            self._failed(name).unlink(missing_ok=True)
            if state is None:
                return False
            rest = (*state.others, *([state.current] if state.current is not None else []))
            self._clear(replace(state, current=None, others=rest), Log())
            remove(os.fspath(self._home(name)))
            return True

    def get(self, name: str) -> State:
        """Raises NoSuchDeploymentError."""
        state = self._load(name)
        self._current(name, state)
        assert state is not None  # noqa: S101 (`_current` has seen it)
        return state

    def names(self) -> tuple[str, ...]:
        try:
            found = [
                unquote(path.name.replace("=", "%")) for path in self.directory.iterdir() if (path / _STATE).is_file()
            ]
        except FileNotFoundError:
            return ()
        return tuple(sorted(name for name in found if (state := self._load(name)) is not None and state.current))

    def serves(self, state: State) -> bool:
        """Whether its server runs."""
        current = state.current
        return current is not None and current.identity is not None and processes.alive(current.identity)

    def log(self, state: State) -> Path:
        """The log of its server."""
        number = 0 if state.current is None else state.current.number
        return self._home(state.name) / str(number) / _LOG

    def predict(self, name: str, body: bytes) -> bytes:
        """The answer of what serves now. Raises NoSuchDeploymentError and ServerError."""
        while True:
            state = self.get(name)
            url = self._current(name, state).url
            try:
                return predict(url, body)
            except ServerError as error:
                # Another version may have taken over between the two.
                if self._current(name, self._load(name)).url != url:
                    continue
                if self.serves(state):
                    raise
                raise self._dead(state) from error

    def _dead(self, state: State) -> ServerError:
        lines: tuple[str, ...] = ()
        with suppress(FileNotFoundError), self.log(state).open("rb") as file:
            lines = tail(file)
        last = f": {lines[-1]}" if lines else ""
        return ServerError(
            f"the server of deployment {state.name!r} has ended{last}; update the deployment to start it again, its log is "
            f"{self.log(state)}",
            lines,
        )

    def _replace(self, state: State, model_uri: str, log: Log) -> State:
        """Make the next generation, switch to it, end the one before."""
        number = 1 if state.current is None else state.current.number + 1
        new = Generation(number, secrets.token_hex(16), model_uri)
        # Before anything is made: what is not recorded could not be taken away by somebody else.
        self._save(replace(state, others=(*state.others, new)))
        home = self._home(state.name)
        try:
            new = self._start(new, state, home / str(number), log)
            with log.step("switch") as step:
                step.detail = f"{new.url} serves {new.label}"
                before = () if state.current is None else (state.current,)
                switched = replace(state, current=new, others=before)
                self._save(switched)
        except BaseException:  # Control-C too: a server that nobody knows of would stay
            self._clear(replace(state, others=(*state.others, new)), log)
            if state.current is not None:
                log.write(home / _EVENTS)
            raise
        self._failed(state.name).unlink(missing_ok=True)
        switched = self._clear(switched, log)
        log.write(home / _EVENTS)
        return switched

    def _start(self, new: Generation, state: State, home: Path, log: Log) -> Generation:
        from registration.deploying import deploy
        from snapshot.store import Store

        settings = state.settings
        home.mkdir(parents=True)
        done = deploy(
            new.model_uri,
            home / "env",
            self._store if settings.store is None else Store(settings.store, cache=self._cache),
            policy=settings.policy,
            variables=self._variables,
            verify=settings.verify,
            cache=self._cache,
            tracking_uri=settings.tracking_uri,
            events=log.take,
        )
        server = Server(
            done.destination,
            self._variables,
            host=settings.host,
            workers=settings.workers,
            log=home / _LOG,
            mark=new.mark,
            startup=settings.timeout,
            events=log,
        )
        try:
            server.start()
            server.check()
        except ServerError as error:
            server.stop()
            raise self._kept(state.name, home / _LOG, error) from error
        except BaseException:  # Control-C too: the server would stay
            server.stop()
            raise
        identity = server.release()
        return replace(
            new,
            label=done.label,
            snapshot=str(done.snapshot),
            parity_root=str(done.parity_root),
            url=server.url,
            identity=identity,
        )

    def _kept(self, name: str, log: Path, error: ServerError) -> ServerError:
        """The error, with the log of its server where it stays when all else of it is removed."""
        with suppress(FileNotFoundError):
            log.rename(self._failed(name))
        return ServerError(
            f"{str(error).removesuffix(f'; its log is {log}')}; its log is {self._failed(name)}", error.log
        )

    def _failed(self, name: str) -> Path:
        return self.directory / f".{self._home(name).name}.failed.log"

    def _clear(self, state: State, log: Log) -> State:
        """End and remove the generations that do not serve; the deployment itself when none is left."""
        self._save(state)
        home = self._home(state.name)
        for each in state.others:
            with log.step("stop") as step:
                step.detail = f"{each.label or each.model_uri}: {processes.stop(each.mark, each.identity)} processes"
            if each.identity is not None:
                with suppress(ChildProcessError):  # nobody else waits for what this very process has started
                    os.waitpid(each.identity.pid, os.WNOHANG)
            remove(os.fspath(home / str(each.number)))
        state = replace(state, others=())
        if state.current is None:
            remove(os.fspath(home))
        else:
            self._save(state)
        return state

    @contextmanager
    def _changing(self, name: str) -> Iterator[State | None]:
        """Hold the deployment's lock, with what a killed command left ended and removed."""
        home = self._home(name)
        self.directory.mkdir(parents=True, exist_ok=True)
        with held(self.directory / f".{home.name}.lock"):
            state = self._load(name)
            if state is not None and (state.others or state.current is None):
                state = self._clear(state, Log())
            if state is None or state.current is None:
                remove(os.fspath(home))
                state = None
            yield state

    def _current(self, name: str, state: State | None) -> Generation:
        if state is None or state.current is None:
            raise NoSuchDeploymentError(f"there is no deployment {name!r} in {self.directory}")
        return state.current

    def _home(self, name: str) -> Path:
        quoted = quote(name, safe="").replace("%", "=")  # MLflow takes a % in a model's path for an escape
        if not name or name.startswith(".") or len(quoted) > 200:
            raise DeploymentNameError(
                f"{name!r} cannot be the name of a deployment: want up to 200 characters, the first no full stop"
            )
        return self.directory / quoted

    def _load(self, name: str) -> State | None:
        path = self._home(name) / _STATE
        try:
            return _decode(json.loads(path.read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise StateError(
                f"{path} is no record of a deployment ({type(error).__name__}: {error}); a later envparity may have written it"
            ) from error

    def _save(self, state: State) -> None:
        home = self._home(state.name)
        home.mkdir(parents=True, exist_ok=True)
        path = home / f".{_STATE}.{os.getpid()}"
        path.write_text(json.dumps({"schema": _SCHEMA, **asdict(state)}, indent=1) + "\n", encoding="ascii")
        path.rename(home / _STATE)


def _decode(row: dict[str, Any]) -> State:
    if row["schema"] != _SCHEMA:
        raise ValueError(f"schema {row['schema']}")
    current = row["current"]
    return State(
        row["name"],
        Settings(**row["settings"]),
        None if current is None else _generation(current),
        tuple(map(_generation, row["others"])),
    )


def _generation(row: dict[str, Any]) -> Generation:
    identity = row["identity"]
    return Generation(**{**row, "identity": None if identity is None else processes.Identity(**identity)})
