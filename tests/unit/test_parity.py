"""The named rules: which file counts, and as what."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from snapshot.model import Entry, Kind
from snapshot.parity import console_script, counted, is_venv_hook, parity_of, parity_root, rule_for_path
from tests.building import ENVIRONMENT, INTERPRETER, built, file, link

OLD = r"re.sub(r'(-script\.pyw|\.exe)?$', '', sys.argv[0])"
#: What stands in a script for the entry point `MODULE:ATTRIBUTE`, by who writes it. %m, %n, %f: module, imported name, call.
FORMS = {
    "distlib, pip 19 to 24": f"""# -*- coding: utf-8 -*-
import re
import sys
from %m import %n
if __name__ == '__main__':
    sys.argv[0] = {OLD}
    sys.exit(%f())
""",
    "pip 19 to 24, an empty line": f"""# -*- coding: utf-8 -*-
import re
import sys

from %m import %n

if __name__ == '__main__':
    sys.argv[0] = {OLD}
    sys.exit(%f())
""",
    "distlib 0.4": f"""# -*- coding: utf-8 -*-
import re
import sys
if __name__ == '__main__':
    from %m import %n
    sys.argv[0] = {OLD}
    sys.exit(%f())
""",
    "pip 25": """import sys
from %m import %n
if __name__ == '__main__':
    if sys.argv[0].endswith('.exe'):
        sys.argv[0] = sys.argv[0][:-4]
    sys.exit(%f())
""",
    "pip 26": """import sys
from %m import %n
if __name__ == '__main__':
    sys.argv[0] = sys.argv[0].removesuffix('.exe')
    sys.exit(%f())
""",
    "uv": """# -*- coding: utf-8 -*-
import sys
from %m import %n
if __name__ == "__main__":
    if sys.argv[0].endswith("-script.pyw"):
        sys.argv[0] = sys.argv[0][:-11]
    elif sys.argv[0].endswith(".exe"):
        sys.argv[0] = sys.argv[0][:-4]
    sys.exit(%f())
""",
    "uv 0.1": """# -*- coding: utf-8 -*-
import re
import sys
from %m import %n
if __name__ == "__main__":
    sys.argv[0] = re.sub(r"(-script\\.pyw|\\.exe)?$", "", sys.argv[0])
    sys.exit(%f())
