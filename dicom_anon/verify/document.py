"""The JSON documents that a run writes beside the images: the values in them, apart from the words they all have.

Lives here: telling such a document from any other file, and reading it. Does not live here: the search. A document
is made of the images beside it, and dates are looked for in these: it has no source of its own whose they could be.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydicom.datadict import tag_for_keyword

from .layout import Layout, Reader, Span, path_of
from .search import FIGURE_VRS, TEXT_VRS

LIMIT = 1 << 26  # bytes of a document that is read; a larger one is searched as it is

_OF_SERIES = "tool version extract StudyInstanceUID SeriesInstanceUID NumberOfInstances elements"
_OF_ACCOUNT = """tool version preset project options rules key_id started ended StudyInstanceUID series counts run
    mercure"""
_SERIES, _ACCOUNT = frozenset(_OF_SERIES.split()), frozenset(_OF_ACCOUNT.split())
"""Keys at the top of such a document; `mercure` stands there only where mercure gave the task."""

_KINDS = """encapsulated secondary_capture sr presentation_state waveform wsi_label private_sop_class
    unknown_sop_class"""
_OBJECTS = frozenset(_KINDS.split())
_INSIDE = """tag creator vr Value Values Minimum Maximum MoreValues Length Lengths Alphabetic Ideographic Phonetic
    remove_unknown_tags remove_safe_tags remove_curves remove_overlays profile_options objects layout folder instances
    found files bytes written source_bytes unchanged skipped quarantined failed reasons action uid_type mercure_version
    not-dicom dicomdir symlink special-file object-dropped not-parsable truncated pixel-data-short encrypted
    unsupported-object value-not-writable value-misplaced identity-missing burned-in-risk internal-error unreadable
    vanished write-failed worker-died not-reached"""
NAMES = _SERIES | _ACCOUNT | _OBJECTS | frozenset(_INSIDE.split())
"""Keys that such documents have beside keywords and tags; any other key is searched as values are."""

_FORMS = {
    name: re.compile(form)
    for name, form in {
        "tool": "dicom-anon",
        "vr": "[A-Z]{2}",
        "tag": "[0-9A-F]{8}",
        "preset": "default|none|basic|tcia|mercure",
        "layout": "study|mercure",
        "rules": "[0-9a-f]{64}",
        "key_id": "[0-9a-f]{16}",
        "started": r"\d{4}-\d\d-\d\dT[\d:]{8}[+-][\d:]{5}",
        "ended": r"\d{4}-\d\d-\d\dT[\d:]{8}[+-][\d:]{5}",
        "action": "route|both|process|discard|notification",
        "uid_type": "series|study",
        "dicomdir": "skip|rebuild",
        **dict.fromkeys(_OBJECTS, "process|quarantine|drop"),
    }.items()
}
"""Values that a run, and not a file, has put there, by their key."""

_OF_A_FILE = frozenset({"Value", "Values", "Minimum", "Maximum"})
_BESIDE = Span("file", 0, "UT", 0, 0, "", ("utf-8",))  # what stands in no element


class _Number(str):
    """A number as it is written."""


def read_document(path: Path) -> tuple[Reader, Layout] | None:
    """Read a document of a run as if its values were those of a file; None for what is no such document.

    Each value becomes a span of the element it is told of, with its VR, and of none if it is told of none. What
    stands twice under one key, is damaged, too large, or has other keys at the top than a run writes, makes no
    document: such a file is searched as it is.
    """
    with path.open("rb") as file:
        content = file.read(LIMIT + 1)
    if len(content) > LIMIT:
        return None
    values = _Values()
    try:
        document = json.loads(
            content.decode("utf-8"), object_pairs_hook=_unique, parse_int=_Number, parse_float=_Number
        )
        if not _is_of_a_run(document):
            return None
        values.walk(document, "", _BESIDE, "")
    except (ValueError, RecursionError):
        return None
    size = len(values.data)
    return Reader(io.BytesIO(values.data), size), Layout(size, values.spans, preamble=False, end=size)


def _is_of_a_run(document: object) -> bool:
    """Say whether a document has what those of a run have at the top, no more and no less."""
    if not isinstance(document, dict) or document.get("tool") != "dicom-anon":
        return False
    return document.keys() == _SERIES or document.keys() | {"mercure"} == _ACCOUNT


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


@dataclass(slots=True)
class _Values:
    """Collects the values of a document, one beside the other."""

    data: bytearray = field(default_factory=bytearray)
    spans: list[Span] = field(default_factory=list)

    def walk(self, node: object, key: str, place: Span, above: str) -> None:
        """Take in what stands at a key; `place` is the element it belongs to, `above` the item that this is in."""
        if isinstance(node, dict):
            self._walk_object(node, place, above)
        elif isinstance(node, list):
            for number, child in enumerate(node):
                self.walk(child, key, place, f"{place.path}[{number}]." if place.tag else above)
        elif isinstance(node, _Number):
            self._take(node, replace(place, vr="IS"))
        elif isinstance(node, str) and not _is_ours(key, node):
            self._take(node, place)

    def _walk_object(self, node: dict[str, Any], place: Span, above: str) -> None:
        inside = place
        tag, vr = node.get("tag"), node.get("vr")
        if isinstance(tag, str) and _FORMS["tag"].fullmatch(tag):
            number = int(tag, 16)
            place = replace(_BESIDE, path=above + path_of(number))
            known = vr if isinstance(vr, str) and vr in TEXT_VRS | FIGURE_VRS | {"UI"} else "UT"
            inside = replace(place, tag=number, vr=known, creator=str(node.get("creator", "")))
        for key, child in node.items():
            if key not in NAMES and not _names_element(key):
                self._take(key, place)
            self.walk(child, key, inside if key in _OF_A_FILE else place, above)

    def _take(self, text: str, place: Span) -> None:
        start = len(self.data)
        self.data += text.encode("utf-8", "replace")
        self.spans.append(replace(place, start=start, end=len(self.data)))
        self.data += b"\n"


def _names_element(text: str) -> bool:
    return _FORMS["tag"].fullmatch(text) is not None or tag_for_keyword(text) is not None


def _is_ours(key: str, text: str) -> bool:
    """Say whether a text under a key is one that the rules or the run have put there."""
    if key == "extract":
        return all(word in ("all", "main") or _names_element(word) for word in text.split(","))
    return key in _FORMS and _FORMS[key].fullmatch(text) is not None
