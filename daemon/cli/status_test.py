"""`status` on the command line: a table for people, a document for machines."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon.cli import status_table
from daemon.cli.main import main
from daemon.cli.status_table import print_status
from daemon.upkeep.readiness import SourceKnown
from daemon.upkeep.status import GenerationStatus, PrefixStatus, TargetStatus

_NAMES = [f"python3.11-torch2.{minor}.0-cu121" for minor in range(12)]


def _status(*generations: GenerationStatus, strangers: tuple[str, ...] = ()) -> PrefixStatus:
    return PrefixStatus(
        "/srv/p",
        "g00001",
        list(generations),
        apparent_bytes=4_000_000_000,
        distinct_bytes=1_000_000_000,
        saved_bytes=3_000_000_000,
        disk_bytes=2_000_000_000,
        free_bytes=500_000_000,
        strangers=list(strangers),
    )


def _targets(ready: int) -> list[TargetStatus]:
    return [TargetStatus("environment", name, number < ready) for number, name in enumerate(_NAMES)]


def test_an_empty_prefix_has_nothing_installed(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["status", "--prefix", str(tmp_path)])
    assert (done.exit_code, done.output) == (0, f"{tmp_path}: nothing is installed\n")
    done = CliRunner().invoke(main, ["status", "--prefix", str(tmp_path), "--json"])
    assert json.loads(done.output)["generations"] == []


def test_a_pipe_gets_each_generation_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(status_table, "_SHOWN", 12)
    print_status(_status(GenerationStatus("g00001", sealed=False, latest=False, targets=_targets(0))))
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.startswith("g00001")]
    assert all(name in line for name in _NAMES)
    assert len(lines) == 4


def test_the_table_tells_the_state_of_each_generation(capsys: pytest.CaptureFixture[str]) -> None:
    print_status(
        _status(
            GenerationStatus("g00000", False, False, _targets(2), problem="g00000: [x] its mark is damaged"),
            GenerationStatus("g00001", True, True, _targets(12), apparent_bytes=1_500),
            GenerationStatus("g00002", False, False, _targets(7)),
            strangers=("monobase/lost+found",),
        )
    )
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert shown == [
        "monobase/lost+found",
        "g00000: [x] its mark is damaged",
        "generation state ready apparent missing",
        f"g00000 mark unreadable 2 of 12 0 bytes {', '.join(_NAMES[2:5])} and 7 more",
        "g00001 (latest) sealed 12 of 12 1.5 kB",
        f"g00002 partial 7 of 12 0 bytes {', '.join(_NAMES[7:10])} and 2 more",
        "environments and toolkits: 4.0 GB apparent, 1.0 GB distinct, 3.0 GB saved by sharing",
        "/srv/p: 2.0 GB on disk with uv's cache, 500.0 MB free",
    ]


def test_what_is_not_selected_is_not_missing(capsys: pytest.CaptureFixture[str]) -> None:
    print_status(
        _status(
            GenerationStatus("g00001", True, True, _targets(1), selection="--only x", left_out=_NAMES[2:])
        )
    )
    line = " ".join(capsys.readouterr().out.splitlines()[1].split())
    assert line == f"g00001 (latest) sealed for --only x 1 of 2, 10 left out 0 bytes {_NAMES[1]}"


def test_leases_and_what_the_daemon_tries_again_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    status = _status(GenerationStatus("g00001", True, True, _targets(12)))
    print_status(status)
    assert "leased" not in capsys.readouterr().out
    status.leased = [f"g00001/{name}" for name in _NAMES]
    status.failures = ["install g00001/x failed once, next try at 12:00: [no] room"]
    print_status(status)
    *_, leased, failure = capsys.readouterr().out.splitlines()
    assert leased == f"leased by models: {', '.join(status.leased[:3])} and 9 more"
    assert failure == status.failures[0]


def test_what_each_source_sent_and_failed_is_told_also_before_anything_is_installed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sources = [
        SourceKnown("oci://r.example/[w]", 2_700_000_000, {"cut": 2, "denied": 1}),
        SourceKnown("file:///m", 0),
    ]
    for status in (_status(GenerationStatus("g00001", True, True, _targets(12))), _status()):
        status.sources = sources
        status.failures = ["install g00001/x failed once, next try at 12:00: [no] room"]
        print_status(status)
        assert capsys.readouterr().out.splitlines()[-3:] == [
            "received since the daemon started: 2.7 GB of oci://r.example/[w] (failures: 2 cut, 1 denied)",
            "received since the daemon started: 0 bytes of file:///m",
            *status.failures,
        ]
