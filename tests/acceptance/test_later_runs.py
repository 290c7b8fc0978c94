"""Other commands on one DST, and deliveries that change names: what is refused, and what becomes of earlier outputs.

The same command again, and runs that were killed, are in `test_resume`.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
from pathlib import Path
from typing import Any, BinaryIO
from unittest.mock import Mock

import pytest

from dicom_anon import anonymize_tree, arrange, output, worker
from dicom_anon.destination import Destination
from dicom_anon.manifest import Manifest
from dicom_anon.runfolder import RunFolder
from tests.acceptance.command import COMMAND, Done, call, contents, environment, files_below, folders_below, read
from tests.acceptance.test_resume import picture, state, with_scandir_failing


def put(folder: Path, **files: bytes) -> Path:
    """Write files, all of one time; two underscores in a name stand for a folder."""
    for name, content in files.items():
        path = folder / f"{name.replace('__', '/')}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (1e9, 1e9))
    return folder


def run(source: Path, out: Path, key_file: Path, *more: object) -> dict[str, Any]:
    """Run to the end; written, unchanged, exit code and the notes."""
    done = call(source, out, "--key-file", key_file, "--json", "-", "-j", 1, *more)
    account = done.account
    assert account["balances"]
    return {
        "code": done.code,
        "written": account["written"]["files"],
        "unchanged": account["unchanged"]["files"],
        **account["notes"],
    }


def output_of(number: int, out: Path) -> Path:
    """The one output of this Instance Number."""
    images = [out / name for name in files_below(out) if name.endswith(".dcm")]
    [found] = [path for path in images if read(path).InstanceNumber == number]
    return found


def refused(done: Done, said: str) -> None:
    assert (done.code, done.out) == (2, "")
    assert said in done.err


# Another system


@pytest.mark.parametrize("names", ["safe", "keep"])
def test_a_destination_that_takes_two_names_for_one_gets_one_file(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch, names: str
) -> None:
    exists = os.path.exists

    def without_case(path: str) -> bool:
        """As on Windows and macOS."""
        return exists(path) or exists(os.path.join(os.path.dirname(path), os.path.basename(path).lower()))

    source = put(tmp_path / "in", A=picture(0, 1), a=picture(0, 2), Sub__x=picture(0, 3), sub__x=picture(0, 4))
    told = ("--names", names, "--run-dir", tmp_path / "private")
    monkeypatch.setattr(os.path, "exists", without_case)
    for written, unchanged in ((2, 0), (0, 2)):
        done = call(source, tmp_path / "out", "--key-file", key_file, "--json", "-", "-j", 1, *told, "--verify")
        account = done.account
        assert (done.code, account["found"]["files"], account["balances"]) == (1, 4, True)
        assert (account["written"]["files"], account["unchanged"]["files"]) == (written, unchanged)
        assert done.reasons("failed") == {"write-failed": 2}
    assert files_below(tmp_path / "out") == ["A.dcm", "Sub/x.dcm"]
    listed = (tmp_path / "private/not-written.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in listed] == ["path", "a.dcm", "sub/x.dcm"]


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_a_list_on_standard_output_is_the_file_that_it_would_be(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "list.csv").write_text("ward,ACCESSION-NUMBER\nПервый,007\n", "utf-8")
    (tmp_path / "table.csv").write_text("PHI-AccNo,ANON-StudyUID\n007,2.25.1\n", "utf-8")
    given = ("lookup", "--accessions", tmp_path / "list.csv", "--crosswalk", tmp_path / "table.csv")
    told = subprocess.run(
        [*COMMAND, *given], capture_output=True, env=environment(PYTHONIOENCODING=encoding), check=True
    )
    assert call(*given, "--out", tmp_path / "joined.csv").code == 0
    assert told.stdout == (tmp_path / "joined.csv").read_bytes()


# Another source


@pytest.mark.parametrize("options", [(), ("--names", "uid"), ("--layout", "study")])
def test_another_source_is_refused_before_anything_is_written(
    tmp_path: Path, key_file: Path, options: tuple[str, ...]
) -> None:
    anna, bert = put(tmp_path / "a", IM1=picture(0, 1)), put(tmp_path / "b", IM1=picture(1, 1))
    out = tmp_path / "out"
    run(anna, out, key_file, *options)
    before, kept = state(out), contents(tmp_path / "out.private")
    for words in ((), ("--dry-run",)):
        for source in (bert, bert / "IM1.dcm", tmp_path / "b/../b"):
            refused(
                call(source, out, "--key-file", key_file, *options, *words),
                "DST was made from another SRC: choose a new DST, go back to the SRC it was made with, "
                "or start it afresh with --overwrite",
            )
    assert state(out) == before
    assert contents(tmp_path / "out.private") == kept
    assert run(bert, out, key_file, *options, "--dry-run", "--overwrite")["written"] == 1
    assert state(out) == before
    assert run(bert, out, key_file, *options, "--overwrite")["written"] == 1
    run(bert, tmp_path / "fresh", key_file, *options)
    assert [name for name in contents(out).items() if "task" not in name[0]] == [
        name for name in contents(tmp_path / "fresh").items() if "task" not in name[0]
    ]


def test_one_source_under_several_paths_is_one(tmp_path: Path, key_file: Path) -> None:
    source, out = put(tmp_path / "in", IM1=picture(0, 1)), tmp_path / "out"
    run(source, out, key_file)
    (tmp_path / "link").symlink_to(source)
    for same in (tmp_path / "link", tmp_path / "in/../in", Path(os.path.relpath(source))):
        assert run(same, out, key_file)["unchanged"] == 1


def test_files_given_one_by_one_are_of_one_source(tmp_path: Path, key_file: Path) -> None:
    source = put(tmp_path / "in", **{f"IM{number}": picture(number, number) for number in range(3)})
    one_by_one = [run(path, tmp_path / "out", key_file) for path in sorted(source.iterdir())]
    assert one_by_one == [{"code": 0, "written": 1, "unchanged": 0}] * 3
    run(source, tmp_path / "whole", key_file)
    assert state(tmp_path / "out") == state(tmp_path / "whole")
    assert run(source, tmp_path / "out", key_file) == {"code": 0, "written": 0, "unchanged": 3}


def test_the_log_tells_of_every_run(tmp_path: Path, key_file: Path) -> None:
    source, out = put(tmp_path / "in", x__1=picture(0, 1)), tmp_path / "out"
    for _ in range(2):
        run(source, out, key_file)
    lines = (tmp_path / "out.private/log.txt").read_text("utf-8").splitlines()
    assert [line.split()[1] for line in lines] == ["start:", "end:"] * 2


# Another destination


@pytest.mark.parametrize("words", [(), ("--no-run-dir",), ("--run-dir", "apart"), ("--dry-run",)])
def test_nothing_of_another_run_goes_into_a_destination(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    source, out = put(tmp_path / "in", x__1=picture(0, 1)), tmp_path / "out"
    run(source, out, key_file)
    (tmp_path / "link").symlink_to(out)
    before = state(out)
    for inside in (out / "more", out / "x/more", tmp_path / "link/more"):
        refused(call(source, inside, *words), "DST lies inside the DST of another run: choose a place outside of it")
    for option, what in (("--run-dir", "the run folder"), ("--crosswalk", "the crosswalk")):
        done = call(source, tmp_path / "more", option, out / "more")
        refused(done, f"{what} lies inside the DST of another run")
    assert state(out) == before
    assert run(source, out, key_file)["unchanged"] == 1


def test_a_destination_that_is_a_link_is_known_by_the_folder_beside_it(tmp_path: Path, key_file: Path) -> None:
    source, out = put(tmp_path / "in", x__1=picture(0, 1)), tmp_path / "out"
    (tmp_path / "disk/data").mkdir(parents=True)
    out.symlink_to(tmp_path / "disk/data")
    assert run(source, out, key_file)["written"] == 1
    refused(call(source, out / "more"), "DST lies inside the DST of another run")
    refused(call(source, tmp_path / "more", "--run-dir", out / "key"), "the run folder lies inside the DST of another")


def test_two_destinations_with_one_run_folder_have_one_list_of_what_to_look_at(tmp_path: Path, key_file: Path) -> None:
    private = ("--run-dir", tmp_path / "private")
    first = put(tmp_path / "a", x__1=picture(0, 1, BurnedInAnnotation="YES"))
    second = put(tmp_path / "b", y__2=picture(1, 2, BurnedInAnnotation="YES"))
    for _ in range(2):
        for source, out in ((first, tmp_path / "out1"), (second, tmp_path / "out2")):
            run(source, out, key_file, *private)
            assert "x/1.dcm" in (tmp_path / "private/burned-in.csv").read_text()
    assert (tmp_path / "private/burned-in.csv").read_text().count("\n") == 3
    for _ in range(2):
        assert run(second, tmp_path / "out2", key_file, *private, "--overwrite")["written"] == 1
        assert (tmp_path / "private/burned-in.csv").read_text().count("\n") == 3


# Other options


def test_objects_that_may_show_text_do_not_stay_where_they_are_to_be_left_out(tmp_path: Path, key_file: Path) -> None:
    source = put(tmp_path / "in", a=picture(0, 1), b=picture(0, 2, BurnedInAnnotation="YES"))
    out = tmp_path / "out"
    run(source, out, key_file)
    for care in ("quarantine", "fail"):
        for words in ((), ("--dry-run",)):
            done = call(source, out, "--key-file", key_file, "--on-burned-in", care, *words)
            refused(done, "DST was made with other rules")
    assert run(source, out, key_file, "--on-burned-in", "quarantine", "--overwrite")["code"] == 1
    assert files_below(out) == ["a.dcm"]
    assert run(source, out, key_file, "--on-burned-in", "fail")["unchanged"] == 1
    refused(call(source, out, "--key-file", key_file), "DST was made with other rules")


def test_a_dry_run_tells_what_the_same_command_would_do(tmp_path: Path, key_file: Path) -> None:
    source, out = put(tmp_path / "in", Grubenwald__1=picture(0, 1), x__2=picture(0, 2)), tmp_path / "out"
    assert call(source, out).code == 0
    before, kept = state(out), contents(tmp_path / "out.private")
    put(source, x__3=picture(0, 3))
    dry = call(source, out, "--dry-run", "--json", "-").account
    assert (dry["written"]["files"], dry["unchanged"]["files"]) == (1, 2)
    refused(call(source, out, "--dry-run", "--assign", "PatientSex=clear"), "DST was made with other rules")
    refused(call(source, out, "--dry-run", "--key-file", key_file), "DST was made with another key")
    assert state(out) == before
    assert contents(tmp_path / "out.private") == kept
    wet = call(source, out, "--json", "-").account
    assert (wet["written"]["files"], wet["unchanged"]["files"]) == (1, 2)


def test_outputs_of_another_version_stay_and_are_told_of(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = put(tmp_path / "in", x__1=picture(0, 1), x__2=picture(0, 2)), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("dicom_anon.api.__version__", "0.0.1")
        assert run(source, out, key_file) == {"code": 0, "written": 2, "unchanged": 0}
        assert run(source, out, key_file) == {"code": 0, "written": 0, "unchanged": 2}
    put(source, x__3=picture(0, 3))
    for words, written, unchanged in ((("--dry-run",), 1, 2), ((), 1, 2), ((), 0, 3)):
        told = {"code": 0, "written": written, "unchanged": unchanged, "made-by-another-version": unchanged}
        assert run(source, out, key_file, *words) == told
    assert run(source, out, key_file, "--overwrite") == {"code": 0, "written": 3, "unchanged": 0}
    assert run(source, out, key_file) == {"code": 0, "written": 0, "unchanged": 3}


# Sources that are gone


@pytest.mark.parametrize("options", [(), ("--names", "uid"), ("--layout", "study"), ("--names", "keep")])
def test_outputs_of_sources_that_are_gone_are_counted_as_long_as_they_are_there(
    tmp_path: Path, key_file: Path, options: tuple[str, ...]
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    put(source, Grubenwald__1=picture(0, 1), x__2=picture(0, 2), x__3=picture(1, 3), top=picture(1, 4))
    words = (*options, "--crosswalk", tmp_path / "table.csv")
    run(source, out, key_file, *words)
    for left, number, gone in ((3, 1, "Grubenwald/1.dcm"), (2, 3, "x/3.dcm")):
        (source / gone).unlink()
        for _ in range(2):
            told = run(source, out, key_file, *words)
            assert (told["unchanged"], told["outputs-without-source"]) == (left, 1)
        output_of(number, out).unlink()
        assert "outputs-without-source" not in run(source, out, key_file, *words)
        counts = [line.rsplit(",", 1)[1] for line in (tmp_path / "table.csv").read_text().splitlines()[1:]]
        assert sum(map(int, counts)) == left


@pytest.mark.parametrize("options", [(), ("--names", "uid")])
def test_a_file_in_whose_place_there_is_a_folder_is_gone(
    tmp_path: Path, key_file: Path, options: tuple[str, ...]
) -> None:
    source, out = put(tmp_path / "in", a=picture(0, 1), b=picture(0, 2)), tmp_path / "out"
    run(source, out, key_file, *options)
    (source / "a.dcm").unlink()
    (source / "a.dcm").mkdir()
    told = run(source, out, key_file, *options)
    assert told == {"code": 0, "written": 0, "unchanged": 1, "outputs-without-source": 1}


def test_what_was_not_looked_at_is_not_gone(tmp_path: Path, key_file: Path) -> None:
    source = put(tmp_path / "in", a__1=picture(0, 1), b__2=picture(0, 2), top=picture(1, 3))
    out = tmp_path / "out"
    run(source, out, key_file)
    only_top = run(source, out, key_file, "--type", "folder")
    assert only_top == {"code": 0, "written": 0, "unchanged": 1}
    (source / "b/2.dcm").unlink()
    assert run(source, out, key_file, "--type", "folder")["outputs-without-source"] == 1


# Names that a later delivery takes away


def test_a_name_below_which_nothing_was_written_goes_when_its_patient_comes(tmp_path: Path, key_file: Path) -> None:
    source, out = put(tmp_path / "in", a__1=picture(0, 1)), tmp_path / "out"
    (source / "Waldteufel/Waldteufel Emil").mkdir(parents=True)
    (source / "Emil").mkdir()
    (source / "Emil/notes.txt").write_text("no DICOM")
    run(source, out, key_file)
    assert len(folders_below(out)) == 4
    assert folders_below(out) == folders_below(source)
    put(source, a__2=picture(1, 2, PatientName="Waldteufel^Emil"))
    assert run(source, out, key_file)["folder-name-replaced"] == 3
    run(source, tmp_path / "whole", key_file)
    assert state(out) == state(tmp_path / "whole")
    assert not any(name in str(folders_below(out)) for name in ("Waldteufel", "Emil"))


def test_a_name_that_no_file_vouched_for_goes_when_one_below_it_cannot_be_done(tmp_path: Path, key_file: Path) -> None:
    source, out = put(tmp_path / "in", a__1=picture(0, 1), b__1=picture(0, 2)), tmp_path / "out"
    (source / "Waldteufel, Emil").mkdir()
    run(source, out, key_file)
    assert folders_below(out) == {"a", "b", "Waldteufel, Emil"}
    cut = picture(1, 3, PatientName="Waldteufel^Emil")
    put(source, **{"Waldteufel, Emil__1": cut[:300], "b__2": cut[:300]})
    for _ in range(2):
        assert run(source, out, key_file)["code"] == 1
        run(source, tmp_path / "whole", key_file)
        assert state(out) == state(tmp_path / "whole")
        assert "b" in folders_below(out)
        assert not any("Waldteufel" in name for name in folders_below(out))
    put(source, **{"Waldteufel, Emil__1": picture(0, 3)})
    run(source, out, key_file)
    assert folders_below(out) == {"a", "b", "Waldteufel, Emil"}
    put(source, b__1=cut[:300])
    run(source, out, key_file)
    assert "b" not in folders_below(out)


def test_a_name_goes_when_a_run_ends_early_that_met_its_patient(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = put(tmp_path / "in", Waldteufel__1=picture(0, 1)), tmp_path / "out"
    words = ("--extract", "main")
    run(source, out, key_file, *words)
    put(
        source, Waldteufel__2=picture(1, 2, PatientName="Waldteufel^Emil"), z__3=picture(0, 3)[:-7], zz__4=picture(0, 4)
    )
    with monkeypatch.context() as patch:
        patch.setattr("dicom_anon.fanout.HERE_FILES", 1)
        assert run(source, out, key_file, "--on-error", "fail", *words)["folder-names-pending"] == 1
    assert len(files_below(out)) == 3
    assert not any("Waldteufel" in name for name in folders_below(out))
    run(source, out, key_file, *words)
    run(source, tmp_path / "whole", key_file, *words)
    assert state(out) == state(tmp_path / "whole")


def test_a_name_goes_before_all_else_when_a_run_was_killed_that_met_its_patient(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = put(tmp_path / "in", Waldteufel__1=picture(0, 1)), tmp_path / "out"
    run(source, out, key_file)
    put(source, Waldteufel__2=picture(1, 2, PatientName="Waldteufel^Emil"))
    key, private = key_file.read_bytes(), RunFolder(tmp_path / "out.private")
    for killed_in in ("settle", "undone"):  # at its end, and the next one at its beginning
        with monkeypatch.context() as patch:
            patch.setattr(Destination, killed_in, Mock(side_effect=SystemError))
            with pytest.raises(SystemError):
                anonymize_tree(source, out, key=key, run_folder=private, jobs=1)
    assert not any("Waldteufel" in name for name in folders_below(out))
    assert run(source, out, key_file) == {"code": 0, "written": 0, "unchanged": 2, "folder-name-replaced": 1}


def test_a_name_that_cannot_be_taken_away_is_told(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = put(tmp_path / "in", Grubenwald__IM1=picture(1, 1)), tmp_path / "out"
    run(source, out, key_file)
    assert files_below(out) == ["Grubenwald/IM1.dcm"]
    put(source, Grubenwald__IM2=picture(0, 2))
    with monkeypatch.context() as patch:
        with_scandir_failing(patch, out)
        told = run(source, out, key_file)
    assert (told["code"], told["written"], told["folder-names-left"]) == (1, 1, 1)
    assert run(source, out, key_file)["code"] == 0
    assert "Grubenwald" not in str(folders_below(out))


# Outputs that wanted one name


ONE_NAME = [("--layout", "study"), ("--names", "uid")]


def twins(source: Path, **changes: object) -> Path:
    """Two images that want one name; which of them gets it is up to the key."""
    same = {"SOPInstanceUID": "1.2.826.0.1.3680043.10.77.9", "InstanceNumber": 1}
    return put(source, a=picture(0, 1, **same, Rows=1, Columns=16), b=picture(0, 1, **same, **changes))


@pytest.mark.parametrize("options", [*ONE_NAME, ("--layout", "study", "--crosswalk", "table.csv")])
def test_an_output_that_a_power_cut_left_empty_is_done_again_under_its_name(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    source, out = put(tmp_path / "in", a=picture(0, 1), b=picture(0, 2), c=picture(1, 3)), tmp_path / "out"
    run(source, out, key_file, *options)
    before, lost = contents(out), [output_of(number, out) for number in (2, 3)]
    for path in lost:
        path.write_bytes(b"")
    assert run(source, out, key_file, *options, "--dry-run")["written"] == 2
    assert run(source, out, key_file, *options) == {"code": 0, "written": 2, "unchanged": 1}
    assert {name: content for name, content in contents(out).items() if "task" not in name} == {
        name: content for name, content in before.items() if "task" not in name
    }
    assert run(source, out, key_file, *options) == {"code": 0, "written": 0, "unchanged": 3}


def images_in(out: Path) -> list[str]:
    return [name for name in files_below(out) if name.endswith(".dcm")]


def columns(out: Path) -> list[int]:
    return sorted(read(out / name).Columns for name in images_in(out))


def failing(*_: object) -> Any:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize("fault", ["read", "look", "gone"])
@pytest.mark.parametrize("options", [("--names", "uid"), ("--layout", "study"), ()])
def test_outputs_that_cannot_be_seen_for_a_time_are_not_made_twice(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], fault: str
) -> None:
    source, out = put(tmp_path / "in", IM1=picture(0, 1), IM2=picture(1, 2)), tmp_path / "out"
    run(source, out, key_file, *options)
    before = state(out)
    for name in files_below(out):
        os.utime(out / name, (1e9, 1e9))  # written long ago
    look, done = os.stat, Manifest.done

    def fail_below(path: Any, **more: Any) -> os.stat_result:
        return failing() if str(path).startswith(f"{out}{os.sep}") else look(path, **more)

    def pulled_out(*known: Any, **more: Any) -> dict[str, str]:
        out.rename(tmp_path / "elsewhere")
        return done(*known, **more)

    with monkeypatch.context() as patch:
        if fault == "read":
            patch.setattr(arrange, "read_output", failing)
        elif fault == "look":
            patch.setattr(os, "stat", fail_below)
        else:
            patch.setattr(Manifest, "done", pulled_out)
        told = run(source, out, key_file, *options)
    if fault == "gone":
        assert not out.exists()
        (tmp_path / "elsewhere").rename(out)
    is_seen = told["unchanged"] == 2 or not (options or fault == "gone")  # without options names stay what they were
    assert told["code"] == (0 if is_seen else 1)
    assert run(source, out, key_file, *options)["code"] == 0
    assert state(out)[0].keys() == before[0].keys()
    assert run(source, out, key_file, *options)["unchanged"] == 2


def test_a_destination_that_has_gone_at_the_end_has_not_got_its_names(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = put(tmp_path / "in", IM1=picture(0, 1)), tmp_path / "out"
    settle = Destination.settle

    def pulled_out(*known: Any, **more: Any) -> None:
        out.rename(tmp_path / "elsewhere")
        settle(*known, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Destination, "settle", pulled_out)
        told = run(source, out, key_file, "--layout", "study")
    assert (told["code"], told["written"], told["folder-names-pending"]) == (1, 1, 1)
    (tmp_path / "elsewhere").rename(out)
    assert run(source, out, key_file, "--layout", "study")["unchanged"] == 1
    assert [os.path.basename(name) for name in images_in(out)] == ["00001.dcm"]


def test_an_output_that_cannot_be_looked_at_is_not_lost(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = put(tmp_path / "in", IM1=picture(0, 1), IM2=picture(1, 2)), tmp_path / "out"
    run(source, out, key_file)
    (source / "IM1.dcm").unlink()
    stat, lstat = os.stat, os.lstat
    with monkeypatch.context() as patch:
        for name, look in (("stat", stat), ("lstat", lstat)):
            patch.setattr(os, name, lambda path, look=look, **m: failing() if path == f"{out}/IM1.dcm" else look(path))
        run(source, out, key_file)
    told = run(source, out, key_file)
    assert (told["unchanged"], told["outputs-without-source"]) == (1, 1)


@pytest.mark.parametrize("options", [(), ("--names", "uid"), ("--layout", "study")])
def test_an_output_that_cannot_be_removed_stays_on_record(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    source, out = put(tmp_path / "in", Li=picture(0, 1), IM2=picture(1, 2)), tmp_path / "out"
    run(source, out, key_file, *options)
    before = images_in(out)
    (source / "Li.dcm").write_bytes(picture(2, 3))
    unlink = os.unlink

    def fail(path: str) -> None:
        if output.PART_PREFIX not in os.fspath(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))  # as where somebody looks at it, on Windows
        unlink(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", fail)
        told = run(source, out, key_file, *options)
    assert (told["code"], told["written"], told["unchanged"], images_in(out)) == (1, 0, 1, before)
    listed = (tmp_path / "out.private/not-written.csv").read_text().splitlines()
    assert listed[1:] == ["Li.dcm,failed,write-failed,"]
    assert run(source, out, key_file, *options)["code"] == 0
    run(source, tmp_path / "whole", key_file, *options)
    assert images_in(out) == images_in(tmp_path / "whole")


def test_a_series_that_cannot_be_read_has_not_got_its_folder_yet(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = put(tmp_path / "in", IM1=picture(0, 1)), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(arrange, "read_output", failing)
        told = run(source, out, key_file, "--layout", "study")
    assert (told["code"], told["written"], told["folder-names-pending"]) == (1, 1, 1)
    assert run(source, out, key_file, "--layout", "study")["code"] == 0
    run(source, tmp_path / "whole", key_file, "--layout", "study")
    assert images_in(out) == images_in(tmp_path / "whole")


@pytest.mark.parametrize("options", [("--names", "uid"), ("--layout", "study"), ()])
def test_a_source_that_cannot_be_closed_is_written_once(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    source, out = put(tmp_path / "in", IM1=picture(0, 1), IM2=picture(1, 2)), tmp_path / "out"
    write = worker._write

    def write_and_close(target: str, read: BinaryIO, *more: Any) -> None:
        write(target, read, *more)
        os.close(read.fileno())  # so that closing it again is an error

    with monkeypatch.context() as patch:
        patch.setattr(worker, "_write", write_and_close)
        told = run(source, out, key_file, *options)
    assert (told["code"], told["written"]) == (0, 2)
    before = images_in(out)
    told = run(source, out, key_file, *options)
    assert (told["code"], told["unchanged"], images_in(out)) == (0, 2, before)


@pytest.mark.parametrize("options", ONE_NAME)
@pytest.mark.parametrize("kept", ["plain", "coded"])
def test_an_output_is_not_taken_for_the_one_that_wanted_its_name(
    tmp_path: Path, key_file: Path, options: tuple[str, ...], kept: str
) -> None:
    source, out = twins(tmp_path / "in"), tmp_path / "out"
    run(source, out, key_file, *options)
    both = columns(out)
    [lost] = [name for name in images_in(out) if ("-" in os.path.basename(name)) == (kept == "plain")]
    (out / lost).unlink()
    assert run(source, out, key_file, *options) == {"code": 0, "written": 1, "unchanged": 1}
    assert columns(out) == both


@pytest.mark.parametrize("options", ONE_NAME)
def test_a_name_that_another_got_since_is_not_taken_for_the_first_ones(
    tmp_path: Path, key_file: Path, options: tuple[str, ...]
) -> None:
    source, out = twins(tmp_path / "in"), tmp_path / "out"
    second = (source / "b.dcm").read_bytes()
    (source / "b.dcm").unlink()
    run(source, out, key_file, *options)
    [first] = images_in(out)
    (out / first).unlink()
    put(source / "sub", b=second)
    (source / "a.dcm").rename(tmp_path / "a.dcm")
    run(source, out, key_file, *options)
    assert images_in(out) == [first]
    (tmp_path / "a.dcm").rename(source / "a.dcm")
    assert run(source, out, key_file, *options) == {"code": 0, "written": 1, "unchanged": 1}
    assert len(columns(out)) == 2


def test_outputs_in_one_folder_are_found_again(tmp_path: Path) -> None:
    source, private = twins(tmp_path / "in"), RunFolder(tmp_path / "private")
    for unchanged in (0, 2):
        report = anonymize_tree(source, tmp_path / "out", run_folder=private, layout="mercure")
        assert (report.written, report.unchanged) == (2 - unchanged, unchanged)


# Documents


def extracted(out: Path) -> dict[str, int]:
    """Images that each document of extracted data counts."""
    names = [name for name in files_below(out) if name.endswith(".json") and not name.endswith("task.json")]
    return {name: json.loads((out / name).read_text("utf-8"))["NumberOfInstances"] for name in names}


def test_documents_go_with_a_folder_that_is_renamed(tmp_path: Path, key_file: Path) -> None:
    source, out = put(tmp_path / "in", x__Waldteufel__1=picture(0, 1)), tmp_path / "out"
    run(source, out, key_file, "--extract", "main")
    assert list(extracted(out).values()) == [1]
    put(source, x__Waldteufel__2=picture(0, 2), x__Waldteufel__3=picture(1, 3, PatientName="Waldteufel^Emil"))
    run(source, out, key_file, "--extract", "main")
    assert sorted(extracted(out).values()) == [1, 2]
    run(source, tmp_path / "whole", key_file, "--extract", "main")
    assert state(out) == state(tmp_path / "whole")
    assert run(source, out, key_file, "--extract", "main", "--overwrite")["written"] == 3


@pytest.mark.parametrize("options", [(), ("--names", "uid")])
def test_documents_that_are_not_asked_for_any_more_go(tmp_path: Path, key_file: Path, options: tuple[str, ...]) -> None:
    source, out = put(tmp_path / "in", x__1=picture(0, 1)), tmp_path / "out"
    run(source, out, key_file, *options, "--extract", "main")
    put(source, x__2=picture(0, 2))
    assert run(source, out, key_file, *options) == {"code": 0, "written": 1, "unchanged": 1}
    assert extracted(out) == {}
    run(source, tmp_path / "whole", key_file, *options)
    assert state(out) == state(tmp_path / "whole")


def test_what_is_no_image_of_ours_hinders_no_document_of_a_study(tmp_path: Path, key_file: Path) -> None:
    source, out = put(tmp_path / "in", x__1=picture(0, 1)), tmp_path / "out"
    run(source, out, key_file, "--layout", "study")
    images = output_of(1, out).parent
    (images / ".DS_Store").write_bytes(b"of a file manager")
    (images / "notes.txt").write_text("of a reader")
    put(source, x__2=picture(0, 2))
    assert run(source, out, key_file, "--layout", "study") == {"code": 0, "written": 1, "unchanged": 1}
    assert list(extracted(out).values()) == [2]


@pytest.mark.parametrize(
    "options", [("--layout", "study"), ("--names", "uid"), ("--names", "uid", "--extract", "main")]
)
def test_folders_go_when_their_last_image_does(tmp_path: Path, key_file: Path, options: tuple[str, ...]) -> None:
    source, out = put(tmp_path / "in", x__1=picture(0, 1), x__2=picture(1, 2)), tmp_path / "out"
    run(source, out, key_file, *options)
    put(source, x__2=picture(2, 2, PatientComments="a changed source"))
    run(source, out, key_file, *options)
    run(source, tmp_path / "whole", key_file, *options)
    assert folders_below(out) == folders_below(tmp_path / "whole")
    assert files_below(out) == files_below(tmp_path / "whole")
    (source / "x/2.dcm").unlink()
    output_of(2, out).unlink()
    run(source, out, key_file, *options)
    assert len(os.listdir(out)) == 1
