"""What mends a difference: which command, in which order, how it is quoted, and what it leaves as it is."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import date

import pytest
from packaging.requirements import Requirement

from diffing import fixing
from diffing.assessing import assess
from diffing.fixing import Plan, Step, fix, pin_of, plan
from diffing.policy import DEFAULT
from diffing.report import Counts, Coverage, PolicySummary, Report
from diffing.requirements import Item, read
from diffing.sides import Side
from diffing.testing import description, file, full_facts, layer
from diffing.verdict import Verdict
from snapshot.facts.model import DistributionFacts, Facts, Source, Variable, Variables
from snapshot.model import Kind

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def environment(*parts, sources=(), disputed=(), **versions):
    parts = [
        *parts,
        *(
            layer(Kind.DISTRIBUTION, name, version, [file(f"{name}.py", version.encode())])
            for name, version in versions.items()
        ),
    ]
    rows = tuple(
        DistributionFacts(
            found.name,
            found.version,
            f"{found.name}.dist-info",
            source=dict(sources).get(found.name),
            disputed=tuple(dict(disputed).get(found.name, ())),
        )
        for found, _ in parts
        if found.kind is Kind.DISTRIBUTION
    )
    return replace(description(parts), facts=Facts(distributions=rows))


def live(found, label="/srv/env"):
    return Side(label, "environment", found)


def commands(train, serve):
    return plan(live(train, "/train"), live(serve)).commands()


def test_equal_environments_need_nothing():
    one = environment(a="1")
    assert plan(live(one, "/train"), live(one)) == Plan(())


def test_pins_removals_and_what_has_to_be_installed_again():
    edited = layer(Kind.DISTRIBUTION, "same", "1", [file("same.py", b"as it was")])
    changed = layer(Kind.DISTRIBUTION, "same", "1", [file("same.py", b"edited")])
    train = environment(edited, a="1.0+cu1", gone="3rc1", odd="not-pep440")
    serve = environment(changed, a="1.0", extra="1", odd="other")
    assert commands(train, serve) == (
        "python -m pip --python /srv/env uninstall --yes extra",
        "python -m pip --python /srv/env install --no-deps a==1.0+cu1 gone==3rc1 odd===not-pep440",
        "python -m pip --python /srv/env install --no-deps --force-reinstall same==1",
    )


def test_files_that_nobody_owns_are_deleted_first_and_put_back_last():
    train = environment(layer(Kind.UNOWNED, "unowned", None, [file("etc/a b.txt", b"1"), file("x", b"1")]), a="1")
    serve = environment(layer(Kind.UNOWNED, "unowned", None, [file("evil.pth"), file("x", b"2")]), a="2")
    assert commands(train, serve) == (
        "rm -- /srv/env/evil.pth",
        "python -m pip --python /srv/env install --no-deps a==1",
        "install -d -- /srv/env/etc",
        "cp -P --preserve=mode --remove-destination -- '/train/etc/a b.txt' '/srv/env/etc/a b.txt'",
        "install -d -- /srv/env",
        "cp -P --preserve=mode --remove-destination -- /train/x /srv/env/x",
    )
    stored = Side("churn", "snapshot", train)
    assert plan(stored, live(serve)).rest == (
        "etc/a b.txt is no distribution's: put back what it was",
        "x is no distribution's: put back what it was",
    )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            Source("https://example.org/a.git", vcs="git", commit=COMMIT),
            [f"a @ git+https://example.org/a.git@{COMMIT}"],
        ),
        (Source("https://example.org/a.zip", digest="sha256=ab"), ["a @ https://example.org/a.zip#sha256=ab"]),
        (Source("https://example.org/a.zip", digest="sha256:ab"), ["a @ https://example.org/a.zip#sha256=ab"]),
        (Source("file:///src/my thing", editable=True), ["--editable", "/src/my thing"]),
        (None, ["a==1"]),
    ],
)
def test_a_distribution_comes_from_where_it_came_from(source, words):
    (command,) = commands(environment(a="1", sources={"a": source}), environment(a="2"))
    assert shlex.split(command)[7:] == words


def test_pins_are_requirements():
    for version in ("1.0", "1.0+cu1", "2!1.0.post1", "weird"):
        found = Requirement(pin_of("a", version))
        assert found.specifier.contains(version, prereleases=True)
    assert Requirement(pin_of("a", "1", Source("https://example.org/a.git", vcs="git", commit=COMMIT))).url.endswith(
        COMMIT
    )


def test_credentials_that_are_not_stored_are_asked_for():
    source = Source("https://****@example.org/a.zip")
    found = plan(live(environment(a="1", sources={"a": source}), "/train"), live(environment(a="2")))
    assert found.rest == ("a needs credentials, which are not stored: put them in for ****",)


def test_who_shares_a_file_with_what_goes_is_installed_again():
    disputed = {"cv": ["cv2.py"], "headless": ["cv2.py"], "other": ["o.py"]}
    train = environment(cv="1", other="1")
    serve = environment(cv="1", headless="1", other="1", disputed=disputed)
    found = plan(live(train, "/train"), live(serve))
    assert found.commands() == (
        "python -m pip --python /srv/env uninstall --yes headless",
        "python -m pip --python /srv/env install --no-deps --force-reinstall cv==1",
    )
    assert found.rest == ("cv shares files with others; the one that is installed last wins",)


def test_what_pip_cannot_do_is_said():
    train, serve = environment(a="1"), environment(a="1")
    other = replace(serve.snapshot, interpreter=replace(serve.snapshot.interpreter, version="3.11.9"))
    found = plan(live(train, "/train"), live(replace(serve, snapshot=other)))
    assert found.rest == ("interpreter.version is 3.11.9, was 3.11.7: make the environment anew with that Python",)
    assert found.commands() == ()


def test_a_snapshot_is_restored_in_place_of_what_is_there():
    train = Side("churn/3", "snapshot", environment(a="1"), name="churn/3")
    assert plan(train, live(environment(a="2"), "/srv/my env/")).commands() == (
        "mv -T -- '/srv/my env/' '/srv/my env.before'",
        "envparity restore churn/3 '/srv/my env/'",
    )
    elsewhere = replace(train, store="/mnt/my store")
    assert plan(elsewhere, live(environment(a="2"))).commands() == (
        "mv -T -- /srv/env /srv/env.before",
        "envparity --store '/mnt/my store' restore churn/3 /srv/env",
    )
    serve = Side("serve/1", "snapshot", environment(a="2"), name="serve/1")
    assert plan(train, serve).commands() == ("envparity restore churn/3 DEST",)


def test_a_script_stops_at_a_failure_and_nothing_of_it_gets_out_of_a_comment():
    found = Plan((Step(("rm", "--", "a\nrm -rf b"), "deletes a\nrm -rf b"),), rest=("x\ny",))
    assert found.script() == "set -e\n# deletes a?rm -rf b\nrm -- 'a\nrm -rf b'\n# left as it is: x?y\n"


def test_a_file_of_requirements(tmp_path):
    (tmp_path / "requirements.txt").write_text(
        f"a[x]==1.0+cu1\nb>=2,<3\nc==1\nd @ git+https://example.org/d.git@{COMMIT}#subdirectory=py\nlimited\n"
    )
    wanted = read(tmp_path / "requirements.txt")
    found = plan(
        Side("requirements.txt", "requirements", requirements=wanted),
        live(environment(a="1.0", b="1", c="1", d="1", limited="2")),
    )
    assert [shlex.split(command)[5:] for command in found.commands()] == [
        ["install", "a[x]==1.0+cu1", "b<3,>=2"],
        ["install", "--force-reinstall", f"d @ git+https://example.org/d.git@{COMMIT}#subdirectory=py"],
    ]


LOCK = """\
lock-version = "1.0"
created-by = "a test"
requires-python = ">=3.99"
[[packages]]
name = "a"
version = "1"
wheels = [{name = "a-1-py3-none-any.whl", url = "https://example.org/a-1-py3-none-any.whl", hashes = {sha256 = "aa"}}]
"""


def test_a_lock_file(tmp_path):
    (tmp_path / "pylock.toml").write_text(LOCK)
    train = Side("pylock.toml", "pylock", requirements=read(tmp_path / "pylock.toml"))
    found = plan(train, live(environment(a="2", extra="1")))
    assert found.commands() == (
        "python -m pip --python /srv/env uninstall --yes extra",
        "python -m pip --python /srv/env install --no-deps a==1",
    )
    assert found.rest == ("python is 3.11.7, has to be >=3.99",)


# -- the one command of a report


def report(verdict, train, serve):
    return Report(
        verdict=verdict,
        passed=False,
        flags=(),
        coverage=Coverage(1, 1),
        train=train.summary(),
        serve=serve.summary(),
        policy=PolicySummary("default", "", DEFAULT.maximum, ()),
        rules_version="1",
        counts=Counts(0, None, (), 0, 0, 0, 0),
        differences=(),
        normalised=(),
        shares=(),
        fix=None,
    )


def fixed(verdict, train, serve):
    return fix(report(verdict, train, serve), train, serve)


def test_nothing_is_offered_where_nothing_matters():
    train, serve = live(environment(a="1"), "/train"), live(environment(a="2"))
    assert fixed(Verdict.EQUIVALENT, train, serve) is None
    assert fixed(Verdict.DRIFTED, train, train) is None


def test_one_command():
    found = fixed(Verdict.DRIFTED, live(environment(a="1"), "/train"), live(environment(a="2")))
    assert found.command == "python -m pip --python /srv/env install --no-deps a==1"
    assert (found.summary, found.pins) == ("installs a", ("a==1",))
    stored = Side("churn/3", "snapshot", environment(a="1"), name="churn/3")
    found = fixed(Verdict.DRIFTED, stored, live(environment(a="2")))
    assert found.command == "mv -T -- /srv/env /srv/env.before && envparity restore churn/3 /srv/env"


def test_a_long_one_is_the_plan():
    names = {f"distribution{number}": "1" for number in range(30)}
    found = fixed(Verdict.DRIFTED, live(environment(**names), "/train it"), live(environment()))
    assert found.command == "envparity diff --plan '/train it' /srv/env | sh"
    assert len(found.pins) == 30


def test_where_the_files_are_equal_only_variables_are_left():
    def side(label, *variables):
        found = environment(a="1")
        return Side(
            label, "snapshot", replace(found, facts=replace(found.facts, variables=Variables(variables))), name="m/1"
        )

    threads = Variable("OMP_NUM_THREADS", "threads", "2"), Variable("LD_PRELOAD", "loader", None, "sha256:" + "1" * 64)
    other = Variable("OMP_NUM_THREADS", "threads", "1"), Variable("MKL_CBWR", "determinism", "a b")
    found = assess(side("m/1", *threads), side("live", *other), today=date(2026, 11, 22)).fix
    assert found.command == "unset MKL_CBWR && export OMP_NUM_THREADS=2"
    assert found.summary.endswith("in the serving process; not known is the value of LD_PRELOAD")
    back = assess(side("m/1", *other), side("live", *threads), today=date(2026, 11, 22)).fix
    assert "export 'MKL_CBWR=a b'" in back.command
    one = environment(a="1")
    elsewhere = replace(one, facts=full_facts())
    host = replace(one, facts=replace(full_facts(), host=replace(full_facts().host, libc_version="2.99")))
    report = assess(Side("m/1", "snapshot", elsewhere, name="m/1"), live(host), today=date(2026, 11, 22))
    assert (report.verdict, report.fix) == (Verdict.NUMERIC, None)  # no command makes another machine of this one


def test_an_editable_project_is_installed_from_its_directory():
    """pip refuses `--editable 'NAME @ URL'` of a path."""
    item = Item("proj", "r.txt", 1, extras=("fast",), url="file:///srv/a%20b/proj", editable=True)
    assert fixing._wish(item) == ("--editable", "/srv/a b/proj[fast]")
    assert fixing._wish(replace(item, url="https://example.org/p.git", vcs="git"))[1].startswith(
        "proj[fast] @ git+https"
    )
