"""Text of unknown origin, such as a file's name, made safe to show."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` with whatever could move the cursor, break a line or not be encoded written as an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # a byte that is not UTF-8 (PEP 383)
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")
