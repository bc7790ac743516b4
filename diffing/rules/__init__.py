"""The rules that say how much a difference matters: data (rules.toml), and what reads it."""

from __future__ import annotations

from diffing.rules.catalogue import Catalogue, CatalogueError, Rule, load

__all__ = ["Catalogue", "CatalogueError", "Rule", "load"]
