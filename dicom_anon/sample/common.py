"""What all builders share: items and codes, the modules every object begins with, and Part 10 bytes.

No particular kind of object is built here.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, MediaStorageDirectoryStorage

from dicom_anon.sample.people import Visit, uid

# The invented machine that wrote the files; the tool must not pass it on.
IMPLEMENTATION_UID = UID(uid(0, 1))


def item(**attributes: Any) -> Dataset:
    """Return a Data Set, or Sequence Item, with these attributes by keyword."""
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """Return an item of a code sequence (PS3.3 8.8)."""
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def reference(dataset: Dataset, **more: Any) -> Dataset:
    """Return an item that references this SOP Instance."""
    return item(ReferencedSOPClassUID=dataset.SOPClassUID, ReferencedSOPInstanceUID=dataset.SOPInstanceUID, **more)


def header(visit: Visit, series: int, number: int, sop_class: UID, modality: str, description: str) -> Dataset:
    """Return the modules every object has: SOP Common, Patient, Study, Series and Equipment.

    Parameters
    ----------
    visit : Visit
        The study, its patient and its site.
    series, number : int
        Series and Instance Number; they also make the UIDs.
    sop_class : UID
        SOP Class of the object.
    modality, description : str
        Modality and Series Description.
    """
    person, site = visit.person, visit.site
    dataset = item(
        InstanceCreationDate=visit.date,
        InstanceCreationTime=visit.time,
        InstanceCreatorUID=uid(visit.number, 0, 9),
        SOPClassUID=sop_class,
        SOPInstanceUID=uid(visit.number, series, number),
        StudyDate=visit.date,
        SeriesDate=visit.date,
        ContentDate=visit.date,
        StudyTime=visit.time,
        SeriesTime=visit.time,
        ContentTime=visit.time,
        AccessionNumber=visit.accession,
        Modality=modality,
        Manufacturer="Quellgerät Demo" if person.charset == "ISO_IR 100" else "Demo Imaging Works",
        InstitutionName=site.institution,
        InstitutionAddress=site.address,
        InstitutionalDepartmentName=f"Radiology of {site.institution}",
        ReferringPhysicianName=site.referring,
        ReferringPhysicianTelephoneNumbers=site.phone,
        StationName=site.station,
        StudyDescription=f"{visit.description} {person.surname}",
        SeriesDescription=description,
        PerformingPhysicianName=site.performing,
        NameOfPhysiciansReadingStudy=site.reader,
        OperatorsName=site.operator,
        ManufacturerModelName="Phantomatic 3000",
        PatientName=person.name,
        PatientID=person.pid,
        IssuerOfPatientID=person.issuer,
        PatientBirthDate=person.birth,
        PatientSex=person.sex,
        PatientAge=person.age,
        PatientSize="1.71",
        PatientWeight="74.5",
        PatientAddress=person.address,
        PatientTelephoneNumbers=person.phone,
        PatientComments=f"{person.surname.upper()} ({person.spoken}), {person.birth_text}, {person.phone}",
        DeviceSerialNumber=site.serial,
        SoftwareVersions=["VQ4.1", "DEMO"],
        DateOfLastCalibration=visit.date,
        StudyInstanceUID=uid(visit.number),
        SeriesInstanceUID=uid(visit.number, series),
        StudyID=visit.study_id,
        AdmissionID=visit.order,
        SeriesNumber=series,
        InstanceNumber=number,
    )
    if person.mother:
        dataset.PatientMotherBirthName = person.mother
    if person.charset:
        charset = person.charset
        dataset.SpecificCharacterSet = charset if isinstance(charset, str) else list(charset)
    return dataset


def part10(dataset: Dataset, syntax: UID, source_aet: str, preamble: bytes = b"") -> bytes:
    """Encode a file with preamble and File Meta Information (PS3.10 7.1).

    Parameters
    ----------
    dataset : Dataset
        The Data Set, its pixel data already encoded for `syntax`.
    syntax : UID
        Transfer Syntax.
    source_aet : str
        Source Application Entity Title (0002,0016).
    preamble : bytes
        At most 128 bytes; the rest is zero.
    """
    meta = FileMetaDataset()
    # A DICOMDIR alone has no SOP Common module.
    meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", MediaStorageDirectoryStorage)
    meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", uid(0, 2))
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    meta.ImplementationVersionName = "DEMO_PACS_41"
    meta.SourceApplicationEntityTitle = source_aet
    dataset.preamble = preamble.ljust(128, b"\x00")
    dataset.file_meta = meta
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def bare(dataset: Dataset) -> bytes:
    """Encode in Implicit VR Little Endian with neither preamble nor File Meta Information."""
    buffer = BytesIO()
    dcmwrite(buffer, dataset, implicit_vr=True, little_endian=True)
    return buffer.getvalue()
