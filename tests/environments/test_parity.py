"""Equal roots mean the same environment, wherever it lies and whatever installed it."""

from __future__ import annotations

import glob
import os
import sys

import pytest

import snapshot
from snapshot.parity import counted

pytestmark = pytest.mark.environments


def rows(described):
    """Everything that counts, by layer, so that a failure names the files."""
    layers = {(str(layer.kind), layer.name, layer.version): layer for layer in described.snapshot.layers}
    return {
        (*key, row[0]): row[1:]
        for key, layer in layers.items()
        if key[0] != "bytecode"
        for row in map(counted, described.trees[layer.tree])
        if row is not None
    }


def diff_ids(reference, store):
    layers = snapshot.load(reference, store).snapshot.layers
    return {(layer.name, layer.version): layer.diff_id for layer in layers if layer.kind == "distribution"}


@pytest.fixture(scope="module")
def by_pip(lab, root, pins):
    made = lab.venv(root / "parity" / "pip", "--without-pip")
    lab.pip_install(made, "--no-deps", *pins)
    return made


@pytest.fixture(scope="module")
def expected(by_pip):
    return snapshot.describe(by_pip)


@pytest.fixture
def elsewhere(root, request):
    return root / "parity" / "another-place" / request.node.name.replace("[", "-").strip("]")


def assert_same(made, expected):
    found = snapshot.describe(made)
    assert rows(found) == rows(expected)
    assert found.snapshot.parity_root == expected.snapshot.parity_root


def test_uv(lab, pins, expected, elsewhere):
    made = lab.uv_venv(elsewhere)
    lab.uv_install(made, "--no-deps", *pins)
    assert_same(made, expected)


def test_uv_with_copies_and_bytecode(lab, pins, expected, elsewhere):
    made = lab.uv_venv(elsewhere, "--prompt", "other")
    lab.uv_install(made, "--no-deps", "--compile-bytecode", "--link-mode", "copy", *pins)
    assert_same(made, expected)


def test_virtualenv(lab, pins, expected, elsewhere):
    made = lab.virtualenv(elsewhere, "--no-seed")
    lab.pip_install(made, "--no-deps", "--no-compile", *pins)
    assert_same(made, expected)


def test_venv_with_copies(lab, pins, expected, elsewhere):
    made = lab.venv(elsewhere, "--without-pip", "--copies")
    lab.pip_install(made, "--no-deps", "--no-compile", *pins)
    assert_same(made, expected)


def test_a_venv_named_after_the_minor_version(lab, by_pip, pins, expected, elsewhere):
    """The names in bin depend on how the interpreter was called: `python3 -m venv` makes other links than `python3.11`."""
    name = "python3"
    lab.run(os.path.join(lab.default().base, "bin", name), "-m", "venv", "--without-pip", elsewhere)
    made = lab.Made(elsewhere, by_pip.base)
    lab.pip_install(made, "--no-deps", "--no-compile", *pins)
    assert_same(made, expected)


def test_installer(lab, pins, expected, elsewhere, tmp_path):
    """`installer` puts headers elsewhere than pip and uv (include/pythonX.Y instead of include/site/pythonX.Y)."""
    home = os.path.dirname(os.path.dirname(pytest.importorskip("installer").__file__))
    made = lab.venv(elsewhere, "--without-pip")
    lab.run(sys.executable, "-m", "pip", "--python", made.python, "download", "-q", "--no-deps", "-d", tmp_path, *pins)
    for wheel in glob.glob(f"{tmp_path}/*.whl"):
        lab.run(made.python, "-m", "installer", wheel, env={**lab.clean(), "PYTHONPATH": home})
    found, wanted = rows(snapshot.describe(made)), rows(expected)
    moved = found.keys() ^ wanted.keys()
    assert {key[1] for key in moved} == {"greenlet"}
    assert all(key[3].startswith("include/") for key in moved)
    assert {key: found[key] for key in found.keys() - moved} == {key: wanted[key] for key in wanted.keys() - moved}


def test_a_place_that_is_too_long_for_first_lines(lab, root, elsewhere):
    """Of the interpreter's own scripts and of anybody's too, wherever they lie: restored, they begin with a trampoline."""
    made = lab.venv(elsewhere)
    made.write("tools/run", f"#!{made.python}\nprint(1)\n", 0o755)
    store = snapshot.Store(root / "long-store")
    captured = snapshot.capture(made, store, name="x")
    longer = root / ("long" * 40) / "env"
    snapshot.restore("x", longer, store)
    assert (longer / "tools" / "run").read_text().startswith("#!/bin/sh\n")
    assert snapshot.describe(longer).snapshot.parity_root == captured.parity_root
    assert snapshot.capture(longer, store).snapshot == captured.snapshot


def test_capture_of_a_restore_adds_no_distribution_layer(lab, root, reference, captured, store):
    back = lab.restored(store, "reference", root / "again", reference)
    again = snapshot.capture(back, store, name="again")
    assert again.parity_root == captured.parity_root
    assert again.snapshot == captured.snapshot
    assert diff_ids("again", store) == diff_ids("reference", store)
    assert again.added_bytes < 100_000

    # A second time round, from another place, with bytecode that imports have written meanwhile.
    back.run("-c", "import flask, sklearn.ensemble")
    third = lab.restored(store, "again", root / "third", reference)
    assert snapshot.capture(third, store).snapshot == captured.snapshot


