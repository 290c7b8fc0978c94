"""Numbers that identify, whoever the patient is: phones, record numbers, machine addresses; and all the rules.

All work on folded text and yield spans of it. Every quantifier that may backtrack is bounded, so time grows
with the text. How dates are written, and names of people, are known elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .dates import DATE_RULES, DATE_WORDS, Rule, east_asian_rules, named_dates
from .folding import Span, View
from .units import END, START, always, no_unit

_GROUPS = re.compile(r"\d+")
_DIGIT = re.compile(r"\d")
_MATRIX = frozenset({64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 448, 512, 576, 640, 768, 1024, 2048})


def _is_number(found: re.Match[str], seen: View) -> bool:
    """Enough digits for a phone or insurance number, and not a row of b-values, times or matrix sizes."""
    groups = _GROUPS.findall(found[0])
    step = 10 if len(groups) > 2 else 50
    counts = all(int(group) % step == 0 or int(group) in _MATRIX for group in groups)
    enough = sum(map(len, groups)) > 6 or found[0][0].isalpha()
    return enough and not counts and no_unit(found, seen)


# --- Numbers ----------------------------------------------------------------------------------------------

_NUMBER_WORD = rf"(?: ?(?:nos?|nr|num|number|nummer|id|is){END})?[ .:#=-]{{0,4}}"
_ID_WORDS = (
    r"(?:m\.?r\.?n|med(?:ical)? ?rec(?:ord)?|pid|pat(?:ient)?(?:en)?[ .-]{0,2}(?:id|nr|no|number|nummer)|"
    r"acc(?:ession)?[ .]?(?:#|no|nr|num|number|id)|accession|ssn|social security|nhs|ahv|svnr|kvnr|"
    r"fall-?(?:nr|nummer)|versicherten-?nr|insurance (?:id|no|number)|ins\.? ?id|cpf|bsn|medicare|medicaid)"
)
_WEAK_ID_WORDS = (
    r"(?:id|nr|no|num|number|nummer|acc|acct|account|case|chart|visit|encounter|order|exam|req|requisition|policy|"
    r"passport|patient|pat|pt|file|record|reg|registration|license|licence|aktenzeichen|az)"
)
_BIRTH_WORDS = (
    r"(?:d\.?o\.?b|born(?: on| in)?|birth ?date|birthday|date of birth|"
    r"geb(?:oren|urtsdatum|urtstag|dat)?\.?(?: am| in)?|ne\(?e?\)? (?:le|en)|"
    r"nat[oa] (?:il|el|em|a)|nacid[oa](?: el| en)?|fecha de nacimiento|data di nascita|"
    r"date de naissance|geboortedatum|geboren op)"
)
_PHONE_WORDS = r"(?:tel(?:ephone|efon|efono|efax|ef)?|phone|fon|fax|handy|pager)"
_MACHINE_WORDS = r"(?:mobile?|cell(?: phone)?|e-?mail|mail|www|url|ip(?: address)?|website)"
_LABELLED = re.compile(
    rf"{START}(?:{_ID_WORDS}{_NUMBER_WORD}[a-z]{{0,6}}[-/.]?\d[a-z\d]{{0,64}}(?:[-./][a-z\d]{{1,16}}){{0,5}}"
    r"(?: \d{3,4}(?![\w.,/-])){0,3}"
    rf"|(?P<weak>{_WEAK_ID_WORDS}){_NUMBER_WORD}"
    r"(?P<v>[a-z]{0,4}[-/.]?\d{4,64}[a-z\d]{0,16}(?:[-./][a-z\d]{1,16}){0,5})"
    rf"|{_BIRTH_WORDS}[ .:=*]{{0,4}}(?P<born>\d{{1,4}}(?: ?[./-] ?\d{{1,4}}){{1,2}}\.?|\d{{4,8}})"
    rf"|{_PHONE_WORDS}{_NUMBER_WORD}(?P<tel>[+(]{{0,2}}\d(?:[ ()./-]{{0,3}}\d){{3,18}}))"
)
_HASHED = re.compile(r"# ?\d{4,64}")
# Before a number already found, these words go with it: "DOB Dec 30, 1961", "Tel. +49 ...".
_LABEL_BEFORE = re.compile(
    rf"(?:{START}(?:{_ID_WORDS}|{_BIRTH_WORDS}|{_PHONE_WORDS}|{_MACHINE_WORDS}|acc|id|nr){_NUMBER_WORD})?\*?$"
)
_LABEL_REACH = 40
_NUMBER_SIGN = re.compile(r"\d|@|://|www\.")
_DIGIT_RUN = re.compile(
    rf"(?:{START}[a-z]{{1,4}})?(?<!\d)(?<!\d[.,])\d{{6,}}(?:[.,]\d{{1,6}})?(?:[-/+]\d{{1,6}}){{0,3}}(?:[a-z]{END})?"
)
_CODED = re.compile(  # record numbers behind the letters of their system: HOSP-44718, ACC/2019-55021
    rf"{START}[a-z]{{2,10}}\d{{0,4}}[-/](?:\d{{2,4}}[-/])?\d{{5,16}}(?:[-/][a-z\d]{{1,8}}){{0,3}}{END}"
)
_PHONES = re.compile(
    r"(?<!\w)(?:\+|00)[1-9]\d{0,2}[ ()./-]{0,3}(?:\d[ ()./-]{0,2}){5,12}\d(?!\d)"  # international
    r"|(?<![\w.])(?:\+?1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])\d{3}[ .-]\d{4}(?!\w)"  # North America
    r"|(?<![\w.])(?:0\d{1,4}[ /-]{1,3}|\(0\d{1,5}\) ?[-/]? ?)\d{3,12}(?:[ -]\d{2,8}){0,3}(?!\w)"
    r"|(?<![\w.])0[1-9](?:[ .]\d\d){4}(?!\w)"  # France
)
_GROUPED = re.compile(
    r"(?<![\w.])(?:\d{2,12}(?:-\d{2,12}){1,5}|\d{3}\.\d{3,4}\.\d{3,4}(?:[.-]\d\d)?"  # SSN, AHV, CPF
    r"|\d{3} \d\d \d{4}|\d{3} \d{3} \d{4})(?!\w)"
    r"|(?<![\w.])[12] \d\d (?:0[1-9]|1[0-2]) \d\d \d{3} \d{3}(?: \d\d)?(?!\w)"  # NIR
    r"|(?<![\w.])[a-z]{2} ?\d\d \d\d \d\d ?[a-d](?!\w)"  # NINO
    rf"|{START}[a-z]{{6}}\d\d[a-z]\d\d[a-z]\d{{3}}[a-z]{END}"  # codice fiscale
)
_DOTTED = re.compile(  # UID, IPv4
    r"(?<![\w.])(?:[0-2](?:\.\d{1,64}){4,30}|\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?)(?!\w|\.\d)"
)
_COLONED = re.compile(  # MAC, IPv6
    r"(?<![\w:])(?:[\da-f]{2}(?::[\da-f]{2}){5}|[\da-f]{1,4}(?::[\da-f]{1,4}){7}"
    r"|(?:[\da-f]{1,4}(?::[\da-f]{1,4}){0,6})?::[\da-f]{1,4}(?::[\da-f]{1,4}){0,6})(?![\w:])"
)
_HEX = re.compile(  # UUID, digest
    rf"{START}(?:[\da-f]{{8}}(?:-[\da-f]{{4}}){{3}}-[\da-f]{{12}}|(?=[\da-f]{{0,12}}\d)[\da-f]{{12,128}}){END}"
)
_MAIL = re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,5}\.[^\W\d_]{2,24}")
_URL = re.compile(r"(?:(?:https?|s?ftp|file|dicom)://|www\.)[^\s<>\"']{1,2048}")
_DOMAIN = re.compile(
    r"(?<![\w.@-])(?:[a-z\d-]{1,63}\.){1,4}(?:com|org|net|edu|gov|info|de|ch|eu|co\.uk)"
    r"(?:/[^\s<>\"']{0,2048})?(?![\w-])"
)


def _is_labelled(found: re.Match[str], seen: View) -> bool:
    if found["weak"]:
        return re.fullmatch(r"(?:19|20)\d\d", found["v"]) is None and no_unit(found, seen)
    if found["born"]:
        return len(_DIGIT.findall(found["born"])) > 3 and no_unit(found, seen)
    return not found["tel"] or no_unit(found, seen)


_RULES: tuple[Rule, ...] = (
    *DATE_RULES,
    (frozenset("@"), 0, _MAIL, always),
    (frozenset(":."), 0, _URL, always),
    (frozenset("."), 0, _DOMAIN, always),
    (frozenset(":"), 0, _COLONED, always),
    (frozenset(), 1, _LABELLED, _is_labelled),
    (frozenset("."), 4, _DOTTED, always),
    (frozenset("#"), 4, _HASHED, always),
    (frozenset(), 4, _HEX, always),
    (frozenset("-/"), 5, _CODED, no_unit),
    (frozenset(), 6, _DIGIT_RUN, no_unit),
    (frozenset(), 6, _GROUPED, _is_number),
    (frozenset(), 7, _PHONES, _is_number),
)


def number_spans(seen: View, words: set[str]) -> Iterator[Span]:
    """Yield spans of the folded text, which may overlap; `words` are the text's runs of letters."""
    chars = set(seen.folded)
    digits = len(_DIGIT.findall(seen.folded))
    for needed, least, pattern, check in _RULES if seen.text.isascii() else (*_RULES, *east_asian_rules()):
        if digits >= least and (not needed or not needed.isdisjoint(chars)):
            for found in pattern.finditer(seen.folded):
                if check(found, seen):
                    yield found.span()
    if digits and not DATE_WORDS.isdisjoint(words):
        yield from named_dates(seen, DATE_WORDS.intersection(words))


def with_label(seen: View, span: Span) -> Span:
    """Take in the word before a number that says what it is: ``DOB``, ``Tel.``, ``MRN``."""
    start, end = span
    if not _NUMBER_SIGN.search(seen.folded, start, end):
        return span
    label = _LABEL_BEFORE.search(seen.folded, max(0, start - _LABEL_REACH), start)
    return (label.start(), end) if label else span
