"""The small pieces of the HTML report that recur: a verdict as a badge, a flag, a text to copy."""

from __future__ import annotations

from diffing.rendering.markup import Markup, element, join
from diffing.verdict import Flag, Verdict

#: A sign beside the word and the colour, so that neither eyes nor paper need the colour.
SIGNS = {
    Verdict.IDENTICAL: "=",
    Verdict.EQUIVALENT: "\N{ALMOST EQUAL TO}",
    Verdict.COMPATIBLE: "\N{WHITE CIRCLE}",
    Verdict.NUMERIC: "~",
    Verdict.DRIFTED: "!",
    Verdict.INCOMPATIBLE: "\N{MULTIPLICATION X}",
}

#: What each verdict says about the two environments.
MEANINGS = {
    Verdict.IDENTICAL: "Both sides are the same to the last byte.",
    Verdict.EQUIVALENT: "Both sides differ only in ways that a named rule calls harmless.",
    Verdict.COMPATIBLE: "The sides differ, but not in what the model can reach or depends on.",
    Verdict.NUMERIC: "The same code, but results may differ in their last digits.",
    Verdict.DRIFTED: "The model can reach code or data that is not what it was trained with.",
    Verdict.INCOMPATIBLE: "The model is known to fail, or to give other results, with what serves.",
}

FLAGS = {
    Flag.INTEGRITY: "Content disagrees with what its own RECORD says.",
    Flag.UNKNOWN: "Something was not captured on one side, and is never counted as equal.",
}


def css(verdict: Verdict) -> str:
    """The class that gives an element a verdict's colours."""
    return f"v-{verdict.name.lower()}"


def badge(verdict: Verdict, *, large: bool = False) -> Markup:
    sign = element("span", SIGNS[verdict], class_="sign", aria_hidden="true")
    size = " large" if large else ""
    return element("span", sign, verdict.name, class_=f"badge {css(verdict)}{size}", title=MEANINGS[verdict])


def flag(which: Flag) -> Markup:
    return element("span", which.value, class_=f"flag flag-{which.value.lower()}", title=FLAGS[which])


def flags(which: tuple[Flag, ...]) -> Markup:
    return join(*(join(" ", flag(one)) for one in which))


def isolated(value: str) -> Markup:
    """A value within a sentence: its writing direction cannot turn the words around it."""
    return element("bdi", value)


def copyable(value: str, what: str) -> Markup:
    """A text to copy: selected as a whole by a click, and a button where scripts run. Copied is what is shown."""
    shown = element("code", value, class_="copyable")
    button = element("button", "Copy", type="button", class_="copy", aria_label=f"Copy {what}")
    return element("span", shown, button, class_="copying")
