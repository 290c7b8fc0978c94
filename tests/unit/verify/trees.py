"""Pairs of source and output trees, cleaned by a small script that knows nothing of the package.

No expectations live here.
"""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.data import get_charset_files, get_testdata_files
from pydicom.datadict import dictionary_has_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, JPEGBaseline8Bit

from dicom_anon.verify import VerifyReport, verify_trees

FAMILY, GIVEN = "Grubenwald", "Ottoline"
PHYSICIAN = "Okonjo^Adaeze"
PATIENT_ID, ACCESSION, STUDY_ID = "MRN-448812", "ACC7719X4", "17"
BIRTH, STUDY_DATE = "19571123", "20190614"
INSTITUTION = "Sankt Verena Spital Nordhafen"
STREET, CITY = "Hafenstrasse 12b", "8280 Kreuzlingen"
PHONE = "+41 71 555 01 82"
ROOT = "1.3.6.1.4.1.99999.20190614"
SECRETS = (
    FAMILY,
    GIVEN,
    "Okonjo",
    "Adaeze",
    PATIENT_ID,
    ACCESSION,
    BIRTH,
    STUDY_DATE,
    INSTITUTION,
    STREET,
    ROOT,
)

_BLANKED = (
    "Description",
    "Comment",
    "History",
    "Label",
    "ReferencedFileID",
    "StructureSetName",
    "AddressTrial",
)
_IDENTIFYING = [
    "PatientID",
    "OtherPatientIDs",
    "StudyID",
    "AccessionNumber",
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "ReferringPhysicianAddress",
    "ReferringPhysicianTelephoneNumbers",
    "RequestedProcedureID",
    "ScheduledProcedureStepID",
    "RequestingService",
    "PerformedProcedureStepID",
    "AdmissionID",
    "IssuerOfPatientID",
    "CurrentPatientLocation",
    "ServiceEpisodeID",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
    "OrderCallbackPhoneNumber",
    "PatientInstitutionResidence",
    "InsurancePlanIdentification",
    "ClinicalTrialSubjectID",
    "MilitaryRank",
    "BranchOfService",
    "CountryOfResidence",
    "RegionOfResidence",
    "EthnicGroup",
    "EthnicGroups",
    "PatientReligiousPreference",
    "SpecimenAccessionNumber",
    "ContainerIdentifier",
    "SpecimenIdentifier",
    "DeviceSerialNumber",
    "ClinicalTrialSiteName",
    "ClinicalTrialCoordinatingCenterName",
    "VerifyingOrganization",
    "HumanPerformerOrganization",
    "TelephoneNumberTrial",
]
_CLASSES = (
    "ClassUID",
    "Classes",
    "TransferSyntax",
    "ContextUID",
    "MappingResource",
    "CreatorUID",
    "CodingScheme",
)
_GREEK = ("Alpha", "Beta", "Gamma", "Delta", "Epsilon", "Zeta", "Theta")


def _number(value: str) -> int:
    return int(hashlib.sha256(value.encode("utf-8", "replace")).hexdigest(), 16)


def new_uid(value: object) -> str:
    text = str(value)
    return text if text.startswith("1.2.840.10008.") else f"2.25.{_number(text) % 10**38}"


def _new_date(value: object) -> str:
    try:
        return (datetime.strptime(str(value)[:8], "%Y%m%d") - timedelta(days=41)).strftime("%Y%m%d")
    except ValueError:
        return ""


def _new_name(value: object) -> str:
    number = _number(str(value))
    return f"{_GREEK[number % 7]}^{_GREEK[number // 7 % 7]}"


def _each(element: DataElement, change: Callable[[object], str]) -> None:
    values = element.value if element.VM > 1 else [element.value] if element.value else []
    element.value = [change(value) for value in values]


def clean(data_set: Dataset) -> Dataset:
    """De-identify in place: private and unknown elements go, people, ids, dates and UIDs are replaced."""
    for element in list(data_set):
        word = element.keyword
        if element.tag.is_private or not dictionary_has_tag(element.tag):
            del data_set[element.tag]
        elif element.VR == "SQ":
            for one in element.value:
                clean(one)
        elif element.VR == "PN":
            _each(element, _new_name)
        elif element.VR == "UI" and not any(part in word for part in _CLASSES):
            _each(element, new_uid)
        elif element.VR in ("DA", "DT"):
            _each(element, _new_date)
        elif element.VR in ("LT", "ST", "UT") or any(part in word for part in _BLANKED):
            element.value = None
        elif word in _IDENTIFYING:
            element.value = f"N{_number(str(element.value)) % 10**9}" if element.value else ""
    return data_set


def clean_file(raw: bytes) -> bytes:
    """Return a file de-identified; the creator of the instance is an instance of its own."""
    data_set = dcmread(io.BytesIO(raw), force=True)
    if "InstanceCreatorUID" in data_set:
        del data_set.InstanceCreatorUID
    clean(data_set)
    meta = data_set.file_meta
    if "MediaStorageSOPInstanceUID" in meta:
        new = data_set.get("SOPInstanceUID") or new_uid(meta.MediaStorageSOPInstanceUID)
        meta.MediaStorageSOPInstanceUID = UID(new)
    for word in ("SourceApplicationEntityTitle", "PrivateInformation", "PrivateInformationCreatorUID"):
        if word in meta:
            del meta[word]
    data_set.preamble = bytes(128)
    buffer = io.BytesIO()
    data_set.save_as(buffer, enforce_file_format=False)
    return buffer.getvalue()


