"""Names of outputs that are made from what the output itself says, and not from the name of its source.

Pure functions of de-identified facts. A name is settled in two steps: a worker gives each output a pending
name, which a keyed code of its source's path makes its own; when all are written, the code goes where it is
not needed. So nothing is overwritten, and it does not matter who was first. Does not live here: renaming.
"""

from __future__ import annotations

import itertools
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Set
from typing import NamedTuple

from dicom_anon.naming import RESERVED

IMAGES = "anonymised-images"
EXTRACTED = "extracted-data"
TASK = "task.json"
EXTENSION = ".dcm"
PENDING = "~"
"""Marks what has no final name yet: no other name holds it."""

TELLING = "!"
"""Behind it, marks the folder of a series whose description must not be its name."""

LAYOUTS = ("mirror", "study", "mercure")
MAX_NAME = 60
"""Characters of a folder's name that come from a description."""

_UID = re.compile(r"[0-9A-Za-z][0-9A-Za-z.\-]{0,63}")
_UNSAFE = re.compile(r"[^\w.,+=()@ \-]+")
_PENDING_FILE = re.compile(rf"(?s)(.*){PENDING}([0-9A-F]{{16}}){re.escape(EXTENSION)}")
_MAX_BYTES = 180


class Facts(NamedTuple):
    """What an output says of itself, and the code that stands for its source.

    Parameters
    ----------
    study, series, instance : str
        New UIDs; empty where it has none.
    number : str
        New Instance Number (0020,0013), as it is written; empty where it has none.
    telling : bool
        Whether the new Series Description (0008,103E) holds an identifier of the old file.
    code : str
        Keyed code of the source's path: 16 hexadecimal digits in upper case.
    """

    study: str
    series: str
    instance: str
    number: str
    telling: bool
    code: str


def component(uid: str, instead: str) -> str:
    """Make a path component of a UID, or of what a rule has put in its place; never one that leads elsewhere.

    >>> component("2.25.17", "no-study"), component("../..", "no-study"), component("", "no-study")
    ('2.25.17', 'no-study', 'no-study')
    """
    return uid if _UID.fullmatch(uid) and not uid.endswith(".") and not RESERVED.fullmatch(uid) else instead


def by_uid(facts: Facts) -> str:
    """Study, series and instance by their UIDs."""
    folder = os.path.join(component(facts.study, "no-study"), component(facts.series, "no-series"))
    return os.path.join(folder, _pending(component(facts.instance, "no-instance"), facts.code))


def by_study(facts: Facts) -> str:
    """Images of a study below one folder, a folder for each series, by their numbers."""
    series = PENDING + (TELLING if facts.telling else "") + component(facts.series, "no-series")
    folder = os.path.join(component(facts.study, "no-study"), IMAGES, series)
    number = instance_name(facts.number)
    return os.path.join(folder, _pending(number, facts.code) if number else f"00000-{facts.code}{EXTENSION}")


def for_mercure(facts: Facts) -> str:
    """All images in one folder, in the form in which mercure passes them on."""
    name = f"{component(facts.series, 'no-series')}#{component(facts.instance, 'no-instance')}"
    return _pending(name, facts.code)


NAMERS: Mapping[str, Callable[[Facts], str]] = {"uid": by_uid, "study": by_study, "mercure": for_mercure}
"""Relative path, pending, of an output; the names are values of `Order.names`."""

DEPTHS: Mapping[str, int] = {"uid": 2, "study": 3, "mercure": 0}
"""How many folders are above an output."""


def instance_name(number: str) -> str:
    """Write an Instance Number with at least five digits; empty where it is none.

    >>> instance_name("7"), instance_name("123456"), instance_name("-1"), instance_name("1a"), instance_name("1" * 13)
    ('00007', '123456', '', '', '')
    """
    whole = _whole(number)
    return "" if whole is None else f"{whole:05d}"


def _whole(number: str) -> int | None:
    """Value of an Instance or Series Number, `None` where it is none; negative ones do not count."""
    text = number.strip().removeprefix("+")
    is_number = text.isascii() and text.isdigit() and len(text) <= 12  # as many as VR IS can have (PS3.5 section 6.2)
    return int(text) if is_number else None


def _pending(name: str, code: str) -> str:
    return f"{name}{PENDING}{code}{EXTENSION}"


def is_pending(name: str) -> bool:
    """Tell whether a file's or folder's name waits for its final one."""
    return name.startswith(PENDING) or _PENDING_FILE.fullmatch(name) is not None


