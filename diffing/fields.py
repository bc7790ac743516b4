"""One JSON object's fields, read with all problems noted and none raised. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import re
    from collections.abc import Sequence
    from enum import Enum
    from typing import TypeVar

    Member = TypeVar("Member", bound=Enum)


class Fields:
    """The fields of `value`. What is missing or wrong goes to `problems`, with its key path, and reads as something empty.

    Who is done reading looks at `problems`: what was read is good for nothing when there are any.
    """

    def __init__(self, value: object, path: str, problems: list[str] | None = None) -> None:
        self.path = path
        self.problems: list[str] = [] if problems is None else problems
        self.value: dict[str, Any] = value if isinstance(value, dict) else {}
        self._there = isinstance(value, dict)
        if not self._there:
            self.problems.append(f"{path}: want an object, found {_kind(value)}")

    def problem(self, key: str, what: str) -> None:
        self.problems.append(f"{self.path}.{key}: {what}")

    def _get(self, key: str, kind: type, wanted: str) -> Any:
        if key not in self.value:
            if self._there:  # else that is the problem
                self.problem(key, "missing")
            return None
        found = self.value[key]
        if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
            self.problem(key, f"want {wanted}, found {_kind(found)}")
            return None
        return found

    def text(self, key: str, form: re.Pattern[str] | None = None) -> str:
        found = self._get(key, str, "text")
        if found is not None and form is not None and not form.match(found):
            self.problem(key, f"{found!a} has not the form that it should have")
        return found or ""

    def optional(self, key: str, form: re.Pattern[str] | None = None) -> str | None:
        """Text, or null. The key must be there: what is left out was perhaps forgotten."""
        if self.value.get(key, "") is None:
            return None
        return self.text(key, form)

    def count(self, key: str) -> int:
        found = self._get(key, int, "a number")
        if found is not None and found < 0:
            self.problem(key, f"want a count, found {found}")
        return found or 0

    def optional_count(self, key: str) -> int | None:
        """A count, or null."""
        if self.value.get(key, "") is None:
            return None
        return self.count(key)

    def flag(self, key: str) -> bool:
        return self._get(key, bool, "true or false") or False

    def rows(self, key: str) -> list[Any]:
        return self._get(key, list, "a list") or []

    def inner(self, key: str) -> Fields:
        found = self._get(key, dict, "an object")
        return Fields({} if found is None else found, f"{self.path}.{key}", self.problems if found is not None else [])

    def items(self, key: str) -> list[Fields]:
        return [Fields(row, f"{self.path}.{key}[{i}]", self.problems) for i, row in enumerate(self.rows(key))]

    def texts(self, key: str) -> tuple[str, ...]:
        found = self.rows(key)
        for i, each in enumerate(found):
            if not isinstance(each, str):
                self.problem(f"{key}[{i}]", f"want text, found {_kind(each)}")
        return tuple(str(each) for each in found)

    def name(self, key: str, members: type[Member]) -> Member:
        """The member of an enumeration that is written as its name."""
        found = self._get(key, str, "text")
        return next(iter(members)) if found is None else self._member(found, key, members)

    def names(self, key: str, members: type[Member]) -> tuple[Member, ...]:
        return tuple(self._member(each, f"{key}[{i}]", members) for i, each in enumerate(self.texts(key)))

    def _member(self, found: str, key: str, members: type[Member]) -> Member:
        known: Sequence[Member] = list(members)
        for member in known:
            if member.name == found:
                return member
        self.problem(key, f"{found!a} is none of {', '.join(member.name for member in known)}")
        return known[0]


def _kind(value: object) -> str:
    return (
        "null"
        if value is None
        else {dict: "an object", list: "a list", str: "text", bool: "true or false"}.get(type(value), "a number")
    )
