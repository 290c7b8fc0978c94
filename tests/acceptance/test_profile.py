"""PS3.15 Annex E over whole trees: the basic profile, each of its options, and the archive's choice of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dicom_anon.sample import Sample
from dicom_anon.standard import PROFILE_OPTIONS
from tests.acceptance.command import call, read
from tests.acceptance.conftest import Deliver
from tests.acceptance.test_privacy import leaks

PROFILES = {
    "basic": ("--preset", "basic"),
    **{option: ("--preset", "basic", "--profile-option", option) for option in PROFILE_OPTIONS},
    "tcia": ("--preset", "tcia"),
}
RETAINING = {name for name in PROFILES if name.startswith("retain")} | {"tcia"}


@pytest.mark.parametrize("name", sorted(PROFILES.keys() - RETAINING))
@pytest.mark.parametrize("tree", ["sample_in"])
def test_what_retains_nothing_leaves_no_planted_identifier(
    deliver: Deliver, request: pytest.FixtureRequest, sample: Sample, tree: str, name: str
) -> None:
    delivery = deliver(request.getfixturevalue(tree), *PROFILES[name])
    assert delivery.done.code == 0
    assert len(delivery.files) == sample.files
    assert leaks(delivery, sample.planted + sample.dates) == {}


@pytest.mark.parametrize(
    ("tree", "name"),
    [*(("sample_in", name) for name in sorted(PROFILES)), ("real_in", "basic"), ("real_in", "tcia")],
)
def test_the_independent_look_finds_nothing(
    request: pytest.FixtureRequest, tmp_path: Path, tree: str, name: str
) -> None:
    source, destination = request.getfixturevalue(tree), tmp_path / "out"
    assert call(source, destination, *PROFILES[name], "-q").code in (0, 1)  # real files may be truncated
    done = call("verify", source, destination, *PROFILES[name], "--json", "-")
    found = json.loads(done.out)
    assert found["findings"] == []
    assert done.code == 0
    assert found["checked"] >= 50
    assert found["identifiers"] > 100


@pytest.mark.parametrize(
    ("name", "modified"),
    [
        ("basic", "REMOVED"),
        ("retain_full_dates", "UNMODIFIED"),
        ("retain_modified_dates", "MODIFIED"),
        ("tcia", "MODIFIED"),
    ],
)
def test_every_output_states_what_was_done(
    deliver: Deliver, request: pytest.FixtureRequest, name: str, modified: str
) -> None:
    delivery = deliver(request.getfixturevalue("sample_in"), *PROFILES[name])
    for content in delivery.files.values():
        made = read(content)
        codes = {item.CodeValue for item in made.DeidentificationMethodCodeSequence}
        assert "113100" in codes
        assert ("113107" in codes) == (modified == "MODIFIED")
        assert ("113106" in codes) == (modified == "UNMODIFIED")
        assert made.LongitudinalTemporalInformationModified == modified
