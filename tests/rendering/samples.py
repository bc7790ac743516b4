"""Reports made by hand, for golden files and examples: a model that drifted, one that passes, and a fleet of two."""

from __future__ import annotations

from datetime import date
from hashlib import sha256

from diffing import policy
from diffing.rendering import document, junit, markdown, sarif, text
from diffing.report import (
    Counts,
    Coverage,
    Difference,
    Fix,
    Normalised,
    Report,
    Share,
    SideSummary,
    Unknown,
)
from diffing.verdict import Flag, Level, Verdict, worst

TODAY = date(2026, 11, 22)


def digest(text):
    return f"sha256:{sha256(text.encode()).hexdigest()}"


def side(label, kind="environment"):
    root = digest(f"root of {label}")
    return SideSummary(label, kind, digest(f"id of {label}") if kind == "snapshot" else None, root, digest(label))


TRAIN = side("churn-model/3", "snapshot")

DIFFERENCES = (
    Difference(
        rule="scikit-learn",
        level=Level.DISTRIBUTIONS,
        severity=Verdict.DRIFTED,
        subject="scikit-learn",
        path=None,
        train="1.5.2",
        serve="1.6.1",
        reason="scikit-learn promises nothing for models of another version",
        because="model.pkl uses sklearn.ensemble; from requirements.txt:7",
        digest=digest("scikit-learn"),
        reachable=True,
        evidence=("scikit-learn/scikit-learn#20288", "kserve/kserve#2843"),
        details=tuple(f"sklearn/tree/_file_{number}.py changed" for number in range(13)),
        bytes=3_400_000,
        owner="scikit-learn",
    ),
    Difference(
        rule="file-modified",
        level=Level.FILES,
        severity=Verdict.DRIFTED,
        subject="click",
        path="lib/python3.11/site-packages/click/core.py",
        train=digest("core.py"),
        serve=digest("core.py, edited"),
        reason="edited in place: RECORD says another digest",
        because="required by mlflow 2.19.0",
        digest=digest("click"),
        flags=(Flag.INTEGRITY,),
        reachable=True,
        evidence=("pypa/pip#1463",),
        bytes=114_086,
        owner="click",
    ),
    Difference(
        rule="numeric-backend",
        level=Level.NUMERIC,
        severity=Verdict.NUMERIC,
        subject="OpenBLAS kernel",
        path=None,
        train="Haswell",
        serve="SkylakeX",
        reason="another kernel adds in another order",
        digest=digest("kernel"),
        reachable=True,
        evidence=("numpy/numpy#23523",),
    ),
    Difference(
        rule="numeric-result",
        level=Level.NUMERIC,
        severity=Verdict.NUMERIC,
        subject="matmul float64",
        path=None,
        train=digest("one"),
        serve=digest("two"),
        reason="results moved by at most 3e-11, 66% of the elements",
        digest=digest("matmul"),
        reachable=True,
    ),
    Difference(
        rule="startup-added",
        level=Level.STARTUP,
        severity=Verdict.DRIFTED,
        subject="zz.pth",
        path="lib/python3.11/site-packages/zz.pth",
        train=None,
        serve="code",
        reason="runs at every start",
        digest=digest("zz.pth"),
        flags=(Flag.INTEGRITY,),
        reachable=True,
        evidence=("BerriAI/litellm#24521",),
        bytes=52,
    ),
    Difference(
        rule="distribution-removed",
        level=Level.DISTRIBUTIONS,
        severity=Verdict.COMPATIBLE,
        subject="ipython",
        path=None,
        train="8.30.0",
        serve=None,
        reason="the model cannot reach it",
        digest=digest("ipython"),
        reachable=False,
        owner="ipython",
    ),
    Difference(
        rule="distribution-source-note",
        level=Level.DISTRIBUTIONS,
        severity=Verdict.EQUIVALENT,
        subject="ours",
        path=None,
        train="git+https://example.org/ours",
        serve="",
        reason="another source, the same files",
        digest=digest("ours"),
        reachable=True,
        owner="ours",
    ),
)

POLICY = policy.parse(
    f"""
schema = 1
max-verdict = "NUMERIC"
forbid = ["INTEGRITY"]

[[waivers]]
rule = "startup-added"
subject = "zz.pth"
digest = "{digest("zz.pth")}"
owner = "ana@example.org"
reason = "the tracer of the platform team"
expires = 2027-01-31

[[waivers]]
rule = "file-modified"
subject = "click"
digest = "{digest("another edit")}"
owner = "ben@example.org"
reason = "a fix that upstream has not released"
expires = 2026-12-31
""".encode(),
    "parity.toml",
)

SHARES = (
    Share("scikit-learn", 38_000_000, 1_214, 211, Verdict.DRIFTED, reachable=True),
    Share("click", 400_000, 31, 1, Verdict.DRIFTED, reachable=True),
    Share("ipython", 3_000_000, 702, 702, Verdict.COMPATIBLE, reachable=False),
)


def report(serve, differences, *, rules, coverage, counts, flags=(), normalised=(), shares=(), fix=None, verdict=None):
    verdict = worst(each.severity for each in differences) if verdict is None else verdict
    judged = policy.judge(rules, differences, flags, verdict, TODAY, frozenset(each.rule for each in DIFFERENCES))
    return Report(
        verdict=verdict,
        passed=judged.passed,
        flags=flags,
        coverage=coverage,
        train=TRAIN,
        serve=serve,
        policy=judged.summary,
        rules_version="1.0",
        counts=counts,
        differences=judged.differences,
        normalised=normalised,
        shares=shares,
        fix=fix,
    )


DRIFTED = report(
    side("/srv/env"),
    DIFFERENCES,
    rules=POLICY,
    flags=(Flag.INTEGRITY, Flag.UNKNOWN),
    coverage=Coverage(61, 62, (Unknown("GPU driver", "both", "not captured"),)),
    counts=Counts(
        126,
        43,
        ((Verdict.IDENTICAL, 39), (Verdict.EQUIVALENT, 1), (Verdict.NUMERIC, 1), (Verdict.DRIFTED, 2)),
        differences=7,
        waived=1,
        harmless=412,
        unreachable=83,
    ),
    normalised=(Normalised("bytecode", 300), Normalised("record", 111)),
    shares=SHARES,
    fix=Fix(
        "envparity restore churn-model/3 /srv/env",
        "puts the training environment where the serving one is",
        ("scikit-learn==1.5.2",),
    ),
)

EQUIVALENT = report(
    side("/srv/other"),
    DIFFERENCES[-1:],
    rules=policy.DEFAULT,
    coverage=Coverage(62, 62),
    counts=Counts(126, None, ((Verdict.IDENTICAL, 125), (Verdict.EQUIVALENT, 1)), 1, 0, 412, 0),
    normalised=(Normalised("bytecode", 412),),
    shares=SHARES[1:2],
)

SAMPLES = {"drifted": (DRIFTED,), "equivalent": (EQUIVALENT,), "fleet": (DRIFTED, EQUIVALENT)}

#: How each golden file is made: by suffix.
RENDERERS = {
    "txt": text.render,
    "all.txt": lambda reports: text.render(reports, full=True),
    "json": document.render,
    "md": markdown.render,
    "xml": junit.render,
    "sarif": sarif.render,
}
