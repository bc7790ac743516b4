"""Markdown: what fits a comment on a pull request, and what a name in it cannot do."""

from __future__ import annotations

from dataclasses import replace

from diffing.rendering import markdown
from diffing.verdict import Verdict

from .samples import DIFFERENCES, DRIFTED, EQUIVALENT, digest

#: GitHub refuses a longer comment.
COMMENT = 65_536


def numbered(number, reason):
    found = replace(DIFFERENCES[0], subject=f"package-{number}", owner=f"package-{number}", reason=reason)
    return replace(found, digest=digest(str(number)))


def test_a_report_of_any_length_fits_a_comment():
    for reason in ("short", "long " * 50, "x_" * 5_000):
        report = replace(DRIFTED, differences=tuple(numbered(number, reason) for number in range(500)))
        for reports in ([report], [report] * 5):
            made = markdown.render(reports)
            assert len(made) <= COMMENT
            assert "package-0" in made
            assert " more; the JSON report has all" in made


def test_a_short_one_has_everything():
    made = markdown.render([replace(DRIFTED, differences=tuple(numbered(number, "x") for number in range(20)))])
    assert all(made.count(f"<code>package-{number} ") == 2 for number in range(20))


def test_nobody_is_mentioned_and_no_thread_is_linked():
    made = markdown.render([replace(DRIFTED, differences=(replace(DIFFERENCES[0], reason="see http://a.b @team"),))])
    assert "see http:<!-- -->//a.b @<!-- -->team" in made
    assert "<code>scikit-learn/scikit-learn#20288</code>" in made


def test_a_bar_in_a_name_makes_no_column():
    made = markdown.render([replace(DRIFTED, differences=(replace(DIFFERENCES[0], subject="a|b\\|c"),))])
    (row,) = [line for line in made.splitlines() if line.startswith("| ! |")]
    assert row.count("|") == 5
    assert "a&#124;b&#92;&#124;c" in row


def test_what_is_not_counted_is_said_without_differences_too():
    made = markdown.render([replace(EQUIVALENT, differences=(), verdict=Verdict.EQUIVALENT)])
    assert "Not counted: 412 harmless" in made.splitlines()
