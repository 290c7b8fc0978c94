"""Identifiers in the places that are easily forgotten: private blocks, UN, overlays, curves, nested items.

Each function adds to a Data Set that a builder has made; no object is built here.
"""

from __future__ import annotations

import struct
from io import BytesIO

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence

from dicom_anon.sample.common import item
from dicom_anon.sample.people import Visit, uid
from dicom_anon.sample.pixels import bitmap, phantom


def add_history(dataset: Dataset, visit: Visit) -> Dataset:
    """Add former names and numbers of the patient: other IDs, references, and what a merge replaced."""
    person = visit.person
    former = person.old_name
    dataset.PatientBirthName = former
    dataset.OtherPatientNames = [former, person.name]
    dataset.OtherPatientIDs = [person.old_id]
    dataset.OtherPatientIDsSequence = [
        item(PatientID=person.old_id, IssuerOfPatientID=person.issuer, TypeOfPatientID="TEXT")
    ]
    dataset.ReferencedPatientSequence = [
        item(
            # Detached Patient Management, retired, as old modalities write it.
            ReferencedSOPClassUID="1.2.840.10008.3.1.2.1.1",
            ReferencedSOPInstanceUID=uid(visit.number, 0, 13),
        )
    ]
    dataset.OriginalAttributesSequence = [
        item(
            SourceOfPreviousValues=visit.site.institution,
            AttributeModificationDateTime=visit.moment,
            ModifyingSystem=visit.site.station,
            ReasonForTheAttributeModification="CORRECT",
            ModifiedAttributesSequence=[
                item(PatientName=former, PatientID=person.old_id, PatientBirthDate=person.birth)
            ],
        )
    ]
    if person.charset == "ISO_IR 192":
        # What was modified came from an older system: the item has a character set of its own.
        modified = dataset.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
        modified.SpecificCharacterSet = "ISO_IR 144"
    return dataset


def add_orders(dataset: Dataset, visit: Visit) -> Dataset:
    """Add the order that led to the study, with its numbers inside items of items."""
    dataset.RequestingPhysician = visit.site.referring
    dataset.RequestingService = f"Ward of {visit.site.institution}"
    dataset.RequestAttributesSequence = [
        item(
            AccessionNumber=visit.accession,
            RequestedProcedureID=visit.order,
            RequestedProcedureDescription=f"{visit.description} {visit.person.surname}",
            ScheduledProcedureStepID=visit.study_id,
            ScheduledProcedureStepDescription=f"call {visit.person.phone} first",
            ReferencedStudySequence=[
                item(
                    # Study Component Management, retired: what old work lists still hand out.
                    ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.2",
                    ReferencedSOPInstanceUID=uid(visit.number),
                )
            ],
        )
    ]
    dataset.PerformedProcedureStepID = visit.study_id
    dataset.PerformedProcedureStepStartDate = visit.date
    dataset.PerformedProcedureStepStartTime = visit.time
    dataset.PerformedProcedureStepDescription = visit.description
    return dataset


def add_siemens(dataset: Dataset, visit: Visit) -> Dataset:
    """Add Siemens blocks: plain values under two creators, and CSA headers with the name inside OB."""
    person = visit.person
    block = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x08, "CS", "IMAGE NUM 4")
    block.add_new(0x09, "LO", "1.0")
    block.add_new(0x0B, "DS", "78.5")
    block.add_new(0x0C, "IS", "800")
    block.add_new(0x0E, "FD", [0.6, 0.0, 0.8])
    block = dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x08, "CS", "IMAGE NUM 4")
    block.add_new(0x10, "OB", _csa({"PatientPosition": ("CS", "HFS"), "UsedPatientWeight": ("DS", "74.5")}))
    block.add_new(
        0x20,
        "OB",
        _csa({"UsedPatientName": ("LO", f"{person.surname} {person.pid}"), "Contact": ("SH", person.phone)}),
    )
    # A second creator in the same group, so that the element numbers alone say nothing.
    block = dataset.private_block(0x0029, "SIEMENS MEDCOM HEADER2", create=True)
    block.add_new(0x60, "LO", f"com {person.surname}")
    return dataset


def _csa(entries: dict[str, tuple[str, str]]) -> bytes:
    """Encode a Siemens CSA2 header with one item for each entry."""
    encoded = b"SV10\x04\x03\x02\x01" + struct.pack("<2L", len(entries), 77)
    for name, (vr, text) in entries.items():
        value = text.encode("latin-1") + b"\x00"
        encoded += struct.pack("<64sl4s3l", name.encode(), 1, vr.encode(), 0, 1, 77)
        encoded += struct.pack("<4l", len(value), len(value), 77, len(value))
        encoded += value + b"\x00" * (-len(value) % 4)
    return encoded


def add_gems(dataset: Dataset, visit: Visit) -> Dataset:
    """Add GE blocks: identifiers in LO, in a private UI, and as UTF-16 inside OB."""
    person = visit.person
    block = dataset.private_block(0x0009, "GEMS_IDEN_01", create=True)
    block.add_new(0x01, "LO", "GE_GENESIS_FF")
    block.add_new(0x02, "SH", visit.site.station)
    block.add_new(0x27, "SL", 1621409585)
    block.add_new(0xE3, "UI", uid(visit.number, 0, 14))
    block = dataset.private_block(0x0011, "GEMS_PATI_01", create=True)
    block.add_new(0x10, "SS", 0)
    block = dataset.private_block(0x0019, "GEMS_ACQU_01", create=True)
    block.add_new(0x02, "SL", 512)
    block.add_new(0x7E, "DS", "1.25")
    block = dataset.private_block(0x0043, "GEMS_PARM_01", create=True)
    block.add_new(0x2A, "OB", f"{person.name}|{person.pid}|".encode("utf-16-le"))
    block.add_new(0x2F, "LO", f"prior exam of {person.surname}")
    return dataset


