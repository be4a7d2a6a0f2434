"""Progress: lines in a log, one line redrawn on a terminal, and a rate of this process alone."""

import io

import pytest

from rac_unet.core import progress
from rac_unet.core.progress import Progress, format_seconds


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Seconds since the start, in a list of one."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def count(stream, clock, **options):
    """60 of 100 photos, two a second, of which 20 were finished before."""
    line = Progress(100, done=20, stream=stream, **options)
    for _ in range(40):
        clock[0] += 0.5
        line.advance()
    line.close()
    return line


def test_a_log_has_plain_lines_now_and_then(clock):
    line = count(stream := io.StringIO(), clock)
    *first, last = lines = stream.getvalue().splitlines()
    assert len(lines) == 3 and "\r" not in stream.getvalue() and stream.getvalue().endswith("\n")
    assert "40/100 photos" in first[0]
    assert [fact for fact in ("60/100 photos", "60 %", "2.0 a second", "0:20 left") if fact not in last] == []
    assert (line.rate, line.seconds) == (2.0, 20.0)


def test_a_terminal_has_one_line(clock):
    count(stream := Terminal(), clock)
    assert stream.getvalue().count("\n") == 1 and stream.getvalue().count("\r") > 30
    assert "60/100 photos" in stream.getvalue().rpartition("\r")[2]


def test_nothing_is_written_where_it_is_off_or_nothing_was_done(clock):
    line = count(stream := io.StringIO(), clock, enabled=False)
    Progress(100, done=100, stream=stream).close()
    assert stream.getvalue() == "" and line.rate == 2.0


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (75, "1:15"), (3700, "1:01:40")])
def test_seconds(seconds, text):
    assert format_seconds(seconds) == text
