"""Changes to files: edited, removed, added, linked elsewhere, and what runs at start."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from benchmarks.parity.catalogue import INTEGRITY, Catalogue
from diffing.verdict import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.parity.laboratory import Serving

FILES = Catalogue()
DRIFTED, COMPATIBLE = Verdict.DRIFTED, Verdict.COMPATIBLE
change = FILES.change


@change("module-edited", "one line of click/core.py", "file-modified", DRIFTED, INTEGRITY)
def _(serving: Serving) -> None:
    serving.append(serving.site / "click" / "core.py", "\n# changed\n")


@change("module-edited-same-size", "a digit of sklearn/linear_model/_logistic.py", "file-modified", DRIFTED, INTEGRITY)
def _(serving: Serving) -> None:
    serving.substitute(serving.site / "sklearn" / "linear_model" / "_logistic.py", "tol=1e-4", "tol=1e-3")


@change("module-edited-unreachable", "one line of flask/app.py", "file-modified", COMPATIBLE, INTEGRITY)
def _(serving: Serving) -> None:
    serving.append(serving.site / "flask" / "app.py", "\n# changed\n")


@change("module-and-record-edited", "click/core.py, and its row of RECORD", "file-changed", DRIFTED)
def _(serving: Serving) -> None:
    path = serving.site / "click" / "core.py"
    serving.append(path, "\n# changed\n")
    _true_record(serving, "click", path)


@change("module-removed", "packaging/metadata.py", "file-missing", DRIFTED, INTEGRITY)
def _(serving: Serving) -> None:
    (serving.site / "packaging" / "metadata.py").unlink()


@change("data-edited", "a data file of scipy", "file-modified", DRIFTED, INTEGRITY)
def _(serving: Serving) -> None:
    path = next(path for path in sorted((serving.site / "scipy").rglob("*.dat")) if path.stat().st_size)
    serving.append(path, "0\n")


@change("library-flipped", "one bit of an extension module of numpy", "file-modified", DRIFTED, INTEGRITY)
def _(serving: Serving) -> None:
    (path,) = serving.site.glob("numpy/_core/_multiarray_umath*.so")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    serving.write(path, bytes(data))


@change("bundled-library-replaced", "libgfortran in numpy.libs by another file", "file-modified", DRIFTED, INTEGRITY)
def _(serving: Serving) -> None:
    path = next(iter(sorted(serving.site.glob("numpy.libs/libgfortran*"))))
    serving.write(path, path.read_bytes() + b"\0")


@change("made-executable", "the mode of click/core.py", "file-mode", COMPATIBLE)
def _(serving: Serving) -> None:
    path = serving.site / "click" / "core.py"
    serving.write(path, path.read_bytes())
    path.chmod(0o755)


@change("file-became-link", "click/core.py moved aside and linked: equal content", "file-type", DRIFTED)
def _(serving: Serving) -> None:
    path = serving.site / "click" / "core.py"
    path.rename(serving.site / "click" / "moved.py")
    path.symlink_to("moved.py")


@change("unowned-module", "a json.py that nobody owns, behind the standard library's", "file-unowned", COMPATIBLE)
def _(serving: Serving) -> None:
    serving.write(serving.site / "json.py", "raise SystemExit\n")


@change(
    "unowned-in-package", "a file that nobody owns in a package that the model uses", "file-unowned-in-package", DRIFTED
)
def _(serving: Serving) -> None:
    serving.write(serving.site / "sklearn" / "linear_model" / "_extra.py", "x = 1\n")


@change("shadowing-package", "a package threadpoolctl/ before the module threadpoolctl.py", "module-shadowed", DRIFTED)
def _(serving: Serving) -> None:
    serving.write(serving.site / "threadpoolctl" / "__init__.py", "raise SystemExit\n")


@change("entry-points-edited", "entry_points.txt of flask", "entry-points", COMPATIBLE, INTEGRITY)
def _(serving: Serving) -> None:
    serving.substitute(serving.metadata("flask") / "entry_points.txt", "flask.cli:main", "flask.cli:other")


@change("script-edited", "a line of bin/flask that no installer writes", "file-modified", COMPATIBLE, INTEGRITY)
def _(serving: Serving) -> None:
    serving.append(serving.root / "bin" / "flask", "print('also this')\n")


@change("metadata-edited", "Requires-Dist of click", "file-modified", DRIFTED, INTEGRITY)
def _(serving: Serving) -> None:
    serving.append(serving.metadata("click") / "METADATA", "\nmore\n")


@change("startup-hook-added", "a .pth that runs code", "startup-added", DRIFTED, INTEGRITY)
def _(serving: Serving) -> None:
    serving.write(serving.site / "zz.pth", "import sys\n")


@change("startup-path-added", "a .pth that adds a directory", "startup-path", DRIFTED)
def _(serving: Serving) -> None:
    serving.write(serving.root / "more" / "placeholder.py", "x = 1\n")
    serving.write(serving.site / "more.pth", f"{serving.root}/more\n")


@change("startup-hook-edited", "distutils-precedence.pth of setuptools", "startup-changed", DRIFTED, INTEGRITY)
def _(serving: Serving) -> None:
    serving.append(serving.site / "distutils-precedence.pth", "import os\n")


@change("startup-hook-removed", "distutils-precedence.pth of setuptools", "startup-removed", DRIFTED, INTEGRITY)
def _(serving: Serving) -> None:
    (serving.site / "distutils-precedence.pth").unlink()


@change("sitecustomize", "a sitecustomize.py", "startup-added", DRIFTED, INTEGRITY)
def _(serving: Serving) -> None:
    serving.write(serving.site / "sitecustomize.py", "import random\nrandom.seed(1)\n")


@change("usercustomize", "a usercustomize.py in site-packages", "startup-added", DRIFTED, INTEGRITY)
def _(serving: Serving) -> None:
    serving.write(serving.site / "usercustomize.py", "x = 1\n")


@change("standard-library-edited", "json/decoder.py of the interpreter", "python-files", DRIFTED)
def _(serving: Serving) -> None:
    (path,) = (serving.root / ".envparity" / "python").glob("lib/python3*/json/decoder.py")
    serving.append(path, "\n# changed\n")


@change("system-packages-visible", "include-system-site-packages in pyvenv.cfg", "system-site-packages", DRIFTED)
def _(serving: Serving) -> None:
    serving.substitute(
        serving.root / "pyvenv.cfg", "include-system-site-packages = false", "include-system-site-packages = true"
    )


def _true_record(serving: Serving, name: str, path: Path) -> None:
    """Make the row of RECORD true of what the file holds now."""
    record = serving.metadata(name) / "RECORD"
    data = path.read_bytes()
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    own = path.relative_to(serving.site).as_posix()
    lines = [
        f"{own},sha256={digest},{len(data)}" if line.startswith(f"{own},") else line
        for line in record.read_text().splitlines()
    ]
    serving.write(record, "\n".join(lines) + "\n")
