"""Startup hooks: `.pth` files, sitecustomize and usercustomize, which run before any program does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from diffing.observation import Observation
from diffing.observing.sides import identity_of, owner_of, place_of, short
from diffing.verdict import Level
from snapshot.facts.model import PYTHON

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffing.model import FileChange, FileState
    from diffing.observing.sides import Sides
    from snapshot.facts.model import StartupHook

# By its name too, so that a side without recorded hooks hides none.
_HOOK = re.compile(
    r"(?:^|/)(?:site|dist)-packages/[^/]+\.(?P<pth>pth)\Z"
    r"|(?:^|/)(?:(?:site|dist)-packages|python3\.\d+t?)/(?P<custom>sitecustomize|usercustomize)(?:\.py|/__init__\.py|\.[\w.-]*so)\Z"
)


class Hooks:
    """Tells which differing files are hooks, and what is recorded of them."""

    def __init__(self, sides: Sides) -> None:
        self._sides = sides
        self._train, self._serve = (
            {hook.path: hook for hook in side.facts.startup or ()} for side in (sides.train, sides.serve)
        )

    def is_hook(self, change: FileChange) -> bool:
        """Whether a file is a hook on either side: by its name, or because it is recorded as one."""
        path = change.path
        if path.endswith(".pth") or "customize" in path:
            return _HOOK.search(path) is not None or bool(self._recorded(change))
        return path in self._serve or path in self._train

    def _recorded(self, change: FileChange) -> list[StartupHook]:
        pairs = ((change.before, self._train), (change.after, self._serve))
        return [hooks[state.path] for state, hooks in pairs if state is not None and state.path in hooks]

    def observe(self, change: FileChange, integrity: str) -> Observation:
        """The observation of a hook that differs."""
        recorded = self._recorded(change)
        path = place_of(change)
        owners = [owner_of(state.owner) for state in change.states]
        code = "no" if recorded and not any(hook.code for hook in recorded) else "yes"
        return Observation(
            kind=f"startup-{change.change}",
            level=Level.STARTUP,
            subject=path,
            owner=max((owner for owner in owners if owner), default=None),
            path=path,
            train=_show(change.before),
            serve=_show(change.after),
            attributes={
                "kind": recorded[0].kind if recorded else _kind_of_name(path),
                "code": code,
                "owned": self._owned(owners),
                "integrity": integrity,
                "layer": change.states[0].owner.kind.value,
            },
            identity=(identity_of(change.before), identity_of(change.after)),
            bytes=max(state.size for state in change.states),
        )

    def _owned(self, owners: list[str | None]) -> str:
        """`yes`, `no`, or `interpreter`, whose files nobody's RECORD lists: of the same build they are the same."""
        if PYTHON not in owners:
            return "yes" if all(owners) else "no"
        builds = [side.facts.build for side in (self._sides.train, self._sides.serve)]
        return "no" if self._sides.same_python and builds[0] == builds[1] else "interpreter"

    def outside(self) -> Iterator[Observation]:
        """Hooks outside of the environment (absolute paths) that one side alone has: no layer holds them."""
        if self._sides.train.facts.startup is None or self._sides.serve.facts.startup is None:
            return
        for path in sorted(self._train.keys() ^ self._serve.keys()):
            if path.startswith("/"):
                hook = self._train.get(path) or self._serve[path]
                added = path in self._serve
                yield Observation(
                    kind="startup-added" if added else "startup-removed",
                    level=Level.STARTUP,
                    subject=path,
                    owner=hook.owner or None,
                    path=path,
                    train=None if added else hook.kind,
                    serve=hook.kind if added else None,
                    attributes={
                        "kind": hook.kind,
                        "code": "yes" if hook.code else "no",
                        "owned": "yes" if hook.owner else "no",
                        "integrity": "unknown",
                        "layer": "outside",
                    },
                )


def _kind_of_name(path: str) -> str:
    match = _HOOK.search(path)
    return (match["custom"] or "pth") if match else "pth"


def _show(state: FileState | None) -> str | None:
    if state is None:
        return None
    return f"link to {state.content}" if state.type == "l" else short(state.content)
