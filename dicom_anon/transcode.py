"""Text of a Data Set written anew in UTF-8, where a value that is put in has characters its own set lacks.

Lives here: widening the character set (PS3.3 section C.12.1.1.2). Does not live here: when that is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

from dicom_anon import tags, values
from dicom_anon.actions import Action, Assigned, Outcome, Unchanged
from dicom_anon.elements import DataSetBytes, FileRange, Span, walk
from dicom_anon.pseudonyms import Pseudonyms
from dicom_anon.rewriter import Rewriter
from dicom_anon.scope import Element, FileScope, Level, RunFacts


@dataclass(frozen=True)
class _ToUtf8(Action):
    """Text of a character set other than UTF-8 is written anew in it."""

    name = "to-utf8"
    inserts = True
    reads_value = False  # what is left in the file is no text

    def decide(self, element: Element) -> Outcome:
        if element.tag == tags.SPECIFIC_CHARACTER_SET:
            return Assigned(values.UTF8)
        if element.vr not in values.CHARSET_VRS or (element.raw.isascii() and b"\x1b" not in element.raw):
            return Unchanged()
        element.check_legible()
        raw = element.text.encode()
        return Assigned(raw + b" " if len(raw) & 1 else raw)


class _Transcoder(Rewriter):
    """Writes all text of a Data Set anew in UTF-8, at every depth."""

    def __init__(self) -> None:
        super().__init__({}, ((tags.SPECIFIC_CHARACTER_SET, _ToUtf8()),))

    def _resolve(self, level: Level, tag: int) -> Action:
        return _ToUtf8()


def to_utf8(data: DataSetBytes, facts: RunFacts, pseudonyms: Pseudonyms) -> DataSetBytes:
    """Widen the character set of a Data Set to UTF-8 (PS3.3 section C.12.1.1.2)."""
    pieces = _Transcoder().rewrite(data, FileScope(data.buf, facts, pseudonyms))
    buf = bytearray()
    spans: list[Span] = []
    bulk: dict[int, FileRange] = {}
    walked = last = 0
    for piece in (*pieces, b""):
        if isinstance(piece, bytes):
            buf += piece
            continue
        start = walk(bytes(buf), walked, data.encoding, spans, partial=True, after=last)
        tag, vr = next(span[:2] for span in data.spans if data.bulk.get(span[2]) == piece)
        bulk[start] = piece
        spans.append((tag, vr, start, len(buf), len(buf), None))
        walked, last = len(buf), tag
    whole = bytes(buf)
    walk(whole, walked, data.encoding, spans, after=last)
    return DataSetBytes(whole, spans, data.encoding, bulk, 0, len(whole))
