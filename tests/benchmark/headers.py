"""The Data Sets of the benchmark's corpora: real headers, invented people, one template per series.
Not here: pixel data, files and folders (``corpora``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from random import Random

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    UID,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    MRImageStorage,
)

ROOT = "1.3.6.1.4.1.5962.99"
"""Root of the UIDs made here: that of the real headers, with an arc they do not use."""

SURNAMES = ("Abel", "Brandt", "Costa", "Dahl", "Eriksen", "Ferrari", "Garnier", "Horvat", "Ivanova", "Jansen")
GIVEN = ("Anna", "Bo", "Carla", "David", "Elif", "Franz", "Greta", "Hugo", "Ines", "Jonas")
DESCRIPTIONS = ("T1 AX", "T2 COR FS", "Localizer", "Knee left, Dr. Horvat", "Thorax", "Follow-up")


@dataclass(frozen=True, slots=True)
class Place:
    """Where one object stands in its corpus; all numbers count from 0.

    ``instance`` is the number in the series, ``index`` the number in the whole corpus.
    """

    corpus: str
    patient: int
    study: int
    series: int
    instance: int
    index: int

    def uid(self, depth: int) -> UID:
        """Return the UID of this patient's, study's, series' or instance's object (``depth`` 1 to 4)."""
        arcs = (self.patient, self.study, self.series, self.instance)[:depth]
        number = Random(f"{self.corpus}/{arcs}").getrandbits(56)
        return UID(".".join((ROOT, str(depth), *(str(arc + 1) for arc in arcs), str(number))))

    @property
    def patient_id(self) -> str:
        """Return the Patient ID, which is also the name of the patient's folder."""
        return f"{self.corpus.upper()}{10007 + 7919 * self.patient:08d}"


@dataclass(frozen=True, slots=True)
class Frames:
    """Number and size of an object's frames (``rows`` and ``columns`` in pixels)."""

    number: int
    rows: int
    columns: int


@functools.cache
def _real(name: str) -> Dataset:
    """Return a header of pydicom's test files, without group lengths, overlays, pixel data and padding."""
    path = get_testdata_file(name, download=False)
    if not isinstance(path, str):
        raise FileNotFoundError(f"pydicom has no test file {name}")
    ds = dcmread(path)
    _drop(ds, lambda tag: tag.element == 0 or tag.group >= 0x6000)
    return ds


def _drop(ds: Dataset, unwanted: Callable[[BaseTag], bool]) -> None:
    for tag in filter(unwanted, sorted(ds.keys())):
        del ds[tag]


def _copy(name: str, syntax: UID) -> Dataset:
    ds = deepcopy(_real(name))
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = UID(f"{ROOT}.0")
    meta.ImplementationVersionName = "BENCHMARK"
    meta.SourceApplicationEntityTitle = "BENCH_AE"
    ds.file_meta = meta
    return ds


def _item(**values: object) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _code(value: str, meaning: str, scheme: str = "DCM") -> list[Dataset]:
    return [_item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)]


def _reference(uid: str, sop_class: str = MRImageStorage) -> Dataset:
    return _item(
        ReferencedSOPClassUID=sop_class,
        ReferencedSOPInstanceUID=uid,
        PurposeOfReferenceCodeSequence=_code("121311", "Localizer"),
    )


