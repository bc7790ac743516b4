"""What each opcode of a pickle does to the unpickler's stack, as far as names and lengths go: the table of `pickletools`, in actions."""

from __future__ import annotations

import codecs
import pickletools
import warnings
from typing import TYPE_CHECKING, Any

from diffing.errors import DiffError

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffing.pickles import Reading

#: Longer texts are no names, in bytes; longer lines are refused; of longer tuples and larger dictionaries the rest is of no interest.
LONGEST_NAME = 300
_LONGEST_LINE = 1 << 24
SHORT = 64
_KEYS = 16


class DamagedPickleError(DiffError, ValueError):
    """The opcodes make no sense, or end too early."""


class _Mark:
    """What MARK leaves on the stack."""


MARK = _Mark()


def stop(reading: Reading) -> None:
    """Only compared with: the loop ends there."""


def _integer(reading: Reading, size: int, *, signed: bool = False) -> int:
    return int.from_bytes(reading.stream.read(size), "little", signed=signed)


def _line(reading: Reading) -> bytes:
    return reading.stream.line(_LONGEST_LINE)


def _text_line(reading: Reading) -> str:
    return _line(reading).decode("utf-8", "replace")


def _sized_text(prefix: int) -> Callable[[Reading], None]:
    def action(reading: Reading) -> None:
        size = _integer(reading, prefix)
        if size <= LONGEST_NAME:
            reading.text(reading.stream.read(size))
        else:
            reading.stream.skip(size)
            reading.stack.append(None)

    return action


def _sized_bytes(prefix: int) -> Callable[[Reading], None]:
    return lambda reading: reading.bytes_of(_integer(reading, prefix))


def _unicode_line(reading: Reading) -> None:
    raw = _line(reading)
    short = len(raw) <= 6 * LONGEST_NAME  # an escape takes six characters
    reading.text(raw.decode("raw-unicode-escape").encode("utf-8", "replace") if short else b"")


def _quoted_line(reading: Reading) -> None:
    raw = _line(reading).strip()
    if len(raw) < 2 or raw[:1] not in {b"'", b'"'} or raw[:1] != raw[-1:]:
        raise ValueError
    if b"\\" not in raw:
        reading.text(raw[1:-1])
        return
    short = len(raw) <= 6 * LONGEST_NAME
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes that there are not
        reading.text(codecs.escape_decode(raw[1:-1])[0] if short else b"")  # as pickle does


def _number_line(reading: Reading) -> None:
    raw = _line(reading).strip().rstrip(b"L")
    reading.stack.append(int(raw) if len(raw) < 20 and raw.lstrip(b"-").isdigit() else None)


def _long(prefix: int) -> Callable[[Reading], None]:
    def action(reading: Reading) -> None:
        size = _integer(reading, prefix)
        if size <= 16:
            reading.stack.append(_integer(reading, size, signed=True))
        else:
            reading.stream.skip(size)
            reading.stack.append(None)

    return action


def _fixed(size: int, *, signed: bool = False) -> Callable[[Reading], None]:
    return lambda reading: reading.stack.append(_integer(reading, size, signed=signed))


def _tuple_of(count: int) -> Callable[[Reading], None]:
    def action(reading: Reading) -> None:
        items = [reading.pop() for _ in range(count)]
        reading.stack.append(tuple(reversed(items)))

    return action


def _tuple(reading: Reading) -> None:
    items = reading.pop_to_mark()
    reading.stack.append(tuple(items) if len(items) <= SHORT else None)


def _set_items(reading: Reading, items: list[Any]) -> None:
    target = reading.stack[-1]
    if isinstance(target, dict):
        for key, value in zip(items[::2], items[1::2], strict=False):
            if isinstance(key, str) and value is not None and len(target) < _KEYS:
                target[key] = value


def _set_item(reading: Reading) -> None:
    value, key = reading.pop(), reading.pop()
    _set_items(reading, [key, value])


def _dict(reading: Reading) -> None:
    items = reading.pop_to_mark()
    reading.stack.append({})
    _set_items(reading, items)


def _global(reading: Reading) -> None:
    module = _text_line(reading)
    reading.look_up(module, _text_line(reading))


def _stack_global(reading: Reading) -> None:
    name, module = reading.pop(), reading.pop()
    reading.look_up(module, name)


def _instance(reading: Reading) -> None:
    _global(reading)
    function = reading.pop()
    reading.call(function, tuple(reading.pop_to_mark()[:SHORT]))


def _object(reading: Reading) -> None:
    function, *arguments = reading.pop_to_mark() or [None]
    reading.call(function, tuple(arguments[:SHORT]))


def _reduce(reading: Reading) -> None:
    arguments, function = reading.pop(), reading.pop()
    reading.call(function, arguments)


def _new_with_keywords(reading: Reading) -> None:
    reading.pop()
    _reduce(reading)


def _extension(size: int) -> Callable[[Reading], None]:
    def action(reading: Reading) -> None:
        code = _integer(reading, size)
        reading.contents.problems.add(f"extension code {code}: what it stands for is only known where it is loaded")
        reading.stack.append(None)

    return action


def _protocol(reading: Reading) -> None:
    version = _integer(reading, 1)
    if version > pickle_protocol():
        raise DamagedPickleError(f"pickle protocol {version} is not known")


def pickle_protocol() -> int:
    """The newest protocol that the opcode table has."""
    return max(opcode.proto for opcode in pickletools.opcodes)


def _general(opcode: pickletools.OpcodeInfo) -> Callable[[Reading], None]:
    """An opcode of which only the effect on the stack matters: what it makes is never a name."""
    before, after = list(opcode.stack_before), len(opcode.stack_after)
    marked = pickletools.markobject in before
    below = before.index(pickletools.markobject) if marked else len(before)
    size = opcode.arg.n if opcode.arg else 0

    def push(reading: Reading) -> None:
        """Numbers and the like: most of what a large pickle has."""
        if size:
            reading.stream.read(size)
        reading.stack.append(None)

    def action(reading: Reading) -> None:
        if size == pickletools.UP_TO_NEWLINE:
            _line(reading)
        elif size:
            reading.stream.skip(size)
        if marked:
            reading.pop_to_mark()
        for _ in range(below):
            reading.pop()
        reading.stack.extend([None] * after)

    return push if not before and after == 1 and 0 <= size <= 8 else action


def _keep_below(opcode: pickletools.OpcodeInfo) -> Callable[[Reading], None]:
    """APPEND and its like: they change an object that stays where it is."""
    marked = pickletools.markobject in opcode.stack_before

    def action(reading: Reading) -> None:
        if marked:
            reading.pop_to_mark()
        else:
            reading.pop()
        if reading.stack[-1] is MARK:
            raise IndexError

    return action


def _pop(reading: Reading) -> None:
    del reading.stack[-1]  # a mark too


def _pop_to_mark(reading: Reading) -> None:
    reading.pop_to_mark()


def _table() -> dict[bytes, Callable[[Reading], None]]:
    special: dict[str, Callable[[Reading], None]] = {
        "STOP": stop,
        "PROTO": _protocol,
        "MARK": lambda reading: reading.stack.append(MARK),
        "POP": _pop,
        "POPMARK": _pop_to_mark,
        "DUP": lambda reading: reading.stack.append(reading.stack[-1]),
        "MEMOIZE": lambda reading: reading.memoize(),
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
        "BUILD": lambda reading: reading.build(),
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
ACTIONS = _table()
