"""The readiness of fake prefixes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.host.retries import Retry
from daemon.prefix.finding import Finding
from daemon.prefix.generation import is_present
from daemon.prefix.mark import Mark, write_mark
from daemon.prefix.prefix import Prefix
from daemon.upkeep import readiness as module
from daemon.upkeep.readiness import Known, Readiness, read_readiness, readiness_text
from gens.errors import DefinitionError
from gens.selection import EVERYTHING, Selection
from tests.fake_prefix.fake_prefix import INTERPRETER, FakePrefix
from tests.synthetic.catalog import PYTHON, environment_cell, toolkit_cell

_PLAIN = f"python{PYTHON}"
_TORCH = f"python{PYTHON}-torch2.4.1-cpu"
_CUDA = "cuda12.4"


class _Node(FakePrefix):
    """A fake prefix with two definitions: an environment without Torch, one with it, and a toolkit."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        alpha = self.wheel("alpha")
        nvcc = self.wheel("nvidia-cuda-nvcc-cu12", files={"nvidia/cuda_nvcc/bin/ptxas": b"\x7fELF"})
        for number in range(2):
            cells = (
                environment_cell([alpha]),
                environment_cell([alpha], "2.4.1"),
                toolkit_cell([nvcc], "12.4.1"),
            )
            self.define(number, *cells)

    def install_both(self) -> None:
        """Publish and seal both generations, and let `latest` name the newer one."""
        for number in range(2):
            self.publish(number)
            self.seal(number)
        self.point_latest(1)

    def read(self, known: Known | None = None, selection: Selection = EVERYTHING) -> Readiness:
        """Read the readiness of both."""
        return read_readiness(self.prefix, self.catalog, None, None, known or Known({}, {}), selection)


@pytest.fixture
def node(tmp_path: Path) -> _Node:
    return _Node(tmp_path)


@pytest.fixture
def installed(node: _Node) -> _Node:
    node.install_both()
    return node


def _states(readiness: Readiness, index: int = 0) -> list[str]:
    return [target.state for target in readiness.generations[index].targets]


def test_a_prefix_that_does_not_exist_is_not_ready(node: _Node, tmp_path: Path) -> None:
    readiness = read_readiness(Prefix(tmp_path / "nowhere"), node.catalog, None, None)
    assert not readiness.ready
    assert readiness.reasons[-1] == "latest: names nothing instead of g00001"
    assert readiness_text(readiness).startswith("not ready\ng00001: 0 of 3 ready; missing: ")


def test_all_sealed_and_latest_at_the_newest_is_ready(installed: _Node) -> None:
    assert installed.read().ready


def test_before_the_first_scan_nothing_is_ready_and_older_findings_count(installed: _Node) -> None:
    finding = Finding(f"monobase/g00000/{_PLAIN}", "lib/x.py", "changed")
    readiness = installed.read(Known({}, {"g00000": [finding]}, scanned=False))
    assert readiness.reasons == (
        "g00001: its files have not been scanned since the daemon started",
        f"g00000: 1 difference from what was sealed: {finding}",
    )


def test_latest_at_an_older_one_is_not_ready(installed: _Node) -> None:
    installed.point_latest(0)
    assert installed.read().reasons == ("latest: names g00000 instead of g00001",)


def test_a_complete_generation_without_its_mark_is_not_ready(installed: _Node) -> None:
    installed.prefix.sealed_mark("g00001").unlink()
    assert installed.read().reasons == ("g00001: complete, not sealed yet",)


def test_what_is_missing_is_named_with_why(node: _Node) -> None:
    node.publish(0)
    node.seal(0)
    node.publish(1, _PLAIN, _CUDA)
    node.point_latest(1)
    readiness = node.read(Known({f"g00001/{_TORCH}": "the index lost it"}, {}))
    assert readiness.reasons == (f"g00001: 2 of 3 ready; missing: {_TORCH} (the index lost it)",)
    assert _states(readiness) == ["ready", "failed", "ready"]
    assert _states(node.read(Known({}, {}, installing=frozenset({"g00001"})))) == [
        "ready",
        "installing",
        "ready",
    ]


def test_what_keeps_all_from_being_installed_is_said(node: _Node) -> None:
    assert node.read(Known({}, {}, general="no space left")).reasons[-1] == "no space left"


def test_damage_that_a_scan_found_takes_readiness_away(installed: _Node) -> None:
    readiness = installed.read(Known({}, {"g00000": [Finding("cuda/cuda-12.4.1", "bin/ptxas", "changed")]}))
    assert not readiness.ready
    assert "changed: cuda/cuda-12.4.1/bin/ptxas" in readiness.reasons[0]
    assert _states(readiness, 1) == ["ready", "ready", "damaged"]


