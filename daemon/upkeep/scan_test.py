"""Scans of fake prefixes."""

import os
import threading
from pathlib import Path

import pytest

from daemon.prefix.finding import Finding
from daemon.upkeep.scan import ScanInterruptedError, describe, scan
from tests.fake_prefix.fake_prefix import INTERPRETER, SITE_PACKAGES, FakePrefix

_CUDNN = "cudnn-9.1.0.70-cuda12"
_SECOND_NS = 1_000_000_000


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.install(0)
    return fake


def _scan(fake: FakePrefix, *, full: bool = False, warnings: list[str] | None = None) -> dict[str, list[str]]:
    told: list[str] = [] if warnings is None else warnings
    names = fake.prefix.installed_generations()
    found = scan(fake.prefix, names, full=full, jobs=1, stop=lambda: False, warn=told.append)
    return {
        name: [f"{item.kind} {item.tree}/{item.path}" for item in of_one] for name, of_one in found.items()
    }


def _write_into(path: Path, later_ns: int) -> None:
    """Change a byte of a file, without changing its size, and set its time of modification."""
    before = path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.write(b"~")
    os.utime(path, ns=(before, before + later_ns))


def test_a_scan_of_undamaged_generations_finds_and_warns_of_nothing(fake: FakePrefix) -> None:
    fake.install(1)
    warnings: list[str] = []
    assert _scan(fake, warnings=warnings) == {}
    assert _scan(fake, full=True, warnings=warnings) == {}
    assert warnings == []


def test_a_scan_reads_what_was_written_to_after_the_tree_was_made(fake: FakePrefix) -> None:
    path = f"{SITE_PACKAGES}/alpha/data"
    _write_into(fake.tree(0) / path, 3600 * _SECOND_NS)
    assert _scan(fake) == {"g00000": [f"changed monobase/g00000/{fake.environment}/{path}"]}


def test_only_a_full_scan_finds_what_kept_its_size_and_time(fake: FakePrefix) -> None:
    _write_into(fake.tree(0) / SITE_PACKAGES / "alpha" / "data", 0)
    assert _scan(fake) == {}
    assert list(_scan(fake, full=True)) == ["g00000"]


def test_a_scan_finds_what_is_missing_or_extra_in_an_interpreter(fake: FakePrefix) -> None:
    (fake.interpreter / "bin" / "extra").write_text("")
    module = next(fake.interpreter.rglob("os.py"))
    _write_into(module, 3600 * _SECOND_NS)
    assert sorted(_scan(fake)["g00000"]) == [
        f"changed uv/python/{INTERPRETER}/{module.relative_to(fake.interpreter)}",
        f"extra uv/python/{INTERPRETER}/bin/extra",
    ]


def test_damage_of_a_shared_tree_counts_for_each_generation_that_uses_it(fake: FakePrefix) -> None:
    fake.install(1)
    (fake.prefix.toolkits / _CUDNN / "include" / "cudnn.h").unlink()
    finding = f"missing cuda/{_CUDNN}/include/cudnn.h"
    assert _scan(fake) == {"g00000": [finding], "g00001": [finding]}


def test_a_tree_that_lost_its_manifest_is_read_as_a_whole(fake: FakePrefix) -> None:
    (fake.tree(0) / ".manifest").unlink()
    kinds = {text.partition(" ")[0] for text in _scan(fake)["g00000"]}
    assert kinds == {"missing", "unreadable"}


def test_what_only_a_person_can_put_right_is_a_warning_and_no_damage(fake: FakePrefix) -> None:
    (fake.prefix.generation("g00000") / "lost+found").mkdir()
    warnings: list[str] = []
    assert _scan(fake, warnings=warnings) == {}
    (text,) = warnings
    assert text.startswith("extra: monobase/g00000/lost+found: ")


def test_only_a_full_scan_looks_into_the_stores_and_warns_of_what_is_wrong_there(fake: FakePrefix) -> None:
    (fake.prefix.toolkits / "stray").write_text("")
    warnings: list[str] = []
    assert _scan(fake, warnings=warnings) == {}
    assert warnings == []
    assert _scan(fake, full=True, warnings=warnings) == {}
    assert warnings == ["extra: cuda/stray"]


def test_a_generation_of_a_newer_format_is_a_finding_and_one_being_removed_is_none(fake: FakePrefix) -> None:
    fake.install(1)
    fake.make_newer(1)
    fake.retire(0)
    assert _scan(fake) == {"g00001": ["newer monobase/g00001/.done"]}


def test_a_scan_that_is_told_to_stop_ends_before_the_next_tree(fake: FakePrefix) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(ScanInterruptedError):
        scan(fake.prefix, ["g00000"], full=False, jobs=1, stop=stop.is_set)


def test_a_finding_that_several_generations_have_is_described_once() -> None:
    shared, own = Finding("cuda/cuda-12.4.1", "x", "missing"), Finding("monobase/g00001", "y", "extra")
    assert describe({"g00000": [shared], "g00001": [shared, own]}) == [str(shared), str(own)]
