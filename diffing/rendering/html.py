"""The parity report as one HTML file that needs nothing else: no network, no font, no server, and scripts only for the filters."""

from __future__ import annotations

import base64
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from diffing.errors import DiffError
from diffing.policy import beyond
from diffing.rendering import listing
from diffing.rendering.badges import MEANINGS, SIGNS, badge, copyable, css, flags, isolated
from diffing.rendering.markup import Markup, element, join, plural, raw, text
from diffing.rendering.overview import overview
from diffing.rendering.picture import picture
from diffing.report import SCHEMA
from diffing.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from diffing.report import Coverage, Difference, Fix, Normalised, PolicySummary, Report, SideSummary


class NothingToRenderError(DiffError, ValueError):
    """There is no report to render."""


def render(reports: Sequence[Report]) -> str:
    """One page for all `reports`, which are comparisons of one baseline with one or more serving sides.

    The page's Content-Security-Policy allows its own style and script by their digests and nothing else, so that nothing in a report can
    load or run anything. Every character of the result can be stored as UTF-8.

    Raises NothingToRenderError if there are no reports.
    """
    if not reports:
        raise NothingToRenderError("there is no report to render: give at least one")
    sections = [_section(report, f"s{n}") for n, report in enumerate(reports, 1)]
    footer = element("footer", _footer(reports))
    title = element("h1", "Parity report", class_="eyebrow")
    main = element("main", title, overview(reports) if len(reports) > 1 else None, *sections, id="main")
    skip = element("a", "Skip to the report", href="#main", class_="skip")
    body = element("body", skip, main, footer, raw("script", _asset("report.js")))
    return f"<!doctype html>\n{element('html', _head(reports), body, lang='en')}\n"


@lru_cache
def _asset(name: str) -> str:
    return files("diffing.rendering").joinpath("assets", name).read_text(encoding="utf-8")


def _allowed(code: str) -> str:
    """The digest by which a Content-Security-Policy (level 2, section 4.2.5) allows inline code."""
    return f"'sha256-{base64.b64encode(sha256(code.encode()).digest()).decode()}'"


def _head(reports: Sequence[Report]) -> Markup:
    style = _asset("report.css")
    policy = (
        f"default-src 'none'; style-src {_allowed(style)}; script-src {_allowed(_asset('report.js'))}; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )
    outcome = "passed" if all(report.passed for report in reports) else "FAILED"
    worst = max(report.verdict for report in reports)
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", f"Parity {outcome}: {worst}, {reports[0].train.label} and {_served(reports)}"),
        raw("style", style),
    )


def _served(reports: Sequence[Report]) -> str:
    return reports[0].serve.label if len(reports) == 1 else f"{len(reports):,} serving sides"


def _footer(reports: Sequence[Report]) -> str:
    versions = ", ".join(sorted({report.rules_version for report in reports}))
    return f"Rules version {versions}. Report schema {SCHEMA}."


# -- one comparison


def _section(report: Report, prefix: str) -> Markup:
    rows = listing.rows(report, prefix)
    drawn = picture(report.shares, prefix, {row.name: row.id for row in reversed(rows)})
    return element(
        "section",
        _hero(report, prefix),
        _cards(_counts(report), _coverage(report.coverage), _fix(report.fix) if report.fix else None),
        _cards(_side("Training", report.train, report.serve), _side("Serving", report.serve, report.train)),
        _block("Where the bytes and the differences are", drawn) if drawn else None,
        _differences(report, rows, prefix),
        _cards(_policy(report.policy, report.differences), _normalised(report)),
        class_="report",
        id=prefix,
        aria_labelledby=f"{prefix}-title",
    )


def _hero(report: Report, prefix: str) -> Markup:
    outcome = "passed" if report.passed else "failed"
    sign = element(
        "span", "\N{CHECK MARK}" if report.passed else "\N{MULTIPLICATION X}", class_="sign", aria_hidden="true"
    )
    title = element(
        "h2",
        element("span", sign, outcome.capitalize(), class_="outcome"),
        element(
            "span", isolated(report.train.label), " \N{RIGHTWARDS ARROW} ", isolated(report.serve.label), class_="sides"
        ),
        id=f"{prefix}-title",
    )
    verdict = element(
        "div",
        element("p", badge(report.verdict, large=True), flags(report.flags), class_="verdict"),
        element("p", MEANINGS[report.verdict], class_="meaning"),
        element("p", *_judged(report), class_="muted"),
    )
    scale = _scale(report.verdict, report.policy.maximum)
    return element("header", title, verdict, scale, class_=f"hero {outcome}")


