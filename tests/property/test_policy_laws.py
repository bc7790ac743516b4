"""Laws of the policy, on generated differences."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from diffing.policy import DEFAULT, Policy, beyond, judge
from diffing.verdict import Flag, Verdict

from .reports import KNOWN_RULES, TODAY, gradings, policies


def judged(policy, grading):
    found, flags, verdict = grading
    return judge(policy, found, flags, verdict, TODAY, KNOWN_RULES)


@st.composite
def cases(draw):
    grading = draw(gradings())
    return grading, draw(policies(grading[0]))


@given(cases())
def test_a_policy_changes_nothing_but_the_mark_of_a_waiver(case):
    grading, policy = case
    marked = judged(policy, grading).differences
    assert tuple(replace(each, waived=None) for each in marked) == grading[0]


@st.composite
def stricter(draw, policy):
    """A policy that allows no more than `policy`, in any of the ways that it can be stricter."""
    rules = dict(policy.rules)
    for rule in list(rules):
        rules[rule] = draw(
            st.sampled_from([each for each in (None, *Verdict) if each is not None or rules[rule] is None])
        )
        old = dict(policy.rules)[rule]
        if old is not None:
            rules[rule] = max(rules[rule], old)
    return Policy(
        policy.name,
        draw(st.sampled_from([each for each in Verdict if each <= policy.maximum])),
        tuple({*policy.forbidden, *draw(st.sets(st.sampled_from(Flag)))}),
        tuple(rules.items()),
        tuple(each for each in policy.waivers if draw(st.booleans())),
    )


@given(st.data())
def test_a_stricter_policy_never_passes_what_a_laxer_one_refuses(data):
    grading, lax = data.draw(cases())
    strict = data.draw(stricter(lax))
    assert judged(lax, grading).passed or not judged(strict, grading).passed


@given(cases())
def test_an_expired_waiver_is_as_good_as_none_but_is_reported(case):
    grading, policy = case
    without = replace(policy, waivers=tuple(each for each in policy.waivers if each.expires >= TODAY))
    one, other = judged(policy, grading), judged(without, grading)
    assert (one.differences, one.passed) == (other.differences, other.passed)
    expired = [problem for problem in one.summary.problems if "expired on" in problem]
    assert len(expired) == len(policy.waivers) - len(without.waivers)


@given(cases())
def test_each_waiver_marks_what_it_names_or_is_reported(case):
    grading, policy = case
    found = judged(policy, grading)
    for number, waiver in enumerate(policy.waivers):
        key = (waiver.rule, waiver.subject, waiver.digest)
        meant = [each for each in found.differences if (each.rule, each.subject, each.digest) == key]
        reported = any(problem.startswith(f"waivers[{number}] ") for problem in found.summary.problems)
        assert reported == (waiver.expires < TODAY or not meant)
        assert reported or all(each.waived for each in meant)
    keys = {(each.rule, each.subject, each.digest) for each in policy.waivers if each.expires >= TODAY}
    assert all((each.rule, each.subject, each.digest) in keys for each in found.differences if each.waived)


@given(cases(), st.data())
def test_one_more_difference_never_helps(case, data):
    grading, policy = case
    found, flags, verdict = grading
    more, _, _ = data.draw(gradings())
    both = {*flags, *(flag for each in more for flag in each.flags)}
    worse = (*found, *more), tuple(both), max([verdict, *(each.severity for each in more)])
    assert judged(policy, grading).passed or not judged(policy, worse).passed


@given(gradings())
def test_without_waivers_and_overrides_the_verdict_and_the_flags_decide(grading):
    _, flags, verdict = grading
    for maximum in Verdict:
        for forbidden in ((), (Flag.INTEGRITY,), tuple(Flag)):
            found = judged(Policy("p", maximum, forbidden), grading)
            assert found.passed == (verdict <= maximum and not set(flags) & set(forbidden))


@given(cases())
def test_what_is_beyond_the_policy_fails_it(case):
    grading, policy = case
    found = judged(policy, grading)
    assert not (found.passed and any(beyond(each, found.summary) for each in found.differences))


@given(policies(), st.data())
def test_the_digest_is_the_same_in_any_order_and_another_for_another_policy(policy, data):
    shuffled = replace(
        policy,
        name="another name",
        forbidden=tuple(data.draw(st.permutations(policy.forbidden))),
        rules=tuple(data.draw(st.permutations(policy.rules))),
        waivers=tuple(data.draw(st.permutations(policy.waivers))),
    )
    assert shuffled.digest == policy.digest
    assert (policy.digest == DEFAULT.digest) == (
        (policy.maximum, policy.forbidden, policy.rules, policy.waivers) == (DEFAULT.maximum, DEFAULT.forbidden, (), ())
    )
