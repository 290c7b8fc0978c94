"""The modules stand on floors: who may import whom, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import dicom_anon

ROOT = Path(dicom_anon.__file__).parent
PACKAGE = "dicom_anon"
FLOORS = {
    0: ("errors", "tags", "folders", "_version"),
    1: (
        "elements",
        "hidden",
        "misfit",
        "values",
        "pseudonyms",
        "standard",
        "freetext",
        "lookup",
        "fragments",
        "boxes",
        "codestreams",
        "rle",
        "cells",
        "naming",
        "namebook",
        "layout",
        "accessions",
    ),
    2: ("scope",),
    3: ("macros", "identity", "crosswalk", "extents", "pixelplan", "native", "pixels", "objects"),
    4: ("actions",),
    5: ("config", "settings", "presets", "stamps", "profile", "safe_private"),
    6: ("assignment", "extra_rules", "conformance"),
    7: ("engine", "explaining", "planning", "rewriter", "template", "transcode"),
    8: ("filemeta", "dicomfile", "planned", "output"),
    9: (
        "discovery",
        "worker",
        "report",
        "ending",
        "fanout",
        "places",
        "destination",
        "runner",
        "runfolder",
        "manifest",
        "extract",
        "arrange",
        "taskjson",
        "fileset",
        "directory",
        "documents",
    ),
    10: ("dataset", "api", "mercure_task", "mercure", "checking", "console", "cli", "__main__", "__init__"),
}
FLOOR = {module: floor for floor, modules in FLOORS.items() for module in modules}
APART: dict[str, set[str]] = {"sample": set(), "verify": {"errors"}}
"""Packages outside the building, and what of it they may use; nothing but the top floor uses them."""
ONLY = {"rich": {"console"}, "click": {"cli"}, "joblib": {"fanout"}}
"""Third parties that one module or package alone knows."""
CLI = ("options", "rules", "rows", "verify", "run", "show", "make", "mercure", "__init__")
"""Modules of the command line; each knows only earlier ones."""

SOURCES = sorted(ROOT.rglob("*.py"))


def module_of(path: Path) -> str:
    """Module or sub-package right below the package."""
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Dotted names of all that a source imports, in functions too, but not what is for type checkers only."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = [PACKAGE, *path.relative_to(ROOT).parts[:-1]]
            base = package[: len(package) - node.level + 1] if node.level else []
            yield from (".".join((*base, *filter(None, [node.module]), alias.name)) for alias in node.names)


def own(path: Path) -> set[str]:
    """Modules of the package that a source imports, itself not among them."""
    found = set()
    for name in imports(path):
        first, *rest = name.split(".")
        if first == PACKAGE:
            found.add(rest[0] if rest and exists(rest[0]) else "__init__")
    return found - {module_of(path)}


def exists(module: str) -> bool:
    return (ROOT / f"{module}.py").exists() or (ROOT / module).is_dir()


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_module_has_its_floor() -> None:
    assert {module_of(path) for path in SOURCES} <= {*FLOOR, *APART}


@pytest.mark.parametrize("path", [p for p in SOURCES if module_of(p) in FLOOR], ids=ids)
def test_imports_point_downwards(path: Path) -> None:
    floor = FLOOR[module_of(path)]
    above = {name for name in own(path) - set(APART) if FLOOR.get(name, 0) > floor}
    assert not above, f"floor {floor} must not know {above}"
    assert floor == max(FLOORS) or not own(path) & set(APART)


@pytest.mark.parametrize("path", [p for p in SOURCES if module_of(p) in APART], ids=ids)
def test_what_stands_apart_uses_nothing_of_the_rest(path: Path) -> None:
    assert own(path) <= APART[module_of(path)]


def test_no_two_modules_of_a_floor_import_each_other() -> None:
    graph: dict[str, set[str]] = {}
    for path in SOURCES:
        graph.setdefault(module_of(path), set()).update(own(path))

    def reached(module: str, seen: set[str]) -> set[str]:
        for below in graph.get(module, set()) - seen:
            seen.add(below)
            reached(below, seen)
        return seen

    assert [module for module in graph if module in reached(module, set())] == []


def test_modules_of_the_command_line_know_only_earlier_ones() -> None:
    known = {
        path.stem: {n.split(".")[2] for n in imports(path) if n.startswith("dicom_anon.cli.")}
        for path in (ROOT / "cli").glob("*.py")
    }
    assert known.keys() == set(CLI)
    assert [name for number, name in enumerate(CLI) if not known[name] <= set(CLI[:number])] == []


@pytest.mark.parametrize("library", ONLY)
def test_a_library_is_known_to_one_module(library: str) -> None:
    users = {module_of(path) for path in SOURCES for name in imports(path) if name.split(".")[0] == library}
    assert users == ONLY[library]


def test_only_the_pseudonyms_compute_with_the_key() -> None:
    keyed = set()
    for path in SOURCES:
        if module_of(path) in APART:
            continue  # these have keys of their own, for invented people
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            is_private_key = isinstance(node, ast.Attribute) and node.attr == "_key"
            is_keyed_hash = (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id in ("hashlib", "hmac")
                and any(argument.arg == "key" for argument in node.keywords)
            )
            if is_private_key or is_keyed_hash:
                keyed.add(module_of(path))
        if {"hmac", "secrets"} & {name.split(".")[0] for name in imports(path)}:
            keyed.add(module_of(path))
    assert keyed == {"pseudonyms"}


def test_the_engine_hands_the_key_to_the_pseudonyms_and_to_nobody_else() -> None:
    tree = ast.parse((ROOT / "engine.py").read_text("utf-8"))
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node) == "plan.key"]
    calls = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node) == "Pseudonyms(plan.key)"
    ]
    assert len(uses) == len(calls) == 1
