"""Figures out of runs, and the report: tables in Markdown, everything in JSON, the machine and its noise.
Not here: running anything (``measure``).
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from statistics import median

from .corpora import Corpus
from .measure import Run
from .tools import LIMITS

NOISY = 1.5
"""When the slowest run of ``cp -r`` takes so many times the quickest, the machine was too noisy to tell."""

CROWDED = 0.25
"""So is it when other programs kept so many processors busy, in the median run of any tool."""

CLEARLY = 0.1
"""Seconds that the whole corpus must take longer than its quarter for the start-up to be told."""

REFERENCES = {"cp": "cp -r", "dcmanon2": "dcmanon, 2 processes"}
"""What every row is compared with: the short name in the report, and the row's name."""


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one tool on one corpus; rates in files per second, sizes in bytes, times in seconds.

    ``startup`` and ``steady`` (the rate without start-up) come from the line through the whole corpus' and a
    quarter's median times. ``ratios`` compare ``rate``; ``best_ratios`` the best runs, which other programs
    disturbed least; ``steady_ratios`` compare ``steady``. ``version`` is None for what is not installed and
    has no figures.
    """

    tool: str
    version: str | None
    files: int = 0
    size: int = 0
    seconds: tuple[float, ...] = ()
    startup: float | None = None
    steady: float | None = None
    peak: int = 0
    worker_peak: int = 0
    cpu_per_1000: float = 0.0
    others: float = 0.0
    problem: str | None = None
    ratios: Mapping[str, float] | None = None
    best_ratios: Mapping[str, float] | None = None
    steady_ratios: Mapping[str, float] | None = None

    @property
    def rate(self) -> float | None:
        """Return the files per second of the median run; None without runs or when a run went wrong."""
        return self.files / median(self.seconds) if self.seconds and not self.problem else None

    @property
    def best(self) -> float | None:
        """Return the files per second of the best run; None as for ``rate``."""
        return self.files / min(self.seconds) if self.seconds and not self.problem else None

    @property
    def spread(self) -> float:
        """Return the longest time over the shortest."""
        return max(self.seconds) / min(self.seconds)


@dataclass(frozen=True, slots=True)
class Table:
    """One corpus and the rows measured on it."""

    corpus: Corpus
    about: str
    rows: tuple[Row, ...]

    @property
    def cp_spread(self) -> float | None:
        """Return the spread of ``cp -r``; None when it was not measured."""
        return next((row.spread for row in self.rows if row.tool == REFERENCES["cp"] and row.seconds), None)

    @property
    def others(self) -> float:
        """Return the processors that other programs kept busy, for the tool that suffered most."""
        return max((row.others for row in self.rows), default=0.0)

    @property
    def noise(self) -> str:
        """Return in words how steady the machine was, beginning with the verdict if it was not."""
        spread = self.cp_spread
        copies = "`cp -r` was not measured" if spread is None else f"the runs of `cp -r` differ {spread:.2f}-fold"
        noisy = (spread or 1.0) > NOISY or self.others > CROWDED
        verdict = "**Too noisy to tell**: " if noisy else "Noise: "
        return f"{verdict}{copies}; other programs kept up to {self.others:.2f} processors busy."


def line(small: tuple[int, float], large: tuple[int, float]) -> tuple[float, float] | None:
    """Return start-up seconds and files per second of ``seconds = start-up + files / rate``.

    Two points (files, seconds) give it; None when the larger tree hardly took longer, so that noise rules.
    """
    (files, seconds), (more_files, more_seconds) = small, large
    if more_files <= files or more_seconds - seconds < CLEARLY:
        return None
    rate = (more_files - files) / (more_seconds - seconds)
    return max(0.0, seconds - files / rate), rate


def row(
    tool: str,
    version: str,
    tree: Corpus,
    runs: Sequence[Run],
    quarter: Sequence[Run] | None,
    quarter_files: int,
) -> Row:
    """Return a tool's row, without ratios; ``quarter`` holds the runs over the smaller tree, if any."""
    seconds = tuple(run.seconds for run in runs)
    problems = [run.problem for run in [*runs, *(quarter or ())] if run.problem]
    fit = None
    if quarter and not problems:
        small = (quarter_files, median(run.seconds for run in quarter))
        fit = line(small, (tree.files, median(seconds)))
    return Row(
        tool=tool,
        version=version,
        files=tree.files,
        size=tree.size,
        seconds=seconds,
        startup=fit[0] if fit else None,
        steady=fit[1] if fit else None,
        peak=max(run.peak for run in runs),
        worker_peak=max(run.worker_peak for run in runs),
        cpu_per_1000=median(run.cpu for run in runs) / tree.files * 1000,
        others=median(run.others for run in runs),
        problem=problems[0] if problems else None,
    )


