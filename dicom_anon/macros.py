"""Macros of `set(...)`: a text with `@name@` in it becomes a `Template` of small functions, parsed once.

Lives here: the macro table and its parser. Macros expand once; what they insert is never looked at again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from dicom_anon import pseudonyms, tags
from dicom_anon.errors import DicomAnonError
from dicom_anon.scope import Element

Argument: TypeAlias = "int | str"


class MacroError(DicomAnonError):
    """A text holds a macro that does not exist, or one with a wrong argument."""


class Macro(NamedTuple):
    """One macro.

    Parameters
    ----------
    insert : callable
        Gives what it inserts for an element and its argument.
    meaning : str
        A line for people.
    takes : str
        Its argument: ``tag`` (may be left out, and is 0 then), ``column`` (of the lookup table), or empty for none.
    sample : str
        A short text of the form that it always gives; empty where it may give any.
    """

    insert: Callable[[Element, Argument], str]
    meaning: str
    takes: str = ""
    sample: str = ""


def _value(element: Element, tag: Argument) -> str:
    if tag:
        assert isinstance(tag, int)
        return element.level.near(tag)
    found = element.values
    return found[0] if found else ""


def _lookup(element: Element, column: Argument) -> str:
    return element.file.subject(element.level).columns[str(column)]


def _hash_acc(element: Element, _: Argument) -> str:
    facts = element.file.facts
    accession = element.level.near(tags.ACCESSION_NUMBER)
    if pseudonyms.hash_acc_is_cut(facts.project_name, accession):
        element.file.notes.add("hash-acc-cut")
    return pseudonyms.mercure_hash_acc(facts.project_owner, facts.project_name, accession)


_HEX = "ABCDEF0123456789"

MACROS: dict[str, Macro] = {
    "project_name": Macro(
        lambda e, _: e.file.facts.project_name, "name of the project section, else of general, else Undefined"
    ),
    "project_owner": Macro(
        lambda e, _: e.file.facts.project_owner, "owner of the project section, else of general, else Unknown"
    ),
    "project_prefix": Macro(
        lambda e, _: e.file.facts.project_prefix, "prefix of the project section, else of general, else empty"
    ),
    "process_date": Macro(lambda e, _: e.file.facts.process_date, "start of the run, MMddyyyy", sample="10102026"),
    "process_time": Macro(lambda e, _: e.file.facts.process_time, "start of the run, hhmmsszzz", sample="101010100"),
    "random_uid": Macro(
        lambda e, _: e.file.pseudonyms.study_uid(e.file.study),
        "a UID with no meaning, one per source study",
        sample="2.25.100000000000000000000000000000000000",
    ),
    "fake_name": Macro(
        lambda e, _: e.file.pseudonyms.person_name(e.file.patient(e.level)),
        "Greek^Greek^^^, one per source patient",
        sample="Mu^Nu^^^",
    ),
    "fake_mrn": Macro(
        lambda e, _: e.file.pseudonyms.digits("fake-mrn", e.file.patient(e.level)),
        "16 digits, one number per source patient",
        sample="1000000000000000",
    ),
    "fake_acc": Macro(
        lambda e, _: e.file.pseudonyms.digits("fake-acc", e.file.accession(e.level)),
        "16 digits, one number per source accession",
        sample="1000000000000000",
    ),
    "hash_acc": Macro(_hash_acc, "mercure's SipHash-2-4 of the accession, bit for bit", sample=_HEX),
    "hash_mrn": Macro(
        lambda e, _: e.file.pseudonyms.code("hash-mrn", e.file.patient(e.level)),
        "keyed pseudonym of the patient, 16 hexadecimal digits",
        sample=_HEX,
    ),
    "hash_uid": Macro(
        lambda e, _: e.file.pseudonyms.uid(e.values[0]) if e.values else "",
        "keyed pseudonym of the element's own UID, the one that the command uid gives",
    ),
    "value": Macro(_value, "first original value of this element, or of that of @value(gggg,eeee)@", takes="tag"),
    "lookup": Macro(_lookup, "the patient's entry in a column of the lookup table, @lookup(column)@", takes="column"),
}

_CALL = re.compile(r"@([A-Za-z_]\w*)(?:\(([^@]*)\))?@")
_BETWEEN = re.compile("@([^@]+)@")
_NAMES = "|".join(name for name in MACROS if "_" in name)
_HALF = re.compile(rf"@(?:{_NAMES})\b|\b(?:{_NAMES})@|@(?:value|lookup)\(")
"""A macro without one of its two @; `value` and `lookup` may stand in an e-mail address."""


class Call(NamedTuple):
    """A macro in a template: a tag, 0 for none, or the lower-case name of a column."""

    name: str
    argument: Argument


@dataclass(frozen=True)
class Template:
    """A text with macros, ready to be expanded.

    Parameters
    ----------
    source : str
        As the user wrote it.
    parts : tuple of str or Call
        Literal texts and macros in order.
    """

    source: str
    parts: tuple[str | Call, ...]

    @property
    def sample(self) -> str | None:
        """A text of the form that it always gives; `None` where a macro may give any."""
        texts = [part if isinstance(part, str) else MACROS[part.name].sample for part in self.parts]
        return "".join(texts) if all(texts) else None

    @property
    def forms(self) -> tuple[str, ...]:
        """What each of its macros gives, for people."""
        names = dict.fromkeys(part.name for part in self.parts if isinstance(part, Call))
        return tuple(f"@{name}@: {MACROS[name].meaning}" for name in names)

    @property
    def columns(self) -> frozenset[str]:
        """Columns of the lookup table that it needs."""
        return frozenset(str(part.argument) for part in self.parts if isinstance(part, Call) and part.name == "lookup")

    def knowing(self, texts: Mapping[str, str]) -> Template:
        """Put in the texts of macros that are known before any file is, by name."""
        parts = (part if isinstance(part, str) else texts.get(part.name, part) for part in self.parts)
        return Template(self.source, tuple(part for part in parts if part))

    def expand(self, element: Element) -> str:
        """Text for one element; macros see original values only."""
        return "".join(
            part if isinstance(part, str) else MACROS[part.name].insert(element, part.argument) for part in self.parts
        )


def parse_template(text: str) -> Template:
    """Read a text with macros.

    A lone ``@`` is a character like any other (``a@b.org``); ``@word@`` is a macro and must exist. What is nearly
    one is refused: it would be written into every file as it stands.

    Raises
    ------
    MacroError
        A macro does not exist, is only half written, or has a wrong argument.

    Examples
    --------
    >>> parse_template("@project_prefix@-@value(0010,0020)@").parts
    (Call(name='project_prefix', argument=0), '-', Call(name='value', argument=1048608))
    """
    parts: list[str | Call] = []
    last = 0
    for match in _CALL.finditer(text):
        if match.start() > last:
            parts.append(_plain(text[last : match.start()]))
        parts.append(_parse_call(match[1], match[2]))
        last = match.end()
    if last < len(text):
        parts.append(_plain(text[last:]))
    return Template(text, tuple(parts))


def holds_macro(text: str) -> bool:
    """Tell whether a text holds a macro, be it where none is expanded.

    >>> holds_macro("of @value(PatientName)@"), holds_macro("a@b.org")
    (True, False)
    """
    return any(match[1] in MACROS for match in _CALL.finditer(text))


def _plain(text: str) -> str:
    """Text around macros, which must not look like one."""
    for match in _BETWEEN.finditer(text):
        if near := tags.nearest(match[1].partition("(")[0].strip(), tuple(MACROS)):
            raise MacroError(f'unknown macro "{match[0]}"; did you mean "@{near}@"?')
    if half := _HALF.search(text):
        raise MacroError(f'"{half[0]}" is half a macro: one begins and ends with @')
    return text


def _parse_call(name: str, argument: str | None) -> Call:
    macro = MACROS.get(name)
    if macro is None:
        near = tags.nearest(name, tuple(MACROS))
        hint = f'; did you mean "@{near}@"?' if near else ""
        raise MacroError(f'unknown macro "@{name}@"{hint}')
    if macro.takes == "column":
        if not argument or not argument.strip():
            raise MacroError(f'macro "@{name}@" needs a column, such as @{name}(SubjectID)@')
        return Call(name, argument.strip().lower())
    if argument is None:
        return Call(name, 0)
    if not macro.takes:
        raise MacroError(f'macro "@{name}@" takes no argument')
    try:
        key = tags.parse_key(argument)
    except tags.TagSyntaxError as error:
        raise MacroError(f'macro "@{name}({argument})@": "{argument}" {error}') from None
    if not isinstance(key, int):
        raise MacroError(f'macro "@{name}({argument})@" takes one tag, not a pattern')
    return Call(name, key)
