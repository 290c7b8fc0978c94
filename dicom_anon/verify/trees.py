"""The verification of a tree: collect from every source, search every output, judge over all.

Lives here: `verify_trees` and the account. Does not live here: the checks of a file.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import catalog
from .check import Checked, CheckWork, CollectWork, Job, path_hits, shown, weighed
from .fanout import fan_out
from .identifiers import Collected, Kept, normal_name
from .index import Index, build_index
from .listing import list_tree
from .needles import Needle, needles, user_needles
from .quiet import quiet
from .report import Finding, VerifyReport
from .search import likely
from .uids import Ledger
from .vocabulary import Vocabulary
from .words import GREEK, PLACEHOLDERS, words

Progress = Callable[[int, int], None]
GONE = "source is gone: remove this output, or bring the source back"

# Where the same text is of two kinds, the first one here is reported.
_ORDER = (
    catalog.TOKEN,
    catalog.PATIENT_NAME,
    catalog.PATIENT_ID,
    catalog.ACCESSION,
    catalog.PHYSICIAN,
    catalog.PERSON,
    catalog.PHONE,
    catalog.ADDRESS,
    catalog.INSTITUTION,
    catalog.STUDY_ID,
    catalog.PROCEDURE_ID,
    catalog.SPECIMEN_ID,
    catalog.DEVICE,
    catalog.BACKGROUND,
    catalog.BIRTH_DATE,
    catalog.DATE,
    catalog.UID,
)


def keeps_nothing(tag: int, creator: str) -> bool:
    """Say that no element is kept on purpose."""
    return False


@dataclass(slots=True)
class _Sources:
    """What all sources together hold."""

    values: set[tuple[str, str]] = field(default_factory=set)
    kept_uids: set[str] = field(default_factory=set)
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    encodings: set[str] = field(default_factory=set)
    without: dict[str, set[str]] = field(
        default_factory=lambda: {"not dicom": set(), "gone": set(), "unreadable": set()}
    )
    """Sources from which nothing could be collected, by the reason."""

    def add(self, source: str, found: Collected | str) -> None:
        """Enter what one source holds."""
        if not isinstance(found, Collected):
            self.without[found].add(source)
            return
        self.values.update((identifier.kind, identifier.value) for identifier in found.identifiers)
        self.kept_uids |= found.kept_uids
        self.vocabulary.add(found)
        self.encodings |= found.encodings

    def index(self, tokens: Iterable[str], allowed: Iterable[str]) -> Index:
        """Build what is searched for."""
        ours = {word for text in allowed for word in words(text)}
        people, places = self.vocabulary.against_people() | ours, self.vocabulary.against_places() | ours
        rank = {kind: number for number, kind in enumerate(_ORDER)}
        wanted: list[Needle] = list(user_needles(tokens))
        names: dict[str, str] = {}
        for kind, value in sorted(self.values, key=lambda pair: (rank[pair[0]], pair[1])):
            wanted.extend(needles(kind, value, people if kind in catalog.NAMES | catalog.IDS else places))
            name = normal_name(value) if kind in catalog.NAMES else ""
            if name and not set(name.split()) <= GREEK | PLACEHOLDERS and name not in people:
                names.setdefault(name, kind)
        return build_index(wanted, encodings=self.encodings, kept_uids=self.kept_uids, names=names)


def _sampled(outputs: Sequence[str], sample: int | None) -> list[str]:
    """Return `sample` outputs spread evenly, the same ones every time."""
    if sample is None or sample >= len(outputs):
        return list(outputs)
    return [outputs[number * len(outputs) // sample] for number in range(sample)]


def _unaccounted(
    names: Sequence[str], outputs: Collection[str], manifest: Mapping[str, str], passed: Collection[str]
) -> Iterator[Finding]:
    taken: set[str] = set()
    for number, source in enumerate(names, 1):
        output = manifest.get(source, source)
        if output not in outputs:
            if source not in passed:
                yield Finding(f"source file {number}", "file", "no output", "unaccounted")
        elif output in taken:
            yield Finding(f"source file {number}", "file", "output shared by two sources", "unaccounted")
        else:
            taken.add(output)


def verify_trees(
    source: Path,
    destination: Path,
    *,
    tokens: Iterable[str] = (),
    sample: int | None = None,
    whole_tree: bool = True,
    manifest: Mapping[str, str] | None = None,
    accounted: Collection[str] = frozenset(),
    late: Collection[str] = frozenset(),
    kept: Kept = keeps_nothing,
    rewritten: Kept = keeps_nothing,
    allowed: Iterable[str] = (),
    workers: int = 1,
    progress: Progress | None = None,
) -> VerifyReport:
    """Look for what identifies a patient in a de-identified copy of a tree, and check that the copy is sound.

    Every identifier of every source is searched for in the raw bytes and the path of every output,
    whoever's it is; dates only in the output of their own source. The rest is compared file by file: values
    left as they were, UIDs mapped one to one with references intact, the same picture, nothing in unused
    bits, readable by pydicom.

    Parameters
    ----------
    source, destination : Path
        The two trees; the source may be a single file.
    tokens : iterable of str
        Further texts that must not be found, whether or not they are common words.
    sample : int, optional
        Check only so many outputs, spread evenly over the sorted tree. Identifiers still come from all
        sources, all paths are still searched, and every source still has to be accounted for.
    whole_tree : bool
        Sources are also those in sub-folders of `source`.
    manifest : mapping of str to str, optional
        Relative path of a source to that of its output, with ``/``, where the two differ.
    accounted : collection of str
        Relative paths of sources that have no output for a known reason. A source folder that cannot be listed
        counts as one source.
    late : collection of str
        Those of them that may have an output all the same, since the run ended while it was at work on them.
    kept : callable
        ``kept(tag, private_creator)`` says whether the configuration keeps this element on purpose: what it
        holds is no identifier, and it may stand there unchanged. Picklable if `workers` is above 1.
    rewritten : callable
        ``rewritten(tag, private_creator)`` says whether the configuration sets a UID of its own here, which
        need not be one to one.
    allowed : iterable of str
        Texts that the configuration itself writes (project name, prefix); their words prove nothing.
    workers : int
        Number of processes.
    progress : callable, optional
        Called with the number of files done and to be done, sources and outputs together.

    Returns
    -------
    VerifyReport
        `clean` if nothing was found. It holds no value from any file.

    Raises
    ------
    DicomAnonError
        A worker process ended early.
    """
    plan = dict(manifest or {})
    if source.is_file():
        listed, source = [source.name], source.parent
    else:
        inside = list_tree(source, whole_tree=whole_tree)
        listed = [*inside.files, *inside.closed]
    names = sorted({*listed, *plan})
    made = list_tree(destination)
    outputs = sorted([*made.files, *made.links])
    chosen = _sampled(outputs, sample)
    todo, done = len(names) + len(chosen), 0
    sources = _Sources()
    with quiet():
        for name, found in zip(names, fan_out(CollectWork(source, kept), names, workers), strict=True):
            sources.add(name, found)
            done += 1
            if progress is not None:
                progress(done, todo)
        index = sources.index(tokens, allowed)
        origin = {plan.get(name, name): name for name in names}
        work = CheckWork(source, destination, index, kept, rewritten)
        left_out = {*accounted, *sources.without["not dicom"]}
        expected = {plan.get(name, name) for name in names if name in plan or name in late or name not in left_out}
        collected = set(names).difference(*sources.without.values())
        jobs = [Job(name, origin.get(name), name in expected, origin.get(name) in collected) for name in chosen]
        results: list[Checked] = []
        ledger = Ledger()
        sizes: Counter[str] = Counter()
        total = 0
        for checked in fan_out(work, jobs, workers):
            ledger.add(checked.file, checked.pairs)
            sizes.update(checked.sizes)
            total += checked.total
            if checked.findings or checked.matches:
                checked.pairs = []
                results.append(checked)
            done += 1
            if progress is not None:
                progress(done, todo)
    found_here: list[Finding] = []
    for checked in results:
        found_here.extend(weighed(checked, [likely(match, index, sizes) for match in checked.matches]))
    found_here.extend(ledger.findings())
    gone = sources.without["gone"]
    there = [name for name in names if name not in gone]
    found_here.extend(_unaccounted(there, set(outputs), plan, left_out))
    found_here.extend(
        Finding(f"source file {number}", "file", "source not readable", "unreadable")
        for number, name in enumerate(there, 1)
        if name in sources.without["unreadable"] and name not in accounted
    )
    found_here.extend(
        Finding(_shown(path, index), "file", GONE, "unaccounted")
        for path in {plan.get(name, name) for name in gone}.intersection(outputs)
    )
    unsearched = {
        **dict.fromkeys(made.closed, "folder not readable"),
        **dict.fromkeys(made.others, "neither file nor folder"),
    }
    for path in {*made.bare, *unsearched, *(set(outputs) - set(chosen))}:
        hits = path_hits(path, index, {})
        shown_path = shown(path, frozenset(hits)) or "."
        found_here.extend(Finding(shown_path, "path", kind, "identifier") for kind in hits.values())
        if path in unsearched:
            found_here.append(Finding(shown_path, "file", unsearched[path], "unreadable"))
    for path, target in made.targets.items():
        kinds = path_hits(target.replace(os.sep, "/"), index, {}).values()
        found_here.extend(Finding(_shown(path, index), "link", kind, "identifier") for kind in kinds)
    return VerifyReport(
        findings=tuple(sorted(set(found_here), key=_place)),
        sources=len(there),
        outputs=len(outputs),
        checked=len(chosen),
        identifiers=len(sources.values),
        not_dicom=len(sources.without["not dicom"]),
        bytes_searched=total,
    )


def _shown(path: str, index: Index) -> str:
    """Return a path without the components that hold an identifier."""
    return shown(path, frozenset(path_hits(path, index, {})))


def _place(finding: Finding) -> tuple[str, str, str, str, int]:
    offset = -1 if finding.offset is None else finding.offset
    return finding.file, finding.element, finding.kind, finding.check, offset
