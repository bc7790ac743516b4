"""A restored environment starts, imports, lists, installs and builds, wherever it lies, with its originals gone."""

from __future__ import annotations

import os

import pytest

import snapshot

pytestmark = pytest.mark.environments

IMPORTS = "import ssl, sqlite3, ctypes, lzma, numpy, sklearn, yaml, greenlet, sys; print(sys.prefix, sys.base_prefix)"


PLACES = {
    "shorter": "s",
    "longer": "r" * 60,
    "over 127": "o" * 127,
    "over 255": "x" * 120 + "/" + "y" * 120 + "/z",
    "space": "with a space",
}


@pytest.fixture(scope="module", params=sorted(PLACES))
def place(request, lab, root, reference, captured, store):
    made = lab.restored(store, "reference", root / PLACES[request.param], reference)
    made.hide = (root / "live", reference.base)
    made.name = request.param
    return made


def test_it_imports(place):
    said = place.run("-c", IMPORTS, hide=place.hide).stdout
    assert said.split("\n")[0] == f"{place.path} {place.path}/.envparity/python"


def test_console_scripts_start(place, lab):
    assert "Werkzeug" in lab.run(place.at("bin", "flask"), "--version", hide=place.hide).out
    assert "sage" in lab.run(place.at("bin", "huey_consumer"), "--help", hide=place.hide).out


def test_pip_lists_the_same(place, reference):
    assert (
        place.pip("list", "--format", "freeze", hide=place.hide).stdout
        == reference.pip("list", "--format", "freeze").stdout
    )
    place.pip("check", hide=place.hide)


def test_every_row_of_record_is_true(place, lab):
    assert not lab.untrue_rows(place, hide=place.hide)


def test_it_verifies(place, store):
    verified = snapshot.verify(place.path, store)
    assert verified.ok, verified.problems[:5]
    assert verified.files > 1000


def test_packages_come_and_go(lab, root, reference, captured, store):
    made = lab.restored(store, "reference", root / "changing", reference)
    hide = (root / "live", reference.base)
    made.pip("install", "-q", "cowsay", hide=hide)
    assert "moo" in lab.run(made.at("bin", "cowsay"), "-t", "moo", hide=hide).out

    assert os.path.exists(made.at("bin", "flask"))
    said = made.pip("uninstall", "-y", "flask", "huey", "greenlet", hide=hide)
    assert "WARNING" not in said.out
    left = [name for name in os.listdir(made.at("bin")) if "flask" in name or "huey" in name]
    left += [name for name in os.listdir(made.site) if name.startswith(("flask", "huey", "greenlet"))]
    assert not left
    assert not [name for _, _, names in os.walk(made.at("include")) for name in names]


EXTENSION = {
    "setup.py": "from setuptools import setup, Extension\n"
    "setup(name='tinyext', version='1.0', ext_modules=[Extension('tinyext', ['tinyext.c'])])\n",
    "tinyext.c": "#include <Python.h>\n"
    "#include <greenlet/greenlet.h>\n"
    "static PyObject *answer(PyObject *self, PyObject *none) { return PyLong_FromLong(42); }\n"
    'static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {0}};\n'
    'static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "tinyext", "", -1, methods};\n'
    "PyMODINIT_FUNC PyInit_tinyext(void) { return PyModule_Create(&module); }\n",
}


def extension(lab, made, source, **options):
    """Build and install a C extension in `made`; the installed file."""
    for name, content in EXTENSION.items():
        (source / name).write_text(content)
    (include,) = (os.path.dirname(path) for path, _, names in os.walk(made.at("include")) if "greenlet.h" in names)
    environment = {**lab.clean(), "CFLAGS": f"-I{include}"}
    made.pip("install", "-q", "--no-build-isolation", "--no-deps", source, env=environment, **options)
    assert made.run("-c", "import tinyext; print(tinyext.answer())").stdout == "42\n"
    return made.run("-c", "import tinyext; print(tinyext.__file__)").stdout.strip()


def content(path):
    with open(path, "rb") as file:
        return file.read()


def test_a_c_extension_can_be_built(lab, root, reference, captured, store, tmp_path):
    """The build settings of the interpreter (flags, headers, linker paths) must name the new place."""
    lab.run("cc", "--version")
    made = lab.restored(store, "reference", root / "building", reference)
    built = extension(lab, made, tmp_path, hide=(root / "live", reference.base))
    assert reference.base.encode() not in content(built)


def test_an_extension_that_was_built_in_it(lab, root, reference, captured, store, tmp_path):
    """Such a library has the base in its RPATH: relative from now on, and RECORD knows."""
    made = lab.restored(store, "reference", root / "live" / "builds", reference)
    built = extension(lab, made, tmp_path)
    rpath = made.at(".envparity", "python", "lib").encode() + b"\0"
    if rpath not in content(built):
        pytest.skip("this interpreter's build settings have no RPATH")
    first = snapshot.capture(made, store, name="built")
    assert first.findings == ()
    back = lab.restored(store, "built", root / "built", reference)
    inside = os.path.relpath(built, made.path)
    assert rpath not in content(back.at(inside))
    assert b"$ORIGIN/../../../.envparity/python/lib" in content(back.at(inside))
    hide = (root / "live", reference.base)
    assert back.run("-c", "import tinyext; print(tinyext.answer())", hide=hide).stdout == "42\n"
    assert not lab.untrue_rows(back, hide=hide)
    assert snapshot.capture(back, store).parity_root == first.parity_root
    bare = snapshot.capture(made, store, interpreter=False)
    assert bare.parity_root == first.parity_root


def test_an_environment_that_was_made_under_another_name(lab, root, store):
    """In a directory behind a link: its scripts have that name, and a relative path to it is resolved to the other."""
    home = root / "home-of-it"
    disk = root / "disk-of-it"
    disk.mkdir()
    home.symlink_to(disk)
    made = lab.venv(home / "env", "--without-pip")
    lab.pip_install(made, "cowsay<6.2")
    by_link = snapshot.capture(made, store, interpreter=False)
    real = snapshot.capture(disk / "env", store, name="made", interpreter=False)
    assert real.findings == by_link.findings
    assert real.snapshot == by_link.snapshot
    back = lab.restored(store, "made", root / "made-again", made)
    for name in ("cowsay", "activate"):
        with open(back.at("bin", name)) as file:
            assert str(home) not in file.read()
    assert "moo" in lab.run(back.at("bin", "cowsay"), "-t", "moo", hide=(disk,)).out


def test_a_prefix_with_two_names(lab, root, reference, captured, store):
    """The same environment through a link to it."""
    link = root / "live" / "by-link"
    os.symlink(reference.path, link)
    again = snapshot.capture(link, store)
    assert again.snapshot == captured.snapshot
    assert again.findings == captured.findings
