"""Which Data Elements hold identifiers, of what kind, and which are coded vocabulary.

Lives here: tables of tags, after PS3.15 Table E.1-1 and PS3.6. Does not live here: reading or searching.
Deliberately not shared with the rules of the engine: an attribute forgotten there should not be forgotten
here as well.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pydicom.datadict import dictionary_keyword

PATIENT_NAME = "patient name"
PHYSICIAN = "physician"
PERSON = "person name"
PATIENT_ID = "patient id"
STUDY_ID = "study id"
ACCESSION = "accession"
PROCEDURE_ID = "procedure id"
SPECIMEN_ID = "specimen id"
DEVICE = "device serial"
BIRTH_DATE = "birth date"
DATE = "date"
UID = "original uid"
ADDRESS = "address"
PHONE = "phone"
INSTITUTION = "institution"
BACKGROUND = "religion, origin or rank"
TOKEN = "token"

NAMES = frozenset({PATIENT_NAME, PHYSICIAN, PERSON})
IDS = frozenset({PATIENT_ID, STUDY_ID, ACCESSION, PROCEDURE_ID, SPECIMEN_ID})
OFTEN_WORDS = frozenset({PROCEDURE_ID, SPECIMEN_ID})  # of which those without a digit are no evidence
DATES = frozenset({BIRTH_DATE, DATE})

TEXT_KINDS: dict[int, str] = {
    0x00100020: PATIENT_ID,  # Patient ID
    0x00100021: INSTITUTION,  # Issuer of Patient ID
    0x00101000: PATIENT_ID,  # Other Patient IDs
    0x00101050: PATIENT_ID,  # Insurance Plan Identification
    0x00101090: PATIENT_ID,  # Medical Record Locator
    0x00380010: PATIENT_ID,  # Admission ID
    0x00380060: PATIENT_ID,  # Service Episode ID
    0x00120040: PATIENT_ID,  # Clinical Trial Subject ID
    0x00120042: PATIENT_ID,  # Clinical Trial Subject Reading ID
    0x00200010: STUDY_ID,  # Study ID
    0x00080050: ACCESSION,  # Accession Number
    0x00402016: ACCESSION,  # Placer Order Number / Imaging Service Request
    0x00402017: ACCESSION,  # Filler Order Number / Imaging Service Request
    0x00400009: PROCEDURE_ID,  # Scheduled Procedure Step ID
    0x00400253: PROCEDURE_ID,  # Performed Procedure Step ID
    0x00401001: PROCEDURE_ID,  # Requested Procedure ID
    0x0040050A: ACCESSION,  # Specimen Accession Number
    0x00400512: SPECIMEN_ID,  # Container Identifier
    0x00400551: SPECIMEN_ID,  # Specimen Identifier
    0x00181000: DEVICE,  # Device Serial Number
    0x00080080: INSTITUTION,  # Institution Name
    0x00081040: INSTITUTION,  # Institutional Department Name
    0x00120031: INSTITUTION,  # Clinical Trial Site Name
    0x00120060: INSTITUTION,  # Clinical Trial Coordinating Center Name
    0x0040A027: INSTITUTION,  # Verifying Organization
    0x00404036: INSTITUTION,  # Human Performer's Organization
    0x0038001E: INSTITUTION,  # Scheduled Patient Institution Residence
    0x00102299: INSTITUTION,  # Responsible Organization
    0x00321033: INSTITUTION,  # Requesting Service
    0x00380400: INSTITUTION,  # Patient's Institution Residence
    0x00380300: ADDRESS,  # Current Patient Location
    0x00080081: ADDRESS,  # Institution Address
    0x00080092: ADDRESS,  # Referring Physician's Address
    0x00101040: ADDRESS,  # Patient's Address
    0x4008011A: ADDRESS,  # Distribution Address
    0x0040A353: ADDRESS,  # Address (Trial)
    0x00401102: ADDRESS,  # Person's Address
    0x00080094: PHONE,  # Referring Physician's Telephone Numbers
    0x00102154: PHONE,  # Patient's Telephone Numbers
    0x00102155: PHONE,  # Patient's Telecom Information
    0x0040A354: PHONE,  # Telephone Number (Trial)
    0x00401103: PHONE,  # Person's Telephone Numbers
    0x00401104: PHONE,  # Person's Telecom Information
    0x00402010: PHONE,  # Order Callback Phone Number
    0x00402011: PHONE,  # Order Callback Telecom Information
    0x00101080: BACKGROUND,  # Military Rank
    0x00101081: BACKGROUND,  # Branch of Service
    0x00102150: BACKGROUND,  # Country of Residence
    0x00102152: BACKGROUND,  # Region of Residence
    0x00102160: BACKGROUND,  # Ethnic Group
    0x00102162: BACKGROUND,  # Ethnic Groups
    0x001021F0: BACKGROUND,  # Patient's Religious Preference
}
"""Without Occupation and other free text of which rules may clean a part and leave the rest."""

STUDY, SERIES, INSTANCE, FRAME = 0x0020000D, 0x0020000E, 0x00080018, 0x00200052
META_INSTANCE = 0x00020003  # Media Storage SOP Instance UID; rebuilt from the SOP Instance UID, not mapped
DIRECTORY_RECORDS = "(0004,1220)"  # Directory Record Sequence, which makes a DICOMDIR; a run makes it anew
OWN_UIDS = frozenset({STUDY, SERIES, INSTANCE, FRAME})  # what a file calls itself and its parents

INSTITUTION_CODES = 0x00080082
_PEOPLE = ("(0040,1101)", "(0008,0082)")  # Person Identification, Institution Code: codes that name, not describe
_VOCABULARY = frozenset(
    {
        0x00080070,  # Manufacturer
        0x00081090,  # Manufacturer's Model Name
        0x00080104,  # Code Meaning
        0x00080102,  # Coding Scheme Designator
        0x00080115,  # Coding Scheme Name
        0x00080116,  # Coding Scheme Responsible Organization
    }
)
_NAMES_OF_FILES = frozenset(
    {
        0x00041130,  # File-set ID
        0x00041141,  # File-set Descriptor File ID
        0x00041500,  # Referenced File ID
    }
)
"""Code Strings by their VR, but what people call files and folders after: patients, for one."""

_CLASS_UID = re.compile(
    r"ClassUID|SOPClass|TransferSyntax|ContextUID|MappingResource|CodingScheme"
    r"|ExtensionCreator|CreatorVersionUID|InformationCreator|PrivateRecordUID|SelectorUIValue|SegmentationTemplateUID"
)


def person_kind(tag: int) -> str:
    """Return the kind of a Person Name by the attribute that holds it."""
    if tag >> 16 == 0x0010:
        return PATIENT_NAME
    keyword = dictionary_keyword(tag) if not tag >> 16 & 1 and _known(tag) else ""
    roles = ("Physician", "Operator", "Verifying", "Reviewer", "Author")
    return PHYSICIAN if any(role in keyword for role in roles) else PERSON


@lru_cache(maxsize=4096)
def is_class_uid(tag: int) -> bool:
    """Say whether a UI element names a class, a syntax or a coding resource, never an instance (PS3.6)."""
    return not tag >> 16 & 1 and _known(tag) and _CLASS_UID.search(dictionary_keyword(tag)) is not None


@lru_cache(maxsize=4096)
def _known(tag: int) -> bool:
    try:
        dictionary_keyword(tag)
    except KeyError:
        return False
    return True


def is_vocabulary(tag: int, vr: str, path: str) -> bool:
    """Say whether a value is coded or technical: its words may prove nothing elsewhere, see `Vocabulary`."""
    if tag >> 16 & 1:
        return 0x10 <= tag & 0xFFFF <= 0xFF  # Private Creator
    if tag in _VOCABULARY:
        return not any(people in path for people in _PEOPLE)
    return vr == "CS" and tag not in _NAMES_OF_FILES


def named_by_code(tag: int, path: str) -> str | None:
    """Return the kind of a Code Meaning that names a person or an institution."""
    if tag != 0x00080104:
        return None
    if _PEOPLE[0] in path:
        return PHYSICIAN
    return INSTITUTION if _PEOPLE[1] in path else None
