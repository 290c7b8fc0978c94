"""Shapes that identify, whoever the patient is: dates, times, numbers, addresses of machines, names after a title.

All work on folded text and yield spans of it. Every quantifier is bounded, so that time grows with the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from .folding import Span, View
from .words import PARTICLES, is_ordinary

_START = r"(?<![^\W_])"
_END = r"(?![^\W_])"
_WORD = re.compile(r"[^\W\d_]+")
_GROUPS = re.compile(r"\d+")
_UNIT = re.compile(
    r" ?(?:(?:mm|cm|um|nm|msec|ms|sec|seconds?|mins?|minutes?|stunden|khz|mhz|hz|kg|mg|ug|ml|mbq|kbq|gbq|bq|mci|iu|cps|"
    r"counts?|gy|cgy|mgy|kvp?|mas|ma|hu|px|pixels?|voxels?|bpm|rpm|weeks?|wks?|months|days|slices|images|frames|"
    r"s ?/ ?mm2?)(?![^\W_])|%)"
)
_MATRIX = frozenset({64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 448, 512, 576, 640, 768, 1024, 2048})

Check = Callable[["re.Match[str]"], bool]


def _no_unit(found: re.Match[str]) -> bool:
    return _UNIT.match(found.string, found.end()) is None


def _is_number(found: re.Match[str], least: int = 7) -> bool:
    """Enough digits for a phone or insurance number, and not a row of b-values, times or matrix sizes."""
    groups = _GROUPS.findall(found[0])
    counts = all(int(group) % 50 == 0 or int(group) in _MATRIX for group in groups)
    return sum(map(len, groups)) >= least and not counts and _no_unit(found)


# --- Dates and times --------------------------------------------------------------------------------------

_YEAR = r"(?:1[89]|20|21)\d\d"
_CLOCK = r"(?:[01]?\d|2[0-4]):[0-5]\d(?::[0-6]\d(?:[.,]\d{1,6})?)?"
_NUMERIC_DATE = re.compile(
    rf"(?<!\d)(?<!\d[./-])(?:{_YEAR}(?: ?[-./] ?| )(?:1[0-2]|0?[1-9])(?: ?[-./] ?| )(?:3[01]|[12]\d|0?[1-9])"
    rf"|(?P<a>\d{{1,2}})(?P<s> ?[-./] ?)(?P<b>\d{{1,2}})(?P<t> ?[-./] ?)(?P<y>{_YEAR}|'?\d\d))"
    rf"(?:(?:t| (?=\d?\d:)){_CLOCK} ?(?:z{_END}|[+-]\d\d:?\d\d)?)?(?!\d)(?![./-]\d)"
)
_MONTH_AND_YEAR = re.compile(
    r"(?<![\w./-])(?:(?:1[0-2]|0?[1-9])/(?:19|20)\d\d|(?:1[0-2]|0[1-9])-(?:19|20)\d\d|0[1-9]\.(?:19|20)\d\d"
    r"|(?:19|20)\d\d-(?:1[0-2]|0[1-9]))(?!\w)(?![./-]\d)"
)
_DAY_AFTER_WORD = re.compile(r"(?<![^\W_])(?:vom|am|seit|bis|zum) (?P<day>(?:3[01]|[12]\d|0?[1-9])\. ?(?:1[0-2]|0?[1-9])\.)(?!\d)")
_MONTHS = frozenset(
    """
    january february march april may june july august september october november december
    jan feb mar apr jun jul aug sep sept oct nov dec
    januar jaenner janner februar maerz marz mai juni juli oktober dezember mrz okt dez
    janvier fevrier mars avril juin juillet aout septembre octobre novembre decembre
    enero febrero marzo abril mayo junio julio agosto septiembre setiembre octubre noviembre diciembre ene abr ago dic
    gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre
    janeiro fevereiro marco maio junho julho setembro outubro novembro dezembro
    januari februari maart mei augustus
    """.split()
)
# Artifact reduction, tomography, a verb, "ago": these need more of a date beside them than a bare number.
_UNSURE_MONTHS = frozenset({"mar", "mars", "may", "oct", "ago", "march", "set", "mei", "mai"})
_M = rf"(?P<m>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})"
_NAMED_DATE = re.compile(
    rf"(?<!\d)(?P<d>(?:3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)?\.?)[ ./-]{{0,2}}(?:of |de |d')?{_M}(?![^\W\d_])"
    rf"(?:\.?[ ,'/.-]{{0,3}}(?:de )?(?P<y>{_YEAR}|\d\d(?!\d)))?{_END}"
    rf"|{_START}(?P<n>{_M.replace('<m>', '<m2>')})(?![^\W\d_])\.?[ ./-]{{0,2}}(?:3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)?"
    rf"(?P<y2>[ ,/-]{{1,2}}'?{_YEAR}|[,/-] ?'?\d\d|,? ?'\d\d)?(?!\w)(?![.,:]\d)"
    rf"|{_START}{_M.replace('<m>', '<m3>')}(?![^\W\d_])\.?[ ,'/-]{{0,3}}(?:de |of )?(?P<y3>(?:19|20)\d\d|'\d\d){_END}"
)
_TIME = re.compile(
    rf"(?<![\d:.]){_CLOCK}(?: ?(?:[ap]\.?m\b\.?|uhr\b|hrs?\b|h\b|z\b|utc\b|gmt\b))?(?![\d:])"
)
_SPOKEN_TIME = re.compile(
    rf"{_START}(?:(?:1[0-2]|0?[1-9])(?:[.:][0-5]\d)? ?[ap]\.?m{_END}\.?"
    rf"|(?:[01]?\d|2[0-4])(?:[.:][0-5]\d)? ?uhr{_END}|(?:[01]\d|2[0-4])h[0-5]\d{_END}|[0-2]\d[0-5]\d ?(?:hrs|hours){_END})"
)


def _is_date(found: re.Match[str]) -> bool:
    if found["a"] is None:
        return True
    a, b = int(found["a"]), int(found["b"])
    if not (1 <= a <= 31 and 1 <= b <= 31 and min(a, b) <= 12):
        return False
    if len(found["y"]) == 4:
        return True
    # A year of two digits: nothing else may make it look like levels, a version or a list.
    before = found.string[found.start() - 1 : found.start()]
    return found["s"] == found["t"] and " " not in found["s"] and not before.isalpha() and _no_unit(found)


def _is_named_date(found: re.Match[str]) -> bool:
    """Judge an ambiguous month by what is beside it: ``4 may`` and ``MAR 12`` alone are no dates."""
    month = found["m"] or found["m2"]
    if month is None:
        return True
    year = found["y"] or found["y2"]
    if year is None and not _no_unit(found):
        return False
    if year is not None and (len(year) > 3 or not found["m"] or found["m"] not in _UNSURE_MONTHS):
        return True
    if month not in _UNSURE_MONTHS or month in ("march", "mai"):
        return True
    return month == "may" and found["m2"] is not None


# --- Numbers ----------------------------------------------------------------------------------------------

_NUMBER_WORD = r"(?: ?(?:nos?|nr|num|number|nummer|id|is)(?![^\W_]))?[ .:#=-]{0,4}"
_ID_WORDS = (
    r"(?:m\.?r\.?n\.?|med(?:ical)? ?rec(?:ord)?|pid|pat(?:ient)?(?:en)?[ .-]?(?:id|nr|no|number|nummer)|patid|"
    r"acc(?:ession)?[ .]?(?:#|no|nr|num|number|id)|accession|ssn|social security|nhs|ahv|svnr|kvnr|fall-?(?:nr|nummer)|"
    r"versicherten-?nr|insurance (?:id|no|number)|ins\.? ?id|nir|dni|cpf|bsn|medicare|medicaid)"
)
_WEAK_ID_WORDS = (
    r"(?:id|nr|no|num|number|nummer|acc|acct|account|case|chart|visit|encounter|order|exam|req|requisition|policy|"
    r"passport|patient|pat|pt|file|record|reg|registration|license|licence|aktenzeichen|az)"
)
_BIRTH_WORDS = (
    r"(?:d\.?o\.?b\.?|born(?: on| in)?|birth ?date|birthday|date of birth|geb(?:oren|urtsdatum|urtstag|dat)?\.?(?: am| in)?|"
    r"gdat|ne\(?e?\)? (?:le|en)|nat[oa] (?:il|el|em|a)|nacid[oa](?: el| en)?|fecha de nacimiento|data di nascita|"
    r"date de naissance|geboortedatum|geboren op)"
)
_PHONE_WORDS = (
    r"(?:tele?(?:phone|fon|fono|fax)?|telef|phone|fax|handy|mobile?|cell(?: phone)?|pager|ph|e-?mail|mail|www|url|ip|extension)"
)
_LABELLED = re.compile(
    rf"{_START}(?:{_ID_WORDS}{_NUMBER_WORD}[a-z]{{0,6}}[-/.]?\d[a-z\d]{{0,32}}(?:[-./][a-z\d]{{1,16}}){{0,5}}"
    rf"(?: \d{{3,4}}(?![\w.,/-])){{0,3}}"
    rf"|(?P<weak>{_WEAK_ID_WORDS}){_NUMBER_WORD}(?P<v>[a-z]{{0,4}}[-/.]?\d{{4,16}}[a-z\d]{{0,16}}(?:[-./][a-z\d]{{1,16}}){{0,5}})"
    rf"|{_BIRTH_WORDS}[ .:=*]{{0,4}}(?P<born>\d{{1,4}}(?: ?[./-] ?\d{{1,4}}){{1,2}}\.?|\d{{4,8}})"
    rf"|{_PHONE_WORDS}{_NUMBER_WORD}(?P<tel>[+(]{{0,2}}\d(?:[ ()./-]{{0,3}}\d){{3,18}}))"
)
_HASHED = re.compile(r"# ?\d{4,16}")
# Before a span already found, these words go with it: "DOB Dec 30, 1961", "Tel. +49 ...".
_LABEL_BEFORE = re.compile(
    rf"{_START}(?:{_ID_WORDS}|{_BIRTH_WORDS}|{_PHONE_WORDS}|acc|id|nr|no){_NUMBER_WORD}[*]?$"
)
_LABEL_REACH = 40
_DIGIT_RUN = re.compile(
    rf"(?:{_START}[a-z]{{1,4}})?(?<!\d)(?<!\d[.,])\d{{6,}}(?:[.,]\d{{1,6}})?(?:[-/+]\d{{1,6}}){{0,3}}(?:[a-z]{_END})?"
)
_PHONES = re.compile(
    r"(?<!\w)(?:\+|00)[1-9]\d{0,2}[ ()./-]{0,3}(?:\d[ ()./-]{0,2}){5,12}\d(?!\d)"  # international
    r"|(?<![\w.])(?:\+?1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])[2-9]\d\d[ .-]\d{4}(?!\w)"  # North America
    r"|(?<![\w.])0\d{1,4}[ /-]{1,3}\d{3,}(?:[ -]\d{2,}){0,3}(?!\w)|\(0\d{1,5}\) ?[-/]? ?\d{3,}(?:[ -]\d{2,}){0,3}"
    r"|(?<![\w.])0[1-9](?:[ .]\d\d){4}(?!\w)"  # France
)
_GROUPED = re.compile(
    r"(?<![\w.])(?:\d{2,}(?:-\d{2,}){1,5}|\d{3}\.\d{3,4}\.\d{3,4}(?:[.-]\d\d)?|\d{3} \d\d \d{4})(?!\w)"  # SSN, CPF, AHV
    r"|(?<![\w.])[12] ?\d\d ?(?:0[1-9]|1[0-2]) ?\d\d ?\d{3} ?\d{3}(?: ?\d\d)?(?!\w)"  # NIR
    r"|(?<![\w.])\d{3} \d{3} \d{3,4}(?!\w)|(?<![\w.])[a-z]{2} ?\d\d \d\d \d\d ?[a-d](?!\w)"  # NHS, NINO
    r"|(?<![^\W_])[a-z]{6}\d\d[a-z]\d\d[a-z]\d{3}[a-z](?![^\W_])"  # codice fiscale
)
_DOTTED = re.compile(r"(?<![\w.])(?:[0-2](?:\.\d{1,64}){4,30}|\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?)(?!\w|\.\d)")  # UID, IPv4
_COLONED = re.compile(  # MAC, IPv6
    r"(?<![\w:])(?:[\da-f]{2}(?::[\da-f]{2}){5}|[\da-f]{1,4}(?::[\da-f]{1,4}){7}"
    r"|(?:[\da-f]{1,4}(?::[\da-f]{1,4}){0,6})?::(?:[\da-f]{1,4}(?::[\da-f]{1,4}){0,6}))(?![\w:])"
)
_MAIL = re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,5}\.[^\W\d_]{2,24}")
_URL = re.compile(
    r"(?:(?:https?|s?ftp|file|dicom)://|www\.)[^\s<>\"']{1,2048}"
    r"|(?<![\w.@-])(?:[a-z\d-]{1,63}\.){1,4}(?:com|org|net|edu|gov|info|de|ch|eu|co\.uk)(?:/[^\s<>\"']{0,2048})?(?![\w-])"
)


def _is_labelled(found: re.Match[str]) -> bool:
    if found["weak"]:
        return not re.fullmatch(r"(?:19|20)\d\d", found["v"]) and _no_unit(found)
    if found["born"]:
        return sum(map(str.isdigit, found["born"])) > 3 and _no_unit(found)
    return not found["tel"] or _no_unit(found)


# What a text must hold for a pattern to be worth trying, the pattern, and what a match must also satisfy.
_PATTERNS: tuple[tuple[str, re.Pattern[str], Check | None], ...] = (
    ("", _DIGIT_RUN, _no_unit),
    ("", _NUMERIC_DATE, _is_date),
    ("", _SPOKEN_TIME, None),
    ("", _PHONES, _is_number),
    ("", _GROUPED, _is_number),
    (":", _TIME, _no_unit),
    (":", _COLONED, None),
    ("/", _MONTH_AND_YEAR, _no_unit),
    ("-", _MONTH_AND_YEAR, _no_unit),
    (".", _MONTH_AND_YEAR, _no_unit),
    (".", _DOTTED, None),
    (".", _DAY_AFTER_WORD, None),
    ("#", _HASHED, None),
)
_LABEL_WORDS = frozenset(_WORD.findall(re.sub(r"\\.", " ", "")))


def number_spans(folded: str, words: frozenset[str] | set[str]) -> Iterator[Span]:
    """Yield spans of dates, times and identifying numbers."""
    raise NotImplementedError
