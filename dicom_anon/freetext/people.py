"""Names of people whom the file may not name elsewhere: what follows "Dr.", "patient", "referred by"; "Doe^Jane".

There is no list of names: the label, how the words are written, and the ordinary words around them decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from .folding import LETTERS, Span, View
from .words import PARTICLES, is_ordinary, listed

# How much a label says about the word after it. MAYBE: a name unless it is an ordinary word or in lower case
# ("patient supine"). LIKELY: unless it is an ordinary word ("read by smith"). SURE: also then ("Dr. White").
# WHOLE: the word after that one too ("Name: May Young").
_MAYBE, _LIKELY, _SURE, _WHOLE = range(4)

TITLES: Final = listed(
    """
    dr drs dra doctor prof professor mr mrs ms miss mme mlle monsieur madame herr herrn hr hrn frau senor senora sr
    sra sig signora signor dott dottoressa mevr dhr
    """
)
_AFTER_TITLE = listed("med dent habil phil rer nat h c dipl ing univ doz mag")  # "Dr. med. dent."
# Magnetic resonance, its spectroscopy, milliseconds, hours, "senior": no titles unless written as titles.
_UNSURE_TITLES = frozenset({"hr", "mr", "mrs", "ms", "sr", "sig", "miss", "mme"})
_AND = frozenset({"and", "und", "et", "y", "e"})
_VERBS = (
    r"(?:ref(?:erred|\.)?|ordered|requested|read|reported|performed|interpreted|signed|dictated|approved|reviewed|"
    r"verified|examined|acquired|scanned|seen|done|transcribed|checked|entered|typed|consented)"
)
_LABEL = re.compile(
    r"(?<![^\W_])(?:"
    r"(?P<title>" + "|".join(sorted(TITLES, key=len, reverse=True)) + r")"
    r"|(?P<name>(?:(?:patient|pat|pt)(?:'?s|in)?[ ._-]{0,2})?"
    r"(?:(?:last|first|family|given|maiden|full|middle)[ -])?"
    r"(?:names?|surname)(?: is)?|vorname|nachname|familienname|geburtsname|nom|prenom|nombre|"
    r"apellidos?|cognome)"
    rf"|(?P<by>{_VERBS}[ .]{{1,2}}by|ref(?:erring)?[ .]{{1,2}}(?:phys(?:ician)?|doc(?:tor)?|md|dr)|"
    r"(?:ueberwiesen|uberwiesen|zugewiesen|untersucht|befundet) (?:von|durch)|adressee? par)"
    r"|(?P<role>patient(?:in|en|e|inn?en)?|pat|pt|pte|paciente|paziente|tech(?:nologist|nician)?|operator|"
    r"physician|radiologist|attending|nurse|arzt|arztin|hausarzt|untersucher|zuweiser|uberweiser|medecin|"
    r"medico|mtra|mta|ref(?:erring)?)"
    r")(?![^\W\d_])(?P<dot>\.?)(?P<colon> ?[:=]|)[ _]{0,3}(?:[-#,] )?"
)
_HINTS = TITLES | listed(
    """
    name names surname vorname nachname familienname geburtsname nom prenom nombre apellido apellidos
    cognome by von durch par phys doc md patient patientin patienten patiente patientinnen patients pat pt
    pts pte paciente paziente tech technologist technician operator physician radiologist attending nurse
    arzt arztin hausarzt untersucher zuweiser uberweiser medecin medico mtra mta ref referring
    """
)
_TOKEN = re.compile(r"(?P<sep> {0,2}(?:[,^_&] ?)?)(?P<word>[^\W\d_]+(?:['-][^\W\d_]+){0,3})(?P<dot>\.?)")
_CARETED = re.compile(
    r"(?<![^\W\d_])(?:[^\W\d_]{3,64}|[^\W\d_a-z]{1,2})(?:['-][^\W\d_]{1,64}){0,3}"
    r"\^+(?=[^\W\d_]{3}|[^\W\d_a-z])[\w'^-]*\w"
)
"""Words on both sides of a ``^``, as in a Person Name (PS3.5 section 6.2.1) and in "Head^Routine" of some scanners."""
_BEFORE = re.compile(r"([^\W\d_]+)[ _]$")
_DEGREE = re.compile(r",? ?(?:m\.d\.|ph\.?d\.?|(?<=, )md|jr\.?)(?![^\W_])")
_MOST_WORDS = 4
_MOST_TOKENS = 12


def people_spans(seen: View, words: set[str], known: frozenset[str]) -> Iterator[Span]:
    """Yield spans of the folded text that hold a label and the name after it, or a name in the form of DICOM.

    `words` are the text's runs of letters, `known` the words of this patient's names, always names here.
    """
    if "^" in seen.folded:
        for found in _CARETED.finditer(seen.folded):
            if not any(map(is_ordinary, LETTERS.findall(found[0]))):
                yield found.span()
    if _HINTS.isdisjoint(words):
        return
    at = 0
    while label := _LABEL.search(seen.folded, at):
        at = label.end()
        certainty = _certainty(label, seen)
        if certainty is not None:
            end = _end_of_name(seen, label.end(), certainty, known)
            if end:
                yield label.start(), end
                at = end


def _certainty(label: re.Match[str], seen: View) -> int | None:
    """Return how much a label says; None where it is no label."""
    if title := label["title"]:
        case = seen.case(*label.span("title"))
        if title in _UNSURE_TITLES:
            before = seen.folded[max(0, label.start() - 2) : label.start()].rstrip()
            if before[-1:].isdecimal() or (case != "title" and not label["dot"] and title != "mrs"):
                return None
            return _SURE if case == "title" else _LIKELY
        return _SURE if label["dot"] or case == "title" else _LIKELY
    if label["name"]:
        before_name = _BEFORE.search(seen.folded, max(0, label.start() - 30), label.start())
        if label["name"].startswith("name") and before_name and is_ordinary(before_name[1]):
            return None  # "protocol name", "series name"
        return _WHOLE if label["colon"] else _MAYBE
    if label["role"] and not label["colon"]:
        return None if label["role"] in ("ref", "referring") else _MAYBE
    return _SURE if (label["by"] or "").endswith("dr") else _LIKELY


def _end_of_name(seen: View, at: int, certainty: int, known: frozenset[str]) -> int | None:
    """Return the offset after the name that begins at `at`; None where no name begins there."""
    end, count, first_case = 0, 0, ""
    for _ in range(_MOST_TOKENS):
        token = _TOKEN.match(seen.folded, at)
        if token is None or ("," in token["sep"] and count != 1):
            break
        word, case = token["word"], seen.case(*token.span("word"))
        initial = len(word) == 1 and (token["dot"] or (not count and case != "lower"))
        if not count and (word in TITLES or (word in _AFTER_TITLE and token["dot"])):
            certainty = max(certainty, _SURE if token["dot"] else _LIKELY)
        elif initial or word in PARTICLES or (count and word in _AND):
            end = token.end() if initial and (count or certainty >= _SURE) else end
        elif count < _MOST_WORDS and (
            _continues(word, case, first_case, count, certainty) if count else _begins(word, case, certainty, known)
        ):
            count, first_case, end = count + 1, first_case or case, token.end("word")
        else:
            break
        at = max(token.end("word"), end) if count else token.end()
    if not end:
        return None
    degree = _DEGREE.match(seen.folded, end)
    return degree.end() if degree else end


def _begins(word: str, case: str, certainty: int, known: frozenset[str]) -> bool:
    """Whether a word is the first of a name."""
    ordinary = is_ordinary(word)
    if certainty >= _SURE or word.removesuffix("'s") in known:
        return not (ordinary and case == "lower")
    return not ordinary and len(word) > 1 and (certainty == _LIKELY or (case != "lower" and len(word) > 2))


def _continues(word: str, case: str, first_case: str, count: int, certainty: int) -> bool:
    """Whether a word after the first belongs to the name: written alike, and no ordinary word."""
    if len(word) < 2 or word in TITLES or (is_ordinary(word) and not (certainty == _WHOLE and count == 1)):
        return False
    return (case == "lower") == (first_case == "lower") and (case != "lower" or count < 2)
