"""Values of single elements: bytes to text and text to bytes, by VR and character set (PS3.5 chapter 6).

Character sets and VR checks are pydicom's; lives here only what packs one value. Does not live here: rules.
"""

from __future__ import annotations

import contextlib
import functools
import math
import re
import struct
import warnings

from pydicom import config as pydicom_config
from pydicom.charset import convert_encodings, decode_bytes, python_encoding
from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS, validate_value

from dicom_anon.errors import DicomAnonError, FileRefused, Reason
from dicom_anon.tags import TagSyntaxError, format_tag, parse_key

CHARSET_VRS = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
"""VRs whose text is written in the character set of (0008,0005)."""

ASCII_VRS = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"))
TEXT_VRS = CHARSET_VRS | ASCII_VRS
SINGLE_VALUED = frozenset(("LT", "ST", "UT", "UR"))
"""Text VRs in which a backslash is a character, not a separator."""

NUMBER_FORMATS = {
    "US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "FL": "f", "FD": "d",
    "OW": "H", "OL": "L", "OV": "Q", "OF": "f", "OD": "d",
}  # fmt: skip
UTF8 = "ISO_IR 192"

Encodings = tuple[str, ...]
"""Python codecs of a Specific Character Set, the first one for text before any escape sequence."""

DEFAULT_ENCODINGS: Encodings = ("iso8859",)
_NOT_WRITTEN = ("iso8859", "shift_jis", "euc_kr", "iso_ir_58", "GB2312")
"""Codecs that write what their DICOM term has not: ASCII, half-width katakana, and what needs escapes."""

_ASCII = bytes(range(0x20, 0x7F)) + rb"\u0041 +AGE-.xn--caf-dma"
"""What ASCII has, and what Python's escapes, UTF-7 and the codec of host names read as letters."""

_USUAL = ("utf-8", "cp1252", "gb18030", "shift_jis", "euc_kr", "big5", "cp1251", "koi8_r")
"""Character sets of files that do not say which they are in."""

_LATER_TERMS = {"ISO_IR 203": "iso8859-15", "ISO 2022 IR 203": "iso8859-15"}
"""Terms of PS3.3 section C.12.1.1.2 that pydicom does not know, and what Python calls them."""

_LEFT_BY_PYTHON = "\x1b$)A"
"""Escape sequence of ISO 2022 IR 58: pydicom expects that Python takes it away, as it does with the Japanese ones."""

_SENSELESS = re.compile("[\x1b\x80-\x9f\N{REPLACEMENT CHARACTER}]")
_ASCII_AND_MORE = re.compile(rb"\x1b\(B[^\x1b]*[\x80-\xff]")


class ValueNotWritable(DicomAnonError):
    """A text does not fit a VR; the message names the VR and the rule, never the text."""


class NeedsWiderCharacterSet(DicomAnonError):
    """A text has characters outside the Data Set's character set."""