def _identify(ds: Dataset, place: Place) -> Dataset:
    """Give a Data Set the people, dates and UIDs of its patient, study and series."""
    who = Random(f"{place.corpus}/patient/{place.patient}")
    ds.PatientName = f"{who.choice(SURNAMES)}^{who.choice(GIVEN)}"
    ds.PatientID = place.patient_id
    ds.PatientBirthDate = f"{who.randrange(1930, 2012)}{who.randrange(1, 13):02d}{who.randrange(1, 29):02d}"
    ds.PatientSex = who.choice("MFO")
    when = Random(f"{place.corpus}/study/{place.patient}/{place.study}")
    date = f"{when.randrange(2015, 2024)}{when.randrange(1, 13):02d}{when.randrange(1, 29):02d}"
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(ds, keyword, date)
    for keyword in ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"):
        setattr(ds, keyword, f"{when.randrange(7, 20):02d}{when.randrange(60):02d}12.500000")
    ds.AccessionNumber = f"A{when.randrange(10**9):09d}"
    ds.ReferringPhysicianName = f"{when.choice(SURNAMES)}^{when.choice(GIVEN)}^^Dr."
    ds.InstitutionName = "Benchmark Hospital"
    ds.StudyID = str(place.study + 1)
    ds.StudyDescription = f"Study of {ds.PatientName.family_name}"
    ds.SeriesDescription = DESCRIPTIONS[place.series % len(DESCRIPTIONS)]
    ds.SeriesNumber = place.series + 1
    ds.StudyInstanceUID = place.uid(2)
    ds.SeriesInstanceUID = place.uid(3)
    if "FrameOfReferenceUID" in ds:
        ds.FrameOfReferenceUID = place.uid(3) + ".1"
    return ds


def _image(ds: Dataset, frames: Frames, bits: int = 16) -> None:
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = frames.rows, frames.columns
    ds.BitsAllocated = ds.BitsStored = bits
    ds.HighBit = bits - 1
    ds.PixelRepresentation = 0


def vary(ds: Dataset, place: Place, rng: Random) -> None:
    """Give a series' Data Set what differs between its instances; in place.

    As in real series these are a handful of attributes, and the vendor's own block of the image.
    """
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = place.uid(4)
    ds.InstanceNumber = place.instance + 1
    if "ContentTime" in ds:
        ds.ContentTime = f"12{place.instance // 60 % 60:02d}{place.instance % 60:02d}.250000"
    if "SliceLocation" in ds:
        ds.SliceLocation = f"{-75 + 2.5 * place.instance:.4f}"
    if "ImagePositionPatient" in ds:
        ds.ImagePositionPatient = ["-158.1358", "-179.0358", f"{-75 + 2.5 * place.instance:.4f}"]
    if (0x0029, 0x1010) in ds and place.corpus == "mr":
        ds[0x0029, 0x1010].value = rng.randbytes(len(ds[0x0029, 0x1010].value))


def ct(place: Place, frames: Frames) -> Dataset:
    """Return the header of a CT series: about 100 elements, some nested and some private ones."""
    ds = _identify(_copy("CT_small.dcm", ExplicitVRLittleEndian), place)
    _drop(ds, lambda tag: tag.is_private and tag.group not in (0x0009, 0x0023))
    _image(ds, frames)
    ds.ReferencedImageSequence = [_reference(place.uid(3) + ".9", ds.SOPClassUID)]
    ds.RequestAttributesSequence = [
        _item(ScheduledProcedureStepID="SPS1", RequestedProcedureID="RP1", RequestedProcedureDescription="CT")
    ]
    return ds


def mr(place: Place, frames: Frames) -> Dataset:
    """Return the header of an MR series: 150 to 250 elements, five levels, private blocks of 10 to 60 KB."""
    rng = Random(f"mr/{place.patient}/{place.study}/{place.series}")
    ds = _identify(_copy("examples_overlay.dcm", ExplicitVRLittleEndian), place)
    _drop(ds, lambda tag: tag.is_private or tag == Tag("IconImageSequence"))
    _image(ds, frames)
    ds.ReferencedImageSequence = [_reference(f"{place.uid(3)}.{n}") for n in range(91, 94)]
    sources = rng.randrange(1, 9)
    ds.SourceImageSequence = [_reference(f"{place.uid(3)}.{n}") for n in range(101, 101 + sources)]
    context = _item(
        ValueType="CODE",
        ConceptNameCodeSequence=_code("121049", "Language"),
        ConceptCodeSequence=_code("eng", "English", "RFC3066"),
    )
    protocol = _code("P-5", "Knee protocol", "99LOCAL")
    protocol[0].ProtocolContextSequence = [context]
    context.ContentItemModifierSequence = [_item(ValueType="TEXT", TextValue="as asked by Dr. Costa")]
    ds.RequestAttributesSequence[0].ScheduledProtocolCodeSequence = protocol
    ds.ProcedureCodeSequence = _code("R-3", "MRI of the knee", "99LOCAL")
    _siemens(ds, rng)
    return ds


