"""Builders of small Data Sets and files, made with pydicom, and strategies that draw them for property tests.

No expectations live here, and nothing of the package but the walker's types.
"""

from __future__ import annotations

import functools
import io
import struct
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.data import get_charset_files, get_testdata_files
from pydicom.dataelem import DataElement
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicom_anon import output
from dicom_anon.actions import Action, parse_action
from dicom_anon.assignment import Assignment, Row
from dicom_anon.dicomfile import DicomFile
from dicom_anon.elements import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    DataSetBytes,
    Encoding,
    Piece,
    Span,
    element_bytes,
    item_bytes,
    walk,
)
from dicom_anon.engine import Plan
from dicom_anon.explaining import Explainer
from dicom_anon.filemeta import write_meta
from dicom_anon.tags import Key, parse_key, sort_key

KEY = b"a key that is only for the tests"
ENCODINGS = {"implicit": IMPLICIT_LITTLE, "explicit": EXPLICIT_LITTLE, "big": EXPLICIT_BIG}
SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "explicit": ExplicitVRLittleEndian,
    "big": ExplicitVRBigEndian,
}
CREATOR = "TESTS OF ONE MAKER"


@functools.cache
def real_files() -> tuple[Path, ...]:
    """All files of pydicom's test data, DICOM or not, character sets included, in one order everywhere."""
    found = {Path(name) for name in (*get_testdata_files(), *get_charset_files())}
    return tuple(sorted(path for path in found if path.is_file()))


def real_file(name: str) -> Path:
    """One of them."""
    return next(path for path in real_files() if path.name == name)


class Read(NamedTuple):
    """One file as the package reads it, and the bytes that its file ranges are about."""

    data: DataSetBytes
    source: bytes
    transfer_syntax: str
    notes: set[str]

    @property
    def whole(self) -> bytes:
        """Bytes of its whole Data Set."""
        pos, pieces = self.data.begin, list[Piece]()
        for _, _, start, value, _, _ in self.data.spans:
            if start in self.data.bulk:
                pieces += [self.data.buf[pos:value], self.data.bulk[start]]
                pos = value
        return joined([*pieces, self.data.buf[pos : self.data.end]], self.source)


def read_file(path: Path) -> Read:
    """Read a file with the package."""
    with open(path, "rb", buffering=0) as handle:
        content = handle.read()
        file = DicomFile(handle, len(content))
        return Read(file.data, file.content or content, file.transfer_syntax, file.notes)


def joined(pieces: list[Piece], source: bytes) -> bytes:
    """Bytes of pieces, those that were left in the file included."""
    return b"".join(p if isinstance(p, bytes) else source[p.offset : p.offset + p.length] for p in pieces)


def item(**attributes: Any) -> Dataset:
    """Return a Data Set, or Sequence Item, with these attributes by keyword."""
    data_set = Dataset()
    for keyword, value in attributes.items():
        setattr(data_set, keyword, value)
    return data_set


def encode(data_set: Dataset, encoding: Encoding = EXPLICIT_LITTLE) -> bytes:
    """Bytes of a Data Set, as pydicom writes them."""
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = not encoding.explicit, encoding.little
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_dataset(stream, data_set)
    return stream.getvalue()


def decode(raw: bytes, encoding: Encoding = EXPLICIT_LITTLE) -> Dataset:
    """Data Set of bytes, as pydicom reads them."""
    return read_dataset(io.BytesIO(raw), not encoding.explicit, encoding.little, bytelength=len(raw))


def walked(raw: bytes, encoding: Encoding = EXPLICIT_LITTLE) -> DataSetBytes:
    """Bytes of a whole Data Set, walked."""
    spans: list[Span] = []
    assert walk(raw, 0, encoding, spans) == len(raw)
    return DataSetBytes(raw, spans, encoding, {}, 0, len(raw))


def assignment(
    rules: Mapping[str, str],
    *,
    remove_unknown: bool = False,
    name: str = "Undefined",
    owner: str = "Unknown",
    prefix: str = "",
) -> Assignment:
    """Assignment of exactly these rules: no preset, no stamps."""
    parsed = sorted(((parse_key(key), parse_action(command)) for key, command in rules.items()), key=_in_order)
    rows = {key: Row(key, action, "test") for key, action in parsed}
    return Assignment("none", "", rows, remove_unknown, name, owner, prefix, print_assignment=False)


