"""What the independent look is told of the rules: which elements stay because somebody asked for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dicom_anon.assignment import resolve
from dicom_anon.checking import kept_on_purpose
from dicom_anon.config import parse_config


@pytest.mark.parametrize(
    ("rules", "tag", "creator", "kept"),
    [
        ({"PatientName": "keep"}, 0x00100010, "", True),
        ({"PatientName": "keep"}, 0x00100020, "", False),
        ({"(0010,xxxx)": "keep"}, 0x00100010, "", True),
        ({"(0010,xxxx)": "keep", "PatientName": "clear"}, 0x00100010, "", False),
        ({"(0020,xxxx)": "keep"}, 0x0020000D, "", False),
        ({"(0020,xxxx)": "keep"}, 0x00200052, "", True),
        ({'(0019,xx0c,"MAKER")': "keep"}, 0x0019110C, "MAKER", True),
        ({'(0019,xx0c,"MAKER")': "keep"}, 0x0019110C, "OTHER", False),
        ({"(0019,xxxx)": "keep", '(0019,xx0c,"MAKER")': "remove"}, 0x0019110C, "MAKER", False),
        ({"(0019,xxxx)": "keep", '(0019,xx0c,"MAKER")': "remove"}, 0x0019110C, "OTHER", True),
        ({"preset": "tcia"}, 0x00102160, "", True),
        ({"preset": "tcia"}, 0x001021F0, "", False),
        ({"remove_unknown_tags": "false"}, 0x00191010, "MAKER", True),
        ({"remove_unknown_tags": "false", '(0019,xx10,"MAKER")': "remove"}, 0x00191010, "MAKER", False),
        ({"remove_unknown_tags": "false", "(0019,xxxx)": "remove"}, 0x00191010, "MAKER", False),
    ],
)
def test_what_stays_on_purpose(rules: dict[str, Any], tag: int, creator: str, kept: bool) -> None:
    named = kept_on_purpose(resolve(parse_config(json.dumps({"general": rules}), "test")))
    assert named(tag, creator) is kept
