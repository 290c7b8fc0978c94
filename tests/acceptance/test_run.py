"""The run: whatever happens to a file ends in the account, and the rest of the run is done."""

from __future__ import annotations

import csv
import ctypes
import errno
import io
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dicom_anon import api, console, fanout, output, runner
from dicom_anon.discovery import FileJob, Found, discover
from dicom_anon.namebook import NameBook
from dicom_anon.report import NOTES
from dicom_anon.sample import Sample
from tests.acceptance.command import (
    COMMAND,
    Done,
    call,
    contents,
    environment,
    files_below,
    finish,
    folders_below,
    read,
    spawn,
    start,
    workers_of,
    write_config,
)
from tests.acceptance.conftest import Delivery
from tests.datasets import file_bytes, image, real_file

TINY = file_bytes(image())
PARTS = ".dicom-anon-"
CROWD = 3001


def tree(folder: Path, *names: str, content: bytes = TINY) -> Path:
    """Write small files."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thousands of small files, all of one content."""
    folder = tmp_path_factory.mktemp("crowd") / "in"
    first = tree(folder, "0000/first") / "0000/first"
    for number in range(CROWD - 1):
        target = folder / f"{number // 500:04}" / f"{number:05}"
        target.parent.mkdir(exist_ok=True)
        os.link(first, target)
    return folder


def account_of(done: Done) -> dict[str, object]:
    """Columns of the account, which must balance."""
    account = done.account
    assert account["balances"]
    columns = [
        account["written"]["files"],
        *(account[kind]["files"] for kind in ("skipped", "quarantined", "failed")),
    ]
    assert sum(columns) == account["found"]["files"]
    assert account["exit_code"] == done.code
    return {
        "written": columns[0],
        **{reason: n for kind in ("skipped", "quarantined", "failed") for reason, n in done.reasons(kind).items()},
    }


def listed(folder: Path) -> dict[str, str]:
    """Reason of every file in the list of what was not written."""
    with open(folder / "not-written.csv", newline="", encoding="utf-8") as file:
        return {row["path"]: row["reason"] for row in csv.DictReader(file)}


