"""The policy file: what it may say, and how mistakes in it are named."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from textwrap import dedent

import pytest

from diffing import DiffError
from diffing.policy import DEFAULT, Policy, PolicyError, PolicyWaiver, beyond, judge, parse, read
from diffing.report import Difference, Waiver
from diffing.verdict import Flag, Level, Verdict

TODAY = date(2026, 11, 22)
DIGEST = "sha256:" + "a" * 64
RULES = frozenset({"distribution-version", "file-edited", "numeric-kernel"})

WAIVER = f"""
[[waivers]]
rule = "file-edited"
subject = "click"
digest = "{DIGEST}"
owner = "ana"
reason = "a fix"
expires = 2026-11-22
"""


def difference(rule="file-edited", severity=Verdict.DRIFTED, flags=(), *, reachable=True, digest=DIGEST):
    return Difference(
        rule, Level.FILES, severity, "click", None, "1", "2", "reason", digest, flags=flags, reachable=reachable
    )


def policy(text=""):
    return parse(dedent(text).encode(), "parity.toml", RULES)


def passes(rules, *found, flags=None, verdict=None):
    carried = {flag for each in found for flag in each.flags} if flags is None else flags
    worst = max((each.severity for each in found), default=Verdict.IDENTICAL) if verdict is None else verdict
    return judge(rules, found, carried, worst, TODAY, RULES).passed


def refused(text):
    with pytest.raises(PolicyError) as caught:
        policy(text)
    assert isinstance(caught.value, DiffError)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_empty_file_is_the_default():
    found = policy()
    assert (found.maximum, found.forbidden, found.rules, found.waivers) == (
        Verdict.NUMERIC,
        (Flag.INTEGRITY,),
        (),
        (),
    )
    assert found.digest == DEFAULT.digest


def test_everything_that_a_file_can_say(tmp_path):
    path = tmp_path / "parity.toml"
    path.write_text(
        f"""
        schema = 1
        max-verdict = "COMPATIBLE"
        forbid = ["UNKNOWN", "INTEGRITY"]
        [rules]
        numeric-kernel = "ignore"
        distribution-version = "INCOMPATIBLE"
        {WAIVER}
        """
    )
    assert read(path, RULES) == Policy(
        "parity.toml",
        Verdict.COMPATIBLE,
        (Flag.UNKNOWN, Flag.INTEGRITY),
        (("numeric-kernel", None), ("distribution-version", Verdict.INCOMPATIBLE)),
        (PolicyWaiver("file-edited", "click", DIGEST, "ana", "a fix", date(2026, 11, 22)),),
    )


def test_the_default_policy():
    assert passes(DEFAULT, difference(severity=Verdict.NUMERIC))
    assert not passes(DEFAULT, difference(severity=Verdict.DRIFTED))
    assert not passes(DEFAULT, difference(severity=Verdict.EQUIVALENT, flags=(Flag.INTEGRITY,)))
    assert passes(DEFAULT, flags={Flag.UNKNOWN})


def test_a_waiver_holds_until_the_end_of_its_last_day():
    found = difference(flags=(Flag.INTEGRITY,))
    rules = policy(WAIVER)
    judged = judge(rules, [found], [Flag.INTEGRITY], Verdict.DRIFTED, TODAY, RULES)
    assert judged.passed
    assert judged.differences[0].waived == Waiver("ana", "a fix", "2026-11-22")
    assert judged.summary.problems == ()
    later = judge(rules, [found], [Flag.INTEGRITY], Verdict.DRIFTED, date(2026, 11, 23), RULES)
    assert not later.passed
    assert later.differences == (found,)
    assert later.summary.problems == ("waivers[0] (file-edited, click): expired on 2026-11-22; ana had it",)


def test_a_waiver_is_for_exactly_one_difference():
    other = difference(digest="sha256:" + "b" * 64)
    judged = judge(policy(WAIVER), [other], [], Verdict.DRIFTED, TODAY, RULES)
    assert not judged.passed
    assert judged.summary.problems == (
        f"waivers[0] (file-edited, click): matches nothing; that difference is another one now: {other.digest}",
    )
    nothing = judge(policy(WAIVER), [], [], Verdict.IDENTICAL, TODAY, RULES)
    assert nothing.passed
    assert nothing.summary.problems == ("waivers[0] (file-edited, click): matches nothing",)


def test_a_waiver_may_name_whose_the_difference_is():
    """A file's subject has the version in it; the digest says which difference it is."""
    found = replace(difference(), subject="click 8.1.7", owner="click")
    for subject in ("click", "click 8.1.7"):
        judged = judge(policy(WAIVER.replace('"click"', f'"{subject}"')), [found], [], Verdict.DRIFTED, TODAY, RULES)
        assert (judged.passed, judged.summary.problems) == (True, ())
    other = judge(policy(WAIVER.replace('"click"', '"clack"')), [found], [], Verdict.DRIFTED, TODAY, RULES)
    assert not other.passed
    assert other.summary.problems == (
        "waivers[0] (file-edited, clack): matches nothing; that digest is of 'click 8.1.7'",
    )


