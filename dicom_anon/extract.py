"""What de-identified files say, as JSON with the names of the DICOM JSON Model (PS3.18 annex F), by series.

Reads outputs only, never a source, so it can hold nothing that they do not. Series are summed up file by
file: what all have in common stands once, the rest as a range or a list. Does not live here: where files are.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from dicom_anon import tags, values
from dicom_anon._version import __version__
from dicom_anon.dicomfile import DicomFile
from dicom_anon.elements import DataSetBytes, Encoding, Item, Span, implicit_vr
from dicom_anon.errors import UsageError
from dicom_anon.scope import PIXEL_REPRESENTATION

MAIN = {
    "patient": "PatientID PatientName PatientSex PatientAge PatientSize PatientWeight PatientIdentityRemoved "
    "DeidentificationMethod",
    "study": "StudyInstanceUID StudyID StudyDate StudyTime StudyDescription AccessionNumber",
    "series": "SeriesInstanceUID SeriesNumber SeriesDate SeriesTime SeriesDescription Modality "
    "BodyPartExamined Laterality PatientPosition ProtocolName FrameOfReferenceUID SOPClassUID",
    "equipment": "Manufacturer ManufacturerModelName SoftwareVersions MagneticFieldStrength",
    "acquisition": "ImageType AcquisitionNumber AcquisitionDate AcquisitionTime ContrastBolusAgent "
    "ScanningSequence SequenceVariant ScanOptions MRAcquisitionType SequenceName RepetitionTime EchoTime "
    "InversionTime FlipAngle EchoTrainLength NumberOfAverages ImagingFrequency EchoNumbers DiffusionBValue "
    "ReceiveCoilName KVP XRayTubeCurrent ExposureTime Exposure FilterType ConvolutionKernel "
    "SpiralPitchFactor CTDIvol Radiopharmaceutical Units",
    "geometry": "InstanceNumber ImagePositionPatient ImageOrientationPatient SliceThickness SliceLocation "
    "SpacingBetweenSlices PixelSpacing ImagerPixelSpacing Rows Columns NumberOfFrames "
    "NumberOfTemporalPositions SamplesPerPixel PhotometricInterpretation BitsAllocated BitsStored "
    "PixelRepresentation RescaleIntercept RescaleSlope WindowCenter WindowWidth BurnedInAnnotation "
    "LossyImageCompression",
}
"""Keywords of `--extract main`, by what they tell of."""

MAX_VALUES = 100
"""Differing values of one element that are listed; of more it is said that there are more."""

MAX_LISTED_CHARACTERS = 1 << 16

_SHORT = 256
"""Encoded values up to this length are compared as they are, longer ones by their digest."""

_BINARY = frozenset(("OB", "OW", "OF", "OD", "OL", "OV", "UN"))
_INTEGERS = frozenset(("IS", "US", "SS", "UL", "SL", "SV", "UV"))
_REALS = frozenset(("DS", "FL", "FD"))
_TEMPORAL = frozenset(("DA", "TM", "DT"))
_TELLING = frozenset((tags.SPECIFIC_CHARACTER_SET, PIXEL_REPRESENTATION))
"""Elements that say how others are read."""

_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")

Json: TypeAlias = "dict[str, Any]"


@dataclass(frozen=True)
class Extract:
    """Which elements are extracted.

    Parameters
    ----------
    wanted : frozenset of int or None
        Their tags; `None` for all.
    name : str
        ``all``, ``main``, or the keywords with commas between them.
    """

    wanted: frozenset[int] | None
    name: str


def parse_extract(text: str) -> Extract:
    """Read ``all``, ``main`` or keywords of PS3.6 with commas between them; the words can be mixed.

    Raises
    ------
    UsageError
        One of them is no keyword, and the nearest is suggested; or it names an element of several groups.

    Examples
    --------
    >>> parse_extract("main").name, len(parse_extract("Modality, Rows").wanted)
    ('main', 2)
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise UsageError("--extract names nothing: all, main, or keywords such as Modality,EchoTime")
    wanted: set[int] = set()
    for word in words:
        if word in ("all", "main"):
            wanted.update(main_tags())
            continue
        try:
            key = tags.parse_key(word)
        except tags.TagSyntaxError as error:
            raise UsageError(f'--extract: "{word}" {error} (accepted: all, main, keywords)') from None
        if not isinstance(key, int):  # a keyword of a repeating group: any other such key has a comma in it
            one = f"{tags.sort_key(key)[0]:08X}"
            raise UsageError(
                f'--extract: "{word}", {tags.format_key(key)}, stands for several: name one, such as {one}'
            )
        wanted.add(key)
    return Extract(None, "all") if "all" in words else Extract(frozenset(wanted), ",".join(words))


def main_tags() -> frozenset[int]:
    """Tags of `MAIN`."""
    found = (tags.tag_for_keyword(keyword) for group in MAIN.values() for keyword in group.split())
    return frozenset(tag for tag in found if tag is not None)


