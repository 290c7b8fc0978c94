"""How files are broken: every mutation makes one broken file of a whole one, by a random number generator.

Lives here: the mutations. Does not live here: what must hold for the result.
"""

from __future__ import annotations

import functools
import random
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

from dicom_anon.dicomfile import walk_bytes
from dicom_anon.elements import ITEM, ITEM_END, SEQUENCE_END, Encoding, Span, element_bytes, item_bytes
from tests.fuzz.bases import FAMILY, PATIENT_ID, Base, bases, deflate

GIANT = (0xFFFFFFFF, 0xFFFFFFFE, 0x7FFFFFFF, 0x80000000, 0x3FFFFFFF, 0x10000000, 0x10000, 0xFFFF, 0xFFFE, 0)
CHARACTER_SETS = (
    b"\\ISO 2022 IR 87",
    b"ISO_IR 192",
    b"NONSENSE",
    b"ISO 2022 IR 149\\ISO 2022 IR 58",
    b"\xff\xfe",
    b"",
)
VRS = (
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV ZZ".split()
)


class Broken(NamedTuple):
    """One broken file.

    `honest` says that every element that is left of the whole file is still named by its own tag and VR, so that
    no output may hold its patient; where a name stands under the tag of a body part, nobody can tell.
    """

    kind: str
    content: bytes
    honest: bool


Mutation = Callable[[Base, random.Random], "tuple[bytes, bool]"]


@functools.lru_cache(maxsize=256)
def spans_of(base: Base) -> tuple[Span, ...]:
    """Elements at every depth, up to the pixel data."""
    data = walk_bytes(base.body, base.encoding)
    found: list[Span] = []

    def collect(spans: list[Span]) -> None:
        for span in spans:
            found.append(span)
            for inner in span[5] or ():
                if inner.encoding == base.encoding:
                    collect(inner.spans)

    collect(data.spans)
    limit = min((start for start in data.bulk), default=len(base.body))
    return tuple(span for span in found if span[2] <= limit)


def _put(content: bytes, at: int, new: bytes) -> bytes:
    return content[:at] + new + content[at + len(new) :]


def _length_field(base: Base, span: Span) -> tuple[int, int]:
    """Place and size of the length of an element."""
    header = span[3] - span[2]
    return (span[3] - 2, 2) if base.encoding.explicit and header == 8 else (span[3] - 4, 4)


def _number(base: Base, value: int, size: int) -> bytes:
    return (value & ((1 << 8 * size) - 1)).to_bytes(size, "little" if base.encoding.little else "big")


def flip(base: Base, rng: random.Random) -> tuple[bytes, bool]:
    """Bytes of the header change."""
    body = bytearray(base.body)
    limit = min(len(body), 4000)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        body[rng.randrange(limit)] = rng.choice((0, 0xFF, 0xFE, rng.randrange(256), 0x5C, 0x1B))
    return base.file(bytes(body)), False


def flip_meta(base: Base, rng: random.Random) -> tuple[bytes, bool]:
    """Bytes of preamble and file meta change."""
    head = bytearray(base.head or base.body[:200])
    for _ in range(rng.choice((1, 2, 8))):
        head[rng.randrange(min(128, len(head) - 1), len(head))] = rng.choice((0, 0xFF, rng.randrange(256)))
    rest = base.file(base.body)[len(head) :]
    return bytes(head) + rest, False


def length(base: Base, rng: random.Random) -> tuple[bytes, bool]:
    """One length is another number."""
    span = rng.choice(spans_of(base))
    at, size = _length_field(base, span)
    old = int.from_bytes(base.body[at : at + size], "little" if base.encoding.little else "big")
    new = rng.choice((old + 1, old - 1, old + 2, old - 2, old + 8, old * 2, rng.randrange(1 << 16), *GIANT))
    return base.file(_put(base.body, at, _number(base, new, size))), True


def swallow(base: Base, rng: random.Random) -> tuple[bytes, bool]:
    """One length reaches to the end of a later element, so that all stays well formed."""
    spans = spans_of(base)
    first = rng.randrange(len(spans))
    level = [span for span in spans[first + 1 :] if span[0] > spans[first][0]][:12]
    if not level:
        return length(base, rng)
    at, size = _length_field(base, spans[first])
    return base.file(_put(base.body, at, _number(base, rng.choice(level)[4] - spans[first][3], size))), True


