"""Writes ``ps33_required.json`` from the module tables of PS3.3 that highdicom ships: a maintainer's script.

Lives here: that extraction. Does not live here: anything a run needs; highdicom is no dependency.
"""

from __future__ import annotations

import importlib
import json
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from dicom_anon import tags

TARGET = Path(__file__).with_name("ps33_required.json")
REQUIRED_TYPES = frozenset({"1", "1C", "2", "2C"})
VALUE_TYPES = frozenset({"1", "1C"})


def extract(modules: dict[str, list[dict[str, Any]]], version: str) -> dict[str, Any]:
    """Collect the attributes that are Type 1, 1C, 2 or 2C in some module, at any nesting.

    Parameters
    ----------
    modules : dict
        highdicom's ``module_attribute_map``: module to its attributes, each with ``keyword`` and ``type``.
    version : str
        Version of highdicom, for the record.

    Returns
    -------
    dict
        Content of ``ps33_required.json``; the tags are eight hex digits, in order. Attributes of repeating
        groups (overlays) have no single tag and are left out.
    """

    def of_types(types: frozenset[str]) -> list[str]:
        keywords = {
            attribute["keyword"]
            for attributes in modules.values()
            for attribute in attributes
            if attribute["type"] in types
        }
        found = {tag for tag in map(tags.tag_for_keyword, keywords) if tag is not None}
        return [f"{tag:08X}" for tag in sorted(found)]

    return {
        "_about": "Attributes that are Type 1, 1C, 2 or 2C in some module or macro of PS3.3, at any nesting.",
        "_edition": "PS3.3 2026b",
        "_source": f"highdicom {version} (PyPI), _standard/module_attribute_map.json",
        "_command": "python -m dicom_anon.standard.extract_required",
        "_notice": "DICOM PS3.3, © NEMA",
        "tags": of_types(REQUIRED_TYPES),
        "with_value": of_types(VALUE_TYPES),
    }


def main() -> None:
    """Read the installed highdicom and write the file."""
    importlib.import_module("highdicom")
    source = resources.files("highdicom").joinpath("_standard/module_attribute_map.json")
    content = extract(json.loads(source.read_text("utf-8")), metadata.version("highdicom"))
    TARGET.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
