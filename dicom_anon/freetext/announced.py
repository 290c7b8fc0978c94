"""Identifiers too short to tell from content, where a word announces them: ``Patient #7``, ``ID A7``, ``Fall 12``.

What is long enough to be found without such a word, and names, are found elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from .folding import ALNUM, Span, View, view
from .units import START, counted_at
from .words import is_ordinary, listed

_PATIENT: Final = listed(
    """
    patient patients patiente patientin patientinnen patienten pat pats pt pts pte paciente pacientes pac
    paziente pazienti paz pasient pasienten potilas potilaan pacjent pacjentka pacjenta pacient pacientka
    pacienta pacientky beteg pacientul pacientului pacienti hasta ασθενησ ασθενουσ пациент пациентка пациента
    пациентки больнои больная מטופל מטופלת مريض مريضه
    """
)
_OTHERS: Final = listed("id ident mrn case fall cas caso kasus przypadek")
_UNSPACED: Final = ("患者", "病人", "病患", "환자")
_HINTS = _PATIENT | _OTHERS
_ANNOUNCED = re.compile(
    r"(?!pt[0-4])"  # the stage of a tumour, pT2a
    rf"(?:{START}(?:(?P<who>{'|'.join(sorted(_PATIENT))})|{'|'.join(sorted(_OTHERS))})(?![^\W\d_])"
    rf"|(?P<unspaced>{'|'.join(_UNSPACED)}))"
    r"(?:[ ._-]{0,2}(?:id|nos?|nr|num|numero|number|nummer|номер|is)(?![^\W\d_])| ?(?:id|番号|编号|編號|号码|号|번호))?"
    r"(?P<marks>[ .:#=_(-]{0,4})(?P<value>(?P<first>[a-z\d]{1,16})(?:[-./][a-z\d]{1,16}){0,5})(?![a-z\d])"
)
_NUMBER = re.compile(r"\d+(?:[-/]\d+)*")


@lru_cache(maxsize=4096)
def plain_id(value: str) -> str:
    """Return an identifier for comparison: letters and digits only, without leading zeros.

    Examples
    --------
    >>> plain_id("A-7"), plain_id("007")
    ('a7', '7')
    """
    compact = "".join(ALNUM.findall(view(value).folded))
    return compact.lstrip("0") or compact[:1]


def announced_spans(seen: View, words: set[str], ids: frozenset[str]) -> Iterator[Span]:
    """Yield the words and what they announce: one of the patient's `ids`, or with ``Patient:`` any number.

    `words` are the text's runs of letters. What counts something is no identifier: ``patient 2 views``.
    """
    if words.isdisjoint(_HINTS) and (seen.text.isascii() or not any(map(seen.folded.__contains__, _UNSPACED))):
        return
    for found in _ANNOUNCED.finditer(seen.folded):
        start, end = found.span("value")
        if _is_numbered(found) and not counted_at(seen.folded, end):
            yield found.start(), found.start("marks")
            yield start, end
            continue
        for stop in (end, found.end("first")):
            value = seen.folded[start:stop]
            if plain_id(value) in ids and not is_ordinary(value) and not counted_at(seen.folded, stop):
                yield found.start(), found.start("marks")
                yield start, stop
                break


def _is_numbered(found: re.Match[str]) -> bool:
    """Whether a patient is called by number, which need not be in the file: ``Patient: 12``."""
    patient = found["who"] or found["unspaced"]
    return bool(patient) and not {*":#="}.isdisjoint(found["marks"]) and _NUMBER.fullmatch(found["value"]) is not None
