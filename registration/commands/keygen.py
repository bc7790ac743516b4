"""`envparity keygen`: a pair of keys to sign and to check attestations with."""

from __future__ import annotations

import click

from registration import console
from registration.parameters import json_option


@click.command()
@click.argument("path", type=click.Path(dir_okay=False))
@json_option
def keygen(path: str, as_json: bool) -> None:
    """Make an Ed25519 key in PATH, for its owner alone, and the public key that belongs to it in PATH.pub.

    The key in PATH signs (envparity attest --key) and stays where it is safe; it is not encrypted. Who is to check gets PATH.pub.
    A file that exists is never replaced.
    """
    from diffing import keys

    private, public = keys.generate()
    beside = keys.write(private, public, path)
    keyid = keys.keyid(keys.public_key(public, beside))
    if as_json:
        console.print_json({"private": path, "public": beside, "keyid": keyid})
        return
    click.echo(f"private key  {console.printable(path)}  (keep it safe; it is not encrypted)")
    click.echo(f"public key   {console.printable(beside)}")
    click.echo(f"keyid        {keyid}")
