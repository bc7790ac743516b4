"""The proof: a parity report's verdict as an in-toto statement, and back. No I/O.

Statement v1 (https://in-toto.io/Statement/v1) with a predicate of our own; docs/attestation.md says what each field means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diffing.dsse import EnvelopeError, strict_json
from diffing.errors import DiffError
from diffing.fields import Fields
from diffing.policy import IGNORE
from diffing.rendering.document import encode
from diffing.report import Counts, Coverage, PolicySummary, SideSummary, Unknown, Waiver
from diffing.verdict import Flag, Verdict
from snapshot.version import version

if TYPE_CHECKING:
    from diffing.report import Report

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"

#: What the predicate means. The number is its major version: a reader refuses another one, and ignores fields it does not know.
PREDICATE_TYPE = "urn:envparity:parity:v1"

_PREDICATE_TYPES = re.compile(r"urn:envparity:parity:v([1-9][0-9]*)\Z")
_STATEMENT_TYPES = re.compile(r"https://in-toto\.io/Statement/v([1-9][0-9]*)(?:\.[0-9]+)?\Z")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z", re.ASCII)
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}\Z")
_MODEL = re.compile(r"(?:sha256|dirHash):[0-9a-f]{64}\Z")

#: Names in the subjects' digest sets. `sha256` is the snapshot's id, the digest of a blob; the other two are digests of what docs/format.md defines.
_ROOT = "envparityParityRoot"
_STRICT = "envparityStrictDigest"


#: What the predicate has as the report's JSON document has it. The differences themselves are not in it.
_FROM_REPORT = ("verdict", "passed", "flags", "coverage", "train", "serve", "policy", "rules_version", "counts")


class UnattestableError(DiffError, ValueError):
    """A report that says too little to be signed."""


class StatementError(DiffError, ValueError):
    """A statement that is not about parity, or not complete."""


class UnsupportedStatementError(StatementError):
    """Written by a newer envparity."""


@dataclass(frozen=True, slots=True)
class Waived:
    """A waiver that let a difference pass: the rule, what differs, the digest that names the difference, and who answers for it."""

    rule: str
    subject: str
    severity: Verdict
    digest: str
    waiver: Waiver


@dataclass(frozen=True, slots=True)
class Proof:
    """What a statement says. `created` is the time of the signer's clock (RFC 3339, UTC), `tool` the version that compared."""

    verdict: Verdict
    passed: bool
    flags: tuple[Flag, ...]
    coverage: Coverage
    train: SideSummary
    serve: SideSummary
    model_digest: str | None
    policy: PolicySummary
    rules_version: str
    counts: Counts
    waived: tuple[Waived, ...]
    tool: str
    created: str


def statement(report: Report, *, model_digest: str | None, created: str) -> dict[str, Any]:
    """The statement about `report`, ready for canonical JSON.

    `model_digest` is what `modeldigest.model_digest` gives, `created` the present time (RFC 3339, UTC, whole seconds). Raises
    UnattestableError where a side is no environment and so has no parity root, and for a model digest or time of another form.
    """
    problems = [
        f"{role} ({side.label}) has no {name.replace('_', ' ')}: it is of kind {side.kind}, and only environments are attested"
        for role, side in (("train", report.train), ("serve", report.serve))
        for name in ("parity_root", "strict_digest")
        if getattr(side, name) is None
    ]
    if model_digest is not None and not _MODEL.match(model_digest):
        problems.append(f"the model's digest is {model_digest!a} (want dirHash: or sha256: and 64 hexadecimal digits)")
    if not _TIME.match(created):
        problems.append(f"the time is {created!a} (want it like 2026-01-31T23:59:59Z)")
    if problems:
        raise UnattestableError("; ".join(problems))
    document = encode(report)
    return {
        "_type": STATEMENT_TYPE,
        "subject": _subjects(report.train, report.serve, model_digest),
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            **{key: document[key] for key in _FROM_REPORT},
            "waivers": [
                {
                    "rule": each.rule,
                    "subject": each.subject,
                    "severity": str(each.severity),
                    "digest": each.digest,
                    "owner": each.waived.owner,
                    "reason": each.waived.reason,
                    "expires": each.waived.expires,
                }
                for each in report.differences
                if each.waived is not None
            ],
            "model": model_digest,
            "tool": version(),
            "created": created,
        },
    }