@pytest.mark.parametrize("change", ["version", "edit", "added", "interpreter"])
def test_what_is_different_counts(lab, by_pip, expected, root, change):
    """The root must not be equal by being blind."""
    made = lab.venv(
        root / "parity" / f"changed-{change}",
        "--without-pip",
        python=lab.interpreter("3.12" if lab.default() is not lab.interpreter("3.12") else "3.13")
        if change == "interpreter"
        else None,
    )
    lab.pip_install(made, "--no-deps", "idna==3.6" if change == "version" else "idna==3.7")
    before = lab.venv(root / "parity" / f"before-{change}", "--without-pip")
    lab.pip_install(before, "--no-deps", "idna==3.7")
    if change == "edit":
        with open(os.path.join(made.site, "idna", "core.py"), "a") as file:
            file.write("# edited\n")
    elif change == "added":
        made.write(os.path.join(made.site, "extra.pth"), "import os\n")
    assert snapshot.describe(made).snapshot.parity_root != snapshot.describe(before).snapshot.parity_root


SCRIPTED = {
    "setup.py": "from setuptools import setup\n"
    "setup(name='scripted', version='1.0', py_modules=['scripted'], scripts=['tool', 'shell-tool'],\n"
    "      data_files=[('share/scripted', ['data.txt']), ('etc/scripted', ['data.txt'])],\n"
    "      entry_points={'console_scripts': ['entry=scripted:Main.run', 'entry-two = scripted:main'],\n"
    "                    'gui_scripts': ['window=scripted:main']})\n",
    "scripted.py": "class Main:\n    run = staticmethod(lambda: print('ran'))\n\n\nmain = Main.run\n",
    "tool": "#!/usr/bin/env python\nimport scripted\nscripted.main()\n",
    "shell-tool": "#!/bin/sh\necho shell\n",
    "data.txt": "data\n",
}


@pytest.fixture(scope="module")
def wheel(root, lab):
    """A wheel with scripts that are files, entry points, and data."""
    source = root / "parity" / "scripted"
    source.mkdir(parents=True, exist_ok=True)
    for name, content in SCRIPTED.items():
        (source / name).write_text(content)
    builder = lab.venv(root / "parity" / "builder")
    builder.pip("install", "-q", "setuptools", "wheel")
    builder.pip("wheel", "-q", "--no-deps", "--no-build-isolation", "-w", root / "parity", source)
    (built,) = glob.glob(f"{root}/parity/scripted-*.whl")
    return built


@pytest.mark.parametrize("where", ["short", "n" * 130, "sp ace", "over 255/" + "x" * 250], ids=lambda text: text[:6])
@pytest.mark.parametrize("tool", ["pip", "uv", "installer"])
def test_every_form_of_a_script(lab, root, store, wheel, tool, where):
    """A long or odd path makes installers write another form of script; it is the same script."""
    directory = root / "parity" / "scripts" / tool / where
    made = lab.uv_venv(directory) if tool == "uv" else lab.venv(directory, "--without-pip")
    if tool == "pip":
        lab.pip_install(made, wheel)
    elif tool == "uv":
        lab.uv_install(made, wheel)
    else:
        home = os.path.dirname(os.path.dirname(pytest.importorskip("installer").__file__))
        made.run("-m", "installer", wheel, env={**lab.clean(), "PYTHONPATH": home})
    captured = snapshot.capture(made, store, interpreter=False)
    first = store_first(store, captured)
    assert rows(snapshot.load(captured.snapshot, store)) == rows(snapshot.load(first, store))
    back = lab.restored(store, captured.snapshot, root / "parity" / "scripts-back" / tool / where[:9], made)
    for name in ("tool", "entry", "entry-two", "window"):
        assert lab.run(back.at("bin", name), hide=(directory,)).stdout == "ran\n"
    assert lab.run(back.at("bin", "shell-tool")).stdout == "shell\n"
    assert not lab.untrue_rows(back)


def test_scripts_of_a_relocatable_environment(lab, root, store, wheel):
    """`uv venv --relocatable`: entry points find Python by themselves. They are the same, and stay as they are."""
    made = lab.uv_venv(root / "parity" / "relocatable", "--relocatable")
    lab.uv_install(made, wheel)
    fixed = lab.uv_venv(root / "parity" / "fixed")
    lab.uv_install(fixed, wheel)
    captured = snapshot.capture(made, store, interpreter=False)
    assert captured.findings == ()
    found, wanted = rows(snapshot.load(captured.snapshot, store)), rows(snapshot.describe(fixed))
    # A script that is no entry point counts by its bytes.
    assert {key[3] for key in found if found[key] != wanted[key]} == {"bin/tool"}
    back = lab.restored(store, captured.snapshot, root / "parity" / "relocatable-back", made)
    for name in ("tool", "entry"):
        with open(back.at("bin", name)) as script, open(made.at("bin", name)) as original:
            assert script.read() == original.read()
        assert lab.run(back.at("bin", name), hide=(made.path,)).stdout == "ran\n"


_FIRST = {}


def store_first(store, captured):
    """The snapshot of the first of these environments: all others are compared with it."""
    return _FIRST.setdefault(id(store), captured.snapshot)
