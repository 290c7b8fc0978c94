"""All checks of one output, as a picklable function of its paths.

Lives here: collecting from one source, checking one output against it. Does not live here: what needs all
files at once (chance, the ledger of UIDs, the account).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import catalog
from .attributes import named_otherwise, read_otherwise
from .directory import wrong_files
from .document import read_document
from .identifiers import Collected, Kept, collect, date_in, normal_name, values_of
from .index import Index
from .layout import Layout, Reader, Span
from .pairs import Counterparts, reads_back, uid_pairs, unchanged
from .pixels import same_pixels, text_areas, unused_bits
from .reading import read_path, read_values
from .report import Check, Finding
from .search import Match, Searched, element_of, search, search_path
from .uids import UidPair
from .walk import NotDicomError, opened, rewritten, walked

HIDDEN = "[hidden]"


@dataclass(frozen=True, slots=True)
class Job:
    """One output to check; `source` is the path of its source, None if nothing is known of one.

    `expected` says that this source is one that has an output, `collected` that it could be read before.
    """

    output: str
    source: str | None
    expected: bool
    collected: bool


@dataclass(slots=True)
class Checked:
    """What came out of checking one output. `matches` still have to be weighed against chance.

    The values of a `document` are not searched where they stand, so that there are no offsets to tell.
    """

    file: str
    findings: list[Finding] = field(default_factory=list)
    matches: list[Match] = field(default_factory=list)
    pairs: list[UidPair] = field(default_factory=list)
    sizes: Mapping[str, int] = field(default_factory=dict)
    total: int = 0
    document: bool = False

    def add(self, element: str, kind: str, check: Check, offset: int | None = None) -> None:
        """Enter a finding."""
        self.findings.append(Finding(self.file, element, kind, check, offset))


@dataclass(frozen=True)
class CollectWork:
    """Collects from one source; `kept` as for `verify_trees`."""

    root: Path
    kept: Kept

    def __call__(self, source: str) -> Collected | str:
        """Return what was collected, or ``not dicom``, ``gone`` or ``unreadable``."""
        try:
            return collect_file(self.root / source, self.kept)
        except NotDicomError:
            return "not dicom"
        except (FileNotFoundError, NotADirectoryError):
            return "gone"
        except Exception:  # fail closed: a source that nobody can read is reported, not passed over
            return "unreadable"


def collect_file(path: Path, kept: Kept) -> Collected:
    """Collect the identifiers of a source."""
    with opened(path) as (reader, layout):
        return _collect(path, reader, layout, kept)


def _collect(path: Path, reader: Reader, layout: Layout, kept: Kept) -> Collected:
    """Collect; what the walk cannot follow is read by pydicom as well."""
    found = collect(reader, layout, kept)
    if layout.complete or (anew := rewritten(path)) is None:
        return found
    data, whole = anew
    more = collect(*walked(data), kept)
    return Collected(
        tuple(dict.fromkeys(found.identifiers + more.identifiers)),
        found.kept_uids | more.kept_uids,
        found.vocabulary | more.vocabulary,
        found.encodings | more.encodings,
        found.patient or more.patient,
        found.whole or (whole and more.whole),
    )


def path_hits(path: str, index: Index, dates: Mapping[str, str]) -> dict[int, str]:
    """Return the numbers of the components of a path that identify, and of what kind."""
    parts = path.split("/")
    dotted = [_BETWEEN_NUMBERS.sub(".", part) for part in parts]  # a UID may be written with other signs for its dots
    found = dict(read_path(parts, index, dates)) | dict(search_path(parts, index, dates))
    return found if dotted == parts else found | dict(search_path(dotted, index, dates))


_BETWEEN_NUMBERS = re.compile(r"(?<=\d)[_ -]+(?=\d)")


def shown(path: str, hidden: frozenset[int] = frozenset()) -> str:
    """Return a path fit to be shown: identifying components hidden, unprintable characters replaced."""
    parts = [HIDDEN if number in hidden else part for number, part in enumerate(path.split("/"))]
    return "".join(c if c.isprintable() else "?" for c in "/".join(parts))


@dataclass(frozen=True, slots=True)
class _Source:
    """The source of the output that is checked."""

    path: Path
    reader: Reader
    layout: Layout
    collected: Collected


@dataclass(frozen=True)
class CheckWork:
    """Checks one output; built once and sent to every process."""

    source: Path
    destination: Path
    index: Index
    kept: Kept
    rewritten: Kept

    def __call__(self, job: Job) -> Checked:
        """Search an output and compare it with its source."""
        with ExitStack() as stack:
            origin: _Source | None = None
            try:
                if job.source is not None:
                    path = self.source / job.source
                    reader, layout = stack.enter_context(opened(path))
                    origin = _Source(path, reader, layout, _collect(path, reader, layout, self.kept))
            except Exception:  # reported; its output is searched all the same
                origin = None
            dates = _dates(origin.collected if origin else None)
            hits = path_hits(job.output, self.index, dates)
            checked = Checked(shown(job.output, frozenset(hits)))
            for kind in hits.values():
                checked.add("path", kind, "identifier")
            if origin is None and job.collected:  # now there is nothing to compare the output with
                checked.add("file", "source not readable", "unreadable")
            if origin is not None and not origin.collected.whole:  # what it says behind that was not searched for
                checked.add("file", "source not read to its end", "unreadable")
            try:
                self._check(job, origin, dates, checked)
            except Exception:  # an output that cannot be checked is not proven clean
                checked.add("file", "could not be checked", "unreadable")
            return checked

    def _check(self, job: Job, origin: _Source | None, dates: Mapping[str, str], checked: Checked) -> None:
        path = self.destination / job.output
        try:
            with opened(path) as (reader, layout):
                self._search(reader, layout, dates, checked)
                for span, problem in wrong_files(path.parent, reader, layout):
                    checked.add(element_of(span), problem, "reference", span.start)
                if origin is not None:
                    self._compare(origin, reader, layout, checked)
                    _compare_pixels((origin.reader, origin.layout), (reader, layout), checked)
                if (head := named_otherwise(reader, layout)) is not None:
                    checked.add(element_of(head), "file meta names another object", "uid", head.start)
                for name, image in layout.images():
                    if (offset := unused_bits(reader, image)) is not None:
                        checked.add(name, "unused high bits", "pixel", offset)
                if not job.expected and catalog.DIRECTORY_RECORDS not in layout.items:
                    problem = "its source was left out" if job.source else "belongs to no source"
                    checked.add("file", problem, "unaccounted")
                if not layout.complete and (origin is None or origin.layout.complete):
                    checked.add("file", "structure broken", "unreadable")
        except NotDicomError:
            values = read_document(path)
            if values is None:
                self._search_plain(path, dates, checked)
                checked.add("file", "not dicom", "unreadable")
            else:
                checked.document = True
                self._search(*values, dates, checked)
            return
        if not reads_back(path) and (origin is None or reads_back(origin.path)):
            checked.add("file", "does not read back", "unreadable")

    def _search(self, reader: Reader, layout: Layout, dates: Mapping[str, str], checked: Checked) -> None:
        areas = [replace(area, element=name) for name, image in layout.images() for area in text_areas(reader, image)]
        found = search(reader, layout, self.index, dates, areas)
        read_values(reader, layout, self.index, dates, areas, found)
        self._take(found, layout, checked)
        for span in layout.spans:
            if span.vr != "PN" or span.start == span.end or self._is_kept(span):
                continue
            for value in values_of(reader, span):
                kind = self.index.names.get(normal_name(value))
                if kind is not None:
                    checked.matches.append(Match(kind, element_of(span), span.start, "text", len(value), 0.0))

    def _take(self, found: Searched, layout: Layout, checked: Checked) -> None:
        checked.sizes, checked.total = found.sizes, found.total
        for match in found.matches:
            span = layout.at(match.offset)
            if span is None or match.kind == catalog.TOKEN or not self._is_kept(span):
                checked.matches.append(match)

    def _search_plain(self, path: Path, dates: Mapping[str, str], checked: Checked) -> None:
        """Search a file that is not DICOM as one value."""
        with path.open("rb") as file:
            size = path.stat().st_size
            layout = Layout(size, [Span("file", 0, "OB", 0, size)], preamble=False, end=size)
            reader = Reader(file, size)
            found = search(reader, layout, self.index, dates)
            read_values(reader, layout, self.index, dates, (), found)
            self._take(found, layout, checked)

    def _is_kept(self, span: Span) -> bool:
        """Say whether an identifying element is kept on purpose; a leak in a kept description counts."""
        identifies = span.vr in ("PN", "UI", "DA", "DT") or span.tag in catalog.TEXT_KINDS
        return identifies and self.kept(span.tag, span.creator)

    def _compare(self, origin: _Source, reader: Reader, layout: Layout, checked: Checked) -> None:
        match = Counterparts(origin.layout, layout)
        checked.pairs.extend(uid_pairs(origin.collected, match, reader, self.rewritten))
        for identifier, span in unchanged(origin.collected, match, reader):
            checked.add(element_of(span), identifier.kind, "identifier", span.start)


def _dates(collected: Collected | None) -> dict[str, str]:
    """Return the dates of a source and their kind; a birth date is called so wherever else it stands."""
    dates: dict[str, str] = {}
    for identifier in collected.identifiers if collected else ():
        date = date_in(identifier.value) if identifier.kind in catalog.DATES else None
        if date is not None and dates.get(date) != catalog.BIRTH_DATE:
            dates[date] = identifier.kind
    return dates


def _compare_pixels(source: tuple[Reader, Layout], output: tuple[Reader, Layout], checked: Checked) -> None:
    before, after = source[1].pixels(), output[1].pixels()
    if not before:
        return
    if not after:
        checked.add("pixel data", "pixel data missing", "pixel")
        return
    if not same_pixels(source, output):
        checked.add("pixel data", "pixel data differs", "pixel", after[0].start)
    for path in read_otherwise(source, output):
        checked.add(path, "pixels are read another way", "pixel")


def weighed(checked: Checked, likely: Sequence[bool]) -> list[Finding]:
    """Return the certain findings of one output and its likely matches, each element and kind once."""
    found = {(f.element, f.kind): f for f in reversed(checked.findings)}
    for match, counts in zip(checked.matches, likely, strict=True):
        if counts:
            offset = None if checked.document else match.offset
            finding = Finding(checked.file, match.element, match.kind, "identifier", offset)
            known = found.setdefault((match.element, match.kind), finding)
            if known.check == "identifier" and (known.offset is None or match.offset < known.offset):
                found[match.element, match.kind] = finding
    return list(found.values())
