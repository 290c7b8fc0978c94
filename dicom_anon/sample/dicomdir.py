"""Builder of the DICOMDIR (PS3.3 Annex F) over the part of the sample tree that looks like an export medium.

It only describes files that others have built.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_anon.sample.common import item, part10


def dicomdir(files: Sequence[tuple[str, Dataset]], source_aet: str) -> bytes:
    """Return the bytes of a DICOMDIR over the images of one series.

    Parameters
    ----------
    files : sequence of (str, Dataset)
        For each image the path from the DICOMDIR, in upper case with ``/``, and its Data Set.
    source_aet : str
        Source Application Entity Title (0002,0016).
    """
    first = files[0][1]
    records = [_patient(first), _study(first), _series(first)]
    records += [_image(path, image) for path, image in files]
    directory = item(
        FileSetID="HANDXRAYS",
        OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity=0,
        OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity=0,
        FileSetConsistencyFlag=0,
        DirectoryRecordSequence=records,
    )
    # An offset has four bytes whatever it is: written once with zeros, the file tells where its items begin.
    trial = dcmread(BytesIO(part10(directory, ExplicitVRLittleEndian, source_aet)))
    tells = [record.seq_item_tell for record in trial.DirectoryRecordSequence]
    directory.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = tells[0]
    directory.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = tells[0]
    # Patient, study and series stand alone on their levels; only images have a next one.
    for at in range(3):
        records[at].OffsetOfReferencedLowerLevelDirectoryEntity = tells[at + 1]
    for at in range(3, len(records) - 1):
        records[at].OffsetOfTheNextDirectoryRecord = tells[at + 1]
    return part10(directory, ExplicitVRLittleEndian, source_aet)


def _record(kind: str, source: Dataset, keywords: str) -> Dataset:
    """Return a directory record with these attributes copied from `source`."""
    record = item(
        OffsetOfTheNextDirectoryRecord=0,
        RecordInUseFlag=0xFFFF,
        OffsetOfReferencedLowerLevelDirectoryEntity=0,
        DirectoryRecordType=kind,
    )
    for keyword in ("SpecificCharacterSet", *keywords.split()):
        if keyword in source:
            record[keyword] = source[keyword]
    return record


def _patient(source: Dataset) -> Dataset:
    return _record("PATIENT", source, "PatientName PatientID PatientBirthDate PatientSex")


def _study(source: Dataset) -> Dataset:
    return _record("STUDY", source, "StudyDate StudyTime AccessionNumber StudyDescription StudyInstanceUID StudyID")


def _series(source: Dataset) -> Dataset:
    return _record("SERIES", source, "Modality SeriesInstanceUID SeriesNumber InstitutionName")


def _image(path: str, source: Dataset) -> Dataset:
    record = _record("IMAGE", source, "InstanceNumber ImageType ContentDate")
    record.ReferencedFileID = path.split("/")
    record.ReferencedSOPClassUIDInFile = source.SOPClassUID
    record.ReferencedSOPInstanceUIDInFile = source.SOPInstanceUID
    record.ReferencedTransferSyntaxUIDInFile = ExplicitVRLittleEndian
    return record
