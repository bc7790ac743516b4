"""What an environment takes from the system, on libraries that a compiler has just made, and against the loader itself."""

from __future__ import annotations

import itertools
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from snapshot.facts.libraries import may_be_elf, native
from snapshot.facts.model import PYTHON, Native

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc to make libraries")


class Lab:
    """An environment in `env` and a system's libraries in `system`."""

    def __init__(self, root):
        self.env, self.system = root / "env", root / "system"
        self.env.mkdir()
        self.system.mkdir()
        self.rows = []

    def make(self, path, *, needs=(), soname=None, rpath=None, runpath=None, owner="x", options=()):
        """A library that needs others, by path in the environment (or absolute, for the system)."""
        place = Path(path) if os.path.isabs(path) else self.env / path
        place.parent.mkdir(parents=True, exist_ok=True)
        # The linker only takes what exists: an empty library of that name stands for each that is needed.
        stubs = self.env.parent / "stubs"
        stubs.mkdir(exist_ok=True)
        for name in needs:
            self._link(stubs / name, f"-Wl,-soname,{name}")
        given = [f"-Wl,-soname,{soname}"] if soname else []
        given += [f"-Wl,--disable-new-dtags,-rpath,{rpath}"] if rpath else []
        given += [f"-Wl,--enable-new-dtags,-rpath,{runpath}"] if runpath else []
        self._link(place, "-Wl,--no-as-needed", *(str(stubs / name) for name in needs), *given, *options)
        if not os.path.isabs(path):
            self.rows.append((path, str(place), owner))
        return place

    @staticmethod
    def _link(place, *options):
        command = [
            "gcc",
            "-x",
            "c",
            "-",
            "-x",
            "none",
            "-o",
            str(place),
            "-shared",
            "-fPIC",
            "-nostdlib",
            "-Wl,--build-id",
            *options,
        ]
        subprocess.run(command, input=f"int x{abs(hash(str(place)))}(void) {{ return 1; }}\n", text=True, check=True)

    def native(self, **options):
        return native(self.rows, cache="", cpuinfo="", search=[str(self.system)], **options)

    def names(self, **options):
        return {
            library.soname: library.path.removeprefix(str(self.system) + "/")
            for library in self.native(**options).libraries
        }


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path)


@pytest.mark.parametrize("kind", ["rpath", "runpath"])
@pytest.mark.parametrize("origin", ["$ORIGIN", "${ORIGIN}"])
def test_what_a_search_path_finds_in_the_environment_is_its_own(lab, kind, origin):
    lab.make(f"{lab.system}/libdep.so.1")
    lab.make("lib/x.libs/libdep.so.1", owner="other")
    lab.make("lib/x/_ext.so", needs=["libdep.so.1"], **{kind: origin + "/../x.libs"})
    assert lab.names() == {}


def test_what_only_the_system_has(lab):
    made = lab.make(f"{lab.system}/libdep.so.1.2.3")
    (lab.system / "libdep.so.1").symlink_to(made.name)
    lab.make("lib/a.so", needs=["libdep.so.1"], owner="b")
    lab.make("lib/b.so", needs=["libdep.so.1"], owner="a")
    (library,) = lab.native().libraries
    assert (library.soname, library.path, library.version) == ("libdep.so.1", f"{lab.system}/libdep.so.1", "1.2.3")
    assert library.needed_by == ("a", "b")
    notes = subprocess.run(["readelf", "-n", made], capture_output=True, text=True, check=True).stdout
    assert f"Build ID: {library.build_id}" in notes


def test_what_nobody_has_has_no_path(lab):
    lab.make("lib/a.so", needs=["libgone.so.9"])
    (library,) = lab.native().libraries
    assert (library.soname, library.path, library.version, library.build_id) == ("libgone.so.9", "", "", "")


def test_what_the_systems_libraries_need_counts_too(lab):
    lab.make(f"{lab.system}/libinner.so.2")
    lab.make(f"{lab.system}/libouter.so.1", needs=["libinner.so.2", "libgone.so"])
    lab.make("lib/a.so", needs=["libouter.so.1"], owner="a")
    assert lab.names() == {"libouter.so.1": "libouter.so.1", "libinner.so.2": "libinner.so.2", "libgone.so": ""}
    assert {library.needed_by for library in lab.native().libraries} == {("a",)}


def test_libraries_that_need_each_other(lab):
    lab.make(f"{lab.system}/liba.so", needs=["libb.so"])
    lab.make(f"{lab.system}/libb.so", needs=["liba.so"])
    lab.make("lib/x.so", needs=["liba.so"])
    assert set(lab.names()) == {"liba.so", "libb.so"}


