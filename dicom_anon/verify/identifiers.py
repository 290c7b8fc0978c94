"""What in one source file identifies: every name, number, date, UID, address, with where it stands.

Lives here: collecting values. Does not live here: which texts are worth searching for, and the search.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pydicom.charset import decode_bytes

from . import catalog
from .layout import Layout, Reader, Span
from .words import is_placeholder, is_pseudonym, phrases, words

MAX_VALUE = 1 << 16  # bytes of one value that are read; no identifier is longer

_TEXT_VRS = frozenset({"SH", "LO", "ST", "LT", "UC", "UT", "PN"})
_PATIENT = ("(0010,0020)", "(0010,0010)")  # at top level: who it is, best first
_DATE = re.compile(r"\s*((?:18|19|20)\d\d)([.\-/]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])")

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
class Collected:
    """What one source file holds: identifiers, UIDs that stay, vocabulary and the codecs of its texts.

    `patient` tells files of one patient from those of another; it is empty where nothing says who it is.
    `whole` says that the file could be followed to its pixels or its end.
    """

    identifiers: tuple[Identifier, ...]
    kept_uids: frozenset[str]
    vocabulary: frozenset[str]
    encodings: frozenset[str]
    patient: str
    whole: bool


def decoded(raw: bytes, span: Span) -> str:
    """Decode a value with the character set of its Data Set; what cannot be decoded is read as Latin-1."""
    codecs = list(span.encodings) if span.vr in _TEXT_VRS else ["utf-8"]
    try:
        text = decode_bytes(raw, codecs, {0x5C, 0x5E, 0x3D, 0x09, 0x0A, 0x0C, 0x0D})
    except (LookupError, UnicodeError):
        return raw.decode("latin-1")
    return raw.decode("latin-1") if "\ufffd" in text else text


def values_of(reader: Reader, span: Span) -> list[str]:
    """Return the trimmed values of a text element."""
    text = decoded(reader.read(span.start, min(span.end, span.start + MAX_VALUE)), span)
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
        if catalog.named_by_code(span.tag, span.path) == catalog.INSTITUTION:
            keep |= kept(catalog.INSTITUTION_CODES, "")
        before = len(identifiers)
        identifiers.extend(_identify(reader, span, keep))
        if len(identifiers) > before:
            encodings.update(span.encodings)
        if span.vr == "UI" and (keep or catalog.is_class_uid(span.tag)):
            kept_uids.update(values_of(reader, span))
        elif catalog.is_vocabulary(span.tag, span.vr, span.path):
            for value in values_of(reader, span):
                vocabulary.update(words(value), (phrase.lower() for phrase in phrases(value)))
    return Collected(
        tuple(identifiers),
        frozenset(kept_uids),
        frozenset(vocabulary),
        frozenset(encodings),
        next((patient[path] for path in _PATIENT if patient.get(path)), ""),
        layout.complete or bool(layout.pixels()),
    )


def _patient(value: str) -> str:
    """Return a Patient ID or name in the form in which two of them are compared."""
    return "" if is_placeholder(value) else " ".join(sorted(words(value)))


def normal_name(value: str) -> str:
    """Return a name in the form in which two spellings of it are compared: its words, sorted."""
    return " ".join(sorted(words(value.split("=")[0] or value)))
