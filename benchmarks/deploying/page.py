"""The report that people read: docs/deploy-times.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.deploying.registrations import AGAIN, BYTES, SECONDS
from benchmarks.deploying.results import OURS
from benchmarks.figures import Summary, verdict
from benchmarks.reports.markdown import table
from benchmarks.reports.words import amount, bound_text, contents, judged_text, ratio_spread, spread, title
from registration.events import STEPS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.deploying.results import Findings
    from benchmarks.deploying.turns import Deployments
    from benchmarks.figures import Row

_DEPLOY = """\
One scikit-learn model (a random forest) is logged with MLflow, with the requirements that MLflow infers, and registered in a SQLite registry. Each contender \
makes a server of it in an empty directory. The clock runs from the start of its first command until `POST /invocations`, asked every 20 ms, has answered, \
with exactly the predictions that the model gave when it was trained; any other answer ends the benchmark. Then the server is stopped, with all of its processes.

Contenders take turns, after one round that does not count, each round beginning with another one. Before each run, whoever comes next: `sync`, then the page cache is told to drop the \
bytecode (`.pyc`, `posix_fadvise`) of the interpreter, of both environments and of our unpacked layers. All else is warm: archives, wheels, libraries, sources. \
What a run wrote is emptied after it, not removed: without a journal, ext4 is slow to create files for a minute after many were removed.

- *warm*: this node has unpacked the layers before. *cold*: it has not, and has an empty `--cache`; the store is on the same disk.
- *MLflow env_pack*: the tars that MLflow's packer made of the same environment and model, once and outside the clock. It leaves bytecode out, stores \
`lib` again as `lib64`, and has no interpreter: that of the training has to be there. Its scripts name the interpreter of the training, so `bin/uvicorn` would serve from there: \
`sed` corrects those lines, within the clock; nothing else is needed on the same machine. The model is the unpacked one, so nothing is asked of a registry.
- *uv pip install*: all versions given, from uv's warm cache, by hard links, `--offline`, without bytecode, as is uv's default.
- *mlflow --env-manager*: MLflow makes the environment itself, from the model's requirements, in a new `MLFLOW_ENV_ROOT`. Caches of uv and pip are warm; both ask the index. \
What is not pinned there pip takes as of today, uv as of the day of the environments.

