"""Ways from a registered model to a server that answers, and who is left out, by name and with the reason."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.deploying.serving import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from benchmarks.deploying.laboratory import Laboratory

WARM, COLD = "envparity serve, warm", "envparity serve, cold"
ENV_PACK = "MLflow env_pack"
UV_INSTALL = "uv pip install"
ENV_MANAGER = "mlflow --env-manager"
#: pip takes long and varies little.
PIP_ROUNDS = 2


def _nothing(_output: bytes) -> Mapping[str, float]:
    return {}


@dataclass(frozen=True, slots=True)
class Way:
    """A command that deploys the model to the fresh directory `place` and serves it at `port`.

    `command(place, port)` is what is run, `shown` the same for readers. `path` are directories that come first on PATH, `variables` further variables, both
    for a given place. `moved` are the bytes that have to come to the node, None where that is not known.
    `collect` makes figures of what it printed. `rounds`: it takes part in at most so many counted rounds, being slow.
    """

    name: str
    shown: str
    command: Callable[[Path, int], list[str]]
    path: Callable[[Path], Iterable[Path]]
    variables: Callable[[Path], Mapping[str, str]] = field(default=lambda _: {})
    collect: Callable[[bytes], Mapping[str, float]] = _nothing
    moved: int | None = None
    rounds: int | None = None

    def environ(self, base: Mapping[str, str], place: Path) -> dict[str, str]:
        """The variables of its command."""
        first = os.pathsep.join(map(os.fspath, self.path(place)))
        return {**base, "PATH": f"{first}{os.pathsep}{base.get('PATH', os.defpath)}", **self.variables(place)}


def ways(laboratory: Laboratory, cache: Path, *, quick: bool) -> tuple[list[Way], dict[str, str]]:
    """All that can take part, ours first, and the reasons of the others. `cache` is that of our warm deployments."""
    found = [_ours(laboratory, WARM, lambda _: cache)]
    if quick:
        return [*found, _uv(laboratory)], {}
    found.append(_ours(laboratory, COLD, lambda place: place / "cache"))
    found += [_env_pack(laboratory), _uv(laboratory)]
    absent = {}
    # uv takes the interpreter of that version that it finds on PATH, and would download one.
    interpreter = laboratory.training.python.resolve().parent
    found.append(_env_manager(laboratory, "uv", [Path(laboratory.tools.uv).parent, interpreter]))
    pyenv, reason = find_pyenv(laboratory.training.version, os.environ)
    if pyenv is None:
        absent[f"{ENV_MANAGER} virtualenv"] = reason
    else:
        found.append(_env_manager(laboratory, "virtualenv", [pyenv], PIP_ROUNDS))
    return found, absent


def _ours(laboratory: Laboratory, name: str, cache: Callable[[Path], Path]) -> Way:
    program = laboratory.node.prefix / "bin" / "envparity"

    def command(place: Path, port: int) -> list[str]:
        words = [program, "--store", laboratory.store, "--cache", cache(place), "serve", laboratory.uri]
        words += ["--port", str(port), "--host", HOST, "--dest", place / "env", "--json"]
        return list(map(os.fspath, words))

    shown = f"envparity serve {laboratory.uri} --port PORT --dest DEST"
    return Way(
        name,
        shown if name == WARM else shown.replace("serve", "--cache EMPTY serve", 1),
        command,
        lambda _: [program.parent],
        collect=steps,
        moved=0 if name == WARM else laboratory.packed,
    )


def steps(output: bytes) -> dict[str, float]:
    """The seconds of each step of ours, of those that took any."""
    document = json.loads(output)
    found: dict[str, float] = {}
    for event in document["events"]:
        if "seconds" in event:
            found[event["event"]] = found.get(event["event"], 0.0) + event["seconds"]
    return found


def _env_pack(laboratory: Laboratory) -> Way:
    """The tars as they are, unpacked; then what their user cannot do without: the scripts still name the interpreter of the training."""
    old = laboratory.training.prefix / "bin"

    def command(place: Path, port: int) -> list[str]:
        environment, model = place / "env", place / "model"
        lines = [
            "set -e",
            shlex.join(["mkdir", str(environment), str(model)]),
            shlex.join(
                [laboratory.tools.tar, "-C", str(environment), "-xf", f"{laboratory.tars}/model_environment.tar"]
            ),
            shlex.join([laboratory.tools.tar, "-C", str(model), "-xf", f"{laboratory.tars}/model_version.tar"]),
            # The first two lines: where a path is long, it is not in the first.
            (
                f"grep -lIF {shlex.quote(f'{old}/')} {shlex.quote(str(environment))}/bin/* "
                f"| xargs sed -i {shlex.quote(f'1,2s|{old}/|{environment}/bin/|')}"
            ),
            f"exec {shlex.join(_serve(environment / 'bin', str(model), port))}",
        ]
        return [laboratory.tools.sh, "-c", "\n".join(lines)]

    shown = (
        "mkdir ENV MODEL; tar -C ENV -xf model_environment.tar; tar -C MODEL -xf model_version.tar; "
        "sed -i '1,2s|OLD/bin/|ENV/bin/|' (scripts in ENV/bin); ENV/bin/mlflow models serve -m MODEL --env-manager local"
    )
    moved = sum((laboratory.tars / name).stat().st_size for name in ("model_environment.tar", "model_version.tar"))
    return Way(ENV_PACK, shown, command, lambda place: [place / "env" / "bin"], moved=moved)


def _uv(laboratory: Laboratory) -> Way:
    built = laboratory.training

    def command(place: Path, port: int) -> list[str]:
        environment = place / "env"
        uv = laboratory.tools.uv
        install = [
            uv,
            "pip",
            "install",
            "--python",
            environment / "bin" / "python",
            "--offline",
            "--link-mode",
            "hardlink",
        ]
        install += ["--no-compile-bytecode", *built.source, "-r", built.lock]
        lines = [
            "set -e",
            shlex.join(map(os.fspath, [uv, "venv", "--python", built.python.resolve(), environment])),
            shlex.join(map(os.fspath, install)),
            f"exec {shlex.join(_serve(environment / 'bin', laboratory.uri, port))}",
        ]
        return [laboratory.tools.sh, "-c", "\n".join(lines)]

    shown = (
        "uv venv ENV; uv pip install --offline --link-mode hardlink -r LOCK; "
        f"ENV/bin/mlflow models serve -m {laboratory.uri} --env-manager local"
    )
    return Way(UV_INSTALL, shown, command, lambda place: [place / "env" / "bin"])


def _env_manager(laboratory: Laboratory, manager: str, path: list[Path], rounds: int | None = None) -> Way:
    """MLflow's own: it makes the environment below MLFLOW_ENV_ROOT, from the model's requirements."""
    node = laboratory.node.prefix / "bin"
    return Way(
        f"{ENV_MANAGER} {manager}",
        f"mlflow models serve -m {laboratory.uri} --env-manager {manager} (MLFLOW_ENV_ROOT is new)",
        lambda _, port: _serve(node, laboratory.uri, port, manager),
        lambda _: [node, *path],
        # uv: the same day's index for everyone, so that its cache has all that it wants.
        lambda place: {
            "MLFLOW_ENV_ROOT": os.fspath(place / "env"),
            "UV_EXCLUDE_NEWER": laboratory.training.recipe.date,
            "UV_LINK_MODE": "hardlink",
        },
        rounds=rounds,
    )


def _serve(programs: Path, model: str, port: int, manager: str = "local") -> list[str]:
    words = [programs / "mlflow", "models", "serve", "-m", model, "-h", HOST, "-p", str(port), "--env-manager", manager]
    return list(map(os.fspath, words))


def find_pyenv(version: str, environ: Mapping[str, str]) -> tuple[Path | None, str]:
    """The directory of a pyenv that has this version of Python, which MLflow's virtualenv asks it for; or the reason why there is none."""
    root = Path(environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = shutil.which("pyenv", path=f"{environ.get('PATH', '')}{os.pathsep}{root / 'bin'}")
    if found is None:
        return None, "MLflow's virtualenv needs pyenv, which is not on PATH"
    if not (root / "versions" / version / "bin" / "python").exists():
        return None, f"pyenv has no Python {version}, and would build it from source; run: pyenv install {version}"
    return Path(found).parent, ""
