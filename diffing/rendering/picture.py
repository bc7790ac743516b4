"""Where the bytes and the differences are: a treemap as SVG, its legend, and the same as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

from diffing.escaping import printable
from diffing.rendering.badges import badge, css
from diffing.rendering.markup import NOTHING, Markup, element, join, plural, size
from diffing.rendering.treemap import Rectangle, squarify
from diffing.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from diffing.report import Share

#: More rectangles than this cannot be told apart: besides the largest and the worst, one for each verdict.
_LARGEST, _WORST = 160, 80
#: No rectangle is smaller than this share of the picture: a script of 1 kB that differs must still be seen.
_LEAST = 0.0004

_LETTER, _WIDE_LETTER, _MARGIN, _LINE = 7.4, 13.0, 14.0, 16.0


@dataclass(frozen=True, slots=True)
class _Layout:
    """One of the two arrangements: CSS pixels that it is made for, and the widths of window from which labels may show.

    `gutter` is what the page keeps beside the picture, `most` the widest that it gets.
    """

    name: str
    width: float
    height: float
    windows: tuple[int, ...]
    gutter: float
    most: float


_LAYOUTS = (
    _Layout("wide", 1100, 420, (700, 850, 1000, 1200), 100, 1132),
    _Layout("narrow", 420, 520, (340, 440, 560), 66, 640),
)


def picture(shares: Sequence[Share], prefix: str, rows: Mapping[str, str]) -> Markup:
    """The picture of one report. `prefix` keeps its ids apart, `rows` leads from an owner to the id of its row of differences."""
    if not shares:
        return NOTHING
    cells = _cells(shares)
    drawings = [_drawing(layout, cells, shares, prefix, rows) for layout in _LAYOUTS]
    return join(*drawings, _legend(shares), _table(shares))


def _cells(shares: Sequence[Share]) -> list[Share]:
    """The rectangles, the largest first: the largest and the worst owners, and for each verdict the others together."""
    largest = sorted(shares, key=lambda share: (-share.bytes, share.owner))
    kept, others = largest[:_LARGEST], sorted(largest[_LARGEST:], key=lambda share: -share.verdict)
    kept, others = kept + others[:_WORST], others[_WORST:]
    for verdict in sorted({share.verdict for share in others}):
        kept.append(_together([share for share in others if share.verdict is verdict]))
    return sorted(kept, key=lambda share: (-share.bytes, share.owner))


def _together(shares: Sequence[Share]) -> Share:
    first = shares[0]
    reachable = False if all(share.reachable is False for share in shares) else None
    files, differing = sum(share.files for share in shares), sum(share.differing for share in shares)
    name = plural(len(shares), "other")
    return type(first)(name, sum(share.bytes for share in shares), files, differing, first.verdict, reachable)


def _drawing(
    layout: _Layout, cells: Sequence[Share], shares: Sequence[Share], prefix: str, rows: Mapping[str, str]
) -> Markup:
    total = sum(share.bytes for share in cells)
    least = max(1.0, total * _LEAST)
    places = squarify([max(float(share.bytes), least) for share in cells], Rectangle(0, 0, layout.width, layout.height))
    title, description, hatch = (f"{prefix}-{layout.name}-{part}" for part in ("title", "desc", "hatch"))
    differing = sum(share.verdict > Verdict.EQUIVALENT for share in shares)
    said = (
        f"A treemap of {plural(len(shares), 'owner')} of files, {size(total)} in all, {differing:,} of them beyond "
        "EQUIVALENT. Each rectangle's area is its size, its colour its verdict; hatched ones the model cannot reach. "
        "The table below it holds the same."
    )
    return element(
        "svg",
        element("title", "Where the bytes and the differences are", id=title),
        element("desc", said, id=description),
        _hatching(hatch),
        *(_cell(layout, share, place, hatch, rows) for share, place in zip(cells, places, strict=True)),
        class_=f"treemap {layout.name}",
        role="group",
        aria_labelledby=title,
        aria_describedby=description,
        width="100%",
        height=int(layout.height),
    )


def _hatching(name: str) -> Markup:
    line = element("path", d="M-1,1 l2,-2 M0,8 l8,-8 M7,9 l2,-2", class_="hatching")
    pattern = element("pattern", line, id=name, width=8, height=8, patternUnits="userSpaceOnUse")
    return element("defs", pattern)


def _cell(layout: _Layout, share: Share, place: Rectangle, hatch: str, rows: Mapping[str, str]) -> Markup:
    x, width = _percent(place.x, layout.width), _percent(place.width, layout.width)
    y, height = _percent(place.y, layout.height), _percent(place.height, layout.height)
    full = {"width": "100%", "height": "100%"}
    inside = element(
        "svg",
        element("title", _said(share)),
        element("rect", **full, class_="cell"),
        element("rect", **full, fill=f"url(#{hatch})", stroke="none") if share.reachable is False else None,
        _label(layout, share, place),
        x=x,
        y=y,
        width=width,
        height=height,
        class_=css(share.verdict),
    )
    row = rows.get(share.owner)
    return element("a", inside, href=f"#{row}", aria_label=_said(share)) if row else inside


def _percent(value: float, whole: float) -> str:
    return f"{100 * value / whole:.3f}%"


def _label(layout: _Layout, share: Share, place: Rectangle) -> Markup | None:
    """The owner's name, shown from the narrowest window on in which it fits, and its size where there is room below."""
    shown, held = printable(share.owner), size(share.bytes)
    two = place.height >= 2 * _LINE + 6
    needed = max(_long(shown), _long(held) if two else 0.0) + _MARGIN
    if place.height < _LINE + 4:
        return None
    for window in layout.windows:
        picture = min(window - layout.gutter, layout.most)
        if needed <= picture * place.width / layout.width:
            name = element("text", shown, x=7, y=17, class_=f"label w{window}")
            return join(name, element("text", held, x=7, y=33, class_=f"label size w{window}") if two else None)
    return None


