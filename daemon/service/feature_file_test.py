"""The file for node-feature-discovery."""

from pathlib import Path

import pytest

from daemon.errors import DiskError
from daemon.service.feature_file import write_features
from daemon.upkeep.readiness import GenerationReadiness, Readiness


def _readiness(*ready: bool) -> Readiness:
    generations = tuple(
        GenerationReadiness(f"g{number:05d}", is_ready, is_ready, "" if is_ready else "missing", ())
        for number, is_ready in enumerate(ready)
    )
    return Readiness(all(ready), (), "g00000" if any(ready) else None, generations)


def test_a_line_for_each_ready_generation(tmp_path: Path) -> None:
    assert write_features(tmp_path, _readiness(True, False))
    text = (tmp_path / "monobase").read_text()
    assert text == (
        "feature.node.kubernetes.io/monobase-g00000=true\n"
        "feature.node.kubernetes.io/monobase-latest=g00000\n"
        "feature.node.kubernetes.io/monobase-ready=false\n"
    )


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
