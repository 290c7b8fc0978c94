"""What identifies the patient of one file: from every depth of it for the scrubber of free text, and for path names.

Lives here: which elements count as identifiers of which kind. Does not live here: finding them in a text or a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydicom.datadict import DicomDictionary

from dicom_anon import naming, tags, values
from dicom_anon.elements import Span
from dicom_anon.freetext import Identifiers, Scrubber, scrubber_for
from dicom_anon.scope import Element, FileScope, Level

_KINDS = {
    "ids": """
        PatientID OtherPatientIDs AccessionNumber StudyID AdmissionID ServiceEpisodeID MedicalRecordLocator
        RequestedProcedureID ScheduledProcedureStepID PerformedProcedureStepID
        PlacerOrderNumberImagingServiceRequest FillerOrderNumberImagingServiceRequest
        PlacerOrderNumberProcedure FillerOrderNumberProcedure
        DeviceSerialNumber DetectorID PlateID CassetteID GantryID GeneratorID XRayDetectorID XRaySourceID
        UniqueDeviceIdentifier ClinicalTrialSubjectID ClinicalTrialSubjectReadingID ClinicalTrialSiteID
        ContainerIdentifier SpecimenIdentifier BreedRegistrationNumber
        SpecimenAccessionNumber SlideIdentifier LensSerialNumber SourceSerialNumber
        StudyInstanceUID SeriesInstanceUID FrameOfReferenceUID
    """,
    "dates": """
        PatientBirthDate StudyDate SeriesDate AcquisitionDate ContentDate AdmittingDate AcquisitionDateTime
        PerformedProcedureStepStartDate ScheduledProcedureStepStartDate LastMenstrualDate
        PatientBirthDateInAlternativeCalendar PatientDeathDateInAlternativeCalendar InstanceCreationDate
        DischargeDate
    """,
    "phones": """
        PatientTelephoneNumbers ReferringPhysicianTelephoneNumbers PersonTelephoneNumbers
        OrderCallbackPhoneNumber PatientTelecomInformation PersonTelecomInformation
        OrderCallbackTelecomInformation TelephoneNumberTrial
    """,
    "addresses": """
        PatientAddress ReferringPhysicianAddress PersonAddress InstitutionAddress RegionOfResidence
        AddressTrial
    """,
    "institutions": """
        InstitutionName InstitutionalDepartmentName StationName RequestingService CurrentPatientLocation
        PatientInstitutionResidence ScheduledProcedureStepLocation PerformedLocation PerformedStationName
        ScheduledStationName ResponsibleOrganization VerifyingOrganization ClinicalTrialSiteName
        IssuerOfPatientID ClinicalTrialCoordinatingCenterName InsurancePlanIdentification StationAETitle
        TreatmentMachineName RequestedProcedureLocation ScheduledStudyLocation OrderEntererLocation
    """,
}
_KIND_OF = {
    tag: kind
    for kind, keywords in _KINDS.items()
    for tag in map(tags.tag_for_keyword, keywords.split())
    if tag is not None
}
_KIND_OF |= {tag: "names" for tag, entry in DicomDictionary.items() if entry[0] == "PN"}  # stored in whatever VR


def is_identifier(tag: int) -> bool:
    """Tell whether an element holds an identifier and nothing else."""
    return tag in _KIND_OF


def scrubber_of(file: FileScope) -> Scrubber:
    """Scrubber of the identifiers that a file holds, made when first asked for and shared by like files."""
    return file.recall("scrubber", lambda: scrubber_for(gather(file.root)))


def is_searchable(element: Element) -> bool:
    """Tell whether the file's identifiers would be found in a text.

    All of it must be in its character set. Letters beyond ASCII are compared with those of the identifiers, so these
    must be in theirs.
    """
    if element.raw.isascii() and b"\x1b" not in element.raw:
        return True
    return _is_legible(element) and _identifiers_are_legible(element.file)


def _is_legible(element: Element) -> bool:
    vr = "UC" if element.vr == "UN" else element.vr
    return vr not in values.TEXT_VRS or values.is_legible(element.raw, vr, element.level.encodings)


def _identifiers_are_legible(file: FileScope) -> bool:
    def find() -> bool:
        return all(_is_legible(element) for _, element in _identifying(file.root, file.root.walked()))

    return file.recall("legible", find)


def gather(root: Level) -> Identifiers:
    """Collect the identifiers of a file: every person's name, and the elements listed above, at every depth.

    Person names in private elements count as well, where the file says that they are names.
    """
    found: dict[str, list[str]] = {"names": [], **{kind: [] for kind in _KINDS}}
    for kind, element in _identifying(root, root.walked()):
        if text := element.text if element.raw.isascii() or _is_legible(element) else values.guess(element.raw):
            found[kind].append(text)
    return Identifiers.of(**found)


def _identifying(level: Level, spans: list[Span]) -> Iterator[tuple[str, Element]]:
    kind_of = _KIND_OF.get
    reads = level.file.reads if level.parent is None else None
    for span in spans:
        kind = "names" if span[1] == b"PN" else kind_of(span[0])
        if reads is not None and (kind is not None or span[5]):
            reads.add(span[0])
        if kind is not None:
            if span[4] > span[3] and span[5] is None:
                yield kind, Element(level, span)
        elif span[5]:
            for item in span[5]:
                yield from _identifying(Level(level.file, item.spans, item.encoding, level, span[0]), item.spans)


_OTHER_NAMES = (
    0x00101001,  # Other Patient Names
    0x00101005,  # Patient's Birth Name
    0x00101060,  # Patient's Mother's Birth Name
)
_OTHER_IDS = (
    tags.OTHER_PATIENT_IDS,
    0x00101090,  # Medical Record Locator
)
_VISITS = (
    0x00380010,  # Admission ID
    0x00380060,  # Service Episode ID
)
_IDS_IN_ITEMS = {
    0x00101002: tags.PATIENT_ID,  # Other Patient IDs Sequence
    0x00400275: tags.ACCESSION_NUMBER,  # Request Attributes Sequence
    0x0040A370: tags.ACCESSION_NUMBER,  # Referenced Request Sequence
}
_ELSEWHERE = frozenset((*_OTHER_NAMES, *_OTHER_IDS, *_VISITS, *_IDS_IN_ITEMS))
"""Elements with further names and numbers of the patient, most of which a file lacks."""
_TELLING_NUMBER = re.compile(r"(?=.{5}).*[1-9]\d\d.*")
"""The ID of a study or visit that tells of it, without leading zeros: most are a small number, some a word."""
_OTHER_DAYS = (
    0x00080021,  # Series Date
    0x00080023,  # Content Date
)
_NO_DIGIT = re.compile(r"\D")
"""What may stand between the numbers of a date: dots in old files (PS3.5 section 6.2, note to DA)."""
_ACQUISITION_DATE = 0x00080022
_ACQUISITION_DATETIME = 0x0008002A
_SHARED_UIDS = (tags.STUDY_INSTANCE_UID, tags.SERIES_INSTANCE_UID, tags.FRAME_OF_REFERENCE_UID)


def path_identifiers(root: Level, new_day: str) -> naming.Identifiers:
    """Gather what the path of a file may tell of it.

    Parameters
    ----------
    root : Level
        Its original top level.
    new_day : str
        The Study Date that it has afterwards: the original one, and the other days of the file, identify only where
        that is another.
    """
    names, ids = _elsewhere(root) if root.has_any(_ELSEWHERE) else ([], [])
    day = root.near(tags.STUDY_DATE)
    days = () if day and day == new_day else (day, _acquired(root), *map(root.near, _OTHER_DAYS))
    dates = (_NO_DIGIT.sub("", date)[:8] for date in (root.near(tags.PATIENT_BIRTH_DATE), *days))
    return naming.identifiers_of(
        (*_names(root, tags.PATIENT_NAME), *names),
        (root.near(tags.PATIENT_ID), root.near(tags.ACCESSION_NUMBER), *_telling(root.near(tags.STUDY_ID)), *ids),
        tuple(dict.fromkeys(dates)),
        tuple(root.near(tag).strip("\0") for tag in _SHARED_UIDS),
    )


def _acquired(root: Level) -> str:
    """Day of the acquisition; its time, in which slices differ, is not looked at where a date of its own tells it."""
    return root.near(_ACQUISITION_DATE) or root.near(_ACQUISITION_DATETIME)


def _elsewhere(root: Level) -> tuple[list[str], list[str]]:
    """Further names and numbers of the patient, and the numbers of items."""
    names = [name for tag in _OTHER_NAMES for name in _names(root, tag)]
    ids = [text for tag in _OTHER_IDS for text in (root.text(tag) or "").split("\\")]
    ids += [item.text(tag) or "" for sequence, tag in _IDS_IN_ITEMS.items() for item in root.items(sequence)]
    return names, ids + [text for tag in _VISITS for text in _telling(root.near(tag))]


def _names(root: Level, tag: int) -> list[str]:
    """Names in an element; they may be in another character set than the file says."""
    raw, text = root.raw(tag) or b"", root.text(tag) or ""
    found = (text, *(() if raw.isascii() else values.readings(raw)))
    return [name for one in found for name in map(str.strip, one.split("\\")) if name]


def _telling(number: str) -> tuple[str, ...]:
    """The ID of a study or visit, if it tells of it."""
    return (number,) if _TELLING_NUMBER.fullmatch(number.lstrip("0")) else ()