class Reading(NamedTuple):
    """How values are read that stand in one Data Set, or in one item of a sequence.

    Parameters
    ----------
    buf : bytes
        The walked bytes.
    encoding : Encoding
        How it is written.
    encodings : values.Encodings
        Codecs of its text: its own, else those around it (PS3.3 section C.12.1.1.2).
    signed : bool
        Whether ``US or SS`` is SS, by its Pixel Representation or the one around it (PS3.3 section C.7.6.3).
    """

    buf: bytes
    encoding: Encoding
    encodings: values.Encodings = values.DEFAULT_ENCODINGS
    signed: bool = False

    def of(self, spans: list[Span], encoding: Encoding) -> Reading:
        """Find out how the values of a Data Set inside of this one are read."""
        found = {span[0]: self.raw(span) for span in spans if span[0] in _TELLING}
        charset, cells = found.get(tags.SPECIFIC_CHARACTER_SET), found.get(PIXEL_REPRESENTATION)
        return Reading(
            self.buf,
            encoding,
            self.encodings if charset is None else values.encodings_of(values.decode(charset, "CS", ())),
            self.signed if cells is None else cells.strip(b"\0") == b"\1",
        )

    def raw(self, span: Span) -> bytes:
        """Encoded value of an element."""
        return self.buf[span[3] : span[4]]

    def vr(self, span: Span) -> str:
        """VR of an element, by the dictionary where the file does not say it."""
        tag, vr, items = span[0], span[1], span[5]
        if items is not None:
            return "SQ"
        if self.signed and (vr == b"UN" or not self.encoding.explicit) and tags.vr_of(tag) == "US or SS":
            return "SS"
        return (implicit_vr(tag) if vr == b"UN" else vr).decode()

    def text(self, span: Span) -> str:
        """Value of an element, several with backslashes between them; what is UN is little endian."""
        order = "<" if span[1] == b"UN" else self.encoding.order
        return values.decode(self.raw(span), self.vr(span), self.encodings, order)


class Output(NamedTuple):
    """A de-identified file, its header read."""

    data: DataSetBytes
    reading: Reading

    def text(self, tag: int) -> str:
        """Value of a top-level element; empty where it has none."""
        span = next((span for span in self.data.spans if span[0] == tag), None)
        return "" if span is None or span[5] is not None else self.reading.text(span).strip("\0 ")


def read_output(path: Path) -> Output:
    """Read the header of a de-identified file; pixel data stays where it is.

    Raises
    ------
    FileRefused
        It is not DICOM, or damaged.
    OSError
        It cannot be read.
    """
    with open(path, "rb", buffering=0) as handle:
        data = DicomFile(handle, path.stat().st_size).data
    return Output(data, Reading(data.buf, data.encoding).of(data.spans, data.encoding))


Mark: TypeAlias = "tuple[bytes, str, values.Encodings, bool, bytes]"
"""What tells the encoded value of an element from others; compared first, so that like values are decoded once."""


def _mark(output: Output, span: Span) -> Mark:
    reading, bulk = output.reading, output.data.bulk.get(span[2])
    raw = reading.buf[span[3] : span[4]] if bulk is None else b"%d" % bulk.length
    short = raw if len(raw) <= _SHORT else hashlib.blake2b(raw, digest_size=16).digest()
    return span[1], reading.encoding.order, reading.encodings, reading.signed, short


def _told(output: Output, span: Span) -> Json:
    """One attribute under its tag, with its creator if it is private."""
    tag, bulk = span[0], output.data.bulk.get(span[2])
    head = {"tag": f"{tag:08X}"}
    if tags.is_private(tag) and (creator := output.text(tag & 0xFFFF0000 | tag >> 8 & 0xFF)):
        head["creator"] = creator
    if bulk is not None:
        return {**head, "vr": span[1].decode("ascii"), "Length": bulk.length}
    return {**head, **_attribute(span, output.reading)}


def _name_of(tag: int) -> str:
    """Keyword of an element; its tag where it has none, or shares it with others of a repeating group."""
    keyword = tags.keyword_of(tag)
    return keyword if keyword and tags.tag_for_keyword(keyword) == tag else f"{tag:08X}"


def _attribute(span: Span, reading: Reading) -> Json:
    """Write an attribute as PS3.18 section F.2.2 does; a binary value is left out and its length told."""
    vr = reading.vr(span)
    if span[5] is not None:
        items = [_item(item, reading) for item in span[5]]
        return {"vr": vr, "Value": items} if items else {"vr": vr}
    if vr in _BINARY:
        return {"vr": vr, "Length": span[4] - span[3]}
    text = reading.text(span)
    if not text:
        return {"vr": vr}
    parts = [text] if vr in values.SINGLE_VALUED else text.split("\\")
    return {"vr": vr, "Value": [_value(part, vr) for part in parts]}


