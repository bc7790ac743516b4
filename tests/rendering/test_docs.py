"""docs/reports.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path

from diffing import policy
from diffing.rendering import document, text
from diffing.rules import catalogue

from .samples import DRIFTED

DOCS = (Path(__file__).parent.parent.parent / "docs" / "reports.md").read_text(encoding="utf-8")


def test_the_policy_of_the_docs_is_one():
    (example,) = re.findall(r"```toml\n(.*?)```", DOCS, re.DOTALL)
    found = policy.parse(example.encode(), "parity.toml", catalogue.load().ids)
    assert len(found.rules) == 2
    assert found.waivers[0].digest == DRIFTED.differences[1].digest


def test_the_docs_name_every_key_of_the_document():
    (keys,) = re.findall(r"One report has the keys (.*?)\. Of several", DOCS, re.DOTALL)
    assert re.findall(r"`(\w+)`", keys) == list(document.encode(DRIFTED))


def test_the_first_screen_of_the_docs_has_lines_as_they_are_rendered():
    (screen,) = re.findall(r"```\n(PARITY.*?)```", DOCS, re.DOTALL)
    shown = text.render([DRIFTED]).splitlines()
    assert [line for line in screen.splitlines()[1:] if line not in shown] == []


def test_the_samples_use_rules_that_there_are():
    assert {each.rule for each in DRIFTED.differences} <= catalogue.load().ids
