"""`python -m benchmarks.deploying`: from a registered model to its first prediction, and registering it. Exit codes: 0 all bounds met, 1 one missed, 2 an error.

python -m benchmarks.deploying [--quick] [--rounds N] [--work DIR] [--write-docs] [--json FILE]

It takes no part in `python -m benchmarks --quick`: two environments with MLflow, a training, a registration and two deployments of each contender are
more than a minute on two cores, most of it MLflow's.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from benchmarks.deploying.contenders import ways
from benchmarks.deploying.laboratory import build, prepare
from benchmarks.deploying.page import page
from benchmarks.deploying.plot import plot
from benchmarks.deploying.registrations import registrations
from benchmarks.deploying.results import GOALS, Findings, document
from benchmarks.deploying.turns import Turns
from benchmarks.environments import choose_cache, variables
from benchmarks.errors import BenchmarkError
from benchmarks.machine import describe_machine, describe_versions
from benchmarks.measuring import Runner
from benchmarks.running import say
from benchmarks.settling import PAUSE, Settling
from benchmarks.tools import Tools

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
#: Bytes that a run needs: the tars, the store, the unpacked layers, and one environment at a time; what a deployment wrote is emptied after it.
SPACE = 5_000_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.write_docs and chosen.quick:
        parser.error("--write-docs needs all contenders; leave out --quick, or use --json FILE")
    rounds = (1 if chosen.quick else 5) if chosen.rounds is None else chosen.rounds
    if rounds < 1:
        parser.error("--rounds must be at least 1")
    work = (chosen.work or Path(platformdirs.user_cache_dir("envparity")) / "benchmarks").absolute()
    before = signal.signal(signal.SIGTERM, _interrupt)  # servers are stopped then, as after Control-C
    try:
        findings = _measure(work, rounds, quick=chosen.quick)
    except BenchmarkError as error:
        print(f"benchmarks.deploying: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("benchmarks.deploying: interrupted; no server is left", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
    _write(findings, chosen)
    return 1 if findings.missed else 0


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _check_space(work: Path) -> None:
    free = shutil.disk_usage(work).free
    if free < SPACE:
        raise BenchmarkError(
            f"{work} has {free / 1e9:.1f} GB free, and this takes up to {SPACE / 1e9:.0f}; give another --work"
        )


def _measure(work: Path, rounds: int, *, quick: bool) -> Findings:
    place = work / "deploying"
    work.mkdir(parents=True, exist_ok=True)
    settling = Settling(0 if quick else PAUSE, say)
    settling.clear(place)
    machine, tools = describe_machine(work), Tools.find()
    _check_space(work)
    environ = variables(choose_cache(work))
    built = build(work, tools, environ, say, settling)
    place.mkdir()

    def runner(environ: Mapping[str, str]) -> Runner:
        return Runner(environ, place, say)

    laboratory = prepare(place, tools, built, environ, runner, say)
    cache = place / "cache"
    found, absent = ways(laboratory, cache, quick=quick)
    # The same for everyone: interpreter, both environments, the unpacked layers.
    shared = [*dict.fromkeys(each.base for each in built), *(each.prefix for each in built), cache]
    settling.settle()
    deployments = Turns(laboratory, place, shared, say).take(found, rounds)
    registered = {}
    if not quick:
        contenders = registrations(laboratory, place)
        registered = runner(laboratory.environ).take_turns("register", contenders, rounds)
    findings = Findings(
        when=datetime.now(timezone.utc).date().isoformat(),
        rounds=rounds,
        quick=quick,
        machine=machine,
        versions={
            **describe_versions(tools, None, built[0].version),
            **{name: built[0].installed(name) or "none" for name in ("mlflow", "scikit-learn")},
        },
        environments=built,
        deployments=deployments,
        registrations=registered,
        bounds={} if quick else GOALS,
        packed=laboratory.packed,
        tars=sum(path.stat().st_size for path in laboratory.tars.iterdir()),
        absent=absent,
    )
    settling.clear(place)
    return findings


def _write(findings: Findings, chosen: argparse.Namespace) -> None:
    """Print the page, and write the files that were asked for."""
    text, data = page(findings), json.dumps(document(findings), indent=1) + "\n"
    print(text, end="")
    if chosen.json:
        chosen.json.write_text(data, encoding="utf-8")
    if chosen.write_docs:
        for name, content in (("md", text), ("json", data), ("svg", plot(findings.deployments, findings.bounds))):
            (DOCS / f"deploy-times.{name}").write_text(content, encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deploying", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="only warm beside uv, one round, no bounds: to see that it works"
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="counted rounds (default: 5, with --quick 1)")
    parser.add_argument(
        "--work", type=Path, metavar="DIR", help="where environments are kept (default: in the user's cache)"
    )
    parser.add_argument("--write-docs", action="store_true", help="write docs/deploy-times.md, .svg and .json")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples to FILE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