def _long(words: str) -> float:
    """The width of `words` in CSS pixels: rather too much than too little, whatever the font."""
    return sum(_WIDE_LETTER if east_asian_width(char) in "WF" else _LETTER for char in words)


def _said(share: Share) -> str:
    differing = f"{share.differing:,} of {plural(share.files, 'file')} differ"
    return f"{share.owner}: {share.verdict}, {size(share.bytes)}, {differing}, {reach(share.reachable)}"


def reach(reachable: bool | None) -> str:
    """Whether the model can reach something, in words."""
    if reachable is None:
        return "reach not known"
    return "reachable" if reachable else "not reachable"


def _legend(shares: Sequence[Share]) -> Markup:
    def entry(swatch: Markup, *words: str | None) -> Markup:
        return element("li", swatch, *words)

    entries = []
    for verdict in sorted({share.verdict for share in shares}, reverse=True):
        of_it = [share for share in shares if share.verdict is verdict]
        held = f" {plural(len(of_it), 'owner')}, {size(sum(share.bytes for share in of_it))}"
        entries.append(entry(badge(verdict), element("span", held, class_="muted")))
    if any(share.reachable is False for share in shares):
        swatch = element(
            "svg",
            _hatching_swatch(),
            width=22,
            height=14,
            class_=f"swatch {css(Verdict.IDENTICAL)}",
            aria_hidden="true",
        )
        entries.append(entry(swatch, element("span", " hatched: the model cannot reach it", class_="muted")))
    return element("ul", *entries, class_="legend", aria_label="Legend")


def _hatching_swatch() -> Markup:
    lines = element("path", d="M-2,8 l10,-10 M-2,16 l18,-18 M6,16 l18,-18 M14,16 l10,-10", class_="hatching")
    return join(element("rect", width="100%", height="100%", class_="cell"), lines)


def _table(shares: Sequence[Share]) -> Markup:
    ranked = sorted(shares, key=lambda share: (-share.verdict, -share.bytes, share.owner))
    head = element("tr", *_heads(("Owner", False), ("Verdict", False), ("Size", True), ("Files", True)))
    head = element("thead", head)
    body = element("tbody", *(_share_row(share) for share in ranked))
    table = element("div", element("table", head, body, class_="plain"), class_="scrolling", tabindex=0)
    summary = element("summary", f"The same as a table: {plural(len(shares), 'owner')} of files")
    return element("details", summary, table, class_="fold")


def _heads(*names: tuple[str, bool]) -> Iterable[Markup]:
    for name, number in names:
        yield element("th", name, scope="col", class_="number" if number else None)
    yield element("th", "Differing", scope="col", class_="number")
    yield element("th", "Reach", scope="col")


def _share_row(share: Share) -> Markup:
    return element(
        "tr",
        element("th", share.owner, scope="row"),
        element("td", badge(share.verdict)),
        element("td", size(share.bytes), class_="number", title=plural(share.bytes, "byte")),
        element("td", f"{share.files:,}", class_="number"),
        element("td", f"{share.differing:,}", class_="number"),
        element("td", reach(share.reachable)),
    )
