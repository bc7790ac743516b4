"""The JSON form of parity reports, and back, without loss. `parity-report.schema.json` describes it; errors name the key path."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeVar

from diffing.errors import DiffError
from diffing.report import (
    SCHEMA,
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
from snapshot.documents import FormatError, Reader, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    T = TypeVar("T")
    E = TypeVar("E", Flag, Level)

_IGNORE = "ignore"


class DocumentError(DiffError, ValueError):
    """A document that is no parity report, or one that is damaged or of another major version."""


def render(reports: Sequence[Report]) -> str:
    """The document as text. ASCII: a path that is not UTF-8 comes out as lone surrogates."""
    return json.dumps(encode_all(reports), indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def read(data: bytes | str) -> tuple[Report, ...]:
    """The reports of a document as text. Raises DocumentError."""
    try:
        found = parse(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data, "the report")
    except FormatError as error:
        raise DocumentError(str(error)) from error
    return decode_all(found)


def encode_all(reports: Sequence[Report]) -> dict[str, Any]:
    """One report is its own document; of several, which have the train side in common, the baseline stands above."""
    if not reports:
        raise DocumentError("a document needs a report")
    if len(reports) == 1:
        return encode(reports[0])
    return {"schema": SCHEMA, "baseline": _encode_side(reports[0].train), "reports": [encode(each) for each in reports]}


def decode_all(document: object) -> tuple[Report, ...]:
    """What encode_all made. Raises DocumentError."""
    if not isinstance(document, dict) or "reports" not in document:
        return (decode(document),)
    reader = _versioned(_Reader(document, "report"))
    _side(reader.under("baseline"))
    reports = tuple(map(_report, reader.each("reports")))
    if not reports:
        raise DocumentError("report.reports: want one report or more, found none")
    return reports


def encode(report: Report) -> dict[str, Any]:
    """The document of one report, as values that JSON has."""
    return {
        "schema": SCHEMA,
        "verdict": str(report.verdict),
        "passed": report.passed,
        "flags": _names(report.flags),
        "coverage": {
            "known": report.coverage.known,
            "total": report.coverage.total,
            "unknown": [
                {"aspect": each.aspect, "side": each.side, "why": each.why} for each in report.coverage.unknown
            ],
        },
        "train": _encode_side(report.train),
        "serve": _encode_side(report.serve),
        "policy": _encode_policy(report.policy),
        "rules_version": report.rules_version,
        "counts": _encode_counts(report.counts),
        "differences": [_encode_difference(each) for each in report.differences],
        "normalised": [{"rule": each.rule, "count": each.count} for each in report.normalised],
        "shares": [_encode_share(each) for each in report.shares],
        "fix": report.fix
        and {
            "command": report.fix.command,
            "summary": report.fix.summary,
            "pins": list(report.fix.pins),
        },
    }


def _names(flags: Sequence[Flag]) -> list[str]:
    return [str(flag) for flag in flags]


def _encode_side(side: SideSummary) -> dict[str, Any]:
    return {
        "label": side.label,
        "kind": side.kind,
        "snapshot": side.snapshot,
        "parity_root": side.parity_root,
        "strict_digest": side.strict_digest,
    }


def _encode_policy(policy: PolicySummary) -> dict[str, Any]:
    return {
        "name": policy.name,
        "digest": policy.digest,
        "maximum": str(policy.maximum),
        "forbidden": _names(policy.forbidden),
        "problems": list(policy.problems),
        "overrides": {rule: _IGNORE if verdict is None else str(verdict) for rule, verdict in policy.overrides},
    }


def _encode_counts(counts: Counts) -> dict[str, Any]:
    return {
        "distributions": counts.distributions,
        "reachable": counts.reachable,
        "by_verdict": {str(verdict): number for verdict, number in counts.by_verdict},
        "differences": counts.differences,
        "waived": counts.waived,
        "harmless": counts.harmless,
        "unreachable": counts.unreachable,
    }


def _encode_difference(difference: Difference) -> dict[str, Any]:
    waived = difference.waived
    return {
        "rule": difference.rule,
        "level": str(difference.level),
        "severity": str(difference.severity),
        "subject": difference.subject,
        "owner": difference.owner,
        "path": difference.path,
        "train": difference.train,
        "serve": difference.serve,
        "reason": difference.reason,
        "because": difference.because,
        "evidence": list(difference.evidence),
        "flags": _names(difference.flags),
        "reachable": difference.reachable,
        "details": list(difference.details),
        "bytes": difference.bytes,
        "digest": difference.digest,
        "waived": waived and {"owner": waived.owner, "reason": waived.reason, "expires": waived.expires},
    }


def _encode_share(share: Share) -> dict[str, Any]:
    return {
        "owner": share.owner,
        "bytes": share.bytes,
        "files": share.files,
        "differing": share.differing,
        "verdict": str(share.verdict),
        "reachable": share.reachable,
    }


class _Reader(Reader):
    """One JSON object of a report, with the key path for errors."""

    def __init__(self, value: object, path: str) -> None:
        try:
            super().__init__(value, path)
        except FormatError as error:
            raise DocumentError(str(error)) from error

    def get(self, key: str, kind: type) -> Any:
        try:
            return super().get(key, kind)
        except FormatError as error:
            raise DocumentError(str(error)) from error

    def count(self, key: str) -> int:
        try:
            return super().count(key)
        except FormatError as error:
            raise DocumentError(str(error)) from error

    def nullable(self, key: str, read: Callable[[str], T]) -> T | None:
        """What `read` makes of it, None for null; it must be there."""
        return None if self.get(key, object) is None else read(key)

    def under(self, key: str) -> _Reader:
        return _Reader(self.get(key, dict), f"{self.path}.{key}")

    def each(self, key: str) -> Iterator[_Reader]:
        for number, value in enumerate(self.items(key)):
            yield _Reader(value, f"{self.path}.{key}[{number}]")

    def texts(self, key: str) -> tuple[str, ...]:
        found = self.items(key)
        for number, value in enumerate(found):
            if not isinstance(value, str):
                raise DocumentError(f"{self.path}.{key}[{number}]: want str, found {type(value).__name__}")
        return tuple(found)

    def verdict(self, key: str) -> Verdict:
        return _verdict(self.text(key), f"{self.path}.{key}")

    def member(self, key: str, kind: type[E]) -> E:
        return _member(self.text(key), kind, f"{self.path}.{key}")

    def flags(self, key: str) -> tuple[Flag, ...]:
        return tuple(_member(name, Flag, f"{self.path}.{key}[{number}]") for number, name in enumerate(self.texts(key)))


def _verdict(name: object, where: str) -> Verdict:
    if isinstance(name, str) and name in Verdict.__members__:
        return Verdict[name]
    raise DocumentError(f"{where}: want one of {', '.join(Verdict.__members__)}, found {name!r}")


def _member(name: str, kind: type[E], where: str) -> E:
    try:
        return kind(name)
    except ValueError as error:
        raise DocumentError(f"{where}: want one of {', '.join(map(str, kind))}, found {name!r}") from error


def _versioned(reader: _Reader) -> _Reader:
    """Refuse another major version: what its keys mean is not known here. A newer minor version only adds keys."""
    found = reader.text("schema")
    match = re.fullmatch(r"([0-9]{1,6})\.[0-9]{1,6}", found)
    if not match:
        raise DocumentError(f"{reader.path}.schema: want a version such as {SCHEMA}, found {found!r}")
    if match[1] != SCHEMA.partition(".")[0]:
        raise DocumentError(
            f"{reader.path}.schema: version {found} is not one that this envparity reads ({SCHEMA}); use one that fits"
        )
    return reader


def decode(document: object) -> Report:
    """The report of a document of one. Raises DocumentError."""
    return _report(_Reader(document, "report"))


def _report(reader: _Reader) -> Report:
    _versioned(reader)
    return Report(
        verdict=reader.verdict("verdict"),
        passed=reader.flag("passed"),
        flags=reader.flags("flags"),
        coverage=_coverage(reader.under("coverage")),
        train=_side(reader.under("train")),
        serve=_side(reader.under("serve")),
        policy=_policy(reader.under("policy")),
        rules_version=reader.text("rules_version"),
        counts=_counts(reader.under("counts")),
        differences=tuple(map(_difference, reader.each("differences"))),
        normalised=tuple(Normalised(each.text("rule"), each.count("count")) for each in reader.each("normalised")),
        shares=tuple(map(_share, reader.each("shares"))),
        fix=reader.nullable("fix", lambda key: _fix(reader.under(key))),
    )


def _coverage(reader: _Reader) -> Coverage:
    unknown = (Unknown(each.text("aspect"), each.text("side"), each.text("why")) for each in reader.each("unknown"))
    return Coverage(reader.count("known"), reader.count("total"), tuple(unknown))


def _side(reader: _Reader) -> SideSummary:
    digests = (reader.nullable(key, reader.text) for key in ("snapshot", "parity_root", "strict_digest"))
    return SideSummary(reader.text("label"), reader.text("kind"), *digests)


def _policy(reader: _Reader) -> PolicySummary:
    overrides = reader.under("overrides")
    return PolicySummary(
        name=reader.text("name"),
        digest=reader.text("digest"),
        maximum=reader.verdict("maximum"),
        forbidden=reader.flags("forbidden"),
        problems=reader.texts("problems"),
        overrides=tuple(
            (rule, None if name == _IGNORE else _verdict(name, f"{overrides.path}.{rule}"))
            for rule, name in overrides.value.items()
        ),
    )


def _counts(reader: _Reader) -> Counts:
    verdicts = reader.under("by_verdict")
    return Counts(
        distributions=reader.count("distributions"),
        reachable=reader.nullable("reachable", reader.count),
        by_verdict=tuple((_verdict(name, verdicts.path), verdicts.count(name)) for name in verdicts.value),
        differences=reader.count("differences"),
        waived=reader.count("waived"),
        harmless=reader.count("harmless"),
        unreachable=reader.count("unreachable"),
    )


def _difference(reader: _Reader) -> Difference:
    return Difference(
        rule=reader.text("rule"),
        level=reader.member("level", Level),
        severity=reader.verdict("severity"),
        subject=reader.text("subject"),
        owner=reader.nullable("owner", reader.text),
        path=reader.nullable("path", reader.text),
        train=reader.nullable("train", reader.text),
        serve=reader.nullable("serve", reader.text),
        reason=reader.text("reason"),
        digest=reader.text("digest"),
        flags=reader.flags("flags"),
        reachable=reader.nullable("reachable", reader.flag),
        evidence=reader.texts("evidence"),
        because=reader.text("because"),
        details=reader.texts("details"),
        bytes=reader.count("bytes"),
        waived=reader.nullable("waived", lambda key: _waiver(reader.under(key))),
    )


def _waiver(reader: _Reader) -> Waiver:
    return Waiver(reader.text("owner"), reader.text("reason"), reader.text("expires"))


def _share(reader: _Reader) -> Share:
    return Share(
        reader.text("owner"),
        reader.count("bytes"),
        reader.count("files"),
        reader.count("differing"),
        reader.verdict("verdict"),
        reader.nullable("reachable", reader.flag),
    )


def _fix(reader: _Reader) -> Fix:
    return Fix(reader.text("command"), reader.text("summary"), reader.texts("pins"))
