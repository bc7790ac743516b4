"""Reports in every format, as they were last looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffing.rendering import document

from .samples import RENDERERS, SAMPLES

GOLDEN = Path(__file__).parent.parent / "golden" / "reports"


@pytest.mark.parametrize("suffix", RENDERERS)
@pytest.mark.parametrize("name", SAMPLES)
def test_a_report_looks_as_it_did(name, suffix):
    expected = (GOLDEN / f"{name}.{suffix}").read_text(encoding="utf-8")
    assert RENDERERS[suffix](SAMPLES[name]) == expected, "python tests/rendering/regenerate.py writes the new ones"


@pytest.mark.parametrize("suffix", RENDERERS)
@pytest.mark.parametrize("name", SAMPLES)
def test_every_format_can_be_made_from_the_document(name, suffix):
    stored = document.read((GOLDEN / f"{name}.json").read_bytes())
    assert RENDERERS[suffix](stored) == (GOLDEN / f"{name}.{suffix}").read_text(encoding="utf-8")
