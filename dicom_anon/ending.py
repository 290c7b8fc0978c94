"""The early end of a command: the signals that ask for it, and when they may break into what is being done.

Lives here: the signal handlers. Does not live here: what is left to do when a run ends.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # it takes long to import, and signals do not wait
    from dicom_anon.report import RunReport

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ask a process to end: Ctrl-C, whoever stops services, jobs and containers, and a terminal that is closed."""

_AGAIN_SECONDS = 0.01
"""Time after which a signal is sent once more that nobody heard of."""


def _send_again(number: signal.Signals) -> None:
    """Send a signal to the main thread, whatever that waits for."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident, number)  # type: ignore[arg-type] # it has begun
    else:
        _thread.interrupt_main(number)


class FirstSignal:
    """Which signal ends a command, of those that ask for it.

    Attributes
    ----------
    number : int
        The first that came; before one did, that of Ctrl-C.
    came : bool
        One did.
    """

    def __init__(self) -> None:
        self.number: int = signal.SIGINT
        self.came = False

    @property
    def exit_code(self) -> int:
        """What a shell makes of a process that a signal ended."""
        return 128 + self.number

    @contextlib.contextmanager
    def heeded(self) -> Iterator[None]:
        """Let all of `SIGNALS` do what Ctrl-C does, but those that are ignored, as under nohup.

        Only the first one: then the command ends, and nothing is to disturb its last words.
        """
        here = os.getpid()

        def interrupt(number: int, _: object) -> None:
            if os.getpid() != here:
                os._exit(128 + number)  # forked off, and nobody waits for what it would say
            if not self.came:
                self.came, self.number = True, number
                raise KeyboardInterrupt

        def dropped(told: sys.UnraisableHookArgs) -> None:
            if not isinstance(told.exc_value, KeyboardInterrupt):
                hook(told)
                return
            self.came = False  # it came where Python drops what is raised, as while it imports: once more
            threading.Timer(_AGAIN_SECONDS, _send_again, (signal.Signals(self.number),)).start()

        before = {number: old for number, old in _handlers().items() if old not in (signal.SIG_IGN, None)}
        for number in before:
            signal.signal(number, interrupt)
        hook, sys.unraisablehook = sys.unraisablehook, dropped
        try:
            yield
        finally:
            sys.unraisablehook = hook
            if self.came:
                atexit.register(lambda: [signal.signal(each, signal.SIG_IGN) for each in before])  # Python's own end
            else:
                for number, old in before.items():
                    signal.signal(number, old)


def _handlers() -> dict[int, Any]:
    """What is done at each signal; nothing that concerns a thread, which gets none."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.getsignal(number) for number in SIGNALS}


class Ending:
    """Whether a run is to end before all is done.

    Parameters
    ----------
    report : RunReport
        Is told of the signal that ends it.

    Attributes
    ----------
    begun : bool
        Nothing new is to be started.
    """

    def __init__(self, report: RunReport) -> None:
        self.begun = False
        self._report = report
        self._interruptible = False

    @contextlib.contextmanager
    def one_interrupt(self) -> Iterator[None]:
        """Let Ctrl-C end the run, but not between a file and its line in the account; a second changes nothing.

        So does any other of `SIGNALS` that somebody handles, who is told of it as well.
        """
        before: dict[int, Callable[..., Any]] = {number: old for number, old in _handlers().items() if callable(old)}

        def interrupt(number: int, frame: object) -> None:
            if self._report.interrupted:
                return
            self._report.interrupted = self.begun = True
            self._report.ended_by = number
            with contextlib.suppress(KeyboardInterrupt):
                before[number](number, frame)
            if self._interruptible:
                self._interruptible = False
                raise KeyboardInterrupt

        for number in before:
            signal.signal(number, interrupt)
        try:
            yield
        finally:
            for number, old in before.items():
                signal.signal(number, old)

    @contextlib.contextmanager
    def out_of_reach(self) -> Iterator[None]:
        """Start processes that `SIGNALS` do not reach, which often go to a whole group; here they wait meanwhile."""
        if not hasattr(signal, "pthread_sigmask"):
            yield
            return
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    @contextlib.contextmanager
    def may_be_interrupted(self) -> Iterator[None]:
        """Let a signal end at once what is done here: its files are in flight, and looked after when the run ends."""
        self._interruptible = not self.begun
        try:
            yield
        finally:
            self._interruptible = False
