"""What in one source file identifies: every name, number, date, UID, address, with where it stands.

Lives here: collecting values, and turning a value into the texts worth searching for. Does not live here:
the search.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from pydicom.charset import decode_bytes

from . import catalog
from .layout import Layout, Reader, Span
from .words import is_placeholder, is_pseudonym, is_weak, words

MAX_VALUE = 1 << 16  # bytes of one value that are read; no identifier is longer
MAX_TEXT = 64  # characters of a text that are searched; the start of a long address is enough

_TEXT_VRS = frozenset({"SH", "LO", "ST", "LT", "UC", "UT", "PN"})
_PATIENT = ("(0010,0020)", "(0010,0010)")  # at top level: who it is, best first
_DATE = re.compile(r"\s*((?:18|19|20)\d\d)([.\-/]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])")

Rule = Literal["word", "digits", "date", "uid", "token"]
Kept = Callable[[int, str], bool]


@dataclass(frozen=True, slots=True)
class Identifier:
    """One identifying value of a source, as it stands there (trimmed), and its place."""

    kind: str
    value: str
    path: str
    tag: int
    vr: str


@dataclass(frozen=True, slots=True)
class Needle:
    """One text to search for; `rule` says which context makes a match count."""

    kind: str
    text: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class Collected:
    """What one source file holds: identifiers, UIDs that stay, vocabulary and the codecs of its texts.

    `patient` tells files of one patient from those of another; it is empty where nothing says who it is.
    """

    identifiers: tuple[Identifier, ...]
    kept_uids: frozenset[str]
    vocabulary: frozenset[str]
    encodings: frozenset[str]
    patient: str = ""


def text_of(reader: Reader, span: Span) -> str:
    """Decode a value with the character set of its Data Set; what cannot be decoded is read as Latin-1."""
    raw = reader.read(span.start, min(span.end, span.start + MAX_VALUE))
    if span.vr not in _TEXT_VRS:
        return raw.decode("latin-1")
    try:
        text = decode_bytes(raw, list(span.encodings), {0x5C, 0x5E, 0x3D, 0x09, 0x0A, 0x0C, 0x0D})
    except (LookupError, UnicodeError):
        return raw.decode("latin-1")
    return raw.decode("latin-1") if "\ufffd" in text else text


def values_of(reader: Reader, span: Span) -> list[str]:
    """Return the trimmed values of a text element."""
    text = text_of(reader, span)
    parts = [text] if span.vr in ("ST", "LT", "UT", "UR") else text.split("\\")
    return [part.strip(" \0\t\r\n") for part in parts]


def date_in(value: str) -> str | None:
    """Return the date at the start of a DA or DT value as YYYYMMDD; 1 January and what is no date give None.

    The first of January is what truncation leaves of any date of that year, so it tells nothing.
    """
    found = _DATE.match(value)
    if found is None or found.group(3) + found.group(4) == "0101":
        return None
    return found.group(1) + found.group(3) + found.group(4)


def is_instance_uid(value: str) -> bool:
    """Say whether a value is a UID that is not registered by the Standard (PS3.6 Annex A)."""
    return value.count(".") >= 1 and not value.startswith("1.2.840.10008.") and value.replace(".", "").isdigit()


def _identify(reader: Reader, span: Span, kept: bool) -> Iterator[Identifier]:
    tag, vr = span.tag, span.vr
    kind: str | None
    if vr == "PN":
        kind = catalog.person_kind(tag)
    elif vr == "UI":
        kind = None if catalog.is_class_uid(tag) else catalog.UID
    elif vr in ("DA", "DT"):
        kind = catalog.BIRTH_DATE if tag == 0x00100030 else catalog.DATE
    else:
        kind = catalog.TEXT_KINDS.get(tag) or catalog.named_by_code(tag, span.path)
    if kind is None or kept:
        return
    for value in values_of(reader, span):
        if kind == catalog.UID and not is_instance_uid(value):
            continue
        if kind in catalog.DATES and date_in(value) is None:
            continue
        if vr == "PN" and is_pseudonym(value):
            continue
        if value and (kind == catalog.UID or not is_placeholder(value)):
            yield Identifier(kind, value, span.path, tag, vr)


def collect(reader: Reader, layout: Layout, kept: Kept) -> Collected:
    """Collect the identifiers of a source file.

    Parameters
    ----------
    kept : callable
        ``kept(tag, creator)`` says whether the configuration keeps this element on purpose; what it holds
        is then no identifier.
    """
    identifiers: list[Identifier] = []
    vocabulary: set[str] = set()
    kept_uids: set[str] = set()
    encodings: set[str] = set()
    patient: dict[str, str] = {}
    for span in layout.spans:
        if span.start == span.end or span.tag >> 16 in (0x7FE0, 0xFFFC):
            continue
        if span.path in _PATIENT:
            patient[span.path] = _patient(values_of(reader, span)[0])
        keep = kept(span.tag, span.creator)
        before = len(identifiers)
        identifiers.extend(_identify(reader, span, keep))
        if len(identifiers) > before:
            encodings.update(span.encodings)
        if span.vr == "UI" and (keep or catalog.is_class_uid(span.tag)):
            kept_uids.update(values_of(reader, span))
        elif catalog.is_vocabulary(span.tag, span.vr, span.path):
            for value in values_of(reader, span):
                vocabulary.update(words(value), (phrase.lower() for phrase in _phrases(value)))
    return Collected(
        tuple(identifiers),
        frozenset(kept_uids),
        frozenset(vocabulary),
        frozenset(encodings),
        next((patient[path] for path in _PATIENT if patient.get(path)), ""),
    )


def _patient(value: str) -> str:
    """Return a Patient ID or name in the form in which two of them are compared."""
    return "" if is_placeholder(value) else " ".join(sorted(words(value)))


def _phrases(value: str) -> set[str]:
    """Return a text and the parts of it that commas and lines divide."""
    return {value, *(part.strip() for part in re.split(r"[\r\n,;]+", value))}


def normal_name(value: str) -> str:
    """Return a name in the form in which two spellings of it are compared: its words, sorted."""
    return " ".join(sorted(words(value.split("=")[0] or value)))


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
    if kind == catalog.UID:
        yield Needle(kind, value, "uid")
    elif kind in catalog.DATES:
        date = date_in(value)
        if date is not None:
            yield from (Needle(catalog.DATE, form, "date") for form in date_forms(date))
    elif kind in catalog.NAMES:
        yield from _name_needles(kind, value, vocabulary)
    elif kind in catalog.IDS:
        text = value[:MAX_TEXT]
        enough = any(map(str.isdigit, text)) or (kind != catalog.PROCEDURE_ID and len(text) > 4)
        if enough and not _weak_phrase(text, vocabulary):
            yield _text_needle(kind, text)
    else:
        for text in _phrases(value):
            telling = any(map(str.isdigit, text)) or text == value
            if len(text) >= 6 and telling and not _weak_phrase(text, vocabulary):
                yield _text_needle(kind, text)
        if kind == catalog.PHONE and len(digits := re.sub(r"\D", "", value)) >= 7:
            yield Needle(kind, digits[:MAX_TEXT], "digits")


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
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    found = {text, text.lower(), text.upper(), text.title(), unicodedata.normalize("NFD", text)}
    return found | {plain} if plain.isascii() and len(plain) >= 4 else found


def user_needles(tokens: Iterable[str]) -> Iterator[Needle]:
    """Yield the texts a person asked for, one each; they count whether or not they are common words."""
    for token in tokens:
        text = token.strip()
        if len(text.encode("utf-8", "surrogatepass")) > 1:
            yield Needle(catalog.TOKEN, text[:MAX_TEXT], "token")
