"""The words that several renderers share, and how wide they are on a terminal."""

from __future__ import annotations

import posixpath
import unicodedata
from typing import TYPE_CHECKING

from diffing.escaping import printable
from diffing.verdict import Level

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from diffing.report import Counts, Coverage, Difference, PolicySummary, Report, SideSummary

#: Hexadecimal digits of a digest that people get to see: 48 bits.
_DIGITS = 12

_ELLIPSIS = "…"

#: Levels where a subject can be the file itself.
_OF_FILES = (Level.FILES, Level.STARTUP)


def headline(report: Report) -> str:
    """`PARITY: FAILED  DRIFTED INTEGRITY`."""
    return f"PARITY: {outcome(report)}  {' '.join([str(report.verdict), *map(str, report.flags)])}"


def outcome(report: Report) -> str:
    return "PASSED" if report.passed else "FAILED"


def policy_words(policy: PolicySummary) -> str:
    """`policy: max NUMERIC, no INTEGRITY`, and what else it does."""
    name = "policy" if policy.name == "default" else f"policy {printable(policy.name)}"
    parts = [f"max {policy.maximum}", *(f"no {flag}" for flag in policy.forbidden)]
    if policy.overrides:
        parts.append(count(len(policy.overrides), "override"))
    return f"{name}: {', '.join(parts)}"


def coverage_words(coverage: Coverage, *, named: int = 2) -> str:
    """`coverage 98% (GPU driver: not captured)`; of the aspects with the same reason, and of reasons, so many are `named`."""
    reasons: dict[str, list[str]] = {}
    for each in coverage.unknown:
        reasons.setdefault(printable(each.why), []).append(printable(each.aspect))
    shown = []
    for why, aspects in list(reasons.items())[:named]:
        more = [f"{len(aspects) - named:,} more"] if len(aspects) > named else []
        shown.append(f"{', '.join(aspects[:named] + more)}: {why}")
    rest = sum(map(len, list(reasons.values())[named:]))
    if rest:
        shown.append(f"{rest:,} more")
    return f"coverage {coverage.percent}%" + (f" ({'; '.join(shown)})" if shown else "")


def digest_of(side: SideSummary) -> str:
    """The digest that names a side, short: its parity root, else its snapshot's id. Empty for a file of requirements."""
    digest = side.parity_root or side.snapshot or ""
    algorithm, colon, digits = digest.partition(":")
    if not colon:
        return digest[:_DIGITS]
    return f"{algorithm}:{digits[:_DIGITS]}{_ELLIPSIS if len(digits) > _DIGITS else ''}"


def distributions_words(counts: Counts) -> str:
    """`reachable 43 of 126 distributions: 39 identical, 4 drifted`."""
    known = counts.reachable is not None
    total = count(counts.distributions, "distribution")
    start = f"reachable {counts.reachable:,} of {total}" if known else f"{total}, what the model reaches is not known"
    parts = [f"{number:,} {str(verdict).lower()}" for verdict, number in counts.by_verdict if number]
    return start + (f": {', '.join(parts)}" if parts else "")


def differences_words(report: Report) -> str:
    """`5 differences, 1 waived (until 2027-01-31)`: of several waivers the one that ends first."""
    words = count(report.counts.differences, "difference")
    if not report.counts.waived:
        return words
    days = [each.waived.expires for each in report.differences if each.waived]
    return f"{words}, {report.counts.waived:,} waived" + (f" (until {printable(min(days))})" if days else "")


def hidden_words(counts: Counts) -> str:
    """`412 harmless, 83 unreachable`; empty when there is neither."""
    parts = ((counts.harmless, "harmless"), (counts.unreachable, "unreachable"))
    return ", ".join(f"{number:,} {name}" for number, name in parts if number)


def reachable_words(difference: Difference) -> str:
    return {True: "reachable", False: "unreachable", None: "reach unknown"}[difference.reachable]


def what(difference: Difference, *, whole: bool = False) -> str:
    """`scikit-learn 1.5.2 -> 1.6.1`, `click core.py changed`: what differs, in a few words; `whole`: with the path as it is."""
    subject, path = difference.subject, difference.path
    if path == subject or (path is None and difference.level in _OF_FILES):
        subject, path = (subject if whole else posixpath.basename(subject) or subject), None
    parts = [subject]
    if path is not None:
        shown = path if whole else posixpath.basename(path) or path
        parts += [shown] if shown != subject else []
    return " ".join([*map(printable, parts), change(difference)])


def change(difference: Difference) -> str:
    """`1.5.2 -> 1.6.1`, `added`, `changed`: the two values, where they say something."""
    train, serve = (None if value is None else printable(value) for value in (difference.train, difference.serve))
    if train is None:
        return f"added {serve}" if serve and not _opaque(serve) else "changed" if serve is None else "added"
    if serve is None:
        return "removed" if _opaque(train) or not train else f"{train} removed"
    if _opaque(train) or _opaque(serve):
        return "changed"
    return f"{train or '(empty)'} -> {serve or '(empty)'}" if train != serve else f"{train}, changed"


def _opaque(value: str) -> bool:
    """Digests say nothing to people."""
    return value.startswith("sha256:")


def count(number: int, noun: str) -> str:
    """`1 file`, `11,904 files`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def columns(text: str) -> int:
    """How many columns of a terminal `text` takes: East Asian wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_width(char) for char in text)


def _width(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) == "Me":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def shorten(text: str, width: int) -> str:
    """`text` in at most `width` columns, an ellipsis for the end that does not fit."""
    if columns(text) <= width:
        return text
    return _start(text, width - 1).rstrip() + _ELLIPSIS


def _start(text: str, width: int) -> str:
    used = 0
    for at, char in enumerate(text):
        used += _width(char)
        if used > width:
            return text[:at]
    return text


def pad(text: str, width: int) -> str:
    return text + " " * (width - columns(text))


def wrap(text: str, width: int) -> Iterator[str]:
    """`text` in lines of at most `width` columns, broken at blanks; a longer word is cut, so that nothing is lost."""
    line = ""
    for word in text.split():
        rest = word
        if line and columns(line) + 1 + columns(rest) <= width:
            line += f" {rest}"
            continue
        if line:
            yield line
        while columns(rest) > width:
            piece = _start(rest, width) or rest[0]
            yield piece
            rest = rest[len(piece) :]
        line = rest
    if line:
        yield line


def packed(parts: Sequence[str], width: int, gap: str, indent: str = "  ") -> Iterator[str]:
    """`parts` in as few lines as hold them, `gap` between two; a part that is longer than a line is wrapped."""
    line = ""
    for part in parts:
        if line and columns(line) + len(gap) + columns(part) <= width:
            line += gap + part
            continue
        if line:
            yield line
        start = indent if line else ""
        fits = columns(start + part) <= width
        *full, line = [part] if fits else (wrap(part, width - len(indent)) if part.strip() else [""])
        for each in full:
            yield start + each
            start = indent
        line = start + line
    if line:
        yield line
