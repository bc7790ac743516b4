"""HTML that is escaped by construction: a plain string is always text, only what `element` made is markup."""

from __future__ import annotations

from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

from diffing.escaping import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Elements without content, and without an end tag (HTML standard, section 13.1.2).
_VOID = frozenset({"br", "col", "hr", "input", "link", "meta"})


class Markup(str):
    """A string that is HTML already."""

    __slots__ = ()


NOTHING = Markup()


def text(value: str) -> Markup:
    """`value` as text of a page. What does not print stands apart from the same letters written out in a name."""
    if value.isprintable():
        return Markup(escape(value, quote=False))
    parts = []
    for shows, run in groupby(value, str.isprintable):
        shown = "".join(run)
        if shows:
            parts.append(escape(shown, quote=False))
        else:
            parts.append(f'<span class="esc">{printable(shown)}</span>')
    return Markup("".join(parts))


def join(*children: str | None) -> Markup:
    """Children in a row: markup as it is, plain strings escaped, None left out."""
    return Markup("".join(child if isinstance(child, Markup) else text(child) for child in children if child))


def element(name: str, /, *children: str | None, **attributes: str | int | bool | None) -> Markup:
    """An element. `class_` is `class`, `aria_label` is `aria-label`; an attribute that is True stands alone, None and False are left out."""
    start = f"<{name}{''.join(_attributes(attributes))}>"
    return Markup(start) if name in _VOID else Markup(f"{start}{join(*children)}</{name}>")


def _attributes(attributes: dict[str, str | int | bool | None]) -> Iterable[str]:
    for key, value in attributes.items():
        name = key.rstrip("_").replace("_", "-")
        if value is True:
            yield f" {name}"
        elif value is not None and value is not False:
            yield f' {name}="{escape(printable(str(value)))}"'


def raw(name: str, content: str) -> Markup:
    """A `style` or `script` element: its content is code of ours and is not escaped.

    Raises ValueError where the content would end the element.
    """
    if f"</{name}" in content.lower() or "<!--" in content:
        raise ValueError(f"the content of <{name}> would end it: it must hold neither </{name} nor <!--")
    return Markup(f"<{name}>{content}</{name}>")


def plural(count: int, one: str, many: str = "") -> str:
    """`1 file`, `1,024 files`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def size(count: int) -> str:
    """Bytes for people, in powers of 1000: `812 B`, `38.2 MB`."""
    if count < 1000:
        return f"{count} B"
    value, unit = float(count), "B"
    for unit in ("kB", "MB", "GB", "TB"):  # noqa: B007 - the last one is used below
        value /= 1000
        if value < 999.95:
            break
    return f"{value:.1f} {unit}"