def test_damage_of_an_interpreter_is_damage_of_each_environment_that_runs_on_it(installed: _Node) -> None:
    readiness = installed.read(Known({}, {"g00001": [Finding(f"uv/python/{INTERPRETER}", "bin/x", "extra")]}))
    assert _states(readiness) == ["damaged", "damaged", "ready"]


def test_many_findings_are_counted_and_some_are_named(installed: _Node) -> None:
    findings = [Finding(f"monobase/g00001/{_PLAIN}", f"{number}.py", "missing") for number in range(9)]
    readiness = installed.read(Known({}, {"g00001": findings}))
    assert readiness.reasons[0].startswith("g00001: 9 differences from what was sealed: missing: ")
    assert readiness.reasons[0].endswith("; and 4 more")


def test_a_manifest_that_is_not_the_one_of_the_sealing_is_seen_at_once(installed: _Node) -> None:
    (installed.tree(1, _PLAIN) / ".manifest").write_bytes(b"other")
    readiness = installed.read()
    assert not readiness.ready
    assert _states(readiness) == ["damaged", "ready", "ready"]


def test_a_mark_that_is_damaged_newer_or_from_another_definition_is_said(installed: _Node) -> None:
    installed.prefix.sealed_mark("g00001").write_text("{")
    other = Mark(generation=0, definition="sha256:0", environments="0" * 64, manifests={})
    write_mark(installed.prefix.sealed_mark("g00000"), other)
    damaged, of_another = installed.read().reasons
    assert "is damaged" in damaged
    assert "another definition" in of_another
    installed.make_newer(0)
    assert "newer monobase" in installed.read().reasons[1]


def test_a_part_is_ready_when_it_is_sealed_and_latest_names_it(node: _Node) -> None:
    part = Selection((_PLAIN, _CUDA))
    for number in range(2):
        node.publish(number, _PLAIN, _CUDA)
    assert node.read(selection=part).reasons == (
        "g00001: complete, not sealed yet", "g00000: complete, not sealed yet",
        "latest: names nothing instead of g00001",
    )  # fmt: skip
    for number in range(2):
        node.seal(number, part)
    assert node.read(selection=part).lagging == "g00001"
    node.point_latest(1)
    readiness = node.read(selection=part)
    assert readiness.ready
    assert readiness_text(readiness) == f"ready: g00001 g00000, latest g00001, --only {_PLAIN} {_CUDA}\n"
    assert _states(readiness)[1] == "left out"
    found = [(item.sealed, item.settled, item.whole) for item in readiness.generations]
    assert found == [(True, True, False)] * 2


def test_a_part_is_not_all_and_more_than_what_is_selected_is_no_damage(node: _Node) -> None:
    part = Selection((_PLAIN, _CUDA))
    for number in range(2):
        node.publish(number, _PLAIN, _CUDA)
        node.seal(number, part)
    node.point_latest(1)
    assert node.read().reasons[0] == f"g00001: 2 of 3 ready; missing: {_TORCH} (missing)"
    less = node.read(selection=Selection((_PLAIN,)))
    assert less.ready
    assert _states(less) == ["ready", "left out", "ready"]
    assert not less.generations[0].settled  # its list says what was left out before


def test_a_generation_is_whole_when_nothing_of_it_is_left_out(installed: _Node) -> None:
    for selection in (EVERYTHING, Selection((_PLAIN,))):
        generations = installed.read(selection=selection).generations
        assert [(item.whole, item.settled) for item in generations] == [(True, True)] * 2


def test_latest_need_not_name_a_generation_of_which_nothing_is_selected(node: _Node) -> None:
    alpha = node.wheel("alpha")
    node.define(2, environment_cell([alpha], "2.9.1"))
    for number in range(2):
        node.publish(number)
        node.seal(number)
    node.point_latest(1)
    readiness = node.read(selection=Selection((_PLAIN, _TORCH, _CUDA)))
    assert readiness.ready
    assert (readiness.latest, readiness.lagging) == ("g00001", None)
    assert readiness.generations[0].requested == 0
    assert not readiness.generations[0].whole


def test_what_was_left_out_is_not_counted_as_ready(node: _Node) -> None:
    assert "0 of 1 ready; missing: " in node.read(selection=Selection((_TORCH,))).reasons[0]