ACQUISITION: tuple[tuple[int, str, object], ...] = (
    (0x08, "CS", "IMAGE NUM 4"), (0x09, "LO", "1.0"), (0x0B, "DS", "0.0"), (0x0F, "SH", "Fast"),
    (0x11, "SH", "No"), (0x12, "SL", [0, 0, -1125]), (0x13, "SL", [0, 0, -1125]), (0x14, "IS", [0, 0, 0]),
    (0x15, "FD", [-112.5, -83.1, 71.4]), (0x17, "DS", "1"), (0x18, "IS", "5200"),
)  # fmt: skip

PROTOCOL: tuple[tuple[int, str, object], ...] = (
    (0x08, "CS", "IMAGE NUM 4"), (0x09, "LO", "1.0"), (0x0A, "LO", "TA 03:25"), (0x0B, "LO", "256p*320"),
    (0x0C, "LO", "FoV 160*160"), (0x0D, "SH", "SP F112.5"), (0x0E, "LO", "Tra"), (0x0F, "LO", "T:KN"),
    (0x11, "LO", "p2"), (0x12, "SH", "TP 0"), (0x13, "SH", "+LPH"), (0x16, "LO", "M/DIS2D"),
    (0x19, "LO", "A1/PFP"),
)  # fmt: skip