def test_a_sibling_of_the_same_distribution_was_loaded_before(lab):
    lab.make(f"{lab.system}/libdep.so.1")
    lab.make("lib/x/deep/core.so", soname="libdep.so.1", owner="x")
    lab.make("lib/x/_ext.so", needs=["libdep.so.1"], owner="x")
    assert lab.names() == {}


def test_another_distributions_library_counts_only_where_the_system_has_none(lab):
    lab.make("lib/other/libdep.so.1", owner="other")
    lab.make("lib/x/_ext.so", needs=["libdep.so.1"], owner="x")
    assert lab.names() == {}
    lab.make(f"{lab.system}/libdep.so.1")
    assert lab.names() == {"libdep.so.1": "libdep.so.1"}


def test_what_the_interpreter_has_loaded_is_there_for_every_module(lab):
    lab.make(f"{lab.system}/libpython3.11.so.1.0")
    lab.make("python/lib/libpython3.11.so.1.0", needs=["libssl.so.3"], rpath="$ORIGIN", owner=PYTHON)
    lab.make("python/lib/libssl.so.3", owner="someone")
    lab.make("python/bin/python3.11", needs=["libpython3.11.so.1.0"], runpath="$ORIGIN/../lib", owner=PYTHON)
    lab.make("lib/_ext.so", needs=["libpython3.11.so.1.0", "libssl.so.3"], owner="x")
    assert lab.names() == {}


def test_the_programs_rpath_serves_everything_but_what_has_a_runpath(lab):
    lab.make(f"{lab.system}/libdep.so.1")
    lab.make("lib/libdep.so.1", owner="dep")
    lab.make("bin/python3.11", rpath="$ORIGIN/../lib", owner=PYTHON)
    lab.make("lib/site/a.so", needs=["libdep.so.1"], owner="a")
    assert lab.names() == {}
    lab.make("lib/site/b.so", needs=["libdep.so.1"], owner="b", runpath="$ORIGIN/none")
    (library,) = lab.native().libraries
    assert library.needed_by == ("b",)


def test_a_search_path_that_leads_out(lab, tmp_path):
    opt = tmp_path / "opt"
    lab.make(f"{opt}/libdep.so.1.9")
    (opt / "libdep.so.1").symlink_to("libdep.so.1.9")
    lab.make(f"{lab.system}/libdep.so.1")
    lab.make("lib/a.so", needs=["libdep.so.1"], runpath=f"{opt}")
    (library,) = lab.native().libraries
    assert (library.path, library.version) == (f"{opt}/libdep.so.1", "1.9")


def test_ld_library_path_comes_before_runpath_and_after_rpath(lab, tmp_path):
    for name in ("variable", "path"):
        lab.make(f"{tmp_path}/{name}/libdep.so.1")
    lab.make("lib/a.so", needs=["libdep.so.1"], runpath=f"{tmp_path}/path")
    (library,) = lab.native(library_path=f":{tmp_path}/none:{tmp_path}/variable").libraries
    assert library.path == f"{tmp_path}/variable/libdep.so.1"
    lab.rows.clear()
    lab.make("lib/b.so", needs=["libdep.so.1"], rpath=f"{tmp_path}/path")
    (library,) = lab.native(library_path=f"{tmp_path}/variable").libraries
    assert library.path == f"{tmp_path}/path/libdep.so.1"


def test_a_link_in_the_environment_leads_to_its_own_library(lab):
    """As conda has them: the links are no rows, the file they lead to is."""
    lab.make(f"{lab.system}/libdep.so.1")
    lab.make("lib/libdep.so.1.0.0", owner="dep")
    (lab.env / "lib/libdep.so.1").symlink_to("libdep.so.1.0.0")
    (lab.env / "lib64").symlink_to("lib")
    lab.make("lib/a/a.so", needs=["libdep.so.1"], runpath="$ORIGIN/../../lib64")
    assert lab.names() == {}


def test_a_component_that_cannot_be_known_is_passed_over(lab):
    lab.make(f"{lab.system}/libdep.so.1")
    lab.make("lib/a.so", needs=["libdep.so.1"], runpath="$LIB:$ORIGIN/$PLATFORM:${LIB}/x:")
    assert lab.names() == {"libdep.so.1": "libdep.so.1"}


def test_files_for_another_machine_do_not_count(lab):
    lab.make(f"{lab.system}/libdep.so.1")
    lab.make("lib/a.so")
    lab.make("lib/b.so")
    foreign = lab.make("lib/attach_other.so", needs=["libdep.so.1"])
    data = bytearray(foreign.read_bytes())
    data[18] ^= 1  # e_machine
    foreign.write_bytes(data)
    assert lab.names() == {}