def test_of_two_waivers_for_the_same_the_one_that_still_holds_counts():
    renewed = WAIVER.replace("2026-11-22", "2027-11-22")
    for text in (WAIVER.replace("2026-11-22", "2025-11-22") + renewed, renewed + WAIVER.replace("2026", "2025")):
        judged = judge(policy(text), [difference()], [], Verdict.DRIFTED, TODAY, RULES)
        assert judged.passed
        assert len(judged.summary.problems) == 1


def test_a_waiver_makes_nothing_identical():
    assert not passes(policy('max-verdict = "IDENTICAL"' + WAIVER), difference())
    assert passes(policy('max-verdict = "EQUIVALENT"' + WAIVER), difference())


def test_an_override_says_what_a_rule_counts_as():
    assert passes(policy('rules.file-edited = "COMPATIBLE"'), difference())
    assert not passes(policy('rules.file-edited = "INCOMPATIBLE"'), difference(severity=Verdict.COMPATIBLE))
    assert not passes(policy('rules.numeric-kernel = "COMPATIBLE"'), difference())


def test_an_override_with_a_verdict_leaves_the_flags_and_ignore_takes_them():
    found = difference(flags=(Flag.INTEGRITY,))
    assert not passes(policy('rules.file-edited = "COMPATIBLE"'), found)
    assert passes(policy('rules.file-edited = "ignore"'), found)
    assert not passes(policy('rules.file-edited = "ignore"'), found, difference("numeric-kernel"))


def test_an_override_does_not_lift_the_cap_of_what_cannot_be_reached():
    rules = policy('rules.file-edited = "INCOMPATIBLE"')
    assert passes(rules, difference(severity=Verdict.COMPATIBLE, reachable=False))
    assert not passes(rules, difference(severity=Verdict.COMPATIBLE, reachable=None))
    # A startup hook counts wherever it is: it was never capped.
    assert not passes(rules, difference(severity=Verdict.DRIFTED, reachable=False))


def test_unknown_can_be_forbidden_and_no_waiver_takes_it_away():
    forbidden = policy('forbid = ["UNKNOWN"]' + WAIVER)
    assert not passes(forbidden, flags={Flag.UNKNOWN})
    assert not passes(forbidden, difference(flags=(Flag.UNKNOWN,)))
    assert passes(policy("forbid = []"), flags=set(Flag))


def test_a_flag_that_no_difference_carries_counts():
    assert not passes(DEFAULT, flags={Flag.INTEGRITY})


