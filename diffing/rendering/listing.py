"""The differences of one report as an HTML table: one row a root cause, the worst first, folds with all there is, and filters."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from diffing.rendering.badges import badge, flag, flags, isolated
from diffing.rendering.causes import Cause, causes
from diffing.rendering.markup import Markup, element, join, plural, size
from diffing.verdict import Flag, Level, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from diffing.report import Difference, Report

#: More lines than this are folded once more.
_LINES = 6


class Row(NamedTuple):
    """A cause, and the id of its row."""

    id: str
    cause: Cause

    @property
    def name(self) -> str:
        head = self.cause.head
        return head.subject if head.owner is None else head.owner


def rows(report: Report, prefix: str) -> list[Row]:
    """A row for each root cause: those that the policy refuses first, of these and of the others the worst first."""
    ordered = sorted(causes(report), key=lambda cause: (not cause.beyond, -cause.severity))
    return [Row(f"{prefix}-d{n}", cause) for n, cause in enumerate(ordered, 1)]


def table(rows: Sequence[Row], label: str) -> Markup:
    """The rows. `label` says to whom cannot see it which of several tables this is."""
    names = ("Verdict", "What differs", "Training \N{RIGHTWARDS ARROW} serving", "Why it matters")
    head = element("tr", *(element("th", name, scope="col", role="columnheader") for name in names), role="row")
    return element(
        "table",
        element("caption", label, class_="hidden"),
        element("thead", head, role="rowgroup"),
        *(_row(one) for one in rows),
        class_="listing",
        role="table",
    )


def _row(row: Row) -> Markup:
    head = row.cause.head
    marks = join(badge(row.cause.severity), *(flag(one) for one in row.cause.flags), _waived_mark(row.cause))
    subject = element("span", row.name, class_="subject")
    cells = (
        element("td", marks, role="cell", class_="marks"),
        element("th", subject, _where(row), scope="row", role="rowheader"),
        element("td", _values(head), role="cell", class_="values"),
        element("td", _reason(head), _fold(row.cause), role="cell", class_="why"),
    )
    refused = " refused" if row.cause.beyond else ""
    return element("tbody", element("tr", *cells, role="row"), id=row.id, role="rowgroup", class_=f"group{refused}")


def _waived_mark(cause: Cause) -> Markup | None:
    waived = sum(one.waived is not None for one in cause.differences)
    if not waived:
        return None
    return element("span", "waived" if cause.waived else f"{waived:,} waived", class_="flag flag-waived")


def _where(row: Row) -> Markup:
    head, others = row.cause.head, len(row.cause.differences) - 1
    subject = element("span", head.subject, class_="path") if head.subject not in (row.name, head.path) else None
    path = element("code", head.path, class_="path") if head.path else None
    more = f"and {others:,} more \N{MIDDLE DOT} " if others else ""
    reach = "" if head.reachable else f" \N{MIDDLE DOT} {_REACH[head.reachable]}"
    return join(subject, path, element("span", f"{more}{head.level}{reach}", class_="muted small"))


_REACH: Mapping[bool | None, str] = {True: "reachable", False: "not reachable", None: "reach not known"}


def _values(one: Difference) -> Markup:
    return join(
        _value(one.train, "training"),
        element("span", " \N{RIGHTWARDS ARROW} ", class_="arrow", aria_hidden="true"),
        _value(one.serve, "serving"),
    )


def _value(value: str | None, side: str) -> Markup:
    hidden = element("span", f"{side}: ", class_="hidden")
    shown = element("span", "absent", class_="absent") if value is None else element("code", value)
    return join(hidden, shown)


def _reason(one: Difference) -> Markup:
    because = element("p", one.because, class_="because") if one.because else None
    return join(element("p", one.reason), because)


def _fold(cause: Cause) -> Markup:
    head, alone = cause.head, len(cause.differences) == 1
    words: list[Markup | str] = [plural(len(cause.differences), "difference")]
    if alone:
        words = ["Rule ", element("code", head.rule)]
        words += [f", {plural(len(head.details), 'line')} of detail"] if head.details else []
    summary = element("summary", *words, element("span", class_="matching"))
    items = (_item(one, alone=alone) for one in cause.differences)
    return element("details", summary, element("ol", *items, class_="items"), class_="fold")


def _item(one: Difference, *, alone: bool) -> Markup:
    head = None
    if not alone:
        path = element("code", one.path, class_="path") if one.path and one.path != one.subject else None
        where = element("span", f"{one.level.value} \N{MIDDLE DOT} {_REACH[one.reachable]}", class_="muted small")
        head = join(
            element(
                "p",
                badge(one.severity),
                flags(one.flags),
                " ",
                isolated(one.subject),
                " ",
                path,
                " ",
                where,
                class_="head",
            ),
            element("p", _values(one), class_="values"),
            _reason(one),
        )
    return element(
        "li",
        head,
        element("dl", *_facts(one)),
        class_="difference",
        data_verdict=one.severity.name,
        data_level=one.level.value,
        data_reachable={True: "yes", False: "no", None: "unknown"}[one.reachable],
        data_flag=" ".join(each.value for each in one.flags) or "none",
        data_waived="yes" if one.waived else "no",
    )


def _facts(one: Difference) -> Iterable[Markup]:
    yield _fact("Rule", element("code", one.rule))
    if one.owner not in (None, one.subject):
        yield _fact("Owner", one.owner)
    yield _fact("Model", _REACH[one.reachable])
    if one.evidence:
        yield _fact("Evidence", element("ul", *(element("li", each) for each in one.evidence), class_="evidence"))
    if one.bytes:
        yield _fact("Size", size(one.bytes))
    if one.waived:
        holder = (isolated(one.waived.owner), " until ", element("time", one.waived.expires), ": ")
        yield _fact("Waived", "by ", *holder, isolated(one.waived.reason))
    yield _fact("Digest", element("code", one.digest, class_="copyable"))
    if one.details:
        lines = element("ul", *(element("li", each) for each in one.details), class_="lines")
        if len(one.details) > _LINES:
            lines = element("details", element("summary", plural(len(one.details), "line")), lines)
        yield _fact("Details", lines)


def _fact(name: str, *value: str) -> Markup:
    return join(element("dt", name), element("dd", *value))


# -- filters


def filters(differences: Sequence[Difference], count: int, prefix: str) -> Markup:
    """What narrows the table. Without scripts it is not shown, and everything is there."""
    verdicts = [one for one in reversed(Verdict) if any(each.severity is one for each in differences)]
    chips = element(
        "div", *(_chip(one, differences) for one in verdicts), class_="chips", role="group", aria_label="Verdict"
    )
    levels = [(one.value, one.value) for one in Level if any(each.level is one for each in differences)]
    flag_names = [(one.value, one.value) for one in Flag] + [("none", "no flag")]
    reach = [("yes", "reachable"), ("no", "not reachable"), ("unknown", "not known")]
    search = element("input", type="search", name="text", id=f"{prefix}-text", spellcheck="false", autocomplete="off")
    form = element(
        "form",
        chips,
        _select(prefix, "level", "Level", levels),
        _select(prefix, "reachable", "Reach", reach),
        _select(prefix, "flag", "Flag", flag_names),
        _select(prefix, "waived", "Waived", [("no", "not waived"), ("yes", "waived")]),
        element("label", "Text", search, for_=f"{prefix}-text", class_="field grow"),
        element("div", element("button", "Show all", type="reset"), _unfold(), class_="buttons"),
        class_="filters",
        role="search",
        aria_label="Filter the differences",
    )
    return join(form, _count(len(differences), count))


def _unfold() -> Markup:
    return element("button", "Open folds", type="button", class_="unfold", aria_pressed="false")


def _count(differences: int, rows: int) -> Markup:
    said = f"{plural(differences, 'difference')} in {plural(rows, 'row')}"
    return element("output", said, class_="count", data_all=said)


def _chip(verdict: Verdict, differences: Sequence[Difference]) -> Markup:
    count = sum(one.severity is verdict for one in differences)
    tick = element("input", type="checkbox", name="verdict", value=verdict.name)
    return element("label", tick, badge(verdict), element("span", f"{count:,}", class_="number"), class_="chip")


def _select(prefix: str, name: str, label: str, options: Sequence[tuple[str, str]]) -> Markup:
    choices = (element("option", words, value=value) for value, words in [("", "all"), *options])
    select = element("select", *choices, name=name, id=f"{prefix}-{name}")
    return element("label", label, select, for_=f"{prefix}-{name}", class_="field")
