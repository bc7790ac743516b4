"""Every failure is one line on standard error and exit code 2."""

from __future__ import annotations

import errno
import os
import re

import pytest
from click.testing import CliRunner

from diffing.errors import MissingTreeError
from registration.cli import COMMANDS, main
from snapshot.errors import SnapshotError


class OddError(SnapshotError, KeyError):
    """KeyError shows its message in quotes."""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SnapshotError("no such thing in x; do y"), "no such thing in x; do y"),
        (OddError("no such thing"), "no such thing"),
        (MissingTreeError("no tree"), "no tree"),
        (SnapshotError("too large:\n  a 1 GB\n  b 2 GB"), "too large: a 1 GB b 2 GB"),
        (SnapshotError("a file named \x1b[31m"), "a file named \\x1b[31m"),
        (PermissionError(errno.EACCES, "Permission denied", "/there"), "/there: Permission denied"),
        (PermissionError(errno.EACCES, "Permission denied", b"/\xff"), "/\\xff: Permission denied"),
        (OSError("the disk is odd"), "the disk is odd"),
        (ValueError("boom"), "unexpected ValueError: boom (run envparity --debug … to see where)"),
        (AssertionError(), "unexpected AssertionError (run envparity --debug … to see where)"),
    ],
)
def test_an_error_of_the_library_is_one_line(envparity, library, error, message):
    library.error = error
    assert envparity.error("capture", "x") == message
    assert envparity.error("capture", "x", "--json") == message


def test_debug_shows_where(library):
    library.error = ValueError("boom")
    result = CliRunner().invoke(main, ["--debug", "capture", "x"])
    assert result.exit_code == 2
    assert result.stderr.startswith("Traceback")
    assert "in called" in result.stderr
    assert result.stderr.endswith("ValueError: boom (run envparity --debug … to see where)\n")


def test_control_c_ends_with_130(envparity, library):
    library.error = KeyboardInterrupt()
    assert envparity.error("capture", "x", code=130) == "interrupted; run the same command again"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Missing command (see envparity --help)"),
        (["launch"], "No such command 'launch'"),
        (["--shop", "x", "list"], "No such option '--shop'"),
        (["restore", "x"], "Missing argument 'DEST' (see envparity restore --help)"),
        (["restore", "x", "y", "--link", "symlink"], "'symlink' is not one of"),
        (["capture", "--no-bytecode", "--compile-bytecode"], "--no-bytecode and --compile-bytecode exclude each other"),
        (["inspect", "x", "--files", "--facts"], "--layers, --files, --findings and --facts exclude each other"),
        (["capture", "--size-limit", "1G"], "'1G' is no size; write 1GB, 500MB, 1GiB or a number of bytes"),
        (["capture", "--size-limit", "0"], "'0' is less than one byte"),
    ],
)
def test_wrong_use_is_one_line_that_says_where_help_is(envparity, words, message):
    said = envparity.error(*words)
    assert message.replace("'", "") in said.replace("'", "").replace(": --shop", " --shop")
    assert re.search(r"\(see envparity( \w+)? --help\)$", said)


def test_a_store_that_is_a_file_is_wrong_use(envparity):
    envparity.store_path.write_text("")
    assert "is a file" in envparity.error("list")


def test_a_closed_pipe_is_quiet(envparity, library, monkeypatch):
    dropped = []
    monkeypatch.setattr("registration.cli._drop_output", lambda: dropped.append(True))
    library.error = BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
    result = CliRunner().invoke(main, ["--store", str(envparity.store_path), "capture", "x"])
    assert (result.exit_code, result.output, dropped) == (141, "", [True])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_json(envparity, command):
    said = envparity(command, "--help").stdout
    assert said.startswith(f"Usage: envparity {command}")
    assert "--json" in said


def test_help_lists_every_command_with_what_it_does(envparity):
    said = envparity("--help").stdout
    for command in COMMANDS:
        assert re.search(rf"^  {command} +\w", said, re.MULTILINE)


def test_version(envparity, monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"1.2 of {name}")
    assert envparity("--version").stdout == "envparity 1.2 of envparity\n"


def test_an_empty_store_option(envparity):
    """A variable of the shell that is not set: by its absolute path it would be the working directory."""
    said = envparity.error("--store", "", "list")
    assert said.startswith("--store is empty; give the directory of a store")
