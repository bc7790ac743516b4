"""Scripts, links and RPATHs at other places. Rendered scripts are run, by a direct execve."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from snapshot.relocate import Place, Places, link_template, rpath_component, script_template, venv_config_template
from snapshot.substitution import UnknownTokenError, render

PREFIX, BASE, SOURCE = "/opt/env", "/opt/pyenv/3.11", "/home/me/app"
PLACES = Places(
    (
        Place("prefix", (PREFIX, "/real/env"), ""),
        Place("base", (BASE,), ".envparity/python"),
        Place("source:app", (SOURCE,), ".envparity/src/app"),
    )
)
HERE = {"prefix": PREFIX.encode(), "base": BASE.encode(), "source:app": SOURCE.encode()}
BODY = b"import sys\nprint(sys.argv[1:], sys.flags.isolated)\n"


def directory_of_length(parent, length):
    """A directory below `parent` whose path has `length` bytes."""
    missing = length - len(os.fsencode(parent))
    assert missing >= 2, "the temporary directory's own path is too long for this test"
    path = str(parent)
    while missing > 200:
        path += "/" + "d" * 99
        missing -= 100
    path += "/" + "d" * (missing - 1)
    assert len(path) == length
    return path


def interpreter_in(directory):
    os.makedirs(f"{directory}/bin")
    os.symlink(os.path.realpath(sys.executable), f"{directory}/bin/python")


def run(tmp_path, script, *arguments):
    path = tmp_path / "script"
    path.write_bytes(script)
    path.chmod(0o755)
    # Not by a shell: that would run what execve refuses as shell code.
    done = subprocess.run([path, *arguments], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"})
    return done.stdout


@pytest.mark.parametrize("length", [126, 127, 128, 255, 256, 700])
@pytest.mark.parametrize("arguments", [b"", b" -I"])
def test_a_script_runs_whatever_the_length_of_its_first_line(tmp_path, length, arguments):
    """`length` counts the `#!`, the path, its argument and the line's end, as the kernel does."""
    template, at = script_template(b"#!/opt/env/bin/python" + arguments + b"\n" + BODY, PLACES)
    directory = directory_of_length(tmp_path, length - len("#!/bin/python\n") - len(arguments))
    interpreter_in(directory)
    script = render(template, at, {"prefix": directory.encode()})
    direct = script.startswith(b"#!" + directory.encode() + b"/bin/python")
    assert direct == (length <= 127)
    assert len(script.partition(b"\n")[0]) + 1 == (length if direct else 10)
    assert run(tmp_path, script, "one two", "$x '\"") == f"['one two', '$x \\'\"'] {int(bool(arguments))}\n"


@pytest.mark.parametrize("name", ["a b", "a  b", " a", "é", "a(b)", "a;b", "a&b", "a*b", "#a", "-a", "a%b", "a!b", "~"])
@pytest.mark.parametrize("long", [False, True])
def test_a_script_runs_whatever_the_name_of_its_directory(tmp_path, name, long):
    """What `Rendering` lets through: quotes, `$`, backquotes and backslashes are refused there."""
    directory = f"{tmp_path}/{name}" + "/l" * (80 if long else 0)
    interpreter_in(directory)
    script = render(b"#!/bin/python\n" + BODY, ((2, "prefix"),), {"prefix": directory.encode()})
    assert run(tmp_path, script, "x") == "['x'] 0\n"


TRAMPOLINES = {
    "pip and distlib": b"#!/bin/sh\n'''exec' %s \"$0\" \"$@\"\n' '''\n",
    "quoted by pip and uv": b"#!/bin/sh\n'''exec' \"%s\" \"$0\" \"$@\"\n' '''\n",
}


@pytest.mark.parametrize("form", TRAMPOLINES.values(), ids=TRAMPOLINES)
@pytest.mark.parametrize("directory", [PREFIX, "/real/env"])
def test_a_trampoline_is_taken_for_the_line_it_stands_for(form, directory):
    script = form % f"{directory}/bin/python".encode() + BODY
    assert script_template(script, PLACES) == (b"#!/bin/python\n" + BODY, ((2, "prefix"),))


