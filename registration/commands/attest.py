"""`envparity attest`: a comparison's verdict, signed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from registration import console
from registration.parameters import json_option
from registration.progress import progress_bar

if TYPE_CHECKING:
    from diffing.report import Report
    from registration.invocation import Invocation

_FILE = click.Path(exists=True, dir_okay=False)


@click.command()
@click.argument("train", metavar="A")
@click.argument("serve", metavar="B")
@click.option("--key", required=True, metavar="KEY", type=_FILE, help="The private key that signs (envparity keygen).")
@click.option(
    "--model",
    metavar="PATH",
    type=click.Path(exists=True),
    help="The model: decides what it can reach, as with diff, and its digest is signed too.",
)
@click.option("--policy", metavar="FILE", type=_FILE, help="What may differ (TOML).")
@click.option(
    "--fingerprint/--no-fingerprint",
    default=None,
    help="Run the numeric probe in live environments. Default: if the other side has one.",
)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write the envelope there. Default: standard output.",
)
@json_option
@click.pass_obj
def attest(
    invocation: Invocation,
    *,
    train: str,
    serve: str,
    key: str,
    model: str | None,
    policy: str | None,
    fingerprint: bool | None,
    output: str | None,
    as_json: bool,
) -> int:
    """Compare B with A as diff does, and sign what came out: an in-toto statement in a DSSE envelope.

    A and B are snapshots or prefixes of environments, of which every byte is read. A verdict beyond the policy is signed too: that a check failed is as worth
    knowing as that it passed.

    \b
    Exit codes: 0 within the policy
                1 beyond it (signed all the same)
                2 wrong use or an error (nothing is signed)
    """  # noqa: D301 (a backspace: click keeps the lines)
    from diffing import attesting, dsse, keys
    from registration.commands.diff import write
    from snapshot.documents import canonical

    private = keys.read_private(key)  # before the work, and not after it
    model_digest = _digest_of(model)
    report = report_of(invocation, train, serve, model=model, policy=policy, fingerprint=fingerprint)
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    statement = attesting.statement(report, model_digest=model_digest, created=created)
    envelope = dsse.sign(canonical(statement), private)
    if output is None:
        click.echo(envelope, nl=False)
    else:
        write(envelope, output)
        _print(report, output, keys.keyid(private.public_key()), statement if as_json else None)
    return 0 if report.passed else 1


def report_of(
    invocation: Invocation, train: str, serve: str, *, model: str | None, policy: str | None, fingerprint: bool | None
) -> Report:
    """What `envparity diff --no-cache` finds, with the id of each snapshot: what is signed rests on every byte."""
    from registration.commands.diff import reports_of
    from registration.sides import find_sides

    with progress_bar() as progress:
        one, other = find_sides(
            (train, serve),
            invocation.store,
            fingerprint=fingerprint,
            identify=True,
            named=invocation.named,
            progress=progress,
        )
        (report,) = reports_of(one, [other], invocation.store, model=model, policy=policy)
    return report


def _digest_of(model: str | None) -> str | None:
    from diffing.modeldigest import model_digest

    return None if model is None else model_digest(model)


def _print(report: Report, output: str, keyid: str, statement: dict[str, object] | None) -> None:
    if statement is not None:
        console.print_json({"output": output, "keyid": keyid, "statement": statement})
        return
    verdict = "  ".join(["PASSED" if report.passed else "FAILED", report.verdict.name, *map(str, report.flags)])
    click.echo(f"PARITY: {verdict}")
    click.echo(f"signed by {keyid}")
    click.echo(f"wrote  {console.printable(output)}")
