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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .corpora import RECIPES, Corpus, build, subset
from .measure import Job, rounds
from .report import Row, Table, as_json, as_markdown, compare, cores, machine, row
from .tools import FAMILIES, TOOLS, Setup, Tool, variant

WORK = Path(tempfile.gettempdir()) / "dicom-anon-benchmark"

REST = 40
"""Seconds between deleting the runs' trees and measuring again: ext4 does not reuse inodes that were deleted
in the last 35 seconds, and creates files many times slower while it looks for others.
"""

QUARTER = 4
"""A second, smaller tree of one file in so many gives the start-up time."""


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


def _measure(corpus: Corpus, tools: Mapping[Tool, str], setup: Setup, repeat: int, runs: Path) -> list[Row]:
    """Measure the tools on one corpus; those that see all of it on a quarter as well, for the start-up."""
    trees = {tool: corpus if tool.share == 1 else subset(corpus, tool.share) for tool in tools}
    small = subset(corpus, QUARTER)
    jobs = [Job(tool, tree) for tool, tree in trees.items()]
    if small.files < corpus.files:
        jobs += [Job(tool, small) for tool in tools if tool.share == 1 and tool.family != "cp"]
    results = dict(zip(jobs, rounds(jobs, setup, repeat, runs, _tell), strict=True))
    return [
        row(tool.name, tools[tool], tree, results[Job(tool, tree)], results.get(Job(tool, small)), small.files)
        for tool, tree in trees.items()
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
    _rest(work / "deleted")
    runs = Path(tempfile.mkdtemp(prefix="runs-", dir=work))
    try:
        for name in given.corpora:
            corpus = build(work, name, given.scale)
            rows = _measure(corpus, installed, setup, given.repeat, runs)
            rows += [Row(tool.name, None) for tool, version in versions.items() if version is None]
            tables.append(Table(corpus, RECIPES[name].about, compare(rows)))
    finally:
        # Only now: deleting large trees between the runs would slow the creation of files in the next ones.
        shutil.rmtree(runs)
        (work / "deleted").touch()
    options = {"scale": given.scale, "repeat": given.repeat, "workers": setup.workers}
    saved = given.save or work / "benchmark.json"
    saved.write_text(json.dumps(as_json(about, options, tables), indent=1) + "\n")
    print(as_markdown(about, given.repeat, tables))
    _tell(f"saved as {saved}")
    failed = any(each.problem for table in tables for each in table.rows)
    missing = any(tool.required and version is None for tool, version in versions.items())
    return int(failed or missing)


if __name__ == "__main__":
    sys.exit(main())
