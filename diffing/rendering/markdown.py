"""Parity reports as Markdown for a pull request: a verdict line, a table of root causes, and the rest folded away."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from diffing.escaping import printable
from diffing.rendering.causes import causes
from diffing.rendering.wording import (
    count,
    coverage_words,
    differences_words,
    digest_of,
    distributions_words,
    headline,
    hidden_words,
    outcome,
    policy_words,
    reachable_words,
    shorten,
    what,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from diffing.rendering.causes import Cause
    from diffing.report import Difference, Report

#: A comment on a pull request ends at 65,536 characters. The most differences are listed with which it does not get longer than this.
LONGEST = 60_000
_LISTED = (60, 30, 15, 5, 1)

#: Lines of details of one difference, and characters of one text.
_DETAILS = 5
_LONGEST_TEXT = 400

#: What means something in Markdown, or in HTML. As a character reference it is text wherever it stands (CommonMark 0.31, section 2.5).
_SPECIAL = re.compile(r"[&<>\"'`*_\[\]\\|~$]")


def render(reports: Sequence[Report]) -> str:
    """The reports as GitHub-flavoured Markdown. Whatever a name holds comes out as text."""
    text = ""
    for listed in _LISTED:
        lines = list(_sides(reports)) if len(reports) > 1 else []
        for report in reports:
            if lines:
                lines.append("")
            lines += _report(report, listed)
        text = "\n".join(lines) + "\n"
        if len(text) <= LONGEST:
            break
    return text


def _text(text: str) -> str:
    """`text` as it is; nobody is mentioned by it."""
    escaped = _SPECIAL.sub(
        lambda match: f"&#{ord(match[0])};", " ".join(shorten(printable(text), _LONGEST_TEXT).split())
    )
    return escaped.replace("@", "@<!-- -->").replace("://", ":<!-- -->//").replace("www.", "www<!-- -->.")


def _code(text: str) -> str:
    return f"<code>{_SPECIAL.sub(lambda match: f'&#{ord(match[0])};', shorten(printable(text), _LONGEST_TEXT))}</code>"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _sides(reports: Sequence[Report]) -> Iterator[str]:
    yield f"Trained in {_code(reports[0].train.label)}."
    yield ""
    yield _row("serve", "verdict", "policy", "coverage", "differences")
    yield _row("---", "---", "---", "---:", "---:")
    for each in reports:
        numbers = (f"{each.coverage.percent}%", f"{each.counts.differences:,}")
        yield _row(_code(each.serve.label), str(each.verdict), outcome(each), *numbers)


def _report(report: Report, listed: int) -> Iterator[str]:
    yield f"### {_text(headline(report))}"
    yield ""
    yield f"{_text(policy_words(report.policy))}; {_text(coverage_words(report.coverage))}  "
    for name, side in (("train", report.train), ("serve", report.serve)):
        digest = digest_of(side)
        yield f"{name} {_code(side.label)}" + (f" {_code(digest)}  " if digest else f" ({_text(side.kind)})  ")
    yield f"{_text(distributions_words(report.counts))}; {_text(differences_words(report))}"
    found = causes(report)
    shown = [cause for cause in found if not cause.hidden]
    if shown:
        yield ""
        yield _row("", "what", "verdict", "why")
        yield _row("---", "---", "---", "---")
        for cause in shown[:listed]:
            yield _cause(cause)
    if len(shown) > listed:
        yield ""
        yield f"… and {len(shown) - listed:,} more."
    for problem in report.policy.problems:
        yield ""
        yield f"Waiver: {_text(problem)}"
    yield from _fix(report)
    yield from _all(report, found, listed)
    yield from _normalised(report)


def _cause(cause: Cause) -> str:
    head = cause.head
    more = len(cause.differences) - 1
    grade = " ".join([str(cause.severity), *map(str, cause.flags)])
    if cause.beyond:
        grade = f"**{grade}**"
    sign = "!" if cause.beyond else "waived" if cause.waived else "~"
    return _row(sign, _code(what(head)) + (f" +{more:,}" if more else ""), grade, _why(head))


def _why(difference: Difference) -> str:
    parts = [_text(difference.reason), _text(difference.because)]
    if difference.waived:
        waived = difference.waived
        parts.insert(0, _text(f"waived by {waived.owner} until {waived.expires}: {waived.reason}"))
    if difference.evidence:
        # As code: a link would note on each of those threads that somebody's pull request mentions it.
        parts.append(f"see {', '.join(map(_code, difference.evidence))}")
    return "; ".join(filter(None, parts))


def _fix(report: Report) -> Iterator[str]:
    if report.fix is None:
        return
    yield ""
    yield f"Fix: {_text(report.fix.summary)}"
    yield ""
    for command in report.fix.command.split("\n"):
        yield f"    {printable(command)}"


def _all(report: Report, found: Sequence[Cause], listed: int) -> Iterator[str]:
    if not report.differences:
        return
    yield ""
    words = hidden_words(report.counts)
    yield f"<details><summary>All differences{f' (not counted: {words})' if words else ''}</summary>"
    yield ""
    differences = [each for cause in found for each in cause.differences]
    for each in differences[:listed]:
        grade = " ".join([str(each.severity), *map(str, each.flags)])
        yield f"- {_code(what(each, whole=True))} {grade}; {_why(each)}; {reachable_words(each)}, rule {_code(each.rule)}, digest {_code(each.digest)}"
        for detail in each.details[:_DETAILS]:
            yield f"  - {_code(detail)}"
        if len(each.details) > _DETAILS:
            yield f"  - … and {len(each.details) - _DETAILS:,} more"
    if len(differences) > listed:
        yield f"- … and {len(differences) - listed:,} more; the JSON report has all"
    yield ""
    yield "</details>"


def _normalised(report: Report) -> Iterator[str]:
    if not report.differences and hidden_words(report.counts):
        yield ""
        yield f"Not counted: {hidden_words(report.counts)}"
    if report.normalised:
        yield ""
        yield f"<details><summary>Normalised by {count(len(report.normalised), 'rule')}</summary>"
        yield ""
        for each in report.normalised:
            yield f"- {_code(each.rule)} {each.count:,}"
        yield ""
        yield "</details>"
