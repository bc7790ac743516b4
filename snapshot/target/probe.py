"""Runs in the target interpreter (-I -S -B) and prints what it is, as JSON. Argument: the environment's prefix.

With -S nothing of the environment is imported: no .pth line runs. The price is that sys.prefix is the base's, so
the environment's own directories are computed from the prefix that is given.
"""

import _imp
import json
import os
import platform
import site
import sys
import sysconfig


def scheme():
    names = sysconfig.get_scheme_names()
    return "venv" if "venv" in names else "posix_prefix"


def site_dirs(prefix, name):
    paths = sysconfig.get_paths(name, vars={"base": prefix, "platbase": prefix})
    found = [paths["purelib"], paths["platlib"]] + site.getsitepackages([prefix])
    return [path for path in dict.fromkeys(found) if path.startswith(prefix) and os.path.isdir(path)]


def release():
    info = sys.version_info
    level = {"alpha": "a", "beta": "b", "candidate": "rc"}.get(info.releaselevel)
    return "%d.%d.%d" % info[:3] + ("%s%d" % (level, info.serial) if level else "")


def built_prefix():
    """The prefix that the interpreter was built for: its libraries name it still when the directory was moved."""
    try:
        return __import__(sysconfig._get_sysconfigdata_name()).build_time_vars.get("prefix") or ""
    except (AttributeError, ImportError):
        return ""


def settings():
    """How the interpreter was built, as far as programs can notice it. What a version does not know yet it does not have: 0."""
    config = sysconfig.get_config_var
    found = {
        "Py_DEBUG": int(hasattr(sys, "gettotalrefcount")),
        "Py_GIL_DISABLED": int(bool(config("Py_GIL_DISABLED"))),
        "Py_TRACE_REFS": int(hasattr(sys, "getobjects")),
        "WITH_PYMALLOC": int(bool(config("WITH_PYMALLOC"))),
        "Py_ENABLE_SHARED": int(bool(config("Py_ENABLE_SHARED"))),
        "abiflags": sys.abiflags,
        "byteorder": sys.byteorder,
        "digit_bits": sys.int_info.bits_per_digit,
        "hash": "%s/%d" % (sys.hash_info.algorithm, sys.hash_info.hash_bits),
        "maxunicode": sys.maxunicode,
        "pointer_bits": sys.maxsize.bit_length() + 1,
    }
    return ["%s=%s" % row for row in sorted(found.items())]


def main():
    prefix = sys.argv[1]
    base = sys.base_prefix
    minor = "%d.%d" % sys.version_info[:2]
    real = os.path.realpath(sys.executable)
    if not real.startswith(os.path.join(base, "")):
        real = os.path.join(base, "bin", "python" + minor)
    paths = sysconfig.get_paths(
        "posix_prefix", vars={"base": base, "platbase": base, "installed_base": base, "installed_platbase": base}
    )
    get = sysconfig.get_config_var
    built = built_prefix()
    libdirs = [path for path in (get("LIBDIR"), os.path.join(base, "lib")) if path]
    # In a directory that was moved, what lay below the old prefix lies below the new one.
    libdirs += [base + path[len(built) :] for path in libdirs if built and path.startswith(built + "/")]
    own = sysconfig.get_paths(scheme(), vars={"base": prefix, "platbase": prefix})
    print(
        json.dumps(
            {
                "implementation": platform.python_implementation(),
                "version": release(),
                "cache_tag": sys.implementation.cache_tag or "",
                "soabi": get("SOABI") or "",
                "platform": sysconfig.get_platform(),
                "magic": __import__("importlib.util").util.MAGIC_NUMBER.hex(),
                "base": base,
                "built": built,
                "executable": real,
                "stdlib": [paths["stdlib"], paths["platstdlib"]],
                "include": [paths["include"], paths["platinclude"]],
                "libraries": [name for name in (get("INSTSONAME"), get("LDLIBRARY"), "libpython3.so") if name],
                "libdir": libdirs,
                "scripts": own["scripts"],
                "site": site_dirs(prefix, scheme()),
                "base_site": site_dirs(base, "posix_prefix"),
                # Without site and in isolated mode these are the interpreter's own directories, in its order.
                "path": sys.path,
                "built_in": list(sys.builtin_module_names),
                "extensions": _imp.extension_suffixes(),
                "build": ", ".join(filter(None, platform.python_build())),
                "compiler": platform.python_compiler(),
                "settings": settings(),
            }
        )
    )


main()
