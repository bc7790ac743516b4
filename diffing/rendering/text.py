"""Parity reports as lines for a terminal: the verdict, what was compared, the worst root causes, one fix."""

from __future__ import annotations

import shlex
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from diffing.escaping import printable
from diffing.rendering.causes import Cause, causes
from diffing.rendering.wording import (
    columns,
    coverage_words,
    differences_words,
    digest_of,
    distributions_words,
    headline,
    hidden_words,
    outcome,
    packed,
    pad,
    policy_words,
    reachable_words,
    shorten,
    what,
    wrap,
)
from diffing.verdict import Flag, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from diffing.report import Difference, Report, SideSummary

#: Columns of a line.
WIDTH = 80

#: Root causes on the first screen, and lines of details of one difference when all are shown.
SHOWN = 10

#: The widest column of what differs: the rest is for the verdict, and a few words.
_WHAT = 42

_INDENT = " " * 5


class Style(str, Enum):
    """What a part of a line is, for whoever has colours."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    DOUBTFUL = "doubtful"
    FAINT = "faint"
    STRONG = "strong"


class Span(NamedTuple):
    """A piece of a line in one style."""

    text: str
    style: Style = Style.PLAIN


Line = tuple[Span, ...]


def render(reports: Sequence[Report], *, full: bool = False) -> str:
    """The reports as text without colours, one below the other; `full`: with every difference.

    No line has more than 80 columns, but for a command to paste that has a longer word.
    """
    return "".join("".join(span.text for span in line) + "\n" for line in lines(reports, full=full))


def lines(reports: Sequence[Report], *, full: bool = False) -> Iterator[Line]:
    """The lines of `render`, each in pieces that say what they are."""
    if len(reports) > 1:
        yield from _sides(reports)
    for number, report in enumerate(reports):
        if number or len(reports) > 1:
            yield ()
        yield from _report(report, full=full)


def _sides(reports: Sequence[Report]) -> Iterator[Line]:
    """A table of the serving sides: which of several is it that differs?"""
    train = reports[0].train
    yield (Span(shorten(_identity("train", train), WIDTH)),)
    rows = [
        (str(each.verdict), outcome(each), f"{each.coverage.percent}%", f"{each.counts.differences:,}")
        for each in reports
    ]
    heads = ("verdict", "policy", "coverage", "differences")
    widths = [max(len(cell) for cell in column) for column in zip(heads, *rows, strict=True)]
    room = WIDTH - 2 - sum(width + 2 for width in widths)
    labels = [shorten(printable(each.serve.label), room) for each in reports]
    first = max(columns(label) for label in ("serve", *labels))
    for label, row, style in zip(
        ("serve", *labels),
        (heads, *rows),
        (Style.FAINT, *(_style(each.passed, each.verdict) for each in reports)),
        strict=True,
    ):
        cells = [
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield (Span(f"  {pad(label, first)}"), Span("".join(f"  {cell}" for cell in cells), style))


def _style(passed: bool, verdict: Verdict) -> Style:
    if not passed:
        return Style.BAD
    return Style.GOOD if verdict <= Verdict.COMPATIBLE else Style.DOUBTFUL


def _report(report: Report, *, full: bool) -> Iterator[Line]:
    yield from _head(report, full=full)
    found = causes(report)
    shown = [cause for cause in found if not cause.hidden]
    if full:
        yield from _everything(found)
    else:
        yield from _table(shown[:SHOWN])
        if len(shown) > SHOWN:
            yield (Span(f"   … and {len(shown) - SHOWN:,} more (--all)", Style.FAINT),)
    for problem in report.policy.problems:
        yield from _labelled("waiver: ", problem, Style.DOUBTFUL)
    if full:
        for each in report.normalised:
            yield from _labelled("normalised: ", f"{each.rule}  {each.count:,}", Style.FAINT)
    yield from _fix(report, full=full)
    words = hidden_words(report.counts)
    if words:
        yield (Span(f"{'not counted' if full else 'hidden'}: {words}{'' if full else '  (--all)'}", Style.FAINT),)


def _head(report: Report, *, full: bool) -> Iterator[Line]:
    title = headline(report)
    parts = [title, f"({policy_words(report.policy)})", coverage_words(report.coverage)]
    for number, line in enumerate(packed(parts, WIDTH, "  ")):
        if number:
            yield (Span(line),)
        else:
            graded = line[: len(title)] if line.startswith(title) else line
            yield (Span(graded, _style(report.passed, report.verdict)), Span(line[len(graded) :]))
    if full:
        reasons: dict[str, list[str]] = {}
        for each in report.coverage.unknown:
            reasons.setdefault(f"{each.why} ({each.side})", []).append(each.aspect)
        for why, aspects in reasons.items():
            yield from _labelled("unknown: ", f"{', '.join(aspects)}: {why}", Style.DOUBTFUL)
    sides = [_identity("train", report.train), _identity("serve", report.serve)]
    joined = "    ".join(sides)
    for side in [joined] if columns(joined) <= WIDTH else sides:
        for line in packed([side], WIDTH, "", indent=" " * 7):
            yield (Span(line),)
    for line in packed([f"{distributions_words(report.counts)};", differences_words(report)], WIDTH, " "):
        yield (Span(line),)


def _identity(name: str, side: SideSummary) -> str:
    return f"{name}  {printable(side.label)}  {digest_of(side) or f'({printable(side.kind)})'}"


def _sign(cause: Cause) -> tuple[str, Style]:
    if cause.beyond:
        return "!", Style.BAD
    if cause.waived:
        return "w", Style.FAINT
    if cause.severity <= Verdict.EQUIVALENT:
        return "=", Style.PLAIN
    return "~", Style.DOUBTFUL if cause.severity > Verdict.COMPATIBLE else Style.PLAIN


def _table(shown: Sequence[Cause]) -> Iterator[Line]:
    """A line for each cause; what explains it behind it, or below where that is too long."""
    names = [_name(cause) for cause in shown]
    grades = [str(cause.severity) for cause in shown]
    flags = [" ".join(map(str, cause.flags)) for cause in shown]
    first, second, third = (max(map(columns, cells), default=0) for cells in (names, grades, flags))
    for cause, name, grade, flag in zip(shown, names, grades, flags, strict=True):
        sign, style = _sign(cause)
        start = f" {sign} {pad(name, first)}"
        middle = f"  {pad(grade, second)}" + (f"  {pad(flag, third)}" if third else "")
        words = _explanation(cause)
        if columns(start + middle) + 2 + columns(words) <= WIDTH:
            yield (Span(start), Span(middle, style), Span(f"  {words}".rstrip(), Style.FAINT))
            continue
        yield (Span(start), Span(middle.rstrip(), style))
        yield (Span(_INDENT + shorten(words, WIDTH - len(_INDENT)), Style.FAINT),)


def _name(cause: Cause) -> str:
    more = f" (+{len(cause.differences) - 1:,})" if len(cause.differences) > 1 else ""
    return shorten(what(cause.head), _WHAT - len(more)) + more


def _explanation(cause: Cause) -> str:
    """How it got here; for content that is not what it should be, and where that is not known, what it means."""
    head = cause.head
    if head.waived:
        return printable(f"waived by {head.waived.owner} until {head.waived.expires}: {head.waived.reason}")
    if Flag.INTEGRITY in head.flags and not head.details:
        return printable(head.reason)
    if Flag.INTEGRITY in head.flags:
        return printable(f"{head.reason}: {head.details[0]}")
    return printable(head.because or head.reason)


def _everything(found: Iterable[Cause]) -> Iterator[Line]:
    for cause in found:
        sign, style = _sign(cause)
        for number, difference in enumerate(cause.differences):
            grade = " ".join([str(difference.severity), *map(str, difference.flags)])
            name, *rest = wrap(what(difference, whole=True), WIDTH - 3)
            mark = sign if not number else " "
            if not rest and columns(name) + len(grade) + 5 <= WIDTH:
                yield (Span(f" {mark} {name}"), Span(f"  {grade}", style))
            else:
                yield from ((Span(f" {mark if not at else ' '} {line}"),) for at, line in enumerate([name, *rest]))
                yield (Span(f"   {grade}", style),)
            for line in _details(difference):
                yield (Span(_INDENT + line, Style.FAINT),)


def _details(difference: Difference) -> Iterator[str]:
    width = WIDTH - len(_INDENT)
    yield from wrap(printable(difference.reason), width)
    yield from wrap(printable(difference.because), width)
    if difference.waived:
        waived = difference.waived
        yield from wrap(printable(f"waived by {waived.owner} until {waived.expires}: {waived.reason}"), width)
    if difference.evidence:
        yield from wrap(printable(f"see {', '.join(difference.evidence)}"), width)
    yield from wrap(
        printable(f"{reachable_words(difference)}; {difference.level}, rule {difference.rule}, digest"), width
    )
    yield from wrap(printable(difference.digest), width)
    for detail in difference.details[:SHOWN]:
        yield shorten(printable(detail), width)
    if len(difference.details) > SHOWN:
        yield f"… and {len(difference.details) - SHOWN:,} more (--format json)"


def _labelled(label: str, words: str, style: Style) -> Iterator[Line]:
    for number, line in enumerate(wrap(printable(words), WIDTH - len(label))):
        yield (Span((label if not number else " " * len(label)) + line, style),)


def _fix(report: Report, *, full: bool) -> Iterator[Line]:
    fix = report.fix
    if fix is None:
        return
    commands = fix.command.split("\n")
    for number, command in enumerate(commands):
        for at, line in enumerate(_command(printable(command), WIDTH - 5)):
            start = "fix: " if not number and not at else " " * 5
            yield (Span(start + line, Style.STRONG),)
    if full:
        for line in wrap(printable(fix.summary), WIDTH - len(_INDENT)):
            yield (Span(_INDENT + line, Style.FAINT),)
        for pin in fix.pins:
            yield from _labelled(_INDENT, pin, Style.FAINT)


def _words(command: str) -> list[str]:
    """The words of commands that `&&` joins, as a shell reads them; none where it is anything else."""
    found: list[str] = []
    for part in command.split(" && "):
        try:
            words = shlex.split(part)
        except ValueError:  # it was within quotes
            return []
        if shlex.join(words) != part:
            return []
        found += [*(["&&"] if found else []), *map(shlex.quote, words)]
    return found


def _command(command: str, width: int) -> Iterator[str]:
    """A command in lines that a shell takes as one; words stay whole, since a path with a line break in it is another."""
    words = _words(command)
    if columns(command) <= width or not words:
        yield command
        return
    line = ""
    for word in words:
        if line and columns(line) + 3 + columns(word) > width:
            yield f"{line} \\"
            line = f"  {word}"
        else:
            line = f"{line} {word}" if line else word
    yield line