def as_anyone() -> None:
    """Give up root's right to read and write everything, in a process about to start."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            if libc.prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
                raise OSError(ctypes.get_errno(), "prctl")


# What is found


def test_the_sample_tree_is_mirrored_and_accounted_for(sample_in: Path, sample: Sample, sample_out: Delivery) -> None:
    assert sample_out.done.code == 0
    assert account_of(sample_out.done) == {"written": sample.files, "not-dicom": 3, "dicomdir": 1}
    assert folders_below(sample_out.destination) == folders_below(sample_in)
    others = set(files_below(sample_in)) - set(sample_out.files)
    assert others == {
        "CD/DICOMDIR", "CD/README.txt", "README.txt", "Quarkstein_Wilhelmina/request_form.jpg"
    }  # fmt: skip
    assert sample_out.done.account["folders"] == len(folders_below(sample_in))
    passed_on = sum((sample_in / name).stat().st_size for name in sample_out.files)
    assert sample_out.done.account["written"] == {"files": sample.files, "source_bytes": passed_on}


def test_all_of_pydicoms_files_are_accounted_for(real_in: Path, real_out: Delivery) -> None:
    assert real_out.done.code == 1
    account = account_of(real_out.done)
    assert account.pop("written") == len(real_out.files) > 230
    assert set(account) == {"not-dicom", "dicomdir", "truncated"}
    assert account["truncated"] == 3
    assert set(real_out.files) <= set(files_below(real_in))
    notes = set(real_out.done.account["notes"])
    assert {name for name in NOTES if name.startswith(("pixel-", "unused-bits"))} <= notes <= set(NOTES)


def test_files_are_recognised_by_content(tmp_path: Path) -> None:
    source = tree(
        tmp_path / "in",
        "plain.dcm",
        "noextension",
        "image.ima",
        "sub/picture.jpg",
        "sub/UPPER.DCM",
        ".hidden",
    )
    (source / "bare").write_bytes(TINY[TINY.index(b"\x08\x00\x16\x00UI") :])
    (source / "notes.dcm").write_text("not DICOM at all, whatever its name says")
    (source / "empty.dcm").touch()
    done = call(source, tmp_path / "out", "--json", "-")
    assert account_of(done) == {"written": 7, "not-dicom": 2}
    assert done.code == 0
    assert all(read(content).Rows == 4 for content in contents(tmp_path / "out").values())


def test_random_bytes_and_cut_files_are_set_aside(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", "a/good", "z/good")
    whole = real_file("CT_small.dcm").read_bytes()
    (source / "a/cut").write_bytes(whole[: len(whole) // 2])
    (source / "a/short").write_bytes(whole[:600])
    (source / "random.dcm").write_bytes(bytes((i * 7919 + i // 251) & 0xFF for i in range(1, 5000)))
    (source / "random_after_magic.dcm").write_bytes(
        bytes(128) + b"DICM" + bytes((i * 7919 + i // 251) & 0xFF for i in range(5000))
    )
    done = call(source, tmp_path / "out", "--json", "-")
    assert done.code == 1
    account = account_of(done)
    assert account.pop("written") == 2
    assert account == {
        "truncated": 3,
        "not-dicom": 1,
    }  # after the magic word, random lengths point beyond the end
    assert files_below(tmp_path / "out") == ["a/good", "z/good"]
    where = listed(tmp_path / "out.private")
    assert where["a/cut"] == where["a/short"] == "truncated"
    assert set(where) == {"a/cut", "a/short", "random.dcm", "random_after_magic.dcm"}


def test_dicomdir_by_any_name_is_skipped(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", "image")
    shutil.copy(real_file("DICOMDIR"), source / "index.dcm")
    done = call(source, tmp_path / "out", "--json", "-")
    assert account_of(done) == {"written": 1, "dicomdir": 1}


def test_links_pipes_and_loops_are_not_followed(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", "sub/real")
    outside = tree(tmp_path / "outside", "secret")
    os.symlink(outside / "secret", source / "link_to_file")
    os.symlink(outside, source / "link_to_folder")
    os.symlink(source, source / "sub/loop")
    os.symlink(tmp_path / "nowhere", source / "dangling")
    os.mkfifo(source / "sub/pipe")
    done = call(source, tmp_path / "out", "--json", "-")
    assert done.code == 0
    assert account_of(done) == {"written": 1, "symlink": 4, "special-file": 1}
    assert files_below(tmp_path / "out") == ["sub/real"]


def test_a_source_that_is_a_link_to_a_folder_is_that_folder(tmp_path: Path) -> None:
    tree(tmp_path / "in", "sub/a")
    os.symlink(tmp_path / "in", tmp_path / "link")
    assert call(tmp_path / "link", tmp_path / "out").code == 0
    assert files_below(tmp_path / "out") == ["sub/a"]


def test_empty_branches_are_mirrored(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", "a/b/file")
    (source / "empty/deeper/deepest").mkdir(parents=True)
    done = call(source, tmp_path / "new/parents/out", "--json", "-")
    assert done.code == 0
    assert folders_below(tmp_path / "new/parents/out") == folders_below(source)
    assert done.account["folders"] == 5


def test_an_empty_source_is_a_good_run(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    done = call(tmp_path / "in", tmp_path / "out", "--json", "-")
    assert done.code == 0
    assert account_of(done) == {"written": 0}
    assert (tmp_path / "out").is_dir()


def test_one_file_may_be_the_source(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", "one", "two")
    done = call(source / "one", tmp_path / "out", "--json", "-")
    assert account_of(done) == {"written": 1}
    assert files_below(tmp_path / "out") == ["one"]


def test_names_of_every_kind_survive(tmp_path: Path) -> None:
    names = ["with blank", "new\nline", "ümlaut-薬", "-dash", "a" * 200, "[brackets]*?"]
    source = tree(tmp_path / "in", *names)
    with open(os.fsencode(source) + b"/\xff\xfe.dcm", "wb") as file:
        file.write(TINY)
    with open(os.fsencode(source) + b"/\xff\xfe.txt", "wb") as file:
        file.write(b"text")
    done = call(source, tmp_path / "out", "-v", "--names", "keep")
    assert done.code == 0
    found = sorted(os.listdir(os.fsencode(tmp_path / "out")))
    assert found == sorted([*(os.fsencode(name) for name in names), b"\xff\xfe.dcm"])
    done = call(source, tmp_path / "safe", "--json", "-")
    assert done.account["notes"] == {"file-name-replaced": 1}  # who knows what is no UTF-8
    assert set(names) < set(os.listdir(tmp_path / "safe"))
    assert b"\xff\xfe.dcm" not in os.listdir(os.fsencode(tmp_path / "safe"))


# What goes wrong with a file


def test_what_may_not_be_read_is_failed(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", "a", "closed_file", "closed/b", "z")
    (source / "closed_file").chmod(0)
    (source / "closed").chmod(0)
    done = spawn(source, tmp_path / "out", "--json", "-", preexec_fn=as_anyone)
    (source / "closed").chmod(0o700)
    assert done.code == 1
    assert account_of(done) == {"written": 2, "unreadable": 2}
    assert files_below(tmp_path / "out") == ["a", "z"]
    assert listed(tmp_path / "out.private") == {"closed_file": "unreadable", "closed": "unreadable"}


def test_a_folder_that_may_not_be_read_keeps_its_token(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", "plain/a", "plain/Quarkstein_Wilhelmina/b")
    (source / "plain/Quarkstein_Wilhelmina").chmod(0)
    done = spawn(source, tmp_path / "out", "--json", "-", preexec_fn=as_anyone)
    (source / "plain/Quarkstein_Wilhelmina").chmod(0o700)
    assert account_of(done) == {"written": 1, "unreadable": 1}
    assert "plain/a" in files_below(tmp_path / "out")
    assert "Quarkstein" not in str(folders_below(tmp_path / "out"))


def test_on_error_fail_ends_the_run_at_a_folder_that_may_not_be_read(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", "a/closed", *(f"b/{number:02}" for number in range(20)))
    (source / "a").chmod(0)
    done = spawn(source, tmp_path / "out", "--json", "-", "--on-error", "fail", preexec_fn=as_anyone)
    (source / "a").chmod(0o700)
    assert done.code == 1
    assert account_of(done) == {"written": 0, "unreadable": 1, "not-reached": 20}


BIG = file_bytes(image(Rows=1000, Columns=200, PixelData=bytes(400_000)))


def _broken_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a source fail behind the part that is read at first."""
    pread, broken = os.pread, OSError(errno.EIO, "Input/output error")

    def read_some(descriptor: int, length: int, offset: int) -> bytes:
        if offset + length > 1 << 17:
            raise broken
        return pread(descriptor, length, offset)

    class Broken(io.FileIO):
        def readinto(self, *_: Any) -> int:
            raise broken

    monkeypatch.setattr(os, "pread", read_some)
    monkeypatch.setattr(io, "FileIO", Broken)


