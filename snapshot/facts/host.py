"""The machine: its C library, operating system, kernel, processor and the driver of its accelerator."""

from __future__ import annotations

import glob
import os
import re
import shlex
import subprocess

from snapshot.facts.model import Host

#: Where os-release(5) lies; the first that is there counts.
_RELEASES = ("etc/os-release", "usr/lib/os-release")
_NVIDIA = re.compile(r"Kernel Module(?: for \S+)?\s+(\S+)")
_MUSL_SECONDS = 5.0


def host(*, root: str = "/", uname: tuple[str, str] | None = None, libc: tuple[str, str] | None = None) -> Host:
    """What this machine is.

    For tests: `root` is the directory that stands for `/`, `uname` kernel release and machine, `libc` name and version. What a
    machine does not tell is an empty text.
    """
    system = os.uname()
    kernel, machine = uname or (system.release, system.machine)
    name, version = libc or _libc(root)
    return Host(
        machine=machine,
        libc=name,
        libc_version=version,
        system=_system(root),
        kernel=kernel,
        cpu=_cpu(root),
        gpu_driver=_gpu_driver(root),
    )


def _read(root: str, path: str) -> str:
    try:
        with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:  # not there, or a container does not show it
        return ""


def _libc(root: str) -> tuple[str, str]:
    try:
        text = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):  # musl does not know the name
        text = ""
    name, _, version = text.partition(" ")
    if name == "glibc":
        return "glibc", version
    for path in sorted(glob.glob(os.path.join(glob.escape(root), "lib/ld-musl-*.so.1"))):
        return "musl", _musl_version(path)
    return "", ""


def _musl_version(loader: str) -> str:
    """What musl's loader says when it is run without a program; there is no other way to ask."""
    try:
        done = subprocess.run(
            [loader], stdin=subprocess.DEVNULL, capture_output=True, timeout=_MUSL_SECONDS, check=False, env={}
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(rb"^Version (\S+)", done.stderr, re.MULTILINE)
    return found[1].decode("ascii", "replace") if found else ""


def _system(root: str) -> str:
    text = next(filter(None, (_read(root, path) for path in _RELEASES)), "")
    rows = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return " ".join(filter(None, (_unquoted(rows.get(name, "")) for name in ("ID", "VERSION_ID"))))


def _unquoted(value: str) -> str:
    """A value of os-release, which is written for shells."""
    try:
        return "".join(shlex.split(value))
    except ValueError:
        return value.strip()


def _cpu(root: str) -> str:
    """The processor's name; on ARM, where Linux tells none, its implementer and part."""
    rows: dict[str, str] = {}
    for line in _read(root, "proc/cpuinfo").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            rows.setdefault(name.strip(), " ".join(value.split()))
    if rows.get("model name"):
        return rows["model name"]
    if "CPU part" in rows:
        return f"implementer {rows.get('CPU implementer', '?')} part {rows['CPU part']}"
    return rows.get("cpu", "")


def _gpu_driver(root: str) -> str:
    found = _NVIDIA.search(_read(root, "proc/driver/nvidia/version"))
    if found:
        return f"nvidia {found[1]}"
    amd = _read(root, "sys/module/amdgpu/version").strip()
    if amd:
        return f"amdgpu {amd}"
    # Without a version of its own the driver is the kernel's.
    return "amdgpu" if os.path.isdir(os.path.join(root, "sys/module/amdgpu")) else ""
