"""The preset basic against Table E.1-1: every row, in a dozen IODs, at top level and in an item."""

from __future__ import annotations

import functools

import pytest
from pydicom import DataElement, Dataset, Sequence

from dicom_anon import standard, tags
from dicom_anon.assignment import resolve
from dicom_anon.config import parse_config
from dicom_anon.elements import EXPLICIT_LITTLE
from dicom_anon.engine import Engine, Plan
from tests.datasets import KEY, decode, encode, item, walked

IODS = {
    "CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4",
    "Enhanced MR": "1.2.840.10008.5.1.4.1.1.4.1",
    "PET": "1.2.840.10008.5.1.4.1.1.128", "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "SC": "1.2.840.10008.5.1.4.1.1.7",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1", "MG": "1.2.840.10008.5.1.4.1.1.1.2",
    "RT Plan": "1.2.840.10008.5.1.4.1.1.481.5",
    "RT Structure Set": "1.2.840.10008.5.1.4.1.1.481.3", "SEG": "1.2.840.10008.5.1.4.1.1.66.4",
    "GSPS": "1.2.840.10008.5.1.4.1.1.11.1", "Comprehensive SR": "1.2.840.10008.5.1.4.1.1.88.33",
    "WSM": "1.2.840.10008.5.1.4.1.1.77.1.6", "unknown": "1.2.3.4.5.6",
}  # fmt: skip
VALUES = {
    "AE": "AE_TITLE", "AS": "045Y", "CS": "CODE", "DA": "20200110", "DS": "1.5", "DT": "20200110101112",
    "FD": 1.5, "FL": 1.5,
    "IS": "7", "LO": "words", "LT": "words", "OB": b"bytes!", "OW": b"bytes!", "PN": "Doe^Jane",
    "SH": "words", "SL": 7,
    "SS": 7, "ST": "words", "TM": "101112", "UC": "words", "UI": "1.2.3.4.5", "UL": 7, "UN": b"bytes!",
    "UR": "urn:words",
    "US": 7, "UT": "words",
}  # fmt: skip


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DEVIATIONS = words(
    """
    PresentationCreationDate PresentationCreationTime RadiopharmaceuticalStartDateTime RTAccessoryHolderSlotID
    PositionAcquisitionTemplateName PatientSetupPhotoDescription PositionAcquisitionTemplateDescription
    PatientTreatmentPreparationProcedureParameterDescription
    PriorTreatmentDoseDescription
    RequestedProcedureID SourceManufacturer ResponsiblePerson ResponsibleOrganization AnnotationGroupUID
    ReasonForRequestedProcedureCodeSequence ReferencedStudySequence ScheduledProcedureStepID
    """
)
"""Where the preset deviates from the code, each with a reason; the presets' own test holds the list."""
ALWAYS_EMPTY = words(
    "PatientName PatientBirthDate PatientSex StudyDate StudyTime StudyID AccessionNumber ReferringPhysicianName"
)
KEEPER = "ReferencedSeriesSequence"
ANY_OBJECT = parse_config('{"general": {"objects": {"private_sop_class": "process"}}}', "tests")


@functools.cache
def table() -> dict[int, standard.ProfileRow]:
    rows = {}
    for row in standard.profile_rows():
        if row.tag[1:5] in ("0000", "0002", "0004", "gggg"):
            continue
        text = row.tag.replace("50xx,xxxx", "5000,2000").replace("60xx", "6000")
        key = tags.parse_key(text)
        assert isinstance(key, int)
        rows[key] = row
    assert len(rows) == 652
    return rows


def full(sop_class: str) -> Dataset:
    def one() -> Dataset:
        data_set = Dataset()
        for tag, row in table().items():
            vr = (row.vr or "LO").split(" or ")[0]
            if vr == "SQ":
                data_set.add(
                    DataElement(tag, "SQ", Sequence([item(ReferencedSOPInstanceUID="1.2.3.4.5", CodeMeaning="words")]))
                )
            else:
                data_set.add(DataElement(tag, vr, VALUES[vr]))
        return data_set

    top = one()
    top.SOPClassUID = sop_class
    setattr(top, KEEPER, Sequence([one()]))
    return top


def choose(code: str, kind: str | None) -> str:
    """What PS3.15 section E.1 says of compound codes: the strongest that the Type allows."""
    if len(code) == 1:
        return code
    wanted = {"1": "UD", "1C": "UD", "2": "UZD", "2C": "UZD"}.get(kind or "3", "X")
    return next((letter for letter in wanted + "XZDU" if letter in code), code[-1])


def outcome(new: DataElement | None, old: DataElement) -> str:
    if new is None:
        return "X"
    if new.is_empty:
        return "Z"
    if new.value == old.value:
        return "K"
    if new.VR == "UI":
        return "U" if str(new.value).startswith("2.25.") else "?"
    if new.VR == "SQ":
        inner = new.value[0]
        assert inner.ReferencedSOPInstanceUID.startswith("2.25.")
        return "U" if inner.CodeMeaning == "words" else "D"
    return "D"


@pytest.mark.parametrize("sop_class", IODS.values(), ids=IODS)
def test_every_row(sop_class: str) -> None:
    engine = Engine(Plan(resolve(ANY_OBJECT, preset="basic", default_extra=False), KEY))
    source = full(sop_class)
    pieces = engine.run(walked(encode(source, EXPLICIT_LITTLE))).pieces
    found = decode(b"".join(piece for piece in pieces if isinstance(piece, bytes)), EXPLICIT_LITTLE)
    types = standard.iod_types()
    wrong = []
    for level, new_level, path in (
        (source, found, ()),
        (source[KEEPER].value[0], found[KEEPER].value[0], (0x00081115,)),
    ):
        for tag, row in table().items():
            if row.keyword in DEVIATIONS:
                continue
            result = outcome(new_level.get(tag), level[tag])
            code = row.basic.replace("*", "")
            if row.keyword in ALWAYS_EMPTY:
                expected = "Z"
            elif "/" in code and not types.covers(tag):
                expected = code[-1]
            else:
                kind = types.type_of(sop_class, (*path, tag)) if "/" in code else None
                expected = choose(code.replace("/", ""), kind)
                if code == "Z":
                    expected = "XZ"  # remove_or_clear: absent where the IOD has no place for it
            if result not in expected:
                wrong.append((row.tag, row.keyword, row.basic, expected, result, path))
    assert wrong == []


def test_what_deviates_is_never_kept() -> None:
    for sop_class in IODS.values():
        engine = Engine(Plan(resolve(ANY_OBJECT, preset="basic"), KEY))
        source = full(sop_class)
        pieces = engine.run(walked(encode(source, EXPLICIT_LITTLE))).pieces
        found = decode(b"".join(piece for piece in pieces if isinstance(piece, bytes)), EXPLICIT_LITTLE)
        for tag, row in table().items():
            if row.keyword in DEVIATIONS:
                assert outcome(found.get(tag), source[tag]) in ("X", "Z", "D", "U"), row.keyword
