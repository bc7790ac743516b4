"""`envparity optimize`: encode what the store has anew, so that it is smaller."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from registration import console
from registration.parameters import Duration, Size, json_option
from registration.progress import progress_bar

if TYPE_CHECKING:
    from registration.invocation import Invocation


@click.command()
@click.option("--max-time", type=Duration(), metavar="DURATION", help="Begin nothing new after that (90s, 10m, 2h).")
@click.option("--target-size", type=Size(), help="Stop when the store is no larger than this.")
@json_option
@click.pass_obj
def optimize(invocation: Invocation, max_time: float | None, target_size: int | None, as_json: bool) -> int:
    """Make the store smaller: the newest snapshots whole, older ones as differences from them, all compressed harder.

    Snapshots keep their ids, and can be captured and restored meanwhile. It may be interrupted at any time and repeated: what is
    done is not done again. Exit code 1 if something could not be read, or the target size was not reached.
    """
    import snapshot

    with progress_bar() as progress:
        done = snapshot.optimize(invocation.store, max_time=max_time, target_size=target_size, progress=progress)
    reached = target_size is None or done.after <= target_size
    if as_json:
        console.print_json({**asdict(done), "saved": done.saved, "reached": reached})
        return 1 if done.problems or not reached else 0
    click.echo(
        f"optimized {console.printable(invocation.store_path)}: {console.size(done.before)} -> "
        f"{console.size(done.after)}, {console.count(done.layers, 'layer')} encoded anew, in {console.seconds(done.seconds)}"
    )
    for problem in done.problems:
        click.echo(f"left as it was: {console.printable(problem)}")
    if not done.complete:
        click.echo("not all is done yet; run it again to go on")
    if not reached:
        click.echo(f"{console.size(target_size or 0)} were not reached; envparity size NAME shows what takes the room")
    return 1 if done.problems or not reached else 0