@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize("side", ["source", "output"])
def test_an_error_of_a_disk_is_told_of_the_side_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel: bool, side: str
) -> None:
    source = tree(tmp_path / "in", "big", content=BIG)

    def fail(*_: Any) -> int:
        raise OSError(errno.EIO if kernel else errno.EXDEV, "no copy")

    monkeypatch.setattr(os, "copy_file_range", fail, raising=False)
    if side == "source":
        _broken_source(monkeypatch)
    else:
        monkeypatch.setattr(os, "write", fail)
    done = call(source, tmp_path / "out", "--json", "-", "-j", 1)
    assert account_of(done) == {"written": 0, "unreadable" if side == "source" else "write-failed": 1}
    assert files_below(tmp_path / "out") == []
    wanted = errno.EXDEV if side == "output" and not kernel else errno.EIO
    assert os.strerror(wanted) in (tmp_path / "out.private/not-written.csv").read_text()


def test_an_error_of_the_source_in_pixels_that_are_looked_into_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = bytes(range(1, 255, 2)) * 3200
    overlaid = image(Rows=1000, Columns=200, PixelData=pixels[:400_000], BitsStored=12, HighBit=11)
    source = tree(tmp_path / "in", "big", content=file_bytes(overlaid))
    assert call(source, tmp_path / "whole", "--json", "-").account["notes"]["unused-bits-cleared"] == 1
    write = output._write_pieces

    def break_then_write(*arguments: Any) -> None:
        _broken_source(monkeypatch)
        write(*arguments)

    monkeypatch.setattr(output, "_write_pieces", break_then_write)
    done = call(source, tmp_path / "out", "--json", "-", "-j", 1)
    assert account_of(done) == {"written": 0, "unreadable": 1}