def _judged(report: Report) -> Iterable[Markup | str]:
    policy = report.policy
    yield join("Policy ", isolated(policy.name), f": at most {policy.maximum}")
    if policy.forbidden:
        yield f", no {' and no '.join(one.value for one in policy.forbidden)}"
    yield ". "
    refused = sum(beyond(one, policy) for one in report.differences)
    if refused:
        yield f"It refuses {plural(refused, 'difference')} of {len(report.differences):,}. "
    waived = sum(one.waived is not None for one in report.differences)
    if waived:
        yield f"{waived:,} {'is' if waived == 1 else 'are'} waived. "
    raised = [one.value for one in report.flags if one in policy.forbidden]
    if raised:
        yield f"{' and '.join(raised)} was raised. "
    if policy.problems:
        yield f"{plural(len(policy.problems), 'problem')} with the policy. "


def _scale(verdict: Verdict, maximum: Verdict) -> Markup:
    """All six verdicts in a row, with this one and the policy's limit marked."""
    steps = []
    for one in Verdict:
        notes = [words for at, words in ((verdict, "this comparison"), (maximum, "policy's limit")) if at is one]
        note = element("span", " and ".join(notes), class_="note") if notes else None
        classes = ["step", css(one), "here" if one is verdict else "", "limit" if one is maximum else ""]
        word = element("span", element("span", SIGNS[one], class_="sign", aria_hidden="true"), one.name, class_="word")
        current = "true" if one is verdict else None
        steps.append(element("li", word, note, class_=" ".join(filter(None, classes)), aria_current=current))
    return element("ol", *steps, class_="scale", aria_label="The verdicts, from the best to the worst")


def _block(title: str, *children: str | None, class_: str = "block") -> Markup:
    return element("section", element("h3", title), *children, class_=class_)


def _cards(*cards: Markup | None) -> Markup:
    return element("div", *cards, class_="cards")


def _side(name: str, side: SideSummary, other: SideSummary) -> Markup:
    facts: list[Markup] = []
    for words, field in (("Parity root", "parity_root"), ("Strict digest", "strict_digest"), ("Snapshot", "snapshot")):
        value, opposite = getattr(side, field), getattr(other, field)
        if value is None:
            facts.append(join(element("dt", words), element("dd", "none", class_="muted")))
            continue
        equal = None
        if opposite is not None:
            same = value == opposite
            equal = element("span", "same on both sides" if same else "differs", class_="same" if same else "differs")
        facts.append(
            join(element("dt", words, " ", equal), element("dd", copyable(value, f"{name.lower()} {words.lower()}")))
        )
    label = element("p", isolated(side.label), " ", element("span", side.kind, class_="flag"), class_="side")
    return _block(name, label, element("dl", *facts, class_="digests"), class_="card")


def _counts(report: Report) -> Markup:
    counts = report.counts
    total = plural(counts.distributions, "distribution")
    lead = f"{total}; what the model reaches is not known"
    if counts.reachable is not None:
        lead = f"The model can reach {counts.reachable:,} of {total}"
    tally = [
        element("li", badge(verdict), " ", element("span", f"{count:,}", class_="number"))
        for verdict, count in sorted(counts.by_verdict, reverse=True)
    ]
    hidden = ((counts.harmless, "harmless"), (counts.unreachable, "out of reach"), (counts.waived, "waived"))
    others = ", ".join(f"{count:,} {words}" for count, words in hidden)
    return _block(
        "Distributions",
        element("p", lead, "."),
        element("ul", *tally, class_="tally"),
        element("p", f"{plural(counts.differences, 'difference')} listed; {others}.", class_="muted"),
        class_="card",
    )


