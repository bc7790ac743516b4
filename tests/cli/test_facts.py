"""What `envparity inspect --facts` says."""

from __future__ import annotations

from registration.facts import print_facts
from snapshot.facts.model import (
    Build,
    DistributionFacts,
    Facts,
    Host,
    Measurement,
    Module,
    Native,
    Numeric,
    StartupHook,
    SystemLibrary,
    Variable,
    Variables,
)

FACTS = Facts(
    build=Build("main, May  9 2026", "GCC 12.2.0", ()),
    host=Host("x86_64", "glibc", "2.36", "debian 12", "6.1.0", "", "535.1"),
    distributions=(
        DistributionFacts("one", "1", "one.dist-info", modified=("one.py",)),
        DistributionFacts("b", "2", "b"),
    ),
    startup=(
        StartupHook("lib/a.pth", "pth", code=True, owner="one"),
        StartupHook("lib/b.pth", "pth", code=False, owner=""),
    ),
    search_path=("lib/python311.zip", "lib/python3.11", "lib/python3.11/lib-dynload", "lib/python3.11/site-packages"),
    modules=(
        Module("json", "json.py", "", hidden=("lib/python3.11/json/__init__.py",)),
        Module("one", "one.py", "one"),
    ),
    native=Native((SystemLibrary("libz.so.1", "/lib/libz.so.1", "1.2.13", "ab", ("python",)),), "2.34", "one.so"),
    variables=Variables(
        (
            Variable("A", "text", ""),
            Variable("B", "other", digest="ff"),
            Variable("C\x1b[2J", "other"),
            Variable("D", "n", "4"),
        )
    ),
    numeric=Numeric((("openblas", "kernel", "Haswell"),), (Measurement("dot", "blas", "f8", "00", ("0x0p+0",)),)),
)

SAID = """\
build         main, May  9 2026, GCC 12.2.0
machine       x86_64, glibc 2.36, debian 12, kernel 6.1.0
processor     -
gpu driver    535.1
metadata      of 2 distributions; edited or incomplete: 1
search path   lib/python311.zip, lib/python3.11, lib/python3.11/lib-dynload,
              lib/python3.11/site-packages
modules       2; 1 in place of another
native code   glibc 2.34 or newer, for one.so; libraries of the system: 1
numeric       a fingerprint of 1 measurement

start-up hook  of      runs code
lib/a.pth      one     yes
lib/b.pth      nobody  no

imported from  module  in place of
json.py        json    lib/python3.11/json/__init__.py

computes with  property  value
openblas       kernel    Haswell

library of the system  version  found at
libz.so.1              1.2.13   /lib/libz.so.1

variable  value
A         (empty)
B         a digest of it alone
C\\x1b[2J  not recorded: there was no key for a digest
D         4
"""


def said(capsys, facts):
    print_facts(facts)
    return "".join(line.rstrip() + "\n" for line in capsys.readouterr().out.splitlines())


def test_all_of_it(capsys):
    assert said(capsys, FACTS) == SAID


def test_what_was_not_recorded_is_named_and_makes_no_table(capsys):
    assert said(capsys, Facts()) == (
        "not recorded  build, host, distributions, startup, search_path, modules, native,\n"
        "              variables, numeric\n"
    )
