"""A model's whole way once, with MLflow: trained, registered with its environment, deployed, served. Runs as a process of its own.

`python -I -m registration.trial REQUEST`: so nothing that MLflow sets, prints or warns of reaches the command that shows it. REQUEST is a
`Request` as JSON. What happens goes, a JSON object a line, to the file descriptor that the request names. The end of standard input is the wish to stop:
what was started is ended first.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from registration.console import count, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffing.report import Report
    from registration.deploying import Deployed
    from registration.events import Event
    from registration.serving import Server
    from snapshot.store import Store

MODEL = "quickstart"

_COLUMNS = ["area", "rooms", "age"]
#: One flat that the model has not seen.
_QUESTION = [72.5, 3.0, 12.0]


@dataclass(frozen=True, slots=True)
class Request:
    """Where everything goes: `home` is a directory for MLflow's registry and the deployment, `store` and `cache` those of envparity.

    `prefix` is the environment, `messages` an open file descriptor.
    """

    prefix: str
    home: str
    store: str
    cache: str | None
    messages: int


@dataclass(slots=True)
class _Part:
    """What a step that is under way says of itself."""

    detail: str = ""


class Teller:
    """Writes messages: what is under way, each step when it ended, and what came of it."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def say(self, **message: Any) -> None:
        self._out.write(json.dumps(message) + "\n")
        self._out.flush()

    def doing(self, text: str) -> None:
        self.say(doing=text)

    def ended(self, name: str, detail: str, seconds: float, *, ok: bool = True, notes: tuple[str, ...] = ()) -> None:
        self.say(step={"name": name, "ok": ok, "detail": detail, "seconds": seconds, "notes": notes})

    def report(self, report: Report) -> None:
        from diffing.rendering import document

        self.say(report=document.encode(report))

    @contextmanager
    def step(self, name: str) -> Iterator[_Part]:
        """Tell of a step when it ended. A server that does not do what it should is a check that failed: that is told, and raised."""
        from registration.serving import ServerError

        part, begin = _Part(), time.perf_counter()
        try:
            yield part
        except ServerError as error:
            self.ended(name, str(error), time.perf_counter() - begin, ok=False, notes=error.log)
            raise
        self.ended(name, part.detail, time.perf_counter() - begin)


@dataclass(frozen=True, slots=True)
class _Logged:
    """A model that was logged. `prediction` is what it said to `_QUESTION` then."""

    uri: str
    prediction: float
    detail: str


def run(request: Request, tell: Teller) -> None:
    """Do all of it. A check that fails is told, and ends it."""
    from registration.serving import ServerError
    from snapshot.store import Store

    store = Store(request.store, cache=request.cache)
    tell.doing("starting MLflow, and training a model")
    with tell.step("train") as step:
        logged = _train(request.home)
        step.detail = logged.detail
    with tell.step("register") as step:
        uri, step.detail = _register(logged, store, tell)
    tell.say(model=uri)
    deployed = _deploy(uri, request.home, store, tell)
    if deployed is not None:
        try:
            _serve(deployed, request.home, logged.prediction, tell)
        except ServerError:
            traceback.print_exc()  # for whoever looks into the log; what matters was told


def _train(home: str) -> _Logged:
    """A small forest that estimates rents which nobody pays."""
    import mlflow
    import numpy as np
    import pandas as pd
    import sklearn
    from sklearn.ensemble import RandomForestRegressor

    mlflow.set_tracking_uri(f"sqlite:///{home}/mlflow.db")
    mlflow.set_experiment(experiment_id=mlflow.create_experiment(MODEL, os.path.join(home, "artifacts")))
    random = np.random.default_rng(0)
    flats = pd.DataFrame(
        {"area": random.uniform(25, 150, 400), "rooms": random.integers(1, 6, 400), "age": random.integers(0, 99, 400)},
        columns=_COLUMNS,
        dtype=float,
    )
    rent = 9 * flats["area"] + 40 * flats["rooms"] - flats["age"] + random.normal(0, 30, 400)
    forest = RandomForestRegressor(n_estimators=20, random_state=0).fit(flats, rent)
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(
            forest,
            name=MODEL,
            input_example=flats[:2],
            serialization_format="cloudpickle",  # skops, the other one, wants to be told which classes it may load
            pip_requirements=[
                f"mlflow=={mlflow.__version__}",
                f"pandas=={pd.__version__}",
                f"scikit-learn=={sklearn.__version__}",
            ],
        )
    question = pd.DataFrame([_QUESTION], columns=_COLUMNS)
    detail = f"a random forest, logged with MLflow {mlflow.__version__}"
    return _Logged(info.model_uri, float(forest.predict(question)[0]), detail)


