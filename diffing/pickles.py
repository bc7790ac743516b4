"""What a pickle uses, read from its opcodes: nothing of it is ever loaded, and what a hostile one can cost is bounded.

Format: the opcode table of `pickletools`; joblib's raw arrays between opcodes as `joblib.numpy_pickle` writes them.
"""

from __future__ import annotations

import codecs
import pickletools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from diffing.bytestream import TruncatedError
from diffing.errors import DiffError

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffing.bytestream import Stream

#: What reading one pickle may cost. Real models of some hundred megabytes stay far below.
MOST_OPCODES = 30_000_000
MOST_KEPT = 1_000_000
MOST_NAMES = 100_000
#: A pickle in the bytes of a pickle in the bytes of … this many times.
DEEPEST = 8
_LONGEST_NAME = 300
_LONGEST_LINE = 1 << 24
_SHORT = 64
_KEYS = 16

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


class DamagedPickleError(DiffError, ValueError):
    """The opcodes make no sense, or end too early."""


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


class _Mark:
    pass


_MARK = _Mark()


def scan(stream: Stream, contents: Contents, *, budget: list[int] | None = None, depth: int = 0) -> None:
    """Read one pickle from `stream`, up to its STOP, and add what it uses to `contents`.

    `budget` is how many opcodes may still be read, shared with the pickles inside. Raises DamagedPickleError or PickleTooLargeError.
    """
    _Reading(stream, contents, [MOST_OPCODES] if budget is None else budget, depth).run()


class _Reading:
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
        read, budget, actions = self.stream.read, self.budget, _ACTIONS
        while True:
            if budget[0] <= 0:
                raise PickleTooLargeError(f"more than {MOST_OPCODES:,} opcodes")
            budget[0] -= 1
            code = read(1)
            action = actions.get(code)
            if action is None:
                raise DamagedPickleError(f"no such opcode: {code!r} at byte {self.stream.position - 1}")
            if action is _STOP:
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
        if value is _MARK:
            raise IndexError
        return value

    def pop_to_mark(self) -> list[Any]:
        stack = self.stack
        at = len(stack) - 1
        while stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise IndexError
        found = stack[at + 1 :]
        del stack[at:]
        return found

    def put(self, place: int) -> None:
        value = self.stack[-1]
        if value is _MARK or place < 0:
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
        value = raw.decode("utf-8", "replace") if len(raw) <= _LONGEST_NAME else ""
        named = bool(value) and _NAME.match(value) is not None
        self.stack.append(value if named or 0 < len(value) <= _SHORT else None)
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


# -- actions by opcode


def _STOP(reading: _Reading) -> None:  # noqa: N802 - the opcode's name
    """Only compared with: the loop ends there."""


def _integer(reading: _Reading, size: int, *, signed: bool = False) -> int:
    return int.from_bytes(reading.stream.read(size), "little", signed=signed)


def _line(reading: _Reading) -> bytes:
    return reading.stream.line(_LONGEST_LINE)


def _text_line(reading: _Reading) -> str:
    return _line(reading).decode("utf-8", "replace")


def _sized_text(prefix: int) -> Callable[[_Reading], None]:
    def action(reading: _Reading) -> None:
        size = _integer(reading, prefix)
        if size <= _LONGEST_NAME:
            reading.text(reading.stream.read(size))
        else:
            reading.stream.skip(size)
            reading.stack.append(None)

    return action


def _sized_bytes(prefix: int) -> Callable[[_Reading], None]:
    return lambda reading: reading.bytes_of(_integer(reading, prefix))


def _unicode_line(reading: _Reading) -> None:
    raw = _line(reading)
    short = len(raw) <= 6 * _LONGEST_NAME  # an escape takes six characters
    reading.text(raw.decode("raw-unicode-escape").encode("utf-8", "replace") if short else b"")


def _quoted_line(reading: _Reading) -> None:
    raw = _line(reading).strip()
    if len(raw) < 2 or raw[:1] not in {b"'", b'"'} or raw[:1] != raw[-1:]:
        raise ValueError
    short = len(raw) <= 6 * _LONGEST_NAME
    reading.text(codecs.escape_decode(raw[1:-1])[0] if short else b"")  # as pickle does


def _number_line(reading: _Reading) -> None:
    raw = _line(reading).strip().rstrip(b"L")
    reading.stack.append(int(raw) if len(raw) < 20 and raw.lstrip(b"-").isdigit() else None)


def _long(prefix: int) -> Callable[[_Reading], None]:
    def action(reading: _Reading) -> None:
        size = _integer(reading, prefix)
        if size <= 16:
            reading.stack.append(_integer(reading, size, signed=True))
        else:
            reading.stream.skip(size)
            reading.stack.append(None)

    return action


def _fixed(size: int, *, signed: bool = False) -> Callable[[_Reading], None]:
    return lambda reading: reading.stack.append(_integer(reading, size, signed=signed))


def _tuple_of(count: int) -> Callable[[_Reading], None]:
    def action(reading: _Reading) -> None:
        items = [reading.pop() for _ in range(count)]
        reading.stack.append(tuple(reversed(items)))

    return action


def _tuple(reading: _Reading) -> None:
    items = reading.pop_to_mark()
    reading.stack.append(tuple(items) if len(items) <= _SHORT else None)


def _set_items(reading: _Reading, items: list[Any]) -> None:
    target = reading.stack[-1]
    if isinstance(target, dict):
        for key, value in zip(items[::2], items[1::2], strict=False):
            if isinstance(key, str) and value is not None and len(target) < _KEYS:
                target[key] = value


def _set_item(reading: _Reading) -> None:
    value, key = reading.pop(), reading.pop()
    _set_items(reading, [key, value])