@pytest.mark.parametrize("directory", ["/opt/my env", "/opt/" + "d" * 200])
def test_a_trampoline_as_installer_quotes_it(directory):
    """`installer` quotes by shlex.quote: single quotes, where pip has double ones."""
    from installer.scripts import Script

    _, script = Script("tool", "m", "main", "console").generate(f"{directory}/bin/python", "posix")
    assert script.startswith(b"#!/bin/sh\n'''exec' ")
    template, at = script_template(script, Places((Place("prefix", (directory,), ""),)))
    assert at == ((2, "prefix"),)
    assert template.startswith(b"#!/bin/python\n# -*- coding: utf-8 -*-\nimport re\n")


@pytest.mark.parametrize(
    "script",
    [
        b"",
        b"#!",
        b"#!/bin/sh\n",
        b"#!/usr/bin/env python\n" + BODY,
        b"#!/opt/environment/bin/python\n",
        b"#! /opt/env/bin/python\n",
        b"#!/opt/env/bin/python",
        b"\n#!/opt/env/bin/python\n",
        b"#!/bin/sh\n'''exec' /elsewhere/bin/python \"$0\" \"$@\"\n' '''\n",
        b"#!/bin/sh\n'''exec' /opt/env/bin/python \"$@\"\n' '''\n",
        b"#!/bin/sh\nexec /opt/env/bin/python x\n",
        b"\x7fELF/opt/env/bin/python\n",
    ],
)
def test_what_is_no_script_of_the_environment_is_left_alone(script):
    assert script_template(script, PLACES) == (script, ())


def test_the_end_of_the_line_is_normalised_and_the_rest_is_not():
    assert script_template(b"#!/opt/env/bin/python\r\na\r\n", PLACES) == (b"#!/bin/python\na\r\n", ((2, "prefix"),))


def test_a_script_of_the_base_is_its():
    assert script_template(b"#!/opt/pyenv/3.11/bin/python3.11\n", PLACES) == (b"#!/bin/python3.11\n", ((2, "base"),))


def test_only_the_line_of_a_script_becomes_a_trampoline():
    """Any other text keeps its bytes, however long the directory is."""
    values = {"prefix": b"/" + b"p" * 300}
    assert render(b"VIRTUAL_ENV=\n", ((12, "prefix"),), values) == b"VIRTUAL_ENV=/" + b"p" * 300 + b"\n"


def test_a_directory_that_the_snapshot_does_not_have():
    with pytest.raises(UnknownTokenError) as caught:
        render(b"x", ((0, "source:gone"),), HERE)
    assert str(caught.value) == "a file of this snapshot depends on 'source:gone', which the snapshot does not have"


@pytest.mark.parametrize(
    ("text", "template", "at"),
    [
        (b"/opt/env", b"", ((0, "prefix"),)),
        (b"a=/opt/env/lib:/opt/pyenv/3.11/lib\n", b"a=/lib:/lib\n", ((2, "prefix"), (7, "base"))),
        (b"-L/opt/env/lib -I/opt/env", b"-L/lib -I", ((2, "prefix"), (9, "prefix"))),
        (b"/real/env/x", b"/x", ((0, "prefix"),)),
        (b"file:///home/me/app/src", b"file:///src", ((7, "source:app+url"),)),
        (b"/opt/env2 /opt/env-2 /opt/env.x x/opt/env /my/opt/env", None, ()),
        (b"/OPT/ENV /opt /opt/", None, ()),
        (b"\xff/opt/env\xff", b"\xff\xff", ((1, "prefix"),)),
    ],
)
def test_directories_in_a_text(text, template, at):
    assert PLACES.template(text) == (text if template is None else template, at)
    assert render(*PLACES.template(text), HERE) == text.replace(b"/real/env", b"/opt/env")


