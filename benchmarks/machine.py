"""What the figures were measured on, and with which versions."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.tools import Rivals, Tools


def describe_machine(work: Path) -> dict[str, str]:
    """Processor, memory, file system of `work`, kernel, and how busy the machine is now."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": _processor(Path("/proc/cpuinfo").read_text(encoding="utf-8")),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{pages / 2**30:.0f} GiB",
        "file system": file_system(work, Path("/proc/self/mountinfo").read_text(encoding="utf-8")),
        "kernel": f"{platform.system()} {platform.release()}",
        "load at the start": f"{os.getloadavg()[0]:.2f}",
    }


def _processor(cpuinfo: str) -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found[1] if found else platform.machine()


def file_system(path: Path, mountinfo: str) -> str:
    """The type of the file system that `path` is on (proc(5), mountinfo)."""
    real = os.path.realpath(path)
    best, kind = "", "unknown"
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        point = before.split()[4].replace("\\040", " ")
        inside = point in {"/", real} or real.startswith(f"{point}/")
        # The last of equal ones lies on top.
        if inside and len(point) >= len(best):
            best, kind = point, after.split()[0]
    return kind


def describe_versions(tools: Tools, rivals: Rivals | None, python: str) -> dict[str, str]:
    """Of everything that takes part. `python` is that of the environments."""
    return {
        "envparity": version("envparity"),
        "Python of the environments": python,
        "Python that runs envparity": platform.python_version(),
        "python-zstandard": version("zstandard"),
        # From 3.14 on it is Python's own.
        **({"backports.zstd": version("backports.zstd")} if sys.version_info < (3, 14) else {}),
        "uv": _first_number(tools.uv),
        "zstd": _first_number(tools.zstd),
        "tar": _first_number(tools.tar),
        "cp": _first_number(tools.cp),
        **{name: _first_number(program) for name, program in (rivals.found.items() if rivals else ())},
    }


def _first_number(program: str) -> str:
    # restic has a command where others have an option.
    asked = [program, "version"] if program.endswith("/restic") else [program, "--version"]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    found = re.search(r"\d+(\.\d+)+", said)
    return found[0] if found else said.splitlines()[0]
