"""Folds text for matching: lower case, no accents, one kana, plain digits, blanks and dashes, and the way back.

It knows characters only; what is looked for in the folded text is decided elsewhere.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

Span = tuple[int, int]

ALNUM = re.compile(r"[^\W_]+")
LETTERS = re.compile(r"[^\W\d_]+")

_FOLDS = {
    "ß": "ss",
    "æ": "ae",
    "œ": "oe",
    "ø": "o",
    "ł": "l",
    "đ": "d",
    "ð": "d",
    "þ": "th",
    "ı": "i",
    "ħ": "h",
}
_FOLDS |= dict.fromkeys("\u2018\u2019\u02bc\u00b4\u0060", "'") | {"\u2212": "-", "\u2028": "\n", "\t": " "}
_KANA = {code: code - 0x60 for code in range(0x30A1, 0x30F7)}  # katakana as hiragana
# Many systems write the small ones as large ones.
_SMALL = dict(zip(map(ord, "ぁぃぅぇぉっゃゅょゎゕゖ"), "あいうえおつやゆよわかけ", strict=True))


_CHAR = re.compile("[\u1100-\u1112][\u1161-\u1175][\u11a8-\u11c2]?|.", re.DOTALL)
"""A Hangul syllable written as its two or three letters, as macOS does it, or any one character."""


@lru_cache(maxsize=8192)
def _fold_char(char: str) -> str:
    """Lower case, base letter, hiragana, ASCII digit, plain blank or dash; nothing for a mark or an invisible sign."""
    char = unicodedata.normalize("NFC", char)
    if "\uac00" <= char <= "\ud7a3":  # NFKD would break a Hangul syllable up
        return char
    folded = ""
    for part in _FOLDS.get(char) or unicodedata.normalize("NFKD", char).translate(_KANA).translate(_SMALL).casefold():
        category = unicodedata.category(part)
        if category[0] == "M" or category == "Cf":
            continue
        if category == "Nd":
            folded += str(unicodedata.decimal(part))
        else:
            folded += " " if category == "Zs" else "-" if category == "Pd" else _FOLDS.get(part, part)
    return folded


class View(NamedTuple):
    """A text, its folded form, and where each folded character came from (None: from the same offset)."""

    text: str
    folded: str
    origin: list[int] | None

    def source(self, start: int, end: int) -> Span:
        """Span of the text behind a span of the folded text, with the marks that follow its end."""
        if self.origin is None:
            return start, end
        after = self.origin[end] if end < len(self.origin) else len(self.text)
        return self.origin[start], max(after, self.origin[end - 1] + 1)

    def case(self, start: int, end: int) -> str:
        """``lower``, ``upper`` or ``title``; a script without case counts as ``title``."""
        first, last = self.source(start, end)
        raw = self.text[first:last]
        if raw[:1].islower():
            return "lower"
        return "upper" if len(raw) > 1 and raw.isupper() else "title"


def view(text: str) -> View:
    """Fold a text and remember the way back.

    Examples
    --------
    >>> view("Müller\N{NO-BREAK SPACE}Straße").folded
    'muller strasse'
    """
    if text.isascii():
        return View(text, text.lower().replace("\t", " ").replace("`", "'"), None)
    chars = _CHAR.findall(text) if max(text) >= "\u1100" else text
    table = {char: _fold_char(char) for char in set(chars)}
    folded = "".join([table[char] for char in chars])
    if all(len(char) == len(form) == 1 for char, form in table.items()):
        return View(text, folded, None)
    starts = itertools.accumulate(map(len, chars), initial=0)
    return View(text, folded, [at for at, char in zip(starts, chars, strict=False) for _ in table[char]])


def words(text: str) -> list[str]:
    """Split into words as they were written; marks and invisible signs do not end a word."""
    text = unicodedata.normalize("NFC", text)
    return "".join(c if not (form := _fold_char(c)) or form.isalnum() else " " for c in text).split()


def spellings(word: str) -> tuple[str, ...]:
    """Folded forms of a word, the plain one first: umlauts as one letter or two, and ``str.`` for ``straße``.

    Examples
    --------
    >>> spellings("Müller"), spellings("Mueller")
    (('muller', 'mueller'), ('mueller', 'muller'))
    """
    lower = unicodedata.normalize("NFC", word).casefold()
    expanded = lower
    for char, form in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("å", "aa"), ("ø", "oe")):
        expanded = expanded.replace(char, form)
    forms = [view(lower).folded, view(expanded).folded]
    if len(lower) > 3:
        for long, short in (("ae", "a"), ("oe", "o"), ("ue", "u"), ("aa", "a"), ("ss", "s")):
            forms += [form.replace(long, short) for form in forms]
    if lower.endswith(("strasse", "str")):
        stem = view(lower).folded.removesuffix("strasse").removesuffix("str")
        forms += [stem + "str", stem + "strasse"]
    return tuple(dict.fromkeys(form for form in forms if form))


def unspaced(char: str) -> bool:
    """Whether the script writes words without blanks between them (Thai to Khmer, kana, Han, Hangul)."""
    return (
        "\u0e00" <= char <= "\u0eff"
        or "\u1000" <= char <= "\u109f"
        or "\u1780" <= char <= "\u17ff"
        or "\u3040" <= char <= "\u30ff"
        or "\u3400" <= char <= "\u9fff"
        or "\uac00" <= char <= "\ud7a3"
        or char >= "\U00020000"
    )