def add_philips(dataset: Dataset, visit: Visit) -> Dataset:
    """Add a Philips block with private sequences of undefined length, the name two levels down."""
    block = dataset.private_block(0x2005, "Philips MR Imaging DD 005", create=True)
    inner = item(PatientName=visit.person.name, PatientID=visit.person.pid)
    inner.is_undefined_length_sequence_item = True
    private = inner.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
    private.add_new(0x20, "LO", f"prepared by {visit.site.operator.split('^')[0]}")
    outer = item(ReferencedSOPInstanceUID=dataset.SOPInstanceUID)
    outer.is_undefined_length_sequence_item = True
    outer_block = outer.private_block(0x2005, "Philips MR Imaging DD 005", create=True)
    outer_block.add_new(0x03, "SQ", Sequence([inner]))
    outer_block[0x03].is_undefined_length = True
    block.add_new(0x02, "SQ", Sequence([outer]))
    block[0x02].is_undefined_length = True
    return dataset


def add_unknown_vr(dataset: Dataset, visit: Visit) -> Dataset:
    """Write known text, a known sequence and private ones as UN, as an archive without dictionary does."""
    person = visit.person
    _add_un(dataset, 0x00104000, f"Keep away from {person.surname}'s family ".encode("latin-1"))
    _add_un(dataset, 0x001021B0, f"Fell near {person.address} ".encode("latin-1"))
    # PS3.5 6.2.2: a sequence in UN is Implicit VR Little Endian inside, whatever the transfer syntax.
    _add_un(dataset, 0x00101002, _items(item(PatientID=person.old_id, TypeOfPatientID="TEXT")))
    block = dataset.private_block(0x0099, "DEMO RIS 1.0", create=True)
    _add_un(dataset, block.get_tag(0x01), person.phone.encode("latin-1"))
    inner = item(PatientName=person.old_name, ReferencedSOPInstanceUID=dataset.SOPInstanceUID)
    _add_un(dataset, block.get_tag(0x02), _items(inner))
    dataset[block.get_tag(0x02)].is_undefined_length = True
    return dataset


def _add_un(dataset: Dataset, tag: int, value: bytes) -> None:
    element = DataElement(tag, "OB", value + b" " * (len(value) % 2))
    # Only now: given UN at once, pydicom would put the VR that it knows in its place.
    element.VR = "UN"
    dataset.add(element)


def _items(*items: Dataset) -> bytes:
    """Encode items as they stand inside a sequence of Implicit VR Little Endian."""
    encoded = b""
    for each in items:
        buffer = BytesIO()
        dcmwrite(buffer, each, implicit_vr=True, little_endian=True)
        encoded += struct.pack("<HHL", 0xFFFE, 0xE000, buffer.tell()) + buffer.getvalue()
    return encoded


def add_overlays(dataset: Dataset, visit: Visit) -> Dataset:
    """Add two overlay planes whose texts name the patient."""
    rows, columns = dataset.Rows, dataset.Columns
    for group, text in ((0x6000, visit.person.surname), (0x6002, f"ROI of {visit.person.pid}")):
        plane = bitmap(rows, columns, phantom(rows, columns, 0, 1, group & 0xF))
        dataset.add_new((group, 0x0010), "US", rows)
        dataset.add_new((group, 0x0011), "US", columns)
        dataset.add_new((group, 0x0022), "LO", text)
        dataset.add_new((group, 0x0040), "CS", "G")
        dataset.add_new((group, 0x0050), "SS", [1, 1])
        dataset.add_new((group, 0x0100), "US", 1)
        dataset.add_new((group, 0x0102), "US", 0)
        dataset.add_new((group, 0x1500), "LO", f"Overlay {text}")
        dataset.add_new((group, 0x3000), "OW", plane)
    return dataset


def add_curve(dataset: Dataset, visit: Visit) -> Dataset:
    """Add a curve (PS3.3-2004 C.10.2, retired) whose texts name the patient."""
    dataset.add_new(0x50000005, "US", 2)
    dataset.add_new(0x50000010, "US", 4)
    dataset.add_new(0x50000020, "CS", "POLY")
    dataset.add_new(0x50000022, "LO", f"Outline for {visit.person.surname}")
    dataset.add_new(0x50000030, "SH", ["PIXL", "PIXL"])
    dataset.add_new(0x50000103, "US", 0)
    dataset.add_new(0x50002500, "LO", f"Curve {visit.person.surname}")
    dataset.add_new(0x50003000, "OW", struct.pack("<8H", 1, 1, 30, 1, 30, 30, 1, 30))
    return dataset


def add_trailing_padding(dataset: Dataset, visit: Visit) -> Dataset:
    """Add Data Set Trailing Padding (FFFC,FFFC) that was never wiped."""
    text = f"...{visit.person.name}...".encode()
    dataset.add_new(0xFFFCFFFC, "OB", text.ljust(128, b"\x00"))
    return dataset
