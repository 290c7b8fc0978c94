"""What a DICOMDIR says of the files beside it, compared with those files (PS3.3 section F.3.2.2).

Lives here: that comparison. Does not live here: the search for identifiers, which a DICOMDIR goes through like all.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from . import catalog
from .identifiers import values_of
from .layout import Layout, Reader, Span, path_of
from .walk import NotDicomError, opened

_FILE_ID, _INSTANCE = 0x00041500, 0x00041511
MISSING, ANOTHER = "file not there", "file is another object"


def wrong_files(folder: Path, reader: Reader, layout: Layout) -> Iterator[tuple[Span, str]]:
    """Yield the File IDs of records that lead to no file, or to another than they say, and which of both it is.

    Parameters
    ----------
    folder : Path
        Where the DICOMDIR stands.
    reader, layout : Reader, Layout
        Its content; of a file that is no DICOMDIR there is nothing to yield.
    """
    said = {span.path: span for span in layout.spans if span.tag == _INSTANCE}
    for span in layout.spans:
        if span.tag != _FILE_ID or span.start == span.end:
            continue
        instance = said.get(span.path.replace(path_of(_FILE_ID), path_of(_INSTANCE)))
        problem = _problem(folder, values_of(reader, span), values_of(reader, instance) if instance else [])
        if problem:
            yield span, problem


def _problem(folder: Path, parts: list[str], said: list[str]) -> str:
    target = folder.joinpath(*parts)
    inside = not any(part in ("", ".", "..") or "/" in part for part in parts)
    if not inside or not target.is_file():
        return MISSING
    try:
        with opened(target) as (reader, layout):
            own = layout.top(catalog.INSTANCE)
            return "" if own is not None and values_of(reader, own) == said else ANOTHER
    except (NotDicomError, OSError):
        return ANOTHER
