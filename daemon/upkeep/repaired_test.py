"""The report of what a repair changed."""

import io
import json

from daemon.prefix.finding import Finding
from daemon.report.progress import LogFormat, Reporter
from daemon.upkeep.repaired import Repaired


def _said(done: Repaired, log_format: LogFormat = "text") -> list[str]:
    stream = io.StringIO()
    done.report("cuda/cuda-12.4.1", Reporter(stream, log_format))
    return stream.getvalue().splitlines()


def test_nothing_changed_is_not_reported() -> None:
    assert _said(Repaired()) == []


def test_findings_are_restored_but_extra_ones_removed() -> None:
    findings = [Finding("t", "a", "missing"), Finding("t", "b", "extra"), Finding("t", "", "unreadable")]
    assert Repaired.of(findings) == Repaired(["a", "all of it"], ["b"])


def test_a_few_paths_are_named_and_many_are_counted() -> None:
    assert _said(Repaired(["a"], ["b", "c"])) == [
        "restored cuda/cuda-12.4.1: a", "removed cuda/cuda-12.4.1: 2 files: b, c",
    ]  # fmt: skip
    many = Repaired([f"{number}" for number in range(1200)])
    assert _said(many) == ["restored cuda/cuda-12.4.1: 1,200 files: 0, 1, 2 and more"]


def test_a_path_cannot_write_to_the_terminal() -> None:
    (line,) = _said(Repaired(["a\x1b[2J"]))
    assert "\x1b" not in line


def test_machines_receive_all_paths() -> None:
    (line,) = _said(Repaired(["a", "b", "c", "d"]), "json")
    entry = json.loads(line)
    assert (entry["tree"], entry["paths"]) == ("cuda/cuda-12.4.1", ["a", "b", "c", "d"])
