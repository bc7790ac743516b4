"""Writes tests/golden/reports anew: `python tests/rendering/regenerate.py`. Read the difference before committing it."""

from __future__ import annotations

from pathlib import Path

from samples import RENDERERS, SAMPLES

GOLDEN = Path(__file__).parent.parent / "golden" / "reports"

if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, reports in SAMPLES.items():
        for suffix, render in RENDERERS.items():
            (GOLDEN / f"{name}.{suffix}").write_text(render(reports), encoding="utf-8")
