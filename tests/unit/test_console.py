"""Progress: which form of it, and that a terminal is left as it was found."""

from __future__ import annotations

import errno
import functools
import io

import pytest
from rich.console import Console

from dicom_anon import console
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
