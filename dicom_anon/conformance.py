"""The conformance statement of PS3.15 section E.1.3 for one assignment, as Markdown.

Lives here: saying what an assignment does. Does not live here: doing it, or deciding what may be claimed
(``stamps``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from dicom_anon import standard, tags
from dicom_anon._version import __version__
from dicom_anon.actions import DUMMIES, Action, Clean, Compound, Keep, Remove, Replace, Safe, ShiftDate, Uid
from dicom_anon.assignment import Assignment, Row
from dicom_anon.objects import REBUILD
from dicom_anon.profile import FULL_DATES, MODIFIED_DATES, NOT_OFFERED, SAFE_PRIVATE
from dicom_anon.stamps import Claim, claim
from dicom_anon.tags import Pattern, PrivateKey

_MEANINGS = {
    "clean_graphics": "Graphics of presentation states stay, texts in them are cleaned; overlays and curves, whose "
    "drawings nobody has read, are removed.",
    "clean_structured_content": "Content items are kept, cleaned, replaced or removed by their concept name (Table "
    "E.3.4-1); a text whose concept the table does not list is cleaned. Where items refer to others by position, none "
    "is removed, and a dummy value stands in its place.",
    "clean_descriptors": "Descriptions and comments stay and are cleaned.",
    "retain_full_dates": "Dates and times stay as they are.",
    "retain_modified_dates": "Dates move by whole days, times of day stay.",
    "retain_patient_characteristics": "Age, sex, size, weight and the like stay.",
    "retain_device_identity": "Device names and serial numbers stay.",
    "retain_institution_identity": "Names and addresses of institutions stay.",
    "retain_uids": "UIDs stay.",
    "retain_safe_private": "Private elements stay where Table E.3.10-1 lists them or the file itself declares their "
    "block safe (0008,0303); recommended actions (0008,0307) are carried out, private sequences are treated item by "
    "item, texts are cleaned, and dates in a block that the file declares safe move, stay or are emptied as the public "
    "ones do.",
}


def statement(assignment: Assignment) -> str:
    """Write the conformance statement of an assignment.

    Parameters
    ----------
    assignment : Assignment
        From `resolve`.

    Returns
    -------
    str
        Markdown. It is the same for the same assignment, and holds no key and nothing of any patient.
    """
    actions = {row.key: row.action for row in assignment.rows.values()}
    claimed = claim(actions, assignment.remove_unknown_tags, assignment.profile_options)
    parts = (
        _head(assignment, claimed),
        _options(claimed),
        _stamps(assignment),
        _table(assignment),
        _dummies(assignment),
        _consistency(assignment),
        _limits(assignment),
    )
    return "\n\n".join(block for part in parts for block in part) + "\n"


def _head(assignment: Assignment, claimed: Claim) -> Iterator[str]:
    yield "# De-identification conformance statement"
    project = f", project `{assignment.project}`" if assignment.project else ""
    yield (
        f"dicom-anon {__version__}, preset `{assignment.preset}`{project}.\n"
        f"Assignment `{assignment.told_digest}`, measured against {standard.EDITION}, Annex E."
    )
    if claimed.options is None:
        yield "It **does not claim** conformance to the Basic Application Level Confidentiality Profile, because:"
        yield _bullets(claimed.hindrances)
    else:
        options = "the options below" if claimed.options else "no option"
        yield (
            "It conforms to the **Basic Application Level Confidentiality Profile** as a de-identifier, "
            f"with {options}."
        )


def _bullets(texts: Iterable[str]) -> str:
    return "\n".join(f"- {text}" for text in texts)


def _options(claimed: Claim) -> Iterator[str]:
    yield "## Options"
    codes = standard.method_codes()
    lines = ["| option | code | applied | what it does here |", "|---|---|---|---|"]
    for option in standard.PROFILE_OPTIONS:
        code, meaning = codes[option]
        applied = "yes" if claimed.options and option in claimed.options else "no"
        lines.append(f"| {meaning} | {code} | {applied} | {_MEANINGS[option]} |")
    for option, why in NOT_OFFERED.items():
        code, meaning = codes[option]
        lines.append(f"| {meaning} | {code} | not offered | {why[0].upper()}{why[1:]}. |")
    yield "\n".join(lines)


def _stamps(assignment: Assignment) -> Iterator[str]:
    yield "## What every output says of itself"
    stamps = (
        tags.PATIENT_IDENTITY_REMOVED,
        tags.DEIDENTIFICATION_METHOD,
        tags.DEIDENTIFICATION_METHOD_CODES,
        tags.LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED,
    )
    told = []
    for tag in stamps:
        if row := assignment.rows.get(tag):
            text = row.action.parameter.replace("\\", ", ") or row.action.describe()
            told.append(f"{tags.name_of(tag)} {tags.format_tag(tag)}: {text}")
    yield _bullets(told)


def _table(assignment: Assignment) -> Iterator[str]:
    rows = [row for row in assignment.rows.values() if row.source != "stamp"]
    yield "## Attributes"
    yield "Rules apply at every depth. A sequence that is kept is kept with its items, whose elements have their rules."
    for title, chosen in (
        ("Removed", [r for r in rows if isinstance(r.action, Remove)]),
        ("Replaced, emptied or changed", [r for r in rows if not isinstance(r.action, Remove | Keep)]),
        ("Kept by name", [r for r in rows if isinstance(r.action, Keep) and not isinstance(r.action, Safe)]),
    ):
        yield f"### {title} ({len(chosen)})"
        for command, group in groupby(sorted(chosen, key=_by_command), key=lambda row: row.action.describe()):
            found = list(group)
            yield f"`{command}`{_inserted(found)}: " + ", ".join(_named(row) for row in found)
    safe = sum(isinstance(row.action, Safe) for row in rows)
    unknown = "removed, private ones among them" if assignment.remove_unknown_tags else "kept"
    yield f"Kept as not identifying: {safe} more attributes. Elements without a rule are {unknown}."


def _by_command(row: Row) -> tuple[str, tuple[int, int, str]]:
    return row.action.describe(), tags.sort_key(row.key)


def _inserted(rows: list[Row]) -> str:
    return " (inserted where absent)" if all(row.action.inserts for row in rows) else ""


def _named(row: Row) -> str:
    keyword = tags.keyword_of(row.key)
    text = tags.format_key(row.key)
    return f"{keyword} {text}" if keyword and not isinstance(row.key, Pattern | PrivateKey) else text


def _dummies(assignment: Assignment) -> Iterator[str]:
    if not _uses(assignment, (Replace, Compound)):
        return
    yield "## Dummy values"
    yield ", ".join(f"{vr} `{dummy}`" for vr, dummy in DUMMIES.items())
    yield (
        "Numbers and bytes become zeros, UIDs the keyed UID. A command with `_or_` chooses by the Type that PS3.3 "
        "gives the attribute in the file's IOD: a dummy for Type 1, empty for Type 2, removal otherwise. In a sequence "
        "that is replaced every value becomes a dummy; codes of structure, counts and concept names stay, so that it "
        "is valid."
    )


def _consistency(assignment: Assignment) -> Iterator[str]:
    yield "## Referential integrity and keys"
    told = [
        "Every pseudonym is keyed BLAKE2b of the kind and the original value. With one key the same original gives the "
        "same replacement in every file, at every depth, in file meta, in any order, on any machine and in later runs."
    ]
    if _uses(assignment, (Uid, Compound)):
        told.append("UIDs become `2.25.` and a number. UIDs that PS3.6 registers, SOP Classes among them, stay.")
    told += [
        "The key is secret. It is kept beside the output folder, never in it, and whoever has it can link originals to "
        "replacements; without it nobody can. Destroying it makes the replacement final.",
        "Without a PatientID a patient is known by name and birth date, else by study; the account says how many were.",
    ]
    if _uses(assignment, (ShiftDate,)):
        shift = assignment.date_shift
        how = (
            "one number of days, the same for every patient"
            if shift.days is not None
            else f"{shift.min_days} to {shift.max_days} days back, chosen by the key for each patient"
        )
        table = ", or as the lookup table says" if assignment.lookup else ""
        told.append(f"Dates move by {how}{table}; order and intervals within a patient stay, and so do times of day.")
    if assignment.lookup is not None:
        told.append("Patients are named by a lookup table; a patient who is not in it is not passed on.")
    if _uses(assignment, (Clean,)):
        told.append(
            "Cleaned text loses the names, numbers, dates, addresses, telephone numbers and institutions that the file "
            "holds anywhere, and whatever has the shape of a date, a number of a person, an address of the network or "
            "a name after a title. No dictionary of surnames and no statistical model is used."
        )
    yield _bullets(told)


def _limits(assignment: Assignment) -> Iterator[str]:
    yield "## Decisions where the Standard leaves a choice"
    told = []
    if assignment.preset in ("basic", "tcia", "default"):
        told += [
            "Presentation Creation Date and Time are X in the table and Type 1 in presentation states: a dummy.",
            "Responsible Person is X and Type 2C for animals: emptied where the IOD asks for it.",
            "Beside the table, text that people type is cleaned or removed; order numbers, locators, machines and "
            "issuers are removed, emptied or replaced.",
            "An Overlay Plane without its data is invalid, so the whole group goes, and so do curves.",
        ]
    if not {FULL_DATES, MODIFIED_DATES} & set(assignment.profile_options) and assignment.preset == "basic":
        told.append(
            "Instance creation and secondary capture dates and times are removed besides, unless that is turned off."
        )
    if SAFE_PRIVATE not in assignment.profile_options and assignment.remove_unknown_tags:
        told.append("Private elements go, but for those that a rule names.")
    rebuilt = "made anew over the outputs" if assignment.objects.get("dicomdir") == REBUILD else "not passed on"
    told += [
        "File meta information is written anew; the preamble is zeros; digital signatures, group lengths and what "
        f"follows the Data Set are dropped. A DICOMDIR is {rebuilt}. An object with encrypted attributes is refused.",
        "Pixel data are not looked at: text burned into them stays, and Burned In Annotation is not changed to NO.",
    ]
    yield _bullets(told)


def _uses(assignment: Assignment, kinds: tuple[type[Action], ...]) -> bool:
    return any(isinstance(row.action, kinds) for row in assignment.rows.values())