def test_a_pipe_as_the_source_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = spawn(tmp_path / "pipe", tmp_path / "out", "--json", "-")
    assert done.code == 0
    assert account_of(done) == {"written": 0, "special-file": 1}


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A folder for trees that Python cannot remove."""
    folder = tmp_path / "deep"
    folder.mkdir()
    yield folder
    subprocess.run(["rm", "-rf", folder], check=True)


def test_folders_too_deep_to_recurse_into(deep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tree(deep / "in", "top")
    monkeypatch.chdir(source)
    for _ in range(1200):
        os.mkdir("d")
        os.chdir("d")
    for name, content in (("good", TINY), ("cut", TINY[:-7])):
        Path(name).write_bytes(content)
    os.chdir(deep)
    dry = call(source, deep / "out", "--dry-run", "--json", "-")
    assert account_of(dry) == {"written": 2, "truncated": 1}
    words = (source, deep / "out", "--names", "keep", "--extract", "main", "--json", "-")
    done = call(*words, "--quarantine", deep / "aside")
    assert account_of(done) == {"written": 2, "truncated": 1}
    assert done.account["notes"] == {"not-copied": 1}
    assert call(*words).account["unchanged"]["files"] == 2


def test_a_copy_that_cannot_be_put_aside_whole_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tree(tmp_path / "in", "cut", content=TINY[:-7])

    def half(_: str, copy: str) -> None:
        Path(copy).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", half)
    done = call(source, tmp_path / "out", "--quarantine", tmp_path / "aside", "--json", "-")
    assert account_of(done) == {"written": 0, "truncated": 1}
    assert done.account["notes"] == {"not-copied": 1}
    assert files_below(tmp_path / "aside") == []
    assert files_below(source) == ["cut"]


def test_copies_put_aside_are_the_owners_alone_and_a_dry_run_makes_none(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", "a/b/cut", content=TINY[:-7])
    aside = tmp_path / "aside"
    dry = call(source, tmp_path / "out", "--quarantine", aside, "--dry-run", "--json", "-")
    assert account_of(dry) == {"written": 0, "truncated": 1}
    assert not aside.exists()
    call(source, tmp_path / "out", "--quarantine", aside)
    assert files_below(aside) == ["truncated/a/b/cut"]
    assert aside.stat().st_mode & 0o777 == 0o700


def test_copies_put_aside_in_a_folder_that_is_open_to_all_are_the_owners_alone(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", "a/cut", content=TINY[:-7])
    aside = tmp_path / "aside"
    aside.mkdir(mode=0o755)
    call(source, tmp_path / "out", "--quarantine", aside)
    assert files_below(aside) == ["truncated/a/cut"]
    assert (aside / "truncated").stat().st_mode & 0o777 == 0o700


def _changed_after_listing(change: Callable[[Path], None]) -> Callable[..., Iterator[Found]]:
    def listing(source: Path, **how: Any) -> Iterator[Found]:
        found = list(discover(source, **how))
        change(source)
        yield from found

    return listing


def test_a_file_that_vanishes_is_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tree(tmp_path / "in", "a", "gone", "z")
    monkeypatch.setattr(runner, "discover", _changed_after_listing(lambda folder: (folder / "gone").unlink()))
    done = call(source, tmp_path / "out", "--json", "-")
    assert done.code == 1
    assert account_of(done) == {"written": 2, "vanished": 1}


def test_a_file_that_shrinks_is_quarantined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tree(tmp_path / "in", "a", "z")
    shutil.copy(real_file("MR_small.dcm"), source / "shrinks")
    monkeypatch.setattr(
        runner, "discover", _changed_after_listing(lambda folder: os.truncate(folder / "shrinks", 5000))
    )
    done = call(source, tmp_path / "out", "--json", "-")
    assert account_of(done) == {"written": 2, "truncated": 1}
    assert files_below(tmp_path / "out") == ["a", "z"]


def test_ctrl_c_while_the_tree_is_listed_leaves_nothing_out_of_the_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tree(tmp_path / "in", *(f"{number:02}" for number in range(30)))

    def interrupted(*what: Any, **how: Any) -> Iterator[Found]:
        for number, found in enumerate(discover(*what, **how)):
            if number == 25:
                signal.raise_signal(signal.SIGINT)
            yield found

    monkeypatch.setattr(runner, "discover", interrupted)
    monkeypatch.setattr(runner, "BATCH_FILES", 10)
    before = signal.getsignal(signal.SIGINT)
    try:
        done = call(source, tmp_path / "out", "--json", "-", "-j", 2)
    finally:
        signal.signal(signal.SIGINT, before)  # the command lets nothing interrupt its last words
    assert done.code == 130
    assert account_of(done) == {"written": 0, "not-reached": 20}


def test_batches_that_wait_when_the_run_ends_early_are_in_the_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tree(tmp_path / "in", *(f"{number:03}" for number in range(400)))
    (source / "000").write_bytes(TINY[:-7])
    monkeypatch.setattr(fanout, "SMALL_FILES", 390)
    monkeypatch.setattr(runner, "BATCH_FILES", 2)
    done = call(source, tmp_path / "out", "--json", "-", "-j", 2, "--on-error", "fail")
    account = account_of(done)
    assert account["truncated"] == 1
    assert sum(int(str(count)) for count in account.values()) >= 390


def test_a_value_that_does_not_fit_quarantines_its_file_alone(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", "a")
    (source / "long").write_bytes(file_bytes(image(StudyDescription="D" * 60)))
    rule = "AccessionNumber=set(@value(StudyDescription)@)"
    done = call(source, tmp_path / "out", "--assign", rule, "--json", "-", "-v")
    assert account_of(done) == {"written": 1, "value-not-writable": 1}
    assert "DDDD" not in done.out + done.err + (tmp_path / "out.private/not-written.csv").read_text()
    assert "(0008,0050) SH" in (tmp_path / "out.private/not-written.csv").read_text()


def test_an_unforeseen_error_costs_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tree(tmp_path / "in", "a", "z")
    (source / "odd").write_bytes(TINY + b"odd")
    write = output.write

    def fail(target: Any, *rest: Any, **more: Any) -> Any:
        if os.path.basename(target) == "odd":
            raise ZeroDivisionError("Doe^Jane")
        return write(target, *rest, **more)

    monkeypatch.setattr(output, "write", fail)
    done = call(source, tmp_path / "out", "--json", "-")
    assert done.code == 1
    assert account_of(done) == {"written": 2, "internal-error": 1}
    said = (tmp_path / "out.private/not-written.csv").read_text()
    assert "ZeroDivisionError at test_run.py" in said
    assert "Doe" not in said + done.out + done.err


# What goes wrong with the output


def _no_space_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace
    done: list[str] = []

    def full(source: str, target: str) -> None:
        if len(done) >= count:
            raise OSError(errno.ENOSPC, "No space left on device")
        done.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)


def test_a_full_disk_ends_the_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tree(tmp_path / "in", *(f"{number:02}" for number in range(40)))
    _no_space_after(13, monkeypatch)
    done = call(source, tmp_path / "out", "--json", "-", "-j", 1)
    assert done.code == 1
    assert account_of(done) == {"written": 13, "write-failed": 1, "not-reached": 26}
    assert files_below(tmp_path / "out") == [f"{number:02}" for number in range(13)]


SMALL_DISK = 'mount -t tmpfs -o size=1m none "$0"'


def _on_a_disk(mount: str, volume: Path, *words: object, then: str = ":") -> Done:
    """Run the command where a disk is mounted at a folder, and something more before it is gone."""
    script = f'{mount} && "$@"; code=$?; {then}; exit $code'
    made = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script, volume, *COMMAND, *map(str, words)],
        capture_output=True, text=True, env=environment(), check=False, timeout=60,
    )  # fmt: skip
    return Done(made.returncode, made.stdout, made.stderr)


@pytest.mark.external
def test_a_disk_that_is_really_full_or_read_only(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", *(f"{number:02}" for number in range(30)))
    for number in range(30):
        (source / f"{number:02}").write_bytes(file_bytes(image(Rows=250, Columns=200, PixelData=bytes(100_000))))
    volume = tmp_path / "volume"
    volume.mkdir()
    small = tree(tmp_path / "small", *(f"{number:04}" for number in range(1500)))
    done = _on_a_disk(SMALL_DISK, volume, small, volume / "out", "--json", "-")
    assert account_of(done)["write-failed"] == 1  # the lists of the run are on the same disk
    assert done.code == 1

    words = (source, volume / "out", "--run-dir", tmp_path / "private", "--json", "-")
    done = _on_a_disk(SMALL_DISK, volume, *words, then='ls -A "$0/out" >&2')
    account = account_of(done)
    assert done.code == 1
    assert 5 < account["written"] < 12  # type: ignore[operator]
    assert account["write-failed"] == 1
    assert len(done.err.split()) == account["written"]
    assert PARTS not in done.err

    read_only = 'mount -t tmpfs none "$0" && mkdir "$0/out" && mount -o remount,ro "$0"'
    done = _on_a_disk(read_only, volume, *words)
    assert account_of(done) == {"written": 0, "write-failed": 1, "not-reached": 29}
    assert done.code == 1


def test_a_destination_without_permission_fails_every_file(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", "a", "b")
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o500)
    done = spawn(source, tmp_path / "out", "--json", "-", preexec_fn=as_anyone)
    assert done.code == 1
    assert account_of(done) == {"written": 0, "write-failed": 2}


NAMED = (("--names", "uid"), ("--layout", "study"))
"""Options under which the folders of outputs are made when the first file for one comes."""


@pytest.mark.parametrize("options", NAMED)
def test_folders_that_cannot_be_made_in_a_full_destination_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    source = tree(tmp_path / "in", *(f"{number:02}" for number in range(20)))
    mkdir = os.mkdir

    def full(path: Any, *rest: Any, **more: Any) -> None:
        if str(path).startswith(f"{tmp_path}/out/"):
            raise OSError(errno.ENOSPC, "No space left on device")
        mkdir(path, *rest, **more)

    monkeypatch.setattr(os, "mkdir", full)
    done = call(source, tmp_path / "out", "--json", "-", "-j", 1, *options)
    assert done.code == 1
    assert account_of(done) == {"written": 0, "write-failed": 1, "not-reached": 19}


@pytest.mark.parametrize("options", NAMED)
def test_a_destination_that_vanishes_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    source = tree(tmp_path / "in", *(f"{number:02}" for number in range(40)))
    replace, seen = os.replace, []

    def vanish(part: str, target: str) -> None:
        replace(part, target)
        seen.append(target)
        if len(seen) == 15:
            shutil.rmtree(tmp_path / "out")

    monkeypatch.setattr(os, "replace", vanish)
    done = call(source, tmp_path / "out", "--json", "-", "-j", 1, *options)
    assert account_of(done) == {"written": 15, "write-failed": 1, "not-reached": 24}
    assert not (tmp_path / "out").exists()


def test_a_destination_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", "a")
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(0o500)
    done = spawn(source, tmp_path / "closed/out", preexec_fn=as_anyone)
    assert done.code == 2
    assert "cannot be made: Permission denied" in done.err
    assert "Traceback" not in done.err
    done = spawn(source, tmp_path / "closed/out", "--run-dir", tmp_path / "run", preexec_fn=as_anyone)
    assert done.code == 2
    assert "DST cannot be made: Permission denied" in done.err


def test_a_destination_that_vanishes_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tree(tmp_path / "in", *(f"{number:02}" for number in range(40)))
    replace, seen = os.replace, []

    def vanish(part: str, target: str) -> None:
        seen.append(target)
        if len(seen) == 15:
            shutil.rmtree(tmp_path / "out")
        replace(part, target)

    monkeypatch.setattr(os, "replace", vanish)
    done = call(source, tmp_path / "out", "--json", "-", "-j", 1)
    assert done.code == 1
    assert account_of(done) == {"written": 14, "write-failed": 1, "not-reached": 25}


# Ends before the end


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    for _ in range(3000):
        if condition():
            return
        assert process.poll() is None, "the run ended before anything could be done to it"
        time.sleep(0.01)
    raise AssertionError("waited too long")


def _written_by_now(folder: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(folder))


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_ends_with_an_account_and_whole_files(tmp_path: Path, crowd: Path, jobs: int) -> None:
    out = tmp_path / "out"
    process = start(crowd, out, "-j", jobs, "--json", tmp_path / "account.json")
    _wait_for(lambda: _written_by_now(out) > 100, process)
    os.killpg(process.pid, signal.SIGINT)
    done = finish(process)
    assert done.code == 130, done.err
    assert done.err == ""
    account = account_of(Done(130, (tmp_path / "account.json").read_text(), ""))
    assert "The account balances." in done.out
    assert "Interrupted: the rest of the tree was not looked at.\nThe same command again does the rest.\n" in done.out
    found = contents(out)
    assert account["written"] == len(found)
    assert 100 <= len(found) < CROWD
    assert not [name for name in found if PARTS in name]
    assert len(set(found.values())) == 1
    assert read(next(iter(found.values()))).PixelData == bytes(range(32))


@pytest.mark.parametrize("moment", [0, 0.05, 0.2, 0.4])
def test_ctrl_c_while_workers_start_prints_nothing(tmp_path: Path, crowd: Path, moment: float) -> None:
    process = start(crowd, tmp_path / "out", "-j", 2)
    _wait_for(lambda: bool(workers_of(process.pid)), process)
    time.sleep(moment)
    os.killpg(process.pid, signal.SIGINT)
    done = finish(process)
    assert (done.code, done.err) == (130, "")
    assert "The account balances." in done.out


def test_ctrl_c_pressed_twice_ends_cleanly_too(tmp_path: Path, crowd: Path) -> None:
    out = tmp_path / "out"
    process = start(crowd, out, "-j", 2)
    _wait_for(lambda: _written_by_now(out) > 100, process)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    done = finish(process)
    assert done.code == 130, done.err
    assert not [name for name in files_below(out) if PARTS in name]


def test_a_killed_worker_costs_nothing_that_can_be_done_again(tmp_path: Path, crowd: Path) -> None:
    out = tmp_path / "out"
    process = start(crowd, out, "-j", 2, "--json", "-")
    _wait_for(lambda: _written_by_now(out) > 100, process)
    os.kill(workers_of(process.pid)[0], signal.SIGKILL)
    done = finish(process)
    assert account_of(done) == {"written": CROWD}
    assert done.code == 0, done.err
    found = contents(out)
    assert len(found) == CROWD
    assert len(set(found.values())) == 1


KILLER = """
import os, signal, sys

