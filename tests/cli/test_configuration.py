"""`[tool.envparity]`: where it is found, what it may say, and what wins."""

from __future__ import annotations

import os

import pytest

from registration.configuration import Configuration, ConfigurationError, find_configuration

TABLE = '[tool.envparity]\nsize-limit = "500MB"\nbudget = 2_000_000_000\nexclude = ["*/tests/*", "dist:pip"]\n'


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project, and a directory in it that commands run in."""
    inside = tmp_path / "project" / "models" / "churn"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    return tmp_path / "project"


def write(project, text, place="."):
    path = project / place / "pyproject.toml"
    path.write_text(text)
    return path


def test_without_a_table_nothing_is_said(project):
    assert find_configuration(project / "models") == Configuration()
    write(project, "[tool.ruff]\nline-length = 120\n")
    assert find_configuration(project / "models") == Configuration()


def test_the_nearest_file_with_the_table_is_read(project):
    path = write(project, TABLE)
    write(project, "[tool.ruff]\n", "models")
    read = Configuration(str(path), 500_000_000, 2_000_000_000, ("*/tests/*", "dist:pip"))
    assert find_configuration(project / "models" / "churn") == read
    nearer = write(project, "[tool.envparity]\n", "models/churn")
    assert find_configuration(os.getcwd()) == Configuration(str(nearer))


def test_a_directory_of_that_name_is_no_file(project):
    (project / "models" / "pyproject.toml").mkdir()
    write(project, TABLE)
    assert find_configuration(project / "models").size_limit == 500_000_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[tool.envparity]\nsize_limit = 1\n",
            "tool.envparity.size_limit is not known; want size-limit, budget, exclude",
        ),
        ("[tool]\nenvparity = 3\n", "tool.envparity is no table; want [tool.envparity]"),
        (
            "[tool.envparity]\nbudget = true\n",
            "tool.envparity.budget: want a size, such as '500MB' or a number of bytes",
        ),
        (
            "[tool.envparity]\nbudget = 1.5\n",
            "tool.envparity.budget: want a size, such as '500MB' or a number of bytes",
        ),
        (
            "[tool.envparity]\nbudget = '1G'\n",
            "tool.envparity.budget: '1G' is no size; write 1GB, 500MB, 1GiB or a number",
        ),
        ("[tool.envparity]\nsize-limit = 0\n", "tool.envparity.size-limit: '0' is less than one byte"),
        ("[tool.envparity]\nexclude = '*'\n", "tool.envparity.exclude: want a list of patterns, such as ['*/tests/*']"),
        ("[tool.envparity]\nexclude = [1]\n", "tool.envparity.exclude: want a list of patterns, such as ['*/tests/*']"),
        ("[tool.envparity\n", "not TOML: "),
    ],
)
def test_what_is_wrong_is_one_line_with_file_and_key(envparity, library, project, text, message):
    path = write(project, text)
    assert envparity.error("capture", "x").startswith(f"{path}: {message}")
    assert envparity.error("size", "x").startswith(f"{path}: {message}")
    assert not library.calls


def test_what_is_not_utf_8(project):
    path = project / "pyproject.toml"
    path.write_bytes(b"[tool.envparity] # \xff\n")
    with pytest.raises(ConfigurationError, match="not TOML: 'utf-8' codec"):
        find_configuration(project)


def test_a_file_that_cannot_be_opened(project):
    (project / "pyproject.toml").symlink_to("pyproject.toml")
    with pytest.raises(
        ConfigurationError, match=r"pyproject\.toml: .*; whether it has \[tool\.envparity\] cannot be seen"
    ):
        find_configuration(project)


def options(library):
    ((_, _, given),) = library.calls
    library.calls.clear()
    return given["size_limit"], given["budget"], given["exclude"]


def test_an_option_wins_over_the_file_and_the_file_over_the_default(envparity, library, project):
    envparity("capture", "x")
    assert options(library) == (1_000_000_000, 1_000_000_000, ())
    write(project, TABLE)
    envparity("capture", "x")
    assert options(library) == (500_000_000, 2_000_000_000, ("*/tests/*", "dist:pip"))
    envparity("capture", "x", "--size-limit", "1kB", "--budget", "2kB", "--exclude", "*.pyi")
    assert options(library) == (1_000, 2_000, ("*.pyi",))
    envparity("capture", "x", "--budget", "2kB")
    assert options(library) == (500_000_000, 2_000, ("*/tests/*", "dist:pip"))