def possible_names(name: str) -> tuple[str, ...]:
    """Names that a file may have which was written under `name`; the surest first.

    >>> possible_names("00007~0123456789ABCDEF.dcm")
    ('00007~0123456789ABCDEF.dcm', '00007-0123456789ABCDEF.dcm', '00007.dcm')
    """
    match = _PENDING_FILE.fullmatch(name)
    if match is None:
        return (name,)
    return name, f"{match[1]}-{match[2]}{EXTENSION}", match[1] + EXTENSION


def code_of(name: str) -> str:
    """Code in the pending name of a file; empty where it has none.

    >>> code_of("00007~0123456789ABCDEF.dcm"), code_of("00007.dcm")
    ('0123456789ABCDEF', '')
    """
    match = _PENDING_FILE.fullmatch(name)
    return match[2] if match else ""


def final_names(names: Iterable[str]) -> dict[str, str]:
    """Settle the names of the files of one folder.

    Parameters
    ----------
    names : iterable of str
        All files of the folder.

    Returns
    -------
    dict of str to str
        Final name of each file that is pending. A name that only one file wants is free of its code; where
        several want it, the first by code gets it, unless it was given before.

    Examples
    --------
    >>> final_names(["1~00000000000000BB.dcm", "1~00000000000000AA.dcm", "2.dcm", "2~00000000000000CC.dcm"])
    {'1~00000000000000AA.dcm': '1.dcm', '1~00000000000000BB.dcm': '1-00000000000000BB.dcm', \
'2~00000000000000CC.dcm': '2-00000000000000CC.dcm'}
    """
    listed = sorted(names)
    taken = {name.casefold() for name in listed}
    final = {}
    for name in listed:
        if _PENDING_FILE.fullmatch(name):
            _, coded, plain = possible_names(name)
            final[name] = coded if plain.casefold() in taken else plain
            taken.add(final[name].casefold())
    return final


def safe_name(text: str) -> str:
    r"""Make a folder name of a text, such as every system can have; empty where nothing of it is left.

    >>> safe_name("T1 a/b\\c:d"), safe_name(".."), safe_name(" con "), len(safe_name("x" * 300))
    ('T1 a_b_c_d', '', '_con', 60)
    """
    words = unicodedata.normalize("NFC", text).split()
    clean = _UNSAFE.sub("_", " ".join(words))[:MAX_NAME]
    while len(clean.encode("utf-8", "replace")) > _MAX_BYTES:
        clean = clean[:-1]
    clean = clean.strip(". ")
    if not any(char.isalnum() for char in clean):
        return ""
    return f"_{clean}" if RESERVED.fullmatch(clean) or clean.startswith("-") else clean


class Series(NamedTuple):
    """What a series says of itself, for the name of its folder: all de-identified.

    Parameters
    ----------
    uid, description, number : str
        Series Instance UID, Series Description and Series Number; empty where it has none.
    """

    uid: str
    description: str
    number: str


def series_folders(new: Iterable[Series], taken: Set[str]) -> dict[Series, str]:
    """Name the folders of the series of one study.

    Parameters
    ----------
    new : iterable of Series
        Those without a folder of their own.
    taken : set of str
        Folders of the others.

    Returns
    -------
    dict of Series to str
        The description made safe, or else the number. Where that is taken, the number and, if need be, the
        UID follow: no two are equal, in upper or lower case.

    Examples
    --------
    >>> t1, t2 = Series("2.25.1", "T1", "5"), Series("2.25.2", "T1", "7")
    >>> list(series_folders([t2, t1], set()).values())
    ['T1', 'T1-7']
    """
    used = {name.casefold() for name in taken}
    names: dict[Series, str] = {}
    for series in sorted(set(new), key=_in_order):
        whole = _whole(series.number)
        number = "" if whole is None else str(whole)
        base = safe_name(series.description) or number or "series"
        uid = component(series.uid, "no-series")
        wanted = [base, f"{base}-{number}"] if number and base != number else [base]
        wanted += [f"{base}-{uid[-8:]}", f"{base}-{uid}"]
        more = (f"{base}-{uid}-{count}" for count in itertools.count(2))
        names[series] = next(name for name in itertools.chain(wanted, more) if name.casefold() not in used)
        used.add(names[series].casefold())
    return names


def _in_order(series: Series) -> tuple[int, Series]:
    whole = _whole(series.number)
    return 1 << 62 if whole is None else whole, series
