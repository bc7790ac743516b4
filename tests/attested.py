"""A report to sign, with everything in it that a statement has to keep. Keys here are made for tests and sign nothing else."""

from __future__ import annotations

from pathlib import Path

from diffing.report import (
    Counts,
    Coverage,
    Difference,
    Fix,
    Normalised,
    PolicySummary,
    Report,
    Share,
    SideSummary,
    Unknown,
    Waiver,
)
from diffing.verdict import Flag, Level, Verdict

GOLDEN = Path(__file__).parent / "golden" / "attestation"
TEST_KEY = (GOLDEN / "test-key.pem").read_bytes()
TEST_PUB = (GOLDEN / "test-key.pem.pub").read_bytes()

CREATED = "2026-11-22T18:00:00Z"
OVERRIDES = (("direct-url", None), ("python-patch", Verdict.EQUIVALENT))
MODEL = "dirHash:" + "d0" * 32


def digest(letter):
    return "sha256:" + letter * 64


def difference(subject, severity, waived=None):
    return Difference(
        rule="distribution-version",
        level=Level.DISTRIBUTIONS,
        severity=severity,
        subject=subject,
        path=None,
        train="8.1.7",
        serve="8.1.8",
        reason="another version",
        digest=digest("e"),
        waived=waived,
    )


def report(**changed):
    fields = {
        "verdict": Verdict.DRIFTED,
        "passed": True,
        "flags": (Flag.UNKNOWN,),
        "coverage": Coverage(49, 50, (Unknown("GPU driver", "both", "not captured"),)),
        "train": SideSummary("churn-model/3", "snapshot", digest("1"), digest("2"), digest("3")),
        "serve": SideSummary("/srv/env", "environment", digest("4"), digest("5"), digest("6")),
        "policy": PolicySummary(
            "strict.toml", digest("7"), Verdict.NUMERIC, (Flag.INTEGRITY,), ("one is expired",), OVERRIDES
        ),
        "rules_version": "1.0",
        "counts": Counts(
            126, 43, ((Verdict.IDENTICAL, 41), (Verdict.COMPATIBLE, 1), (Verdict.DRIFTED, 1)), 2, 1, 412, 83
        ),
        "differences": (
            difference("click", Verdict.COMPATIBLE),
            difference("packaging", Verdict.DRIFTED, Waiver("me@example.org", "tried and harmless", "2027-01-31")),
        ),
        "normalised": (Normalised("bytecode", 412),),
        "shares": (Share("click", 1000, 10, 1, Verdict.DRIFTED, True),),
        "fix": Fix("pip install click==8.1.7", "installs the version that trained"),
    }
    return Report(**(fields | changed))
