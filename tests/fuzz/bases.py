"""What is broken: small files of every encoding, real and made, with a patient planted in each.

Lives here: the whole files. Does not live here: how they are broken.
"""

from __future__ import annotations

import functools
import io
import warnings
import zlib
from typing import NamedTuple

from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit

from dicom_anon.elements import Encoding
from dicom_anon.filemeta import encoding_of
from tests.datasets import SYNTAXES, encode, file_bytes, image, item, real_files

FAMILY, GIVEN, PHYSICIAN = "Grubenwald", "Ottoline", "Okonjovic"
PATIENT_ID, ACCESSION, INSTITUTION = "MRNQX448812", "ACCZ7719X4", "Sankt Verena Spital"
ROOT = "1.3.6.1.4.1.99999.20190614"
SECRETS = tuple(text.encode() for text in (FAMILY, GIVEN, PHYSICIAN, PATIENT_ID, ACCESSION, INSTITUTION, ROOT))
"""What no output may hold."""

_LARGEST = 40_000


class Base(NamedTuple):
    """One whole file: its name in reports, preamble and file meta, Data Set (inflated), transfer syntax."""

    name: str
    head: bytes
    body: bytes
    syntax: str

    @property
    def deflated(self) -> bool:
        """Whether its Data Set is written deflated."""
        return self.syntax == DeflatedExplicitVRLittleEndian

    @property
    def encoding(self) -> Encoding:
        """How its Data Set is written."""
        return encoding_of(self.syntax)

    def file(self, body: bytes) -> bytes:
        """File with another Data Set."""
        return self.head + (deflate(body) if self.deflated else body)


def deflate(content: bytes) -> bytes:
    """Deflate as the transfer syntax wants it, without a header."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflater.compress(content) + deflater.flush()


def base_of(name: str, content: bytes) -> Base:
    """Cut a whole file where its Data Set starts."""
    if content[128:132] != b"DICM":
        return Base(name, b"", content, SYNTAXES["explicit"])
    pos, syntax = 132, ""
    while content[pos : pos + 2] == b"\2\0":
        long = content[pos + 4 : pos + 6] in (b"OB", b"UN", b"OW", b"UT", b"SQ")
        at, size = (pos + 8, 4) if long else (pos + 6, 2)
        end = at + size + int.from_bytes(content[at : at + size], "little")
        if content[pos + 2 : pos + 4] == b"\x10\0":
            syntax = content[at + size : end].decode().strip("\0")
        pos = end
    body = content[pos:]
    if syntax == DeflatedExplicitVRLittleEndian:
        body = zlib.decompress(body, -zlib.MAX_WBITS)
    return Base(name, content[:pos], body, syntax)


def planted(data_set: Dataset) -> Dataset:
    """Give a Data Set a patient, at its top and in every item that names people or UIDs."""
    for element in data_set:
        if element.VR == "SQ":
            for inner in element.value or ():
                planted(inner)
        elif element.VR == "PN" and element.value:
            element.value = f"{FAMILY}^{GIVEN}"
    data_set.update(
        item(
            PatientName=f"{FAMILY}^{GIVEN}",
            PatientID=PATIENT_ID,
            AccessionNumber=ACCESSION,
            InstitutionName=INSTITUTION,
            ReferringPhysicianName=PHYSICIAN,
            StudyInstanceUID=f"{ROOT}.1",
            SeriesInstanceUID=f"{ROOT}.1.2",
        )
    )
    return data_set


def _made() -> Dataset:
    """Image with all that a header can hold."""
    data_set = planted(image(StudyDate="20190614", PatientBirthDate="19571123", PatientSex="F", Rows=4))
    data_set.SpecificCharacterSet = "ISO_IR 100"
    reference = item(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", ReferencedSOPInstanceUID=f"{ROOT}.9")
    inner = item(ReferencedImageSequence=[reference], PatientName=f"{FAMILY}^{GIVEN}")
    data_set.RequestAttributesSequence = [inner, item(RequestedProcedureID=PATIENT_ID)]
    data_set["RequestAttributesSequence"].is_undefined_length = True
    inner.is_undefined_length_sequence_item = True
    block = data_set.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "1000")
    block.add_new(0x10, "LO", PATIENT_ID)
    block.add_new(0x11, "SQ", [item(PatientID=PATIENT_ID)])
    block.add_new(0x12, "UN", b"\xfe\xff\x00\xe0\x12\x00\x00\x00\x10\x00\x10\x00\x0a\x00\x00\x00" + FAMILY.encode())
    data_set.ImageComments = f"seen by {PHYSICIAN}, {GIVEN}"
    data_set.ImageType = ["ORIGINAL", "PRIMARY"]
    data_set.FrameOfReferenceUID = f"{ROOT}.5"
    data_set.SmallestImagePixelValue = 0
    data_set.PixelSpacing = ["0.5", "0.5"]
    return data_set


@functools.cache
def bases() -> tuple[Base, ...]:
    """Return all of them, in one order everywhere."""
    found = [base_of(f"made {name}", file_bytes(_made(), syntax)) for name, syntax in SYNTAXES.items()]
    found.append(base_of("made bare", encode(_made())))
    head = file_bytes(Dataset(), DeflatedExplicitVRLittleEndian, MediaStorageSOPInstanceUID=f"{ROOT}.7")
    found.append(Base("made deflated", head, encode(_made()), str(DeflatedExplicitVRLittleEndian)))
    compressed = _made()
    frame = b"\xff\xd8\xff\xfe\0\x0c" + FAMILY.encode() + b"\xff\xda\0\x02" + bytes(64) + b"\xff\xd9"
    compressed.PixelData = encapsulate([frame, frame])
    compressed["PixelData"].VR = "OB"
    compressed["PixelData"].is_undefined_length = True
    compressed.NumberOfFrames = 2
    found.append(base_of("made JPEG", file_bytes(compressed, JPEGBaseline8Bit)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small = (path for path in real_files() if path.stat().st_size < _LARGEST)
        found += [base_of(path.name, content) for path in small if (content := _real(path.read_bytes()))]
    return tuple(found)


def _real(content: bytes) -> bytes:
    """Plant a patient in a real file, keeping its encoding; empty where pydicom cannot write it."""
    if content[128:132] != b"DICM" or not base_of("", content).syntax:
        return b""
    try:
        data_set = dcmread(io.BytesIO(content))
        if "DirectoryRecordSequence" in data_set:
            return b""
        planted(data_set)
        out = io.BytesIO()
        data_set.preamble = bytes(128)
        data_set.save_as(out, enforce_file_format=False)
    except Exception:
        return b""  # some are broken already, in ways that pydicom cannot write
    return out.getvalue()
