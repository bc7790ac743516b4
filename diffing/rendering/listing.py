"""The differences of one report as an HTML table: one row a subject, the worst first, folds with all there is, and filters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffing.rendering.badges import badge, flag, flags, isolated
from diffing.rendering.markup import Markup, element, join, plural, size
from diffing.verdict import Flag, Level, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from diffing.report import Difference

#: More lines than this are folded once more.
_LINES = 6


@dataclass(frozen=True, slots=True)
class Group:
    """The differences of one subject, the worst first, and the id of its row."""

    subject: str
    id: str
    differences: tuple[Difference, ...]

    @property
    def first(self) -> Difference:
        return self.differences[0]


def group(differences: Iterable[Difference], prefix: str) -> list[Group]:
    """One group a subject, ordered by its worst difference."""
    found: dict[str, list[Difference]] = {}
    for difference in sorted(differences, key=_order):
        found.setdefault(difference.subject, []).append(difference)
    return [Group(subject, f"{prefix}-d{n}", tuple(of_it)) for n, (subject, of_it) in enumerate(found.items(), 1)]


def _order(one: Difference) -> tuple[object, ...]:
    """The worst first; then what nobody waived, what the model reaches, what was tampered with, and the largest."""
    reached = {True: 0, None: 1, False: 2}[one.reachable]
    tampered = Flag.INTEGRITY not in one.flags
    place = (one.path is not None, -one.bytes, one.subject, one.path or "", one.rule)
    return (-one.severity, one.waived is not None, reached, tampered, *place)


def table(groups: Sequence[Group], label: str) -> Markup:
    """The rows. `label` says to whom cannot see it which of several tables this is."""
    names = ("Verdict", "What differs", "Training \N{RIGHTWARDS ARROW} serving", "Why it matters")
    head = element("tr", *(element("th", name, scope="col", role="columnheader") for name in names), role="row")
    return element(
        "table",
        element("caption", label, class_="hidden"),
        element("thead", head, role="rowgroup"),
        *(_row(one) for one in groups),
        class_="listing",
        role="table",
    )


def _row(group: Group) -> Markup:
    first = group.first
    marks = join(badge(first.severity), *(flag(one) for one in _all_flags(group)), _waived_mark(group))
    alone = len(group.differences) == 1
    cells = (
        element("td", marks, role="cell", class_="marks"),
        element("th", element("span", group.subject, class_="subject"), _where(group), scope="row", role="rowheader"),
        element("td", _values(first), role="cell", class_="values"),
        element("td", _reason(first), _fold(group, alone), role="cell", class_="why"),
    )
    return element("tbody", element("tr", *cells, role="row"), id=group.id, role="rowgroup", class_="group")


def _all_flags(group: Group) -> list[Flag]:
    raised = {one for difference in group.differences for one in difference.flags}
    return [one for one in Flag if one in raised]


def _waived_mark(group: Group) -> Markup | None:
    waived = sum(one.waived is not None for one in group.differences)
    if not waived:
        return None
    all_of_it = waived == len(group.differences)
    return element("span", "waived" if all_of_it else f"{waived:,} waived", class_="flag flag-waived")


def _where(group: Group) -> Markup:
    first, others = group.first, len(group.differences) - 1
    path = element("code", first.path, class_="path") if first.path else None
    more = f"and {others:,} more \N{MIDDLE DOT} " if others else ""
    reach = "" if first.reachable else f" \N{MIDDLE DOT} {_REACH[first.reachable]}"
    return join(path, element("span", f"{more}{first.level}{reach}", class_="muted small"))


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


def _fold(group: Group, alone: bool) -> Markup:
    first = group.first
    if alone:
        words = ["Rule ", element("code", first.rule)]
        words += [f", {plural(len(first.details), 'line')} of detail"] if first.details else []
    else:
        words = [plural(len(group.differences), "difference")]
    summary = element("summary", *words, element("span", class_="matching"))
    items = (_item(one, alone) for one in group.differences)
    return element("details", summary, element("ol", *items, class_="items"), class_="fold")


def _item(one: Difference, alone: bool) -> Markup:
    head = None
    if not alone:
        path = element("code", one.path, class_="path") if one.path else None
        where = element("span", f"{one.level.value} \N{MIDDLE DOT} {_REACH[one.reachable]}", class_="muted small")
        head = join(
            element("p", badge(one.severity), flags(one.flags), " ", path, " ", where, class_="head"),
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


def filters(differences: Sequence[Difference], groups: int, prefix: str) -> Markup:
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
    return join(form, _count(len(differences), groups))


def _unfold() -> Markup:
    return element("button", "Open folds", type="button", class_="unfold", aria_pressed="false")


def _count(differences: int, groups: int) -> Markup:
    said = f"{plural(differences, 'difference')} in {plural(groups, 'row')}"
    return element("output", said, class_="count", data_all=said)


def _chip(verdict: Verdict, differences: Sequence[Difference]) -> Markup:
    count = sum(one.severity is verdict for one in differences)
    tick = element("input", type="checkbox", name="verdict", value=verdict.name)
    return element("label", tick, badge(verdict), element("span", f"{count:,}", class_="number"), class_="chip")


def _select(prefix: str, name: str, label: str, options: Sequence[tuple[str, str]]) -> Markup:
    choices = (element("option", words, value=value) for value, words in [("", "all"), *options])
    select = element("select", *choices, name=name, id=f"{prefix}-{name}")
    return element("label", label, select, for_=f"{prefix}-{name}", class_="field")
