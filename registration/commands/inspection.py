"""`envparity inspect`: what a snapshot holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from registration import console
from registration.parameters import json_option

if TYPE_CHECKING:
    from registration.invocation import Invocation
    from snapshot.description import Description
    from snapshot.facts.model import Facts
    from snapshot.model import Entry, Finding, Layer
    from snapshot.store import Manifest, Reference, Store


@click.command()
@click.argument("reference", metavar="SNAPSHOT")
@click.option("--layers", is_flag=True, help="List its layers, and how large each is stored.")
@click.option("--files", is_flag=True, help="List every file.")
@click.option("--findings", is_flag=True, help="List what was odd about the environment.")
@click.option("--facts", is_flag=True, help="Show what was recorded beside its files: machine, variables, hooks, …")
@json_option
@click.pass_obj
def inspect(
    invocation: Invocation, *, reference: str, layers: bool, files: bool, findings: bool, facts: bool, as_json: bool
) -> None:
    """Show what SNAPSHOT is, or its layers, files, findings or facts."""
    if layers + files + findings + facts > 1:
        raise click.UsageError("--layers, --files, --findings and --facts exclude each other; give one of them")
    store = invocation.store
    found = store.resolve(reference)
    if layers:
        _layers(store, found, as_json=as_json)
    elif files:
        _files(_load(store, found), found, as_json=as_json)
    elif findings:
        _findings(_load(store, found).findings, found, as_json=as_json)
    elif facts:
        _facts(_load(store, found).facts, found, as_json=as_json)
    else:
        _summary(store, found, as_json=as_json)


def _load(store: Store, found: Reference) -> Description:
    import snapshot

    return snapshot.load(found.snapshot, store)


def _summary(store: Store, found: Reference, *, as_json: bool) -> None:
    config = store.snapshot(found)
    packed = store.manifest(found).packed_bytes
    python = config.interpreter
    if as_json:
        console.print_json(
            {
                "name": found.name,
                "snapshot": found.snapshot,
                "created": found.created,
                "parity_root": config.parity_root,
                "kind": config.environment.kind,
                "interpreter": {
                    "implementation": python.implementation,
                    "version": python.version,
                    "soabi": python.soabi,
                    "platform": python.platform,
                    "captured": python.captured,
                },
                "system_site_packages": config.environment.system_site_packages,
                "files": config.files,
                "layers": len(config.layers),
                "raw_bytes": config.raw_bytes,
                "packed_bytes": packed,
                "distributions": [{"name": item.name, "version": item.version} for item in config.distributions],
            }
        )
        return
    captured = "captured" if python.captured else "not captured: a restore needs a fitting one"
    facts = {
        "name": found.name or "-",
        "snapshot": found.snapshot,
        "parity root": config.parity_root,
        "created": found.created or "-",
        "kind": config.environment.kind,
        "interpreter": f"{python.implementation} {python.version}, {python.platform} ({captured})",
        "content": f"{console.count(config.files, 'file')} in {console.count(len(config.layers), 'layer')}",
        "size": f"{console.size(config.raw_bytes)}, {console.size(packed)} packed",
    }
    for name, value in facts.items():
        click.echo(f"{name:<14}{console.printable(value)}")
    listed = [f"{item.name} {item.version}" for item in config.distributions]
    click.echo(f"{'distributions':<14}{len(listed):,}")
    console.print_columns(listed)


def _layers(store: Store, found: Reference, *, as_json: bool) -> None:
    config, manifest = store.snapshot(found), store.manifest(found)
    if as_json:
        rows = [_layer_document(layer, manifest) for layer in config.layers]
        console.print_json({"name": found.name, "snapshot": found.snapshot, "layers": rows})
        return
    console.print_table(
        ["layer", "kind", "files", "raw", "packed", "diff_id"],
        [
            (
                f"{layer.name} {layer.version}" if layer.version else layer.name,
                str(layer.kind),
                f"{layer.files:,}",
                console.size(layer.size),
                console.size(_packed(layer, manifest)),
                layer.diff_id.hex[:12],
            )
            for layer in sorted(config.layers, key=lambda layer: (-_packed(layer, manifest), layer.sort_key))
        ],
        right=["files", "raw", "packed"],
    )


def _packed(layer: Layer, manifest: Manifest) -> int:
    return manifest.content[layer.diff_id].size


def _layer_document(layer: Layer, manifest: Manifest) -> dict[str, object]:
    return {
        "kind": layer.kind.value,
        "name": layer.name,
        "version": layer.version,
        "mount": layer.mount,
        "files": layer.files,
        "raw_bytes": layer.size,
        "packed_bytes": _packed(layer, manifest),
        "blob": manifest.content[layer.diff_id].digest,
        "diff_id": layer.diff_id,
        "tree": layer.tree,
        "parity": layer.parity,
    }


def _files(described: Description, found: Reference, *, as_json: bool) -> None:
    rows = sorted(
        (
            (f"{layer.mount}/{entry.path}" if layer.mount else entry.path, entry, layer)
            for layer in described.snapshot.layers
            for entry in described.trees[layer.tree]
        ),
        key=lambda row: (row[0].encode("utf-8", "surrogateescape"), row[2].sort_key),
    )
    if as_json:
        files = [_file_document(*row) for row in rows]
        console.print_json({"name": found.name, "snapshot": found.snapshot, "files": files})
        return
    # No table: there can be tens of thousands, and whoever searches them wants a path in one piece. It comes last.
    for path, entry, layer in rows:
        target = f" -> {entry.target}" if entry.type == "l" else "/" if entry.type == "d" else ""
        what = console.size(entry.size) if entry.type == "f" else ""
        click.echo(console.printable(f"{_mode(entry)}  {what:>7}  {layer.label}  {path}{target}"))


def _mode(entry: Entry) -> str:
    return "link" if entry.type == "l" else f"{entry.mode:04o}"


def _file_document(path: str, entry: Entry, layer: Layer) -> dict[str, object]:
    document: dict[str, object] = {
        "path": path,
        "type": {"f": "file", "l": "link", "d": "directory"}[entry.type],
        "owner": layer.label,
        "kind": layer.kind.value,
    }
    if entry.type == "l":
        document["target"] = entry.target
    else:
        document["mode"] = f"{entry.mode:04o}"
    if entry.type == "f":
        document["size"] = entry.size
        document["sha256"] = entry.sha256
    if entry.rule:
        document["rule"] = entry.rule
    return document


def _findings(findings: tuple[Finding, ...], found: Reference, *, as_json: bool) -> None:
    if as_json:
        rows = [{"kind": item.kind, "path": item.path, "detail": item.detail} for item in findings]
        console.print_json({"name": found.name, "snapshot": found.snapshot, "findings": rows})
    elif findings:
        for item in findings:
            click.echo(console.printable(f"{item.kind:<16} {item.path}"))
            click.echo(console.printable(f"{'':<16} {item.detail}"))
    else:
        click.echo("no findings: nothing was odd about this environment")


def _facts(facts: Facts, found: Reference, *, as_json: bool) -> None:
    from registration.facts import print_facts
    from snapshot.facts.document import plain

    if as_json:
        console.print_json(
            {"name": found.name, "snapshot": found.snapshot, "missing": facts.missing, "facts": plain(facts)}
        )
    else:
        print_facts(facts)