def _register(logged: _Logged, store: Store, tell: Teller) -> tuple[str, str]:
    """MLflow's own call. The model's URI, and what was packed."""
    import mlflow

    import registration

    pack = registration.EnvPack(
        # The lock has hashes, which an index must be asked for: a trial needs no network. What the model requires is installed.
        install_dependencies=False,
        # Whatever this environment is like: it goes nowhere.
        size_limit=sys.maxsize,
        budget=sys.maxsize,
        allow_cuda=True,
    )
    name = _free(store)
    with registration.enable(store=store, said=tell.doing):
        version = mlflow.register_model(logged.uri, name, env_pack=pack).version
    reference = store.resolve(f"{name}/{version}")
    found = store.snapshot(reference)
    packed = sum(blob.size for blob in store.manifest(reference).content.values())
    files = sum(layer.files for layer in found.layers)
    detail = f"{name}/{version}: {count(files, 'file')}, {size(found.raw_bytes)}, {size(packed)} packed"
    return f"models:/{name}/{version}", detail


def _free(store: Store) -> str:
    """A model's name that the store does not know: the registry is a new one, which begins with version 1."""
    known = {str(each.name).partition("/")[0] for each in store.references()}
    name, number = MODEL, 1
    while name in known:
        number += 1
        name = f"{MODEL}-{number}"
    return name


def _deploy(uri: str, home: str, store: Store, tell: Teller) -> Deployed | None:
    """None where a check failed."""
    from registration.checking import RefusedError
    from registration.deploying import deploy

    events: list[Event] = []

    def note(event: Event) -> None:
        events.append(event)
        tell.doing(f"deploying: after {event.what}")

    try:
        done = deploy(uri, os.path.join(home, "deployed"), store, variables=os.environ, events=note)
    except RefusedError as error:
        _tell_deployment(events, tell)
        if error.report is not None:
            tell.report(error.report)
        return None
    _tell_deployment(events, tell)
    tell.report(done.report)
    return done


def _tell_deployment(events: list[Event], tell: Teller) -> None:
    """The steps of the log as three: what makes the environment, and the two that check it. One that failed says why."""
    checks = {event.what: event for event in events if event.what in {"verify", "parity"}}
    making = [event for event in events if event.what not in checks]
    failed = [event.detail for event in making if not event.ok]
    links = [event for event in making if event.what == "link"]
    detail = "; ".join(failed) or "".join(
        f"{count(each.files, 'file')} restored by {each.detail}, nothing was built" for each in links
    )
    tell.ended("deploy", detail, sum(event.seconds or 0.0 for event in making), ok=not failed)
    for name, event in checks.items():
        detail = event.detail
        if event.ok and event.files:
            detail = f"{count(event.files, 'file')} as captured, by {detail}"
        tell.ended(name, detail, event.seconds or 0.0, ok=event.ok)


def _serve(deployed: Deployed, home: str, trained: float, tell: Teller) -> None:
    """Start the scoring server of the restored environment, ask it once, and stop it. Raises ServerError."""
    from registration.serving import Server, ServerError

    tell.doing("starting MLflow's scoring server in the deployed environment")
    server = Server(deployed.destination, os.environ, log=os.path.join(home, "server.log"))
    try:
        with tell.step("serve") as step:
            server.start()
            step.detail = f"MLflow's scoring server, {server.url}"
        with tell.step("predict") as step:
            served = _ask(server)
            tell.say(predictions={"trained": trained, "served": served})
            if served != trained:
                raise ServerError(f"{trained!r} trained, {served!r} served: not equal")
            step.detail = f"{trained!r} trained, {served!r} served"
    finally:
        server.stop()


def _ask(server: Server) -> object:
    body = json.dumps({"dataframe_split": {"columns": _COLUMNS, "data": [_QUESTION]}})
    answer = json.loads(server.predict(body.encode()))
    return answer["predictions"][0]


def _stop_at_the_end_of_input() -> None:
    """Wait for the end of standard input, then interrupt the main thread as Control-C would."""
    os.read(0, 1)
    ident = threading.main_thread().ident
    if ident is not None:
        # To that very thread: what it waits for is interrupted, too.
        signal.pthread_kill(ident, signal.SIGINT)


def main() -> int:
    from registration.cli import INTERRUPTED, describe_error

    request = Request(**json.loads(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started this may ignore it
    threading.Thread(target=_stop_at_the_end_of_input, daemon=True).start()
    with open(request.messages, "w", encoding="utf-8") as out:
        tell = Teller(out)
        try:
            run(request, tell)
        except KeyboardInterrupt:
            return INTERRUPTED
        except Exception as error:  # noqa: BLE001 (whatever it is, the command shows one line)
            traceback.print_exc()
            tell.say(error=describe_error(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