def _item(item: Item, around: Reading) -> Json:
    reading = around.of(item.spans, item.encoding)
    return {_name_of(span[0]): {"tag": f"{span[0]:08X}", **_attribute(span, reading)} for span in item.spans}


def _value(text: str, vr: str) -> Any:
    """Write a value: numbers as such where JSON has them, names by their groups (PS3.18 section F.2.2)."""
    text = text.strip("\0 ") if vr not in values.SINGLE_VALUED else text
    if not text:
        return None
    if vr == "PN":
        return {group: part for group, part in zip(_NAME_GROUPS, text.split("="), strict=False) if part}
    if vr == "AT":
        return text.strip("()").replace(",", "").upper()
    try:
        if vr in _INTEGERS:
            return int(text)
        if vr in _REALS:
            number = float(text)
            return number if math.isfinite(number) else text
    except ValueError:
        return text
    return text


@dataclass
class _Summed:
    """One element of a series so far."""

    told: Json
    marks: set[Mark]
    instances: int = 1
    low: list[Any] | None = None
    high: list[Any] | None = None
    others: list[list[Any]] = field(default_factory=list)
    listed: int = 0
    more: bool = False

    def add(self, its: Json, mark: Mark) -> None:
        """Take in a value of another encoding."""
        mine, vr = self.told, str(self.told["vr"])
        if mine.get("Value") == its.get("Value") and mine.get("Length") == its.get("Length"):
            return
        low, high = self.low or mine.get("Value"), self.high or mine.get("Value")
        if not self.others and low and high and _comparable(vr, low, its.get("Value")):
            self.low = [min(pair) for pair in zip(low, its["Value"], strict=True)]
            self.high = [max(pair) for pair in zip(high, its["Value"], strict=True)]
            return
        value = [its["Length"]] if "Length" in its else its.get("Value", [])
        if value in self.others:
            return
        size = len(json.dumps(value, ensure_ascii=False))
        if len(self.others) >= MAX_VALUES - 1 or self.listed + size > MAX_LISTED_CHARACTERS:
            self.more = True
            return
        self.marks.add(mark)
        self.listed += size
        self.others.append(value)

    def document(self, instances: int) -> Json:
        content = dict(self.told)
        own = content.pop("Value", None)
        length = content.pop("Length", None)
        if self.low is not None:
            content |= {"Minimum": self.low, "Maximum": self.high}
            if self.others:
                content["Values"] = self.others
        elif (self.others or self.more) and length is not None:
            content["Lengths"] = [length, *(other[0] for other in self.others if other)]
        elif self.others or self.more:
            content["Values"] = [own or [], *self.others]
        elif own is not None:
            content["Value"] = own
        elif length is not None:
            content["Length"] = length
        if self.more:
            content["MoreValues"] = True
        if self.instances < instances:
            content["NumberOfInstances"] = self.instances
        return content


def _comparable(vr: str, mine: list[Any], its: list[Any] | None) -> bool:
    """Tell whether two values differ in a way that a range says as well."""
    if its is None or len(mine) != len(its) or None in its or None in mine:
        return False
    if vr in _INTEGERS | _REALS:
        return all(type(number) in (int, float) for number in (*mine, *its))
    return vr in _TEMPORAL and all(len(a) == len(b) for a, b in zip(mine, its, strict=True))


class Summary:
    """One series, summed up file by file; it grows with what differs, not with the number of files.

    Parameters
    ----------
    extract : Extract
        Which elements.
    """

    def __init__(self, extract: Extract) -> None:
        self._extract = extract
        self._elements: dict[int, _Summed] = {}
        self.instances = 0
        self.study = self.series = ""

    def add(self, output: Output) -> None:
        """Add a file of the series."""
        if not self.instances:
            self.study = output.text(tags.STUDY_INSTANCE_UID)
            self.series = output.text(tags.SERIES_INSTANCE_UID)
        self.instances += 1
        wanted = self._extract.wanted
        for span in output.data.spans:
            if wanted is not None and span[0] not in wanted:
                continue
            mark = _mark(output, span)
            known = self._elements.get(span[0])
            if known is None:
                self._elements[span[0]] = _Summed(_told(output, span), {mark})
                continue
            known.instances += 1
            if mark not in known.marks:
                known.add(_told(output, span), mark)

    def document(self) -> Json:
        """Write down what the series says."""
        return {
            "tool": "dicom-anon",
            "version": __version__,
            "extract": self._extract.name,
            "StudyInstanceUID": self.study,
            "SeriesInstanceUID": self.series,
            "NumberOfInstances": self.instances,
            "elements": {
                _name_of(tag): summed.document(self.instances) for tag, summed in sorted(self._elements.items())
            },
        }


def summarise(outputs: Iterable[Output], extract: Extract) -> Summary:
    """Sum up the files of one series."""
    summary = Summary(extract)
    for output in outputs:
        summary.add(output)
    return summary


def as_json(document: Json) -> str:
    """Write a document as JSON text that any reader takes."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
