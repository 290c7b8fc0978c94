"""What a person sees: progress, the account, tables. The only module that imports rich.

Lives here: rendering of data that others made. Does not live here: any decision.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

from dicom_anon import tags
from dicom_anon.actions import Removed, Unchanged
from dicom_anon.errors import Kind, Reason

if TYPE_CHECKING:
    from dicom_anon.explaining import Decision
    from dicom_anon.report import RunReport
    from dicom_anon.runfolder import RunFolder
    from dicom_anon.runner import Watcher
    from dicom_anon.verify import VerifyReport
    from dicom_anon.worker import FileResult

MAX_FINDINGS = 200
"""Findings that are listed for a person."""

PLAIN_SECONDS = 5.0
"""Time between two lines of progress where the output is no terminal, or one that cannot show a bar."""

WIDTH_FOR_BAR, WIDTH_FOR_ALL = 75, 110
"""Columns of a terminal from which progress has a bar and rates, and from which it has all."""


def size_text(count: float) -> str:
    """Bytes for people, in powers of 1000.

    >>> size_text(1_234_567), size_text(12)
    ('1.2 MB', '12 B')
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Show files a second."""
        return Text(f"{task.completed / task.elapsed:,.0f} files/s" if task.elapsed else "")


class _BytesColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Show bytes a second."""
        return Text(f"{size_text(task.fields['bytes'] / task.elapsed)}/s" if task.elapsed else "")


class _TerminalProgress:
    """The account on a live bar. The total grows with the walk."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("de-identifying", total=None, bytes=0, trouble="")

    def update(self, report: RunReport) -> None:
        """Show the account."""
        trouble = f"[red]{report.trouble} in trouble[/]" if report.trouble else ""
        self._bar.update(
            self._task, completed=report.done, total=report.found, bytes=report.written_bytes, trouble=trouble
        )


class _PlainProgress:
    """A line every few seconds, for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = self._said = time.monotonic()

    def update(self, report: RunReport) -> None:
        """Say how far it is, if the last line is old enough."""
        now = time.monotonic()
        if now - self._said < PLAIN_SECONDS:
            return
        self._said = now
        rate = report.done / (now - self._started)
        left = f", about {(report.found - report.done) / rate:.0f} s left for these" if rate else ""
        line = (
            f"{report.done:,} of {report.found:,} files found so far, {size_text(report.written_bytes)}, "
            f"{rate:,.0f} files/s{left}, {report.trouble} in trouble"
        )
        with contextlib.suppress(OSError):  # a log that takes no more does not end the run, as with rich
            print(line, file=self._console.file, flush=True)


class _Bar(Progress):
    """A bar whose work is not lost with the terminal."""

    def stop(self) -> None:
        """Take the bar away, if there is still something to take it from."""
        with contextlib.suppress(OSError):
            super().stop()


def _bar(console: Console, *columns: ProgressColumn, disable: bool = False) -> Progress:
    """A bar that is gone when its work is done."""
    return _Bar(*columns, console=console, transient=True, expand=True, disable=disable)


def _rest_of_line() -> BarColumn:
    return BarColumn(bar_width=None, table_column=Column(ratio=1))


def _columns(width: int) -> list[ProgressColumn]:
    """What of a run's progress fits in a line: broken lines, or words cut to a letter, tell nothing."""
    count, left, trouble = MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[trouble]}")
    if width < WIDTH_FOR_BAR:
        return [count, left, trouble]
    begin, end = [_rest_of_line(), count, _RateColumn()], [TimeElapsedColumn(), left, TextColumn("left"), trouble]
    if width < WIDTH_FOR_ALL:
        return [*begin, *end]
    return [SpinnerColumn(), TextColumn("{task.description}"), *begin, _BytesColumn(), *end]


@contextlib.contextmanager
def progress(quiet: bool) -> Iterator[Watcher | None]:
    """Progress of a run, in a form that fits the output: files, rate, time left, and how many files are in trouble."""
    console = Console(stderr=True)
    if quiet:
        yield None
    elif console.is_terminal and not console.is_dumb_terminal:
        bar = _bar(console, *_columns(console.width))
        watcher = _TerminalProgress(bar)
        with bar:
            yield watcher
    else:
        yield _PlainProgress(console)


