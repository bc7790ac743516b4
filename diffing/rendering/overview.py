"""Several serving sides against one baseline: a table of all sides, and of what differs on which of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing.rendering.badges import SIGNS, badge, css, flags, isolated
from diffing.rendering.markup import Markup, element, join, plural
from diffing.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from diffing.report import Report

#: The subjects that the table of subjects shows at once; the others are folded.
_SUBJECTS = 25


def overview(reports: Sequence[Report]) -> Markup:
    """What comes before the comparisons, if there are several."""
    passed = sum(report.passed for report in reports)
    every = passed == len(reports)
    sign = element("span", "\N{CHECK MARK}" if every else "\N{MULTIPLICATION X}", class_="sign", aria_hidden="true")
    words = "All passed" if every else f"{len(reports) - passed:,} of {len(reports):,} failed"
    baselines = {report.train for report in reports}
    against = isolated(reports[0].train.label) if len(baselines) == 1 else f"{len(baselines):,} baselines"
    title = element(
        "h2",
        element("span", sign, words, class_="outcome"),
        element("span", plural(len(reports), "serving side"), " against ", against, class_="sides"),
        id="overview-title",
    )
    return element(
        "section",
        element("header", title, class_=f"hero {'passed' if every else 'failed'}"),
        element("section", element("h3", "All serving sides"), _sides(reports), class_="block"),
        element("section", element("h3", "What differs where"), _subjects(reports), class_="block"),
        aria_labelledby="overview-title",
        class_="report",
    )


def _scrolling(label: str, head: Iterable[Markup], rows: Iterable[Markup]) -> Markup:
    table = element("table", element("thead", element("tr", *head)), element("tbody", *rows), class_="plain")
    return element("div", table, class_="scrolling", tabindex=0, role="region", aria_label=label)


def _heads(*names: str) -> Iterable[Markup]:
    return (element("th", name, scope="col") for name in names)


def _sides(reports: Sequence[Report]) -> Markup:
    rows = (_side(report, f"s{n}") for n, report in enumerate(reports, 1))
    return _scrolling("All serving sides", _heads("Serving side", "Result", "Verdict", "Coverage", "Differences"), rows)


def _side(report: Report, prefix: str) -> Markup:
    result = element("strong", "passed" if report.passed else "failed", class_="pass" if report.passed else "fail")
    return element(
        "tr",
        element("th", element("a", isolated(report.serve.label), href=f"#{prefix}"), scope="row"),
        element("td", result),
        element("td", badge(report.verdict), flags(report.flags)),
        element("td", f"{report.coverage.percent}%", class_="number"),
        element("td", f"{len(report.differences):,}", class_="number"),
    )


def _subjects(reports: Sequence[Report]) -> Markup:
    """Each subject that differs beyond EQUIVALENT somewhere, and its worst verdict on each side."""
    found: dict[str, list[Verdict | None]] = {}
    for n, report in enumerate(reports):
        for one in report.differences:
            if one.severity > Verdict.EQUIVALENT:
                of_it = found.setdefault(one.owner or one.subject, [None] * len(reports))
                of_it[n] = max(one.severity, of_it[n] or Verdict.IDENTICAL)
    if not found:
        return element("p", "Nothing beyond EQUIVALENT, on no side.", class_="muted")
    ranked = sorted(found.items(), key=lambda item: ([-(one or 0) for one in sorted(item[1], key=_least)], item[0]))
    labels = [report.serve.label for report in reports]
    first = _matrix("What differs where", labels, ranked[:_SUBJECTS])
    others = ranked[_SUBJECTS:]
    if not others:
        return first
    summary = element("summary", plural(len(others), "other subject"))
    return join(first, element("details", summary, _matrix("What else differs", labels, others), class_="fold"))


def _least(verdict: Verdict | None) -> int:
    return -(verdict or 0)


def _matrix(label: str, sides: Sequence[str], ranked: Sequence[tuple[str, Sequence[Verdict | None]]]) -> Markup:
    rows = (
        element("tr", element("th", subject, scope="row"), *(_cell(verdict) for verdict in verdicts))
        for subject, verdicts in ranked
    )
    return _scrolling(label, _heads("Subject", *sides), rows)


def _cell(verdict: Verdict | None) -> Markup:
    if verdict is None:
        return element("td", element("span", "\N{EN DASH}", class_="muted", title="no difference"))
    sign = element("span", SIGNS[verdict], class_="sign", aria_hidden="true")
    return element("td", element("span", sign, verdict.name, class_=f"badge {css(verdict)}"))