def _in_order(row: tuple[Key, Action]) -> tuple[int, int, str]:
    return sort_key(row[0])


def engine(rules: Mapping[str, str], *, remove_unknown: bool = False) -> Explainer:
    """Engine with exactly these rules."""
    return Explainer(Plan(assignment(rules, remove_unknown=remove_unknown), KEY, "11212026", "101112000"))


def rewrite_bytes(
    raw: bytes,
    rules: Mapping[str, str],
    encoding: Encoding = EXPLICIT_LITTLE,
    *,
    remove_unknown: bool = False,
) -> bytes:
    """Bytes of a Data Set after these rules."""
    pieces = engine(rules, remove_unknown=remove_unknown).run(walked(raw, encoding)).pieces
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))


def rewrite(
    data_set: Dataset,
    rules: Mapping[str, str],
    encoding: Encoding = EXPLICIT_LITTLE,
    *,
    remove_unknown: bool = False,
) -> Dataset:
    """Data Set after these rules, written and read again by pydicom."""
    return decode(rewrite_bytes(encode(data_set, encoding), rules, encoding, remove_unknown=remove_unknown), encoding)


def image(**attributes: Any) -> Dataset:
    """Small CT image with its pixel data."""
    data_set = item(
        SOPClassUID=CTImageStorage,
        SOPInstanceUID="1.2.3.4.5",
        StudyInstanceUID="1.2.3.4",
        SeriesInstanceUID="1.2.3.4.1",
        StudyDate="20040119",
        Modality="CT",
        PatientName="Doe^Jane",
        PatientID="ID-1",
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        Rows=4,
        Columns=4,
        BitsAllocated=16,
        BitsStored=16,
        HighBit=15,
        PixelRepresentation=0,
    )
    data_set.PixelData = bytes(range(32))
    data_set["PixelData"].VR = "OW"
    data_set.update(item(**attributes))
    return data_set


def file_bytes(data_set: Dataset, syntax: str = ExplicitVRLittleEndian, **meta: Any) -> bytes:
    """Part 10 file of a Data Set, with a file meta that says who wrote it."""
    file_meta = FileMetaDataset()
    file_meta.FileMetaInformationGroupLength = 0  # pydicom fills it in
    file_meta.FileMetaInformationVersion = b"\0\1"
    file_meta.TransferSyntaxUID = UID(syntax)
    file_meta.SourceApplicationEntityTitle = "HOSPITAL_PACS"
    file_meta.ImplementationVersionName = "MAKER_1"
    file_meta.PrivateInformationCreatorUID = UID("1.2.3")
    file_meta.PrivateInformation = b"MRN 4711"
    for keyword, value in meta.items():
        setattr(file_meta, keyword, value)
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        if keyword in data_set and f"MediaStorage{keyword}" not in file_meta:
            setattr(file_meta, f"MediaStorage{keyword}", data_set[keyword].value)
    stream = DicomBytesIO()
    write_file_meta_info(stream, file_meta, enforce_standard=False)
    encodings = {str(uid): ENCODINGS[name] for name, uid in SYNTAXES.items()}
    return b"TIFF" + bytes(124) + b"DICM" + stream.getvalue() + encode(data_set, encodings.get(syntax, EXPLICIT_LITTLE))


def nested(*tags: int | str, leaf: Dataset) -> Dataset:
    """Data Set with sequences in sequences, outermost first, around a leaf."""
    for tag in reversed(tags):
        outer = Dataset()
        outer.add(DataElement(tag, "SQ", [leaf]))
        leaf = outer
    return leaf


def levels(data_set: Dataset) -> Iterator[Dataset]:
    """A Data Set and all items in it, at every depth."""
    yield data_set
    for element in data_set:
        if element.VR == "SQ":
            for inner in element.value:
                yield from levels(inner)


_TEXT = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ abcdefghijklmnopqrstuvwxyz0123456789.-ÄÖÜäöüßéè", max_size=12).map(
    str.strip
)
_WORD = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", max_size=8)
_DAY = st.dates().map(lambda day: f"{day.year:04}{day.month:02}{day.day:02}")
_TIME = st.times().map(lambda time: time.strftime("%H%M%S"))
_UID = st.lists(st.integers(1, 10**6), min_size=1, max_size=4).map(lambda arcs: ".".join(map(str, [1, 2, *arcs])))
_WORDS = st.binary(max_size=4).map(lambda raw: raw * 2)