def coded(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "SCT", meaning
    return code


def referring(instance: str) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = CTImageStorage, instance
    return reference


def image(number: int = 1, patient: int = 1, /, **changes: Any) -> Dataset:
    """Return a small CT image of a patient; the second shares nothing with the first but the scanner."""
    second = patient == 2
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(f"{ROOT}.{patient}.2.{number}")
    ds.StudyDate = "20180305" if second else STUDY_DATE
    ds.ContentTime = "101530"
    ds.AccessionNumber = "B00213QQ" if second else ACCESSION
    ds.Modality = "CT"
    ds.Manufacturer = "Nordlicht Medical"
    ds.InstitutionName = INSTITUTION
    ds.InstitutionAddress = f"{STREET}\r\n{CITY}"
    ds.ReferringPhysicianName = PHYSICIAN
    ds.ReferencedImageSequence = [referring(f"{ROOT}.{patient}.2.1")]
    ds.PatientName = "Vanterpool^Ignace" if second else f"{FAMILY}^{GIVEN}"
    ds.PatientID = "MRN-990021" if second else PATIENT_ID
    ds.PatientBirthDate = "19440708" if second else BIRTH
    ds.PatientSex = "F"
    ds.PatientTelephoneNumbers = "" if second else PHONE
    ds.BodyPartExamined = "HEAD"
    ds.AnatomicRegionSequence = [coded("69536005", "Head")]
    ds.StudyInstanceUID = f"{ROOT}.{patient}"
    ds.SeriesInstanceUID = f"{ROOT}.{patient}.1"
    ds.FrameOfReferenceUID = f"{ROOT}.{patient}.9"
    ds.StudyID = "18" if second else STUDY_ID
    ds.InstanceNumber = number
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = 16
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PixelData = b"".join(struct.pack("<H", (number * 37 + i * 5) % 4096) for i in range(256))
    for word, value in changes.items():
        setattr(ds, word, value)
    return ds


def raw(data_set: Dataset) -> bytes:
    buffer = io.BytesIO()
    data_set.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def jpeg(comment: bytes = b"", after: bytes = b"") -> bytes:
    """Return a codestream with the structure of baseline JPEG; nothing decodes it."""
    return (
        b"\xff\xd8"
        + segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
        + segment(0xFE, comment)
        + segment(0xDB, bytes(65))
        + segment(0xC0, b"\x08\0\x10\0\x10\1\1\x11\0")
        + segment(0xDA, b"\1\1\0\0\x3f\0")
        + bytes(range(200))
        + b"\xff\0\xff\xd9"
        + after
    )


def compressed(frame: bytes, number: int = 1, patient: int = 1) -> Dataset:
    ds = image(number, patient, BitsAllocated=8, BitsStored=8, HighBit=7)
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].VR = "OB"
    return ds


class Trees:
    """A source and its clean copy in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.source, self.destination = folder / "src", folder / "dst"
        self.source.mkdir()
        self.destination.mkdir()

    def add(self, name: str, source: Dataset | bytes, output: Dataset | bytes | None = None) -> Path:
        """Write a source and its output, by default the cleaned source; return the output."""
        data = source if isinstance(source, bytes) else raw(source)
        if output is None:
            output = clean_file(data)
        elif isinstance(output, Dataset):
            output = raw(output)
        for root, content in ((self.source, data), (self.destination, output)):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return self.destination / name

    def change(self, name: str, change: Callable[[Dataset], None]) -> None:
        """Change an output with pydicom."""
        path = self.destination / name
        data_set = dcmread(path)
        change(data_set)
        data_set.save_as(path)

    def verify(self, **options: Any) -> VerifyReport:
        return verify_trees(self.source, self.destination, **options)


def two_patients(folder: Path) -> Trees:
    """Return a clean pair of trees: two images of one patient, one of another."""
    trees = Trees(folder)
    trees.add("a/1.dcm", image(1))
    trees.add("a/2.dcm", image(2))
    trees.add("b/1.dcm", image(1, 2))
    return trees


def real_files() -> Iterator[tuple[str, bytes]]:
    """Yield the DICOM files that pydicom reads and writes whole, under names that say nothing."""
    spoilt = {
        "no_meta.dcm",
        "MR_truncated.dcm",
        "rtplan_truncated.dcm",
        "emri_small_jpeg_2k_lossless_too_short.dcm",
        "DICOMDIR-nooffset",
    }
    for number, name in enumerate(sorted({*get_testdata_files(), *get_charset_files()})):
        path = Path(name)
        if not path.is_file() or path.name in spoilt:
            continue
        content = path.read_bytes()
        if content[128:132] == b"DICM" or content[:2] in (b"\x08\0", b"\x02\0"):
            yield f"{number:04}.dcm", content
