"""Laws of the renderers, on generated reports: whatever names hold, what comes out is well-formed, and says the same."""

from __future__ import annotations

import html
import json
import re
from importlib.resources import files
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree as ET

import jsonschema
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from diffing.escaping import printable
from diffing.policy import beyond
from diffing.rendering import document, junit, markdown, sarif, text
from diffing.rendering.causes import causes
from diffing.rendering.wording import columns
from diffing.verdict import Verdict

from .reports import fleets, reports

SCHEMA = json.loads(files("diffing.rendering").joinpath("parity-report.schema.json").read_text())


def closed(schema):
    """The same schema, refusing keys that it does not describe."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    if "properties" in found:
        found["additionalProperties"] = False
    return found


jsonschema.Draft202012Validator.check_schema(SCHEMA)
DESCRIBED = jsonschema.Draft202012Validator(closed(SCHEMA))
#: The root has an `if` on `required`, not properties of its own.
PUBLISHED = jsonschema.Draft202012Validator(SCHEMA)


@given(fleets())
def test_the_document_is_read_back_as_it_was(found):
    assert document.read(document.render(found)) == tuple(found)


@given(fleets())
def test_the_published_schema_describes_every_key_of_the_document(found):
    value = json.loads(document.render(found))
    PUBLISHED.validate(value)
    DESCRIBED.validate(value)


@given(reports(), st.data())
def test_a_damaged_document_names_the_place(report, data):
    value = document.encode(report)
    place, path = value, "report"
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else list(range(len(place)))))
        path += f".{key}" if isinstance(place, dict) else f"[{key}]"
        inner = place[key]
        if not isinstance(inner, (dict, list)) or not inner or data.draw(st.booleans()):
            break
        place = inner
    if isinstance(place, dict) and data.draw(st.booleans()):
        del place[key]
    else:
        place[key] = data.draw(st.sampled_from([None, -1, 1.5, "nonsense", [], {}, [3], True]))
    try:
        assert isinstance(document.decode(value), type(report))
    except document.DocumentError as error:
        said = str(error).partition(": ")[0]
        assert said.startswith(path) or path.startswith(said)


def numbers(counts):
    """The counts as every renderer must show them; zeros may be left out."""
    found = {
        "distributions": counts.distributions,
        "reachable": counts.reachable,
        "differences": counts.differences,
        "waived": counts.waived,
        "harmless": counts.harmless,
        "unreachable": counts.unreachable,
        **{str(verdict): number for verdict, number in counts.by_verdict},
    }
    return {name: number for name, number in found.items() if number or name == "reachable"}


def sentences(words):
    """The counts in a text for people. Whatever else stands there is in other lines."""
    found = {"reachable": None}
    if match := re.search(r"^reachable ([\d,]+) of ", words, re.MULTILINE):
        found["reachable"] = match[1]
    patterns = {
        "distributions": r"([\d,]+) distributions?\b",
        "differences": r"([\d,]+) differences?\b",
        **{name: rf"([\d,]+) {name}\b" for name in ("waived", "harmless", "unreachable")},
        **{str(verdict): rf"([\d,]+) {str(verdict).lower()}\b" for verdict in Verdict},
    }
    for name, pattern in patterns.items():
        if match := re.search(pattern, words):
            found[name] = match[1]
    found = {name: number and int(number.replace(",", "")) for name, number in found.items()}
    return {name: number for name, number in found.items() if number or name == "reachable"}


def in_text(report, *, full):
    """The lines that begin with what the counts begin with, and the last."""
    lines = text.render([report], full=full).splitlines()
    start = next(at for at, line in enumerate(lines) if re.match(r"reachable [\d,]+ of|[\d,]+ distributions?\b", line))
    end = start + 1
    while end < len(lines) and lines[end].startswith("  "):
        end += 1
    last = [line for line in lines[-1:] if line.startswith(("hidden: ", "not counted: "))]
    return sentences(" ".join(line.strip() for line in [*lines[start:end], *last]))


def in_markdown(report):
    lines = markdown.render([report]).splitlines()
    main = [line for line in lines if re.match(r"reachable [\d,]+ of|[\d,]+ distributions?\b", line)]
    other = [line for line in lines if line.startswith(("<details><summary>All", "Not counted: "))]
    return sentences("\n".join([main[0], *other]))


def in_junit(report):
    suite = ET.fromstring(junit.render([report])).find("testsuite")
    found = {"reachable": None}
    for each in suite.find("properties"):
        if each.get("name").startswith("counts."):
            found[each.get("name").rpartition(".")[2]] = int(each.get("value"))
    return {name: number for name, number in found.items() if number or name == "reachable"}


def in_json(counts):
    found = {**counts, **counts["by_verdict"]}
    del found["by_verdict"]
    return {name: number for name, number in found.items() if number or name == "reachable"}


@given(reports())
def test_every_renderer_shows_the_same_counts(report):
    expected = numbers(report.counts)
    assert in_json(json.loads(document.render([report]))["counts"]) == expected
    assert in_json(json.loads(sarif.render([report]))["runs"][0]["properties"]["counts"]) == expected
    assert in_junit(report) == expected
    assert in_markdown(report) == expected
    for full in (False, True):
        assert in_text(report, full=full) == expected


@given(fleets(), st.booleans())
def test_a_line_of_text_fits_a_terminal_and_cannot_move_its_cursor(found, full):
    commands = " ".join(printable(each.fix.command) for each in found if each.fix)
    longest = max(map(columns, [*commands.split(), commands]), default=0)
    for line in text.render(found, full=full).splitlines():
        assert line.isprintable()
        assert columns(line) <= text.WIDTH or (longest > 60 and line.startswith(("fix: ", "     ")))


@given(fleets())
def test_the_lines_of_text_are_its_spans(found):
    joined = "".join("".join(span.text for span in line) + "\n" for line in text.lines(found))
    assert joined == text.render(found)


@given(reports())
def test_all_differences_are_shown_when_all_are_asked_for(report):
    shown = text.render([report], full=True)
    assert [
        line.strip() for line in shown.splitlines() if re.fullmatch(r" {5}sha256:[a-d]{64}", line)
    ].__len__() >= len(report.differences)
    found = [each for cause in causes(report) for each in cause.differences]
    assert sorted(map(repr, found)) == sorted(map(repr, report.differences))


@given(fleets())
def test_junit_is_xml_and_fails_where_the_policy_does(found):
    rendered = junit.render(found)
    root = ET.fromstring(rendered.encode("utf-8"))
    suites = root.findall("testsuite")
    assert len(suites) == len(found)
    for suite, report in zip(suites, found, strict=True):
        cases = suite.findall("testcase")
        assert int(suite.get("tests")) == len(cases)
        assert int(suite.get("failures")) == len(suite.findall("testcase/failure"))
        assert int(suite.get("skipped")) == len(suite.findall("testcase/skipped"))
        assert (suite.findall("testcase/failure") == []) == report.passed
        assert all(each.get("name") is not None and each.get("classname") for each in cases)
    for name in ("tests", "failures", "skipped"):
        assert int(root.get(name)) == sum(int(suite.get(name)) for suite in suites)


@given(fleets())
def test_sarif_has_what_its_specification_requires(found):
    log = json.loads(sarif.render(found).encode("utf-8"))
    assert log["version"] == "2.1.0"
    for run, report in zip(log["runs"], found, strict=True):
        driver = run["tool"]["driver"]
        assert driver["name"]
        ids = [rule["id"] for rule in driver["rules"]]
        assert len(ids) == len(set(ids))
        for rule in driver["rules"]:
            assert rule["help"]["text"]
            assert rule["shortDescription"]["text"]
        for result, difference in zip(run["results"], report.differences, strict=True):
            assert ids[result["ruleIndex"]] == result["ruleId"] == difference.rule
            assert result["message"]["text"]
            assert (result["level"] == "none") == (result["kind"] != "fail")  # section 3.27.9
            assert (result["level"] == "error") == beyond(difference, report.policy)
            assert ("suppressions" in result) == (difference.waived is not None)
            assert result["partialFingerprints"] == {"difference/v1": difference.digest}
            (location,) = result["locations"]
            artifact = location["physicalLocation"]["artifactLocation"]
            assert re.fullmatch(r"(file:///)?[A-Za-z0-9._~%/-]*", artifact["uri"])  # RFC 3986
            if difference.path and not difference.path.startswith("/"):
                path = unquote_to_bytes(artifact["uri"]).decode("utf-8", "surrogateescape")
                assert (path, artifact["uriBaseId"]) == (difference.path, "ENVIRONMENT")


MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])

#: All the HTML that Markdown of ours makes.
TAGS = "h3|p|br|table|thead|tbody|tr|th|td|code|pre|ul|li|strong|details|summary"


@given(fleets())
def test_markdown_holds_no_markup_but_its_own(found):
    made = MARKDOWN.render(markdown.render(found)).replace("<!-- -->", "")
    assert not re.sub(rf'</?({TAGS})( /| style="[a-z:-]*"| align="[a-z]*")?>', "", made).count("<")
    shown = [cause for report in found for cause in causes(report) if not cause.hidden]
    rows = re.findall(r"<tr>(.*?)</tr>", made, re.DOTALL)
    tables = sum(any(not cause.hidden for cause in causes(report)) for report in found)
    assert len(rows) == len(shown) + tables + (len(found) + 1 if len(found) > 1 else 0)
    for report in found:
        for each in report.differences:
            assert html.escape(printable(each.rule), quote=False) in made
    assert made.count("<details>") == made.count("</details>")


@given(fleets())
def test_what_is_rendered_can_be_written(found):
    for render in (text.render, markdown.render, junit.render, sarif.render, document.render):
        assert render(found).encode("utf-8").endswith(b"\n")
