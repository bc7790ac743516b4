"""Numbers, sizes, progress bars."""

from __future__ import annotations

import io
import re

import click
import pytest

from registration import console
from registration.parameters import Duration, Size
from registration.progress import progress_bar


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1GB", 1_000_000_000),
        ("500MB", 500_000_000),
        ("1GiB", 1_073_741_824),
        ("1.5 kb", 1_500),
        ("12345", 12_345),
        ("7B", 7),
        ("0.001MB", 1_000),
    ],
)
def test_sizes(text, expected):
    assert Size().convert(text, None, None) == expected


@pytest.mark.parametrize("text", ["", "GB", "1G", "1 GB of disk", "-1GB", "1e9", "1,000", "nan", "1.GB"])
def test_what_is_no_size(text):
    with pytest.raises(click.BadParameter, match="is no size; write 1GB, 500MB, 1GiB or a number of bytes"):
        Size().convert(text, None, None)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.00 kB"),
        (9_994, "9.99 kB"),
        (9_996, "10.0 kB"),
        (99_960, "100 kB"),
        (592_000_000, "592 MB"),
        (999_600_000, "1.00 GB"),
        (1_234_000_000_000, "1.23 TB"),
        (5_000_000_000_000_000, "5000 TB"),
    ],
)
def test_sizes_for_people(number, expected):
    assert console.size(number) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("90s", 90), ("30m", 1800), ("12h", 43_200), ("7d", 604_800), (" 1.5 H ", 5400), (60, 60)],
)
def test_durations(text, expected):
    assert Duration().convert(text, None, None) == expected


@pytest.mark.parametrize("text", ["", "1", "h", "-1h", "1w", "1h30m", "nan", "1e3s"])
def test_what_is_no_duration(text):
    with pytest.raises(click.BadParameter, match="is no duration; write 90s, 30m, 12h, 7d or 0"):
        Duration().convert(text, None, None)


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (3600.0, "1 hour"),
        (7200, "2 hours"),
        (604_800, "7 days"),
        (90, "90 seconds"),
        (120, "2 minutes"),
        (1, "1 second"),
        (0, "0 seconds"),
        (0.5, "0.5 seconds"),
    ],
)
def test_periods_for_people(duration, expected):
    assert console.period(duration) == expected


def test_what_is_not_printable_is_escaped():
    assert console.printable("plain é ü.py") == "plain é ü.py"
    assert console.printable("a\nb\x1b[0m\udcff\u202e") == "a\\nb\\x1b[0m\\xff\\u202e"


def test_columns(capsys):
    console.print_columns([f"name-{number} 1.0" for number in range(13)])
    said = capsys.readouterr().out.splitlines()
    assert re.split("  +", said[0])[1:] == ["name-0 1.0", "name-3 1.0", "name-6 1.0", "name-9 1.0", "name-12 1.0"]
    assert re.split("  +", said[2])[1:] == ["name-2 1.0", "name-5 1.0", "name-8 1.0", "name-11 1.0"]
    assert all(len(line) <= 80 for line in said)


def test_one_long_text_does_not_make_every_column_wide(capsys):
    console.print_columns(["a 1", "b 1", "c 1", "d 1", "x" * 60, "e 1"])
    assert capsys.readouterr().out == f"  a 1  c 1  {'x' * 60}\n  b 1  d 1  e 1\n"


def test_columns_of_nothing_and_of_too_much(capsys):
    console.print_columns([])
    assert not capsys.readouterr().out
    console.print_columns(["a", "x" * 100])
    assert capsys.readouterr().out == f"  a\n  {'x' * 100}\n"


class Screen(io.StringIO):
    def __init__(self, *, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_no_bar_in_a_pipe():
    screen = Screen(terminal=False)
    with progress_bar(screen) as report:
        assert report is None
    assert not screen.getvalue()


def test_no_bar_where_the_stream_is_closed(monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    with progress_bar() as report:
        assert report is None


def test_a_narrow_terminal_has_no_room_for_bars(monkeypatch, capsys):
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    for columns, bars in ((50, False), (100, True)):
        monkeypatch.setenv("COLUMNS", str(columns))
        console.print_table(["layer", "size"], [("thing", "12")], right=["size"], bars=[(1, 1)])
        shown = capsys.readouterr().out
        assert "thing" in shown
        assert ("#" in shown or "\u2588" in shown) == bars


def test_a_table_for_nobody_is_a_closed_pipe(monkeypatch):
    """rich would end the process with 1, which says that something is wrong with the store."""

    def closed(*_):
        raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Screen(terminal=False))
    monkeypatch.setattr("sys.stdout.write", closed)
    with pytest.raises(BrokenPipeError):
        console.print_table(["a"], [("b",)])


def test_no_bar_for_what_takes_less_than_a_second():
    screen, clock = Screen(terminal=True), Clock()
    with progress_bar(screen, clock) as report:
        report("capture", 1, 100)
        clock.now += 0.9
        report("capture", 99, 100)
    assert not screen.getvalue()


def test_a_bar_for_what_takes_longer(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    screen, clock = Screen(terminal=True), Clock()
    with progress_bar(screen, clock) as report:
        clock.now += 1.1
        report("capture", 30, 100)
        clock.now += 0.1
        report("publish [x]", 40, 100)
    assert "capture" in screen.getvalue()
    assert "30%" in screen.getvalue()
    assert "publish [x]" in screen.getvalue()
    assert "40%" in screen.getvalue()