def _coverage(coverage: Coverage) -> Markup:
    bar = element(
        "svg",
        element("rect", width="100%", height="100%", class_="track"),
        element("rect", width=f"{coverage.percent}%", height="100%", class_="known"),
        class_="bar",
        width="100%",
        height=8,
        aria_hidden="true",
    )
    known = f"{coverage.known:,} of {plural(coverage.total, 'aspect')} could be compared"
    reasons: dict[tuple[str, str], list[str]] = {}
    for one in coverage.unknown:
        reasons.setdefault((one.side, one.why), []).append(one.aspect)
    unknown = [
        element("li", *_separated(aspects), element("span", f" ({side}): ", class_="muted"), isolated(why))
        for (side, why), aspects in reasons.items()
    ]
    lead = element(
        "p", "Not known, and never counted as equal:" if unknown else "Nothing was left out.", class_="muted"
    )
    return _block(
        "Coverage",
        element("p", element("strong", f"{coverage.percent}%", class_="figure"), " ", known),
        bar,
        lead,
        element("ul", *unknown, class_="unknown") if unknown else None,
        class_="card",
    )


def _separated(values: Sequence[str]) -> Iterable[Markup]:
    for n, value in enumerate(values):
        yield join(", " if n else None, isolated(value))


def _fix(fix: Fix) -> Markup:
    """The command as it is shown is what the button copies: nothing invisible gets into a shell."""
    lines = Markup("\n".join(text(line) for line in fix.command.split("\n")))
    code = element("pre", element("code", lines, class_="copyable"), tabindex=0)
    button = element("button", "Copy", type="button", class_="copy", aria_label="Copy the command")
    pins = None
    if fix.pins:
        exact = element("ul", *(element("li", element("code", pin)) for pin in fix.pins), class_="lines")
        pins = element("details", element("summary", plural(len(fix.pins), "exact pin")), exact, class_="fold")
    command = element("div", code, button, class_="copying command")
    return _block("What mends it", element("p", fix.summary), command, pins, class_="card whole fix")


def _differences(report: Report, rows: Sequence[listing.Row], prefix: str) -> Markup:
    if not rows:
        return _block("Differences", element("p", "None.", class_="muted"))
    named = f"Differences between {report.train.label} and {report.serve.label}, the worst first"
    body = listing.filters(report.differences, len(rows), prefix), listing.table(rows, named)
    return _block("Differences", *body, class_="block differences")


# -- how it was judged


def _policy(policy: PolicySummary, differences: Sequence[Difference]) -> Markup:
    forbidden = ", ".join(one.value for one in policy.forbidden) or "none"
    waivers = sum(one.waived is not None for one in differences)
    facts = element(
        "dl",
        element("dt", "Name"),
        element("dd", isolated(policy.name)),
        element("dt", "Worst verdict allowed"),
        element("dd", badge(policy.maximum)),
        element("dt", "Flags forbidden"),
        element("dd", forbidden),
        element("dt", "Differences waived"),
        element("dd", f"{waivers:,}"),
        element("dt", "Overrides"),
        element("dd", _overrides(policy)),
        element("dt", "Digest"),
        element("dd", copyable(policy.digest, "the policy's digest")),
        class_="digests",
    )
    problems = [element("li", one) for one in policy.problems]
    listed = element("ul", *problems, class_="problems") if problems else None
    lead = element("p", f"{plural(len(problems), 'problem')}:", class_="warning") if problems else None
    return _block("Policy", facts, lead, listed, class_="card")


def _overrides(policy: PolicySummary) -> Markup | str:
    if not policy.overrides:
        return "none"
    each = (
        element("li", element("code", rule), " counts as ", badge(verdict) if verdict is not None else "nothing")
        for rule, verdict in policy.overrides
    )
    return element("ul", *each)


def _normalised(report: Report) -> Markup:
    rules: tuple[Normalised, ...] = tuple(sorted(report.normalised, key=lambda one: (-one.count, one.rule)))
    if not rules:
        return _block("Normalised by a named rule", element("p", "Nothing.", class_="muted"), class_="card")
    total = sum(one.count for one in rules)
    row = [
        element(
            "tr",
            element("th", element("code", one.rule), scope="row"),
            element("td", f"{one.count:,}", class_="number"),
        )
        for one in rules
    ]
    head = element("tr", element("th", "Rule", scope="col"), element("th", "Times", scope="col", class_="number"))
    table = element("table", element("thead", head), element("tbody", *row), class_="plain")
    lead = element("p", f"{plural(total, 'difference')} found harmless by rules version {report.rules_version}.")
    return _block("Normalised by a named rule", lead, table, class_="card")
