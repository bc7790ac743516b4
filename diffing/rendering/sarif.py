"""Parity reports as SARIF 2.1.0 (OASIS), for code scanning: a run for each serving side, a result for each difference."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from diffing.escaping import printable
from diffing.policy import beyond
from diffing.rendering.document import encode
from diffing.rendering.wording import what
from diffing.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from diffing.report import Difference, PolicySummary, Report

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

#: What URIs of files are relative to.
_BASE = "ENVIRONMENT"

#: Where a difference is shown that has no file: a viewer drops a result without one.
_ANYWHERE = "pyvenv.cfg"


#: Keys of the document that need no place in a run's properties: results say it, or nobody who reads this format asks.
_ELSEWHERE = ("schema", "differences", "shares")


def render(reports: Sequence[Report]) -> str:
    """The reports as one log. Names that are no Unicode are escaped; URIs have their bytes."""
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [_run(report) for report in reports]}
    return json.dumps(log, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def _run(report: Report) -> dict[str, Any]:
    first: dict[str, Difference] = {}
    for difference in report.differences:
        first.setdefault(difference.rule, difference)
    rules = sorted(first)
    document = encode(report)
    return {
        "tool": {
            "driver": {
                "name": "envparity",
                "rules": [_rule(first[rule]) for rule in rules],
            }
        },
        # What stands before the last slash is what later runs are compared with.
        "automationDetails": {"id": f"parity/{_quoted(report.train.label)}/{_quoted(report.serve.label)}/"},
        "originalUriBaseIds": {_BASE: {"description": {"text": "the directory of the serving environment"}}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(each, rules, report.policy) for each in report.differences],
        "properties": _printable({key: value for key, value in document.items() if key not in _ELSEWHERE}),
    }


def _printable(value: Any) -> Any:
    """The same values with every text fit to be shown."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable(key): _printable(each) for key, each in value.items()}
    return [_printable(each) for each in value] if isinstance(value, list) else value


def _rule(example: Difference) -> dict[str, Any]:
    """What a rule means, as its first difference says: reason and evidence are the rule's."""
    evidence = ", ".join(example.evidence)
    text = printable(f"{example.reason}. See {evidence}." if evidence else f"{example.reason}.")
    return {
        "id": printable(example.rule),
        "shortDescription": {"text": printable(example.reason) or printable(example.rule)},
        "help": {"text": text},
        "properties": {"tags": [str(example.level)], "evidence": [printable(each) for each in example.evidence]},
    }


def _result(difference: Difference, rules: Sequence[str], policy: PolicySummary) -> dict[str, Any]:
    # Levels other than none belong to failures alone (SARIF 2.1.0, section 3.27.9).
    counts = difference.severity > Verdict.EQUIVALENT or beyond(difference, policy)
    result: dict[str, Any] = {
        "ruleId": printable(difference.rule),
        "ruleIndex": rules.index(difference.rule),
        "kind": "fail" if counts else "informational",
        "level": _level(difference, policy) if counts else "none",
        "message": {"text": _message(difference)},
        "locations": [_location(difference)],
        "partialFingerprints": {"difference/v1": printable(difference.digest)},
        "properties": {
            "severity": str(difference.severity),
            "flags": [str(flag) for flag in difference.flags],
            "reachable": difference.reachable,
            "details": [printable(detail) for detail in difference.details],
            "bytes": difference.bytes,
        },
    }
    waived = difference.waived
    if waived:
        words = f"{waived.reason} ({waived.owner}, until {waived.expires})"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": printable(words)}]
    return result


def _level(difference: Difference, policy: PolicySummary) -> str:
    if beyond(difference, policy):
        return "error"
    return "warning" if difference.severity > Verdict.COMPATIBLE else "note"


def _message(difference: Difference) -> str:
    grade = " ".join([str(difference.severity), *map(str, difference.flags)])
    words: Iterable[str] = filter(None, (printable(difference.reason), printable(difference.because)))
    return f"{what(difference, whole=True)}: {grade}. {'; '.join(words)}".rstrip()


def _location(difference: Difference) -> dict[str, Any]:
    return {
        "physicalLocation": {"artifactLocation": _artifact(difference.path)},
        "logicalLocations": [{"name": printable(difference.subject), "kind": str(difference.level)}],
    }


def _artifact(path: str | None) -> dict[str, str]:
    """A file as a URI (RFC 3986): its bytes, relative to the environment; one outside it is absolute."""
    if not path:
        return {"uri": _ANYWHERE, "uriBaseId": _BASE}
    uri = _quoted(path, safe="/")
    if path.startswith("/"):
        return {"uri": f"file://{'/' + uri.lstrip('/')}"}
    return {"uri": uri, "uriBaseId": _BASE}


def _quoted(text: str, safe: str = "") -> str:
    return quote(text.encode("utf-8", "surrogateescape"), safe)
