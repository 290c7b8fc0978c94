"""Macros of `set(...)`: a text with `@name@` in it becomes a `Template` of small functions, parsed once.

Lives here: the macro table and its parser. Macros expand once; what they insert is never looked at again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from dicom_anon import pseudonyms, tags
from dicom_anon.errors import DicomAnonError
from dicom_anon.scope import Element


class MacroError(DicomAnonError):
    """A text holds a macro that does not exist, or one with a wrong argument."""


class Macro(NamedTuple):
    """One macro: what it inserts for an element, whether it may take a tag, and a line for people."""

    insert: Callable[[Element, int], str]
    takes_tag: bool
    meaning: str


def _value(element: Element, tag: int) -> str:
    if tag:
        return element.level.near(tag)
    found = element.values
    return found[0] if found else ""


def _hash_acc(element: Element, _: int) -> str:
    facts = element.file.facts
    accession = element.level.near(tags.ACCESSION_NUMBER)
    if pseudonyms.hash_acc_is_cut(facts.project_name, accession):
        element.file.notes.add("hash-acc-cut")
    return pseudonyms.mercure_hash_acc(facts.project_owner, facts.project_name, accession)


MACROS: dict[str, Macro] = {
    "project_name": Macro(
        lambda e, _: e.file.facts.project_name, False, "name of the project section, else of general, else Undefined"
    ),
    "project_owner": Macro(
        lambda e, _: e.file.facts.project_owner, False, "owner of the project section, else of general, else Unknown"
    ),
    "project_prefix": Macro(
        lambda e, _: e.file.facts.project_prefix, False, "prefix of the project section, else of general, else empty"
    ),
    "process_date": Macro(lambda e, _: e.file.facts.process_date, False, "start of the run, MMddyyyy"),
    "process_time": Macro(lambda e, _: e.file.facts.process_time, False, "start of the run, hhmmsszzz"),
    "random_uid": Macro(
        lambda e, _: e.file.pseudonyms.study_uid(e.file.study), False, "a UID with no meaning, one per source study"
    ),
    "fake_name": Macro(
        lambda e, _: e.file.pseudonyms.person_name(e.file.patient(e.level)),
        False,
        "Greek^Greek^^^, one per source patient",
    ),
    "fake_mrn": Macro(
        lambda e, _: e.file.pseudonyms.digits("fake-mrn", e.file.patient(e.level)),
        False,
        "16 digits, one number per source patient",
    ),
    "fake_acc": Macro(
        lambda e, _: e.file.pseudonyms.digits("fake-acc", e.file.accession(e.level)),
        False,
        "16 digits, one number per source accession",
    ),
    "hash_acc": Macro(_hash_acc, False, "mercure's SipHash-2-4 of the accession, bit for bit"),
    "hash_mrn": Macro(
        lambda e, _: e.file.pseudonyms.code("hash-mrn", e.file.patient(e.level)),
        False,
        "keyed pseudonym of the patient, 16 hexadecimal digits",
    ),
    "hash_uid": Macro(
        lambda e, _: e.file.pseudonyms.uid(e.values[0]) if e.values else "",
        False,
        "keyed pseudonym of the element's own UID, the one that the command uid gives",
    ),
    "value": Macro(_value, True, "first original value of this element, or of @value(gggg,eeee)@"),
}

_CALL = re.compile(r"@([A-Za-z_]\w*)(?:\(([^@]*)\))?@")


class Call(NamedTuple):
    """A macro in a template; `tag` is 0 where it has no argument."""

    name: str
    tag: int


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
    def is_constant(self) -> bool:
        """Whether it holds no macro."""
        return all(isinstance(part, str) for part in self.parts)

    def expand(self, element: Element) -> str:
        """Text for one element; macros see original values only."""
        return "".join(
            part if isinstance(part, str) else MACROS[part.name].insert(element, part.tag) for part in self.parts
        )


def parse_template(text: str) -> Template:
    """Read a text with macros.

    A lone ``@`` is a character like any other (``a@b.org``); ``@word@`` is a macro and must exist.

    Raises
    ------
    MacroError
        Where it does not, or its argument is wrong.

    Examples
    --------
    >>> parse_template("@project_prefix@-@value(0010,0020)@").parts
    (Call(name='project_prefix', tag=0), '-', Call(name='value', tag=1048608))
    """
    parts: list[str | Call] = []
    last = 0
    for match in _CALL.finditer(text):
        if match.start() > last:
            parts.append(text[last : match.start()])
        parts.append(_parse_call(match[1], match[2]))
        last = match.end()
    if last < len(text):
        parts.append(text[last:])
    return Template(text, tuple(parts))


def _parse_call(name: str, argument: str | None) -> Call:
    macro = MACROS.get(name)
    if macro is None:
        near = tags.nearest(name, tuple(MACROS))
        hint = f'; did you mean "@{near}@"?' if near else ""
        raise MacroError(f'unknown macro "@{name}@"{hint}')
    if argument is None:
        return Call(name, 0)
    if not macro.takes_tag:
        raise MacroError(f'macro "@{name}@" takes no argument')
    try:
        key = tags.parse_key(argument)
    except tags.TagSyntaxError as error:
        raise MacroError(f'macro "@{name}({argument})@": "{argument}" {error}') from None
    if not isinstance(key, int):
        raise MacroError(f'macro "@{name}({argument})@" takes one tag, not a pattern')
    return Call(name, key)