def _dict(reading: _Reading) -> None:
    items = reading.pop_to_mark()
    reading.stack.append({})
    _set_items(reading, items)


def _global(reading: _Reading) -> None:
    module = _text_line(reading)
    reading.look_up(module, _text_line(reading))


def _stack_global(reading: _Reading) -> None:
    name, module = reading.pop(), reading.pop()
    reading.look_up(module, name)


def _instance(reading: _Reading) -> None:
    _global(reading)
    function = reading.pop()
    reading.call(function, tuple(reading.pop_to_mark()[:_SHORT]))


def _object(reading: _Reading) -> None:
    function, *arguments = reading.pop_to_mark() or [None]
    reading.call(function, tuple(arguments[:_SHORT]))


def _reduce(reading: _Reading) -> None:
    arguments, function = reading.pop(), reading.pop()
    reading.call(function, arguments)


def _new_with_keywords(reading: _Reading) -> None:
    reading.pop()
    _reduce(reading)


def _extension(size: int) -> Callable[[_Reading], None]:
    def action(reading: _Reading) -> None:
        code = _integer(reading, size)
        reading.contents.problems.add(f"extension code {code}: what it stands for is only known where it is loaded")
        reading.stack.append(None)

    return action


def _protocol(reading: _Reading) -> None:
    version = _integer(reading, 1)
    if version > pickle_protocol():
        raise DamagedPickleError(f"pickle protocol {version} is not known")


def pickle_protocol() -> int:
    """The newest protocol that the opcode table has."""
    return max(opcode.proto for opcode in pickletools.opcodes)


def _general(opcode: pickletools.OpcodeInfo) -> Callable[[_Reading], None]:
    """An opcode of which only the effect on the stack matters: what it makes is never a name."""
    before, after = list(opcode.stack_before), len(opcode.stack_after)
    marked = pickletools.markobject in before
    below = before.index(pickletools.markobject) if marked else len(before)
    size = opcode.arg.n if opcode.arg else 0

    def action(reading: _Reading) -> None:
        if size == pickletools.UP_TO_NEWLINE:
            _line(reading)
        elif size:
            reading.stream.skip(size)
        if marked:
            reading.pop_to_mark()
        for _ in range(below):
            reading.pop()
        reading.stack.extend([None] * after)

    return action


def _keep_below(opcode: pickletools.OpcodeInfo) -> Callable[[_Reading], None]:
    """APPEND and its like: they change an object that stays where it is."""
    marked = pickletools.markobject in opcode.stack_before

    def action(reading: _Reading) -> None:
        if marked:
            reading.pop_to_mark()
        else:
            reading.pop()
        if reading.stack[-1] is _MARK:
            raise IndexError

    return action


def _pop(reading: _Reading) -> None:
    del reading.stack[-1]  # a mark too


def _pop_to_mark(reading: _Reading) -> None:
    reading.pop_to_mark()


def _table() -> dict[bytes, Callable[[_Reading], None]]:
    special: dict[str, Callable[[_Reading], None]] = {
        "STOP": _STOP,
        "PROTO": _protocol,
        "MARK": lambda reading: reading.stack.append(_MARK),
        "POP": _pop,
        "POP_MARK": _pop_to_mark,
        "DUP": lambda reading: reading.stack.append(reading.stack[-1]),
        "MEMOIZE": _Reading.memoize,
        "PUT": lambda reading: reading.put(int(_line(reading)[:20])),
        "BINPUT": lambda reading: reading.put(_integer(reading, 1)),
        "LONG_BINPUT": lambda reading: reading.put(_integer(reading, 4)),
        "GET": lambda reading: reading.get(int(_line(reading)[:20])),
        "BINGET": lambda reading: reading.get(_integer(reading, 1)),
        "LONG_BINGET": lambda reading: reading.get(_integer(reading, 4)),
        "UNICODE": _unicode_line,
        "STRING": _quoted_line,
        "INT": _number_line,
        "LONG": _number_line,
        "BININT": _fixed(4, signed=True),
        "BININT1": _fixed(1),
        "BININT2": _fixed(2),
        "LONG1": _long(1),
        "LONG4": _long(4),
        "EMPTY_TUPLE": lambda reading: reading.stack.append(()),
        "TUPLE": _tuple,
        "EMPTY_DICT": lambda reading: reading.stack.append({}),
        "DICT": _dict,
        "SETITEM": _set_item,
        "SETITEMS": lambda reading: _set_items(reading, reading.pop_to_mark()),
        "GLOBAL": _global,
        "STACK_GLOBAL": _stack_global,
        "INST": _instance,
        "OBJ": _object,
        "REDUCE": _reduce,
        "NEWOBJ": _reduce,
        "NEWOBJ_EX": _new_with_keywords,
        "BUILD": _Reading.build,
    }
    special |= {f"TUPLE{count}": _tuple_of(count) for count in (1, 2, 3)}
    special |= {f"EXT{size}": _extension(size) for size in (1, 2, 4)}
    special |= {name: _sized_text(size) for name, size in _TEXTS}
    special |= {name: _sized_bytes(size) for name, size in _BYTES}
    kept = {"APPEND", "APPENDS", "ADDITEMS"}
    return {
        opcode.code.encode("latin-1"): special.get(opcode.name)
        or (_keep_below(opcode) if opcode.name in kept else _general(opcode))
        for opcode in pickletools.opcodes
    }


_TEXTS = (("SHORT_BINUNICODE", 1), ("BINUNICODE", 4), ("BINUNICODE8", 8), ("SHORT_BINSTRING", 1), ("BINSTRING", 4))
_BYTES = (("SHORT_BINBYTES", 1), ("BINBYTES", 4), ("BINBYTES8", 8), ("BYTEARRAY8", 8))
_ACTIONS = _table()
