"""Generated parity reports: what the laws of the policy and of every renderer are tried on."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import strategies as st

from diffing.policy import Policy, PolicyWaiver, judge
from diffing.report import Counts, Coverage, Difference, Fix, Normalised, Report, Share, SideSummary, Unknown
from diffing.verdict import Flag, Level, Verdict, worst

TODAY = date(2026, 11, 22)

#: Few, so that overrides and waivers meet differences.
RULES = ("distribution-version", "file-edited", "numeric-kernel", "startup-hook")
KNOWN_RULES = frozenset(RULES)

#: What breaks tables, lines, XML, Markdown and terminals.
_NASTY = [
    "a|b",
    "`tick`",
    "<b>&amp;</b>",
    "]]>",
    "a\nb\r\n",
    "\x1b[31m",
    "\0",
    "\udcff",
    "\ufffe",
    "日本語の名前",
    "e\u0301",
    "\u202e",
    "@everyone",
    "http://x.example",
    "x" * 100,
    "lib/python3.11/site-packages/click/core.py",
    "/usr/lib/libc.so.6",
    "a b",
    "",
    " ",
    "-",
    "__init__.py",
    "**bold**",
    "--",
    "sha256:",
    "$x$",
    "a:b",
    "\\|",
    "&#124;",
]
TEXTS = st.one_of(st.sampled_from(_NASTY), st.text(max_size=12), st.sampled_from(["1.0", "2.0", "click"]))
PATHS = st.one_of(st.none(), TEXTS)
DIGESTS = st.sampled_from([f"sha256:{letter * 64}" for letter in "abcd"])
NUMBERS = st.integers(0, 12) | st.integers(0, 10**7)
FLAGS = st.sampled_from([(), (), (Flag.INTEGRITY,), (Flag.UNKNOWN,), (Flag.INTEGRITY, Flag.UNKNOWN)])
VERDICTS = st.sampled_from(Verdict)
REACHABLE = st.sampled_from([True, False, None])
DATES = st.integers(-3, 3).map(lambda days: TODAY + timedelta(days))

sides = st.builds(
    SideSummary,
    TEXTS,
    st.sampled_from(["snapshot", "environment", "requirements", "pylock"]),
    *([st.none() | DIGESTS] * 3),
)

differences = st.builds(
    Difference,
    rule=st.sampled_from(RULES),
    level=st.sampled_from(Level),
    severity=VERDICTS,
    subject=st.sampled_from(["click", "numpy", "zz.pth"]) | TEXTS,
    path=PATHS,
    train=st.none() | TEXTS,
    serve=st.none() | TEXTS,
    reason=TEXTS,
    digest=DIGESTS,
    flags=FLAGS,
    reachable=REACHABLE,
    evidence=st.lists(TEXTS, max_size=2).map(tuple),
    because=TEXTS,
    details=st.one_of(st.just(()), st.lists(TEXTS, max_size=3).map(tuple), st.just(("line",) * 25)),
    bytes=NUMBERS,
    owner=st.none() | st.sampled_from(["click", "numpy"]),
    waived=st.none(),
)

counts = st.builds(
    Counts,
    distributions=NUMBERS,
    reachable=st.none() | NUMBERS,
    by_verdict=st.dictionaries(VERDICTS, NUMBERS).map(lambda found: tuple(sorted(found.items()))),
    differences=NUMBERS,
    waived=NUMBERS,
    harmless=NUMBERS,
    unreachable=NUMBERS,
)

unknown = st.builds(Unknown, TEXTS, st.sampled_from(["train", "serve", "both"]), TEXTS)
coverages = st.builds(Coverage, NUMBERS, NUMBERS, st.lists(unknown, max_size=4).map(tuple))


@st.composite
def policies(draw, found=()):
    """A policy; half of its waivers are for differences among `found`."""
    waivers = []
    for _ in range(draw(st.integers(0, 3))):
        if found and draw(st.booleans()):
            meant = draw(st.sampled_from(found))
            key = (meant.rule, meant.subject, meant.digest)
        else:
            key = (draw(st.sampled_from(RULES)), "click", draw(DIGESTS))
        waivers.append(PolicyWaiver(*key, draw(TEXTS), draw(TEXTS), draw(DATES)))
    rules = draw(st.dictionaries(st.sampled_from(RULES), st.none() | VERDICTS, max_size=2))
    return Policy("parity.toml", draw(VERDICTS), draw(FLAGS), tuple(sorted(rules.items())), tuple(waivers))


@st.composite
def gradings(draw):
    """Differences, flags and the verdict, as they come out of a comparison."""
    found = tuple(draw(st.lists(differences, max_size=6)))
    carried = {flag for each in found for flag in each.flags} | set(draw(st.sampled_from([(), (Flag.UNKNOWN,)])))
    verdict = worst(each.severity for each in found)
    if verdict is Verdict.IDENTICAL:
        verdict = draw(st.sampled_from([Verdict.IDENTICAL, Verdict.EQUIVALENT]))
    return found, tuple(flag for flag in Flag if flag in carried), verdict


@st.composite
def reports(draw):
    """A report that a policy has decided."""
    found, flags, verdict = draw(gradings())
    judged = judge(draw(policies(found)), found, flags, verdict, TODAY, KNOWN_RULES)
    return Report(
        verdict=verdict,
        passed=judged.passed,
        flags=flags,
        coverage=draw(coverages),
        train=draw(sides),
        serve=draw(sides),
        policy=judged.summary,
        rules_version=draw(TEXTS),
        counts=draw(counts),
        differences=judged.differences,
        normalised=tuple(draw(st.lists(st.builds(Normalised, TEXTS, NUMBERS), max_size=3))),
        shares=tuple(
            draw(st.lists(st.builds(Share, TEXTS, NUMBERS, NUMBERS, NUMBERS, VERDICTS, REACHABLE), max_size=3))
        ),
        fix=draw(st.none() | st.builds(Fix, TEXTS, TEXTS, st.lists(TEXTS, max_size=2).map(tuple))),
    )


def fleets():
    """One report or several."""
    return st.lists(reports(), min_size=1, max_size=3)
