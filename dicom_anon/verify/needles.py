"""From an identifying value to the texts worth searching for: its words, its number, other ways to write it.

Lives here: those texts. Does not live here: collecting values, and the search.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from . import catalog
from .identifiers import date_in
from .plain import plain, plain_forms
from .words import is_placeholder, is_weak, phrases, words

MAX_TEXT = 64  # characters of a text that are searched; the start of a long address is enough
MIN_NUMBER = 6  # digits of a number that counts without the letters beside it

Rule = Literal["word", "digits", "date", "uid", "token", "read"]


@dataclass(frozen=True, slots=True)
class Needle:
    """One text to search for; `rule` says which context makes a match count.

    What is to be ``read`` is looked up word by word in texts made plain, see `plain`; the rest is searched for in the
    bytes.
    """

    kind: str
    text: str
    rule: Rule


def _name_needles(kind: str, value: str, vocabulary: Container[str]) -> Iterator[Needle]:
    for group in value.split("="):
        fields = [field.strip() for field in group.split("^")][:3]  # no prefix, no suffix: titles
        present = [field for field in fields if field]
        if not present or is_placeholder(" ".join(present)):
            continue
        if len(present) == 1:
            present = [part for part in re.split(r"[\s,;]+", present[0]) if part]
        parts = {part for field in present for part in [field, *words(field)]}
        for part in parts:
            if not _weak_phrase(part, vocabulary):
                yield _text_needle(kind, part)
                yield from (_text_needle(kind, form) for form in _inflected(part, vocabulary))
        if len(present) > 1:
            yield from _pairs(kind, present[0], present[1], vocabulary)


def _inflected(word: str, vocabulary: Container[str]) -> Iterator[str]:
    """Yield a name in the genitive or plural; beyond ASCII no boundary is asked for, so it is found anyhow."""
    if len(word) >= 4 and word.isascii() and word.isalpha():
        for form in (word + "s", word + "es"):
            if not (is_weak(form, vocabulary) or is_weak(form[:-1], vocabulary)):
                yield form


def _pairs(kind: str, family: str, given: str, vocabulary: Container[str]) -> Iterator[Needle]:
    """Yield both words of a name together; the only proof there is where neither counts alone."""
    short = len((family + given).encode("utf-8", "surrogatepass"))
    common = all(is_weak(part, vocabulary) and len(part) > 3 for part in (family, given))
    for first, second in ((family, given), (given, family)):
        glue = ["^"] if common else ["^", " ", ", ", ",", "_", "-", "."]
        if short >= 4:
            yield from (_text_needle(kind, first + between + second) for between in glue)
        if short >= 8 and not common:
            yield _text_needle(kind, first + second)
        yield from _with_initial(kind, first, second, vocabulary)


def _with_initial(kind: str, word: str, other: str, vocabulary: Container[str]) -> Iterator[Needle]:
    """Yield one word of a name with the initial of the other beside it, as people are called in systems."""
    initial = plain(other)[:1]
    for form in plain_forms(word):
        if form.isascii() and not is_weak(form, vocabulary):
            for glued in (initial + form, form + initial):
                if not _weak_phrase(glued, vocabulary):
                    yield _text_needle(kind, glued)


def _weak_phrase(text: str, vocabulary: Container[str]) -> bool:
    """Say whether a text of one or more words is no evidence on its own."""
    found = words(text)
    if text.lower() in vocabulary:
        return True
    if text.isdigit():
        return len(text) < 6 or len(set(text)) == 1
    if not text.isascii():
        return len(text.encode("utf-8", "surrogatepass")) < 4
    if all(is_weak(word) or word in vocabulary for word in found):
        return len(found) < 3 or len(text) < 12
    return False


def _text_needle(kind: str, text: str) -> Needle:
    if len(text) > MAX_TEXT:
        text = text[:MAX_TEXT].rsplit(None, 1)[0]
    return Needle(kind, text.strip(), "digits" if text.isdigit() else "word")


def needles(kind: str, value: str, vocabulary: Container[str]) -> Iterator[Needle]:
    """Yield the texts worth searching for, given one identifier; none if nothing of it would prove anything.

    A value that yields nothing is still reported where it stands unchanged in the same place of the output.

    Parameters
    ----------
    vocabulary : container of str
        Words, case folded, that stay in the output on purpose.
    """
    read: set[str] = set()
    for needle in _as_written(kind, value, vocabulary):
        yield needle
        spelled = "".join(words(needle.text))
        if needle.rule not in ("word", "digits") or (spelled in read and needle.text.isascii()):
            continue  # the same words with something else between them are read in the same way
        for form in plain_forms(needle.text):
            if _weak_phrase(form, vocabulary):
                continue
            if form.isascii() and not needle.text.isascii():
                yield _text_needle(kind, form)
            yield Needle(kind, "".join(words(form)), "read")
            read.add(spelled)


def _as_written(kind: str, value: str, vocabulary: Container[str]) -> Iterator[Needle]:
    if kind == catalog.UID:
        yield Needle(kind, value, "uid")
    elif kind in catalog.DATES:
        date = date_in(value)
        if date is not None:
            yield from (Needle(catalog.DATE, form, "date") for form in date_forms(date))
    elif kind in catalog.NAMES:
        yield from _name_needles(kind, value, vocabulary)
    elif kind in catalog.IDS:
        yield from (Needle(kind, number, "read") for number in _numbers(value[:MAX_TEXT]))
        for text in dict.fromkeys((value[:MAX_TEXT], value[:MAX_TEXT].split("^")[0])):  # HL7: number^^^authority
            enough = any(map(str.isdigit, text)) or (kind not in catalog.OFTEN_WORDS and len(text) > 4)
            if enough and not _weak_phrase(text, vocabulary):
                yield _text_needle(kind, text)
    elif kind != catalog.BACKGROUND:  # which many share, so that it proves nothing in another place
        for text in phrases(value):
            telling = any(map(str.isdigit, text)) or text == value
            if len(text) >= 6 and telling and not _weak_phrase(text, vocabulary):
                yield _text_needle(kind, text)
        if kind == catalog.PHONE and len(digits := re.sub(r"\D", "", value)) >= 7:
            yield Needle(kind, digits[:MAX_TEXT], "digits")
            if value.startswith(("+", "00")):  # at home, it is called without the code of the country
                national = digits.lstrip("0")
                yield from (Needle(kind, national[code:], "read") for code in (1, 2, 3) if len(national) - code >= 7)


def _numbers(value: str) -> Iterator[str]:
    """Yield the long numbers of an ID, without leading zeros; but not what may be a date."""
    for number in re.findall(r"(?<![\d.])0*([1-9]\d+)(?![\d.])", value):
        if len(number) >= MIN_NUMBER and len(set(number)) > 1 and not any(date_in(number[at:]) for at in (0, 2, 4)):
            yield number


def date_forms(date: str) -> list[str]:
    """Return the ways in which YYYYMMDD is written in text."""
    year, month, day = date[:4], date[4:6], date[6:]
    forms = [date]
    for between in "-./":
        forms.append(between.join((year, month, day)))
        forms.append(between.join((day, month, year)))
        forms.append(between.join((month, day, year)))
    return forms


def variants(text: str) -> set[str]:
    """Return the spellings of a text whose bytes differ although a reader would call them the same."""
    if text.isascii():
        return {text}
    forms = {text, text.lower(), text.upper(), text.title()}
    return forms | {unicodedata.normalize(form, text) for form in ("NFD", "NFKC")}


def user_needles(tokens: Iterable[str]) -> Iterator[Needle]:
    """Yield the texts a person asked for, one each; they count whether or not they are common words."""
    for token in tokens:
        text = token.strip()
        if len(text.encode("utf-8", "surrogatepass")) > 1:
            yield Needle(catalog.TOKEN, text[:MAX_TEXT], "token")
            for form in plain_forms(text[:MAX_TEXT]):
                yield Needle(catalog.TOKEN, form, "token")
                yield Needle(catalog.TOKEN, "".join(words(form)), "read")