@functools.lru_cache(maxsize=256)
def encodings_of(specific_character_set: str) -> Encodings:
    r"""Python codecs for a value of (0008,0005) *Specific Character Set*, with ``\`` between its terms.

    >>> encodings_of(""), encodings_of("ISO_IR 192")
    (('iso8859',), ('UTF8',))
    """
    terms = [_LATER_TERMS.get(term, term) for term in (t.strip(" \0") for t in specific_character_set.split("\\"))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not all(map(_is_character_set, terms)):
            raise FileRefused(Reason.NOT_PARSABLE, "(0008,0005)")
        return tuple(convert_encodings(terms))


def _is_character_set(term: str) -> bool:
    """Tell a term of PS3.3 section C.12.1.1.2, or what pydicom takes for one: slips of the pen, Python's own names.

    In a character set of those, ASCII means itself.
    """
    corrected = re.sub(r"^ISO.2022.IR.", "ISO 2022 IR ", re.sub(r"^ISO.IR", "ISO_IR", term))
    if corrected in python_encoding:
        return True
    try:
        return _ASCII.decode(term) == _ASCII.decode("ascii")
    except (LookupError, ValueError):
        return False


def decode(raw: bytes, vr: str, encodings: Encodings, order: str = "<") -> str:
    r"""Read a value as the text a person would type for it.

    Parameters
    ----------
    raw : bytes
        Encoded value, padding included.
    vr : str
        Its VR. Numbers and attribute tags come back as text with ``\`` between values; other binary values as
        Latin-1 text, byte for byte.
    encodings : tuple of str
        Codecs of the Data Set it stands in.
    order : str
        ``<`` or ``>``.
    """
    if vr in CHARSET_VRS:
        raw = raw.rstrip(b" \0")
        if raw.isascii() and b"\x1b" not in raw:
            return raw.decode("ascii")
        delimiters = TEXT_VR_DELIMS | (PN_DELIMS | {0x3D} if vr == "PN" else set())
        if vr not in SINGLE_VALUED and "shift_jis" not in encodings:
            delimiters = delimiters | {0x5C}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text = decode_bytes(raw, encodings, delimiters)
        return text.replace(_LEFT_BY_PYTHON, "") if "iso_ir_58" in encodings else text
    if vr == "AT":
        words = struct.unpack(f"{order}{len(raw) // 4 * 2}H", raw[: len(raw) // 4 * 4])
        return "\\".join(
            format_tag(group << 16 | element) for group, element in zip(words[::2], words[1::2], strict=True)
        )
    if vr in NUMBER_FORMATS and not vr.startswith("O"):
        code = NUMBER_FORMATS[vr]
        size = struct.calcsize(f"<{code}")
        count = len(raw) // size
        return "\\".join(map(repr, struct.unpack(f"{order}{count}{code}", raw[: count * size])))
    return raw.rstrip(b" \0").decode("latin-1")


def is_legible(raw: bytes, vr: str, encodings: Encodings) -> bool:
    r"""Tell whether all bytes of a text mean something in its character set, so that what it says can be found.

    False is a proof; what is true may still be text of another set, as nearly all bytes mean something in Latin-1.

    Parameters
    ----------
    raw : bytes
        Encoded value.
    vr : str
        Its text VR; VRs other than `CHARSET_VRS` hold ASCII only.
    encodings : tuple of str
        Codecs of the Data Set it stands in. Without a Specific Character Set there are no bytes above 7F.

    Examples
    --------
    >>> is_legible(b"M\xfcller", "LO", encodings_of("ISO_IR 100")), is_legible(b"M\xfcller", "LO", encodings_of(""))
    (True, False)
    """
    if raw.isascii() and b"\x1b" not in raw:
        return True
    if vr not in CHARSET_VRS:
        return False
    strict = tuple("ascii" if codec in DEFAULT_ENCODINGS else codec for codec in encodings)
    if _SENSELESS.search(decode(raw, vr, strict)) or (strict[0] == "ascii" and _ASCII_AND_MORE.search(raw)):
        return False
    return strict[0] != "latin_1" or raw.isascii() or not _is_utf8(raw)  # nobody means what UTF-8 looks like there


def guess(raw: bytes) -> str:
    """Read a text that is not in its character set as what it is most likely, to search it; nobody writes it so."""
    return raw.decode("utf-8" if _is_utf8(raw) else "cp1252", "replace").rstrip(" \0")


def readings(raw: bytes) -> tuple[str, ...]:
    """Read a text in every character set in which it makes sense, to compare it with what is in a set of its own."""
    found = []
    for codec in _USUAL:
        with contextlib.suppress(UnicodeDecodeError):
            found.append(raw.decode(codec).rstrip(" \0"))
    return tuple(found)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def split(text: str, vr: str) -> list[str]:
    """Values of a decoded element; one where the VR has no multiplicity."""
    is_one = vr in SINGLE_VALUED if vr in TEXT_VRS else vr != "AT" and (vr not in NUMBER_FORMATS or vr[0] == "O")
    return [text] if is_one else text.split("\\")


_CACHED_LENGTH = 256


def encode(text: str, vr: str, encodings: Encodings, order: str = "<") -> bytes:
    r"""Pack a text into a VR: even length, padded as PS3.5 section 6.2 says.

    Parameters
    ----------
    text : str
        Several values with ``\`` between them. Numbers in decimal; attribute tags as tag or keyword; OB, UN and OW as
        ``hex:`` and hexadecimal digits, or else OB and UN as the text's own bytes, and OW as numbers, as OL, OV, OF
        and OD are.
    vr : str
        VR to pack into.
    encodings : tuple of str
        Codecs of the Data Set.
    order : str
        ``<`` or ``>``.

    Raises
    ------
    ValueNotWritable
        The text does not fit the VR: length, characters, range.
    NeedsWiderCharacterSet
        It fits, but the character set lacks a character.
    """
    packed = _packed_short if len(text) <= _CACHED_LENGTH else _packed
    return packed(text, vr, encodings, order)


def _packed(text: str, vr: str, encodings: Encodings, order: str) -> bytes:
    if vr in TEXT_VRS:
        for value in split(text, vr):
            _check(value, vr)
        raw = text.encode("ascii") if vr in ASCII_VRS else _encode_text(text, encodings)
        return _even(raw, b"\0" if vr == "UI" else b" ")
    if not text:
        return b""
    if vr in ("OB", "OW", "UN") and text.startswith("hex:"):
        try:
            return _even(bytes.fromhex(text[4:]), b"\0")
        except ValueError:
            raise ValueNotWritable(f"hex: must be followed by hexadecimal digits, for VR {vr}") from None
    if vr in NUMBER_FORMATS:
        return _pack_numbers(text, vr, order)
    if vr == "AT":
        return b"".join(_pack_tag(value, order) for value in text.split("\\"))
    if vr in ("OB", "UN"):
        return _even(_encode_text(text, encodings), b"\0" if vr == "OB" else b" ")
    raise ValueNotWritable(f"VR {vr} takes no text")


_packed_short = functools.lru_cache(maxsize=1 << 14)(_packed)


def _check(value: str, vr: str) -> None:
    if not value:
        return
    if vr in ASCII_VRS and not value.isascii():
        raise ValueNotWritable(f"characters outside ASCII in VR {vr}")
    if vr in ("UC", "UT"):
        return
    if "\0" in value or "\x1b" in value:
        raise ValueNotWritable(f"control characters in VR {vr}")
    try:
        validate_value(vr, value, pydicom_config.RAISE)
    except ValueError:
        raise ValueNotWritable(f"not a value of VR {vr} (length or characters)") from None
    if vr == "IS" and not -(1 << 31) <= int(value) < 1 << 31:
        raise ValueNotWritable("out of the range of VR IS")


def _encode_text(text: str, encodings: Encodings) -> bytes:
    if text.isascii():
        return text.encode("ascii")
    codec = encodings[0]
    if codec in _NOT_WRITTEN or codec.startswith("iso2022") or len(encodings) > 1:
        raise NeedsWiderCharacterSet(codec)
    try:
        return text.encode(codec)
    except UnicodeEncodeError:
        raise NeedsWiderCharacterSet(codec) from None


def _pack_numbers(text: str, vr: str, order: str) -> bytes:
    code = NUMBER_FORMATS[vr]
    convert = float if code in "fd" else int
    try:
        numbers = [convert(value) for value in text.split("\\")]
        if "_" in text or (any(map(math.isinf, numbers)) and "inf" not in text):  # Python takes 1_0, and 1e400 for inf
            raise ValueError
        return struct.pack(f"{order}{len(numbers)}{code}", *numbers)
    except (ValueError, OverflowError, struct.error):
        raise ValueNotWritable(f"not a number of VR {vr}, or out of its range") from None


def _pack_tag(text: str, order: str) -> bytes:
    try:
        key = parse_key(text.strip())
    except TagSyntaxError:
        key = None
    if not isinstance(key, int):
        raise ValueNotWritable("VR AT takes tags or keywords")
    return struct.pack(f"{order}HH", key >> 16, key & 0xFFFF)


def _even(raw: bytes, padding: bytes) -> bytes:
    return raw + padding if len(raw) & 1 else raw