def test_on_demand_only_the_eager_part_decides(node: _Node) -> None:
    nothing = Selection(eager=())
    assert {target.state for target in node.read(selection=nothing).generations[0].targets} == {"on demand"}
    assert node.read(selection=nothing).reasons[0] == "g00001: complete, not sealed yet"
    for number in range(2):
        node.publish(number, _PLAIN)
        node.seal(number, nothing)
    node.point_latest(1)
    assert node.read(selection=nothing).ready
    some = Selection((_PLAIN, _TORCH), eager=(_PLAIN, _CUDA))
    readiness = node.read(selection=some)
    assert _states(readiness) == ["ready", "on demand", "left out"]
    assert readiness.reasons[0] == "g00001: complete, not sealed yet"
    for number in range(2):
        node.seal(number, some)
    assert node.read(selection=some).ready
    missing = node.read(selection=Selection((_PLAIN, _TORCH), eager=(_TORCH,)))
    assert missing.reasons[0] == f"g00001: 1 of 2 ready; missing: {_TORCH} (missing)"


def test_a_request_that_fails_is_told_and_does_not_make_the_node_unready(node: _Node) -> None:
    nothing = Selection(eager=())
    for number in range(2):
        node.publish(number, _PLAIN)
        node.seal(number, nothing)
    node.point_latest(1)
    readiness = node.read(Known({f"g00001/{_TORCH}": "lost"}, {}), selection=nothing)
    assert readiness.ready
    target = next(target for target in readiness.generations[0].targets if target.name == _TORCH)
    assert (target.state, target.reason) == ("on demand", "lost")


def test_a_generation_whose_files_could_not_be_scanned_is_not_ready(installed: _Node) -> None:
    readiness = installed.read(Known({}, {}, unchecked={"g00000": "Input/output error"}))
    assert readiness.reasons == ("g00000: its files could not be scanned: Input/output error",)


def test_a_target_that_cannot_be_read_has_failed(installed: _Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def present(prefix: Prefix, generation: object, target: object) -> bool:
        if target.name == _TORCH:  # type: ignore[attr-defined]
            raise OSError(5, "Input/output error")
        return is_present(prefix, generation, target)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "is_present", present)
    readiness = installed.read()
    assert _states(readiness) == ["ready", "failed", "ready"]
    assert readiness.generations[0].targets[1].reason == "cannot be read: Input/output error"


def test_a_generation_that_failed_as_a_whole_says_so_once(node: _Node) -> None:
    node.publish(0)
    node.seal(0)
    known = Known({"g00001": "its lock"}, {})
    readiness = node.read(known)
    assert readiness.reasons[0] == "g00001: its lock"
    assert set(_states(readiness)) == {"failed"}
    node.install_both()
    assert node.read(known).ready


def test_a_generation_that_is_being_removed_is_missing(installed: _Node) -> None:
    installed.retire(0)
    readiness = installed.read()
    assert readiness.reasons[0].startswith("g00000: 0 of 3 ready")
    assert set(_states(readiness, 1)) == {"missing"}


def test_what_is_tried_again_is_told_whether_or_not_the_node_is_ready(installed: _Node) -> None:
    retries = (Retry("features", 1, "read-only", 1_700_000_000), Retry("latest", 2, "full", 1_700_000_060))
    assert readiness_text(installed.read(Known({}, {}, retries=retries))) == (
        "ready: g00001 g00000, latest g00001\n"
        "features failed once, next try at 2023-11-14 22:13:20 UTC: read-only\n"
        "latest failed 2 times in a row, next try at 2023-11-14 22:14:20 UTC: full\n"
    )


def test_a_definition_that_cannot_be_read_is_a_reason(installed: _Node) -> None:
    installed.point_latest(0)
    first = installed.catalog.generations[:1]
    broken = {1: DefinitionError("g00001.json: not JSON")}
    catalog = replace(installed.catalog, generations=first, broken=broken)
    assert read_readiness(installed.prefix, catalog, None, None).reasons == ("g00001: g00001.json: not JSON",)
    assert read_readiness(installed.prefix, catalog, None, 0).ready


def test_a_range_without_a_generation_is_an_error(node: _Node) -> None:
    with pytest.raises(DefinitionError):
        read_readiness(node.prefix, node.catalog, 7, None)


def test_a_part_is_settled_while_its_list_says_what_its_pool_leaves_out_now(node: _Node) -> None:
    pools = node.directory / "gens/pools.json"
    small = Selection(pool="small", eager=())
    pools.write_text(json.dumps({"small": [_PLAIN]}))
    for number in range(2):
        node.seal(number, node.catalog.resolve(small))
    assert [item.settled for item in node.read(selection=small).generations] == [True, True]
    for patterns in ([_PLAIN, _TORCH], [_TORCH]):
        pools.write_text(json.dumps({"small": patterns}))
        found = [(item.sealed, item.settled) for item in node.read(selection=small).generations]
        assert found == [(True, False)] * 2
