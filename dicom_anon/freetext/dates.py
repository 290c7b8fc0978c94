"""How dates and times are written, in digits and in words, in many languages; with any calendar's name of a year.

Most of it is whoever's date it is; `own_dates` needs the patient's. Every quantifier that may backtrack is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from functools import cache
from typing import Final

from .folding import Span, View
from .units import END, START, always, no_unit, unit_at
from .words import is_ordinary, listed

Rule = tuple[frozenset[str], int, re.Pattern[str], Callable[["re.Match[str]", View], bool]]
"""One of these characters (if any are named) and so many digits make a pattern worth trying; then the pattern, and what
its match must also satisfy."""

_GROUPS = re.compile(r"\d+")

# --- In digits ---------------------------------------------------------------------------------------------

_YEAR = r"(?:1[89]|20|21)\d\d"
_DAY = r"(?:3[01]|[12]\d|0?[1-9])"
_MONTH = r"(?:1[0-2]|0?[1-9])"
_CLOCK = r"(?:[01]?\d|2[0-4]):[0-5]\d(?::[0-6]\d(?:[.,]\d{1,6})?)?"
_NUMERIC_DATE = re.compile(
    rf"(?<!\d)(?<!\d[./-])(?:{_YEAR} ?[-./] ?{_MONTH} ?[-./] ?{_DAY}"
    rf"|(?P<a>\d\d?)(?P<s> ?[-./] ?)(?P<b>\d\d?)(?P<t> ?[-./] ?)(?P<y>{_YEAR}|'?\d\d))"
    rf"(?:(?:t| (?=\d\d?:)){_CLOCK} ?(?:z{END}|[+-]\d\d:?\d\d)?)?(?!\d)(?![./-]\d)"
)
_MONTH_AND_YEAR = re.compile(
    rf"(?<![\w./-])(?:{_MONTH}/(?:19|20)\d\d|(?:1[0-2]|0[1-9])-(?:19|20)\d\d|0[1-9]\.(?:19|20)\d\d"
    r"|(?:19|20)\d\d-(?:1[0-2]|0[1-9]))(?!\w)(?![./-]\d)"
)
_DAY_AFTER_WORD = re.compile(rf"(?<=(?:vom|bis|zum|eit|.am) ){_DAY}\. ?{_MONTH}\.(?!\d)")
_ERA = r"(?:明治|大正|昭和|平成|令和|民[國国]|西[暦元]|公元|단기|서기)"
_COUNT = r"(?:\d{1,4}|[〇零元一二三四五六七八九十百]{1,5})"
_VIETNAMESE_DATE = re.compile(
    rf"(?:ngay )?(?<!\d){_DAY} thang {_MONTH}(?: nam {_YEAR}|[/-]{_YEAR})?(?!\d)|thang {_MONTH} nam {_YEAR}(?!\d)"
)
_TIME = re.compile(rf"(?<![\d:.]){_CLOCK}(?: ?(?:[ap]\.?m{END}\.?|(?:uhr|hrs?|h|z|utc|gmt){END}))?(?![\d:])")
_SPOKEN_TIME = re.compile(
    rf"{START}(?:{_MONTH}(?:[.:][0-5]\d)? ?[ap]\.?m{END}\.?"  # an hour of twelve, like a month
    rf"|(?:[01]?\d|2[0-4])(?:[.:][0-5]\d)? ?uhr{END}|(?:[01]\d|2[0-4])h[0-5]\d{END}"
    rf"|[0-2]\d[0-5]\d ?(?:hrs|hours){END})"
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
    return found["s"] == found["t"] and " " not in found["s"] and not before.isalpha() and no_unit(found, seen)


# --- In words ----------------------------------------------------------------------------------------------

MONTH_NAMES: Final = listed(
    """
    january february march april may june july august september october november december jan feb mar apr jun jul
    aug sep sept oct nov dec januar jaenner janner februar maerz marz mai juni juli oktober dezember mrz okt dez
    janvier fevrier mars avril juin juillet aout septembre octobre novembre decembre enero febrero marzo abril
    mayo junio julio agosto septiembre octubre noviembre diciembre ene abr dic gennaio febbraio aprile maggio
    giugno luglio settembre ottobre dicembre janeiro fevereiro marco maio junho julho setembro outubro novembro
    dezembro januari februari maart mei augustus gener febrer marc maig juny juliol agost setembre desembre
    xaneiro febreiro xuno xullo decembro maj augusti marts desember agust tammikuuta helmikuuta maaliskuuta
    huhtikuuta toukokuuta kesakuuta heinakuuta elokuuta syyskuuta lokakuuta marraskuuta joulukuuta tammikuu
    helmikuu maaliskuu huhtikuu toukokuu kesakuu heinakuu elokuu syyskuu lokakuu marraskuu joulukuu jaanuar
    veebruar aprill juuni juuli oktoober detsember janvaris februaris aprilis maijs junijs julijs augusts
    septembris oktobris novembris decembris janvari marta aprili maija junija julija septembri oktobri novembri
    decembri sausio vasario kovo balandzio geguzes birzelio liepos rugpjucio rugsejo spalio lapkricio gruodzio
    sausis vasaris kovas balandis geguze birzelis liepa rugpjutis rugsejis spalis lapkritis gruodis stycznia
    lutego marca kwietnia maja czerwca lipca sierpnia wrzesnia pazdziernika listopada grudnia styczen luty marzec
    kwiecien czerwiec lipiec sierpien wrzesien pazdziernik listopad grudzien ledna unora brezna dubna kvetna
    cervna cervence srpna zari rijna listopadu prosince leden unor brezen duben kveten cerven cervenec srpen rijen
    prosinec januara februara aprila juna jula augusta septembra oktobra novembra decembra marec junij julij
    avgust sijecnja veljace ozujka travnja svibnja lipnja srpnja kolovoza rujna studenoga prosinca sijecanj
    veljaca ozujak travanj svibanj lipanj srpanj kolovoz rujan studeni prosinac mart septembar oktobar novembar
    decembar marcius majus junius julius augusztus szeptember ianuarie februarie martie aprilie iunie iulie
    septembrie octombrie noiembrie decembrie ocak subat nisan mayis haziran temmuz agustos eylul ekim kasim aralik
    maret agustus julai ogos disember janv fevr avr juil giu lug ott febr szept
    јануар фебруар март април мај јун јул август септембар октобар новембар децембар јануари февруари јуни јули
    септември октомври ноември декември януари маи юни юли января февраля марта апреля мая июня июля августа
    сентября октября ноября декабря январь февраль апрель июнь июль сентябрь октябрь ноябрь декабрь січня лютого
    березня квітня травня червня липня серпня вересня жовтня листопада грудня січень лютии березень квітень
    травень червень липень серпень вересень жовтень листопад грудень студзеня лютага сакавіка красавіка чэрвеня
    ліпеня жніуня верасня кастрычніка лістапада снежня студзень люты сакавік красавік чэрвень ліпень жнівень
    верасень кастрычнік лістапад снежань янв фев мар апр июн июл авг сен сент окт ноя нояб дек
    ιανουαριου φεβρουαριου μαρτιου απριλιου μαιου ιουνιου ιουλιου αυγουστου σεπτεμβριου οκτωβριου νοεμβριου
    δεκεμβριου ιανουαριοσ φεβρουαριοσ μαρτιοσ απριλιοσ μαιοσ ιουνιοσ ιουλιοσ αυγουστοσ σεπτεμβριοσ οκτωβριοσ
    νοεμβριοσ δεκεμβριοσ
    ינואר בינואר פברואר בפברואר מרץ במרץ אפריל באפריל מאי במאי יוני ביוני יולי ביולי אוגוסט באוגוסט ספטמבר בספטמבר
    אוקטובר באוקטובר נובמבר בנובמבר דצמבר בדצמבר يناير فبراير مارس ابريل مايو يونيو يوليو اغسطس سبتمبر اكتوبر
    نوفمبر ديسمبر شباط اذار نيسان ايار حزيران تموز ايلول ژانویه فوریه اوریل ژوين ژويیه اوت سپتامبر اکتبر نوامبر
    دسامبر
    มกราคม กมภาพนธ มนาคม เมษายน พฤษภาคม มถนายน กรกฎาคม สงหาคม กนยายน ตลาคม พฤศจกายน ธนวาคม
    """
)
"""Names of months in the languages of Europe and around it, in the case that a date has them in."""
_UNSURE_MONTHS = frozenset({"mar", "may", "oct", "maj", "mart", "aralik"})  # artifact reduction, a verb, tomography
_ORDINARY_MONTHS = frozenset({"avg", "des", "lip", "mrt", "out", "tra"})  # short for months, in some languages
_ORDINAL = "(?:st|nd|rd|th|er|o)?"
_YEAR_BEFORE = rf"(?:(?<!\d){_YEAR}(?:\.? (?:m\. |gada )?|[./,-] ?))?"
_ROMAN_NUMERALS = listed("i ii iii iv v vi vii viii ix x xi xii")
_VIETNAMESE_MONTH = "thang"
DATE_WORDS: Final = MONTH_NAMES | _ROMAN_NUMERALS | {_VIETNAMESE_MONTH}
"""Words without one of which no date is written in words."""
_ROMAN = "(?P<m>i{1,3}|i?[vx]|vi{1,3}|xi{1,2})"
_ROMAN_DATES = (
    re.compile(
        rf"{START}(?<!\d[.,/]){_DAY}(?P<s> ?[./-] ?| ){_ROMAN}(?P<t> ?[./-] ?| )(?P<y>{_YEAR}|\d\d){END}(?![./-]\d)"
    ),
    re.compile(rf"{START}(?P<y>{_YEAR})(?P<s>\.? ?[./-] ?|\.? ){_ROMAN}(?P<t> ?[./-] ?| ){_DAY}{END}(?![.,/-]\d)"),
)
_MONTH_WORD = r"(?P<m>[^\W\d_]{1,15})"
_WORDED_DATES = (  # in any language, where day and year are the patient's
    re.compile(
        rf"{START}(?P<d>\d\d?){_ORDINAL}[ .,/-]{{0,3}}(?:of |de |d')?{_MONTH_WORD}"
        r"[ .,'/-]{0,3}(?:del? )?(?P<y>\d{4})(?!\d)"
    ),
    re.compile(rf"(?<!\d)(?P<y>\d{{4}})[ .,/-]{{0,3}}{_MONTH_WORD}[ .,/-]{{1,3}}(?P<d>\d\d?){END}"),
    re.compile(rf"(?<![^\W\d_]){_MONTH_WORD}[ .]{{1,2}}(?P<d>\d\d?){_ORDINAL}[ ,./-]{{1,3}}(?P<y>\d{{4}})(?!\d)"),
)


@cache
def _with_name(name: str) -> tuple[re.Pattern[str], ...]:
    """Return how a date is written with this name of a month; few texts have any, and then one."""
    named = rf"(?P<m>{name})(?![^\W\d_])"
    return (
        re.compile(
            rf"{_YEAR_BEFORE}{START}(?<!\d[.,/]){_DAY}{_ORDINAL}\.?[ ./-]{{0,2}}(?:of |de |d')?{named}"
            rf"(?P<y>\.?[ ,'/.-]{{0,3}}(?:del? |พ\.ศ\. ?)?(?:{_YEAR}|2[45]\d\d|\d\d(?!\d)))?{END}"
        ),
        re.compile(
            rf"{_YEAR_BEFORE}{START}{named}\.?[ ./-]{{0,2}}{_DAY}{_ORDINAL}"
            rf"(?P<y>[ ,/-]{{1,2}}'?{_YEAR}|[,/-] ?'?\d\d|,? ?'\d\d)?(?!\w)(?![.,:]\d)"
        ),
        re.compile(rf"{START}{named}(?P<y>\.?[ ,'/.-]{{0,3}}(?:de |of )?(?:(?:19|20)\d\d|'\d\d)){END}"),
    )


def _is_named_date(found: re.Match[str], seen: View) -> bool:
    """Without a year of four digits an ambiguous month must be written as one: ``Mar 4``, ``4MAR20``, not ``MAR 4``."""
    if len(_GROUPS.findall(found["y"] or "")) == 1 and len(_GROUPS.findall(found["y"])[0]) == 4:
        return True
    sure = found["m"] not in _UNSURE_MONTHS or (found["y"] and " " not in found[0])
    return no_unit(found, seen) and (sure or seen.case(*found.span("m")) == "title")


def _is_roman_date(found: re.Match[str], seen: View) -> bool:
    """Between blanks the numeral must have two letters: ``5 V 2000`` says something else. A short year needs marks."""
    marks = found["s"].strip(), found["t"].strip()
    if len(found["y"]) == 2:
        return found["s"] == found["t"] == marks[0]
    return all(marks) or (len(found["m"]) > 1 and no_unit(found, seen))


DATE_RULES: Final[tuple[Rule, ...]] = (
    (frozenset(), 1, _SPOKEN_TIME, always),
    (frozenset("."), 2, _DAY_AFTER_WORD, always),
    (frozenset(":"), 3, _TIME, no_unit),
    (frozenset("./-"), 4, _NUMERIC_DATE, _is_date),
    (frozenset("./-"), 5, _MONTH_AND_YEAR, no_unit),
)


@cache
def east_asian_rules() -> tuple[Rule, ...]:
    """Return the rules that only a text beyond ASCII needs, as their patterns take long to compile."""
    day = re.compile(  # 1958年3月7日, 昭和三十三年三月, 1958년 3월 7일, 3月7日
        rf"(?:{_ERA} ?)?(?<!\d){_COUNT} ?[年년] ?{_COUNT} ?[月월](?: ?{_COUNT} ?[日號号일])?"
        rf"|(?<!\d){_COUNT} ?[月월] ?{_COUNT} ?[日號号일]"
    )
    day_of_era = re.compile(rf"{_ERA} ?(?:元|\d{{1,4}}) ?[./-] ?{_MONTH} ?[./-] ?{_DAY}(?!\d)")
    time = re.compile(
        rf"(?:[上下]午|午[前後]|오[전후])? ?(?<!\d)(?:{_COUNT} ?[时時點点시] ?{_COUNT} ?[分분](?: ?{_COUNT} ?[秒초])?)"
    )
    return (
        (frozenset("月월"), 0, day, always),
        (frozenset("分분"), 0, time, always),
        (frozenset("治正和成民西公단서"), 2, day_of_era, always),
    )


def _may_be_month(word: str) -> bool:
    return (len(word) > 2 and not is_ordinary(word)) or word in _ORDINARY_MONTHS or word in _ROMAN_NUMERALS


def named_dates(seen: View, names: Iterable[str]) -> Iterator[Span]:
    """Yield the dates whose month is a word; `names` are those of the text's words that are in `DATE_WORDS`."""
    for name in MONTH_NAMES.intersection(names):
        for pattern in _with_name(name):
            yield from (found.span() for found in pattern.finditer(seen.folded) if _is_named_date(found, seen))
    if not _ROMAN_NUMERALS.isdisjoint(names):
        for pattern in _ROMAN_DATES:
            yield from (found.span() for found in pattern.finditer(seen.folded) if _is_roman_date(found, seen))
    if _VIETNAMESE_MONTH in names:
        yield from (found.span() for found in _VIETNAMESE_DATE.finditer(seen.folded))


def own_dates(folded: str, days: Mapping[str, Container[int]]) -> Iterator[Span]:
    """Yield where one of these days of a year stands with some word for the month, in whatever language."""
    for pattern in _WORDED_DATES:
        for found in pattern.finditer(folded):
            own = int(found["d"]) in days.get(found["y"], ())
            if own and _may_be_month(found["m"]) and not unit_at(folded, found.start("m")):
                yield found.span()
