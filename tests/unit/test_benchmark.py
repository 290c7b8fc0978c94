"""The benchmark's corpora are what its tables say, and its ratios are calculated properly.
Not here: any timing.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames

from dicom_anon.fanout import SMALL_BYTES, SMALL_FILES
from tests.benchmark import corpora, report
from tests.benchmark.__main__ import _timed
from tests.benchmark.corpora import RECIPES, START_FILES, START_SHARE, Corpus, build, files_of, start_files, subset
from tests.benchmark.measure import Job, Run, execute, once
from tests.benchmark.report import Row, StartUp, Table, compare, line, row, start_up
from tests.benchmark.tools import ONE_WORKER, TOOLS, Setup, Tool, variant


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("benchmark")


def digests(corpus: Corpus) -> dict[str, str]:
    return {
        str(path.relative_to(corpus.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files_of(corpus.folder)
    }


def objects(corpus: Corpus) -> Iterator[tuple[Path, Dataset]]:
    for path in files_of(corpus.folder):
        yield path, dcmread(path)


def count(ds: Dataset) -> int:
    return sum(1 for _ in ds.iterall())


def depth(ds: Dataset) -> int:
    items = [item for element in ds if element.VR == "SQ" for item in element.value]
    return 1 + max(map(depth, items), default=0)


@pytest.mark.parametrize("name", RECIPES)
def test_two_builds_give_the_same_bytes_in_the_same_folders(name: str, work: Path, tmp_path: Path) -> None:
    first, second = build(work, name, 0.003), build(tmp_path, name, 0.003)
    assert first.files == len(files_of(first.folder))
    assert first.size == sum(path.stat().st_size for path in files_of(first.folder))
    assert digests(first) == digests(second)
    assert len(set(digests(first).values())) == first.files


def test_a_kept_corpus_is_used_again_and_an_unfinished_one_is_not(work: Path, tmp_path: Path) -> None:
    first = build(work, "tiny", 0.001)
    before = {path: path.stat().st_mtime_ns for path in files_of(first.folder)}
    assert build(work, "tiny", 0.001) == first
    assert {path: path.stat().st_mtime_ns for path in files_of(first.folder)} == before
    unfinished = build(tmp_path, "tiny", 0.001)
    unfinished.folder.with_name(f"{unfinished.folder.name}.json").unlink()
    files_of(unfinished.folder)[0].write_bytes(b"")
    assert digests(build(tmp_path, "tiny", 0.001)) == digests(first)


def test_a_corpus_made_in_another_way_is_refused(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(work, "tiny", 0.001)
    monkeypatch.setattr(corpora, "REVISION", corpora.REVISION + 1)
    with pytest.raises(FileExistsError, match="other parameters"):
        build(work, "tiny", 0.001)


def test_scale_multiplies_the_files_and_leaves_at_least_one() -> None:
    assert [RECIPES["ct"].count(scale) for scale in (1, 0.5, 0.005, 0.00001)] == [2000, 1000, 10, 1]
    assert {name: recipe.count(1) for name, recipe in RECIPES.items()} == {
        "ct": 2000, "mr": 4000, "tiny": 10000, "mf": 8, "us": 20,
    }  # fmt: skip


def test_ct_has_about_a_hundred_elements_sequences_and_private_ones(work: Path) -> None:
    for path, ds in objects(build(work, "ct", 0.003)):
        assert 95 <= count(ds) <= 115
        assert 520_000 <= path.stat().st_size <= 530_000
        assert any(element.VR == "SQ" for element in ds)
        assert any(element.tag.is_private for element in ds)
        assert ds.pixel_array.shape == (512, 512)


def test_mr_has_deep_sequences_and_a_private_block(work: Path) -> None:
    recipe = RECIPES["mr"]
    for series in range(recipe.count(1) // recipe.per_series):
        ds = recipe.header(recipe.place(series * recipe.per_series), recipe.frames)
        private = sum(len(e.value) for e in ds if e.tag.is_private and isinstance(e.value, bytes))
        assert 150 <= count(ds) <= 250
        assert 10_000 <= private <= 60_000
        assert depth(ds) >= 5
    for path, ds in objects(build(work, "mr", 0.003)):
        assert 35_000 <= path.stat().st_size <= 85_000
        assert ds.pixel_array.shape == (64, 128)


def test_the_slices_of_a_series_differ_in_a_handful_of_elements(work: Path) -> None:
    first, second = [ds for _, ds in objects(build(work, "mr", 0.003))][:2]
    assert {e.keyword or str(e.tag) for e in first if first[e.tag] != second[e.tag]} == {
        "SOPInstanceUID", "InstanceNumber", "ContentTime", "ImagePositionPatient", "(0029,1010)", "PixelData",
    }  # fmt: skip


def test_tiny_objects_have_no_pixels_and_are_of_four_kinds(work: Path) -> None:
    seen = set()
    for path, ds in objects(build(work, "tiny", 0.02)):
        assert 2000 <= path.stat().st_size <= 3072
        assert "PixelData" not in ds
        seen.add(ds.Modality)
    assert seen == {"SR", "RTPLAN", "CT", "MR"}


def test_multi_frame_objects_keep_their_functional_groups_when_they_shrink(work: Path) -> None:
    corpus = build(work, "mf", 0.003)
    for path, ds in objects(corpus):
        assert len(ds.PerFrameFunctionalGroupsSequence) == ds.NumberOfFrames >= 200
        assert all(20 <= count(group) <= 40 for group in ds.PerFrameFunctionalGroupsSequence)
        assert len(ds.PixelData) == ds.NumberOfFrames * ds.Rows * ds.Columns * 2
        assert path.stat().st_size < 5_000_000
    whole = RECIPES["mf"].frames
    assert 195e6 < whole.number * whole.rows * whole.columns * 2 < 205e6


def test_ultrasound_holds_one_decodable_jpeg_per_frame(work: Path) -> None:
    for path, ds in objects(build(work, "us", 0.003)):
        frames = list(generate_frames(ds.PixelData, number_of_frames=int(ds.NumberOfFrames)))
        assert len(frames) == ds.NumberOfFrames >= 200
        assert all(frame.startswith(b"\xff\xd8\xff") and b"\xff\xfe" not in frame for frame in frames)
        assert {frame.rstrip(b"\0")[-2:] for frame in frames} == {b"\xff\xd9"}
        assert 19e6 < path.stat().st_size < 21e6


@pytest.mark.parametrize("name", RECIPES)
def test_people_studies_and_series_are_where_their_folders_say(name: str, work: Path) -> None:
    identity: dict[Path, tuple[str, str, str]] = {}
    instances = set()
    for path, ds in objects(build(work, name, 0.02 if name == "tiny" else 0.003)):
        ids = (ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID)
        assert identity.setdefault(path.parent, ids) == ids
        assert ds.SOPInstanceUID == ds.file_meta.MediaStorageSOPInstanceUID
        assert all(uid.is_valid for uid in (ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID))
        assert path.parents[2].name == ds.PatientID
        instances.add(ds.SOPInstanceUID)
    assert len(set(identity.values())) == len(identity)
    assert len(instances) == len(files_of(build(work, name, 0.02 if name == "tiny" else 0.003).folder))


def test_a_subset_is_the_first_files_and_takes_no_space(work: Path) -> None:
    corpus = build(work, "tiny", 0.001)
    part = subset(corpus, 4)
    assert part.files == len(files_of(part.folder)) == 2
    for path in files_of(part.folder):
        assert path.samefile(corpus.folder / path.relative_to(part.folder))


def test_the_start_up_trees_are_for_a_pool_wherever_a_corpus_is() -> None:
    assert START_FILES // START_SHARE > SMALL_FILES
    assert [start_files(scale) for scale in (10, 1, 0.05, 0.02, 0.005, 0.00001)] == [10_000, 10_000, 10_000, 200, 50, 2]


def test_the_start_up_trees_are_one_within_the_other(work: Path) -> None:
    small, large = corpora.start_trees(work, 0.001)
    assert (small.files, large.files) == (2, 10)
    assert all((large.folder / path.relative_to(small.folder)).exists() for path in files_of(small.folder))


def tree(files: int, size: int) -> Corpus:
    return Corpus("ct", Path(f"ct-{files}-{size}"), files, size)


FEW, MANY, LARGE = tree(SMALL_FILES, SMALL_BYTES), tree(SMALL_FILES + 1, 1), tree(1, SMALL_BYTES + 1)
CP, ONE, ALL, RUST, *_ = TOOLS
SLOW = TOOLS[-1]


def test_all_workers_start_up_as_one_where_there_is_no_pool() -> None:
    assert [ALL.over(each) for each in (FEW, MANY, LARGE)] == [ONE_WORKER, ALL, ALL]
    assert [ONE.over(each) for each in (FEW, MANY)] == [ONE, ONE]
    assert [RUST.over(each) for each in (FEW, MANY)] == [RUST, RUST]
    basic = variant("basic", ["--config", "basic.json"])
    alone = basic.over(FEW)
    assert basic.over(MANY) is basic
    assert alone.commands(Setup(8, "python"), Path("a"), Path("b"))[0][3:] == [
        "-j",
        "1",
        "-q",
        "--config",
        "basic.json",
    ]


def test_start_up_is_measured_of_what_needs_it_and_of_no_pool_over_a_small_tree() -> None:
    assert _timed([CP, ONE, ALL, RUST, SLOW], MANY) == [ONE, ALL, RUST]
    assert _timed([CP, ONE, ALL, RUST, SLOW], FEW) == [ONE, RUST]
    assert _timed([CP, SLOW], MANY) == []


def script(folder: Path, text: str) -> Tool:
    path = folder / "tool.py"
    path.write_text(text)
    return Tool("stub", "stub", lambda _, a, b: [[sys.executable, str(path), str(a), str(b)]], lambda _: "1")


SETUP = Setup(2, sys.executable)
COPY = "import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2])"


def test_a_run_counts_and_empties_what_was_written(work: Path, tmp_path: Path) -> None:
    corpus = build(work, "tiny", 0.001)
    run = once(Job(script(tmp_path, COPY), corpus), SETUP, tmp_path / "run")
    assert run.problem is None
    assert run.seconds > 0
    assert run.cpu > 0
    assert len(files_of(tmp_path / "run" / "out")) == corpus.files
    assert all(path.stat().st_size == 0 for path in files_of(tmp_path / "run" / "out"))
    assert sum(path.stat().st_size for path in files_of(corpus.folder)) == corpus.size


def test_a_tool_that_links_to_the_source_does_not_lose_the_source(work: Path, tmp_path: Path) -> None:
    corpus = build(work, "tiny", 0.001)
    linking = COPY.replace(")", ", copy_function=__import__('os').link)")
    assert once(Job(script(tmp_path, linking), corpus), SETUP, tmp_path / "run").problem is None
    assert sum(path.stat().st_size for path in files_of(corpus.folder)) == corpus.size


def test_a_tool_that_loses_files_or_fails_is_reported(work: Path, tmp_path: Path) -> None:
    corpus = build(work, "tiny", 0.001)
    loses = script(tmp_path, COPY + "; import pathlib; next(pathlib.Path(sys.argv[2]).rglob('*.dcm')).unlink()")
    assert once(Job(loses, corpus), SETUP, tmp_path / "a").problem == "wrote 9 of 10 files"
    fails = script(tmp_path, COPY + "; sys.exit(3)")
    assert once(Job(fails, corpus), SETUP, tmp_path / "b").problem == "exit code 3, wrote 10 of 10 files"


def test_peak_memory_is_that_of_a_worker_when_the_worker_is_larger(tmp_path: Path) -> None:
    worker = "import time; held = bytearray(b'x') * 80_000_000; time.sleep(0.3)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {worker!r}])"
    run, codes = execute([[sys.executable, "-c", parent]], tmp_path / "log")
    assert codes == [0]
    assert (80e6 < run.worker_peak < 160e6) == Path("/proc/self/status").exists()
    assert run.peak < 80e6


def test_work_of_other_programs_is_seen(tmp_path: Path) -> None:
    spin = "import time; end = time.time() + 0.6\nwhile time.time() < end: pass"
    with subprocess.Popen([sys.executable, "-c", spin]):
        time.sleep(0.1)
        run, _ = execute([[sys.executable, "-c", "import time; time.sleep(0.3)"]], tmp_path / "log")
    assert (run.others > 0.3) == Path("/proc/stat").exists()


def figures(tool: str, files: int, *seconds: float, steady: float | None = None) -> Row:
    return Row(tool, "1", files, files * 1000, seconds, steady=steady)


def test_ratios_are_of_median_rates_whatever_the_number_of_files() -> None:
    cp, own, sampled, dcmanon = compare(
        [
            figures("cp -r", 1000, 1.0, 2.0, 9.0),  # 500 files/s
            figures("own", 1000, 4.0, 4.0, 1.0, steady=300.0),  # 250 files/s
            figures("slow", 100, 10.0, 10.0, 10.0),  # 10 files/s
            figures("dcmanon, 2 processes", 1000, 5.0, 8.0, 10.0, steady=150.0),  # 125 files/s
        ]
    )
    assert cp.ratios == {"cp": 1.0, "dcmanon2": 4.0}
    assert own.ratios == {"cp": 0.5, "dcmanon2": 2.0}
    assert own.best_ratios == {"cp": 1.0, "dcmanon2": 5.0}
    assert own.steady_ratios == {"cp": 0.6, "dcmanon2": 2.0}
    assert sampled.ratios == {"cp": 0.02, "dcmanon2": 0.08}
    assert sampled.steady_ratios == {}
    assert dcmanon.ratios == {"cp": 0.25, "dcmanon2": 1.0}


def test_what_failed_or_is_missing_gives_no_ratio() -> None:
    bad = replace(figures("cp -r", 10, 1.0), problem="exit code 1, wrote 9 of 10 files")
    rows = compare([bad, figures("own", 10, 2.0), Row("dcmanon, 2 processes", None)])
    assert [each.ratios for each in rows] == [{}, {}, {}]


@pytest.mark.parametrize(
    ("small", "large", "expected"),
    [
        ((100, 1.5), (400, 3.0), (1.0, 200.0)),
        ((100, 0.1), (400, 3.0), (0.0, 300 / 2.9)),  # noise: no negative start-up
        ((100, 3.0), (400, 2.0), None),
        ((100, 1.0), (400, 1.05), None),
        ((1, 1.0), (1, 2.0), None),
    ],
)
def test_start_up_comes_from_two_trees(
    small: tuple[int, float], large: tuple[int, float], expected: tuple[float, float] | None
) -> None:
    assert line(small, large) == (None if expected is None else pytest.approx(expected))


def ran(*seconds: float, problem: str | None = None) -> list[Run]:
    return [Run(each, each, 1, 1, problem) for each in seconds]


def test_start_up_comes_from_the_medians_and_not_from_failures() -> None:
    told = start_up("own", {500: ran(1.4, 1.5, 9.0), 2500: ran(3.5, 3.0, 3.6)})
    assert (told.startup, told.steady) == pytest.approx((1.0, 1000.0))
    assert told.seconds == {500: (1.4, 1.5, 9.0), 2500: (3.5, 3.0, 3.6)}
    assert told.spread == pytest.approx(9 / 1.4)
    close = start_up("own", {500: ran(1.4), 2500: ran(1.45)})
    failed = start_up("own", {500: ran(1.4), 2500: ran(3.0, problem="exit code 1")})
    assert [each.startup for each in (close, failed)] == [None, None]
    assert [each.problem for each in (close, failed)] == [None, "exit code 1"]


def test_a_row_holds_the_median_and_the_largest_memory() -> None:
    runs = [Run(seconds, 2 * seconds, 10, peak) for seconds, peak in ((3.0, 5), (2.0, 7), (8.0, 6))]
    made = row(ONE, "1", tree(400, 4_000_000), runs, StartUp("own", {}, 1.0, 500.0))
    assert (made.startup, made.steady) == (1.0, 200.0)
    assert made.rate == pytest.approx(400 / 3)
    assert made.spread == 4.0
    assert (made.peak, made.worker_peak) == (10, 7)
    assert made.cpu_per_1000 == pytest.approx(15)


@pytest.mark.parametrize(
    ("seconds", "startup", "expected"),
    [(3.0, 1.0, 200.0), (1.05, 1.0, None), (0.9, 1.0, None), (3.0, None, None)],
)
def test_the_rate_without_start_up_is_of_what_is_left(
    seconds: float, startup: float | None, expected: float | None
) -> None:
    made = row(ONE, "1", tree(400, 400), ran(seconds), StartUp("own", {}, startup))
    assert (made.startup, made.steady) == (startup, expected)
    assert row(ONE, "1", tree(400, 400), ran(seconds), None).steady is None


def test_the_report_says_whose_start_up_a_row_has_and_what_a_file_takes_after_it(tmp_path: Path) -> None:
    starts = [
        start_up("dicom-anon, 1 worker", {500: ran(1.4), 2500: ran(5.4)}),
        start_up("dicom-anon, all workers", {500: ran(1.4), 2500: ran(3.4)}),
        start_up("dcmanon, 1 process", {500: ran(0.1), 2500: ran(0.15)}),
        start_up("dcmanon, 2 processes", {500: ran(0.1, problem="exit code 1"), 2500: ran(0.2)}),
    ]
    small = Table(FEW, "few", compare([row(ALL, "1", FEW, ran(1.2), starts[0]), row(ONE, "1", FEW, ran(1.2), None)]))
    large = Table(MANY, "many", compare([row(ALL, "1", MANY, ran(1.702), starts[1])]))
    lines = report.as_markdown(report.machine(tmp_path), 1, starts, [small, large]).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| dic")]
    assert [each[3:] for each in cells[:2]] == [["0.40", "2"], ["0.90", "1"]]
    assert [each[5:7] for each in cells[2:]] == [["0.40 in process", "2"], ["", ""], ["0.90", "2"]]
    assert "| dcmanon, 1 process | 0.1 (0.1 - 0.1) | 0.15 (0.15 - 0.15) | too short to tell |  |" in lines
    assert "| dcmanon, 2 processes | FAILED: exit code 1 |  |  |  |" in lines
    plain = report.as_json({}, {}, starts, [small])["start_ups"]
    assert isinstance(plain, list)
    assert plain[0]["seconds"] == [{"files": 500, "seconds": (1.4,)}, {"files": 2500, "seconds": (5.4,)}]


@pytest.mark.parametrize(
    ("runs", "others", "expected"),
    [
        ((1.0, 1.6), 0.0, "**Too noisy to tell**: runs differ up to 1.60-fold"),
        ((1.0, 1.4), 0.3, "**Too noisy to tell**: runs differ up to 1.40-fold"),
        ((1.0, 1.4), 0.1, "Noise: runs differ up to 1.40-fold; other programs kept up to 0.10 processors busy."),
    ],
)
def test_the_report_says_when_start_ups_were_too_noisy(
    runs: tuple[float, ...], others: float, expected: str, tmp_path: Path
) -> None:
    told = replace(start_up("own", {500: ran(*runs), 2500: ran(3.0)}), others=others)
    assert expected in report.as_markdown(report.machine(tmp_path), 1, [told], [])


@pytest.mark.parametrize(
    ("seconds", "others", "expected"),
    [
        ((1.0, 1.6), 0.0, "**Too noisy to tell**: the runs of `cp -r` differ 1.60-fold"),
        ((1.0, 1.4), 0.3, "**Too noisy to tell**: the runs of `cp -r` differ 1.40-fold"),
        ((1.0, 1.4), 0.1, "Noise: the runs of `cp -r` differ 1.40-fold"),
    ],
)
def test_the_report_says_when_the_machine_was_too_noisy(
    seconds: tuple[float, ...], others: float, expected: str, tmp_path: Path
) -> None:
    busy = replace(figures("own", 10, 1.0), others=others)
    rows = compare([figures("cp -r", 10, *seconds), busy, Row("dicognito", None)])
    table = Table(Corpus("ct", Path("ct"), 10, 10_000), "CT slices", rows)
    text = report.as_markdown(report.machine(tmp_path), len(seconds), [], [table])
    assert expected in text
    assert "| dicognito | not installed |" in text
    noise = report.as_json({}, {}, [], [table])["corpora"]
    assert isinstance(noise, list)
    assert noise[0]["cp_spread"] == max(seconds)
