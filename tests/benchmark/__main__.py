"""The benchmark's command line: builds the corpora, runs the tools over them, prints and saves the report.
Not here: anything that is measured or calculated.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from .corpora import RECIPES, Corpus, build, start_trees, subset
from .measure import Job, rounds
from .report import Row, StartUp, Table, as_json, as_markdown, compare, cores, machine, row, start_up
from .tools import FAMILIES, TOOLS, Setup, Tool, variant

WORK = Path(tempfile.gettempdir()) / "dicom-anon-benchmark"

REST = 40
"""Seconds between deleting the runs' trees and measuring again: ext4 does not reuse inodes that were deleted
in the last 35 seconds, and creates files many times slower while it looks for others.
"""


def _names(accepted: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in accepted:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(accepted)}")
        return names

    return parse


def _variant(text: str) -> Tool:
    name, _, arguments = text.partition("=")
    return variant(name, shlex.split(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__)
    add = parser.add_argument
    add("--scale", type=float, default=1.0, help="share of the files to make and use (default: 1.0)")
    add("--corpora", type=_names(tuple(RECIPES)), default=list(RECIPES), help=",".join(RECIPES))
    add("--tools", type=_names(FAMILIES), default=list(FAMILIES), help=",".join(FAMILIES))
    add("--repeat", type=int, default=5, help="runs that count, after one that does not (default: 5)")
    add("--work", type=Path, default=WORK, help=f"folder for corpora and runs (default: {WORK})")
    add("--save", type=Path, help="the JSON file to write (default: benchmark.json in the work folder)")
    add("--peer-python", default=sys.executable, help="a Python that has the peers (default: this one)")
    add(
        "--variant", type=_variant, action="append", default=[], metavar="NAME=ARGUMENTS",
        help="measure dicom-anon with further arguments as well, such as 'basic=--config basic.json'",
    )  # fmt: skip
    return parser


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _timed(tools: Iterable[Tool], tree: Corpus) -> list[Tool]:
    """Return the tools whose start-up is to be measured; no pool of workers where ``tree`` gets none."""
    wanted = [timed for tool in tools if tool.starts for timed in (tool.alone, tool.over(tree))]
    return [tool for tool in dict.fromkeys(wanted) if tool]


def _start_ups(
    trees: Sequence[Corpus], tools: Iterable[Tool], setup: Setup, repeat: int, runs: Path
) -> dict[Tool, StartUp]:
    """Measure the start-up of the tools on two trees, the smaller one first."""
    timed = _timed(tools, trees[0])
    jobs = [Job(tool, tree) for tool in timed for tree in trees]
    results = dict(zip(jobs, rounds(jobs, setup, repeat, runs, _tell), strict=True))
    return {tool: start_up(tool.name, {tree.files: results[Job(tool, tree)] for tree in trees}) for tool in timed}


def _measure(
    corpus: Corpus, tools: Mapping[Tool, str], starts: Mapping[Tool, StartUp], setup: Setup, repeat: int, runs: Path
) -> list[Row]:
    """Measure the tools on one corpus; ``starts`` are their start-ups."""
    trees = {tool: corpus if tool.share == 1 else subset(corpus, tool.share) for tool in tools}
    results = rounds([Job(tool, tree) for tool, tree in trees.items()], setup, repeat, runs, _tell)
    return [
        row(tool, tools[tool], tree, done, starts.get(tool.over(tree)))
        for (tool, tree), done in zip(trees.items(), results, strict=True)
    ]


def _rest(deleted: Path) -> None:
    """Wait until the trees of an earlier benchmark are deleted for long enough; ``deleted`` says when."""
    left = REST - (time.time() - deleted.stat().st_mtime) if deleted.exists() else 0
    if left > 0:
        _tell(f"waiting {left:.0f} s: the last benchmark's trees were deleted a moment ago")
        time.sleep(left)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 1 when a tool failed or dicom-anon was asked for and is missing, else 0."""
    given = _parser().parse_args(arguments)
    work: Path = given.work
    setup = Setup(cores(), given.peer_python)
    versions = {tool: tool.version(setup) for tool in (*TOOLS, *given.variant) if tool.family in given.tools}
    installed = {tool: version for tool, version in versions.items() if version is not None}
    work.mkdir(parents=True, exist_ok=True)
    about = machine(work)
    tables = []
    starts: dict[Tool, StartUp] = {}
    _rest(work / "deleted")
    runs = Path(tempfile.mkdtemp(prefix="runs-", dir=work))
    try:
        if any(tool.starts for tool in installed):
            trees = start_trees(work, given.scale)
            starts = _start_ups(trees, installed, setup, given.repeat, runs / "start-up")
        for name in given.corpora:
            corpus = build(work, name, given.scale)
            rows = _measure(corpus, installed, starts, setup, given.repeat, runs)
            rows += [Row(tool.name, None) for tool, version in versions.items() if version is None]
            tables.append(Table(corpus, RECIPES[name].about, compare(rows)))
    finally:
        # Only now: deleting large trees between the runs would slow the creation of files in the next ones.
        shutil.rmtree(runs)
        (work / "deleted").touch()
    options = {"scale": given.scale, "repeat": given.repeat, "workers": setup.workers}
    saved = given.save or work / "benchmark.json"
    told = list(starts.values())
    saved.write_text(json.dumps(as_json(about, options, told, tables), indent=1) + "\n")
    print(as_markdown(about, given.repeat, told, tables))
    _tell(f"saved as {saved}")
    problems = [each.problem for each in told] + [each.problem for table in tables for each in table.rows]
    missing = any(tool.required and version is None for tool, version in versions.items())
    return int(any(problems) or missing)


if __name__ == "__main__":
    sys.exit(main())
