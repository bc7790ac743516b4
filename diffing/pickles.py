"""What a pickle uses, read from its opcodes: nothing of it is ever loaded, and what a hostile one can cost is bounded.

Format: the opcode table of `pickletools`; joblib's raw arrays between opcodes as `joblib.numpy_pickle` writes them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from diffing.bytestream import TruncatedError
from diffing.errors import DiffError
from diffing.opcodes import ACTIONS, LONGEST_NAME, MARK, SHORT, DamagedPickleError, stop

if TYPE_CHECKING:
    from diffing.bytestream import Stream

#: What reading one pickle may cost. Real models of some hundred megabytes stay far below.
MOST_OPCODES = 30_000_000
MOST_KEPT = 1_000_000
MOST_NAMES = 100_000
#: A pickle in the bytes of a pickle in the bytes of … this many times.
DEEPEST = 8

_NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*\Z")
_IMPORTERS = {
    ("cloudpickle.cloudpickle", "subimport"),
    ("cloudpickle.cloudpickle", "dynamic_subimport"),
    ("cloudpickle", "subimport"),
    ("dill._dill", "_import_module"),
    ("importlib", "import_module"),
    ("importlib._bootstrap", "_gcd_import"),
    ("builtins", "__import__"),
    ("__builtin__", "__import__"),
}
_BY_VALUE = {"_make_function", "_make_skel_func", "_fill_function", "_create_function", "_create_code", "CodeType"}


class PickleTooLargeError(DiffError, ValueError):
    """Reading it would take more than is allowed."""


class Global(NamedTuple):
    """A name that the pickle looks up in a module."""

    module: str
    name: str


@dataclass(slots=True)
class Contents:
    """What was found: names that are looked up, modules that are imported by name, and, in pickles that hold functions by
    value, every text that could be the name of a module. `problems` says what is not known.
    """

    names: set[Global] = field(default_factory=set)
    imports: set[str] = field(default_factory=set)
    mentions: set[str] = field(default_factory=set)
    by_value: bool = False
    problems: set[str] = field(default_factory=set)

    def add(self, other: Contents) -> None:
        self.names |= other.names
        self.imports |= other.imports
        self.mentions |= other.mentions
        self.problems |= other.problems


@dataclass(slots=True)
class _Made:
    """An object that the stream behind it depends on: a dtype, or joblib's wrapper of an array."""

    kind: Global
    arguments: Any
    state: Any = None


def scan(stream: Stream, contents: Contents, *, budget: list[int] | None = None, depth: int = 0) -> None:
    """Read one pickle from `stream`, up to its STOP, and add what it uses to `contents`.

    `budget` is how many opcodes may still be read, shared with the pickles inside. Raises DamagedPickleError or PickleTooLargeError.
    """
    Reading(stream, contents, [MOST_OPCODES] if budget is None else budget, depth).run()


