"""Numbers that identify, whoever the patient is: dates, times, phones, record numbers, machine addresses.

All work on folded text and yield spans of it. Every quantifier that may backtrack is bounded, so time grows
with the text. Names of people are found elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from .folding import Span, View
from .words import listed

_START = r"(?<![^\W_])"
_END = r"(?![^\W_])"
_GROUPS = re.compile(r"\d+")
_DIGIT = re.compile(r"\d")
_UNIT = re.compile(
    r" ?(?:(?:mm|cm|um|nm|msec|ms|sec|seconds?|mins?|minutes?|khz|mhz|hz|kg|mg|ug|ml|mbq|kbq|gbq|bq|mci|iu|"
    r"cps|counts?|gy|cgy|mgy|kvp?|mas|ma|hu|px|pixels?|voxels?|bpm|rpm|weeks?|wks?|months|days|slices|"
    r"images|frames|s ?/ ?mm2?)(?![^\W_])|%)"
)
_MATRIX = frozenset({64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 448, 512, 576, 640, 768, 1024, 2048})


def _no_unit(found: re.Match[str], seen: View) -> bool:
    return _UNIT.match(seen.folded, found.end()) is None


def _is_number(found: re.Match[str], seen: View) -> bool:
    """Enough digits for a phone or insurance number, and not a row of b-values, times or matrix sizes."""
    groups = _GROUPS.findall(found[0])
    step = 10 if len(groups) > 2 else 50
    counts = all(int(group) % step == 0 or int(group) in _MATRIX for group in groups)
    enough = sum(map(len, groups)) > 6 or found[0][0].isalpha()
    return enough and not counts and _no_unit(found, seen)


# --- Dates and times --------------------------------------------------------------------------------------

_YEAR = r"(?:1[89]|20|21)\d\d"
_DAY = r"(?:3[01]|[12]\d|0?[1-9])"
_MONTH = r"(?:1[0-2]|0?[1-9])"
_CLOCK = r"(?:[01]?\d|2[0-4]):[0-5]\d(?::[0-6]\d(?:[.,]\d{1,6})?)?"
_NUMERIC_DATE = re.compile(
    rf"(?<!\d)(?<!\d[./-])(?:{_YEAR} ?[-./] ?{_MONTH} ?[-./] ?{_DAY}"
    rf"|(?P<a>\d\d?)(?P<s> ?[-./] ?)(?P<b>\d\d?)(?P<t> ?[-./] ?)(?P<y>{_YEAR}|'?\d\d))"
    rf"(?:(?:t| (?=\d\d?:)){_CLOCK} ?(?:z{_END}|[+-]\d\d:?\d\d)?)?(?!\d)(?![./-]\d)"
)
_MONTH_AND_YEAR = re.compile(
    rf"(?<![\w./-])(?:{_MONTH}/(?:19|20)\d\d|(?:1[0-2]|0[1-9])-(?:19|20)\d\d|0[1-9]\.(?:19|20)\d\d"
    r"|(?:19|20)\d\d-(?:1[0-2]|0[1-9]))(?!\w)(?![./-]\d)"
)
_DAY_AFTER_WORD = re.compile(rf"(?<=(?:vom|bis|zum|eit|.am) ){_DAY}\. ?{_MONTH}\.(?!\d)")
_MONTH_NAMES = listed(
    """
    january february march april may june july august september october november december jan feb mar apr
    jun jul aug sep sept oct nov dec januar jaenner janner februar maerz marz mai juni juli oktober dezember
    mrz okt dez janvier fevrier mars avril juin juillet aout septembre octobre novembre decembre enero
    febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre ene abr dic gennaio
    febbraio aprile maggio giugno luglio settembre ottobre dicembre janeiro fevereiro marco maio junho julho
    setembro outubro novembro dezembro januari februari maart mei augustus
    """
)
_UNSURE_MONTHS = frozenset({"mar", "may", "oct"})  # artifact reduction, a verb, tomography
_NAMED = rf"(?P<m>{'|'.join(sorted(_MONTH_NAMES, key=len, reverse=True))})(?![^\W\d_])"
_NAMED_DATES = (
    re.compile(
        rf"{_START}(?<!\d[.,/]){_DAY}(?:st|nd|rd|th)?\.?[ ./-]{{0,2}}(?:of |de |d')?{_NAMED}"
        rf"(?P<y>\.?[ ,'/.-]{{0,3}}(?:de )?(?:{_YEAR}|\d\d(?!\d)))?{_END}"
    ),
    re.compile(
        rf"{_START}{_NAMED}\.?[ ./-]{{0,2}}{_DAY}(?:st|nd|rd|th)?"
        rf"(?P<y>[ ,/-]{{1,2}}'?{_YEAR}|[,/-] ?'?\d\d|,? ?'\d\d)?(?!\w)(?![.,:]\d)"
    ),
    re.compile(rf"{_START}{_NAMED}(?P<y>\.?[ ,'/-]{{0,3}}(?:de |of )?(?:(?:19|20)\d\d|'\d\d)){_END}"),
)
_TIME = re.compile(rf"(?<![\d:.]){_CLOCK}(?: ?(?:[ap]\.?m{_END}\.?|(?:uhr|hrs?|h|z|utc|gmt){_END}))?(?![\d:])")
_SPOKEN_TIME = re.compile(
    rf"{_START}(?:{_MONTH}(?:[.:][0-5]\d)? ?[ap]\.?m{_END}\.?"  # an hour of twelve, like a month
    rf"|(?:[01]?\d|2[0-4])(?:[.:][0-5]\d)? ?uhr{_END}|(?:[01]\d|2[0-4])h[0-5]\d{_END}"
    rf"|[0-2]\d[0-5]\d ?(?:hrs|hours){_END})"
)


def _is_date(found: re.Match[str], seen: View) -> bool:
    if found["a"] is None:
        return True
    a, b = int(found["a"]), int(found["b"])
    if not (1 <= a <= 31 and 1 <= b <= 31 and min(a, b) <= 12):
        return False
    if len(found["y"]) == 4:
        return True
    # With a year of two digits nothing else may make it look like levels, a version or a list with a unit.
    before = seen.folded[found.start() - 1 : found.start()] if found.start() else ""
    return found["s"] == found["t"] and " " not in found["s"] and not before.isalpha() and _no_unit(found, seen)


def _is_named_date(found: re.Match[str], seen: View) -> bool:
    """Without a year of four digits an ambiguous month must be written as one: ``Mar 4``, not ``MAR 4``."""
    if len(_GROUPS.findall(found["y"] or "")) == 1 and len(_GROUPS.findall(found["y"])[0]) == 4:
        return True
    return _no_unit(found, seen) and (found["m"] not in _UNSURE_MONTHS or seen.case(*found.span("m")) == "title")


# --- Numbers ----------------------------------------------------------------------------------------------

_NUMBER_WORD = rf"(?: ?(?:nos?|nr|num|number|nummer|id|is){_END})?[ .:#=-]{{0,4}}"
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
    rf"{_START}(?:{_ID_WORDS}{_NUMBER_WORD}[a-z]{{0,6}}[-/.]?\d[a-z\d]{{0,64}}(?:[-./][a-z\d]{{1,16}}){{0,5}}"
    r"(?: \d{3,4}(?![\w.,/-])){0,3}"
    rf"|(?P<weak>{_WEAK_ID_WORDS}){_NUMBER_WORD}"
    r"(?P<v>[a-z]{0,4}[-/.]?\d{4,64}[a-z\d]{0,16}(?:[-./][a-z\d]{1,16}){0,5})"
    rf"|{_BIRTH_WORDS}[ .:=*]{{0,4}}(?P<born>\d{{1,4}}(?: ?[./-] ?\d{{1,4}}){{1,2}}\.?|\d{{4,8}})"
    rf"|{_PHONE_WORDS}{_NUMBER_WORD}(?P<tel>[+(]{{0,2}}\d(?:[ ()./-]{{0,3}}\d){{3,18}}))"
)
_HASHED = re.compile(r"# ?\d{4,64}")
# Before a number already found, these words go with it: "DOB Dec 30, 1961", "Tel. +49 ...".
_LABEL_BEFORE = re.compile(
    rf"(?:{_START}(?:{_ID_WORDS}|{_BIRTH_WORDS}|{_PHONE_WORDS}|{_MACHINE_WORDS}|acc|id|nr){_NUMBER_WORD})?\*?$"
)
_LABEL_REACH = 40
_NUMBER_SIGN = re.compile(r"\d|@|://|www\.")
_DIGIT_RUN = re.compile(
    rf"(?:{_START}[a-z]{{1,4}})?(?<!\d)(?<!\d[.,])\d{{6,}}(?:[.,]\d{{1,6}})?(?:[-/+]\d{{1,6}}){{0,3}}(?:[a-z]{_END})?"
)
_CODED = re.compile(  # record numbers behind the letters of their system: HOSP-44718, ACC/2019-55021
    rf"{_START}[a-z]{{2,10}}\d{{0,4}}[-/](?:\d{{2,4}}[-/])?\d{{5,16}}(?:[-/][a-z\d]{{1,8}}){{0,3}}{_END}"
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
    rf"|{_START}[a-z]{{6}}\d\d[a-z]\d\d[a-z]\d{{3}}[a-z]{_END}"  # codice fiscale
)
_DOTTED = re.compile(  # UID, IPv4
    r"(?<![\w.])(?:[0-2](?:\.\d{1,64}){4,30}|\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?)(?!\w|\.\d)"
)
_COLONED = re.compile(  # MAC, IPv6
    r"(?<![\w:])(?:[\da-f]{2}(?::[\da-f]{2}){5}|[\da-f]{1,4}(?::[\da-f]{1,4}){7}"
    r"|(?:[\da-f]{1,4}(?::[\da-f]{1,4}){0,6})?::[\da-f]{1,4}(?::[\da-f]{1,4}){0,6})(?![\w:])"
)
_HEX = re.compile(  # UUID, digest
    rf"{_START}(?:[\da-f]{{8}}(?:-[\da-f]{{4}}){{3}}-[\da-f]{{12}}|(?=[\da-f]{{0,12}}\d)[\da-f]{{12,128}}){_END}"
)
_MAIL = re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,5}\.[^\W\d_]{2,24}")
_URL = re.compile(r"(?:(?:https?|s?ftp|file|dicom)://|www\.)[^\s<>\"']{1,2048}")
_DOMAIN = re.compile(
    r"(?<![\w.@-])(?:[a-z\d-]{1,63}\.){1,4}(?:com|org|net|edu|gov|info|de|ch|eu|co\.uk)"
    r"(?:/[^\s<>\"']{0,2048})?(?![\w-])"
)


def _is_labelled(found: re.Match[str], seen: View) -> bool:
    if found["weak"]:
        return re.fullmatch(r"(?:19|20)\d\d", found["v"]) is None and _no_unit(found, seen)
    if found["born"]:
        return len(_DIGIT.findall(found["born"])) > 3 and _no_unit(found, seen)
    return not found["tel"] or _no_unit(found, seen)


def _always(found: re.Match[str], seen: View) -> bool:
    return True


_Rule = tuple[frozenset[str], int, re.Pattern[str], Callable[["re.Match[str]", View], bool]]

# One of these characters (if any are named) and so many digits make the pattern worth trying; then the
# pattern, and what its match must also satisfy.
_RULES: tuple[_Rule, ...] = (
    (frozenset("@"), 0, _MAIL, _always),
    (frozenset(":."), 0, _URL, _always),
    (frozenset("."), 0, _DOMAIN, _always),
    (frozenset(":"), 0, _COLONED, _always),
    (frozenset(), 1, _LABELLED, _is_labelled),
    (frozenset(), 1, _SPOKEN_TIME, _always),
    (frozenset("."), 2, _DAY_AFTER_WORD, _always),
    (frozenset(":"), 3, _TIME, _no_unit),
    (frozenset("./-"), 4, _NUMERIC_DATE, _is_date),
    (frozenset("."), 4, _DOTTED, _always),
    (frozenset("#"), 4, _HASHED, _always),
    (frozenset("./-"), 5, _MONTH_AND_YEAR, _no_unit),
    (frozenset(), 4, _HEX, _always),
    (frozenset("-/"), 5, _CODED, _no_unit),
    (frozenset(), 6, _DIGIT_RUN, _no_unit),
    (frozenset(), 6, _GROUPED, _is_number),
    (frozenset(), 7, _PHONES, _is_number),
)


def number_spans(seen: View, words: set[str]) -> Iterator[Span]:
    """Yield spans of the folded text, which may overlap; `words` are the text's runs of letters."""
    chars = set(seen.folded)
    digits = len(_DIGIT.findall(seen.folded))
    for needed, least, pattern, check in _RULES:
        if digits >= least and (not needed or not needed.isdisjoint(chars)):
            for found in pattern.finditer(seen.folded):
                if check(found, seen):
                    yield found.span()
    if digits and not _MONTH_NAMES.isdisjoint(words):
        for pattern in _NAMED_DATES:
            for found in pattern.finditer(seen.folded):
                if _is_named_date(found, seen):
                    yield found.span()


def with_label(seen: View, span: Span) -> Span:
    """Take in the word before a number that says what it is: ``DOB``, ``Tel.``, ``MRN``."""
    start, end = span
    if not _NUMBER_SIGN.search(seen.folded, start, end):
        return span
    label = _LABEL_BEFORE.search(seen.folded, max(0, start - _LABEL_REACH), start)
    return (label.start(), end) if label else span
