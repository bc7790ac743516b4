"""Files of requirements and lock files: what is read of them, what is wrong with them, and an environment held against them."""

from __future__ import annotations

import locale
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from packaging.specifiers import SpecifierSet

from diffing import DiffError
from diffing.observing import ASPECTS
from diffing.requirements import Item, Requirements, RequirementsError, masked, observe, read, read_note
from diffing.testing import description, file, layer
from snapshot.facts.model import DistributionFacts, Facts, Source
from snapshot.model import Kind

CANARY = "hunter2-canary"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def written(tmp_path, text, name="requirements.txt"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def items(tmp_path, text):
    return read(written(tmp_path, text)).items


def problems(path):
    with pytest.raises(RequirementsError) as caught:
        read(path)
    assert isinstance(caught.value, DiffError)
    assert CANARY not in str(caught.value)
    return str(caught.value).splitlines()


def test_names_versions_markers_extras_and_hashes(tmp_path):
    digest = "a" * 64
    numpy, scikit, torch, weird = items(
        tmp_path,
        f"# exported\nnumpy==2.1.0 \\\n    --hash=sha256:{digest}  # by numpy\n"
        'Scikit_Learn[Alpha,beta]>=1,<2 ; python_version >= "3.9"\n\ntorch==2.5.0+cpu\nodd===not.pep440\n',
    )
    assert (numpy.name, numpy.pin, numpy.line, numpy.hashes) == ("numpy", "2.1.0", 2, (f"sha256:{digest}",))
    assert (scikit.name, scikit.extras, scikit.pin) == ("scikit-learn", ("alpha", "beta"), None)
    assert str(scikit.condition) == 'python_version >= "3.9"'
    assert (torch.pin, torch.where) == ("2.5.0+cpu", "requirements.txt:6")
    assert weird.pin == "not.pep440"


@pytest.mark.parametrize("other", ["", "# by hand\n", 'b==1 ; python_version >= "3.9"\n', "a===x\n"])
def test_what_is_read_without_pip_is_what_pip_reads(tmp_path, other):
    lock = f"Num_py==2.1.0 \\\n    --hash=sha256:{'b' * 64} \\\n    --hash=sha256:{'a' * 64}\ntorch==2.5.0+cpu\n{other}"
    assert read_note(lock, "requirements.txt").items == items(tmp_path, lock)


@pytest.mark.parametrize(
    "line", ["./code/mine-1.0-py3-none-any.whl", "mine @ https://example.org/mine-1.0-py3-none-any.whl"]
)
def test_a_file_may_have_hashes_too(tmp_path, line):
    more = "#sha256=" + "c" * 64
    (mine,) = items(tmp_path, f"{line}{more} \\\n --hash=sha256:{'b' * 64} \\\n --hash=sha512:{'a' * 128}\n")
    assert mine.name == "mine"
    assert mine.hashes == (f"sha256:{'b' * 64}", f"sha256:{'c' * 64}", f"sha512:{'a' * 128}")


def test_a_wildcard_is_no_pin(tmp_path):
    assert [item.pin for item in items(tmp_path, "a==1.*\nb~=1.0\nc==1,!=2\nd\n")] == [None] * 4


def test_direct_references(tmp_path):
    named, egg, wheel, path, editable, sub = items(
        tmp_path,
        f"mine @ git+https://example.org/mine.git@{COMMIT}\n"
        "git+ssh://git@example.org/other.git@v1#egg=other[fast]\n"
        'https://example.org/click-8.1.7-py3-none-any.whl ; python_version > "3"\n'
        "./local/thing\n"
        "-e git+https://example.org/dev.git#egg=dev\n"
        "sub @ git+https://example.org/sub.git@main#subdirectory=python\n",
    )
    assert (named.name, named.vcs, named.url, named.commit) == ("mine", "git", "https://example.org/mine.git", COMMIT)
    assert (egg.name, egg.extras, egg.commit) == ("other", ("fast",), "v1")
    assert (wheel.name, wheel.pin, str(wheel.condition)) == ("click", "8.1.7", 'python_version > "3"')
    assert (path.name, path.url) == (None, (tmp_path / "local" / "thing").as_uri())
    assert (editable.name, editable.editable, editable.commit) == ("dev", True, "")
    assert (sub.commit, sub.subdirectory) == ("main", "python")


LOCK = 'lock-version = "1.0"\ncreated-by = "me"\n[[packages]]\nname = "click"\nversion = "8.1.7"\n'
EDITABLE = Source(".envparity/src/click", editable=True)


@pytest.mark.parametrize(
    ("name", "text", "source"),
    [
        ("requirements.txt", "./click-8.1.7-py3-none-any.whl\n", "click-8.1.7-py3-none-any.whl"),
        ("requirements.txt", "-e ./proj\n", EDITABLE),
        ("requirements.txt", "-e ./proj[fast]\n", EDITABLE),
        ("requirements.txt", "./proj\n", "proj"),
        ("pylock.toml", LOCK + 'directory = {path = "proj"}\n', "proj"),
        ("pylock.toml", LOCK + 'directory = {path = "proj", editable = true}\n', EDITABLE),
    ],
)
def test_a_path_is_where_pip_and_the_lock_file_have_it(tmp_path, name, text, source):
    """direct_url.json has the whole URL: what was installed from the very file is no other distribution."""
    (tmp_path / "proj").mkdir()
    (tmp_path / "proj" / "pyproject.toml").write_text("[project]\nname = 'Click'\n")
    (tmp_path / "click-8.1.7-py3-none-any.whl").write_bytes(b"")
    wanted = read(written(tmp_path, text, name))
    assert [item.name for item in wanted.items] == ["click"]
    for found, differs in [
        (source if isinstance(source, Source) else Source((tmp_path / source).as_uri()), []),
        (Source((tmp_path / "elsewhere").as_uri()), ["distribution-source"]),
    ]:
        facts = Facts(distributions=(DistributionFacts("click", "8.1.7", "m", source=found),))
        serve = description([layer(Kind.DISTRIBUTION, "click", "8.1.7", [file("click.py")])], facts=facts)
        assert [each.kind for each in observe(wanted, serve).found] == differs


def test_a_file_of_something_else_is_said_to_be_one(tmp_path):
    for name in ("conda.yaml", "uv.lock", "mylock.toml", "big.json"):
        (found,) = problems(written(tmp_path, "x: y\n" * 1000, name))
        assert found == f"{name} is no requirements.txt; lock files are named pylock.toml or pylock.NAME.toml"


def test_a_lock_in_pips_own_format_is_one(tmp_path):
    """Ours is called that, and what `uv pip compile -o requirements.lock` writes."""
    assert [item.name for item in read(written(tmp_path, "click==8.1.7\n", "requirements.lock")).items] == ["click"]


def test_of_many_problems_the_first_are_named(tmp_path):
    found = problems(written(tmp_path, "a b\n" * 1000))
    assert (len(found), found[-1]) == (21, "and 980 more")


def test_files_that_are_included(tmp_path):
    (tmp_path / "more").mkdir()
    written(tmp_path, "inner==2\n-c limits.txt\n", "more/inner.txt")
    written(tmp_path, "limited<3\n", "more/limits.txt")
    found = items(tmp_path, "--index-url https://example.org/simple\nouter==1\n-r more/inner.txt\n")
    assert [(item.where, item.name, item.constraint) for item in found] == [
        ("requirements.txt:2", "outer", False),
        ("more/inner.txt:1", "inner", False),
        ("more/limits.txt:1", "limited", True),
    ]


def test_all_problems_at_once_each_with_its_line(tmp_path):
    written(tmp_path, "fine==1\nalso bad\n-r requirements.txt\n", "inner.txt")
    found = problems(
        written(
            tmp_path,
            "bad==\n--nonsense\npip install x\n-r inner.txt\n-r gone.txt\n-r https://u:"
            + CANARY
            + "@example.org/r.txt\n"
            "x @ https://u:" + CANARY + "@example.org/x y\n-c ../" + "\nok\nbroken-1-py3.whl @ nothing\n./x-1.whl\n",
        )
    )
    starts = [line.split(": ")[0] for line in found]
    assert starts[:6] == [
        "requirements.txt:1",
        "requirements.txt:2",
        "requirements.txt:3",
        "inner.txt:2",
        "inner.txt:3",
        "gone.txt",
    ]
    assert "no requirement: " in found[0]
    assert found[1] == "requirements.txt:2: no such option: --nonsense"
    assert found[4] == "inner.txt:3: requirements.txt includes this file again"
    assert found[5] == "gone.txt: cannot be read: No such file or directory"
    assert found[6] == (
        "requirements.txt:6: https://****@example.org/r.txt is not a file, and nothing is fetched; save it beside this one"
    )
    assert all("requirements.txt:9" not in line for line in found)
    assert found[-1] == "requirements.txt:11: x-1.whl is no name of a wheel"


def test_no_secret_and_no_variable_of_the_process_comes_out(tmp_path, monkeypatch):
    monkeypatch.setenv("TOKEN", CANARY)
    text = (
        f"a @ https://user:{CANARY}@example.org/a.zip\nb @ https://example.org/b.zip?token={CANARY}&x=1\n"
        f"c @ git+https://{CANARY}@example.org/c.git@v1\nd @ https://user:${{TOKEN}}@example.org/d.zip\n"
        f"--extra-index-url https://u:{CANARY}@example.org/simple\n-e git+https://{CANARY}@example.org/e.git#egg=e\n"
    )
    found = read(written(tmp_path, text))
    assert [item.name for item in found.items] == list("abcde")
    assert CANARY not in repr(found)
    serve = environment(a="1")
    assert CANARY not in repr(observe(found, serve))


def test_what_is_masked():
    assert masked("git+https://u:p@h/x.git@v1?token=1#egg=x") == "git+https://****@h/x.git@v1?****#egg=x"
    assert masked("numpy==1.0; python_version > '3'") == "numpy==1.0; python_version > '3'"


def test_reading_leaves_the_process_as_it_was(tmp_path):
    before = locale.setlocale(locale.LC_ALL)
    items(tmp_path, "a\n")
    assert locale.setlocale(locale.LC_ALL) == before
    script = (
        "import sys, locale; from diffing.requirements import read; assert 'piptools' not in sys.modules;"
        f"read({str(written(tmp_path, 'a==1', 'r.txt'))!r}); print(locale.setlocale(locale.LC_CTYPE), 'click' in sys.modules)"
    )
    # pip-tools would take the locale of the variables: without that, the one Python itself has chosen stays.
    plain = subprocess.run(
        [sys.executable, "-c", "import locale; print(locale.setlocale(locale.LC_CTYPE))"],
        capture_output=True,
        text=True,
        check=True,
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=os.getcwd())
    assert done.stdout.split()[0] == plain.stdout.strip()
    assert not done.stderr


LOCK = """\
lock-version = "1.0"
created-by = "a test"
requires-python = ">=3.9"
default-groups = ["main"]
[[packages]]
name = "attrs"
version = "25.1.0"
wheels = [{name = "attrs-25.1.0-py3-none-any.whl", url = "https://u:hunter2-canary@example.org/attrs-25.1.0-py3-none-any.whl", hashes = {sha256 = "aa"}}]
[[packages]]
name = "mine"
[packages.vcs]
type = "git"
url = "https://example.org/mine.git"
commit-id = "0123456789abcdef0123456789abcdef01234567"
[[packages]]
name = "tool"
version = "1.0"
marker = "'dev' in dependency_groups"
wheels = [{name = "tool-1.0-py3-none-any.whl", url = "https://example.org/tool-1.0-py3-none-any.whl", hashes = {sha256 = "aa"}}]
"""


def test_a_lock_file(tmp_path):
    lock = read(written(tmp_path, LOCK, "pylock.serve.toml"))
    assert (lock.kind, lock.python, lock.label) == ("pylock", ">=3.9", "pylock.serve.toml")
    attrs, mine, _ = lock.items
    assert (attrs.name, attrs.pin, attrs.hashes) == ("attrs", "25.1.0", ("sha256:aa",))
    assert (mine.vcs, mine.commit, mine.pin) == ("git", COMMIT, None)
    assert CANARY not in repr(lock)
    assert [item.name for item in lock.applicable({"python_version": "3.11"})] == ["attrs", "mine"]


def test_a_damaged_lock_file_says_all_that_is_wrong(tmp_path):
    broken = LOCK.replace('version = "25.1.0"', 'version = "not a version"').replace("commit-id", "commit")
    assert problems(written(tmp_path, broken, "pylock.toml")) == [
        "pylock.toml: Invalid version: 'not a version' in 'packages[0].version'",
        "pylock.toml: Missing required value in 'packages[1].vcs.commit-id'",
    ]
    (found,) = problems(written(tmp_path, LOCK.replace('"1.0"', '"2.0"', 1), "pylock.toml"))
    assert found == "pylock.toml: pylock version 2.0 is not supported"
    (found,) = problems(written(tmp_path, "[[packages", "pylock.toml"))
    assert found.startswith("pylock.toml: not TOML: ")
    (found,) = problems(tmp_path / "pylock.gone.toml")
    assert found == "pylock.gone.toml: cannot be read: No such file or directory"


def test_a_lock_file_with_a_library_that_is_too_old(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "packaging.pylock", None)  # an import of it fails
    assert problems(written(tmp_path, LOCK, "pylock.toml")) == [
        "pylock.toml: reading lock files needs packaging 26 or later: pip install 'packaging>=26'"
    ]


# -- as the train side


def environment(*, sources=(), facts=True, **versions):
    parts = [layer(Kind.DISTRIBUTION, name, version, [file(f"{name}.py", b"1")]) for name, version in versions.items()]
    rows = tuple(
        DistributionFacts(name, version, f"{name}.dist-info", source=dict(sources).get(name))
        for name, version in versions.items()
    )
    return replace(description(parts), facts=Facts(distributions=rows if facts else None))


def wants(*lines, kind="requirements", python="", **more):
    found = [re.match(r"([a-z]+)(.*)", line) for line in lines]
    rows = [
        Item(match[1], "r.txt", number, specifier=SpecifierSet(match[2]), **more)
        for number, match in enumerate(found, 1)
    ]
    return Requirements("r.txt", kind, tuple(rows), python)


def said(requirements, serve):
    return [(found.kind, found.subject, found.train, found.serve) for found in observe(requirements, serve).found]


@pytest.mark.parametrize(
    ("wanted", "installed", "change"),
    [
        ("a==1.0", "1.0+cu1", "local"),
        ("a==1.0+cpu", "1.0+cu1", "local"),
        ("a==1.0+cpu", "1.0", "local"),
        ("a==1.0", "1.1", "minor"),
        ("a==1.0", "2.0", "major"),
        ("a==1.0", "1.0.1", "patch"),
        ("a==1.0", "1.0rc1", "other"),
        ("a===1.0", "odd", "other"),
    ],
)
def test_versions_are_compared_exactly(wanted, installed, change):
    (found,) = observe(wants(wanted), environment(a=installed)).found
    assert (found.kind, found.owner, found.serve) == ("distribution-version", "a", installed)
    assert found.train == wanted.lstrip("a=")
    assert found.attributes == {"change": change}


def test_two_spellings_of_one_version_are_equal():
    assert not said(wants("a==1.0", "b==1.0.0"), environment(a="1.0.0", b="1.0"))
    assert not observe(wants("a==1.0"), environment(a="1.0")).normalised


def test_a_version_that_is_not_allowed_and_one_that_is():
    found = observe(wants("a>=2", "b>=2", "c"), environment(a="1.0", b="2.1", c="odd"))
    assert [(row.subject, row.train, row.serve) for row in found.found] == [("a", ">=2", "1.0")]
    assert [(row.rule, row.count) for row in found.normalised] == [("unpinned", 2)]


def test_missing_and_not_in_the_lock():
    serve = environment(b="1")
    assert said(wants("a==1"), serve) == [("distribution-removed", "a", "1", None)]
    assert said(wants("a"), serve) == [("distribution-removed", "a", "any version", None)]
    assert said(wants("a==1", kind="pylock"), serve) == [
        ("distribution-removed", "a", "1", None),
        ("distribution-added", "b", None, "1"),
    ]
    assert said(wants("a<1", constraint=True), serve) == []
    assert said(wants("b<1", constraint=True), serve) == [("distribution-version", "b", "<1", "1")]


def test_the_python_of_a_lock():
    assert said(wants(kind="pylock", python=">=3.12"), environment()) == [
        ("python-version", "python", ">=3.12", "3.11.7")
    ]
    assert not said(wants(kind="pylock", python=">=3.9"), environment())


GIT = Source("https://example.org/a.git", vcs="git", commit=COMMIT)


@pytest.mark.parametrize(
    ("item", "source", "commit"),
    [
        ({"vcs": "git", "commit": COMMIT}, GIT, None),
        ({"vcs": "git", "commit": COMMIT[:12]}, GIT, None),
        ({"vcs": "git", "commit": "main"}, GIT, None),
        ({"vcs": "git", "commit": "f" * 40}, GIT, "other"),
        ({"vcs": "git", "commit": COMMIT}, None, "other"),
        ({"vcs": "git", "commit": COMMIT}, replace(GIT, url="https://example.org/fork.git"), "same"),
        ({"hashes": ("sha256:aa",)}, Source("https://example.org/a.git", digest="sha256=aa"), None),
        ({"hashes": ("sha256:aa",)}, Source("https://example.org/a.git", digest="sha256:bb"), "same"),
    ],
)
def test_where_it_came_from(item, source, commit):
    wanted = Requirements("r.txt", "requirements", (Item("a", "r.txt", 1, url="https://example.org/a.git", **item),))
    found = observe(wanted, environment(a="1", sources={"a": source})).found
    assert [(row.kind, row.attributes["commit"]) for row in found] == (
        [("distribution-source", commit)] if commit else []
    )


def test_what_such_a_file_does_not_say_is_unknown():
    found = observe(wants("a==1"), environment(a="1", b="2"))
    assert found.aspects == len(ASPECTS)
    assert {row.aspect for row in found.unknown} == set(ASPECTS)
    assert [row.why for row in found.unknown if row.aspect == "distributions"] == ["r.txt does not name 1 of 2"]
    assert {row.side for row in found.unknown} == {"train"}
    whole = observe(wants("a==1", kind="pylock"), environment(a="1"))
    assert {row.aspect for row in whole.unknown} == set(ASPECTS) - {"distributions"}


def test_where_sources_or_names_are_missing_that_is_said():
    item = Item("a", "r.txt", 1, url="https://example.org/a.zip")
    found = observe(Requirements("r.txt", "pylock", (item,)), environment(a="1", facts=False))
    assert ("distributions", "serve", "where they came from was not captured") in {
        (row.aspect, row.side, row.why) for row in found.unknown
    }
    found = observe(Requirements("r.txt", "requirements", (replace(item, name=None),)), environment(a="1"))
    assert "r.txt:1: a path or URL without the name of a distribution" in {row.why for row in found.unknown}


def test_sizes_for_the_picture():
    (share,) = observe(wants("a==2"), environment(a="1")).shares
    assert (share.owner, share.bytes, share.files, share.differing) == ("a", 1, 1, 1)
