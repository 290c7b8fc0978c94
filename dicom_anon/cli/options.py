"""Options that several commands take, each with one definition, and what their values stand for.

Not here: the options of the rules (`rules`), and options of one command alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import click

PATH = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, dir_okay=False)
STDOUT = Path("-")

Decorator: TypeAlias = Callable[[Callable[..., None]], Callable[..., None]]


def source_and_destination(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the arguments SRC and DST."""
    command = click.argument("destination", metavar="DST", type=PATH)(command)
    return click.argument("source", metavar="SRC", type=PATH)(command)


def key_file_option(meaning: str) -> Decorator:
    """Give a command ``--key-file``; `read_key_file` reads it."""
    return click.option("--key-file", type=FILE, metavar="FILE", help=meaning)


def read_key_file(path: Path | None) -> bytes | None:
    """Read the key, where a file was named."""
    if path is None:
        return None
    from dicom_anon.runfolder import read_key

    return read_key(path)


def run_dir_option(meaning: str) -> Decorator:
    """Give a command ``--run-dir``."""
    return click.option("--run-dir", type=PATH, metavar="DIR", help=f"{meaning} Default: DST.private beside DST.")


jobs_option = click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Worker processes. Default: the cores this process may use.",
)


def json_option(what: str) -> Decorator:
    """Give a command ``--json``; `write_json` writes there."""
    return click.option(
        "--json", "json_file", type=FILE, metavar="FILE", help=f"Write {what} as JSON; - for standard output."
    )


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write to a file, or to standard output where it is named ``-``."""
    text = json.dumps(content, indent=1) + "\n"
    if path == STDOUT:
        click.echo(text, nl=False)
    else:
        path.write_text(text, "utf-8")


def quiet_option(what: str) -> Decorator:
    """Give a command ``--quiet``."""
    return click.option("-q", "--quiet", is_flag=True, help=f"Show {what} only.")
