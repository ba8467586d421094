import json
import tarfile
from pathlib import Path

import pytest

from image.errors import ImageError
from image.model.package_layers import Place, write_package_layers
from image.model.split import LARGE_BYTES
from layers.lock import LayerLock
from tests.index.wheel import WheelSpec
from tests.layer.sample_lock import sample_lock

PLACE = Place("/opt/venv", Path("/srv/r8/monobase"))
LIBRARY = "opt/venv/lib/python3.11/site-packages"
MINE = WheelSpec(
    "mine", "1.0", files={"mine.py": b"def main(): ...\n"}, console_scripts={"mine": "mine:main"}
)


def write(folder: Path, lock: LayerLock, wheels: Path) -> list[Path]:
    (folder / "scratch").mkdir(parents=True)
    write_package_layers(
        lock, Path("model.lock"), sorted(wheels.glob("*.whl")), PLACE, folder / "scratch", folder / "out"
    )
    return sorted((folder / "out").glob("*.tar.gz"))


def members(blob: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(blob) as archive:
        return {member.name: member for member in archive}


def test_the_packages_lie_in_the_folder_of_the_image_with_a_link_to_the_node_s_python(tmp_path: Path) -> None:
    lock = sample_lock(tmp_path, MINE)
    (blob,) = write(tmp_path / "a", lock, tmp_path)
    found = members(blob)
    assert {f"{LIBRARY}/mine.py", "opt/venv/bin/mine", "opt/venv/.monobase-layer"} <= set(found)
    assert found["opt/venv/bin/mine"].mode == 0o755
    python = found["opt/venv/bin/python"]
    assert python.issym()
    assert python.linkname.startswith("/srv/r8/monobase/")
    assert {(member.uid, member.gid, member.mtime) for member in found.values()} == {(0, 0, 0)}
    facts = json.loads((tmp_path / "a/out/00.json").read_text())
    assert facts["createdBy"] == "model.lock: 1 wheel"


def test_the_same_lock_makes_the_same_bytes_in_another_folder(tmp_path: Path) -> None:
    lock = sample_lock(tmp_path, MINE)
    first, second = (write(tmp_path / name, lock, tmp_path)[0] for name in ("a", "another"))
    assert first.read_bytes() == second.read_bytes()


def test_another_version_of_a_small_wheel_leaves_the_layer_of_a_large_one(tmp_path: Path) -> None:
    large = WheelSpec("large", "1.0", files={"large.bin": b"#" * LARGE_BYTES}, deflated=False)
    blobs = []
    for version in ("1.0", "2.0"):
        small = WheelSpec("small", version, files={"small.py": version.encode()})
        wheels = tmp_path / version
        wheels.mkdir()
        lock = sample_lock(wheels, large, small)
        blobs.append([blob.read_bytes() for blob in write(tmp_path / f"of {version}", lock, wheels)])
    assert [len(both) for both in blobs] == [2, 2]
    assert blobs[0][0] == blobs[1][0]
    assert blobs[0][1] != blobs[1][1]


def test_a_missing_wheel_is_named_with_what_to_do(tmp_path: Path) -> None:
    lock = sample_lock(tmp_path, MINE)
    (tmp_path / "none").mkdir()
    with pytest.raises(
        ImageError, match=r"model.lock: 1 of its 1 wheels are not among .*: mine-1.0.*give wheels"
    ):
        write(tmp_path / "a", lock, tmp_path / "none")


def test_another_file_under_the_name_of_a_wheel_is_refused_with_both_digests(tmp_path: Path) -> None:
    lock = sample_lock(tmp_path, MINE)
    (tmp_path / lock.wheels[0].filename).write_bytes(b"another")
    with pytest.raises(ImageError, match=f"expected sha256:{lock.wheels[0].sha256}, found sha256:"):
        write(tmp_path / "a", lock, tmp_path)
