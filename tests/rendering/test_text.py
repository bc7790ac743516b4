"""The first screen: what is on it, what is folded away, and what a name can do to it."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import replace

import pytest

from diffing.rendering import text
from diffing.rendering.wording import change, columns, coverage_words, packed, shorten, what, wrap
from diffing.report import Coverage, Fix, Unknown
from diffing.verdict import Flag, Level, Verdict

from .samples import DIFFERENCES, DRIFTED, EQUIVALENT, digest, side


def shown(*reports, full=False):
    return text.render(reports, full=full).splitlines()


def with_differences(*found, **changes):
    return replace(DRIFTED, differences=found, **changes)


def numbered(number, **changes):
    base = replace(DIFFERENCES[0], subject=f"package-{number}", owner=f"package-{number}", because="x")
    return replace(base, digest=digest(str(number)), **changes)


def test_the_verdict_comes_first():
    assert shown(DRIFTED)[0] == "PARITY: FAILED  DRIFTED INTEGRITY UNKNOWN"
    assert shown(EQUIVALENT)[0] == "PARITY: PASSED  EQUIVALENT  (policy: max NUMERIC, no INTEGRITY)  coverage 100%"


def test_of_many_causes_the_first_ten_are_shown_and_the_rest_are_counted():
    lines = shown(with_differences(*map(numbered, range(13))))
    assert [line.split()[1] for line in lines if line.startswith(" ! ")] == [f"package-{n}" for n in range(10)]
    assert "   … and 3 more (--all)" in lines
    assert sum(line.startswith(" ! ") for line in shown(with_differences(*map(numbered, range(13))), full=True)) == 13


def test_what_the_policy_refuses_stands_above_what_is_worse_but_waived_or_allowed():
    allowed = numbered(1, severity=Verdict.NUMERIC)
    refused = numbered(2, severity=Verdict.DRIFTED, evidence=())
    doubted = numbered(3, severity=Verdict.DRIFTED)
    tampered = numbered(4, severity=Verdict.DRIFTED, flags=(Flag.INTEGRITY,), evidence=())
    waived = replace(DRIFTED.differences[4], severity=Verdict.INCOMPATIBLE)
    lines = shown(with_differences(allowed, waived, refused, doubted, tampered))
    first = [line.split()[:2] for line in lines if line[:3] in {" ! ", " ~ ", " w "}]
    assert first == [["!", "package-4"], ["!", "package-3"], ["!", "package-2"], ["~", "package-1"], ["w", "zz.pth"]]


def test_what_differs_in_one_distribution_is_one_line():
    more = replace(DIFFERENCES[1], path="lib/click/_compat.py", digest=digest("other"))
    assert [line for line in shown(with_differences(DIFFERENCES[1], more)) if " ! " in line] == [
        " ! click core.py changed (+1)  DRIFTED  INTEGRITY"
    ]


def test_what_is_harmless_or_out_of_reach_is_on_the_first_screen_only_if_the_policy_refuses_it():
    assert not any("ipython" in line for line in shown(DRIFTED))
    strict = replace(DRIFTED, policy=replace(DRIFTED.policy, maximum=Verdict.EQUIVALENT))
    assert any(line.startswith(" ! ipython") for line in shown(strict))
    assert any("ipython" in line for line in shown(DRIFTED, full=True))


def test_a_short_explanation_stands_in_the_line():
    lines = shown(with_differences(numbered(1, because="from requirements.txt:7")))
    assert " ! package-1 1.5.2 -> 1.6.1  DRIFTED  from requirements.txt:7" in lines


def test_several_sides_begin_with_a_table():
    other = replace(EQUIVALENT, serve=side("/srv/" + "long/" * 20))
    lines = shown(DRIFTED, other)
    assert lines[0].startswith("train  churn-model/3  sha256:")
    assert lines[1].split() == ["serve", "verdict", "policy", "coverage", "differences"]
    assert lines[2].split() == ["/srv/env", "DRIFTED", "FAILED", "98%", "7"]
    assert lines[3].split() == ["/srv/long/long/long/long/long/long…", "EQUIVALENT", "PASSED", "100%", "1"]
    assert lines[4] == ""
    assert sum(line.startswith("PARITY: ") for line in lines) == 2


def test_a_long_command_is_folded_where_a_shell_allows_it():
    words = ["envparity", "restore", "a model/3", *(f"/srv/{'x' * 30}/{number}" for number in range(3))]
    lines = shown(replace(DRIFTED, fix=Fix(shlex.join(words), "summary")))
    start = next(at for at, line in enumerate(lines) if line.startswith("fix: "))
    command = [line[5:] for line in lines[start : start + 3]]
    assert all(line.endswith(" \\") for line in command[:-1])
    assert all(len(line) <= 80 for line in lines)
    script = "\n".join(command).replace("envparity", "printf '%s\\n'", 1)
    ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == words[1:]


def test_two_commands_are_folded_too():
    target = f"/srv/{'x' * 40}"
    mended = f"mv -T -- {target} {target}.before && envparity --store '/mnt/my && store' restore a/3 {target}"
    # What joins commands stands within quotes too: it is left as it is.
    assert f"fix: {mended}" in shown(replace(DRIFTED, fix=Fix(mended, "summary")))
    plain = mended.replace("'/mnt/my && store'", "/mnt/store")
    lines = shown(replace(DRIFTED, fix=Fix(plain, "summary")))
    start = next(at for at, line in enumerate(lines) if line.startswith("fix: "))
    end = next(at for at in range(start, len(lines)) if not lines[at].endswith("\\")) + 1
    assert end - start > 1
    assert all(len(line) <= 80 for line in lines)
    script = "\n".join(line[5:] for line in lines[start:end])
    shell = 'mv() { printf "%s\\n" mv "$@"; }; envparity() { printf "%s\\n" envparity "$@"; }\n'
    ran = subprocess.run(["sh", "-c", shell + script], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [word for word in shlex.split(plain) if word != "&&"]


def test_several_commands_are_several_lines():
    lines = shown(replace(DRIFTED, fix=Fix("first\nsecond", "summary", ())))
    at = lines.index("fix: first")
    assert lines[at + 1] == "     second"


def test_without_a_fix_there_is_no_line_for_it():
    assert not any("fix:" in line for line in shown(replace(DRIFTED, fix=None), full=True))


def test_styles_say_what_a_line_is():
    styles = {span.text.split()[0]: span.style for line in text.lines([DRIFTED]) for span in line if span.text.split()}
    assert styles["PARITY:"] is text.Style.BAD
    assert styles["fix:"] is text.Style.STRONG
    assert styles["hidden:"] is text.Style.FAINT
    first = next(iter(text.lines([EQUIVALENT])))
    assert (first[0].text, first[0].style) == ("PARITY: PASSED  EQUIVALENT", text.Style.GOOD)


@pytest.mark.parametrize(
    ("train", "serve", "expected"),
    [
        ("1.0", "1.1", "1.0 -> 1.1"),
        ("1.0", "1.0", "1.0, changed"),
        (None, "1.0", "added 1.0"),
        (None, digest("x"), "added"),
        ("1.0", None, "1.0 removed"),
        (digest("x"), None, "removed"),
        (digest("x"), digest("y"), "changed"),
        (None, None, "changed"),
        ("", "1", "(empty) -> 1"),
        ("a\n", "\x1b[0m", "a\\n -> \\x1b[0m"),
    ],
)
def test_the_two_values_in_words(train, serve, expected):
    assert change(replace(DIFFERENCES[0], train=train, serve=serve)) == expected


def test_a_file_is_called_by_its_name_on_the_first_screen():
    found = replace(DIFFERENCES[4], subject="lib/zz.pth", path="lib/zz.pth")
    assert (what(found), what(found, whole=True)) == ("zz.pth added code", "lib/zz.pth added code")
    assert what(replace(found, path=None)) == "zz.pth added code"
    library = replace(found, subject="a/b", path=None, level=Level.NATIVE)
    assert what(library) == "a/b added code"


def test_what_is_unknown_for_the_same_reason_is_said_once():
    unknown = [Unknown(name, "both", "not captured") for name in ("build", "host", "native")]
    more = [Unknown(name, "serve", name) for name in ("x", "y", "z")]
    assert coverage_words(Coverage(1, 4, tuple(unknown))) == "coverage 25% (build, host, 1 more: not captured)"
    assert coverage_words(Coverage(1, 7, (*unknown, *more))) == (
        "coverage 14% (build, host, 1 more: not captured; x: x; 2 more)"
    )
    assert coverage_words(Coverage(0, 0)) == "coverage 0%"


def test_wide_and_combining_characters_count_as_they_are_shown():
    assert (columns("abc"), columns("日本"), columns("e\u0301")) == (3, 4, 1)
    assert shorten("日本語の名前", 7) == "日本語…"
    assert list(wrap("日本語 " + "x" * 9, 6)) == ["日本語", "xxxxxx", "xxx"]


def test_parts_share_a_line_while_they_fit():
    assert list(packed(["one", "two", "three"], 9, ", ")) == ["one, two", "  three"]
    assert list(packed(["a long part"], 8, ", ")) == ["a long", "  part"]