def test_the_order_of_the_files_does_not_matter(lab):
    lab.make(f"{lab.system}/libinner.so", needs=["libouter.so"])
    lab.make(f"{lab.system}/libouter.so", needs=["libinner.so", "libdep.so"])
    lab.make("lib/libdep.so", owner="b", needs=["libgone.so"])
    lab.make("lib/a.so", owner="a", needs=["libouter.so", "libdep.so"])
    foreign = lab.make("lib/foreign.so", owner="c", needs=["libforeign.so"])
    other = lab.make("lib/other.so", owner="c")
    for path in (foreign, other):  # as many files of one machine as of the other
        data = bytearray(path.read_bytes())
        data[18] ^= 1
        path.write_bytes(data)
    found = {lab.native()}
    for rows in itertools.permutations(lab.rows):
        lab.rows = list(rows)
        found.add(lab.native())
    assert len(found) == 1


def test_the_floor_is_the_newest_version_that_a_file_needs(lab):
    libc = f"{lab.system}/libc.so.6"
    for name, versions in (("old.so", ["2.2.5"]), ("new.so", ["2.9", "2.17"]), ("a.so", ["2.17"])):
        versioned(lab, libc, "lib/" + name, [f"GLIBC_{version}" for version in versions])
    found = lab.native()
    assert (found.floor, found.floor_by) == ("2.17", "lib/a.so")
    versioned(lab, libc, "lib/z.so", ["GLIBC_PRIVATE", "GLIBC_ABI_DT_RELR", "GLIBCXX_3.4.32"])
    assert (lab.native().floor, lab.native().floor_by) == ("2.36", "lib/z.so")


def versioned(lab, library, path, versions):
    """A library that needs one function of each version of another."""
    directory = lab.env.parent / "versions"
    directory.mkdir(exist_ok=True)
    names = {version: "f" + re.sub(r"\W", "_", version) for version in versions}
    script = directory / "script"
    script.write_text("".join(f"{version} {{ global: {name}; }};\n" for version, name in names.items()))
    source = "".join(f"int {name}(void) {{ return 1; }}\n" for name in names.values())
    common = ["gcc", "-x", "c", "-", "-x", "none", "-shared", "-fPIC", "-nostdlib"]
    command = [*common, "-o", library, "-Wl,-soname,libc.so.6", f"-Wl,--version-script={script}"]
    subprocess.run(command, input=source, text=True, check=True)
    calls = "".join(f"int {name}(void); int g{name}(void) {{ return {name}(); }}\n" for name in names.values())
    place = lab.env / path
    place.parent.mkdir(exist_ok=True)
    subprocess.run([*common, "-o", str(place), library], input=calls, text=True, check=True)
    lab.rows.append((path, str(place), "x"))


@pytest.mark.parametrize(
    ("path", "may"),
    [
        ("lib/a.so", True),
        ("lib/liba.so.1.2", True),
        ("bin/python3.11", True),
        ("lib/x/raylet", True),
        ("lib/x/a.py", False),
        ("lib/x.so.py", False),
        ("lib/a-1.dist-info/RECORD", False),
        ("lib/x/data.json", False),
    ],
)
def test_which_files_are_looked_at(path, may):
    assert may_be_elf(path) is may


def test_what_is_no_elf_file_is_passed_over(tmp_path):
    (tmp_path / "x.so").write_text("INPUT(-lm)\n")
    assert native([("lib/x.so", str(tmp_path / "x.so"), "x")]) == Native(())
    assert native([]) == Native(())


def test_a_file_that_is_gone_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        native([("lib/x.so", str(tmp_path / "x.so"), "x")])


LOADER = "/lib64/ld-linux-x86-64.so.2"


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not os.path.exists(LOADER), reason="needs glibc's loader on x86-64"
)
def test_the_loader_takes_the_same_libraries():
    """Of this interpreter's own modules, each listed by the loader itself."""
    directory = Path(sysconfig.get_path("stdlib")) / "lib-dynload"
    base = os.path.realpath(sys.base_prefix)
    program = os.path.realpath(os.path.join(base, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}"))
    rows = [("lib-dynload/" + path.name, str(path), PYTHON) for path in sorted(directory.glob("*.so"))]
    rows += [
        ("lib/" + path.name, str(path), PYTHON)
        for path in Path(base, "lib").glob("libpython*.so*")
        if not path.is_symlink()
    ]
    rows += [("bin/python3", program, PYTHON)]
    expected = set()
    for _, path, _ in rows:
        out = subprocess.run([LOADER, "--list", path], capture_output=True, text=True, check=True).stdout
        expected |= {os.path.realpath(found) for found in re.findall(r"(/\S+) \(0x", out)}
    libraries = native(rows).libraries
    assert len(libraries) > 2
    own = {os.path.realpath(path) for _, path, _ in rows}
    assert {os.path.realpath(library.path) for library in libraries} == expected - own
