"""`envparity verify-attestation`: who signed what, and whether an environment still is what was signed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registration import console
from registration.parameters import json_option
from registration.progress import progress_bar
from registration.subjects import find_subject

if TYPE_CHECKING:
    from diffing.attesting import Proof
    from diffing.report import SideSummary
    from registration.invocation import Invocation


@click.command("verify-attestation")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--key", required=True, metavar="PUB", type=click.Path(exists=True, dir_okay=False), help="The signer's public key."
)
@click.option(
    "--against",
    metavar="PREFIX|SNAPSHOT",
    help="Read this environment too: its parity root must be the one that was signed for the serving side.",
)
@json_option
@click.pass_obj
def verify_attestation(invocation: Invocation, file: str, key: str, against: str | None, as_json: bool) -> int:
    """Check that FILE is signed with the key of PUB, and say what it proves. Needs no network and, without --against, no store.

    \b
    Exit codes: 0 genuine, and what was compared passed its policy
                1 genuine, but it failed, or --against is another environment
                2 not signed with this key, changed since, or no attestation
    """  # noqa: D301 (a backspace: click keeps the lines)
    from diffing import attesting, dsse, keys

    public = keys.read_public(key)
    with open(file, "rb") as opened:
        data = opened.read(dsse.LARGEST + 1)
    payload = dsse.verify(data, public, file)
    proof = attesting.read(payload, file)
    root = _root_of(against, invocation) if against is not None else None
    same = root is None or root == proof.serve.parity_root
    if as_json:
        document: dict[str, Any] = {
            "ok": proof.passed and same,
            "keyid": keys.keyid(public),
            "statement": dsse.strict_json(payload, file),
        }
        if root is not None:
            document["against"] = {"subject": against, "parity_root": root, "same": same}
        console.print_json(document)
    else:
        click.echo(f"signed by {keys.keyid(public)}")
        print_proof(proof)
        if against is not None:
            _print_against(against, str(root), proof)
    return 0 if proof.passed and same else 1


def _root_of(subject: str, invocation: Invocation) -> str:
    """The parity root of a prefix, read now, or of a snapshot, computed from its layers."""
    import snapshot
    from snapshot.parity import parity_root

    store = invocation.store
    found = find_subject(subject, store)
    with progress_bar() as progress:
        described = (
            snapshot.describe(found, identify=False, progress=progress)  # every byte of it: no cache
            if isinstance(found, Path)
            else snapshot.load(found.snapshot, store)
        )
    config = described.snapshot
    return parity_root(config.interpreter, config.environment, config.layers)


def print_proof(proof: Proof) -> None:
    """What was signed, on one screen."""
    verdict = "  ".join(["PASSED" if proof.passed else "FAILED", proof.verdict.name, *map(str, proof.flags)])
    limit = f"max {proof.policy.maximum.name}" + "".join(f", no {flag}" for flag in proof.policy.forbidden)
    click.echo(f"PARITY: {verdict}")
    click.echo(
        f"policy {console.printable(proof.policy.name)}: {limit}  ({console.printable(proof.policy.digest)[:19]})"
    )
    for role, side in (("train", proof.train), ("serve", proof.serve)):
        _print_side(role, side)
    if proof.model_digest:
        click.echo(f"model  {proof.model_digest}")
    missing = ", ".join(each.aspect for each in proof.coverage.unknown)
    _wrapped(f"coverage {proof.coverage.percent}%" + (f" (not compared: {missing})" if missing else ""))
    for each in proof.waived:
        waiver = each.waiver
        _wrapped(f"waived {each.subject} ({each.rule}, {each.severity})")
        _wrapped(f"       by {waiver.owner} until {waiver.expires}: {waiver.reason}")
    tool, rules = console.printable(proof.tool), console.printable(proof.rules_version)
    click.echo(f"created {proof.created} by envparity {tool}, rules {rules}")


def _wrapped(text: str) -> None:
    """A line for people, in as many lines as it takes: nothing of it is lost."""
    import textwrap

    for line in textwrap.wrap(console.printable(text), console.WIDTH, subsequent_indent=" " * 7):
        click.echo(line)


def _print_side(role: str, side: SideSummary) -> None:
    click.echo(f"{role}  {console.printable(side.label)}")
    click.echo(f"       {side.parity_root}")


def _print_against(subject: str, root: str, proof: Proof) -> None:
    if root == proof.serve.parity_root:
        click.echo(f"same: {console.printable(subject)} has the parity root that was signed")
        return
    click.echo(f"differs: {console.printable(subject)} is not the environment that was signed")
    click.echo(f"signed {proof.serve.parity_root}")
    click.echo(f"found  {root}")
