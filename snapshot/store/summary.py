"""What a list shows of each snapshot, read with as little work as is right: a store may hold a thousand of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot.digest import Descriptor, Digest
from snapshot.store.manifest import CONFIG_TYPE
from snapshot.store.reading import read_blob

if TYPE_CHECKING:
    from snapshot.store.backend import Backend
    from snapshot.store.manifest import Reference

#: `Kind.DISTRIBUTION` as the config has it: a list needs nothing else of `snapshot.model`.
_DISTRIBUTION = "distribution"


@dataclass(frozen=True, slots=True)
class Summary:
    """`python` is the interpreter's version, `distributions` how many, `packed_bytes` what an empty node must fetch."""

    python: str
    distributions: int
    parity_root: Digest
    packed_bytes: int


def summarise_manifest(backend: Backend, reference: Reference) -> Summary | None:
    """None: something in it is not what it should be, and the strict readers can say what. Raises StoreError.

    The digests of manifest and config are verified, so both are what somebody published; of what they say only that is
    looked at which is shown.
    """
    data = read_blob(backend, reference.manifest)
    try:
        manifest = json.loads(data)
        sizes = {row["digest"]: row["size"] for row in [manifest["config"], *manifest["layers"]]}
        config = Descriptor(CONFIG_TYPE, Digest(manifest["config"]["digest"]), manifest["config"]["size"])
        if config.digest != reference.snapshot:
            return None
        described = json.loads(read_blob(backend, config))
        return Summary(
            python=_text(described["interpreter"]["version"]),
            distributions=sum(layer["kind"] == _DISTRIBUTION for layer in described["layers"]),
            parity_root=Digest(described["parity_root"]),
            packed_bytes=len(data) + sum(sizes.values()),
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        if isinstance(error, OSError):
            raise  # a damaged blob is a ValueError too
        return None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value
