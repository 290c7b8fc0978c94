"""The start of a DICOM file: preamble, File Meta Information, and what its transfer syntax says (PS3.10 chapter 7).

Lives here: telling DICOM by content, reading a file meta, writing a new one. Does not live here: the Data Set.
"""

from __future__ import annotations

import functools
import re
import struct

from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_anon._version import __version__
from dicom_anon.elements import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    HEADER_SIZES,
    IMPLICIT_LITTLE,
    Encoding,
    Incomplete,
    element_bytes,
    implicit_vr,
)
from dicom_anon.errors import FileRefused, Reason

IMPLEMENTATION_CLASS_UID = "2.25.213918571069814463128871245338166297613"
IMPLEMENTATION_VERSION_NAME = f"DICOM-ANON {__version__}"

_MEDIA_STORAGE_SOP_CLASS_UID = 0x00020002
_MEDIA_STORAGE_SOP_INSTANCE_UID = 0x00020003
_TRANSFER_SYNTAX_UID = 0x00020010
_STANDARD_TRANSFER_SYNTAX = re.compile(r"1\.2\.840\.10008\.1\.2(\.[\d.]+)?")
_USUAL = 1 << 12
"""File meta longer than this is not kept for the next file."""
_GROUP_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"
_PREAMBLE = bytes(128) + b"DICM" + _GROUP_LENGTH


def recognise(head: bytes) -> int:
    """Tell by content whether bytes start a DICOM file.

    Parameters
    ----------
    head : bytes
        First bytes of the file, at least 144 where it has them.

    Returns
    -------
    int
        Where the first element starts: 132 after preamble and ``DICM``, 0 without them, -1 where it is not
        DICOM.
    """
    if head[128:132] == b"DICM":
        return 132
    if _starts_data_set(head):
        return 0
    return -1


def _starts_data_set(head: bytes) -> bool:
    """Recognise a bare Data Set by its first element: group 2 or 8, and a VR or a length that makes sense."""
    if len(head) < 8:
        return False
    little = head[:2] in (b"\x02\x00", b"\x08\x00")
    if not little and head[:2] not in (b"\x00\x02", b"\x00\x08"):
        return False
    order = "<" if little else ">"
    group, element, vr, length = struct.unpack_from(f"{order}HH2sH", head)
    tag = group << 16 | element
    if vr in HEADER_SIZES:
        return length <= 64 or HEADER_SIZES[vr] == 12
    if not little or (element != 0 and implicit_vr(tag) == b"UN"):
        return False
    return bool(struct.unpack_from("<L", head, 4)[0] <= 64)


def read_meta(head: bytes, start: int) -> tuple[str, str, str, int]:
    """SOP Class, SOP Instance and transfer syntax of the File Meta Information, and where it ends.

    Most files differ from those before them in their SOP Instance UID only: what is around it is read once.

    Raises
    ------
    Incomplete
        It goes on behind the bytes given.
    """
    end = start + 12 + int.from_bytes(head[start + 8 : start + 12], "little")
    own = head.find(b"\x02\x00\x03\x00UI", start, end) if end - start <= _USUAL else -1
    if own >= 0 and head[start : start + 8] == _GROUP_LENGTH and head[end : end + 2] != b"\x02\x00":
        stop = own + 8 + int.from_bytes(head[own + 6 : own + 8], "little")
        known = _meta_around(head[start + 12 : own], head[stop:end]) if stop <= end <= len(head) else None
        if known is not None:
            return known[0], _uid_text(head[own + 8 : stop]), known[1], end
    meta, end = _meta_elements(head, start)
    wanted = (_MEDIA_STORAGE_SOP_CLASS_UID, _MEDIA_STORAGE_SOP_INSTANCE_UID, _TRANSFER_SYNTAX_UID)
    sop_class, sop_instance, syntax = (meta.get(tag, "") for tag in wanted)
    return sop_class, sop_instance, syntax, end


@functools.lru_cache(maxsize=1024)
def _meta_around(before: bytes, after: bytes) -> tuple[str, str] | None:
    """SOP Class and transfer syntax out of the elements before and behind the SOP Instance UID.

    `None` where one of the two is not made of whole elements, or has an instance of its own.
    """
    try:
        found = [_meta_elements(part, 0) for part in (before, after)]
    except Incomplete:
        return None
    meta = found[0][0] | found[1][0]
    if found[0][1] != len(before) or found[1][1] != len(after) or _MEDIA_STORAGE_SOP_INSTANCE_UID in meta:
        return None
    return meta.get(_MEDIA_STORAGE_SOP_CLASS_UID, ""), meta.get(_TRANSFER_SYNTAX_UID, "")