class Reading:
    """The unpickler's stack and memo, with values only where they can become a name or say how long an array is."""

    def __init__(self, stream: Stream, contents: Contents, budget: list[int], depth: int) -> None:
        self.stream = stream
        self.contents = contents
        self.budget = budget
        self.depth = depth
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.lost = False  # whether the memo went without a value for want of room
        self.taken = 0  # places 0 … taken-1 of the memo are in use,
        self.beyond: set[int] = set()  # and these

    def run(self) -> None:
        read, budget, actions = self.stream.read, self.budget, ACTIONS
        while True:
            if budget[0] <= 0:
                raise PickleTooLargeError(f"more than {MOST_OPCODES:,} opcodes")
            budget[0] -= 1
            code = read(1)
            action = actions.get(code)
            if action is None:
                raise DamagedPickleError(f"no such opcode: {code!r} at byte {self.stream.position - 1}")
            if action is stop:
                return
            try:
                action(self)
            except DiffError:
                raise
            except (IndexError, TypeError, ValueError) as error:
                raise DamagedPickleError(f"it makes no sense at byte {self.stream.position:,}") from error
            if len(self.stack) > MOST_KEPT:
                raise PickleTooLargeError(f"more than {MOST_KEPT:,} objects wait on the stack")

    # -- stack and memo

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is MARK:
            raise IndexError
        return value

    def pop_to_mark(self) -> list[Any]:
        stack = self.stack
        at = len(stack) - 1
        while stack[at] is not MARK:
            at -= 1
            if at < 0:
                raise IndexError
        found = stack[at + 1 :]
        del stack[at:]
        return found

    def put(self, place: int) -> None:
        value = self.stack[-1]
        if value is MARK or place < 0:
            raise IndexError
        if isinstance(value, (dict, int)):
            value = None  # never looked for there
        if place == self.taken:
            self.taken += 1
            while self.taken in self.beyond:
                self.beyond.remove(self.taken)
                self.taken += 1
        elif place > self.taken:
            self.beyond.add(place)
            if len(self.beyond) > MOST_NAMES:
                raise PickleTooLargeError("its memo has no order")
        if value is None:
            self.memo.pop(place, None)
        elif len(self.memo) < MOST_KEPT:
            self.memo[place] = value
        else:
            self.memo.pop(place, None)
            self.lost = True

    def memoize(self) -> None:
        self.put(self.taken + len(self.beyond))

    def get(self, place: int) -> None:
        if place >= self.taken and place not in self.beyond:
            raise IndexError
        self.stack.append(self.memo.get(place))

    # -- what is looked for

    def text(self, raw: bytes) -> None:
        """A text that may become a name; others are of no interest."""
        value = raw.decode("utf-8", "replace") if len(raw) <= LONGEST_NAME else ""
        named = bool(value) and _NAME.match(value) is not None
        self.stack.append(value if named or 0 < len(value) <= SHORT else None)
        if named and self.contents.by_value:
            self.contents.mentions.add(value)
            self._bounded(self.contents.mentions)

    def look_up(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            why = "more objects than are kept in mind" if self.lost else "computed while it loads"
            self.contents.problems.add(f"a name in it is not known: {why}")
            self.stack.append(None)
            return
        found = Global(module, name)
        self.contents.names.add(found)
        self._bounded(self.contents.names)
        if name in _BY_VALUE:
            self.contents.by_value = True
        self.stack.append(found)

    def _bounded(self, found: set[Any]) -> None:
        if len(found) > MOST_NAMES:
            raise PickleTooLargeError(f"more than {MOST_NAMES:,} names")

    def call(self, function: Any, arguments: Any) -> None:
        """What a call makes, as far as it matters."""
        made = None
        if isinstance(function, Global) and isinstance(arguments, tuple):
            first = arguments[0] if arguments else None
            if function in _IMPORTERS:
                if isinstance(first, str):
                    self.contents.imports.add(first)
                    self._bounded(self.contents.imports)
                else:
                    self.contents.problems.add("it imports a module whose name is computed while it loads")
            if function.name == "_reconstructor" and isinstance(first, Global):
                function = first
            if function.name in _KEPT:
                made = _Made(function, arguments)
        self.stack.append(made)

    def build(self) -> None:
        state = self.pop()
        made = self.stack[-1]
        if isinstance(made, _Made):
            made.state = state
            if made.kind.module.startswith("joblib.") and made.kind.name == "NumpyArrayWrapper":
                self._raw_array(state)

    def _raw_array(self, state: Any) -> None:
        """Behind a wrapper joblib writes the array itself: its bytes, aligned, or a pickle of its own if it holds objects."""
        kind = state.get("dtype") if isinstance(state, dict) else None
        shape = state.get("shape") if isinstance(state, dict) else None
        if not isinstance(kind, _Made) or not isinstance(shape, tuple):
            raise DamagedPickleError("an array of joblib does not say how long it is")
        size = _item_size(kind)
        if size is None:
            if self.depth >= DEEPEST:
                raise PickleTooLargeError(f"pickles within pickles, more than {DEEPEST} deep")
            scan(self.stream, self.contents, budget=self.budget, depth=self.depth + 1)
            return
        for length in shape:
            if not isinstance(length, int) or length < 0:
                raise DamagedPickleError("an array of joblib does not say how long it is")
            size *= length
        if state.get("numpy_array_alignment_bytes"):
            self.stream.skip(self.stream.read(1)[0])
        self.stream.skip(size)

    def bytes_of(self, size: int) -> None:
        """Bytes: skipped, unless they are a pickle themselves."""
        self.stack.append(None)
        head = self.stream.peek(3) if size > 3 else b""
        if not (head[:1] == b"\x80" and head[1:2] in {b"\x02", b"\x03", b"\x04", b"\x05"}):
            self.stream.skip(size)
            return
        if self.depth >= DEEPEST:
            raise PickleTooLargeError(f"pickles within pickles, more than {DEEPEST} deep")
        part, inner = self.stream.part(size), Contents()
        try:
            scan(part, inner, budget=self.budget, depth=self.depth + 1)
        except (DamagedPickleError, TruncatedError):
            inner = Contents()  # data that only begins like one: no unpickler could read it either
        part.finish()
        self.contents.add(inner)


_KEPT = frozenset({"dtype", "NumpyArrayWrapper"})
_SIZE = re.compile(r"[<>=|]?([a-zA-Z])(\d*)\Z")


def _item_size(kind: _Made) -> int | None:
    """Bytes of one element (numpy's `dtype.__reduce__`), None where it is an object or holds one."""
    state = kind.state if isinstance(kind.state, tuple) else ()
    match = _SIZE.match(str(kind.arguments[0])) if kind.arguments else None
    if match is None:
        raise DamagedPickleError("an array of joblib has a type that is not known")
    flags = state[7] if len(state) > 7 and isinstance(state[7], int) else 0
    if match[1] == "O" or flags & 1:
        return None
    if match[1] == "V" and len(state) > 5 and isinstance(state[5], int) and state[5] >= 0:
        return state[5]
    return int(match[2] or 1) * (4 if match[1] == "U" else 1)
