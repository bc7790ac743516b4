"""Editable installs: the source tree is captured, and what is restored is an editable install of the restored source."""

from __future__ import annotations

import json
import os
import shutil
import zipfile

import pytest

import snapshot

pytestmark = pytest.mark.environments

MODULE = "VALUE = 1\n\n\ndef main():\n    print('value', VALUE)\n"
PROJECT = """\
[build-system]
requires = [{requires}]
build-backend = "{backend}"
[project]
name = "{name}"
version = "1.0"
[project.scripts]
{name} = "{name}:main"
"""


def project(directory, name, *, src=False, backend="setuptools.build_meta", extra=""):
    """A source tree with one package, and what is no part of it."""
    package = directory / "src" / name if src else directory / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(MODULE)
    requires = {"setuptools.build_meta": '"setuptools"', "hatchling.build": '"hatchling"'}[backend]
    (directory / "pyproject.toml").write_text(PROJECT.format(name=name, backend=backend, requires=requires) + extra)
    (directory / ".git").mkdir()
    (directory / ".git" / "config").write_text("[remote]\n")
    return directory


@pytest.fixture(scope="module")
def builders(lab, root):
    """An environment with what builds the projects: copied for each test, as installing takes longer."""
    made = lab.venv(root / "editable" / "builders", "--without-pip")
    lab.pip_install(made, "setuptools", "wheel", "hatchling", "editables")
    return made


@pytest.fixture
def made(lab, builders, tmp_path):
    lab.venv(tmp_path / "live", "--without-pip")
    copy = lab.Made(tmp_path / "live", builders.base)
    shutil.copytree(builders.site, copy.site, symlinks=True, dirs_exist_ok=True)
    return copy


def install(lab, made, directory, *options):
    lab.pip_install(made, "--no-build-isolation", "--no-deps", *options, "-e", directory)


def editable_location(made, name, **options):
    """What pip says of it: version and project location."""
    rows = json.loads(
        made.run(
            "-c",
            "import importlib.metadata as m, json, sys\n"
            "d = m.distribution(sys.argv[1])\n"
            "print(json.dumps([d.version, json.loads(d.read_text('direct_url.json') or '{}')]))",
            name,
            **options,
        ).stdout
    )
    return rows[0], rows[1].get("url"), rows[1].get("dir_info")


def check(lab, made, store, tmp_path, name, package, *, where="back"):
    """The import, the script, pip's view and an edit: all in the restored source, with the original hidden."""
    captured = snapshot.capture(made, store, name=name, interpreter=False)
    back = lab.restored(store, name, tmp_path / where, made)
    hide = (tmp_path / "projects", tmp_path / "live")
    file = back.run("-c", f"import {package}; print({package}.__file__)", hide=hide).stdout.strip()
    assert file.startswith(f"{back.path}/.envparity/src/{name}/"), file
    assert file.endswith(f"/{package}/__init__.py")
    assert lab.run(back.at("bin", package), hide=hide).stdout == "value 1\n"
    assert snapshot.verify(back.path, store).ok
    again = snapshot.capture(back, store, interpreter=False)
    assert again.parity_root == captured.parity_root

    with open(file, "a") as source:
        source.write("VALUE = 2\n")
    assert lab.run(back.at("bin", package), hide=hide).stdout == "value 2\n"
    changed = {problem.path for problem in snapshot.verify(back.path, store).problems}
    assert changed == {os.path.relpath(file, back.path)}
    source = os.path.join(back.path, ".envparity", "src", name)
    assert not os.path.exists(os.path.join(source, ".git"))
    assert snapshot.capture(back, store, interpreter=False).parity_root != captured.parity_root
    return back, captured


@pytest.mark.parametrize("layout", ["flat", "src", "hatchling"])
def test_pep_660(lab, made, store, tmp_path, layout):
    backend = "hatchling.build" if layout == "hatchling" else "setuptools.build_meta"
    name = f"shop{layout}"
    source = project(tmp_path / "projects" / name, name, src=layout == "src", backend=backend)
    install(lab, made, source)
    back, captured = check(lab, made, store, tmp_path, name, name)
    version, url, info = editable_location(back, name, hide=(tmp_path / "projects",))
    assert (version, url, info) == ("1.0", f"file://{back.path}/.envparity/src/{name}", {"editable": True})
    assert not lab.untrue_rows(back, of=name)
    assert str(source) in lab.findings(captured)["left-out"]


