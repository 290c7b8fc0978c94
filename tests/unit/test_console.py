"""Progress: which form of it, and that a terminal is left as it was found."""

from __future__ import annotations

import collections
import errno
import functools
import io
import re

import pytest
from rich.console import Console

from dicom_anon import console
from dicom_anon.errors import Reason
from dicom_anon.report import RunReport

HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"
"""What hides and shows the cursor."""


@pytest.fixture(params=[True, False], ids=["terminal", "log"])
def terminal(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def screen(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    shown = io.StringIO()
    made = functools.partial(Console, file=shown, force_terminal=terminal, width=120, _environ={"TERM": "xterm"})
    monkeypatch.setattr(console, "Console", lambda stderr: made())
    return shown


def test_progress_leaves_a_terminal_as_it_was(screen: io.StringIO, terminal: bool) -> None:
    with pytest.raises(KeyboardInterrupt), console.progress(False) as watcher:  # noqa: PT012
        assert watcher is not None
        watcher.update(RunReport(found=10, written=3))
        raise KeyboardInterrupt
    assert screen.getvalue().count(HIDDEN) == screen.getvalue().count(SHOWN) == terminal
    assert ("3/10" in screen.getvalue()) == terminal


def test_counting_leaves_a_terminal_as_it_was(screen: io.StringIO, terminal: bool) -> None:
    with pytest.raises(KeyboardInterrupt), console.counting("verifying", False) as count:  # noqa: PT012
        count(3, 10)
        raise KeyboardInterrupt
    assert screen.getvalue().count(HIDDEN) == screen.getvalue().count(SHOWN) == terminal
    assert ("verifying" in screen.getvalue() and "3/10" in screen.getvalue()) == terminal


def frames(shown: io.StringIO) -> list[str]:
    """Lines as a terminal shows them, without marks of colours and places."""
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.getvalue()))
    return [line.rstrip() for line in lines if line.strip()]


@pytest.mark.parametrize("trouble", [0, 12, 100_000])
@pytest.mark.parametrize("width", [40, 74, 75, 80, 109, 110, 200])
def test_a_bar_is_one_whole_line_of_any_terminal(width: int, trouble: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    made = Console(file=shown, force_terminal=True, width=width, _environ={"TERM": "xterm"})
    monkeypatch.setattr(console, "Console", lambda stderr: made)
    reasons = collections.Counter({Reason.TRUNCATED: trouble})
    with console.progress(False) as watcher:
        assert watcher is not None
        watcher.update(RunReport(found=200_000, written=99_000, written_bytes=10**9, reasons=reasons))
    last = frames(shown)[-1]
    assert f"{99_000 + trouble}/200000" in last
    assert "…" not in last
    gone, to_come = r"\d:\d\d:\d\d", r"(\d:\d\d:\d\d|-:--:--)"
    assert re.search(f"{gone} {to_come} left" if width >= 75 else to_come, last)
    assert bool(re.search(r"[\d,]+ files/s", last)) == (width >= 75)
    assert (f"{trouble} in trouble" in last) == (trouble > 0)
    assert shown.getvalue().count("\n") <= 1


def test_a_terminal_that_moves_no_cursor_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    made = Console(file=shown, force_terminal=True, _environ={"TERM": "dumb"})
    monkeypatch.setattr(console, "Console", lambda stderr: made)
    monkeypatch.setattr(console, "PLAIN_SECONDS", 0)
    with console.progress(False) as watcher:
        assert watcher is not None
        watcher.update(RunReport(found=10, written=3))
    assert shown.getvalue().startswith("3 of 10 files found so far")


def test_work_goes_on_when_its_terminal_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        gone = False

        def write(self, text: str) -> int:
            if self.gone:
                raise OSError(errno.EIO, "Input/output error")
            return super().write(text)

    screen = Terminal()
    monkeypatch.setattr(console, "Console", lambda stderr: Console(file=screen, force_terminal=True))
    with console.progress(False) as watcher:
        assert watcher is not None
        screen.gone = True
        watcher.update(RunReport(found=10, written=3))
    assert HIDDEN in screen.getvalue()


def test_quiet_shows_nothing(screen: io.StringIO) -> None:
    with console.progress(True) as watcher:
        assert watcher is None
    with console.counting("verifying", True) as count:
        count(3, 10)
    assert screen.getvalue() == ""