def _siemens(ds: Dataset, rng: Random) -> None:
    """Add the private blocks of a Siemens MR: values, a private sequence, noise as the CSA headers."""
    size = rng.randrange(12_000, 60_000, 4)
    image, series = rng.randbytes(size // 4), rng.randbytes(size - size // 4)
    person = _item(PatientName=ds.PatientName, PatientID=ds.PatientID, SeriesInstanceUID=ds.SeriesInstanceUID)
    csa: tuple[tuple[int, str, object], ...] = (
        (0x08, "CS", "IMAGE NUM 4"), (0x09, "LO", ds.StudyDate), (0x10, "OB", image),
        (0x18, "CS", "MR"), (0x19, "LO", ds.StudyDate), (0x20, "OB", series),
    )  # fmt: skip
    for group, creator, elements in (
        (0x0019, "SIEMENS MR HEADER", ACQUISITION),
        (0x0029, "SIEMENS CSA HEADER", csa),
        (0x0029, "SIEMENS MEDCOM HEADER2", ((0x60, "LO", "com"), (0x70, "SQ", [person, deepcopy(person)]))),
        (0x0051, "SIEMENS MR HEADER", PROTOCOL),
    ):
        block = ds.private_block(group, creator, create=True)
        for offset, vr, value in elements:
            block.add_new(offset, vr, value)


def tiny(place: Place, frames: Frames) -> Dataset:
    """Return a header-only object of 2 to 3 KB: an SR, an RT Plan, or a CT or MR without its image."""
    kind = (place.patient + place.study + place.series) % 4
    if kind == 0:
        ds = _copy("reportsi.dcm", ExplicitVRLittleEndian)
        # The real report's references hold no UIDs, and its company's address would make it larger than 3 KB.
        del ds.CodingSchemeIdentificationSequence
        for number, reference in enumerate(e for e in ds.iterall() if e.keyword == "ReferencedSOPSequence"):
            reference.value[0].ReferencedSOPClassUID = MRImageStorage
            reference.value[0].ReferencedSOPInstanceUID = f"{place.uid(3)}.{number + 90}"
    elif kind == 1:
        ds = _copy("rtplan.dcm", ImplicitVRLittleEndian)
    else:
        ds = _copy(("CT_small.dcm", "examples_overlay.dcm")[kind - 2], ExplicitVRLittleEndian)
        large = (Tag("IconImageSequence"), Tag(0x0043, 0x1029))
        _drop(ds, lambda tag: tag in large or (tag.is_private and tag.group not in (0x0009, 0x0043)))
    return _identify(ds, place)


def mf(place: Place, frames: Frames) -> Dataset:
    """Return the header of an Enhanced MR: the functional groups of every frame, about 30 elements each."""
    ds = _identify(_copy("examples_overlay.dcm", ExplicitVRLittleEndian), place)
    per_frame = {Tag(f"Image{what}Patient") for what in ("Position", "Orientation")} | {Tag("PixelSpacing")}
    per_frame.add(Tag("IconImageSequence"))
    _drop(ds, lambda tag: tag.is_private or tag.group == 0x0018 or tag in per_frame)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    _image(ds, frames)
    ds.NumberOfFrames = frames.number
    ds.DimensionOrganizationSequence = [_item(DimensionOrganizationUID=place.uid(3) + ".5")]
    ds.DimensionIndexSequence = [
        _item(
            DimensionOrganizationUID=place.uid(3) + ".5",
            DimensionIndexPointer=Tag("InStackPositionNumber"),
            FunctionalGroupPointer=Tag("FrameContentSequence"),
        )
    ]
    ds.SharedFunctionalGroupsSequence = [
        _item(
            PlaneOrientationSequence=[_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
            PixelMeasuresSequence=[_item(SliceThickness=2, PixelSpacing=[0.5, 0.5], SpacingBetweenSlices=2)],
            MRTimingAndRelatedParametersSequence=[
                _item(RepetitionTime=5.53, FlipAngle=10, EchoTrainLength=1, RFEchoTrainLength=1)
            ],
        )
    ]
    ds.PerFrameFunctionalGroupsSequence = [_frame(place, number) for number in range(frames.number)]
    return ds


def _frame(place: Place, number: int) -> Dataset:
    start = f"2019040112{number // 60 % 60:02d}{number % 60:02d}.25"
    return _item(
        FrameContentSequence=[
            _item(
                FrameAcquisitionNumber=1,
                FrameReferenceDateTime=start,
                FrameAcquisitionDateTime=start,
                FrameAcquisitionDuration=250.0,
                StackID="1",
                InStackPositionNumber=number + 1,
                DimensionIndexValues=number + 1,
                FrameComments=f"frame {number + 1}",
            )
        ],
        PlanePositionSequence=[_item(ImagePositionPatient=[-159.8, -175.3, f"{28.4 + 2 * number:.3f}"])],
        FrameVOILUTSequence=[_item(WindowCenter=450 + number % 7, WindowWidth=790)],
        PixelValueTransformationSequence=[_item(RescaleIntercept=0, RescaleSlope=1, RescaleType="US")],
        MRImageFrameTypeSequence=[
            _item(
                FrameType=["ORIGINAL", "PRIMARY", "OTHER", "NONE"],
                PixelPresentation="MONOCHROME",
                VolumetricProperties="VOLUME",
            )
        ],
        ReferencedImageSequence=[_reference(f"{place.uid(3)}.{91 + number % 3}", EnhancedMRImageStorage)],
    )


def us(place: Place, frames: Frames) -> Dataset:
    """Return the header of a multi-frame ultrasound clip in JPEG baseline."""
    ds = _identify(_copy("examples_ybr_color.dcm", JPEGBaseline8Bit), place)
    ds.NumberOfFrames = frames.number
    ds.Rows, ds.Columns = frames.rows, frames.columns
    return ds