def test_a_finder_of_a_package_that_lies_elsewhere(lab, made, store, tmp_path):
    """setuptools writes a finder module with a mapping when one path entry would not do."""
    extra = '[tool.setuptools]\npackages = ["mapped"]\n[tool.setuptools.package-dir]\nmapped = "python"\n'
    source = project(tmp_path / "projects" / "mapped", "mapped", extra=extra)
    (source / "mapped").rename(source / "python")
    install(lab, made, source)
    finders = [name for name in os.listdir(made.site) if name.endswith("_finder.py")]
    assert finders
    snapshot.capture(made, store, name="mapped", interpreter=False)
    back = lab.restored(store, "mapped", tmp_path / "back", made)
    hide = (tmp_path / "projects", tmp_path / "live")
    said = back.run("-c", "import mapped; print(mapped.__file__)", hide=hide).stdout.strip()
    assert said == f"{back.path}/.envparity/src/mapped/python/__init__.py"
    assert not lab.untrue_rows(back, of="mapped")


def test_uv_installs_it(lab, made, store, tmp_path):
    source = project(tmp_path / "projects" / "uvshop", "uvshop")
    lab.uv_install(made, "--no-build-isolation", "--no-deps", "-e", source)
    check(lab, made, store, tmp_path, "uvshop", "uvshop")


def test_a_path_with_spaces_and_more(lab, made, store, tmp_path):
    """direct_url.json has the path percent-encoded, the .pth file as it is; and it goes to such a place too."""
    source = project(tmp_path / "projects" / "my shöp (v1)", "spaced", src=True)
    install(lab, made, source)
    back, _ = check(lab, made, store, tmp_path, "spaced", "spaced", where="the bäck")
    _, url, _ = editable_location(back, "spaced")
    assert url.endswith("/the%20b%C3%A4ck/.envparity/src/spaced")


def test_setup_py_develop(lab, made, store, tmp_path):
    """The older way: an .egg-link file and a line in easy-install.pth, with the metadata in the source tree."""
    lab.pip_install(made, "setuptools<70")
    source = project(tmp_path / "projects" / "oldshop", "oldshop")
    (source / "pyproject.toml").unlink()
    (source / "setup.py").write_text(
        "from setuptools import setup\n"
        "setup(name='oldshop', version='1.0', packages=['oldshop'],\n"
        "      entry_points={'console_scripts': ['oldshop=oldshop:main']})\n"
    )
    made.run("setup.py", "-q", "develop", "--no-deps", cwd=source)
    assert os.path.exists(os.path.join(made.site, "oldshop.egg-link"))
    back, _ = check(lab, made, store, tmp_path, "oldshop", "oldshop")
    version = "import importlib.metadata as m; print(m.version('oldshop'))"
    assert back.run("-c", version, hide=(tmp_path / "projects",)).stdout == "1.0\n"


def test_the_environment_lies_in_the_project(lab, builders, store, tmp_path):
    """PROJECT/.venv: the source tree must not hold the environment once more."""
    source = project(tmp_path / "projects" / "inner", "inner", src=True)
    lab.venv(source / ".venv", "--without-pip")
    made = lab.Made(source / ".venv", builders.base)
    shutil.copytree(builders.site, made.site, symlinks=True, dirs_exist_ok=True)
    install(lab, made, source)
    _, captured = check(lab, made, store, tmp_path, "inner", "inner")
    layers = {layer.name: layer for layer in snapshot.load("inner", store).snapshot.layers if layer.kind == "source"}
    assert layers["inner"].files < 12
    assert ".venv" in lab.findings(captured)["left-out"][str(source)]


def test_nested_projects_in_one_repository(lab, made, store, tmp_path):
    """A monorepo: one project inside another's directory, both editable; the tree is captured once."""
    outer = project(tmp_path / "projects" / "outer", "outer", src=True)
    inner = project(outer / "libs" / "inside", "inside", src=True)
    install(lab, made, outer)
    install(lab, made, inner)
    snapshot.capture(made, store, name="outer", interpreter=False)
    back = lab.restored(store, "outer", tmp_path / "back", made)
    hide = (tmp_path / "projects",)
    said = back.run("-c", "import outer, inside; print(outer.__file__, inside.__file__)", hide=hide).stdout.split()
    assert said == [
        f"{back.path}/.envparity/src/outer/src/outer/__init__.py",
        f"{back.path}/.envparity/src/outer/libs/inside/src/inside/__init__.py",
    ]
    assert editable_location(back, "inside")[1] == f"file://{back.path}/.envparity/src/outer/libs/inside"
    sources = [layer for layer in snapshot.load("outer", store).snapshot.layers if layer.kind == "source"]
    assert len(sources) == 1


