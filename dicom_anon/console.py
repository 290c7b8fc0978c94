"""What a person sees: progress, the account, tables. The only module that imports rich.

Lives here: rendering of data that others made. Does not live here: any decision.
"""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from collections.abc import Iterable
from types import TracebackType
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
from rich.table import Table
from rich.text import Text

from dicom_anon import tags
from dicom_anon.actions import Removed, Safe, Unchanged
from dicom_anon.assignment import Assignment, Row
from dicom_anon.engine import Decision, Engine
from dicom_anon.errors import Kind, Reason
from dicom_anon.report import NOTES, RunReport

if TYPE_CHECKING:
    from dicom_anon.verify import VerifyReport

MAX_FINDINGS = 200
"""Findings that are listed for a person."""

PLAIN_SECONDS = 5.0
"""Time between two lines of progress where the output is no terminal."""


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
        """Show files and bytes a second."""
        elapsed = task.elapsed or 0.0
        if not elapsed:
            return Text("")
        return Text(f"{task.completed / elapsed:,.0f} files/s  {size_text(task.fields['bytes'] / elapsed)}/s")


class TerminalProgress:
    """A live bar: files, rate, time left, and how many files are in trouble. The total grows with the walk."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _RateColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[trouble]}"),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("de-identifying", total=None, bytes=0, trouble="")

    def update(self, report: RunReport) -> None:
        """Show the account."""
        trouble = f"[red]{report.trouble} in trouble[/]" if report.trouble else ""
        self._progress.update(
            self._task, completed=report.done, total=report.found, bytes=report.written_bytes, trouble=trouble
        )

    def __enter__(self) -> TerminalProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


class NoProgress:
    """Silence."""

    def update(self, report: RunReport) -> None:
        """Say nothing."""

    def __enter__(self) -> NoProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return


class PlainProgress(NoProgress):
    """A line every few seconds, for logs."""

    def __init__(self, console: Console, seconds: float = PLAIN_SECONDS) -> None:
        self._console = console
        self._seconds = seconds
        self._started = self._said = time.monotonic()

    def update(self, report: RunReport) -> None:
        """Say how far it is, if the last line is old enough."""
        now = time.monotonic()
        if now - self._said < self._seconds:
            return
        self._said = now
        rate = report.done / (now - self._started)
        left = f", about {(report.found - report.done) / rate:.0f} s left for these" if rate else ""
        self._console.print(
            f"{report.done:,} of {report.found:,} files found so far, {size_text(report.written_bytes)}, "
            f"{rate:,.0f} files/s{left}, {report.trouble} in trouble",
            highlight=False,
        )


def progress(quiet: bool) -> TerminalProgress | NoProgress:
    """Progress that fits the output."""
    if quiet:
        return NoProgress()
    console = Console(stderr=True)
    return TerminalProgress(console) if console.is_terminal else PlainProgress(console)


class Counting:
    """A bar, or nothing where the output is no terminal, for work that counts files."""

    def __init__(self, label: str, console: Console, quiet: bool) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._progress.add_task(label, total=None)

    def __call__(self, done: int, total: int) -> None:
        """Show how many are done."""
        self._progress.update(self._task, completed=done, total=total)

    def __enter__(self) -> Counting:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


def counting(label: str, quiet: bool) -> Counting:
    """Progress of work that counts files."""
    return Counting(label, Console(stderr=True), quiet)


def show_findings(report: VerifyReport) -> None:
    """Print what the independent look found."""
    console = Console()
    if report.findings:
        table = Table(title=f"{len(report.findings):,} findings", title_justify="left", title_style="red")
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
        f"{verdict} {report.checked:,} of {report.outputs:,} outputs searched for {report.identifiers:,} identifiers "
        f"of {report.sources:,} sources ({size_text(report.bytes_searched)}).",
        highlight=False,
    )


def say(text: str) -> None:
    """Print a line on standard error."""
    Console(stderr=True, soft_wrap=True).print(text, markup=False, highlight=False)


def show_report(report: RunReport, *, verbose: bool, list_at: str = "") -> None:
    """Print the account of a run."""
    console = Console()
    verb = "would be written" if report.dry_run else "written"
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right")
    table.add_column()
    table.add_row(f"{report.found:,}", f"files found ({size_text(report.found_bytes)}), {report.folders:,} folders")
    table.add_row(f"{report.written:,}", f"[green]{verb}[/]")
    if report.unchanged:
        table.add_row(f"{report.unchanged:,}", "written by an earlier run, and unchanged since")
    for kind in Kind:
        style = "" if kind is Kind.SKIPPED else "red"
        for reason in Reason:
            if reason.kind is kind and report.reasons[reason]:
                label = Text(f"{kind.value}: {reason.value}", style=style)
                if verbose or kind is not Kind.SKIPPED:
                    label.append(f"  {reason.meaning}", style="dim")
                table.add_row(f"{report.reasons[reason]:,}", label)
    console.print(table)
    for note, count in sorted(report.notes.items()):
        console.print(f"note: {count:,} {NOTES.get(note, note)}", highlight=False, markup=False)
    rate = report.found / report.seconds if report.seconds else 0.0
    sums = "The account balances." if report.balances else "THE ACCOUNT DOES NOT BALANCE: do not use this output."
    console.print(f"{sums} {report.seconds:.1f} s, {rate:,.0f} files/s", highlight=False)
    if report.trouble and list_at:
        console.print(f"What was not written, and why: {escape(list_at)}", highlight=False, soft_wrap=True)
    if report.interrupted:
        console.print("[red]Interrupted: the rest of the tree was not looked at.[/]")


def show_reasons() -> None:
    """Print the reasons why a file is not written."""
    table = Table()
    for name in ("reason", "outcome", "meaning"):
        table.add_column(name)
    for reason in Reason:
        table.add_row(reason.value, reason.kind.value, reason.meaning)
    Console().print(table)


def mercure_line(row: Row) -> str:
    """One row as mercure-anonymizer prints it."""
    source = row.source.upper()
    key = tags.format_key(row.key)
    return f'{key}: CMD={row.action.command}, PARAM="{row.action.parameter}", SOURCE={source}'


def _record(row: Row) -> dict[str, str]:
    return {
        "tag": tags.format_key(row.key),
        "keyword": tags.keyword_of(row.key),
        "command": row.action.command,
        "parameter": row.action.parameter,
        "source": row.source,
    }


def show_assignment(assignment: Assignment, rows: Iterable[Row], form: str) -> None:
    """Print an assignment as ``table``, ``text``, ``json`` or ``csv``."""
    FORMATS[form](assignment, list(rows))


def _as_table(assignment: Assignment, rows: list[Row]) -> None:
    """Columns of plain text: thousands of rows, which a rich table would take seconds to lay out."""
    head = {name: name.upper() for name in ("tag", "keyword", "command", "parameter", "source")}
    records = [head, *map(_record, rows)]
    widths = {name: min(44, max(len(record[name]) for record in records)) for name in head}
    for record in records:
        sys.stdout.write("  ".join(f"{record[name]:<{widths[name]}}" for name in head).rstrip() + "\n")
    project = f", project {assignment.project}" if assignment.project else ""
    safe = sum(isinstance(row.action, Safe) for row in assignment.rows.values())
    fate = "removed" if assignment.remove_unknown_tags else "kept"
    sys.stdout.write(
        f"\npreset {assignment.preset}{project}: {len(rows)} rows shown; {safe} safe rows in all (--all shows them).\n"
        f"What has no row, private elements above all, is {fate}, at every depth.\n"
    )


def _as_text(assignment: Assignment, rows: list[Row]) -> None:
    sys.stdout.write("".join(mercure_line(row) + "\n" for row in rows))


def _as_json(assignment: Assignment, rows: list[Row]) -> None:
    content = {
        "preset": assignment.preset,
        "project": assignment.project,
        "remove_unknown_tags": assignment.remove_unknown_tags,
        "digest": assignment.digest,
        "rows": [_record(row) for row in rows],
    }
    sys.stdout.write(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _as_csv(assignment: Assignment, rows: list[Row]) -> None:
    out = io.StringIO()
    writer = csv.DictWriter(out, ("tag", "keyword", "command", "parameter", "source"), lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_record, rows))
    sys.stdout.write(out.getvalue())


FORMATS = {"table": _as_table, "text": _as_text, "json": _as_json, "csv": _as_csv}


def show_decisions(engine: Engine, decisions: Iterable[Decision]) -> None:
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
        if engine.is_unknown(decision):
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


def _short(value: str | None) -> str:
    if value is None:
        return "(sequence)"
    shown = value if len(value) <= 60 else value[:57] + "..."
    return escape("".join(char if char.isprintable() else "." for char in shown))