def _subjects(train: SideSummary, serve: SideSummary, model_digest: str | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for role, side in (("train", train), ("serve", serve)):
        digests = {_ROOT: side.parity_root, _STRICT: side.strict_digest, "sha256": side.snapshot}
        digest = {name: text.removeprefix("sha256:") for name, text in digests.items() if text is not None}
        found.append({"name": side.label, "digest": digest, "annotations": {"role": role}})
    if model_digest is not None:
        algorithm, _, value = model_digest.partition(":")
        found.append({"name": "model", "digest": {algorithm: value}, "annotations": {"role": "model"}})
    return found


def read(payload: bytes, what: str = "statement") -> Proof:
    """What the statement in `payload` says. Check its signature first (`dsse.verify`). `what` names the source in errors.

    Raises UnsupportedStatementError for a newer major version, StatementError for another predicate and for fields that are missing or
    wrong, all of them in one message. Fields that are not known are ignored, as in-toto demands.
    """
    try:
        document = strict_json(payload, what)
    except EnvelopeError as error:
        raise StatementError(*error.args) from error
    _check_types(document, what)
    fields = Fields(document, what)
    inner = fields.inner("predicate")
    proof = _read_predicate(inner)
    fields.items("subject")  # objects, each of them
    if not fields.problems and not _covers(document["subject"], proof):
        fields.problem("subject", "not what the predicate says of train, serve and model")
    if fields.problems:
        raise StatementError("; ".join(fields.problems))
    return proof


def _read_predicate(fields: Fields) -> Proof:
    return Proof(
        verdict=fields.name("verdict", Verdict),
        passed=fields.flag("passed"),
        flags=fields.names("flags", Flag),
        coverage=_read_coverage(fields.inner("coverage")),
        train=_read_side(fields.inner("train")),
        serve=_read_side(fields.inner("serve")),
        model_digest=fields.optional("model", _MODEL),
        policy=_read_policy(fields.inner("policy")),
        rules_version=fields.text("rules_version"),
        counts=_read_counts(fields.inner("counts")),
        waived=tuple(map(_read_waived, fields.items("waivers"))),
        tool=fields.text("tool"),
        created=fields.text("created", _TIME),
    )


def _read_coverage(fields: Fields) -> Coverage:
    unknown = tuple(
        Unknown(each.text("aspect"), each.text("side"), each.text("why")) for each in fields.items("unknown")
    )
    return Coverage(fields.count("known"), fields.count("total"), unknown)


def _read_side(fields: Fields) -> SideSummary:
    return SideSummary(
        label=fields.text("label"),
        kind=fields.text("kind"),
        snapshot=fields.optional("snapshot", _SHA256),
        parity_root=fields.text("parity_root", _SHA256),
        strict_digest=fields.text("strict_digest", _SHA256),
    )


def _read_policy(fields: Fields) -> PolicySummary:
    overrides = fields.inner("overrides")
    return PolicySummary(
        name=fields.text("name"),
        digest=fields.text("digest"),
        maximum=fields.name("maximum", Verdict),
        forbidden=fields.names("forbidden", Flag),
        problems=fields.texts("problems"),
        overrides=tuple(
            (rule, None if overrides.value[rule] == IGNORE else overrides.name(rule, Verdict))
            for rule in overrides.value
        ),
    )


def _read_counts(fields: Fields) -> Counts:
    verdicts = fields.inner("by_verdict")
    counted = [(verdict, verdicts.count(verdict.name)) for verdict in Verdict if verdict.name in verdicts.value]
    for name in sorted(verdicts.value.keys() - Verdict.__members__.keys()):
        verdicts.problem(name, "no verdict that this envparity knows")
    return Counts(
        distributions=fields.count("distributions"),
        reachable=fields.optional_count("reachable"),
        by_verdict=tuple(counted),
        differences=fields.count("differences"),
        waived=fields.count("waived"),
        harmless=fields.count("harmless"),
        unreachable=fields.count("unreachable"),
    )


def _read_waived(fields: Fields) -> Waived:
    return Waived(
        rule=fields.text("rule"),
        subject=fields.text("subject"),
        severity=fields.name("severity", Verdict),
        digest=fields.text("digest"),
        waiver=Waiver(fields.text("owner"), fields.text("reason"), fields.text("expires")),
    )


def _covers(subjects: list[dict[str, Any]], proof: Proof) -> bool:
    """Whether the subjects, which other tools look at, are those of the predicate. A later version may say more of each."""
    wanted = _subjects(proof.train, proof.serve, proof.model_digest)
    return len(subjects) == len(wanted) and all(
        found.get("name") == each["name"]
        and all(
            isinstance(found.get(key), dict) and each[key].items() <= found[key].items()
            for key in ("digest", "annotations")
        )
        for found, each in zip(subjects, wanted, strict=True)
    )


def _check_types(document: dict[str, Any], what: str) -> None:
    for key, wanted, known in (
        ("_type", STATEMENT_TYPE, _STATEMENT_TYPES),
        ("predicateType", PREDICATE_TYPE, _PREDICATE_TYPES),
    ):
        found = document.get(key)
        if found == wanted:
            continue
        newer = known.match(found) if isinstance(found, str) else None
        if newer and int(newer[1]) > 1:
            raise UnsupportedStatementError(
                f"{what}.{key}: {found} is newer than this envparity reads ({wanted}); install a newer one"
            )
        raise StatementError(f"{what}.{key}: want {wanted}, found {found!a}; that is no statement of envparity attest")