def cut(base: Base, rng: random.Random) -> tuple[bytes, bool]:
    """The file ends at the boundary of an element, or within its header or value."""
    span = rng.choice(spans_of(base))
    place = rng.choice((span[2], span[3], span[4], (span[3] + span[4]) // 2, span[2] + rng.randrange(8)))
    return base.file(base.body[:place]), True


def cut_anywhere(base: Base, rng: random.Random) -> tuple[bytes, bool]:
    """The file ends anywhere, file meta and deflated bytes included."""
    whole = base.file(base.body)
    return whole[: rng.randrange(len(whole))], True


def relabel(base: Base, rng: random.Random) -> tuple[bytes, bool]:
    """An element gets another tag or VR."""
    span = rng.choice(spans_of(base))
    if base.encoding.explicit and rng.random() < 0.7:
        return base.file(_put(base.body, span[2] + 4, rng.choice(VRS))), False
    group, element = rng.choice(spans_of(rng.choice(bases())))[0] >> 16, rng.randrange(1 << 16)
    tag = struct.pack(f"{base.encoding.order}HH", group, element)
    return base.file(_put(base.body, span[2], tag)), False


def rearrange(base: Base, rng: random.Random) -> tuple[bytes, bool]:
    """Elements are doubled, left out, or change places."""
    top = walk_bytes(base.body, base.encoding).spans[:-1]
    pieces = [base.body[span[2] : span[4]] for span in top]
    for _ in range(rng.choice((1, 2, 5))):
        one, other = rng.randrange(len(pieces)), rng.randrange(len(pieces))
        match rng.randrange(3):
            case 0:
                pieces.insert(other, pieces[one])
            case 1:
                pieces[one], pieces[other] = pieces[other], pieces[one]
            case _:
                if len(pieces) > 2:
                    del pieces[one]
    return base.file(b"".join(pieces) + base.body[top[-1][4] :]), True


def _inserted(base: Base, tag: int, element: bytes) -> bytes:
    """Data Set with one more element at its place."""
    for span in walk_bytes(base.body, base.encoding).spans:
        if span[0] >= tag:
            return base.file(base.body[: span[2]] + element + base.body[span[2] :])
    return base.file(base.body + element)


def _patient(encoding: Encoding) -> bytes:
    return element_bytes(0x00100010, "PN", FAMILY.encode(), encoding) + element_bytes(
        0x00100020, "LO", PATIENT_ID.encode() + b" ", encoding
    )


def nest(base: Base, rng: random.Random) -> tuple[bytes, bool]:
    """Sequences in sequences, a patient in the innermost, to a thousand levels."""
    encoding = base.encoding
    tag = rng.choice((0x00081140, 0x0040A730, 0x00191111, 0x0008113F))
    vr = rng.choice(("SQ", "SQ", "UN"))
    inner = encoding if vr == "SQ" else Encoding(explicit=False, little=True)
    content = _patient(inner)
    for _ in range(rng.choice((1, 5, 59, 60, 61, 200, 1000))):
        if rng.random() < 0.5:
            content = element_bytes(tag, vr, item_bytes(content, inner), inner)
            continue
        mark = struct.pack(f"{inner.order}HHL", ITEM >> 16, ITEM & 0xFFFF, 0xFFFFFFFF)
        ends = [struct.pack(f"{inner.order}HHL", end >> 16, end & 0xFFFF, 0) for end in (ITEM_END, SEQUENCE_END)]
        header = element_bytes(tag, vr, b"", inner)[:-4] + b"\xff\xff\xff\xff"
        content = header + mark + content + b"".join(ends[: rng.choice((2, 2, 2, 2, 2, 2, 2, 1))])
    if inner is not encoding:
        content = element_bytes(tag, vr, item_bytes(content, inner), encoding)
    return _inserted(base, tag, content), True


def giant(base: Base, rng: random.Random) -> tuple[bytes, bool]:
    """An element, item or fragment of a length that no file has."""
    encoding = base.encoding
    tag, vr = rng.choice(
        ((0x00081140, "SQ"), (0x00091001, "UN"), (0x00091001, "OB"), (0x00281201, "OW"), (0x7FE00010, "OW"))
    )
    size = struct.pack(f"{encoding.order}L", rng.choice(GIANT))
    inner = rng.choice((b"", item_bytes(_patient(encoding), encoding)))
    if inner and rng.random() < 0.5:
        inner = inner[:4] + struct.pack(f"{encoding.order}L", rng.choice(GIANT)) + inner[8:]
    return _inserted(base, tag, element_bytes(tag, vr, inner, encoding)[: -len(inner) - 4 or None] + size + inner), True


def private(base: Base, rng: random.Random) -> tuple[bytes, bool]:
    """Private creators that are doubled, missing, empty, or name each other's blocks."""
    encoding = base.encoding
    group = rng.choice((0x0009, 0x0019, 0x0029, 0x0001, 0x0007, 0xFFFF))
    places = sorted(
        {
            rng.choice((0x00, 0x10, 0x11, 0x12, 0xFF, 0x0001, 0x1010, 0x1011, 0x1110, 0x1111, 0x1210, 0xFF10, 0xFFFF))
            for _ in range(8)
        }
    )
    if rng.random() < 0.3:
        rng.shuffle(places)
    content = b""
    for place in places:
        vr = rng.choice(("LO", "UN", "SQ", "PN", "UT"))
        value = rng.choice(
            (b"SIEMENS MR HEADER ", b"", bytes((0x10, 0x11)), f"{PATIENT_ID} ".encode(), b"GEMS_IDEN_01")
        )
        if vr == "SQ":
            value = item_bytes(
                element_bytes(group << 16 | 0x10, "LO", b"A\\B ", encoding) + _patient(encoding)[:0], encoding
            )
        content += element_bytes(group << 16 | place, vr, value, encoding)
    return _inserted(base, group << 16, content), True


def bomb(base: Base, rng: random.Random) -> tuple[bytes, bool]:
    """A deflated Data Set that grows a thousand times, whole or cut."""
    found = next(other for other in bases() if other.deflated)
    megabytes = rng.choice((1, 16, 64, 300, 900) if rng.random() < 0.1 else (1, 2, 4))
    size = megabytes << 20
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    start = found.body[: rng.choice((0, 100, 400))]
    tag, vr = rng.choice(((0x00431001, b"UN"), (0x00431001, b"OB"), (0x0040A160, b"UT"), (0x7FE00010, b"OW")))
    top = [span for span in walk_bytes(found.body, found.encoding).spans if span[0] < tag]
    start = found.body[: top[-1][4]] if rng.random() < 0.7 else start
    out = deflater.compress(start + struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, vr, 0, size))
    chunk = rng.choice((b"\0", b"AB", b"\xfe\xff\x00\xe0\x00\x00\x00\x00")) * (1 << 17)
    written = 0
    while written < size:
        out += deflater.compress(chunk[: size - written])
        written += min(len(chunk), size - written)
    out += deflater.flush()
    return found.head + (out if rng.random() < 0.8 else out[: len(out) // 2]), True


def character_set(base: Base, rng: random.Random) -> tuple[bytes, bool]:
    """Text says that it is in another character set than it is."""
    top = walk_bytes(base.body, base.encoding).spans
    own = next((span for span in top if span[0] == 0x00080005), None)
    value = rng.choice(CHARACTER_SETS)
    element = element_bytes(0x00080005, "CS", value + b" " * (len(value) & 1), base.encoding)
    rest = base.body if own is None else base.body[: own[2]] + base.body[own[4] :]
    return _inserted(base._replace(body=rest), 0x00080005, element), True


def splice(base: Base, rng: random.Random) -> tuple[bytes, bool]:
    """The start of one file and the end of another."""
    other = rng.choice(bases())
    one, two = rng.choice(spans_of(base)), rng.choice(spans_of(other))
    return base.file(base.body[: rng.choice(one[2:5])] + other.body[rng.choice(two[2:5]) :]), False


def garbage(base: Base, rng: random.Random) -> tuple[bytes, bool]:
    """A run of the file is overwritten with noise, zeros, or more of the file."""
    whole = bytearray(base.file(base.body))
    at = rng.randrange(len(base.head) or 1, len(whole))
    size = rng.choice((4, 40, 400, 4000))
    noise = rng.choice((rng.randbytes(size), bytes(size), bytes(whole[:size]), b"\xff" * size))
    whole[at : at + size] = noise
    return bytes(whole), False


MUTATIONS: dict[str, tuple[Mutation, int]] = {
    "flip": (flip, 4),
    "flip meta": (flip_meta, 1),
    "length": (length, 5),
    "swallow": (swallow, 3),
    "cut": (cut, 3),
    "cut anywhere": (cut_anywhere, 1),
    "relabel": (relabel, 2),
    "rearrange": (rearrange, 2),
    "nest": (nest, 1),
    "giant": (giant, 2),
    "private": (private, 2),
    "bomb": (bomb, 1),
    "character set": (character_set, 1),
    "splice": (splice, 2),
    "garbage": (garbage, 2),
}
"""Mutations by name, each with how often it is used."""

_DRAWN = [name for name, (_, weight) in MUTATIONS.items() for _ in range(weight)]


def broken(seed: int, number: int) -> tuple[Base, Broken]:
    """One broken file, the same for the same numbers, and the whole one behind it."""
    rng = random.Random(f"{seed} {number}")
    base = bases()[(number // 32) % len(bases())]  # several of one base in a row, as slices of a series come
    name = rng.choice(_DRAWN)
    try:
        content, honest = MUTATIONS[name][0](base, rng)
    except (struct.error, OverflowError):
        content, honest = cut_anywhere(base, rng)  # a value that this VR's length field cannot say
    return base, Broken(name, content, honest)


def boundaries(base: Base) -> list[bytes]:
    """The file cut at every boundary of an element, at every depth."""
    places = sorted({place for span in spans_of(base) for place in (span[2], span[3], span[4])})
    if base.deflated:
        return [base.head + deflate(base.body[:place]) for place in places]
    return [base.file(base.body[:place]) for place in places]
