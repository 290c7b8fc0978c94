"""Writes ``iod_attributes.json`` from the tables of PS3.3 that highdicom ships: a maintainer's script.

Lives here: which attributes of which objects have to stay, or to hold a value. Does not live here: any test.
"""

from __future__ import annotations

import importlib
import json
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from dicom_anon import standard, tags
from dicom_anon.actions.dates import TEMPORAL_VRS
from dicom_anon.presets.generate import FREE_TEXT_VRS

TARGET = Path(__file__).with_name("iod_attributes.json")
CODES = frozenset({"CodeMeaning", "CodeValue", "CodingSchemeDesignator"})
"""Stay everywhere, and stand in a thousand sequences."""


def _matters(attribute: dict[str, Any]) -> bool:
    """Tell whether it must be there (Type 1 or 2), and might identify: Table E.1-1 lists it, or its VR allows it."""
    tag = tags.tag_for_keyword(attribute["keyword"])
    if tag is None or attribute["type"] not in ("1", "2") or attribute["keyword"] in CODES:
        return False
    return tag in standard.profile_by_key() or tags.vr_of(tag) in FREE_TEXT_VRS | TEMPORAL_VRS | {"AE"}


def extract(version: str, *tables: dict[str, Any]) -> dict[str, Any]:
    """Collect the attributes by the IODs, and by the sequences, that have them.

    Parameters
    ----------
    version : str
        Version of highdicom, for the record.
    *tables : dict
        Its ``sop_class_iod_map``, ``iod_module_map`` and ``module_attribute_map``.
    """
    classes, iods, modules = tables
    own: dict[str, dict[str, str]] = {}
    nested: dict[str, dict[str, str]] = {}
    for name in sorted({module["key"] for iod in classes.values() for module in iods[iod]}):
        for attribute in filter(_matters, modules.get(name, ())):
            path, keyword, kind = attribute["path"], attribute["keyword"], attribute["type"]
            found = nested.setdefault(path[-1], {}) if path else own.setdefault(name, {})
            found[keyword] = min(found.get(keyword, kind), kind)
    return {
        "_about": "Type 1 and 2 attributes that might identify: of modules at top level, and by their sequence",
        "_edition": "PS3.3 2026b",
        "_source": f"highdicom {version} (PyPI), _standard/",
        "_command": "python -m tests.data.iod_attributes",
        "_notice": "DICOM PS3.3, © NEMA",
        "modules": own,
        "sop_classes": {
            uid: " ".join(module["key"] for module in iods[iod] if module["key"] in own) for uid, iod in classes.items()
        },
        "nested": dict(sorted(nested.items())),
    }


def main() -> None:
    """Read the installed highdicom and write the file."""
    importlib.import_module("highdicom")
    folder = resources.files("highdicom").joinpath("_standard")
    names = ("sop_class_iod_map", "iod_module_map", "module_attribute_map")
    tables = [json.loads(folder.joinpath(f"{name}.json").read_text("utf-8")) for name in names]
    content = extract(metadata.version("highdicom"), *tables)
    TARGET.write_text(json.dumps(content, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
