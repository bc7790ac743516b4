"""`envparity size`: what a snapshot or all versions of a name weigh, and what could be left out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from registration import console
from registration.parameters import Size, json_option

if TYPE_CHECKING:
    from registration.invocation import Invocation


@click.command()
@click.argument("subject", metavar="SNAPSHOT|NAME")
@click.option("--all", "everything", is_flag=True, help="List all layers or versions, however small or old.")
@click.option("--size-limit", type=Size(), help="What to compare a snapshot with. Default: as for capture.")
@click.option("--budget", type=Size(), help="What to compare all versions with. Default: as for capture.")
@json_option
@click.pass_obj
def size(
    invocation: Invocation,
    *,
    subject: str,
    everything: bool,
    size_limit: int | None,
    budget: int | None,
    as_json: bool,
) -> None:
    """Show what SNAPSHOT is made of by size, or how the versions of NAME grew."""
    import snapshot
    from registration import sizes
    from registration.configuration import find_configuration
    from snapshot.limiting import BUDGET, SIZE_LIMIT

    configured = find_configuration(os.getcwd())
    store = invocation.store
    if any(each.name and each.name.startswith(f"{subject}/") for each in store.references()):
        allowed = budget or configured.budget or BUDGET
        grown = snapshot.growth(subject, store)
        if as_json:
            console.print_json(sizes.name_document(grown, allowed))
        else:
            sizes.print_name(grown, budget=allowed, everything=everything)
    else:
        allowed = size_limit or configured.size_limit or SIZE_LIMIT
        found = snapshot.sizes(subject, store)
        if as_json:
            console.print_json(sizes.snapshot_document(found, allowed))
        else:
            sizes.print_snapshot(found, limit=allowed, everything=everything)