def watch(event, arguments):
    if event == "open" and str(arguments[0]).endswith("killer"):
        if len(arguments) > 2 and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
"""


def test_a_file_that_kills_its_worker_each_time_is_the_only_one_lost(tmp_path: Path, crowd: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(700):
        os.link(crowd / "0000/first", source / f"{number:04}")
    for name in ("0100-killer", "0600-killer"):
        os.link(crowd / "0000/first", source / name)
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(KILLER)
    where = os.pathsep.join((str(tmp_path / "site"), *filter(None, [os.environ.get("PYTHONPATH")])))
    done = spawn(source, tmp_path / "out", "-j", 2, "--json", "-", env=environment(PYTHONPATH=where))
    assert done.code == 1, done.err
    assert account_of(done) == {"written": 700, "worker-died": 2}
    assert listed(tmp_path / "out.private") == {"0100-killer": "worker-died", "0600-killer": "worker-died"}
    assert len(files_below(tmp_path / "out")) == 700
    assert not [name for name in files_below(tmp_path / "out") if PARTS in name]


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("cut", ["0000-cut", "1000-cut"])
def test_on_error_fail_ends_at_the_first_trouble(tmp_path: Path, crowd: Path, jobs: int, cut: str) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(5000):
        os.link(crowd / "0000/first", source / f"{number:04}")
    (source / cut).write_bytes(TINY[:-10])
    done = call(source, tmp_path / "out", "--on-error", "fail", "-j", jobs, "--json", "-")
    assert done.code == 1
    account = account_of(done)
    assert account["truncated"] == 1
    assert account["not-reached"] > 0  # type: ignore[operator]
    assert account["written"] == len(files_below(tmp_path / "out"))
    assert cut in listed(tmp_path / "out.private")
    assert sum(account.values()) == 5001  # type: ignore[arg-type]


@pytest.mark.parametrize("jobs", [1, 2])
def test_verify_after_an_early_end_misses_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    monkeypatch.setattr(fanout, "SMALL_FILES", 50)
    monkeypatch.setattr(runner, "BATCH_FILES", 20)
    source = tree(tmp_path / "in", *(f"{number:03}" for number in range(100)))
    (source / "005").write_bytes(TINY[:-7])
    done = call(source, tmp_path / "out", "-j", jobs, "--on-error", "fail", "--verify", "--json", "-")
    assert done.account["verify"]["findings"] == []
    assert done.code == 1


def test_ctrl_c_while_folders_get_their_names_leaves_an_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tree(tmp_path / "in", "sub/a")
    rename = NameBook.rename

    def interrupted(*arguments: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        rename(*arguments)

    monkeypatch.setattr(NameBook, "rename", interrupted)
    before = signal.getsignal(signal.SIGINT)
    try:
        done = call(source, tmp_path / "out", "--json", "-")
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.code == 130
    assert account_of(done) == {"written": 1}
    assert files_below(tmp_path / "out") == ["sub/a"]


def test_on_error_fail_is_a_good_run_where_nothing_fails(tmp_path: Path, sample_in: Path, sample: Sample) -> None:
    done = call(sample_in, tmp_path / "out", "--on-error", "fail", "--json", "-")
    assert done.code == 0
    assert account_of(done)["written"] == sample.files


# What is told


def test_a_dry_run_tells_and_writes_nothing(tmp_path: Path, sample_in: Path, sample: Sample) -> None:
    shutil.copytree(sample_in, tmp_path / "in")
    (tmp_path / "in/cut").write_bytes(TINY[:-10])
    before = contents(tmp_path / "in")
    done = call(tmp_path / "in", tmp_path / "out", "--dry-run", "--json", "-")
    assert done.code == 1
    assert account_of(done) == {"written": sample.files, "not-dicom": 3, "dicomdir": 1, "truncated": 1}
    assert done.account["dry_run"] is True
    assert os.listdir(tmp_path) == ["in"]
    assert contents(tmp_path / "in") == before
    shown = call(tmp_path / "in", tmp_path / "out", "--dry-run")
    assert f"{sample.files}  would be written" in shown.out
    assert os.listdir(tmp_path) == ["in"]


def test_the_source_is_not_changed(tmp_path: Path, sample_in: Path) -> None:
    shutil.copytree(sample_in, tmp_path / "in")
    names = files_below(sample_in)
    state = {name: os.stat(tmp_path / "in" / name).st_mtime_ns for name in names}
    assert call(tmp_path / "in", tmp_path / "out").code == 0
    assert contents(tmp_path / "in") == contents(sample_in)
    assert {name: os.stat(tmp_path / "in" / name).st_mtime_ns for name in names} == state


def test_json_on_standard_output_is_nothing_else(tmp_path: Path, sample_in: Path) -> None:
    done = call(sample_in, tmp_path / "out", "--json", "-")
    account = done.account
    assert done.out.startswith("{")
    assert account["tool"] == "dicom-anon"
    assert account["preset"] == "default"
    assert account["project"] == ""
    assert re.fullmatch(r"[0-9a-f]{64}", account["rules"])
    assert account["found"]["bytes"] == sum(map(len, contents(sample_in).values()))
    assert account["written"]["source_bytes"] < account["found"]["bytes"]
    assert account["interrupted"] is False


def test_json_in_a_file_goes_with_the_account_for_people(tmp_path: Path, sample_in: Path, sample: Sample) -> None:
    done = call(sample_in, tmp_path / "out", "--json", tmp_path / "account.json")
    assert account_of(Done(0, (tmp_path / "account.json").read_text(), ""))["written"] == sample.files
    assert f"{sample.files}  written" in done.out
    assert "The account balances." in done.out


def test_quiet_says_nothing_but_errors(tmp_path: Path, sample_in: Path) -> None:
    done = call(sample_in, tmp_path / "out", "-q")
    assert (done.code, done.out, done.err) == (0, "", "")
    refused = call(tmp_path / "nowhere", tmp_path / "new", "-q")
    assert refused.code == 2
    assert "SRC does not exist" in refused.err


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_quiet_does_not_hide_what_was_not_done(tmp_path: Path, dry: tuple[str, ...]) -> None:
    source = tree(tmp_path / "in", "a")
    (source / "cut").write_bytes(TINY[:-10])
    done = call(source, tmp_path / "out", "-q", *dry)
    assert (done.code, done.out) == (1, "")
    assert "1  quarantined: truncated" in done.err
    assert (str(tmp_path / "out.private/not-written.csv") in done.err) == (not dry)
    told = call(source, tmp_path / "out", "-q", "--json", "-", *dry)
    assert (told.code, told.err, told.account["quarantined"]["files"]) == (1, "", 1)
    full = call(source, tmp_path / "out", "-q", "--json", "/dev/full", *dry)
    assert full.err.count("The account balances.") == 1


def test_verbose_says_what_the_reasons_mean(tmp_path: Path, sample_in: Path) -> None:
    plain = call(sample_in, tmp_path / "a")
    verbose = call(sample_in, tmp_path / "b", "-v")
    assert "skipped: not-dicom" in plain.out
    assert "The content is not DICOM; not copied." not in plain.out
    assert "The content is not DICOM; not copied." in verbose.out


def test_every_run_names_the_list_of_what_may_show_text(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", "a")
    line = f"What may show text in its pixels: {tmp_path / 'out.private/burned-in.csv'}\n"
    assert line not in call(source, tmp_path / "out").out
    (source / "b").write_bytes(file_bytes(image(BurnedInAnnotation="YES")))
    for written in (1, 0):
        done = call(source, tmp_path / "out")
        assert (f"{written}  written" in done.out, line in done.out) == (True, True)


def test_all_documents_of_a_run_tell_the_rules_by_one_digest(tmp_path: Path) -> None:
    rules = ("--preset", "basic", "--assign", "StudyDescription=clean")
    account = call(tree(tmp_path / "in", "a"), tmp_path / "out", "--json", "-", *rules).account
    started = (tmp_path / "out.private/log.txt").read_text().splitlines()[0]
    assert f"preset basic, rules {account['rules']}, " in started
    for words in (("conformance",), ("print-assignment",), ("print-assignment", "--format", "json")):
        assert account["rules"] in call(*words, *rules).out


def test_the_account_names_the_list_of_what_was_not_written(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", "a")
    (source / "cut").write_bytes(TINY[:-10])
    done = call(source, tmp_path / "out")
    assert done.code == 1
    assert "quarantined: truncated" in done.out
    assert f"What was not written, and why: {tmp_path / 'out.private/not-written.csv'}" in done.out


def test_plain_lines_of_progress_where_there_is_no_terminal(
    tmp_path: Path, crowd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(100):
        os.link(crowd / "0000/first", source / f"{number:04}")
    (source / "0000-cut").write_bytes(TINY[:-10])
    clock = iter(range(0, 100_000, 4))
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    done = call(source, tmp_path / "out", "-j", 1)
    lines = done.err.splitlines()
    assert 3 <= len(lines) <= 8
    pattern = r"\d+ of 101 files found so far, [\d.]+ k?B, \d+ files/s, about \d+ s left for these, 1 in trouble"
    assert all(re.fullmatch(pattern, line) for line in lines), lines
    assert "\x1b" not in done.err + done.out


def test_progress_that_nobody_takes_does_not_end_the_run(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", *(f"{number:03}" for number in range(30)))
    script = "from dicom_anon import cli, console; console.PLAIN_SECONDS = 0; cli.main()"
    words = [sys.executable, "-c", script, str(source), tmp_path / "out", "--json", tmp_path / "account.json"]
    reader, writer = os.pipe()
    os.close(reader)
    made = subprocess.run(
        [*map(str, words)], stdout=subprocess.PIPE, stderr=writer, env=environment(), check=False, timeout=60
    )
    os.close(writer)
    account = account_of(Done(made.returncode, (tmp_path / "account.json").read_text(), ""))
    assert account == {"written": 30}
    assert b"The account balances." in made.stdout


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_do_not_stop_workers(tmp_path: Path, closed: str) -> None:
    source = tree(tmp_path / "in", *(f"{number:03}" for number in range(fanout.SMALL_FILES + 1)))
    words = [*COMMAND, source, tmp_path / "out", "-j", "2", "--json", tmp_path / "account.json"]
    made = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *map(str, words)], env=environment(), check=False, timeout=60
    )
    account = account_of(Done(made.returncode, (tmp_path / "account.json").read_text(), ""))
    assert account == {"written": fanout.SMALL_FILES + 1}


def test_no_more_workers_than_are_of_use_are_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tree(tmp_path / "in", "a")
    monkeypatch.setattr(api, "usable_cores", lambda: 3)
    asked: list[int] = []

    def seen(top: Path, order: Any, jobs: int, *rest: Any, **more: Any) -> runner.Request:
        asked.append(jobs)
        return runner.Request(top, order, jobs, *rest, **more)

    monkeypatch.setattr(api, "Request", seen)
    for number, jobs in enumerate((9999, 12, 2)):
        assert call(source, tmp_path / f"out{number}", "--no-run-dir", "-j", jobs).code == 0
    assert asked == [12, 12, 2]
    assert "at most 4 for each core" in " ".join(call("run", "--help").out.split())


def test_a_short_run_prints_no_progress(tmp_path: Path, sample_in: Path) -> None:
    assert call(sample_in, tmp_path / "out").err == ""


def test_a_terminal_shows_a_bar_with_rate_time_and_trouble(tmp_path: Path, crowd: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(3000):
        os.link(crowd / "0000/first", source / f"{number:04}")
    (source / "0000-cut").write_bytes(TINY[:-10])
    terminal, side = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, source, tmp_path / "out", "-j", "1"],
        stdin=side, stdout=side, stderr=side, env=environment(TERM="xterm-256color", COLUMNS="200"),
    )  # fmt: skip
    os.close(side)
    shown = b""
    while True:
        ready, _, _ = select.select([terminal], [], [], 60)
        try:
            chunk = os.read(terminal, 65536) if ready else b""
        except OSError:  # Linux says so where the other side is closed
            break
        if not chunk:
            break
        shown += chunk
    os.close(terminal)
    assert process.wait(60) == 1
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    bar = [part for part in re.split(r"[\r\n]+", text) if "de-identifying" in part]
    assert len(bar) > 2
    assert any(re.search(r"\d+/\d+ +[\d,]+ files/s +[\d.]+ [kM]?B/s", part) for part in bar)
    assert any("1 in trouble" in part for part in bar)
    assert any(re.search(r"\d:\d\d:\d\d \d:\d\d:\d\d left", part) for part in bar)
    assert "quarantined: truncated" in text


def test_help_shows_both_forms() -> None:
    done = call("--help")
    assert done.code == 0
    assert "dicom-anon [OPTIONS] SRC DST" in done.out
    assert "dicom-anon COMMAND ..." in done.out
    for command in ("run", "print-assignment", "inspect", "sample"):
        assert re.search(rf"^ +{command} ", done.out, re.MULTILINE)


def test_version_names_python_and_pydicom() -> None:
    done = spawn("--version")
    assert done.code == 0
    python = re.escape(".".join(map(str, sys.version_info[:3])))
    assert re.fullmatch(rf"dicom-anon \d+\.\d+\S*, Python {python}\S*, pydicom 3\S*\n", done.out)


def test_the_word_run_may_stand_or_be_left_out(tmp_path: Path, sample_in: Path, key_file: Path) -> None:
    for words, name in (((), "a"), (("run",), "b")):
        assert call(*words, "--key-file", key_file, sample_in / "CD", tmp_path / name).code == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_the_sample_command_refuses_a_folder_in_use(tmp_path: Path) -> None:
    done = call("sample", tmp_path / "new")
    assert done.code == 0
    assert "50 DICOM files of 5 made-up patients" in done.err
    again = call("sample", tmp_path / "new")
    assert again.code == 2
    assert "DIR is not empty" in again.err


def test_a_second_run_into_the_same_destination_is_refused(tmp_path: Path, sample_in: Path) -> None:
    config = write_config(tmp_path, {"general": {"PatientSex": "clear"}})
    assert call(sample_in / "CD", tmp_path / "out").code == 0
    before = contents(tmp_path / "out")
    done = call(sample_in / "CD", tmp_path / "out", "-c", config)
    assert done.code == 2
    assert contents(tmp_path / "out") == before


def test_listing_is_by_name_so_that_two_runs_are_alike(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", "b/2", "b/1", "a/1", "0", "c")
    jobs = [found.relative for found in discover(source) if isinstance(found, FileJob)]
    assert jobs == ["0", "c", "a/1", "b/1", "b/2"]


def test_lines_for_scripts_are_whole_and_without_blanks_at_their_ends(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/cut.dcm").write_bytes(TINY[:-10])
    done = spawn(tmp_path / "in", tmp_path / "out", "-v", env=environment(COLUMNS="40"))
    lines = done.out.splitlines()
    assert lines[0].startswith("1  file found (")
    assert lines[0].endswith("), 0 folders")
    assert "1  quarantined: truncated  The file ends before its Data Set does." in lines
    assert not [line for line in lines if line != line.rstrip()]