def _many(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values | st.lists(values, min_size=2, max_size=3)


VALUES: dict[str, tuple[tuple[int, ...], st.SearchStrategy[Any]]] = {
    "AE": ((0x00080054, 0x00400241), _many(_WORD)),
    "AS": ((0x00101010,), _many(st.integers(0, 999).map("{:03}Y".format))),
    "AT": ((0x00280009, 0x00209165), _many(st.integers(0x00080000, 0xFFFCFFFC))),
    "CS": ((0x00080060, 0x00280004), _many(_WORD)),
    "DA": ((0x00080020, 0x00080021, 0x00100030), _many(_DAY | st.sampled_from(("", "19611230")))),
    "DS": ((0x00180050, 0x00101030), _many(st.integers(-999, 999).map(str))),
    "DT": ((0x0008002A, 0x0040A13A), _many(st.builds(str.__add__, _DAY, _TIME) | st.just("1961+0100"))),
    "FD": ((0x00189073,), _many(st.floats(width=64))),
    "FL": ((0x00089459,), _many(st.floats(width=32))),
    "IS": ((0x00200013, 0x00200011), _many(st.integers(-(2**31), 2**31 - 1).map(str))),
    "LO": ((0x00081030, 0x00100020, 0x00081090), _many(_TEXT)),
    "LT": ((0x001021B0, 0x00204000), _TEXT),
    "OB": ((0x00420011,), _WORDS),
    "OW": ((0x00281201,), _WORDS),
    "PN": ((0x00100010, 0x00080090), _many(st.builds("{}^{}".format, _TEXT, _TEXT))),
    "SH": ((0x00080050, 0x00200010), _many(_TEXT)),
    "SL": ((0x00186020,), _many(st.integers(-(2**31), 2**31 - 1))),
    "SS": ((0x00189219,), _many(st.integers(-(2**15), 2**15 - 1))),
    "ST": ((0x00080081, 0x00400280), _TEXT),
    "SV": ((0x00720082,), _many(st.integers(-(2**63), 2**63 - 1))),
    "TM": ((0x00080030, 0x00080031), _many(_TIME)),
    "UC": ((0x00080119,), _many(_TEXT)),
    "UI": ((0x00080018, 0x0020000D, 0x0020000E, 0x00081155), _many(_UID)),
    "UL": ((0x00081161, 0x00186016), _many(st.integers(0, 2**32 - 1))),
    "UR": ((0x00080120,), _WORD.map(lambda word: f"urn:{word}")),
    "US": ((0x00280010, 0x00280011), _many(st.integers(0, 2**16 - 1))),
    "UT": ((0x0040A160,), _TEXT),
    "UV": ((0x00720083,), _many(st.integers(0, 2**64 - 1))),
}
"""For each VR, elements that have it in PS3.6 and values that fit it."""

SEQUENCES = (0x00081140, 0x00081115, 0x0040A730, 0x00400275)
PRIVATE_VRS = ("LO", "UI", "US", "OB", "UT", "DA", "UN")


@st.composite
def _element(draw: st.DrawFn) -> DataElement:
    vr = draw(st.sampled_from(sorted(VALUES)))
    tags, values = VALUES[vr]
    return DataElement(draw(st.sampled_from(tags)), vr, draw(values), already_converted=False)


@st.composite
def _private(draw: st.DrawFn) -> list[DataElement]:
    group, block = draw(st.sampled_from((0x0009, 0x0019, 0x7FE1))), draw(st.integers(0x10, 0x12))
    found = [DataElement(group << 16 | block, "LO", CREATOR)] if draw(st.booleans()) else []
    for low in draw(st.sets(st.integers(0, 3), max_size=3)):
        vr = draw(st.sampled_from(PRIVATE_VRS))
        value = draw(_WORDS if vr == "UN" else VALUES[vr][1])
        found.append(DataElement(group << 16 | block << 8 | low, vr, value))
    return found


@st.composite
def _sequence(draw: st.DrawFn, items: st.SearchStrategy[Dataset]) -> DataElement:
    tag = draw(st.sampled_from((*SEQUENCES, 0x00091005)))
    # In implicit VR nothing tells an empty private sequence from an empty value, which pydicom takes it for.
    element = DataElement(tag, "SQ", draw(st.lists(items, min_size=int(tag == 0x00091005), max_size=2)))
    element.is_undefined_length = draw(st.booleans())
    for inner in element.value:
        inner.is_undefined_length_sequence_item = draw(st.booleans())
    return element


def _data_set(elements: list[DataElement], private: list[list[DataElement]]) -> Dataset:
    data_set = Dataset()
    for element in (*elements, *(element for block in private for element in block)):
        data_set.add(element)
    return data_set


def _level(inner: st.SearchStrategy[Dataset]) -> st.SearchStrategy[Dataset]:
    elements = st.lists(_element() | _sequence(inner), max_size=5)
    return st.builds(_data_set, elements, st.lists(_private(), max_size=2))


def data_sets() -> st.SearchStrategy[Dataset]:
    """Draw any Data Set: all VRs; absent, empty, single, multiple values; private blocks; sequences.

    Its text is in ISO_IR 100.
    """
    plain = st.builds(_data_set, st.lists(_element(), max_size=5), st.lists(_private(), max_size=2))

    def with_character_set(data_set: Dataset) -> Dataset:
        data_set.SpecificCharacterSet = "ISO_IR 100"
        return data_set

    return _level(st.recursive(plain, _level, max_leaves=3)).map(with_character_set)


# --- files of a series that differ in any way ------------------------------------------------------

Node: TypeAlias = "tuple[int, str, Any]"
"""Tag, VR, and a value: text in which ``#`` is the number of the file, bytes, a 16-bit number, or items of nodes."""


def written(nodes: list[Node], number: int, encoding: Encoding, delimited: bool = False) -> bytes:
    """Bytes of the Data Set of one file of a series, its sequences of known length or `delimited`."""
    return b"".join(_element_of(node, number, encoding, delimited) for node in nodes)


def _element_of(node: Node, number: int, encoding: Encoding, delimited: bool) -> bytes:
    tag, vr, value = node
    if isinstance(value, list):
        inner = IMPLICIT_LITTLE if vr == "UN" else encoding
        levels = [written(nodes, number, inner, delimited) for nodes in value]
        if not delimited:
            return element_bytes(tag, vr, b"".join(item_bytes(raw, inner) for raw in levels), encoding)
        item, item_end, end = (struct.pack(f"{inner.order}HH", 0xFFFE, low) for low in (0xE000, 0xE00D, 0xE0DD))
        items = b"".join(item + b"\xff" * 4 + raw + item_end + bytes(4) for raw in levels)
        return element_bytes(tag, vr, b"", encoding)[:-4] + b"\xff" * 4 + items + end + bytes(4)
    if isinstance(value, int):
        value = struct.pack(f"{encoding.order}H", value)
    if isinstance(value, str):
        value = value.replace("#", str(number)).encode("latin-1")
        value += (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
    return element_bytes(tag, vr, value, encoding)


def _content(value_type: str, code: str, *value: Node) -> list[Node]:
    name = (0x0040A043, "SQ", [[(0x00080100, "SH", code), (0x00080102, "SH", "DCM")]])
    return [(0x0040A040, "CS", value_type), name, *value]


_REQUESTS: list[Any] = [
    [],
    [[(0x00081060, "PN", "Quux^Brandywine"), (0x00400009, "SH", "77")]],
    [[(0x00080005, "CS", "ISO_IR 144"), (0x00321060, "LO", "\xb8\xd2 Brandywine #"), (0x00400009, "SH", "#")]],
    [[(0x00100020, "LO", "ID-2"), (0x00400002, "DA", "2004012#")]],
    [[(0x00290010, "LO", "ACME"), (0x00291001, "LO", "#")]],
]
_OTHER_IDS: list[Any] = [[], [[], [(0x00100020, "LO", "K30-77#")]], [[(0x00100020, "LO", "ID-2")]]]
_DECLARED = [
    [[(0x00080301, "US", 0x29), (0x00080302, "LO", "ACME"), (0x00080303, "CS", status), (0x00080304, "US", 1)]]
    for status in ("SAFE", "MIXED", "UNSAFE")
]
_DECLARED.append([[(0x00080301, "US", 0x29), (0x00080302, "LO", "OTHER"), (0x00080303, "CS", "SAFE")]])

VARIANTS: dict[int, tuple[tuple[str, Any] | None, ...]] = {
    0x00070010: (None, ("LO", "ACME")),
    0x00071001: (None, ("OB", bytes(6000)), ("LO", "early")),
    0x00080000: (None, ("UL", bytes(4))),
    0x00080005: (("CS", "ISO_IR 100"), ("CS", "ISO_IR 192"), ("CS", "ISO_IR 144"), None),
    0x00080008: (None, ("CS", "ORIGINAL\\PRIMARY"), ("CS", "DERIVED\\SECONDARY\\SCREEN SAVE")),
    0x00080016: tuple(("UI", f"1.2.840.10008.5.1.4.1.1.{end}") for end in ("2", "4", "7", "88.33", "6.1")),
    0x00080018: (("UI", "1.2.3.#"), ("UN", "1.2.3.#"), ("UT", "1.2.3.#"), ("UI", ""), None),
    0x00080020: (("DA", "20040119"), ("DA", ""), ("DA", "2004"), None),
    0x00080022: (None, ("DA", "20040122"), ("DA", "")),
    0x00080023: (("DA", "20040121"), ("DA", "2004012#"), ("DA", ""), ("DA", "200401"), ("UN", "2004012#"), None),
    0x0008002A: (None, ("DT", "2004012310#0"), ("DT", "2004012#1010.5+0100"), ("DT", "2004"), ("UN", "2004012#")),
    0x00080033: (("TM", "1011#0"), ("TM", "noon"), None),
    0x00080050: (("SH", "ACC4711"), ("SH", ""), None),
    0x00080060: (("CS", "CT"), ("CS", "lower"), None),
    0x00080080: (None, ("LO", "Haus \xc4"), ("LO", "Brandywine")),
    0x00080300: (None, *(("SQ", declared) for declared in _DECLARED)),
    0x00081030: (("LO", "Brandywine chest 4711"), ("LO", "\xc4# ACC4711"), None),
    0x0008103E: (("LO", "chest #"), ("LO", "Doe 20040121"), None),
    0x00081140: (None, ("SQ", []), ("SQ", [[(0x00081155, "UI", "1.2.9.#")]]), ("UN", [[(0x00081155, "UI", "1.2.#")]])),
    0x00100010: (("PN", "Doe^Jane"), ("PN", "Brandywine^Q"), ("PN", ""), None),
    0x00100020: (("LO", "ID-1"), ("LO", "ID-2"), ("LO", ""), None),
    0x00100030: (None, ("DA", "19611230")),
    0x00101000: (None, ("LO", "A\\K30-77#")),
    0x00101001: (None, ("PN", "Quux^Q\\Brandywine#^A"), ("PN", "")),
    0x00101002: (None, *(("SQ", items) for items in _OTHER_IDS), ("UN", _OTHER_IDS[1])),
    0x00104000: (None, ("LT", "Jane Doe came on 20040121, #"), ("LT", "")),
    0x0020000D: (("UI", "1.2.3"), ("UI", ""), None),
    0x0020000E: (("UI", "1.2.4"), None),
    0x00200010: (("SH", "S1"), ("SH", "ST7712#"), None),
    0x00200013: (("IS", "#"), ("IS", "#111111111"), ("UN", "#"), ("IS", "")),
    0x00200052: (None, ("UI", "1.2.3.9"), ("UI", "1.2.3.9.#")),
    0x00204000: (("LT", "ACC4711 Brandywine"), ("LT", "#"), None),
    0x00280002: (("US", 1),),
    0x00280004: (("CS", "MONOCHROME2"), ("CS", "PALETTE COLOR")),
    0x00280010: (("US", 4), ("US", 5)),
    0x00280100: (("US", 16),),
    0x00280103: (None, ("US", 0), ("US", 1), ("UN", b"\1\0")),
    0x00280106: (None, ("US", 7), ("SS", b"\xf0\xff"), ("UN", b"\xf0\xff")),
    0x00280120: (None, ("US", 7)),
    0x00280301: (None, ("CS", "YES"), ("CS", "NO")),
    0x00281101: (None, ("US", b"\1\0\0\0\1\0")),
    0x00290010: (None, ("LO", "ACME"), ("LO", "OTHER"), ("UN", "ACME")),
    0x00290011: (None, ("LO", "ACME")),
    0x00291001: (None, ("LO", "secret #"), ("UN", "#"), ("PN", "Quux^Brandywine"), ("SQ", [[(0x00081060, "PN", "A")]])),
    0x00291002: (None, ("OB", b"\0\1"), ("OB", bytes(6000)), ("UN", b"#")),
    0x00291101: (None, ("DA", "2004012#"), ("TM", "10#"), ("US", 3)),
    0x00380010: (None, ("LO", "77120#"), ("LO", "WARD")),
    0x00400253: (None, ("SH", "PPS#"), ("SH", "")),
    0x00400275: (None, *(("SQ", items) for items in _REQUESTS), ("UN", _REQUESTS[1])),
    0x0040A730: (
        None,
        ("SQ", [_content("TEXT", "121071", (0x0040A160, "UT", "seen by Brandywine #"))]),
        ("SQ", [_content("PNAME", "121008", (0x0040A123, "PN", "Quux^Brandywine"))]),
        ("SQ", [_content("UIDREF", code, (0x0040A124, "UI", "1.2.9.#")) for code in ("112040", "121018", "999999")]),
        ("SQ", [_content("DATE", "121031", (0x0040A121, "DA", "2004012#")), [(0x0040DB73, "UL", bytes(4))]]),
    ),
    0x00420011: (None, ("OB", bytes(5000)), ("OB", b"pdf#")),
    0x00700084: (None, ("PN", "Quux^Brandywine")),
    0x7FE00010: (("OW", bytes(32)), ("OW", bytes(40)), None),
    0x7FE10010: (None, ("LO", "ACME")),
    0x7FE11001: (None, ("LO", "behind #"), ("OB", bytes(6000))),
    0xFFFCFFFC: (None, ("OB", bytes(8))),
}
"""Elements with the VRs and values that the files of a series may have; `None` is an absent one."""
_ENDS = (b"", b"", b"", b"", b"\0\0\0\0", b"\x40\0\0\0SH\2\0", b"\x40\0\x20\0SH\2\0A ")
"""What may follow a Data Set: zeros, half an element, one that is out of order."""


@functools.cache
def _before_data_set(syntax: str) -> bytes:
    return file_bytes(Dataset(), syntax)


@st.composite
def any_series(draw: st.DrawFn) -> list[bytes]:
    """Files that have most elements in common; some differ from all others or alternate, and some are broken."""
    tags = sorted(VARIANTS)
    common = {tag: VARIANTS[tag][0] for tag in tags}
    for tag in draw(st.lists(st.sampled_from(tags), max_size=12, unique=True)):
        common[tag] = draw(st.sampled_from(VARIANTS[tag]))
    varying = draw(st.lists(st.sampled_from(tags), max_size=4, unique=True))
    syntax = draw(st.sampled_from(sorted(SYNTAXES)))
    delimited, broken = draw(st.booleans()), draw(st.integers(0, 3)) == 0
    files = []
    for number in range(draw(st.integers(4, 8))):
        differs = draw(st.integers(0, 2)) == 0
        own = common | {tag: draw(st.sampled_from(VARIANTS[tag])) for tag in varying if differs}
        nodes = [(tag, *found) for tag, found in own.items() if found is not None]
        name, raw = syntax, b""
        if differs and broken:
            name, raw = draw(st.sampled_from(sorted(SYNTAXES))), draw(st.sampled_from(_ENDS))
        raw = written(nodes, number, ENCODINGS[name], delimited) + raw
        raw = raw[: len(raw) - (draw(st.sampled_from((0, 0, 1, 20, 50))) if differs and broken else 0)]
        files.append(_before_data_set(SYNTAXES[name]) + raw)
    return files


def put(folder: Path, content: bytes, name: str = "source") -> Path:
    """Write a file, and say where it is."""
    path = folder / name
    path.write_bytes(content)
    return path


def copy(source: Path, target: Path, rules: dict[str, str] | None = None) -> Dataset:
    """Write a file anew under rules, as a worker does, and read it with pydicom."""
    with open(source, "rb", buffering=0) as handle:
        file = DicomFile(handle, source.stat().st_size)
        new = engine(rules or {}).run(file.data, file.transfer_syntax)
        meta = write_meta(file.transfer_syntax, new.sop_class or file.sop_class, new.sop_instance)
        output.write(target, handle, file, meta, new.pieces)
    return dcmread(target)
