"""Readiness of prefixes that a test makes by hand."""

import json
from pathlib import Path

import pytest

from daemon.host.retries import Retry
from daemon.prefix.finding import Finding
from daemon.prefix.generation import definition_digest
from daemon.prefix.manifest import MANIFEST_NAME
from daemon.prefix.mark import Mark, write_mark
from daemon.prefix.prefix import Prefix
from daemon.upkeep.readiness import Known, Readiness, read_readiness, readiness_text
from gens.catalog import Catalog
from gens.errors import DefinitionError
from gens.generation import Environment, Generation, Inputs, Toolkit

_INPUTS = Inputs("3.11.10", "x86_64-manylinux_2_28", "2026-11-01T00:00:00Z", ("numpy",))
_PLAIN = Environment("3.11", "3.11.10", _INPUTS)
_TORCH = Environment("3.11", "3.11.10", _INPUTS, "2.4.1", "cpu")
_CUDA = Toolkit("cuda", "12.4", "12.4.1", _INPUTS)


def _generation(number: int) -> Generation:
    return Generation(
        number,
        "x86_64-manylinux_2_28",
        "2026-11-01T00:00:00Z",
        {"3.11": "3.11.10"},
        (_PLAIN, _TORCH),
        (_CUDA,),
    )


_CATALOG = Catalog((_generation(0), _generation(1)), Path("nowhere"))


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    return Prefix(tmp_path)


def _stand(prefix: Prefix, generation: Generation, *, sealed: bool = True, without: str = "") -> None:
    directory = prefix.generation(generation.directory_name)
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for target in generation.targets:
        if target.name == without:
            continue
        tree = directory / target.name
        if isinstance(target, Toolkit):
            tree = prefix.toolkits / target.directory_name
            (directory / target.name).parent.mkdir(parents=True, exist_ok=True)
            (directory / target.name).symlink_to(f"../../cuda/{target.directory_name}")
        tree.mkdir(parents=True, exist_ok=True)
        (tree / MANIFEST_NAME).write_bytes(b"")
    prefix.environments_file(generation.directory_name).write_bytes(b"")
    if sealed:
        mark = {
            "generation": generation.id,
            "definition": definition_digest(generation),
            "environments": empty,
            "manifests": {target.name: empty for target in generation.targets},
        }
        prefix.sealed_mark(generation.directory_name).write_text(json.dumps(mark))


def _latest(prefix: Prefix, name: str) -> None:
    prefix.latest.symlink_to(name)


def _read(prefix: Prefix, known: Known | None = None, only: tuple[str, ...] = ()) -> Readiness:
    return read_readiness(prefix, _CATALOG, None, None, known or Known({}, {}), only)


def test_a_prefix_that_does_not_exist_is_not_ready(tmp_path: Path) -> None:
    readiness = _read(Prefix(tmp_path / "nowhere"))
    assert not readiness.ready
    assert readiness.reasons[-1] == "latest: names nothing instead of g00001"


def test_all_sealed_and_latest_at_the_newest_is_ready(prefix: Prefix) -> None:
    for generation in _CATALOG.generations:
        _stand(prefix, generation)
    _latest(prefix, "g00001")
    assert _read(prefix).ready


def test_before_the_first_scan_nothing_is_ready_and_older_findings_count(prefix: Prefix) -> None:
    for generation in _CATALOG.generations:
        _stand(prefix, generation)
    _latest(prefix, "g00001")
    finding = Finding("monobase/g00000/python3.11", "lib/x.py", "changed")
    readiness = _read(prefix, Known({}, {"g00000": [finding]}, scanned=False))
    assert readiness.reasons == (
        "g00001: its files were not looked at yet since the daemon started",
        f"g00000: 1 difference from what was sealed: {finding}",
    )


def test_latest_at_an_older_one_is_not_ready(prefix: Prefix) -> None:
    for generation in _CATALOG.generations:
        _stand(prefix, generation)
    _latest(prefix, "g00000")
    assert _read(prefix).reasons == ("latest: names g00000 instead of g00001",)


def test_a_complete_generation_without_its_mark_is_not_ready(prefix: Prefix) -> None:
    _stand(prefix, _generation(0))
    _stand(prefix, _generation(1), sealed=False)
    _latest(prefix, "g00001")
    assert _read(prefix).reasons == ("g00001: complete, not sealed yet",)


def test_what_is_missing_is_named_with_why(prefix: Prefix) -> None:
    _stand(prefix, _generation(0))
    _stand(prefix, _generation(1), sealed=False, without=_TORCH.name)
    _latest(prefix, "g00001")
    readiness = _read(prefix, Known({f"g00001/{_TORCH.name}": "the index lost it"}, {}))
    assert readiness.reasons == (f"g00001: 2 of 3 ready; missing: {_TORCH.name} (the index lost it)",)
    assert [target.state for target in readiness.generations[0].targets] == ["ready", "failed", "ready"]


