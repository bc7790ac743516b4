"""`envparity capture`: an environment into the store."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Literal

import click

from registration import console
from registration.errors import RegistrationError
from registration.parameters import Size, json_option
from registration.progress import progress_bar

if TYPE_CHECKING:
    from registration.invocation import Invocation
    from snapshot import Captured


class TooLargeError(RegistrationError):
    """Over the size limit or the budget. What is large, and what can be done, stands above the message, or with --json in it."""


@click.command()
@click.argument("prefix", required=False, type=click.Path())
@click.option(
    "--python", type=click.Path(), metavar="PATH", help="The environment's interpreter. Default: the one in it."
)
@click.option("--name", metavar="NAME[/VERSION]", help="What to call the snapshot.")
@click.option("--size-limit", type=Size(), help="Refuse a snapshot that is larger (packed). Default: 1GB.")
@click.option("--budget", type=Size(), help="Refuse if all versions of NAME would be larger together. Default: 1GB.")
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="Leave out what matches, such as '*/tests/*', or dist:NAME for a distribution. Repeatable.",
)
@click.option("--no-interpreter", is_flag=True, help="Leave the interpreter out; a restore then needs a fitting one.")
@click.option("--no-bytecode", is_flag=True, help="Leave .pyc files out.")
@click.option("--compile-bytecode", is_flag=True, help="Compile what has no .pyc yet.")
@click.option("--no-deltas", is_flag=True, help="Store what changed whole, and not as the difference.")
@click.option(
    "--fingerprint/--no-fingerprint",
    default=True,
    help="Measure how this machine computes: runs code of the environment, half a second. Default: yes.",
)
@json_option
@click.pass_obj
def capture(
    invocation: Invocation,
    *,
    prefix: str | None,
    python: str | None,
    name: str | None,
    size_limit: int | None,
    budget: int | None,
    exclude: tuple[str, ...],
    no_interpreter: bool,
    no_bytecode: bool,
    compile_bytecode: bool,
    no_deltas: bool,
    fingerprint: bool,
    as_json: bool,
) -> None:
    """Capture the environment at PREFIX (default: the one that runs this command).

    What --size-limit, --budget and --exclude do not say is taken from [tool.envparity] in the pyproject.toml of the working
    directory, or of the nearest one above that has this table.

    The variables of this process are captured too, for the comparison with where it is served: a value is stored where it is known
    to be harmless, of all others a digest.
    """
    import snapshot
    from registration import sizes
    from registration.configuration import find_configuration
    from snapshot.limiting import BUDGET, SIZE_LIMIT, BudgetError, SizeLimitError, explain

    if no_bytecode and compile_bytecode:
        raise click.UsageError("--no-bytecode and --compile-bytecode exclude each other; give one of them")
    bytecode: Literal["keep", "drop", "compile"] = "drop" if no_bytecode else "compile" if compile_bytecode else "keep"
    configured = find_configuration(os.getcwd())
    try:
        with progress_bar() as progress:
            captured = snapshot.capture(
                sys.prefix if prefix is None else prefix,
                invocation.store,
                python=python,
                name=name,
                size_limit=size_limit or configured.size_limit or SIZE_LIMIT,
                budget=budget or configured.budget or BUDGET,
                exclude=exclude or configured.exclude or (),
                interpreter=not no_interpreter,
                bytecode=bytecode,
                deltas=not no_deltas,
                variables=os.environ,
                fingerprint=fingerprint,
                progress=progress,
            )
    except (SizeLimitError, BudgetError) as error:
        said = explain(error.excess, sizes.options()) if as_json else sizes.explain(error.excess)
        raise TooLargeError(said) from error
    if as_json:
        console.print_json(as_document(captured))
    else:
        _print(captured)


def as_document(captured: Captured) -> dict[str, object]:
    return {
        "snapshot": captured.snapshot,
        "name": captured.name,
        "parity_root": captured.parity_root,
        "files": captured.files,
        "distributions": captured.distributions,
        "layers": captured.layers,
        "raw_bytes": captured.raw_bytes,
        "packed_bytes": captured.packed_bytes,
        "added_bytes": captured.added_bytes,
        "findings": [{"kind": item.kind, "path": item.path, "detail": item.detail} for item in captured.findings],
        "seconds": round(captured.seconds, 3),
    }


def _print(captured: Captured) -> None:
    named = f"{console.printable(captured.name)}  " if captured.name else ""
    click.echo(f"captured {named}{captured.snapshot.short} in {console.seconds(captured.seconds)}")
    click.echo(
        f"{console.count(captured.files, 'file')} of {console.count(captured.distributions, 'distribution')} in"
        f" {console.count(captured.layers, 'layer')}: {console.size(captured.raw_bytes)},"
        f" {console.size(captured.packed_bytes)} packed"
    )
    click.echo(f"the store grew by {console.size(captured.added_bytes)}")
    if captured.findings:
        click.echo(f"{console.count(len(captured.findings), 'finding')}:")
        console.print_findings(captured.findings)
        subject = console.printable(captured.name) if captured.name else captured.snapshot.short
        click.echo(f"all of them: envparity inspect {subject} --findings")
