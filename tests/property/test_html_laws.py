"""Laws of the HTML report, on generated reports: well-formed, closed to the network, and every value is there as text."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diffing.escaping import printable
from diffing.rendering import html
from diffing.rendering.badges import css
from diffing.rendering.markup import element, text
from diffing.rendering.treemap import Rectangle, squarify

from .reports import TEXTS, fleets, reports

#: No law measures time: a machine may be busy.
law = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

VOID = {"meta", "input", "link", "br", "hr", "col", "img"}
#: Everything that a report needs. A value that became markup would add another, or an attribute below.
_ELEMENTS = (
    "html head meta title style body main footer header section h1 h2 h3 p a span bdi strong code pre ul ol li dl dt dd time"
    " table caption thead tbody tr th td details summary form label input select option button output div script"
    " svg desc defs pattern path rect text"
)
_ATTRIBUTES = (
    "lang charset http-equiv content name class id href role scope title type value hidden tabindex for spellcheck autocomplete"
    " width height x y d fill stroke patternunits data-verdict data-level data-reachable data-flag data-waived data-all"
)
ELEMENTS, ATTRIBUTES = set(_ELEMENTS.split()), set(_ATTRIBUTES.split())


class Page(HTMLParser):
    """What a parser makes of a page: raises when an element is not closed where it should be."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.attributes, self.words, self.code = [], Counter(), [], [], []
        self.found = {}
        self.feed(source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements[tag] += 1
        self.attributes += attributes
        assert len(dict(attributes)) == len(attributes), f"an attribute twice: {attributes}"
        if tag not in VOID:
            self.open.append(tag)
        self.found.setdefault((tag, dict(attributes).get("class")), []).append(dict(attributes))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        (self.code if self.open and self.open[-1] in ("script", "style") else self.words).append(data)

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    @property
    def text(self):
        return "".join(self.words)

    def all(self, tag, class_):
        return self.found.get((tag, class_), [])


@law
@given(fleets())
def test_a_page_is_well_formed_and_made_of_nothing_unforeseen(found):
    source = html.render(found)
    source.encode("utf-8")
    page = Page(source)
    assert set(page.elements) <= ELEMENTS
    assert {name for name, _ in page.attributes if not name.startswith("aria-")} <= ATTRIBUTES
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert page.elements["script"] == 1
    assert page.elements["style"] == 1


@law
@given(fleets())
def test_a_page_refers_to_nothing_but_its_own_parts(found):
    page = Page(html.render(found))
    ids = {value for name, value in page.attributes if name == "id"}
    for name, value in page.attributes:
        if name == "href":
            assert value[0] == "#"
            assert value[1:] in ids
        if name in ("fill", "stroke") and value != "none":
            assert re.fullmatch(r"url\(#([\w-]+)\)", value)[1] in ids
        if name in ("for", "aria-labelledby", "aria-describedby"):
            assert value in ids


@law
@given(reports())
def test_every_value_of_a_report_is_there_as_text(report):
    shown = Page(html.render([report])).text
    values = [report.train.label, report.serve.label, report.policy.name, report.policy.digest, report.rules_version]
    values += [side.parity_root for side in (report.train, report.serve) if side.parity_root is not None]
    values += [part for one in report.coverage.unknown for part in (one.aspect, one.why)]
    values += report.policy.problems
    values += [one.rule for one in report.normalised]
    for one in report.differences:
        values += [one.rule, one.owner or one.subject, one.subject, one.path, one.reason, one.because, one.digest]
        values += [*one.evidence, *one.details]
        values += [one.waived.owner, one.waived.reason, one.waived.expires] if one.waived else []
    if report.fix:
        values += [*report.fix.command.split("\n"), report.fix.summary, *report.fix.pins]
    for value in values:
        assert printable(value or "") in shown


@law
@given(reports())
def test_the_counts_of_a_page_are_those_of_the_report(report):
    page = Page(html.render([report]))
    assert len(page.all("li", "difference")) == len(report.differences)
    severities = Counter(one["data-verdict"] for one in page.all("li", "difference"))
    assert severities == Counter(one.severity.name for one in report.differences)
    counts = report.counts
    assert f"{counts.harmless:,} harmless, {counts.unreachable:,} out of reach, {counts.waived:,} waived" in page.text
    for verdict, count in counts.by_verdict:
        assert f"{verdict.name} {count:,}" in page.text
    for one in report.normalised:
        assert f"{printable(one.rule)}{one.count:,}" in page.text
    assert f"{report.coverage.percent}%" in page.text
    assert page.all("header", f"hero {'passed' if report.passed else 'failed'}")
    assert page.all("span", f"badge {css(report.verdict)} large")


@law
@given(TEXTS, TEXTS)
def test_a_value_is_one_text_or_one_attribute_whatever_it_holds(content, attribute):
    page = Page(element("p", content, title=attribute))
    assert page.text == printable(content)
    assert page.attributes[0] == ("title", printable(attribute))
    assert set(page.attributes[1:]) <= {("class", "esc")}
    assert set(page.elements) <= {"p", "span"}


@law
@given(st.text())
def test_text_holds_nothing_that_does_not_print(value):
    assert text(value).isprintable()


WEIGHTS = st.lists(st.floats(1, 1e5), min_size=1, max_size=60).map(lambda found: sorted(found, reverse=True))


@law
@given(WEIGHTS, st.floats(10, 2000), st.floats(10, 2000))
def test_the_areas_of_a_treemap_are_the_weights(weights, width, height):
    found = squarify(weights, Rectangle(0, 0, width, height))
    assert len(found) == len(weights)
    slack = 1e-6 * max(width, height)
    for weight, place in zip(weights, found, strict=True):
        area = weight / sum(weights) * width * height
        assert abs(place.width * place.height - area) <= 1e-6 * width * height
        assert -slack <= place.x <= place.x + place.width <= width + slack
        assert -slack <= place.y <= place.y + place.height <= height + slack


@law
@given(WEIGHTS, st.floats(10, 2000), st.floats(10, 2000))
def test_the_rectangles_of_a_treemap_do_not_overlap(weights, width, height):
    found = squarify(weights, Rectangle(0, 0, width, height))
    slack = 1e-6 * max(width, height)
    for n, one in enumerate(found):
        for other in found[:n]:
            across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
            down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
            assert across <= slack or down <= slack
