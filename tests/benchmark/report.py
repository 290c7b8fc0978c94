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
from .tools import LIMITS, Tool

NOISY = 1.5
"""When the slowest run of ``cp -r`` takes so many times the quickest, the machine was too noisy to tell."""

CROWDED = 0.25
"""So is it when other programs kept so many processors busy, in the median run of any tool."""

CLEARLY = 0.1
"""Seconds that the larger tree must take longer than the smaller for the start-up to be told, and a run longer
than the start-up for the rate without it.
"""

REFERENCES = {"cp": "cp -r", "dcmanon2": "dcmanon, 2 processes"}
"""What every row is compared with: the short name in the report, and the row's name."""


@dataclass(frozen=True, slots=True)
class StartUp:
    """The seconds of one tool that do not depend on the number of files, and the rate without them.

    Both come from the line through the median times of two trees, and are None where the two hardly differ.
    ``seconds`` holds every run's, by the trees' files.
    """

    tool: str
    seconds: Mapping[int, tuple[float, ...]]
    startup: float | None = None
    steady: float | None = None
    others: float = 0.0
    problem: str | None = None

    @property
    def spread(self) -> float:
        """Return the longest time over the shortest, of the tree where they differ most."""
        return max(max(runs) / min(runs) for runs in self.seconds.values())


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one tool on one corpus; rates in files per second, sizes in bytes, times in seconds.

    ``startup`` is that of the tool's ``StartUp``, and ``steady`` the rate of the median run without it.
    ``in_process`` says that this tree is done without the pool of workers that the tool has for larger ones, so
    that ``startup`` is the one without a pool. ``ratios`` compare ``rate``; ``best_ratios`` the best runs, which
    other programs disturbed least; ``steady_ratios`` compare ``steady``. ``version`` is None for what is not
    installed and has no figures.
    """

    tool: str
    version: str | None
    files: int = 0
    size: int = 0
    seconds: tuple[float, ...] = ()
    startup: float | None = None
    in_process: bool = False
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
        return f"{verdict}{copies}; {_others(self.others)}."


def line(small: tuple[int, float], large: tuple[int, float]) -> tuple[float, float] | None:
    """Return start-up seconds and files per second of ``seconds = start-up + files / rate``.

    Two points (files, seconds) give it; None when the larger tree hardly took longer, so that noise rules.
    """
    (files, seconds), (more_files, more_seconds) = small, large
    if more_files <= files or more_seconds - seconds < CLEARLY:
        return None
    rate = (more_files - files) / (more_seconds - seconds)
    return max(0.0, seconds - files / rate), rate


def start_up(tool: str, runs: Mapping[int, Sequence[Run]]) -> StartUp:
    """Return a tool's start-up from its runs over two trees, by the trees' files."""
    seconds = {files: tuple(run.seconds for run in done) for files, done in runs.items()}
    problem = next((run.problem for done in runs.values() for run in done if run.problem), None)
    small, large = ((files, median(seconds[files])) for files in sorted(seconds))
    startup, steady = (None if problem else line(small, large)) or (None, None)
    others = max(median(run.others for run in done) for done in runs.values())
    return StartUp(tool, seconds, startup, steady, others, problem)


def _steady(files: int, seconds: float, startup: float | None) -> float | None:
    """Return the files per second without start-up; None when that is unknown or hardly anything is left."""
    if startup is None or seconds - startup < CLEARLY:
        return None
    return files / (seconds - startup)


def row(tool: Tool, version: str, tree: Corpus, runs: Sequence[Run], start: StartUp | None) -> Row:
    """Return a tool's row, without ratios; ``start`` is the start-up it has over such a tree, if known."""
    seconds = tuple(run.seconds for run in runs)
    startup = start.startup if start else None
    return Row(
        tool=tool.name,
        version=version,
        files=tree.files,
        size=tree.size,
        seconds=seconds,
        startup=startup,
        in_process=tool.over(tree) is not tool,
        steady=_steady(tree.files, median(seconds), startup),
        peak=max(run.peak for run in runs),
        worker_peak=max(run.worker_peak for run in runs),
        cpu_per_1000=median(run.cpu for run in runs) / tree.files * 1000,
        others=median(run.others for run in runs),
        problem=next((run.problem for run in runs if run.problem), None),
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


def as_json(
    about: Mapping[str, object], options: Mapping[str, object], starts: Sequence[StartUp], tables: Sequence[Table]
) -> dict[str, object]:
    """Return everything measured as plain data, every single run's seconds included."""
    start_ups = [
        asdict(each) | {"seconds": [{"files": n, "seconds": runs} for n, runs in each.seconds.items()]}
        for each in starts
    ]
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
    return {"machine": dict(about), "options": dict(options), "start_ups": start_ups, "corpora": corpora}


def as_markdown(about: Mapping[str, object], repeat: int, starts: Sequence[StartUp], tables: Sequence[Table]) -> str:
    """Return the report for people."""
    parts = [
        "{date}; {cpu}, {cores} cores, {ram_gb} GB; {kernel}; Python {python}; {file_system}; "
        "load at the start {load_at_start}.".format(**about),
        f"Tools in turn, warm cache, median of {repeat} runs (best - worst). Ratios of files/s: of median "
        "runs; of best runs; in brackets of median runs without start-up. Peak memory: the largest "
        "process started / its largest worker. 'In process': dicom-anon does so small a tree without workers, and "
        "starts up as with 1 worker.",
        LIMITS,
    ]
    if starts:
        parts.append(_start_ups(starts))
    parts += [_table(table) for table in tables]
    return "\n\n".join(parts) + "\n"


AFTER = "ms/file after start-up"

HEADINGS = (
    "tool", "files", "seconds", "files/s", "MB/s", "start-up s", AFTER, "x cp -r", "x dcmanon, 2 processes",
    "peak MB", "CPU s per 1,000 files",
)  # fmt: skip


def _start_ups(starts: Sequence[StartUp]) -> str:
    """Return the section about start-up: two trees for each tool, and the line through them."""
    headings = ["tool", *(f"seconds, {files:,} files" for files in starts[0].seconds), "start-up s", AFTER]
    spread, others = max(each.spread for each in starts), max(each.others for each in starts)
    verdict = "**Too noisy to tell**: " if spread > NOISY or others > CROWDED else "Noise: "
    lines = ["### Start-up: the line through two trees of header-only objects", ""]
    lines += [f"{verdict}runs differ up to {spread:.2f}-fold; {_others(others)}.", ""]
    lines += [_cells(headings), _cells(["---"] + ["---:"] * (len(headings) - 1))]
    lines += [_cells(_start_texts(each)) for each in starts]
    return "\n".join(lines)


def _start_texts(each: StartUp) -> list[str]:
    if each.problem:
        return [each.tool, f"FAILED: {each.problem}"] + [""] * (len(each.seconds) + 1)
    startup = "too short to tell" if each.startup is None else f"{each.startup:.2f}"
    return [each.tool, *map(_seconds, each.seconds.values()), startup, _per_file(each.steady)]


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
        _seconds(each.seconds),
        _number(each.rate),
        _number(each.rate * each.size / each.files / 1e6),
        _startup(each),
        _per_file(each.steady),
        *(_ratio(each, key) for key in REFERENCES),
        _memory(each),
        f"{each.cpu_per_1000:.2f}",
    ]


def _seconds(seconds: Sequence[float]) -> str:
    return f"{median(seconds):.3g} ({min(seconds):.3g} - {max(seconds):.3g})"


def _startup(each: Row) -> str:
    startup = "" if each.startup is None else f"{each.startup:.2f}"
    return f"{startup} in process".strip() if each.in_process else startup


def _per_file(steady: float | None) -> str:
    return "" if steady is None else f"{1000 / steady:.3g}"


def _others(busy: float) -> str:
    return f"other programs kept up to {busy:.2f} processors busy"


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