`envparity` and the `mlflow` of `--env-manager` run in an environment of their own that has all of its bytecode; the other two start the `mlflow` of what they have just made. \
The ratio is the median of the ratios of each round. The bound applies to the fastest of the others.
"""

_REGISTER = """\
Each figure is one process that trains and logs the model first; the clock, that of the same process, runs during the call alone, with MLflow imported. `register_model` asks the index for hashes, \
locks, loads the model in a subprocess, captures, and creates the version. *Retrained* is another model from the same environment, in a store that has the one before; *unchanged* is \
the same model a second time, in the same process. MLflow's packer is `pack_env_for_databricks_model_serving(URI, enforce_pip_requirements=True, \
local_model_path=MODEL)`, called as `mlflow.register_model` calls it; its time has neither the download of the model nor the upload of the tars nor the version in it. Outside of Databricks it refuses to work: \
`DATABRICKS_RUNTIME_VERSION` is set after logging, and the `MLmodel` in its copy names the same.
"""

_BYTES = """\
*Moved* is what has to come to the node: all of the packed snapshot, interpreter included, or the tars; nothing where the layers are unpacked already. What uv and pip fetch is in their caches here and was not counted. \
*On disk* is what is below the destination after the first prediction, including bytecode that was written meanwhile, and the cache of cold; each file counts once, by however many names. \
Warm and uv share most of it with their caches, by links. *Memory* is the most that all processes of a command were seen to take until the answer, in the round that does not count, looked at \
every 5 ms, pages they share counted once.
"""


def page(findings: Findings) -> str:
    """The whole report."""
    parts = [
        "# How long a deployment takes",
        "Written by `python -m benchmarks.deploying --write-docs`, which measures it again. Do not edit.",
        f"**{conclusion(findings)}**",
        _bounds(findings.rows),
        "" if findings.quick else "![Seconds to the first prediction](deploy-times.svg)",
        "## What it ran on",
        _list(
            [*findings.machine.items(), *findings.versions.items(), ("measured on", findings.when), _rounds(findings)]
        ),
        _list((each.name, f"{contents([each])}; {each.recipe.about}") for each in findings.environments),
        f"Left out:\n\n{_list(findings.absent.items())}" if findings.absent else "",
        "## From deploy to the first prediction",
        _deployments(findings.deployments),
        _ratios([row for row in findings.rows if row.key.startswith("deploy")]),
        "The steps of ours, by its own account (medians; the rest is the start of Python, and polling):",
        _steps([each for each in findings.deployments if each.way.name in OURS]),
        _DEPLOY.strip(),
    ]
    if findings.registrations:
        parts += [
            "## Registration",
            _ratios([row for row in findings.rows if row.key.startswith("register")]),
            _registered(findings),
            _REGISTER.strip(),
        ]
    parts += ["## Bytes and memory", _sizes(findings.deployments), _BYTES.strip(), "## The commands"]
    parts += [_list((each.way.name, f"`{each.way.shown}`") for each in findings.deployments)]
    if findings.registrations:
        parts += [_list((name, f"`{taken.contender.shown}`") for name, taken in findings.registrations.items())]
    parts.append("" if findings.quick else "Every sample is in [deploy-times.json](deploy-times.json).")
    return "\n\n".join(part for part in parts if part) + "\n"


def conclusion(findings: Findings) -> str:
    """In one sentence."""
    judged, missed = [row for row in findings.rows if row.met is not None], findings.missed
    if not judged:
        return "Nothing that was measured has a bound."
    if not missed:
        return f"All {len(judged)} bounds are met."
    return f"{len(missed)} of {len(judged)} bounds MISSED: {'; '.join(map(title, missed))}."


def _rounds(findings: Findings) -> tuple[str, str]:
    few = [f"{each.way.rounds} of {each.way.name}" for each in findings.deployments if each.way.rounds]
    return "rounds", "; ".join([f"{findings.rounds}, after one that does not count", *few])


def _bounds(rows: Iterable[Row]) -> str:
    judged = sorted((row for row in rows if row.met is not None), key=lambda row: row.met is True)
    cells = [[verdict(row), title(row), judged_text(row), bound_text(row)] for row in judged]
    return table(["", "what", "ratio", "at most"], cells, (2, 3)) if cells else ""


def _deployments(deployments: Iterable[Deployments]) -> str:
    cells = [[each.way.name, spread(Summary.of(each.walls), "s"), str(len(each.walls))] for each in deployments]
    return table(["", "to the first prediction", "runs"], cells, (1, 2))


def _ratios(rows: Iterable[Row]) -> str:
    cells = [
        [
            row.what,
            spread(row.ours, "s"),
            row.contender,
            spread(row.theirs, "s") if row.theirs else "",
            ratio_spread(row.ratio, "s") if row.ratio else "",
            bound_text(row),
            verdict(row),
        ]
        for row in rows
    ]
    return table(["what", "ours", "contender", "theirs", "ratio", "bound", ""], cells, (1, 3, 4, 5))


def _steps(ours: Iterable[Deployments]) -> str:
    mine = list(ours)
    names = [name for name in STEPS if any(name in sample.figures for each in mine for sample in each.samples)]
    cells = [[each.way.name, *(amount(each.step(name).median, "s") for name in names)] for each in mine]
    return table(["", *names], cells, range(1, len(names) + 1))


def _registered(findings: Findings) -> str:
    cells = []
    for name, taken in findings.registrations.items():
        again, left = taken.figure(AGAIN), taken.figure(BYTES)
        cells.append(
            [
                name,
                spread(Summary.of(taken.figure(SECONDS)), "s"),
                spread(Summary.of(again), "s") if again else "",
                amount(Summary.of(left).median, "B") if left else "",
                amount(taken.together, "B") if taken.together else "",
            ]
        )
    return table(
        ["", "the call", "once more, unchanged", "bytes it added", "memory of the process"], cells, (1, 2, 3, 4)
    )


def _sizes(deployments: Iterable[Deployments]) -> str:
    cells = [
        [
            each.way.name,
            "" if each.way.moved is None else amount(each.way.moved, "B"),
            amount(each.bytes, "B"),
            f"{each.files:,}",
            amount(each.together, "B") if each.together else "",
        ]
        for each in deployments
    ]
    return table(["", "moved", "on disk", "files", "memory"], cells, (1, 2, 3, 4))


def _list(items: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- {name}: {text}" for name, text in items)
