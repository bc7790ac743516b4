"""The tags of a model version: which snapshot its environment is, and where that lies."""

from __future__ import annotations

SNAPSHOT = "envparity.snapshot"
PARITY_ROOT = "envparity.parity_root"
STORE = "envparity.store"
NAME = "envparity.name"
VERSION = "envparity.version"
#: Which registration made the version: no other has it.
REGISTRATION = "envparity.registration"
