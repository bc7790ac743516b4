"""Parity reports as JUnit XML: a suite for each serving side, a case for each root cause, failures only beyond the policy."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from diffing.escaping import printable
from diffing.rendering.causes import causes
from diffing.rendering.wording import coverage_words, headline, policy_words, reachable_words, what
from diffing.verdict import Level

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from diffing.rendering.causes import Cause
    from diffing.report import Difference, Report

#: Lines of details of one difference.
_DETAILS = 20


def render(reports: Sequence[Report]) -> str:
    """The reports as XML 1.0, as CI servers read it. Whatever XML cannot hold is escaped."""
    suites = [_Suite(report) for report in reports]
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    totals = {name: sum(suite.totals[name] for suite in suites) for name in ("tests", "failures", "skipped")}
    lines.append(f'<testsuites name="parity"{_numbers(totals)}>')
    for suite in suites:
        lines += suite.lines()
    lines.append("</testsuites>")
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    return escape(printable(text))


def _attribute(text: str) -> str:
    return quoteattr(printable(text))


def _numbers(totals: dict[str, int]) -> str:
    return "".join(f' {name}="{number}"' for name, number in {**totals, "errors": 0}.items())


class _Suite:
    """The cases of one report: levels without a difference, root causes, what is unknown, and what no difference carries."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._cases: list[str] = []
        self.totals = {"tests": 0, "failures": 0, "skipped": 0}
        self._fill()

    def lines(self) -> Iterator[str]:
        report = self._report
        name = f"{report.serve.label} against {report.train.label}"
        yield f"  <testsuite name={_attribute(name)}{_numbers(self.totals)}>"
        yield "    <properties>"
        for key, value in _properties(report):
            yield f"      <property name={_attribute(key)} value={_attribute(value)}/>"
        yield "    </properties>"
        yield from self._cases
        yield "  </testsuite>"

    def _fill(self) -> None:
        report = self._report
        found = causes(report)
        differing = {each.level for each in report.differences}
        for level in Level:
            if level not in differing:
                self._case("parity.level", str(level), "")
        for cause in found:
            self._cause(cause)
        for unknown in report.coverage.unknown:
            self._case("parity.unknown", unknown.aspect, _element("skipped", f"{unknown.why} ({unknown.side})"))
        words = f"{headline(report)} ({policy_words(report.policy)})"
        # The one case that fails where no single difference is to blame, such as an UNKNOWN that the policy forbids.
        blamed = report.passed or any(cause.beyond for cause in found)
        self._case("parity", "verdict", "" if blamed else _element("failure", words, "policy"))

    def _cause(self, cause: Cause) -> None:
        head = cause.head
        body = "\n".join(line for each in cause.differences for line in _difference(each))
        grade = " ".join([str(cause.severity), *map(str, cause.flags)])
        if cause.beyond:
            inner = _element("failure", f"{what(head)}: {grade}", str(cause.severity), body)
        elif cause.waived and head.waived:
            waived = head.waived
            inner = _element("skipped", f"waived by {waived.owner} until {waived.expires}: {waived.reason}")
        else:
            inner = f"      <system-out>{_text(grade)}\n{body}</system-out>"
        name = head.owner or head.subject
        self._case(f"parity.{head.level}", f"{name} {head.path}" if head.path and not head.owner else name, inner)

    def _case(self, classname: str, name: str, inner: str) -> None:
        self.totals["tests"] += 1
        for kind, total in (("failure", "failures"), ("skipped", "skipped")):
            self.totals[total] += inner.lstrip().startswith(f"<{kind}")
        start = f"    <testcase classname={_attribute(classname)} name={_attribute(name)}"
        self._cases.append(f"{start}>\n{inner}\n    </testcase>" if inner else f"{start}/>")


def _element(tag: str, message: str, kind: str = "", body: str = "") -> str:
    typed = f" type={_attribute(kind)}" if kind else ""
    return f"      <{tag} message={_attribute(message)}{typed}>{body}</{tag}>"


def _difference(difference: Difference) -> Iterator[str]:
    grade = " ".join([str(difference.severity), *map(str, difference.flags)])
    yield _text(f"{what(difference, whole=True)}: {grade}")
    for words in (difference.reason, difference.because):
        if words:
            yield f"  {_text(words)}"
    if difference.evidence:
        yield f"  {_text(', '.join(difference.evidence))}"
    yield f"  {_text(f'{reachable_words(difference)}, rule {difference.rule}, {difference.digest}')}"
    for detail in difference.details[:_DETAILS]:
        yield f"  - {_text(detail)}"
    if len(difference.details) > _DETAILS:
        yield f"  … and {len(difference.details) - _DETAILS:,} more"


def _properties(report: Report) -> Iterator[tuple[str, str]]:
    counts = report.counts
    yield "verdict", str(report.verdict)
    yield "passed", "true" if report.passed else "false"
    yield "flags", " ".join(map(str, report.flags))
    yield "policy", policy_words(report.policy)
    yield "coverage", coverage_words(report.coverage, named=len(report.coverage.unknown))
    for number, problem in enumerate(report.policy.problems):
        yield f"policy.problems[{number}]", problem
    yield "counts.distributions", str(counts.distributions)
    if counts.reachable is not None:
        yield "counts.reachable", str(counts.reachable)
    for verdict, number in counts.by_verdict:
        yield f"counts.by_verdict.{verdict}", str(number)
    yield "counts.differences", str(counts.differences)
    yield "counts.waived", str(counts.waived)
    yield "counts.harmless", str(counts.harmless)
    yield "counts.unreachable", str(counts.unreachable)
    for side, found in (("train", report.train), ("serve", report.serve)):
        yield side, found.label
        if found.parity_root:
            yield f"{side}.parity_root", found.parity_root
    if report.fix:
        yield "fix", report.fix.command