def test_what_keeps_all_from_being_installed_is_said(prefix: Prefix) -> None:
    assert _read(prefix, Known({}, {}, general="no space left")).reasons[-1] == "no space left"


def test_damage_that_a_scan_found_takes_readiness_away(prefix: Prefix) -> None:
    for generation in _CATALOG.generations:
        _stand(prefix, generation)
    _latest(prefix, "g00001")
    finding = Finding("cuda/cuda-12.4.1", "bin/ptxas", "changed")
    readiness = _read(prefix, Known({}, {"g00000": [finding]}))
    assert not readiness.ready
    assert "changed: cuda/cuda-12.4.1/bin/ptxas" in readiness.reasons[0]
    assert [target.state for target in readiness.generations[1].targets] == ["ready", "ready", "damaged"]


def test_a_manifest_that_is_not_the_one_of_the_sealing_is_seen_at_once(prefix: Prefix) -> None:
    for generation in _CATALOG.generations:
        _stand(prefix, generation)
    _latest(prefix, "g00001")
    (prefix.generation("g00001") / _PLAIN.name / MANIFEST_NAME).write_bytes(b"other")
    readiness = _read(prefix)
    assert not readiness.ready
    assert [target.state for target in readiness.generations[0].targets] == ["damaged", "ready", "ready"]


def test_a_mark_that_is_damaged_or_from_another_definition_is_said(prefix: Prefix) -> None:
    for generation in _CATALOG.generations:
        _stand(prefix, generation)
    _latest(prefix, "g00001")
    prefix.sealed_mark("g00001").write_text("{")
    other = Mark(generation=0, definition="sha256:0", environments="0" * 64, manifests={})
    write_mark(prefix.sealed_mark("g00000"), other)
    reasons = _read(prefix).reasons
    assert "is damaged" in reasons[0]
    assert "another definition" in reasons[1]


def test_a_part_that_was_asked_for_is_ready_without_a_seal(prefix: Prefix) -> None:
    for generation in _CATALOG.generations:
        _stand(prefix, generation, sealed=False, without=_TORCH.name)
    only = (_PLAIN.name, _CUDA.name)
    readiness = _read(prefix, only=only)
    assert readiness.ready
    assert readiness.generations[0].targets[1].state == "left out"
    assert not _read(prefix).ready


def test_what_was_left_out_is_not_counted_as_ready(prefix: Prefix) -> None:
    assert "0 of 1 ready; missing: " in _read(prefix, only=(_TORCH.name,)).reasons[0]


def test_a_generation_whose_files_could_not_be_looked_at_is_not_ready(prefix: Prefix) -> None:
    for generation in _CATALOG.generations:
        _stand(prefix, generation)
    _latest(prefix, "g00001")
    readiness = _read(prefix, Known({}, {}, unchecked={"g00000": "Input/output error"}))
    assert readiness.reasons == ("g00000: its files could not be looked at: Input/output error",)


def test_a_generation_that_failed_as_a_whole_says_so_once(prefix: Prefix) -> None:
    _stand(prefix, _generation(0))
    readiness = _read(prefix, Known({"g00001": "its lock"}, {}))
    assert readiness.reasons[0] == "g00001: its lock"
    assert {target.state for target in readiness.generations[0].targets} == {"failed"}
    _stand(prefix, _generation(1))
    _latest(prefix, "g00001")
    assert _read(prefix, Known({"g00001": "its lock"}, {})).ready


def test_what_is_tried_again_is_told_whether_or_not_the_node_is_ready(prefix: Prefix) -> None:
    for generation in _CATALOG.generations:
        _stand(prefix, generation)
    _latest(prefix, "g00001")
    retries = (Retry("features", 1, "read-only", 1_700_000_000),)
    assert readiness_text(_read(prefix, Known({}, {}, retries=retries))) == (
        "ready: g00001 g00000, latest g00001\n"
        "features failed once, next try at 2023-11-14 22:13:20 UTC: read-only\n"
    )


def test_a_definition_that_cannot_be_read_is_a_reason(prefix: Prefix) -> None:
    catalog = Catalog((_generation(0),), Path("nowhere"), {1: DefinitionError("g00001.json: no JSON")})
    _stand(prefix, _generation(0))
    _latest(prefix, "g00000")
    assert read_readiness(prefix, catalog, None, None).reasons == ("g00001: g00001.json: no JSON",)
    assert read_readiness(prefix, catalog, None, 0).ready


def test_a_range_without_a_generation_is_an_error(prefix: Prefix) -> None:
    with pytest.raises(DefinitionError):
        read_readiness(prefix, _CATALOG, 7, None)
