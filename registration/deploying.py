"""Deploy: a registered model and its environment to a directory, restored and not built, checked before it counts. Orchestration only."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from registration import checking
from registration.claiming import Claim, OccupiedError, claimed
from registration.events import Log
from registration.resolving import MistakenError, resolving
from registration.serving import MODEL
from snapshot.cache import LayerCache
from snapshot.home import DEPLOYMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from diffing.policy import Policy
    from diffing.report import Report
    from registration.events import Event
    from registration.resolving import Resolution, Target
    from snapshot.digest import Digest
    from snapshot.place import Link
    from snapshot.progress import Progress
    from snapshot.store import Store


@dataclass(frozen=True, slots=True)
class Deployed:
    """What was deployed. `again`: the same snapshot was there before, and was only checked."""

    uri: str
    label: str
    snapshot: Digest
    parity_root: Digest
    destination: Path
    python: Path
    model: Path
    report: Report
    events: tuple[Event, ...]
    again: bool
    seconds: float

    @property
    def log(self) -> Path:
        return self.destination / DEPLOYMENT


def deploy(
    model_uri: str,
    destination: str | os.PathLike[str] | Callable[[Target], str | os.PathLike[str]],
    store: Store | None = None,
    *,
    policy: Policy | str | os.PathLike[str] | None = None,
    variables: Mapping[str, str] | None = None,
    verify: Literal["full", "quick"] = "quick",
    link: Link = "auto",
    candidates: Sequence[str | os.PathLike[str]] = (),
    cache: str | os.PathLike[str] | None = None,
    tracking_uri: str | None = None,
    nearby: Store | None = None,
    progress: Progress | None = None,
    events: Callable[[Event], None] | None = None,
) -> Deployed:
    """Make the environment and the model of `model_uri` at `destination`, which is missing, empty, or has this very snapshot.

    `model_uri`, `store`, `cache`, `tracking_uri` and `nearby` as in `resolving.resolving`; `destination` may be a function of what was resolved.
    `policy`: a policy or its file; `variables`: those that a server will be started with; `verify`, `link` and `candidates` as in `snapshot.restore`. Each
    step is given to `events`, and stands in the log at `.envparity/deploy.jsonl` in the end, unless the snapshot was there already and nothing can be written. What is refused
    is taken away again, unless it was there before.
    Raises NotDeployableError, OccupiedError, RefusedError, and what `snapshot.preflight` and `snapshot.restore` raise.
    """
    begin = time.perf_counter()
    chosen = _policy(policy)
    with resolving(model_uri, store, cache=cache, tracking_uri=tracking_uri, nearby=nearby) as resolution:
        work = _Work(resolution, destination, Log(events), chosen, variables, verify, link, candidates, progress)
        if resolution.guess is not None:
            with suppress(MistakenError):
                return work.deploy(resolution.guess, begin)
            work.log.add("remove", detail=f"{resolution.guess.label} of {resolution.guess.store} is not what is meant")
        return work.deploy(resolution.settle(work.log), begin)


@dataclass(frozen=True, slots=True)
class _Work:
    """What is done for a target; see `deploy`."""

    resolution: Resolution
    destination: str | os.PathLike[str] | Callable[[Target], str | os.PathLike[str]]
    log: Log
    policy: Policy | None
    variables: Mapping[str, str] | None
    verify: Literal["full", "quick"]
    link: Link
    candidates: Sequence[str | os.PathLike[str]]
    progress: Progress | None

    def deploy(self, target: Target, begin: float) -> Deployed:
        """Deploy `target`. Raises MistakenError when it is not what the registry means: then all is as it was before."""
        place = Path(os.path.abspath(self.destination(target) if callable(self.destination) else self.destination))
        if _is_settled(place, target):
            return self._as_it_is(target, place, begin)
        with claimed(place) as claim:
            again = False
            try:
                with self.resolution.confirming(target, self.log):
                    again = _is_there(claim, place, target)
                    if not again:
                        self._preflight(target, place)
                        claim.begin(target.reference.snapshot)
                        self._restore(target, place)
                    report = self._check(target, place)
            except BaseException:  # Control-C too: the destination appears whole or not at all
                claim.clear()
                if again and self.resolution.means(target):
                    self.log.write(place / DEPLOYMENT)
                raise
            self.log.write(place / DEPLOYMENT)
            claim.finish()
        return _deployed(target, place, report, self.log, again=again, seconds=time.perf_counter() - begin)

    def _as_it_is(self, target: Target, place: Path, begin: float) -> Deployed:
        """Check what is there already, where nothing can be written: in an image, for one. There is no log of it."""
        with self.resolution.confirming(target, self.log):
            report = self._check(target, place)
        return _deployed(target, place, report, self.log, again=True, seconds=time.perf_counter() - begin)

    def _preflight(self, target: Target, place: Path) -> None:
        """Raises RefusedError with all that stands in the way on this host, and what to do about each."""
        import snapshot

        with self.log.step("preflight") as step:
            found = snapshot.preflight(
                target.reference.snapshot,
                place,
                target.store,
                link=self.link,
                candidates=self.candidates,
                library_path=(self.variables or {}).get("LD_LIBRARY_PATH", ""),
            )
            if not found.ok:
                said = "; ".join(map(str, found.problems))
                raise checking.RefusedError(f"{target.label} cannot be deployed to {place} on this host: {said}")
            step.bytes = found.needed_bytes
            notices = [each.detail for each in (*found.warnings, *found.unknown)]
            step.detail = "; ".join(notices) or f"this host has what it needs, {found.link}"

    def _restore(self, target: Target, place: Path) -> None:
        """Restore, and note what came from the store, what was linked and what was written. There is no step that builds."""
        import snapshot

        found = target.store.snapshot(target.reference)
        content = target.store.manifest(target.reference).content
        cache = LayerCache(target.store.cache)
        missing = [layer for layer in found.layers if not cache.has(layer.tree)]
        watch = _Watch(self.progress)
        restored = snapshot.restore(
            target.reference.snapshot,
            place,
            target.store,
            link=self.link,
            verify=self.verify,
            candidates=self.candidates,
            progress=watch.report,
        )
        self.log.add(
            "fetch",
            watch.seconds if missing else 0.0,
            files=sum(layer.files for layer in missing),
            bytes=sum(content[layer.diff_id].size for layer in missing),
            detail=f"{len(missing):,} of {len(found.layers):,} layers unpacked",
        )
        self.log.add(
            "link",
            restored.seconds - (watch.seconds if missing else 0.0),
            files=restored.linked_files,
            bytes=found.raw_bytes,
            detail=restored.link,
        )
        self.log.add("write", files=restored.written_files, detail="what depends on the place (in link's time)")

    def _check(self, target: Target, place: Path) -> Report:
        return checking.check(
            target,
            place,
            self.log,
            policy=self.policy,
            variables=self.variables,
            full=self.verify == "full",
            progress=self.progress,
        )


def _deployed(target: Target, place: Path, report: Report, log: Log, *, again: bool, seconds: float) -> Deployed:
    return Deployed(
        uri=target.uri,
        label=target.label,
        snapshot=target.reference.snapshot,
        parity_root=target.store.snapshot(target.reference).parity_root,
        destination=place,
        python=place / "bin" / "python",
        model=place / MODEL,
        report=report,
        events=tuple(log.events),
        again=again,
        seconds=seconds,
    )


def _is_settled(place: Path, target: Target) -> bool:
    """Whether a finished deployment of the target is in a place beside which this process cannot write, not even its claim."""
    if os.access(place.parent, os.W_OK | os.X_OK) or not (place / DEPLOYMENT).exists():
        return False
    return Claim(place, -1).occupant() == target.reference.snapshot


def _is_there(claim: Claim, place: Path, target: Target) -> bool:
    """Whether the place has the snapshot already. Raises OccupiedError where it has another one, or anything else."""
    occupant = claim.occupant()
    if occupant is not None and occupant != target.reference.snapshot:
        raise OccupiedError(
            f"{place} has another snapshot ({occupant[:19]}), and {target.label} is {target.reference.snapshot.short}; "
            "choose another destination"
        )
    return occupant is not None


def _policy(policy: Policy | str | os.PathLike[str] | None) -> Policy | None:
    if not isinstance(policy, (str, os.PathLike)):
        return policy
    from diffing import policy as policies
    from diffing.rules import catalogue

    return policies.read(policy, catalogue.load().ids)


class _Watch:
    """Sees from a restore's progress how long unpacking took."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._begin = time.perf_counter()
        self.seconds = 0.0

    def report(self, stage: str, done: int, total: int) -> None:
        self.seconds = time.perf_counter() - self._begin
        if self._progress is not None:
            self._progress(stage, done, total)