@pytest.mark.parametrize("prefix", ["/usr", "/usr/local", "/env", "/"])
def test_a_common_directory_is_found_only_where_it_must_be(prefix):
    places = Places((Place("prefix", (prefix,), ""),))
    text = b"path = %s/lib" % prefix.encode().rstrip(b"/")
    assert places.template(text) == (text, ())
    assert places.template(b" " + prefix.encode() + b" ", "any")[1] == ((1, "prefix"),)


@pytest.mark.parametrize(
    ("directory", "url"),
    [("/my env/x", "file:///my%20env/x"), ("/é/env", "file:///%C3%A9/env"), ("/a/env", "file:///a/env")],
)
def test_a_url_is_one_at_every_place(directory, url):
    """Quoted where it was captured or not, it is quoted where it is restored; and captured again it is the same."""
    for captured in ("/my env/x", "/opt/env"):
        places = Places((Place("prefix", (captured,), ""),))
        template, at = places.template(f"file://{captured.replace(' ', '%20')}/src".encode())
        there = Places((Place("prefix", (directory,), ""),))
        rendered = render(template, at, {"prefix": directory.encode()})
        assert rendered == f"{url}/src".encode()
        assert there.template(rendered) == (template, at)


def test_the_home_of_a_venv_is_always_the_bases():
    config = (
        b"home = /somewhere/else/bin\ninclude-system-site-packages = false\nversion = 3.11.7\ncommand = /opt/env/x\n"
    )
    template, at = venv_config_template(config, PLACES, "bin")
    assert render(template, at, HERE) == config.replace(b"/somewhere/else/bin", b"/opt/pyenv/3.11/bin")
    assert [token for _, token in at] == ["base", "prefix"]


@pytest.mark.parametrize("line", [b"home=/x", b"HOME = /x\n", b"home =/x\r\n", b"  home = /x\n"])
def test_the_home_of_a_venv_in_other_spellings(line):
    template, at = venv_config_template(line, PLACES, "bin")
    rendered = render(template, at, HERE)
    assert rendered.partition(b"=")[2].strip() == b"/opt/pyenv/3.11/bin"


@pytest.mark.parametrize(
    ("path", "target", "expected"),
    [
        ("bin/python", "python3", ("python3", (), False)),
        ("lib64", "lib", ("lib", (), False)),
        ("bin/python3", "/opt/pyenv/3.11/bin/python3.11", ("/bin/python3.11", ((0, "base"),), False)),
        ("bin/x", "../../pyenv/3.11/bin/x", ("/bin/x", ((0, "base"),), False)),
        ("x", "/etc/passwd", ("/etc/passwd", (), True)),
        ("x", "../env2/y", ("../env2/y", (), True)),
        ("a/b", "../..", ("../..", (), True)),
        ("a", "gone", ("gone", (), False)),
        ("a", "..", ("..", (), True)),
        ("app", "/home/me/app", ("", ((0, "source:app"),), False)),
    ],
)
def test_links(path, target, expected):
    assert link_template(target, path, PREFIX, PLACES) == expected


@pytest.mark.parametrize(
    ("component", "path", "expected"),
    [
        ("/opt/env/lib", "lib/a.so", "$ORIGIN"),
        ("/opt/env/lib", "lib/p/q/a.so", "$ORIGIN/../.."),
        ("/opt/env", "lib/a.so", "$ORIGIN/.."),
        ("/opt/env/lib/", "bin/a", "$ORIGIN/../lib"),
        ("/opt/pyenv/3.11/lib", "lib/p/a.so", "$ORIGIN/../../.envparity/python/lib"),
        ("/opt/env2/lib", "lib/a.so", None),
        ("$ORIGIN/../lib", "lib/a.so", None),
        ("/usr/lib", "lib/a.so", None),
        ("", "lib/a.so", None),
    ],
)
def test_rpaths(component, path, expected):
    assert rpath_component(component, path, PREFIX, PLACES) == expected
