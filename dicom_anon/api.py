"""The Python interface: a Data Set, a file, a tree. The command line calls the same functions.

Lives here: putting the parts together. Does not live here: any rule, and anything that prints or exits.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydicom import DataElement, Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from dicom_anon import dicomfile, tags
from dicom_anon._version import __version__
from dicom_anon.actions import Assigned, Keep, Removed, Unchanged
from dicom_anon.arrange import Arranger
from dicom_anon.assignment import Assignment, resolve
from dicom_anon.config import Rule
from dicom_anon.crosswalk import Crosswalk
from dicom_anon.directory import write_directories
from dicom_anon.documents import write_documents
from dicom_anon.elements import LONG_VRS, SHORT_VRS, Encoding, implicit_vr
from dicom_anon.engine import Decision, Engine, Plan
from dicom_anon.errors import FileRefused, Reason, UsageError
from dicom_anon.extra_rules import parse_extra_rules
from dicom_anon.extract import parse_extract
from dicom_anon.fileset import own_head
from dicom_anon.layout import LAYOUTS, NAMERS
from dicom_anon.manifest import Manifest, TreeFacts
from dicom_anon.namebook import NameBook
from dicom_anon.naming import MODES
from dicom_anon.pseudonyms import Pseudonyms, new_key
from dicom_anon.report import RunReport
from dicom_anon.runfolder import ProblemList, RunFolder
from dicom_anon.runner import Request, Watcher, check_paths, run
from dicom_anon.tags import Pattern
from dicom_anon.taskjson import TaskFacts
from dicom_anon.worker import Order, deidentify

PRIVATE: Final = Pattern(0x00010000, 0x00010000)
"""All private elements: those of odd groups."""


def make_plan(assignment: Assignment | None = None, key: bytes | None = None) -> Plan:
    """Put together what is the same for every file: assignment, key, clock.

    Parameters
    ----------
    assignment : Assignment, optional
        From `resolve`; the preset ``default`` where it is left out.
    key : bytes, optional
        Secret of at least 16 bytes. Without one, a new key is used that nobody knows afterwards.
    """
    now = datetime.datetime.now()
    return Plan(
        assignment or resolve(),
        key or new_key(),
        now.strftime("%m%d%Y"),
        now.strftime("%H%M%S") + f"{now.microsecond // 1000:03}",
    )


class Change(NamedTuple):
    """What was done to one element; it holds no value.

    Parameters
    ----------
    depth : int
        0 at top level, 1 in the items of a sequence there, and so on.
    tag : str
        ``(gggg,eeee)``.
    keyword : str
        Of PS3.6, empty where it has none.
    command : str
        The rule.
    outcome : str
        ``removed``, ``changed`` or ``inserted``.
    """

    depth: int
    tag: str
    keyword: str
    command: str
    outcome: str


@dataclass(frozen=True)
class DatasetReport:
    """What was done to one Data Set.

    Parameters
    ----------
    changes : tuple of Change
        In tag order, nested ones after their sequence. What stayed is not listed.
    notes : frozenset of str
        Codes such as ``patient-by-name``.
    """

    changes: tuple[Change, ...]
    notes: frozenset[str]


def anonymize_dataset(
    dataset: Dataset,
    assignment: Assignment | Mapping[Any, Any] | None = None,
    delete_private_tags: bool = True,
    *,
    extra_rules: Mapping[Any, Any] | None = None,
    key: bytes | None = None,
) -> DatasetReport:
    """De-identify a Data Set in place; it needs no file.

    Parameters
    ----------
    dataset : pydicom.Dataset
        Read from a file or built in memory. Its file meta, where it has one, is rebuilt.
    assignment : Assignment, optional
        From `resolve`; the preset ``default`` where it is left out. Extra rules may stand in its place.
    delete_private_tags : bool
        False keeps all private elements, whatever they hold. Only where no assignment is given.
    extra_rules : Mapping, optional
        Rules over the preset, by tag (a tuple of two or four integers, or text): commands of the rule language, actions
        of dicom-anonymizer, or functions (dataset, tag) that change the element in the Data Set they get. Only where no
        assignment is given.
    key : bytes, optional
        Secret of at least 16 bytes; the same key gives the same pseudonyms.

    Returns
    -------
    DatasetReport
        What was done, without values.

    Raises
    ------
    ConfigError
        The extra rules have problems.
    FileRefused
        It cannot be de-identified safely; it is unchanged then.

    Examples
    --------
    >>> ds = Dataset()
    >>> ds.PatientName, ds.StudyInstanceUID = "Doe^Jane", "1.2.3"
    >>> report = anonymize_dataset(ds, extra_rules={(0x0010, 0x0010): "clear"}, key=b"a secret of 16 bytes or more")
    >>> ds.PatientName == "", ds.PatientIdentityRemoved, report.changes[-1].keyword
    (True, 'YES', 'LongitudinalTemporalInformationModified')
    """
    if not isinstance(assignment, Assignment):
        assignment = _with_extra_rules(assignment or extra_rules or {}, delete_private_tags)
    engine = Engine(make_plan(assignment, key))
    syntax = _syntax_of(dataset)
    encoding = dicomfile.encoding_of(syntax)
    content = _encoded(dataset, encoding)
    data = dicomfile.walk_bytes(content, encoding)
    new = engine.run(data, syntax)
    changes = tuple(_changes(engine.explain(data)))
    written = b"".join(
        piece if isinstance(piece, bytes) else content[piece.offset : piece.offset + piece.length]
        for piece in new.pieces
    )
    replacement = read_dataset(io.BytesIO(written), not encoding.explicit, encoding.little)
    dataset.clear()
    dataset.update(replacement)
    if getattr(dataset, "file_meta", None):
        dataset.file_meta = _new_meta(dataset.file_meta, new.sop_class, new.sop_instance)
    if hasattr(dataset, "preamble"):
        dataset.preamble = bytes(128)
    return DatasetReport(changes, new.notes)


def _with_extra_rules(rules: Mapping[Any, Any], delete_private_tags: bool) -> Assignment:
    assigns = parse_extra_rules(rules, "extra rules") if rules else []
    if not delete_private_tags:
        assigns.insert(0, (PRIVATE, Rule(Keep(), "extra rules", "private elements")))
    return resolve(assigns=assigns)


def _encoded(dataset: Dataset, encoding: Encoding) -> bytes:
    """Write a Data Set; an element that was built with a VR that does not exist gets its own."""
    copy = Dataset()
    copy.update({element.tag: element for element in dataset})
    implicit, little = dataset.original_encoding
    copy.set_original_encoding(implicit, little, dataset.original_character_set)
    for element in dataset:
        if element.VR not in SHORT_VRS | LONG_VRS and " or " not in element.VR:
            copy[element.tag] = DataElement(element.tag, implicit_vr(element.tag).decode(), element.value)
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = not encoding.explicit, encoding.little
    try:
        write_dataset(buffer, copy)
    except (TypeError, ValueError, AttributeError, NotImplementedError, OSError) as error:
        raise FileRefused(Reason.NOT_PARSABLE, f"cannot be encoded: {type(error).__name__}") from None
    return buffer.getvalue()


def _changes(decisions: Iterable[Decision]) -> Iterator[Change]:
    for decision in decisions:
        match decision.outcome:
            case Unchanged():
                continue
            case Removed():
                outcome = "removed"
            case Assigned():
                outcome = "inserted" if decision.inserted else "changed"
        yield Change(
            decision.depth,
            tags.format_tag(decision.tag),
            tags.keyword_of(decision.tag),
            decision.action.describe(),
            outcome,
        )


def _syntax_of(dataset: Dataset) -> str:
    meta = getattr(dataset, "file_meta", None)
    syntax = str(meta.get("TransferSyntaxUID", "")) if meta else ""
    if syntax:
        return syntax
    implicit, little = dataset.original_encoding
    if implicit:
        return "1.2.840.10008.1.2"
    return "1.2.840.10008.1.2.2" if little is False else "1.2.840.10008.1.2.1"


def _new_meta(old: Dataset, sop_class: str, sop_instance: str) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    for keyword, value in (
        ("MediaStorageSOPClassUID", sop_class or old.get("MediaStorageSOPClassUID")),
        ("MediaStorageSOPInstanceUID", sop_instance),
        ("TransferSyntaxUID", old.get("TransferSyntaxUID")),
        ("ImplementationClassUID", dicomfile.IMPLEMENTATION_CLASS_UID),
        ("ImplementationVersionName", dicomfile.IMPLEMENTATION_VERSION_NAME),
    ):
        if value:
            setattr(meta, keyword, value)
    return meta


def anonymize_file(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    assignment: Assignment | None = None,
    *,
    key: bytes | None = None,
) -> frozenset[str]:
    """De-identify one file.

    Parameters
    ----------
    source, destination : path
        File to read and file to write; the destination's folder exists, and a file of that name is replaced.
    assignment : Assignment, optional
        From `resolve`; the preset ``default`` where it is left out.
    key : bytes, optional
        Secret of at least 16 bytes.

    Returns
    -------
    frozenset of str
        Notes, such as ``patient-by-name``.

    Raises
    ------
    FileRefused
        It cannot be de-identified safely; nothing was written.
    OSError
        It cannot be read or written.
    """
    engine = Engine(make_plan(assignment, key))
    with open(source, "rb", buffering=0) as handle:
        return deidentify(handle, os.fstat(handle.fileno()).st_size, Path(destination), engine)


class _Unwatched:
    def update(self, report: RunReport) -> None:
        """Show nothing."""


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def anonymize_tree(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    assignment: Assignment | None = None,
    *,
    key: bytes | None = None,
    jobs: int | None = None,
    dry_run: bool = False,
    stop_on_trouble: bool = False,
    run_folder: RunFolder | None = None,
    overwrite: bool = False,
    quarantine: str | os.PathLike[str] | None = None,
    names: str = "safe",
    on_burned_in: str = "warn",
    crosswalk: str | os.PathLike[str] | None = None,
    whole_tree: bool = True,
    follow_links: bool = False,
    layout: str = "mirror",
    extract: str | None = None,
    task: Mapping[str, str] | None = None,
    problems: ProblemList | None = None,
    watcher: Watcher | None = None,
) -> RunReport:
    """De-identify a folder tree, or a single file, into a folder that mirrors it.

    Parameters
    ----------
    source : path
        Folder or file.
    destination : path
        Folder; it is created. It must be empty, unless the run folder has a record of it: then the run resumes.
    assignment : Assignment, optional
        From `resolve`; the preset ``default`` where it is left out.
    key : bytes, optional
        Secret of at least 16 bytes. Without one the run folder's is used, and without a run folder a new one.
    jobs : int, optional
        Worker processes; as many as there are usable cores where it is left out.
    dry_run : bool
        Decide, but write nothing.
    stop_on_trouble : bool
        End at the first file that is quarantined or fails.
    run_folder : RunFolder, optional
        Private folder that keeps the key, the record of what was done, and the list of what was not written.
    overwrite : bool
        Remove what an earlier run wrote, and start afresh.
    quarantine : path, optional
        Folder that gets copies of the files that were quarantined, in folders by reason.
    names : str
        ``safe``: names of files and folders that hold an identifier are replaced; ``keep``: none is; ``uid``: outputs
        are named by their new Study, Series and SOP Instance UID.
    on_burned_in : str
        What becomes of them: ``warn`` counts objects whose pixels may show text, ``quarantine`` leaves them out,
        ``fail`` ends the run there.
    crosswalk : path, optional
        CSV file that gets the old and new identities of patients, studies and series; outside of `destination`.
    whole_tree : bool
        Go into sub-folders.
    follow_links : bool
        Follow symbolic links that lead out of `source`.
    layout : str
        ``mirror``: folders and names as in the source; ``study``: a folder for each study, with its images by series,
        extracted data and an account; ``mercure``: all in one folder, as mercure passes images on.
    extract : str, optional
        What to write of each series as JSON: ``all``, ``main``, or keywords with commas. The layout ``study`` extracts
        ``main`` where it is left out, the others nothing.
    task : Mapping[str, str], optional
        What else the accounts of studies say of where the task came from.
    problems : ProblemList, optional
        Gets the files that were not written, where there is no run folder to keep their list.
    watcher : Watcher, optional
        Gets the account as it grows.

    Returns
    -------
    RunReport
        The account, which balances.

    Raises
    ------
    UsageError
        The paths cannot be used so, or the destination was made with other rules or another key.
    """
    top, target = Path(source), Path(destination)
    check_paths(
        top,
        target,
        run_folder=run_folder.path if run_folder else None,
        quarantine=Path(quarantine) if quarantine else None,
        crosswalk=Path(crosswalk) if crosswalk else None,
        known=run_folder is not None and run_folder.knows(target),
    )
    if run_folder is not None and not dry_run:
        run_folder.create()
        key = key or run_folder.key()
    plan = replace(make_plan(assignment, key), crosswalk=crosswalk is not None)
    table = Crosswalk() if crosswalk is not None and not dry_run else None
    root = top if top.is_dir() else top.parent
    if names not in MODES:
        raise UsageError(f"names is one of {', '.join(MODES)}")
    if layout not in LAYOUTS:
        raise UsageError(f"layout is one of {', '.join(LAYOUTS)}")
    if layout != "mirror":
        if names != "safe":
            raise UsageError(f"the layout {layout} has names of its own: leave names out")
        names = layout
    wanted = parse_extract(extract or "main") if extract or layout == "study" else None
    arranger = Arranger(target, names) if names in NAMERS else None
    aside = os.fspath(quarantine) if quarantine else ""
    order = Order(plan, os.fspath(root), os.fspath(target), dry_run, names, on_burned_in, aside)
    pseudonyms = Pseudonyms(plan.key)
    request = Request(top, order, jobs or usable_cores(), stop_on_trouble)
    request = replace(request, crosswalk=table, whole_tree=whole_tree, arranger=arranger, follow_links=follow_links)
    started = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    told = TaskFacts(plan.assignment, pseudonyms.key_id, wanted.name if wanted else "", started, task or {})
    if run_folder is None or dry_run:
        book = NameBook(pseudonyms, {}) if names == "safe" else None
        report = run(replace(request, book=book), watcher or _Unwatched(), problems)
        write_directories(order, pseudonyms, book, report, None)
        if wanted is not None:
            write_documents(order, wanted, told, report, None)
        if table is not None and crosswalk is not None:
            table.write(Path(crosswalk))
        return report
    with contextlib.ExitStack() as stack:
        manifest = stack.enter_context(contextlib.closing(run_folder.manifest(target)))
        if overwrite:
            _start_afresh(manifest, target, NameBook(pseudonyms, manifest.names()))
        rules = f"{plan.assignment.digest} names={names}"
        facts = TreeFacts(rules, pseudonyms.key_id, plan.process_date, plan.process_time)
        if table is not None and crosswalk is not None and not manifest.is_new:
            table.load(Path(crosswalk))
        is_new = manifest.is_new
        begun = manifest.begin(facts)
        plan = replace(plan, process_date=begun.process_date, process_time=begun.process_time)
        book = None
        if names == "safe":
            book = NameBook(pseudonyms, manifest.names(), manifest.tainted(), manifest.identities())
        listed = stack.enter_context(run_folder.problems())
        risks = stack.enter_context(run_folder.risks(anew=is_new))
        request = replace(request, order=replace(order, plan=plan), manifest=manifest, book=book, risks=risks)
        run_folder.log(f"start: dicom-anon {__version__}, rules {facts.rules[:16]}, key {facts.key_id}")
        report = run(request, watcher or _Unwatched(), listed)
        write_directories(order, pseudonyms, book, report, manifest)
        if wanted is not None:
            write_documents(order, wanted, told, report, manifest)
        if table is not None and crosswalk is not None:
            table.write(Path(crosswalk))
        run_folder.log(f"end: {json.dumps(report.to_json())}")
    return report


def _start_afresh(manifest: Manifest, destination: Path, book: NameBook) -> None:
    """Remove the outputs on record and the folders that are empty then; refuse if there is anything else."""
    arranger = Arranger(destination, "study")
    for path, written_as in manifest.outputs():
        arranger.remove(written_as)
        settled = os.path.join(book.target(os.path.dirname(path)), os.path.basename(written_as))
        for relative in (written_as, settled):
            with contextlib.suppress(OSError):
                os.unlink(destination / relative)
    for document in manifest.documents():
        with contextlib.suppress(OSError):
            os.unlink(destination / document)
    for folder, _, names in os.walk(destination, topdown=False):
        for name in names:
            if name.startswith(dicomfile.PART_PREFIX) or own_head(os.path.join(folder, name)):
                os.unlink(os.path.join(folder, name))  # a run that was killed had no time to record it
        if Path(folder) != destination:
            with contextlib.suppress(OSError):
                os.rmdir(folder)
    if destination.exists() and any(destination.iterdir()):
        raise UsageError("DST holds files that no run of ours wrote: move them away")
    manifest.forget()


def explain_file(
    source: str | os.PathLike[str], assignment: Assignment | None = None, *, key: bytes | None = None
) -> tuple[Engine, Iterator[Decision]]:
    """Say what is decided for every element of one file, and write nothing.

    Raises
    ------
    FileRefused
        It cannot be de-identified safely.
    OSError
        It cannot be read.
    """
    engine = Engine(make_plan(assignment, key))
    with open(source, "rb", buffering=0) as handle:
        data = dicomfile.DicomFile(handle, os.fstat(handle.fileno()).st_size).data
    return engine, engine.explain(data)
