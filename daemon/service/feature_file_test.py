"""The file for node-feature-discovery."""

from pathlib import Path

import pytest

from daemon.errors import DiskError
from daemon.service.feature_file import write_features
from daemon.upkeep.readiness import GenerationReadiness, Readiness, State, TargetReadiness

_TARGETS: dict[str, State] = {
    "python3.12": "ready",
    "python3.12-torch2.13.0-cu130": "ready",
    "python3.12-torch2.13.0-cpu": "damaged",
    "python3.12-train": "left out",
}


def _generation(number: int, *, whole: bool, checked: bool = True) -> GenerationReadiness:
    targets = [TargetReadiness(name, "environment", state) for name, state in _TARGETS.items()]
    targets.append(TargetReadiness("cuda13.0", "toolkit", "ready"))
    name = f"g{number:05d}"
    return GenerationReadiness(name, True, True, "", tuple(targets), whole, checked=checked)


def _readiness(*whole: bool, checked: bool = True) -> Readiness:
    generations = tuple(_generation(i, whole=one, checked=checked) for i, one in enumerate(whole))
    return Readiness(all(whole), (), "g00000" if any(whole) else None, generations)


def test_each_ready_environment_has_a_line_and_a_generation_only_as_a_whole(tmp_path: Path) -> None:
    assert write_features(tmp_path, _readiness(True, False))
    assert (tmp_path / "monobase").read_text().splitlines() == [
        f"feature.node.kubernetes.io/monobase-{line}"
        for line in (
            "ready=false",
            "latest=g00000",
            "g00000=true",
            "g00000.python3.12=true",
            "g00000.python3.12-torch2.13.0-cu130=true",
            "g00001.python3.12=true",
            "g00001.python3.12-torch2.13.0-cu130=true",
        )
    ]


def test_what_has_not_been_scanned_has_no_line(tmp_path: Path) -> None:
    write_features(tmp_path, _readiness(False, checked=False))
    assert "g00000" not in (tmp_path / "monobase").read_text()


def test_the_file_is_never_longer_than_what_is_read(tmp_path: Path) -> None:
    write_features(tmp_path, _readiness(*[True] * 2_000))
    text = (tmp_path / "monobase").read_text()
    assert 65_000 < len(text) <= 65_536
    assert text.endswith("=true\n")
    assert "monobase-ready=true\n" in text


def test_the_file_is_only_written_when_it_changes(tmp_path: Path) -> None:
    assert write_features(tmp_path, _readiness(False))
    assert not write_features(tmp_path, _readiness(False))
    assert write_features(tmp_path, _readiness(True))
    assert [path.name for path in tmp_path.iterdir()] == ["monobase"]


def test_what_a_killed_daemon_left_half_written_goes_and_what_others_write_stays(tmp_path: Path) -> None:
    (tmp_path / ".monobase.0badcafe.daemon-tmp").touch()
    (tmp_path / ".other.0badcafe.daemon-tmp").touch()
    write_features(tmp_path, _readiness(True))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.0badcafe.daemon-tmp", "monobase"]


def test_what_stands_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "monobase").mkdir()
    with pytest.raises(DiskError, match=r"monobase: cannot be written: Is a directory"):
        write_features(tmp_path, _readiness(True))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="nowhere"):
        write_features(tmp_path / "nowhere", _readiness(True))
