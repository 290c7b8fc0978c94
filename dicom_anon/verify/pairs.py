"""One source beside its output: which UIDs took which place, what was left as it was, whether it reads back.

Lives here: comparison of two files. Does not live here: the search, and what holds over all files.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from . import catalog
from .identifiers import Collected, Identifier, Kept, date_in, is_instance_uid, normal_name, values_of
from .layout import Layout, Reader, Span
from .uids import UidPair


class Counterparts:
    """Finds the value in the output that stands where a value of the source stood."""

    def __init__(self, source: Layout, output: Layout) -> None:
        self._spans = {span.path: span for span in output.spans}
        # Items may have been taken out of a sequence; there is then no telling which is which.
        self._unequal = tuple(
            path + "[" for path, count in source.items.items() if output.items.get(path, count) != count
        )
        self._none = catalog.DIRECTORY_RECORDS in source.items  # which may be in another order in the output

    def of(self, path: str) -> Span | None:
        """Return the span at a path, None if there is none or the paths do not correspond."""
        if self._none or (self._unequal and path.startswith(self._unequal)):
            return None
        return self._spans.get(path)


def uid_pairs(collected: Collected, match: Counterparts, reader: Reader, rewritten: Kept) -> Iterator[UidPair]:
    """Yield old and new UID for every place that both files have.

    Parameters
    ----------
    reader : Reader
        Of the output.
    rewritten : callable
        ``rewritten(tag, creator)`` says whether the configuration sets this element to a value of its own,
        which then need not be one to one.
    """
    places: dict[str, list[Identifier]] = {}
    for identifier in collected.identifiers:
        if identifier.kind == catalog.UID and identifier.tag != catalog.META_INSTANCE:
            places.setdefault(identifier.path, []).append(identifier)
    for path, olds in places.items():
        span = match.of(path)
        if span is None or rewritten(span.tag, span.creator):
            continue
        news = values_of(reader, span)
        if len(news) != len(olds):
            continue
        own = olds[0].tag in catalog.OWN_UIDS and "." not in path
        for old, new in zip(olds, news, strict=True):
            if is_instance_uid(new):
                yield UidPair(old.value, new, path, own)


def unchanged(collected: Collected, match: Counterparts, reader: Reader) -> Iterator[tuple[Identifier, Span]]:
    """Yield the identifiers, other than UIDs, that stand in the output where they stood in the source."""
    for identifier in collected.identifiers:
        if identifier.kind == catalog.UID:
            continue
        span = match.of(identifier.path)
        if span is not None and any(_same(identifier, value) for value in values_of(reader, span)):
            yield identifier, span


def _same(identifier: Identifier, value: str) -> bool:
    if identifier.kind in catalog.DATES:
        return date_in(value) == date_in(identifier.value)
    if identifier.kind in catalog.NAMES and normal_name(value):
        return normal_name(value) == normal_name(identifier.value)
    return value.casefold() == identifier.value.casefold()


def reads_back(path: Path) -> bool:
    """Say whether pydicom reads a file and every value before its Pixel Data."""
    try:
        _convert(pydicom.dcmread(path, force=True, stop_before_pixels=True))
    except Exception:  # whatever the second reader stumbles over, the answer is no
        return False
    return True


def _convert(dataset: Dataset) -> None:
    pending = [dataset]
    while pending:
        for element in pending.pop():
            if element.VR == "SQ":
                pending.extend(element.value)
