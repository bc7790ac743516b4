"""The HTML report as a parser sees it: its policy, its colours, its picture, its order."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from hashlib import sha256
from importlib.resources import files

import pytest

from diffing.rendering import html
from diffing.report import Share, Unknown
from diffing.verdict import Flag, Verdict

from .samples import DIFFERENCES, DRIFTED, EQUIVALENT, SAMPLES

STYLE = files("diffing.rendering").joinpath("assets/report.css").read_text(encoding="utf-8")


def words(source):
    """The text of a page's body, without markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", re.sub(r"(?s)<(style|script)>.*?</\1>", "", source)))


def subjects(source):
    return re.findall(r'<span class="subject">([^<]*)</span>', source)


def test_no_report_is_no_page():
    with pytest.raises(html.NothingToRenderError, match="there is no report to render: give at least one"):
        html.render([])


def test_the_page_allows_its_own_style_and_script_and_nothing_else():
    source = html.render(SAMPLES["drifted"])
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', source)[1].replace(
        "&#x27;", "'"
    )
    allowed = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    for name in ("style", "script"):
        code = re.search(f"(?s)<{name}>(.*?)</{name}>", source)[1]
        digest = base64.b64encode(sha256(code.encode()).digest()).decode()
        assert allowed.pop(f"{name}-src") == f"'sha256-{digest}'"
    assert allowed == {
        "default-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
    }


def test_style_and_script_ask_for_nothing():
    script = files("diffing.rendering").joinpath("assets/report.js").read_text(encoding="utf-8")
    for code in (STYLE, script):
        assert not re.search(
            r"(?i)https?:|url\(|@import|@font-face|fetch\(|XMLHttp|WebSocket|Beacon|import\(|innerHTML|eval", code
        )


def luminance(colour):
    """Relative luminance (WCAG 2.1)."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): (#\w{6});", block)) for block in re.findall(r"(?s):root \{(.*?)\}", STYLE)[:2]
)
PAIRS = [(f"{verdict.name.lower()}-ground", f"{verdict.name.lower()}-ink") for verdict in Verdict]
PAIRS += [
    (ground, ink) for ground in ("page", "surface", "inset") for ink in ("ink", "muted", "accent", "passed", "failed")
]
PAIRS += [("warning-ground", "warning-ink"), ("surface", "warning-ink")]


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_stands_out_from_its_ground(scheme):
    low = {pair: contrast(scheme[pair[0]], scheme[pair[1]]) for pair in PAIRS}
    assert {pair: found for pair, found in low.items() if found < 4.5} == {}


def test_the_verdict_and_the_outcome_are_words():
    page = words(html.render([DRIFTED]))
    assert "✕ Failed" in page
    assert "! DRIFTED" in page
    assert f"Policy {DRIFTED.policy.name} : at most {DRIFTED.policy.maximum}" in page
    assert "✓ Passed" in words(html.render([EQUIVALENT]))


def test_what_the_policy_refuses_comes_first_then_the_worst():
    one = replace(DIFFERENCES[0], path=None, owner=None, flags=(), waived=None, details=())
    found = [
        replace(one, subject=name, severity=severity)
        for name, severity in (("c", Verdict.EQUIVALENT), ("a", Verdict.DRIFTED), ("b", Verdict.NUMERIC))
    ]
    worst = replace(one, subject="d", severity=Verdict.INCOMPATIBLE)
    assert subjects(html.render([replace(DRIFTED, differences=(*found, worst))])) == ["d", "a", "b", "c"]


def test_several_sides_begin_with_all_of_them_and_say_what_differs_where():
    source = html.render(SAMPLES["fleet"])
    page = words(source)
    assert "1 of 2 failed 2 serving sides against" in page
    assert page.index("All serving sides") < page.index("What differs where") < page.index("Training")
    assert source.count('<section class="report" id="s') == 2
    for n in (1, 2):
        assert f'href="#s{n}"' in source


def test_one_side_has_no_overview():
    assert "All serving sides" not in html.render([DRIFTED])


def test_aspects_that_are_unknown_for_one_reason_stand_together():
    unknown = (
        Unknown("host", "both", "not captured"),
        Unknown("numeric", "both", "not captured"),
        Unknown("gpu", "serve", "no"),
    )
    page = words(html.render([replace(DRIFTED, coverage=replace(DRIFTED.coverage, unknown=unknown))]))
    assert "host , numeric (both): not captured gpu (serve): no" in page


def test_problems_and_overrides_of_the_policy_are_listed():
    policy = replace(
        DRIFTED.policy, problems=("waiver 2 expired",), overrides=(("gpu-driver", None), ("numpy", Verdict.DRIFTED))
    )
    page = words(html.render([replace(DRIFTED, policy=policy, flags=(Flag.INTEGRITY,))]))
    assert "1 problem: waiver 2 expired" in page
    assert "gpu-driver counts as nothing numpy counts as ! DRIFTED" in page


def shares(*found):
    return replace(
        DRIFTED, shares=tuple(Share(name, size, 2, 1, verdict, reach) for name, size, verdict, reach in found)
    )


def picture(report):
    """The wide drawing: each rectangle's title, its part of the picture's area, and whether it is hatched."""
    source = html.render([report])
    drawing = source[source.index('<svg class="treemap wide"') : source.index('<svg class="treemap narrow"')]
    cells = re.findall(
        r'<svg x="[\d.]+%" y="[\d.]+%" width="([\d.]+)%" height="([\d.]+)%"[^>]*><title>(.*?)</title>(.*?)</svg>',
        drawing,
    )
    return [(title, float(width) * float(height) / 10000, "url(#" in rest) for width, height, title, rest in cells]


def test_areas_of_the_picture_are_bytes_and_what_is_out_of_reach_is_hatched():
    found = picture(shares(("a", 3_000_000, Verdict.DRIFTED, True), ("b", 1_000_000, Verdict.IDENTICAL, False)))
    assert [title for title, _, _ in found] == [
        "a: DRIFTED, 3.0 MB, 1 of 2 files differ, reachable",
        "b: IDENTICAL, 1.0 MB, 1 of 2 files differ, not reachable",
    ]
    assert [round(area, 3) for _, area, _ in found] == [0.75, 0.25]
    assert [hatched for _, _, hatched in found] == [False, True]


def test_the_smallest_that_differs_is_still_seen():
    found = picture(shares(("big", 10**9, Verdict.IDENTICAL, True), ("zz.pth", 61, Verdict.DRIFTED, True)))
    assert found[1][1] > 0.0003


def test_of_very_many_owners_the_largest_and_the_worst_are_drawn_and_the_others_together():
    many = [(f"p{n}", 1000 + n, Verdict.IDENTICAL, True) for n in range(2000)]
    found = picture(shares(("tiny", 1, Verdict.INCOMPATIBLE, True), *many))
    titles = [title for title, _, _ in found]
    assert any(title.startswith("tiny: INCOMPATIBLE") for title in titles)
    assert any(title.startswith("p1999: ") for title in titles)
    assert len(titles) == 241
    others = next(title for title in titles if " others: " in title)
    assert others.startswith(f"{2001 - 240:,} others: IDENTICAL")


def test_no_share_no_picture():
    assert "Where the bytes" not in html.render([replace(DRIFTED, shares=())])
