"""Options that several commands take, each with one definition, and what their values stand for.

Not here: the options of the rules (`rules`), and options of one command alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

import click


class _Path(click.Path):
    """A path that can be looked up, whether something is there or not."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """Refuse what is no path; an empty one would be the working folder."""
        if not os.fspath(value):
            self.fail("it is empty", param, ctx)
        try:
            os.stat(value)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            self.fail(f"{click.format_filename(value)!r}: {error.strerror}", param, ctx)
        return super().convert(value, param, ctx)


PATH = _Path(path_type=Path)
FILE = _Path(path_type=Path, dir_okay=False)
FOLDER = _Path(path_type=Path, file_okay=False)
STDOUT = Path("-")

Decorator: TypeAlias = Callable[[Callable[..., None]], Callable[..., None]]
Files: TypeAlias = "list[tuple[str, Path | None]]"
"""Options and the files that they name, if any."""


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


JOBS_PER_CORE = 4
"""More workers than cores help where files come over a network; more than this only take memory."""


def _capped(_context: click.Context, _option: click.Parameter, jobs: int | None) -> int | None:
    if jobs is None:
        return None
    from dicom_anon.api import usable_cores

    return min(jobs, JOBS_PER_CORE * usable_cores())


jobs_option = click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    callback=_capped,
    help=f"Worker processes, at most {JOBS_PER_CORE} for each core. Default: one for each usable core.",
)


type_option = click.option(
    "--type",
    "depth",
    type=click.Choice(["batch", "folder"]),
    default="batch",
    show_default=True,
    help="The whole tree, or only the files directly in SRC.",
)


def json_option(what: str) -> Decorator:
    """Give a command ``--json``; `write_json` writes there."""
    return click.option(
        "--json",
        "json_file",
        type=FILE,
        metavar="FILE",
        help=f"Write {what} as JSON; - for standard output, and nothing else there.",
    )


def write_json(path: Path, content: dict[str, Any]) -> bool:
    """Write to a file, or to standard output where it is named ``-``; say so, and return False, where that fails."""
    text = json.dumps(content, indent=1) + "\n"
    try:
        if path == STDOUT:
            click.echo(text, nl=False)
        else:
            path.write_text(text, "utf-8")
    except BrokenPipeError:
        raise
    except OSError as error:
        click.echo(f"error: --json could not be written: {error.strerror}", err=True)
        return False
    return True


def check_output(option: str, path: Path, *, made: Iterable[Path] = (), others: Files) -> None:
    """Refuse, before the work begins, a file that could not be written at its end, or would take the place of another.

    Nothing is made or changed here. Whether it lies inside SRC or DST is asked elsewhere (`places.check_apart`).

    Parameters
    ----------
    option : str
        Which option names it.
    path : Path
        The file; it may be there already.
    made : iterable of Path
        Folders that the work makes.
    others : Files
        What other options name.
    """
    from dicom_anon.errors import UsageError

    real = Path(os.path.realpath(path))
    for name, other in others:
        if other is not None and real == Path(os.path.realpath(other)):
            raise UsageError(f"{option} and {name} name the same file")
    if problem := _obstacle(path, real.parent, {Path(os.path.realpath(folder)) for folder in made}):
        raise UsageError(f"{option} cannot be written: {problem}")


def _obstacle(path: Path, folder: Path, made: set[Path]) -> str:
    """Tell why a file cannot be written, if so."""
    if path.is_dir():
        return "it is a folder"
    if path.exists():
        return "" if os.access(path, os.W_OK) else "it is write-protected"
    if folder in made:
        return ""
    if not folder.is_dir():
        return "its folder does not exist"
    return "" if os.access(folder, os.W_OK | os.X_OK) else "nothing can be written into its folder"


def quiet_option(what: str) -> Decorator:
    """Give a command ``--quiet``."""
    return click.option("-q", "--quiet", is_flag=True, help=f"Show {what} only.")