def compare(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return the rows with their ratios to ``cp -r`` and to dcmanon in two processes.

    A reference that was not measured gives no ratio. A rate without start-up is compared with the reference's
    own where it has one, else with its whole rate.
    """
    references = {key: next((r for r in rows if r.tool == name), None) for key, name in REFERENCES.items()}
    done = []
    for each in rows:
        ratios, best, steady = {}, {}, {}
        for key, reference in references.items():
            if not (reference and reference.rate and reference.best and each.rate and each.best):
                continue
            ratios[key] = each.rate / reference.rate
            best[key] = each.best / reference.best
            if each.steady is not None:
                steady[key] = each.steady / (reference.steady or reference.rate)
        done.append(replace(each, ratios=ratios, best_ratios=best, steady_ratios=steady))
    return tuple(done)


def machine(work: Path) -> dict[str, object]:
    """Return date, processor, memory, kernel, Python, the work folder's file system and the load."""
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": _first(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo")) or platform.processor() or "unknown",
        "cores": cores(),
        "ram_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "file_system": _file_system(work.resolve()),
        "load_at_start": round(os.getloadavg()[0], 2),
    }


def cores() -> int:
    """Return the number of processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _first(pattern: str, path: Path) -> str | None:
    found = re.search(pattern, path.read_text()) if path.exists() else None
    return found.group(1).strip() if found else None


def _file_system(folder: Path) -> str:
    mounts = Path("/proc/mounts")
    best = ("", "unknown")
    for entry in mounts.read_text().splitlines() if mounts.exists() else ():
        _, point, kind, *_ = entry.split()
        if folder.is_relative_to(point) and len(point) >= len(best[0]):
            best = (point, kind)
    return best[1]


def as_json(about: Mapping[str, object], options: Mapping[str, object], tables: Sequence[Table]) -> dict[str, object]:
    """Return everything measured as plain data, every single run's seconds included."""
    corpora = [
        {
            "name": table.corpus.name,
            "about": table.about,
            "files": table.corpus.files,
            "size": table.corpus.size,
            "cp_spread": table.cp_spread,
            "others": table.others,
            "rows": [asdict(each) | {"rate": each.rate} for each in table.rows],
        }
        for table in tables
    ]
    return {"machine": dict(about), "options": dict(options), "corpora": corpora}


def as_markdown(about: Mapping[str, object], repeat: int, tables: Sequence[Table]) -> str:
    """Return the report for people."""
    parts = [
        "{date}; {cpu}, {cores} cores, {ram_gb} GB; {kernel}; Python {python}; {file_system}; "
        "load at the start {load_at_start}.".format(**about),
        f"Tools in turn, warm cache, median of {repeat} runs (best - worst). Ratios of files/s: of median "
        "runs; of best runs; in brackets of median runs without start-up. Peak memory: the largest "
        "process started / its largest worker.",
        LIMITS,
    ]
    parts += [_table(table) for table in tables]
    return "\n\n".join(parts) + "\n"


HEADINGS = (
    "tool", "files", "seconds", "files/s", "MB/s", "start-up s", "x cp -r", "x dcmanon, 2 processes",
    "peak MB", "CPU s per 1,000 files",
)  # fmt: skip


def _table(table: Table) -> str:
    corpus = table.corpus
    lines = [f"### {corpus.name}: {table.about}; files: {corpus.files:,}, {corpus.size / 1e6:,.0f} MB", ""]
    lines += [table.noise, ""]
    lines += [_cells(HEADINGS), _cells(["---"] + ["---:"] * (len(HEADINGS) - 1))]
    lines += [_cells(_texts(each, corpus)) for each in table.rows]
    return "\n".join(lines)


def _cells(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _texts(each: Row, corpus: Corpus) -> list[str]:
    if each.version is None:
        return [each.tool, "not installed"] + [""] * (len(HEADINGS) - 2)
    name = each.tool if each.version == "system" else f"{each.tool} ({each.version})"
    if each.problem or each.rate is None:
        return [name, f"FAILED: {each.problem}"] + [""] * (len(HEADINGS) - 2)
    return [
        name,
        f"{each.files:,}" + (f" of {corpus.files:,}" if each.files < corpus.files else ""),
        f"{median(each.seconds):.3g} ({min(each.seconds):.3g} - {max(each.seconds):.3g})",
        _number(each.rate),
        _number(each.rate * each.size / each.files / 1e6),
        "" if each.startup is None else f"{each.startup:.2f}",
        *(_ratio(each, key) for key in REFERENCES),
        _memory(each),
        f"{each.cpu_per_1000:.2f}",
    ]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _ratio(each: Row, key: str) -> str:
    if not each.ratios or not each.best_ratios or key not in each.ratios:
        return ""
    steady = f" ({each.steady_ratios[key]:.3g})" if each.steady_ratios and key in each.steady_ratios else ""
    return f"{each.ratios[key]:.3g}; {each.best_ratios[key]:.3g}{steady}"


def _memory(each: Row) -> str:
    if not each.peak:
        return ""
    workers = f" / {each.worker_peak / 1e6:.0f}" if each.worker_peak else ""
    return f"{each.peak / 1e6:.0f}{workers}"
