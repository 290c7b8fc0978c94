"""Kinds of objects: which one a file is, whether text may be burned into it, which policy it has.

Lives here: tables by SOP Class (PS3.4 section B.5). Does not live here: what is then done, pixel data.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pydicom.uid import UID

from dicom_anon import tags
from dicom_anon.pixels import VIDEO
from dicom_anon.scope import Level
from dicom_anon.standard import iod_types

_STORAGE = "1.2.840.10008.5.1.4.1.1."

PROCESS, QUARANTINE, DROP, SKIP, REBUILD = "process", "quarantine", "drop", "skip", "rebuild"

ACCEPTED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "encapsulated": (PROCESS, QUARANTINE, DROP),
        "secondary_capture": (PROCESS, QUARANTINE, DROP),
        "sr": (PROCESS, QUARANTINE, DROP),
        "presentation_state": (PROCESS, QUARANTINE, DROP),
        "waveform": (PROCESS, QUARANTINE, DROP),
        "wsi_label": (PROCESS, QUARANTINE, DROP),
        "private_sop_class": (PROCESS, QUARANTINE, DROP),
        "unknown_sop_class": (PROCESS, QUARANTINE, DROP),
        "dicomdir": (SKIP, REBUILD),
    }
)
"""Kinds of object that have a policy, and the policies each may have."""

POLICIES: Mapping[str, str] = MappingProxyType(
    {
        "encapsulated": QUARANTINE,
        "secondary_capture": PROCESS,
        "sr": PROCESS,
        "presentation_state": PROCESS,
        "waveform": PROCESS,
        "wsi_label": DROP,
        "private_sop_class": QUARANTINE,
        "unknown_sop_class": PROCESS,
        "dicomdir": SKIP,
    }
)
"""Policies where the config says nothing."""

OTHER = "other"
"""Kind of all that has no policy of its own, such as a plain image; it is processed."""

_KINDS = (
    # PS3.4 table B.5-1; the families are those of PS3.3 sections A.8, A.33, A.34, A.35, A.45 and A.85
    ("encapsulated", re.compile(r"104\.\d+")),  # PDF, CDA, STL, OBJ, MTL
    ("secondary_capture", re.compile(r"7(\.\d+)?")),
    ("sr", re.compile(r"88\.\d+|78\.6|79\.1")),  # the last two are reports by name and SR by structure
    ("presentation_state", re.compile(r"11\.\d+|9\.100\.\d+")),  # the second ones are of waveforms
    ("waveform", re.compile(r"9\.\d+(\.\d+)?")),
)
_DICOMDIR = "1.2.840.10008.1.3.10"
_WHOLE_SLIDE = _STORAGE + "77.1.6"
_LABEL_FLAVORS = frozenset(("LABEL", "OVERVIEW"))
"""Value 3 of Image Type of slide images that show the label or may (PS3.3 section C.8.12.4.1.1)."""

BURNED_IN_CLASSES: Mapping[str, str] = MappingProxyType(
    {
        # PS3.3 section C.7.6.1.1.4: Burned In Annotation; kinds of equipment that write on their images
        **dict.fromkeys(("7", "7.1", "7.2", "7.3", "7.4"), "secondary-capture"),
        **dict.fromkeys(("3", "3.1", "6", "6.1", "6.3"), "ultrasound"),
        **dict.fromkeys(("77.1.1", "77.1.1.1"), "endoscopy"),
        **dict.fromkeys(("77.1", "77.2", "77.1.2", "77.1.2.1", "77.1.3", "77.1.4", "77.1.4.1", "77.1.7"), "camera"),
        **dict.fromkeys(("77.1.5.1", "77.1.5.2", "77.1.5.5", "77.1.5.6"), "ophthalmic-camera"),
    }
)
"""Risk by SOP Class, the UID without its common start."""

_HARDCOPY = frozenset(("1.2.840.10008.5.1.1.29", "1.2.840.10008.5.1.1.30"))
"""Sheets of film as they were printed, retired (PS3.4-2007 section B.5)."""

BURNED_IN_CONVERSIONS: Mapping[str, str] = MappingProxyType(
    {
        # PS3.3 section C.8.6.1: Conversion Type
        "DV": "digitized-video",
        "DF": "digitized-film",
        "SD": "scanned-document",
        "SI": "scanned-image",
        "DRW": "drawing",
        "WSD": "workstation",
    }
)
"""Risk by (0008,0064) Conversion Type."""

BURNED_IN_WORDS = frozenset(
    ("CAPTURE", "PROT", "PROTOCOL", "REPORT", "SAVE", "SCREEN", "SCREENSAVE", "SCREENSHOT", "SSAVE")
)
"""Words in (0008,0008) Image Type that tell of a copied screen; PS3.3 C.7.6.1.1.2 leaves them to makers."""

GREY_MODALITIES = frozenset(("CR", "CT", "DX", "IO", "MG", "MR", "PT", "PX", "RF", "RG", "XA"))
"""Modalities with monochrome images only (PS3.3 annex A): colour tells of something made from one."""


@dataclass(frozen=True)
class ObjectFacts:
    """What kind of object a file is.

    Parameters
    ----------
    kind : str
        A key of `POLICIES`, or `OTHER`.
    burned_in : str
        Why text may be burned into its pixels, as a code for reports; empty where nothing tells of it.
    """

    kind: str
    burned_in: str = ""


def classify(root: Level, transfer_syntax: str) -> ObjectFacts:
    """Tell the kind of an object and whether text may be burned into its pixels.

    (0028,0301) Burned In Annotation ``NO`` outweighs a risk that lies in where such images come from, not
    one that its Image Type or a palette tells of.

    Parameters
    ----------
    root : Level
        Its original top-level Data Set.
    transfer_syntax : str
        Its UID.
    """
    sop_class = root.near(tags.SOP_CLASS_UID).strip("\0")
    kind = kind_of_class(sop_class)
    image_type = (root.text(0x00080008) or "").upper() if root.raw(0x00080008) else ""
    if sop_class == _WHOLE_SLIDE and _shows_label(root, image_type):
        kind = "wsi_label"
    elif kind == OTHER and _is_screen(image_type):
        kind = "secondary_capture"
    return ObjectFacts(kind, _burned_in(root, sop_class, transfer_syntax, image_type))


@functools.lru_cache(maxsize=1024)
def kind_of_class(sop_class: str) -> str:
    """Tell the kind of all objects of a SOP Class.

    >>> kind_of_class("1.2.840.10008.5.1.4.1.1.104.1"), kind_of_class("1.3.12.2.1107.5.9.1")
    ('encapsulated', 'private_sop_class')
    """
    if sop_class == _DICOMDIR:
        return "dicomdir"
    if sop_class.startswith(_STORAGE):
        for kind, pattern in _KINDS:
            if pattern.fullmatch(sop_class[len(_STORAGE) :]):
                return kind
    if iod_types().knows_class(sop_class) or UID(sop_class, validation_mode=0).type == "SOP Class":
        return OTHER
    is_private = sop_class and not sop_class.startswith("1.2.840.10008.")
    return "private_sop_class" if is_private else "unknown_sop_class"


def _is_screen(image_type: str) -> bool:
    return bool(image_type) and not BURNED_IN_WORDS.isdisjoint(_WORDS(image_type))


_WORDS = re.compile(r"[A-Z0-9]+").findall


def _shows_label(root: Level, image_type: str) -> bool:
    """Tell whether a slide image shows the label: by its flavor, or (0048,0010) Specimen Label in Image."""
    flavor = [value.strip() for value in image_type.split("\\")][2:3]
    return not _LABEL_FLAVORS.isdisjoint(flavor) or root.near(0x00480010).upper() == "YES"


def _burned_in(root: Level, sop_class: str, transfer_syntax: str, image_type: str) -> str:
    says = root.near(0x00280301).upper() if root.raw(0x00280301) else ""
    if says == "YES":
        return "burned-in-annotation"
    if _is_screen(image_type):
        return "screen"
    if (
        root.raw(0x00281101)  # a palette, so that a plain image costs one look-up
        and root.near(0x00280004) == "PALETTE COLOR"
        and root.near(0x00080060) in GREY_MODALITIES
    ):
        return "palette"
    if says == "NO":
        return ""
    if root.raw(0x00080064) and (risk := BURNED_IN_CONVERSIONS.get(root.near(0x00080064).upper(), "")):
        return risk
    if sop_class.startswith(_STORAGE) and (risk := BURNED_IN_CLASSES.get(sop_class[len(_STORAGE) :], "")):
        return risk
    if sop_class in _HARDCOPY:
        return "hardcopy"
    if root.raw(0x00280002) in (b"\3\0", b"\0\3") and root.near(0x00080060) in GREY_MODALITIES:
        return "color"
    return "video" if transfer_syntax in VIDEO else ""
