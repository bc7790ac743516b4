"""Changes that do not matter: whatever installed it, wherever it lies, whatever is made anew from the rest."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from benchmarks.parity.catalogue import Catalogue

if TYPE_CHECKING:
    from benchmarks.parity.laboratory import Serving

HARMLESS = Catalogue()
harmless = HARMLESS.harmless


@harmless("restored", "restored elsewhere by envparity")
def _(serving: Serving) -> None:
    del serving


@harmless("moved", "restored at a much longer path")
def _(serving: Serving) -> None:
    shutil.rmtree(serving.root)
    serving.root = serving.root.with_name("x" * 120)
    shutil.rmtree(serving.root, ignore_errors=True)
    serving.laboratory.restore_to(serving.root)


@harmless("by-pip", "installed by pip, from the same wheels")
def _(serving: Serving) -> None:
    serving.laboratory.reinstall(serving, "pip")


@harmless("by-uv", "installed by uv into an environment that uv made")
def _(serving: Serving) -> None:
    serving.laboratory.reinstall(serving, "uv")


@harmless("venv-copies", "made with venv --copies")
def _(serving: Serving) -> None:
    serving.laboratory.reinstall(serving, "copies")


@harmless("recompiled", "all bytecode made anew")
def _(serving: Serving) -> None:
    serving.laboratory.run(
        serving.python, "-m", "compileall", "-q", "-f", serving.site / "click", serving.site / "numpy"
    )


@harmless("hash-based-bytecode", "bytecode of another kind (PEP 552)")
def _(serving: Serving) -> None:
    mode = ("--invalidation-mode", "checked-hash")
    serving.laboratory.run(serving.python, "-m", "compileall", "-q", "-f", *mode, serving.site / "click")


@harmless("no-bytecode", "all bytecode removed")
def _(serving: Serving) -> None:
    for path in serving.site.rglob("__pycache__"):
        shutil.rmtree(path)


@harmless("record-reordered", "RECORD of click from the last row to the first")
def _(serving: Serving) -> None:
    record = serving.metadata("click") / "RECORD"
    serving.write(record, "".join(sorted(record.read_text().splitlines(keepends=True), reverse=True)))


@harmless("record-line-ends", "RECORD of click with other line ends")
def _(serving: Serving) -> None:
    record = serving.metadata("click") / "RECORD"
    serving.write(record, "".join(f"{line}\r\n" for line in record.read_text().splitlines()))


@harmless("installer-named", "INSTALLER names another tool, REQUESTED is there")
def _(serving: Serving) -> None:
    serving.write(serving.metadata("click") / "INSTALLER", "conda\n")
    serving.write(serving.metadata("click") / "REQUESTED", "")


@harmless("file-times", "times of all files")
def _(serving: Serving) -> None:
    for path in serving.site.joinpath("click").rglob("*.py"):
        serving.write(path, path.read_bytes())
        os.utime(path, (1, 1))


@harmless("activate-edited", "bin/activate")
def _(serving: Serving) -> None:
    serving.append(serving.root / "bin" / "activate", "\n# changed\n")


@harmless("activate-removed", "all activate scripts")
def _(serving: Serving) -> None:
    for path in serving.root.glob("bin/[Aa]ctivate*"):
        path.unlink()


@harmless("tool-markers", ".gitignore, .lock and CACHEDIR.TAG")
def _(serving: Serving) -> None:
    serving.write(serving.root / ".gitignore", "*\n")
    serving.write(serving.root / ".lock", "")
    serving.write(serving.root / "CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n")


@harmless("direct-url", "click from a local archive, with equal files")
def _(serving: Serving) -> None:
    path = serving.metadata("click") / "direct_url.json"
    serving.write(path, '{"url":"file:///tmp/click-8.1.7-py3-none-any.whl","archive_info":{}}')


@harmless("group-and-others", "modes for group and others")
def _(serving: Serving) -> None:
    for path in serving.site.joinpath("click").rglob("*.py"):
        serving.write(path, path.read_bytes())
        path.chmod(0o600)


@harmless("read-only", "no permission to write")
def _(serving: Serving) -> None:
    for path in serving.site.joinpath("click").rglob("*.py"):
        serving.write(path, path.read_bytes())
        path.chmod(0o444)


@harmless("empty-directories", "an empty directory more")
def _(serving: Serving) -> None:
    serving.site.joinpath("click", "nothing").mkdir()


@harmless("prompt", "the prompt in pyvenv.cfg")
def _(serving: Serving) -> None:
    serving.append(serving.root / "pyvenv.cfg", "prompt = churn\n")


@harmless("scripts-of-uv", "bin/flask as uv writes it")
def _(serving: Serving) -> None:
    serving.install("--reinstall", "flask==3.0.3")