@contextlib.contextmanager
def counting(label: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Progress of work that counts files: a bar, or nothing where the output is no terminal."""
    console = Console(stderr=True)
    begin = (SpinnerColumn(), TextColumn("{task.description}"))
    count, left = MofNCompleteColumn(), TimeRemainingColumn()
    bar = _bar(console, *begin, _rest_of_line(), count, left, disable=quiet or not console.is_terminal)
    task = bar.add_task(label, total=None)

    def show(done: int, total: int) -> None:
        bar.update(task, completed=done, total=total)

    with bar:
        yield show


def show_findings(report: VerifyReport, *, stderr: bool = False) -> None:
    """Print what the independent look found."""
    console = _console(stderr=stderr)
    if report.findings:
        number = len(report.findings)
        table = Table(title=f"{number:,} {_of('finding', number)}", title_justify="left", title_style="red")
        for name in ("file", "offset", "element", "kind", "check"):
            table.add_column(name, overflow="fold")
        for found in report.findings[:MAX_FINDINGS]:
            offset = "" if found.offset is None else str(found.offset)
            table.add_row(escape(found.file), offset, escape(found.element), found.kind, found.check)
        console.print(table)
        if len(report.findings) > MAX_FINDINGS:
            console.print(f"... and {len(report.findings) - MAX_FINDINGS:,} more; --json has them all")
    verdict = "[green]Nothing was found.[/]" if report.clean else "[red]Do not pass this output on.[/]"
    console.print(
        f"{verdict} {report.checked:,} of {report.outputs:,} {_of('output', report.outputs)} searched for "
        f"{report.identifiers:,} {_of('identifier', report.identifiers)} of {report.sources:,} "
        f"{_of('source', report.sources)} ({size_text(report.bytes_searched)}).",
        highlight=False,
    )


def say(text: str) -> None:
    """Print a line on standard error."""
    Console(stderr=True, soft_wrap=True).print(text, markup=False, highlight=False)


def show_report(report: RunReport, *, verbose: bool, kept: RunFolder | None = None, stderr: bool = False) -> None:
    """Print the account of a run, and where its lists are kept."""
    from dicom_anon.report import NOTES
    from dicom_anon.runfolder import BURNED_IN_NAME

    console = _console(stderr=stderr)
    verb = "would be written" if report.dry_run else "written"
    found = f"{_of('file', report.found)} found ({size_text(report.found_bytes)})"
    rows = [(report.found, Text(f"{found}, {report.folders:,} {_of('folder', report.folders)}"))]
    rows.append((report.written, Text(verb, style="green")))
    if report.unchanged:
        rows.append((report.unchanged, Text("written by an earlier run, and unchanged since")))
    for kind in Kind:
        style = "" if kind is Kind.SKIPPED else "red"
        for reason in Reason:
            if reason.kind is kind and report.reasons[reason]:
                label = Text(f"{kind.value}: {reason.value}", style=style)
                if verbose or kind is not Kind.SKIPPED:
                    label.append(f"  {reason.meaning}", style="dim")
                rows.append((report.reasons[reason], label))
    width = max(len(f"{number:,}") for number, _ in rows)
    for number, text in rows:
        console.print(Text.assemble((f"{number:>{width},}  ", "bold cyan"), text))
    for note, count in sorted(report.notes.items()):
        console.print(f"note: {count:,} {NOTES.get(note, note)}", highlight=False, markup=False)
    rate = report.found / report.seconds if report.seconds else 0.0
    sums = "The account balances." if report.balances else "THE ACCOUNT DOES NOT BALANCE: do not use this output."
    console.print(f"{sums} {report.seconds:.1f} s, {rate:,.0f} files/s", highlight=False)
    if kept and report.trouble:
        _say_where(console, "What was not written, and why", kept.problems_path)
    if kept and _has_rows(kept.path / BURNED_IN_NAME):
        _say_where(console, "What may show text in its pixels", kept.path / BURNED_IN_NAME)
    if report.interrupted:
        console.print("[red]Interrupted: the rest of the tree was not looked at.[/]")
        if kept:
            console.print("The same command again does the rest.")


def _has_rows(path: Path) -> bool:
    """Tell whether a list holds more than its header."""
    with contextlib.suppress(OSError), open(path, "rb") as lines:
        return sum(1 for _ in itertools.islice(lines, 2)) == 2
    return False


def _say_where(console: Console, what: str, path: Path) -> None:
    console.print(f"{what}: {escape(str(path))}", highlight=False, soft_wrap=True)


def _console(*, stderr: bool = False) -> Console:
    """Console that breaks lines on a terminal only: scripts search them."""
    console = Console(stderr=stderr)
    if not console.is_terminal:
        console.soft_wrap = True
        console.width = 200  # tables break lines all the same
    return console


def _of(name: str, number: int) -> str:
    return name if number == 1 else f"{name}s"


def show_reasons() -> None:
    """Print the reasons why a file is not written."""
    table = Table()
    for name in ("reason", "outcome", "meaning"):
        table.add_column(name)
    for reason in Reason:
        table.add_row(reason.value, reason.kind.value, reason.meaning)
    Console().print(table)


def show_decisions(decisions: Iterable[Decision]) -> None:
    """Print what is decided for each element of one file, before and after; nested ones indented."""
    console = Console()
    table = Table(title="values below are the patient's own", title_justify="left", title_style="red")
    for name in ("element", "VR", "command", "before", "after"):
        table.add_column(name, overflow="fold")
    creators: set[str] = set()
    unknown: list[str] = []
    for decision in decisions:
        place = "  " * decision.depth + tags.format_tag(decision.tag)
        name = tags.keyword_of(decision.tag) or decision.creator
        if decision.creator:
            creators.add(decision.creator)
        if decision.unknown:
            unknown.append(tags.format_tag(decision.tag))
        gone = isinstance(decision.outcome, Removed)
        same = isinstance(decision.outcome, Unchanged)
        before = "(absent)" if decision.inserted else _short(decision.before)
        after = "(removed)" if gone else "=" if same else _short(decision.after)
        style = "red" if gone else "" if same else "green"
        table.add_row(
            escape(f"{place} {name}"),
            decision.vr,
            escape(decision.action.describe()),
            before,
            after,
            style=style,
        )
    console.print(table)
    shown = ", ".join(sorted(creators)) or "none"
    console.print(f"Private creators: {escape(shown)}", highlight=False)
    listed = ", ".join(dict.fromkeys(unknown)) or "none"
    console.print(f"Without a row of their own: {listed}", highlight=False)


def show_answer(result: FileResult) -> None:
    """Print that a run would write a file, and what it would count it under."""
    from dicom_anon.report import NOTES
    from dicom_anon.worker import BURNED_IN

    console = _console()
    console.print("A run would write this file.")
    for note in result.notes:
        detail = f" ({result.detail})" if note == BURNED_IN else ""
        console.print(f"note: {NOTES.get(note, note)}{detail}", highlight=False, markup=False)


def _short(value: str | None) -> str:
    if value is None:
        return "(sequence)"
    shown = value if len(value) <= 60 else value[:57] + "..."
    return escape("".join(char if char.isprintable() else "." for char in shown))