def test_a_path_file_and_what_its_lines_are(lab, made, store, tmp_path):
    """A .pth line is a path, code, or a comment. Only the first is a source tree; a path that is gone is a finding."""
    tools = tmp_path / "projects" / "tools"
    tools.mkdir(parents=True)
    (tools / "helper.py").write_text("VALUE = 7\n")
    made.write(
        os.path.join(made.site, "mine.pth"),
        f"# {tmp_path}/projects/comment\n{tools}\nimport sys; sys.flag_of_mine = '{tools}'\n{tmp_path}/projects/gone\n",
    )
    captured = snapshot.capture(made, store, name="mine", interpreter=False)
    assert f"{tmp_path}/projects/gone" in lab.findings(captured)["missing"]
    back = lab.restored(store, "mine", tmp_path / "back", made)
    said = back.run(
        "-c", "import helper, sys; print(helper.__file__, sys.flag_of_mine)", hide=(tmp_path / "projects",)
    ).stdout.split()
    assert said == [f"{back.path}/.envparity/src/tools/helper.py", f"{back.path}/.envparity/src/tools"]


def test_a_source_tree_that_is_called_by_several_names(lab, made, store, tmp_path):
    """A home directory is often a link: what pip wrote and what a `.pth` says need not be spelled alike."""
    project(tmp_path / "projects" / "linked", "linked", src=True)
    (tmp_path / "projects" / "home").symlink_to(".")
    (tmp_path / "projects" / "other").symlink_to(tmp_path / "projects")
    install(lab, made, tmp_path / "projects" / "home" / "linked")
    (path_file,) = (name for name in os.listdir(made.site) if name.endswith(".pth") and "linked" in name)
    made.write(os.path.join(made.site, path_file), f"{tmp_path}/projects/other/linked/src\n")
    back, captured = check(lab, made, store, tmp_path, "linked", "linked")
    assert editable_location(back, "linked")[1] == f"file://{back.path}/.envparity/src/linked"
    assert lab.findings(captured)["left-out"] == {
        f"{tmp_path}/projects/home/linked": "not captured with the source: .git"
    }
    found = snapshot.describe(back)
    assert [each.name for each in found.facts.modules if each.owner == "linked"] == ["linked"]


def test_a_path_relative_to_the_site_directory(lab, made, store, tmp_path):
    """`site` takes it from there; where the environment is restored the way would be another one."""
    tools = tmp_path / "projects" / "tools"
    tools.mkdir(parents=True)
    (tools / "helper.py").write_text("VALUE = 7\n")
    (tools / "weights").mkdir()
    (tools / "weights" / "model.pth").write_text("version https://git-lfs\noid sha256:1\n")  # no path file at all
    inner = os.path.join(made.site, "inner")
    made.write(os.path.join(inner, "within.py"), "VALUE = 8\n")
    lines = f"{os.path.relpath(tools, made.site)}\ninner\n"
    made.write(os.path.join(made.site, "mine.pth"), lines)
    asked = "import helper, within; print(helper.__file__, within.__file__)"
    assert made.run("-c", asked).stdout.split()[0] == str(tools / "helper.py")
    captured = snapshot.capture(made, store, name="mine", interpreter=False)
    back = lab.restored(store, "mine", tmp_path / "a" / "longer" / "way", made)
    said = back.run("-c", asked, hide=(tmp_path / "projects",)).stdout.split()
    assert said == [f"{back.path}/.envparity/src/tools/helper.py", os.path.join(back.site, "inner", "within.py")]
    with open(os.path.join(back.site, "mine.pth")) as file:
        assert file.read() == f"{back.path}/.envparity/src/tools\ninner\n"
    assert snapshot.capture(back, store, interpreter=False).parity_root == captured.parity_root
    with open(back.at(".envparity", "src", "tools", "weights", "model.pth")) as file:
        assert file.read() == "version https://git-lfs\noid sha256:1\n"


def test_an_archive_outside_is_said_and_not_captured(lab, made, store, tmp_path):
    archive = tmp_path / "projects" / "more.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zipped.py", "VALUE = 9\n")
    made.write(os.path.join(made.site, "mine.pth"), f"{archive}\n")
    captured = snapshot.capture(made, store, interpreter=False)
    assert "not captured" in lab.findings(captured)["path-outside"][str(archive)]


def test_a_path_that_is_too_wide_is_not_taken_along(lab, made, store, tmp_path):
    made.write(os.path.join(made.site, "wide.pth"), "/usr\n")
    captured = snapshot.capture(made, store, interpreter=False)
    assert "too wide" in lab.findings(captured)["path-outside"]["/usr"]
    assert not [layer for layer in snapshot.load(captured.snapshot, store).snapshot.layers if layer.kind == "source"]
