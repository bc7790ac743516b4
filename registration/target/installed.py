"""Runs in an environment's interpreter (-I -B) and prints, as JSON, what is installed where a restored environment would find it."""

import importlib.metadata
import json
import os
import platform
import sys


def release():
    info = sys.version_info
    level = {"alpha": "a", "beta": "b", "candidate": "rc"}.get(info.releaselevel)
    return "%d.%d.%d" % info[:3] + ("%s%d" % (level, info.serial) if level else "")


def markers():
    """The variables of PEP 508."""
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": release(),
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": release(),
        "python_version": "%d.%d" % sys.version_info[:2],
        "sys_platform": sys.platform,
    }


def distributions():
    """Name, version, requirements and direct_url.json of each, in the order of sys.path: the first of a name counts."""
    for found in importlib.metadata.distributions():
        try:
            name, version = found.metadata["Name"], found.version
        except KeyError:  # from 3.14 on a missing key raises
            continue
        if name and version:  # what an interrupted installation left behind has neither
            yield [name, version, found.requires or [], found.read_text("direct_url.json") or ""]


print(
    json.dumps(
        {
            "prefix": sys.prefix,
            "python_version": release(),
            "markers": markers(),
            "distributions": list(distributions()),
        }
    )
)
