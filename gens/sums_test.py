"""gens.sum: the seals of published generations."""

from dataclasses import replace
from pathlib import Path

import pytest

from gens.errors import SumsError
from gens.generation import Environment, Generation, Inputs
from gens.sums import broken_seals, format_sums, make_seal, read_sums

INPUTS = Inputs("3.11.10", "x86_64-manylinux_2_28", "2026-11-01T00:00:00Z", ("pip",))
GENERATION = Generation(
    id=3,
    platform=INPUTS.platform,
    exclude_newer=INPUTS.exclude_newer,
    python={"3.11": "3.11.10"},
    environments=(Environment("3.11", "3.11.10", INPUTS),),
    cudnn={"9": "9.1.0.70"},
)
LOCKS = {"python3.11.txt": "a lock\n", "cuda12.4.txt": "another\n"}
SEAL = make_seal(GENERATION, LOCKS)


def test_sums_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "gens.sum"
    sums = {3: SEAL, 0: make_seal(replace(GENERATION, id=0), {})}
    path.write_text(format_sums(sums))
    assert read_sums(path) == sums
    assert format_sums(read_sums(path)) == path.read_text()


def test_no_file_seals_nothing(tmp_path: Path) -> None:
    assert read_sums(tmp_path / "gens.sum") == {}


def test_nothing_breaks_the_seal_of_what_is_unchanged() -> None:
    assert broken_seals(GENERATION, SEAL, make_seal(GENERATION, LOCKS)) == []


def test_a_changed_lock_is_named() -> None:
    (message,) = broken_seals(GENERATION, SEAL, make_seal(GENERATION, LOCKS | {"cuda12.4.txt": "edited\n"}))
    assert message.startswith("gens/g00003/cuda12.4.txt is sealed with sha256:")


def test_a_removed_lock_is_named() -> None:
    (message,) = broken_seals(GENERATION, SEAL, make_seal(GENERATION, {"python3.11.txt": "a lock\n"}))
    assert message.startswith("gens/g00003/cuda12.4.txt is sealed with sha256:")
    assert message.endswith("but is gone")


def test_an_added_lock_is_named() -> None:
    (message,) = broken_seals(GENERATION, SEAL, make_seal(GENERATION, LOCKS | {"cuda12.6.txt": "new\n"}))
    assert message == "gens/g00003/cuda12.6.txt was added after the generation was sealed"


def test_a_changed_field_of_the_definition_is_named() -> None:
    changed = replace(GENERATION, cudnn={"9": "9.1.1.17"})
    (message,) = broken_seals(changed, SEAL, make_seal(changed, LOCKS))
    assert message.startswith("gens/prod.bzl: generation 3: cudnn is sealed with sha256:")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("g3 cudnn sha256:" + "0" * 64, ":1: expected 'g00003 FIELD-OR-LOCK sha256:…'"),
        ("# fine\n\ng00003 cudnn 0000", ":3: expected"),
        (("g00003 cudnn sha256:" + "0" * 64 + "\n") * 2, ":2: cudnn is sealed twice"),
    ],
)
def test_a_malformed_line_is_refused_with_file_and_number(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "gens.sum"
    path.write_text(text)
    with pytest.raises(SumsError) as refused:
        read_sums(path)
    assert f"{path}{reason}" in str(refused.value)