""",
}


def script(form, module="package.cli", attribute="main", line="#!/bin/python"):
    body = FORMS[form].replace("%m", module).replace("%n", attribute.split(".")[0]).replace("%f", attribute)
    return f"{line}\n{body}".encode()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("module", "attribute"), [("package.cli", "main"), ("a_b", "Class.method"), ("_x", "y.z.w")])
def test_every_installers_script_counts_as_its_entry_point(form, module, attribute):
    expected = hashlib.sha256(f"console-script\0{module}:{attribute}".encode()).hexdigest()
    assert console_script(script(form, module, attribute)) == expected


def test_installers_script_counts_as_its_entry_point():
    from installer.scripts import Script

    _, made = Script("tool", "package.cli", "Group.run", "console").generate("/bin/python", "posix")
    assert console_script(made) == console_script(script("uv", attribute="Group.run"))


@pytest.mark.parametrize("line", ["#!/bin/python3", "#!/bin/python3.11", "#!/bin/pypy3"])
def test_the_interpreters_name_does_not_count(line):
    assert console_script(script("uv", line=line)) == console_script(script("uv"))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "added", ["import os", "# a remark", "", " ", "os.system('x')", "    pass", "\t", "if True: evil()", "\0"]
)
def test_a_line_more_in_any_place_makes_it_somebodys_own(form, added):
    lines = script(form).decode().split("\n")
    for position in range(len(lines) + 1):
        altered = "\n".join([*lines[:position], added, *lines[position:]]).encode()
        known = {script(name) for name in FORMS}
        # An empty line after the import is one of the forms.
        if added == "" and console_script(altered) is not None:
            assert lines[position - 1].startswith(("import sys", "from "))
        else:
            assert altered in known or console_script(altered) is None


@pytest.mark.parametrize("form", FORMS)
def test_a_line_less_makes_it_somebodys_own(form):
    lines = script(form).decode().splitlines(keepends=True)
    for position, line in enumerate(lines):
        altered = "".join([*lines[:position], *lines[position + 1 :]]).encode()
        # What does not change what the script does may be missing: some installer leaves it out.
        harmless = line in ("\n", "import re\n") or "coding" in line or "argv" in line
        assert harmless or console_script(altered) is None, line


def test_a_changed_byte_makes_it_another_entry_point_or_somebodys_own():
    for form in FORMS:
        good = script(form)
        digest = console_script(good)
        for position in range(len(b"#!/bin/python\n"), len(good)):
            altered = bytearray(good)
            altered[position] ^= 0x02
            assert console_script(bytes(altered)) != digest, bytes(altered)


@pytest.mark.parametrize("other", [("package.cli2", "main"), ("package.cli", "main2"), ("package", "cli.main")])
def test_another_entry_point_is_another_digest(other):
    assert console_script(script("uv", *other)) != console_script(script("uv"))


@pytest.mark.parametrize(
    "made",
    [
        b"",
        b"#!/bin/python\n",
        script("uv").replace(b"sys.exit(main())", b"sys.exit(evil())"),
        script("uv").replace(b"import main", b"import main as evil"),
        script("uv").replace(b"import main", b"import main, evil"),
        script("uv").replace(b"main())", b"main(1))"),
        script("uv").replace(b"package.cli", b"package.cli;evil"),
        script("uv") + b"\n",
        script("uv") + b"evil()\n",
        script("uv")[:-1],
        script("uv").replace(b"\n", b"\r\n"),
        # An option changes what the interpreter does before the first line.
        script("uv", line="#!/bin/python -i"),
        script("uv", line="#!/bin/python -X importtime"),
        script("uv", line="#!/bin/python\t-O"),
        script("uv", line=""),
    ],
)
def test_what_is_not_to_the_byte_an_installers_script(made):
    assert console_script(made) is None


@pytest.mark.parametrize(
    ("kind", "path", "rule"),
    [
        (Kind.DISTRIBUTION, "lib/python3.11/site-packages/a-1.dist-info/RECORD", "record"),
        (Kind.DISTRIBUTION, "lib/python3.11/site-packages/a-1.egg-info/installed-files.txt", "record"),
        (Kind.DISTRIBUTION, "lib/python3.11/site-packages/a-1.dist-info/INSTALLER", "installer-note"),
        (Kind.DISTRIBUTION, "lib/python3.11/site-packages/a-1.dist-info/REQUESTED", "installer-note"),
        (Kind.DISTRIBUTION, "lib/python3.11/site-packages/a-1.dist-info/uv_cache.json", "installer-note"),
        (Kind.DISTRIBUTION, "lib/python3.11/site-packages/a-1.dist-info/direct_url.json", "direct-url"),
        (Kind.DISTRIBUTION, "lib/python3.11/site-packages/a-1.dist-info/METADATA", None),
        (Kind.DISTRIBUTION, "lib/python3.11/site-packages/a-1.dist-info/licenses/RECORD", None),
        (Kind.DISTRIBUTION, "lib/python3.11/site-packages/a/RECORD", None),
        (Kind.DISTRIBUTION, "lib/python3.11/site-packages/a/INSTALLER", None),
        (Kind.DISTRIBUTION, "pyvenv.cfg", None),
        (Kind.DISTRIBUTION, "bin/activate", None),
        (Kind.ENVIRONMENT, "pyvenv.cfg", "venv-config"),
        (Kind.ENVIRONMENT, ".gitignore", "tool-marker"),
        (Kind.ENVIRONMENT, "lib/.gitignore", None),
        (Kind.ENVIRONMENT, "lib/pyvenv.cfg", None),
        (Kind.ENVIRONMENT, "bin/activate", "activation"),
        (Kind.ENVIRONMENT, "bin/Activate.ps1", "activation"),
        (Kind.ENVIRONMENT, "bin/activate_this.py", "activation"),
        (Kind.ENVIRONMENT, "bin/deactivate.bat", "activation"),
        (Kind.ENVIRONMENT, "bin/activated", None),
        (Kind.ENVIRONMENT, "bin/activate\n", None),
        (Kind.ENVIRONMENT, "bin/activate/evil", None),
        (Kind.ENVIRONMENT, "sbin/activate", None),
        (Kind.UNOWNED, "bin/activate", None),
        (Kind.UNOWNED, "sitecustomize.py", None),
        (Kind.BYTECODE, "anything", "bytecode"),
    ],
)
def test_rules_by_place(kind, path, rule):
    assert rule_for_path(kind, path) == rule


def test_a_hook_is_known_by_its_content_and_not_by_its_name():
    known = "69ac3d8f27e679c81b94ab30b3b56e9cd138219b1ba94a1fa3606d5a76a1433d"
    assert hashlib.sha256(b"import _virtualenv").hexdigest() == known
    assert is_venv_hook("lib/_virtualenv.pth", known)
    assert not is_venv_hook("lib/_virtualenv.pth", "00" * 32)
    assert not is_venv_hook("lib/other.pth", known)


@pytest.mark.parametrize(("executable", "mode", "other"), [(False, 0o644, 0o444), (True, 0o755, 0o555)])
def test_the_write_bit_does_not_count(executable, mode, other):
    entry = Entry("a", "f", mode, 1, "ab" * 32)
    assert counted(entry) == counted(replace(entry, mode=other)) == ("a", "f", executable, "ab" * 32)


def test_the_executable_bit_counts():
    assert parity_of((file("a", b"1", 0o755)[0],)) != parity_of((file("a", b"1", 0o644)[0],))


def test_a_link_counts_by_its_target():
    assert counted(link("a", "b")[0]) == ("a", "l", False, "b")
    assert parity_of((link("a", "b")[0],)) != parity_of((link("a", "c")[0],))
    assert parity_of((link("a", "b")[0],)) != parity_of((file("a", b"b")[0],))


def test_a_template_counts_by_what_goes_in_where():
    bare, at = file("a", b"1")[0], file("a", b"1", at=((0, "prefix"),))[0]
    assert (
        len(
            {
                parity_of((each,))
                for each in (bare, at, replace(at, at=((1, "prefix"),)), replace(at, at=((0, "base"),)))
            }
        )
        == 4
    )


def test_a_layer_of_which_nothing_counts_has_no_parity():
    assert parity_of((Entry("a", "d", 0o755), replace(file("b")[0], rule="record"))) is None
    assert parity_of(()) is None


def test_what_counts_in_the_root():
    layers = [built(file("a", b"1"), kind=Kind.DISTRIBUTION, name=name).layer for name in ("p", "q")]
    root = parity_root(INTERPRETER, ENVIRONMENT, layers)
    bytecode = built(file("a", b"1"), kind=Kind.BYTECODE, name="p").layer
    interpreter = built(file("a", b"1"), kind=Kind.INTERPRETER).layer
    nothing = replace(layers[0], name="r", parity=None)
    same = [
        parity_root(INTERPRETER, ENVIRONMENT, reversed(layers)),
        parity_root(INTERPRETER, ENVIRONMENT, [*layers, bytecode, interpreter, nothing]),
        parity_root(replace(INTERPRETER, captured=False, executable="bin/p", cache_tag="x"), ENVIRONMENT, layers),
        parity_root(INTERPRETER, replace(ENVIRONMENT, bytecode="kept", sources=(("x", ".envparity/src/x"),)), layers),
        parity_root(
            INTERPRETER, ENVIRONMENT, [replace(layer, tree=layer.diff_id, files=9, size=9) for layer in layers]
        ),
    ]
    assert set(same) == {root}
    other = [
        parity_root(INTERPRETER, ENVIRONMENT, layers[:1]),
        parity_root(INTERPRETER, ENVIRONMENT, [*layers, layers[0]]),
        parity_root(INTERPRETER, ENVIRONMENT, [layers[0], replace(layers[1], version="2.0")]),
        parity_root(INTERPRETER, ENVIRONMENT, [layers[0], replace(layers[1], name="z")]),
        parity_root(INTERPRETER, ENVIRONMENT, [layers[0], replace(layers[1], kind=Kind.UNOWNED)]),
        parity_root(INTERPRETER, ENVIRONMENT, [layers[0], replace(layers[1], parity=layers[0].diff_id)]),
        parity_root(INTERPRETER, replace(ENVIRONMENT, system_site_packages=True), layers),
        *(
            parity_root(replace(INTERPRETER, **{name: "other"}), ENVIRONMENT, layers)
            for name in ("implementation", "version", "soabi", "platform", "digest")
        ),
    ]
    assert len({*other, root}) == len(other) + 1