def test_the_summary_is_enough_to_say_which_difference_is_beyond():
    found = difference("numeric-kernel", Verdict.NUMERIC)
    judged = judge(policy('rules.numeric-kernel = "DRIFTED"'), [found], [], Verdict.NUMERIC, TODAY, RULES)
    assert judged.summary.overrides == (("numeric-kernel", Verdict.DRIFTED),)
    assert beyond(judged.differences[0], judged.summary)


def test_all_mistakes_are_named_at_once():
    message = refused(
        f"""
        max-verdict = "BAD"
        forbid = ["INTEGRITY", "LUCK"]
        max_verdict = 3
        [rules]
        numeric-kernell = "ignore"
        file-edited = 4
        "no such" = "DRIFTED"
        [[waivers]]
        rule = "file-edit"
        subject = " "
        digest = "{DIGEST[:-1]}"
        owner = 1
        expires = "2026-11-22"
        until = 1
        """
    )
    verdicts = "IDENTICAL, EQUIVALENT, COMPATIBLE, NUMERIC, DRIFTED, INCOMPATIBLE"
    assert message.split("; ") == [
        "parity.toml: max_verdict: not known",
        "did you mean 'max-verdict'?",
        f"max-verdict: want {verdicts}, found 'BAD'",
        "forbid[1]: want INTEGRITY or UNKNOWN, found 'LUCK'",
        "rules.numeric-kernell: there is no rule 'numeric-kernell'",
        "did you mean 'numeric-kernel'?",
        f"rules.file-edited: want ignore, {verdicts}, found 4",
        "rules.\"no such\": there is no rule 'no such'",
        "waivers[0].until: not known",
        "want rule, subject, digest, owner, reason, expires",
        "waivers[0].rule: there is no rule 'file-edit'",
        "did you mean 'file-edited'?",
        "waivers[0].subject: want a text, found ' '",
        f"waivers[0].digest: want the digest of a difference (sha256:...), found '{DIGEST[:-1]}'",
        "waivers[0].owner: want a text, found 1",
        "waivers[0].reason: missing",
        "waivers[0].expires: want a date, such as 2027-01-31 without quotes, found '2026-11-22'",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema = 2\nanything = 1", "schema: 2 is newer than this envparity reads (1); install a newer one"),
        ("schema = true", "schema: want 1, found True"),
        ("schema = 0", "schema: want 1, found 0"),
        ('schema = "1"', "schema: want 1, found '1'"),
        ("forbid = 'INTEGRITY'", "forbid: want a list of INTEGRITY, UNKNOWN, found 'INTEGRITY'"),
        ("rules = []", "rules: want a table of rule ids, found []"),
        ("waivers = {}", "waivers: want tables [[waivers]], found {}"),
        ("waivers = [1]", "waivers[0]: want a table, found 1"),
        ("x =", "not TOML: "),
    ],
)
def test_a_mistake_is_named(text, message):
    assert refused(text).startswith(f"parity.toml: {message}")


def test_a_time_of_day_is_no_day():
    message = refused(WAIVER.replace("2026-11-22", "2026-11-22T12:00:00Z"))
    assert message.startswith("parity.toml: waivers[0].expires: want a date, such as 2027-01-31 without quotes, found ")


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(PolicyError, match=r"^p: not TOML: 'utf-8' codec"):
        parse(b"\xff", "p")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(PolicyError, match=r"none\.toml: the policy cannot be read: No such file or directory"):
        read(tmp_path / "none.toml")


def test_rule_ids_are_checked_when_the_policy_is_used():
    rules = parse(b'rules.numeric-kernell = "ignore"' + WAIVER.replace("edited", "edit").encode(), "parity.toml")
    with pytest.raises(PolicyError) as caught:
        judge(rules, [], [], Verdict.IDENTICAL, TODAY, RULES)
    assert str(caught.value) == (
        "parity.toml: rules.numeric-kernell: there is no rule 'numeric-kernell'; did you mean 'numeric-kernel'?; "
        "waivers[0].rule: there is no rule 'file-edit'; did you mean 'file-edited'?"
    )
