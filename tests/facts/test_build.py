"""How this interpreter was built, as the probe says it, against the interpreter itself."""

from __future__ import annotations

import platform
import sys
import sysconfig
from dataclasses import replace

from snapshot.facts.build import build
from snapshot.interpreter import run_probe


def test_what_the_probe_says_of_this_interpreter():
    found = build(run_probe(sys.executable, sys.prefix))
    assert found is not None
    assert found.build == ", ".join(platform.python_build())
    assert found.compiler == platform.python_compiler()
    settings = dict(found.settings)
    assert list(settings) == sorted(settings)
    assert settings["Py_DEBUG"] == str(int(bool(sysconfig.get_config_var("Py_DEBUG"))))
    assert settings["Py_GIL_DISABLED"] == str(int(bool(sysconfig.get_config_var("Py_GIL_DISABLED"))))
    assert settings["WITH_PYMALLOC"] == str(sysconfig.get_config_var("WITH_PYMALLOC"))
    assert settings["hash"] == f"{sys.hash_info.algorithm}/{sys.hash_info.hash_bits}"
    assert settings["digit_bits"] == str(sys.int_info.bits_per_digit)
    assert (settings["abiflags"], settings["byteorder"]) == (sys.abiflags, sys.byteorder)
    assert (settings["maxunicode"], settings["pointer_bits"]) == ("1114111", str(sys.maxsize.bit_length() + 1))


def test_an_interpreter_that_said_nothing():
    assert build(replace(run_probe(sys.executable, sys.prefix), settings=())) is None
