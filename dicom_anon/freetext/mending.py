"""Joins what is left of a text after spans were cut out: no double blanks, no separators that separate nothing.

Only what touches a cut is changed; the rest of the text stays as it was written.
"""

from __future__ import annotations

from collections.abc import Iterable

from .folding import Span

_OPENING, _CLOSING = "([{<", ")]}>"
_MARKS = " \t\r\n\v\f\0,;:.-_/^=|~&#\u00a0\u2013\u2014\u00b7"
_TRIMMED = _MARKS + _OPENING + _CLOSING
_QUOTES = "\"'"


def merge(spans: Iterable[Span]) -> list[Span]:
    """Sort spans and unite those that overlap or touch.

    Examples
    --------
    >>> merge([(5, 7), (0, 2), (1, 3)])
    [(0, 3), (5, 7)]
    """
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def cut(text: str, spans: list[Span]) -> str:
    """Remove sorted, disjoint spans and mend the seams.

    Examples
    --------
    >>> cut("CT, X, chest (X) lung - X", [(4, 5), (14, 15), (24, 25)])
    'CT, chest lung'
    """
    starts = [0, *(end for _, end in spans)]
    ends = [*(start for start, _ in spans), len(text)]
    pieces: list[str] = []
    seam: list[str] = []  # the runs of marks around the cuts since the last piece
    last = len(starts) - 1
    for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
        piece = text[start:end]
        if pieces and seam and seam[-1][-1:] in _QUOTES and piece.startswith(seam[-1][-1:] or "\0"):
            seam[-1], piece = seam[-1][:-1], piece[1:]
        lead = "" if index == 0 and piece.strip(_TRIMMED) else piece[: len(piece) - len(piece.lstrip(_TRIMMED))]
        core = piece[len(lead) :]
        lead, core = _give_back(lead, core)
        seam.append(lead)
        if not core:
            continue
        body = core if index == last else core.rstrip(_TRIMMED)
        tail = core[len(body) :]
        if index:
            pieces.append(_seam(seam, opens=bool(pieces)))
        pieces.append(body)
        seam = [tail]
    if last and pieces and len(seam) > 1:
        pieces.append(_closing(pieces, seam))
    return "".join(pieces)
