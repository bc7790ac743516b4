"""The HTML report in a real browser: what the filters show, what scripts and printing do, and that nothing leaves the page."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from diffing.rendering import html
from diffing.verdict import Flag, Level, Verdict

from .samples import DIFFERENCES, DRIFTED, SAMPLES

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

#: The browser's own services must not reach anything either: nothing listens on the discard port.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--proxy-server=127.0.0.1:9"]


class Browser:
    """Headless Chromium with a profile of its own, one run a call."""

    def __init__(self, directory):
        self.directory = directory

    def run(self, source, *arguments, fragment=""):
        """What it wrote to its standard output, and what pages said to the console."""
        page = self.directory / "report.html"
        page.write_text(source, encoding="utf-8")
        profile = f"--user-data-dir={self.directory / 'profile'}"
        address = page.as_uri() + (f"#{fragment}" if fragment else "")
        command = [CHROMIUM, "--headless", *QUIET, profile, "--enable-logging=stderr", *arguments, address]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        try:
            output, log = process.communicate(timeout=120)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        assert process.returncode == 0, log
        return output, [line for line in log.splitlines() if "CONSOLE" in line]

    def dom(self, source, *arguments, fragment=""):
        """The page's elements after its script ran. Fails if anything was said to the console."""
        output, said = self.run(source, "--dump-dom", *arguments, fragment=fragment)
        assert said == []
        return Dom(output)

    def pages(self, source):
        """How many pages it prints on."""
        printed = self.directory / "report.pdf"
        self.run(source, f"--print-to-pdf={printed}")
        data = printed.read_bytes()
        printed.unlink()
        assert data.startswith(b"%PDF-")
        return len(re.findall(rb"/Type\s*/Page\b", data))


class Dom(HTMLParser):
    """The rows and the differences that can be seen, and what the count says."""

    def __init__(self, source):
        super().__init__()
        self.source, self.counts = source, []
        self.rows, self.differences, self.folds = [], [], {}
        self.row, self.counting = None, False
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        names = (found.get("class") or "").split()
        if tag == "tbody" and "group" in names:
            self.row = found
            if "hidden" not in found:
                self.rows.append(found["id"])
        elif "difference" in names and "hidden" not in found and "hidden" not in self.row:
            self.differences.append(found)
        elif tag == "details" and self.row is not None:
            self.folds.setdefault(self.row["id"], "open" in found)
        self.counting = tag == "output"

    def handle_endtag(self, tag):
        self.counting = False

    def handle_data(self, data):
        if self.counting:
            self.counts.append(data)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    return Browser(tmp_path_factory.mktemp("browser"))


def words(one):
    values = (one.owner or one.subject, one.subject, one.path, one.train, one.serve, one.reason, one.because, one.rule)
    return "\n".join(filter(None, (*values, one.digest, *one.evidence, *one.details))).lower()


FILTERS = [
    ("verdict=DRIFTED", lambda one: one.severity is Verdict.DRIFTED),
    (
        "verdict=NUMERIC,COMPATIBLE&level=distributions",
        lambda one: one.severity in (Verdict.NUMERIC, Verdict.COMPATIBLE) and one.level is Level.DISTRIBUTIONS,
    ),
    ("flag=INTEGRITY&waived=no", lambda one: Flag.INTEGRITY in one.flags and not one.waived),
    ("flag=none&reachable=yes", lambda one: not one.flags and one.reachable is True),
    ("reachable=no", lambda one: one.reachable is False),
    ("text=SCIKIT%201.6", lambda one: "scikit" in words(one) and "1.6" in words(one)),
    ("verdict=BOGUS&level=&nonsense=1", lambda _: True),
]


@pytest.mark.parametrize(("fragment", "matches"), FILTERS, ids=[fragment for fragment, _ in FILTERS])
def test_a_filter_in_the_address_shows_what_matches_and_counts_it(browser, fragment, matches):
    expected = [one for one in DRIFTED.differences if matches(one)]
    assert expected, "a filter that nothing matches shows little"
    dom = browser.dom(html.render([DRIFTED]), fragment=fragment)
    seen = [(one["data-verdict"], one["data-level"], one["data-flag"]) for one in dom.differences]
    flags = [" ".join(flag.value for flag in one.flags) or "none" for one in expected]
    assert sorted(seen) == sorted(
        (one.severity.name, one.level.value, flag) for one, flag in zip(expected, flags, strict=True)
    )
    every = len(DRIFTED.differences)
    if len(expected) == every:
        assert dom.counts[0].startswith(f"{every} differences in ")
    else:
        assert dom.counts[0].startswith(f"Showing {len(expected)} of {every} differences, {len(dom.rows)} of ")


