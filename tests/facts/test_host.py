"""What a machine says of itself, on machines made of files."""

from __future__ import annotations

import os
import platform

import pytest

from snapshot.facts.host import host

NVIDIA = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023\nGCC version:  gcc version 12\n"
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  560.35.03  Release Build  (dvs-builder@U16)\n"


@pytest.fixture
def machine(tmp_path):
    def write(path, content):
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)

    def ask(**options):
        return host(root=str(tmp_path), uname=("6.1.0", "x86_64"), **{"libc": ("glibc", "2.36"), **options})

    ask.write = write
    ask.path = tmp_path
    return ask


def test_this_machine():
    found = host()
    assert (found.machine, found.kernel) == (platform.machine(), platform.release())
    assert (found.libc, found.libc_version) == platform.libc_ver()
    assert found.system.split()[0] == platform.freedesktop_os_release()["ID"]


def test_a_machine_that_says_nothing(machine):
    found = machine()
    assert (found.machine, found.kernel, found.libc, found.libc_version) == ("x86_64", "6.1.0", "glibc", "2.36")
    assert (found.system, found.cpu, found.gpu_driver) == ("", "", "")


@pytest.mark.parametrize(
    ("text", "system"),
    [
        ('NAME="Debian"\nID=debian\nVERSION_ID="12"\n', "debian 12"),
        ("# ID=no\nID='rocky'\nVERSION_ID=9.4\n", "rocky 9.4"),
        ("ID=arch\n", "arch"),
        ('ID="unbalanced\n', '"unbalanced'),
    ],
)
def test_os_release(machine, text, system):
    machine.write("usr/lib/os-release", "ID=behind\n")
    assert machine().system == "behind"
    machine.write("etc/os-release", text)
    assert machine().system == system


@pytest.mark.parametrize(
    ("text", "cpu"),
    [
        ("processor\t: 0\nmodel name\t: AMD EPYC  7B13\n\nprocessor\t: 1\nmodel name\t: other\n", "AMD EPYC 7B13"),
        ("processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n", "implementer 0x41 part 0xd0c"),
        ("processor\t: 0\ncpu\t\t: POWER9\n", "POWER9"),
    ],
)
def test_processors(machine, text, cpu):
    machine.write("proc/cpuinfo", text)
    assert machine().cpu == cpu


def test_drivers(machine):
    (machine.path / "sys/module/amdgpu").mkdir(parents=True)
    assert machine().gpu_driver == "amdgpu"
    machine.write("sys/module/amdgpu/version", "6.3.6\n")
    assert machine().gpu_driver == "amdgpu 6.3.6"
    machine.write("proc/driver/nvidia/version", OPEN)
    assert machine().gpu_driver == "nvidia 560.35.03"
    machine.write("proc/driver/nvidia/version", NVIDIA)
    assert machine().gpu_driver == "nvidia 535.129.03"


def unknown(_name):
    raise ValueError("unrecognized configuration name")


def test_musl_by_its_loader(machine, monkeypatch):
    monkeypatch.setattr(os, "confstr", unknown)
    assert (machine(libc=None).libc, machine(libc=None).libc_version) == ("", "")
    machine.write(
        "lib/ld-musl-x86_64.so.1",
        "#!/bin/sh\nprintf 'musl libc (x86_64)\\nVersion 1.2.5\\nDynamic Program Loader\\n' >&2\nexit 1\n",
    )
    assert (machine(libc=None).libc, machine(libc=None).libc_version) == ("musl", "")  # it cannot be run
    (machine.path / "lib/ld-musl-x86_64.so.1").chmod(0o755)
    assert (machine(libc=None).libc, machine(libc=None).libc_version) == ("musl", "1.2.5")
