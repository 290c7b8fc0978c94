"""Texts made plain: without accents, without what escapes them, and without what stands between their words.

Lives here: that, and the dates written in a text. Does not live here: what is looked for in them.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import unquote

_SINGLE = str.maketrans(
    {"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ł": "l", "Ł": "L"}
    | {"đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i", "ħ": "h", "Ħ": "H"}
)
_DOUBLE = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "å": "aa", "Å": "Aa", "ø": "oe", "Ø": "Oe"}
)
_DIGRAPH = re.compile(r"([aou])e")
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})|=([0-9A-F]{2}(?:=[0-9A-F]{2})+)")
_TOKEN = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")

_MONTHS = (
    "jan feb mar apr may jun jul aug sep oct nov dec",
    "jan feb mar apr mai jun jul aug sep okt nov dez",
    "jan fev mar avr mai juin juil aou sep oct nov dec",
    "ene feb mar abr may jun jul ago sep oct nov dic",
    "gen feb mar apr mag giu lug ago set ott nov dic",
)
_MONTH = {name: number for names in _MONTHS for number, name in enumerate(names.split(), 1)}
_MONTH_NAME, _DAY = r"(?P<m>[a-z]{3,10})\.?", r"(?P<a>\d{1,2})(?:st|nd|rd|th)?"
_DATES = tuple(
    re.compile(pattern, re.IGNORECASE | re.ASCII)
    for pattern in (
        r"(?<!\d)(?<!\d\.)(?P<a>\d{1,4})(?P<s>[-./_: ])(?P<b>\d{1,2})(?P=s)(?P<c>\d{1,4})(?!\d|\.\d)",
        r"(?<!\d)(?<!\d\.)(?P<a>\d\d)(?P<b>\d\d)(?P<c>\d{4})(?!\d|\.\d)",
        rf"(?<!\d){_DAY}\.?[ \-_/]{{0,2}}(?:of |de )?{_MONTH_NAME},?[ \-_/]{{0,2}}(?P<c>\d{{2,4}})(?!\d)",
        rf"{_MONTH_NAME}[ \-_]{{0,2}}{_DAY}(?: [\d:]{{8}}(?: [a-z]{{3,5}})?)?,?[ \-_]{{1,2}}(?P<c>\d{{4}})(?!\d)",
        r"(?P<a>\d{4})\s?年\s?(?P<b>\d{1,2})\s?月\s?(?P<c>\d{1,2})",
    )
)


class Word(NamedTuple):
    """A run of letters or of digits in a text, lower case; `camel` if only a capital letter divides it from others."""

    text: str
    start: int
    end: int
    camel: bool


def plain(text: str) -> str:
    """Return a text without accents, ligatures and wide forms of letters, and with one of the two kinds of kana."""
    if text.isascii():
        return text
    found = unicodedata.normalize("NFKD", text.translate(_SINGLE)).translate(_HIRAGANA)
    return "".join(c for c in found if not unicodedata.combining(c))


_HIRAGANA = {katakana: katakana - 0x60 for katakana in range(0x30A1, 0x30F7)}


def plain_forms(text: str) -> set[str]:
    """Return the ways in which a text is written without accents, and the one that was made of umlauts, maybe."""
    forms = {text}
    if not text.isascii():
        forms = {plain(text), plain(unicodedata.normalize("NFKC", text).translate(_DOUBLE))}
    return {form.lower() for form in (*forms, *(_DIGRAPH.sub(r"\1", form.lower()) for form in forms))}


def unescaped(text: str) -> str:
    """Return a text with the letters that HTML, a URL, JSON or quoted-printable stand for others."""
    if "&" in text:
        text = html.unescape(text)
    if "%" in text:
        text = unquote(text, errors="ignore")
    return _ESCAPED.sub(_letters, text) if "\\u" in text or "=" in text else text


def _letters(found: re.Match[str]) -> str:
    if found[1]:
        return chr(int(found[1], 16))
    return bytes.fromhex(found[2].replace("=", "")).decode("utf-8", "replace")


def split(text: str) -> list[Word]:
    """Return the words of a plain text; a digit and a capital letter after a small one begin another."""
    edges = {found.start() for found in _CAMEL.finditer(text)}
    cut = [0, *sorted(edges), len(text)]
    found = []
    for start, end in pairwise(cut):
        for word in _TOKEN.finditer(text, start, end):
            camel = word.start() in edges or word.end() in edges
            found.append(Word(word.group().lower(), word.start(), word.end(), camel))
    return found


def dates_in(text: str) -> Iterator[str]:
    """Yield the dates that a plain text may hold, YYYYMMDD, by any reading of what is day and month."""
    for pattern in _DATES:
        for found in pattern.finditer(text):
            parts = found.groupdict()
            if "m" in parts:
                month = _MONTH.get(parts["m"][:4].lower()) or _MONTH.get(parts["m"][:3].lower())
                yield from _dates(parts["c"], str(month), parts["a"]) if month else ()
            elif len(parts["a"]) == 4:
                yield from _dates(parts["a"], parts["b"], parts["c"])
            elif len(parts["c"]) == 4 or (parts["s"] in "-./" and {*map(len, found.group("a", "b", "c"))} == {2}):
                yield from _dates(parts["c"], parts["b"], parts["a"])
                yield from _dates(parts["c"], parts["a"], parts["b"])
                yield from _dates(parts["a"], parts["b"], parts["c"])


def _dates(year: str, month: str, day: str) -> Iterator[str]:
    if len(year) in (2, 4) and len(month) < 3 and len(day) < 3:
        for century in ("",) if len(year) == 4 else ("19", "20"):
            yield f"{century}{year}{month:0>2}{day:0>2}"