def test_five_thousand_differences_are_filtered(browser):
    one = replace(DIFFERENCES[0], waived=None, details=(), flags=())
    found = tuple(
        replace(one, subject=f"p{n % 1700}", owner=f"p{n % 1700}", path=f"p/{n}.py", severity=Verdict(1 + n % 5))
        for n in range(5000)
    )
    dom = browser.dom(html.render([replace(DRIFTED, differences=found)]), fragment="verdict=NUMERIC")
    assert len(dom.differences) == 1000
    rows = {n % 1700 for n in range(5000) if Verdict(1 + n % 5) is Verdict.NUMERIC}
    assert dom.counts == [f"Showing 1,000 of 5,000 differences, {len(rows):,} of 1,700 rows"]


def test_all_sides_follow_one_filter(browser):
    dom = browser.dom(html.render(SAMPLES["fleet"]), fragment="verdict=DRIFTED")
    drifted = [one for report in SAMPLES["fleet"] for one in report.differences if one.severity is Verdict.DRIFTED]
    assert len(dom.differences) == len(drifted)


def test_a_place_in_the_address_opens_its_row(browser):
    dom = browser.dom(html.render([DRIFTED]), fragment="s1-d2")
    assert [row for row, is_open in dom.folds.items() if is_open] == ["s1-d2"]
    assert len(dom.differences) == len(DRIFTED.differences)


def other_script(source):
    """The page with a script that its policy does not know: what a page may run, and what is left where none may."""
    return source.replace("<script>", "<script>document.title = 'owned';", 1)


def test_without_its_script_everything_is_there(browser):
    output, said = browser.run(other_script(html.render([DRIFTED])), "--dump-dom", fragment="verdict=NUMERIC")
    dom = Dom(output)
    assert len(dom.differences) == len(DRIFTED.differences)
    assert "Showing" not in dom.counts[0]
    assert "<title>owned" not in output
    assert len(said) == 1
    assert "Content Security Policy" in said[0]


HOSTILE = [
    "</script><script>document.title='owned'</script>",
    "\"'><img src=x onerror=\"document.title='owned'\">",
    "<svg onload=\"document.title='owned'\">",
    "</title></style></textarea><!--",
    "javascript:document.title='owned'",
    "a\u202egpj.exe\u2066\x1b[31m\x00\udcff\u2028",
]


def test_what_a_report_holds_does_not_run_and_nothing_leaves_the_page(browser):
    found = tuple(
        replace(
            DIFFERENCES[0],
            subject=text,
            owner=text,
            path=text,
            rule=text,
            train=text,
            serve=text,
            reason=text,
            because=text,
            evidence=(text,),
            details=(text,) * 9,
        )
        for text in HOSTILE
    )
    log = browser.directory / "net.json"
    sides = {"train": replace(DRIFTED.train, label=HOSTILE[3]), "serve": replace(DRIFTED.serve, label=HOSTILE[0])}
    dom = browser.dom(html.render([replace(DRIFTED, differences=found, **sides)]), f"--log-net-log={log}")
    assert len(dom.differences) == len(HOSTILE)
    assert re.search(r"<title>Parity FAILED: [^<]*</title>", dom.source)
    assert "<img" not in dom.source
    events = json.loads(log.read_text(encoding="utf-8"))["events"]
    # The browser's own requests (updates, time) say that they come from no origin.
    asked = [
        one["params"]["url"]
        for one in events
        if one.get("params", {}).get("initiator", "not an origin") != "not an origin"
    ]
    assert [address for address in asked if not address.startswith("file:")] == []


@pytest.mark.parametrize("changed", [str, other_script], ids=["with its script", "without"])
def test_printing_opens_the_folds(browser, changed):
    many = [replace(DIFFERENCES[0], subject=f"thing {number}", details=()) for number in range(60)]

    def pages(lines):
        details = tuple(f"changed file {number}" for number in range(lines))
        found = tuple(replace(each, details=details) for each in many)
        return browser.pages(changed(html.render([replace(DRIFTED, differences=found)])))

    short, folded, long, longer = map(pages, (0, 12, 21, 600))
    assert folded >= short + 2
    assert longer == long  # of a thousand paths the first, and where the others are