def _meta_elements(head: bytes, start: int) -> tuple[dict[int, str], int]:
    """UIDs of the File Meta Information, by its tags: its group length is often wrong. Some is in implicit VR."""
    meta: dict[int, str] = {}
    pos = start
    while head[pos : pos + 2] == b"\x02\x00":
        vr, value = head[pos + 4 : pos + 6], pos + 8
        if HEADER_SIZES.get(vr) == 12:
            value = pos + 12
            stop = value + int.from_bytes(head[pos + 8 : value], "little")
        elif vr.isalpha():
            stop = value + int.from_bytes(head[pos + 6 : value], "little")
        else:
            stop = value + int.from_bytes(head[pos + 4 : value], "little")
        if stop > len(head):
            raise Incomplete(f"offset {pos}")
        tag = 0x00020000 | int.from_bytes(head[pos + 2 : pos + 4], "little")
        if vr == b"UI" or (not vr.isalpha() and implicit_vr(tag) == b"UI"):
            meta[tag] = _uid_text(head[value:stop])
        pos = stop
    return meta, pos


def _uid_text(raw: bytes) -> str:
    return raw.decode("latin-1").strip("\0 ")


def guess_syntax(head: bytes, begin: int) -> str:
    """Transfer syntax of a Data Set whose file meta names none, by its first element."""
    if head[begin : begin + 2] in (b"\x00\x08", b"\x00\x02"):
        return str(ExplicitVRBigEndian)
    return str(ExplicitVRLittleEndian if head[begin + 4 : begin + 6] in HEADER_SIZES else ImplicitVRLittleEndian)


def encoding_of(transfer_syntax: str) -> Encoding:
    """Tell how the Data Set is written under a transfer syntax (PS3.5 section 10 and annex A)."""
    if transfer_syntax == ImplicitVRLittleEndian:
        return IMPLICIT_LITTLE
    return EXPLICIT_BIG if transfer_syntax == ExplicitVRBigEndian else EXPLICIT_LITTLE


@functools.lru_cache(maxsize=256)
def checked_encoding(transfer_syntax: str) -> Encoding:
    """Tell the same, but only of transfer syntaxes of the Standard.

    Raises
    ------
    FileRefused
        It is a private one: how the Data Set is written is anyone's guess.
    """
    if not _STANDARD_TRANSFER_SYNTAX.fullmatch(transfer_syntax):
        raise FileRefused(Reason.UNSUPPORTED, "private transfer syntax")
    return encoding_of(transfer_syntax)


def write_meta(transfer_syntax: str, sop_class: str, sop_instance: str) -> bytes:
    """Write preamble, ``DICM`` and a File Meta Information that says nothing of where the object came from.

    Parameters
    ----------
    transfer_syntax, sop_class, sop_instance : str
        UIDs; an empty one of the last two is left out, as the object has none.
    """
    before, after = _constant_meta(transfer_syntax, sop_class)
    own = _uid(_MEDIA_STORAGE_SOP_INSTANCE_UID, sop_instance)
    length = len(before) + len(own) + len(after)
    return b"".join((_PREAMBLE, length.to_bytes(4, "little"), before, own, after))


@functools.lru_cache(maxsize=256)
def _constant_meta(transfer_syntax: str, sop_class: str) -> tuple[bytes, bytes]:
    """Elements of the file meta before and after the SOP Instance UID."""
    version = IMPLEMENTATION_VERSION_NAME.encode()
    version += b" " * (len(version) % 2)
    before = element_bytes(0x00020001, "OB", b"\0\1", EXPLICIT_LITTLE) + _uid(_MEDIA_STORAGE_SOP_CLASS_UID, sop_class)
    after = _uid(_TRANSFER_SYNTAX_UID, transfer_syntax) + _uid(0x00020012, IMPLEMENTATION_CLASS_UID)
    return before, after + element_bytes(0x00020013, "SH", version, EXPLICIT_LITTLE)


def _uid(tag: int, text: str) -> bytes:
    """Element of a UID; nothing where that is empty."""
    raw = text.encode("ascii", "replace")
    return element_bytes(tag, "UI", raw + b"\0" * (len(raw) % 2), EXPLICIT_LITTLE) if raw else b""
