"""Joins what is left of a text after cuts: no double blanks, no separators that separate nothing.

Only what touches a cut is changed; the rest of the text stays as it was written.
"""

from __future__ import annotations

from collections.abc import Iterable

from .folding import Span

_OPENING, _CLOSING = "([{", ")]}"
_MARKS = " \t\r\n\v\f\0,;:.-_/^=|~&#\u00a0\u2013\u2014\u00b7\u3000：；，、。・"
_TRIMMED = _MARKS + _OPENING + _CLOSING


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
    kept = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    for at in range(len(spans)):
        if kept[at][-1:] in ('"', "'") and kept[at + 1].startswith(kept[at][-1]):
            kept[at], kept[at + 1] = kept[at][:-1], kept[at + 1][1:]
    pieces: list[str] = []
    seam: list[str] = []  # the runs of marks since the last piece
    for at, part in enumerate(kept):
        body = part.lstrip(_TRIMMED)
        lead = part[: len(part) - len(body)]
        core = body.rstrip(_TRIMMED)
        tail = body[len(core) :]
        if not core:
            seam.append(part)
            continue
        if lead[-1:] in ("-", ".") and core[0].isdigit() and lead[-2:-1] == " ":
            lead, core = lead[:-1], lead[-1] + core  # the sign of a number
        pieces.append(lead if at == 0 else _seam([*seam, lead], left=bool(pieces), right=True))
        pieces.append(core)
        seam = [tail]
        if at == len(spans):
            pieces.append(tail)
            seam = []
    whole = "".join(pieces)
    is_open = sum(map(whole.count, _OPENING)) > sum(map(whole.count, _CLOSING))
    return whole + _seam(seam, left=True, right=False) if is_open else whole


def _seam(runs: list[str], *, left: bool, right: bool) -> str:
    """Return what joins the text before and after a cut (where there is any), from the marks left."""
    stack: list[str] = []
    closed = ""
    for char in "".join(runs):
        if char in _OPENING:
            stack.append(char)
        elif char in _CLOSING:
            if stack:
                stack.pop()  # an empty pair
            else:
                closed += char
    opened = "".join(stack)
    if not left:
        return opened
    if not right:
        return closed
    if not opened and not closed:
        return _separator([run.strip(_OPENING + _CLOSING) for run in runs])
    outside = "".join(runs)  # only what stood outside the brackets separates
    if closed:
        outside = outside[max(map(outside.rfind, _CLOSING)) + 1 :]
    if opened:
        outside = outside[: min(at for at in map(outside.find, _OPENING) if at >= 0)]
    return closed + (_separator([outside]) if outside else "") + opened


def _separator(runs: list[str]) -> str:
    marks = "".join(runs)
    if "\n" in marks or "\r" in marks:
        end = "\r\n" if "\r\n" in marks else "\n" if "\n" in marks else "\r"
        return "." + end if marks.startswith(".") else end
    marks = runs[0] + runs[-1]  # what stood between two cuts separates nothing any more
    blank = " " if any(map(str.isspace, marks)) else ""
    for mark in ".;:,":
        if mark in marks:
            return mark + blank
    first, last = runs[0].strip(), runs[-1].strip()
    if first and last and first[0] == last[0]:
        return blank + first[0] + blank
    return blank or marks[:1] or " "
