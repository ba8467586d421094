from pathlib import Path, PurePosixPath

from gens.lock import LockedWheel
from image.model.split import LARGE_BYTES, MOST_LARGE, folders_of, split_layer

LIBRARY = "lib/python3.11/site-packages"


def wheel(name: str, size_bytes: int, version: str = "1.0") -> LockedWheel:
    return LockedWheel(name, version, "a" * 64, f"{name}-{version}-py3-none-any.whl", size_bytes)


def write(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def write_wheel(root: Path, name: str, *paths: str) -> None:
    """Write the files of a wheel, by their paths below site-packages, and their RECORD."""
    record = f"{name}-1.0.dist-info/RECORD"
    write(root, *(f"{LIBRARY}/{path}" for path in (*paths, record)))
    rows = [f"{path},sha256=x,1" for path in paths]
    (root / LIBRARY / record).write_text("\n".join([*rows, f"{record},,"]) + "\n")


def parts_of(root: Path, *wheels: LockedWheel) -> dict[str, set[str]]:
    return {part.title: {str(path) for path in part.paths} for part in split_layer(root, wheels)}


def test_a_large_wheel_is_a_part_of_its_own_with_its_scripts_and_its_bytecode(tmp_path: Path) -> None:
    write_wheel(tmp_path, "large", "large/__init__.py", "../../../bin/large")
    write_wheel(tmp_path, "small", "small.py")
    write(tmp_path, f"{LIBRARY}/large/__pycache__/__init__.cpython-311.pyc", "pyvenv.cfg")
    write(tmp_path, f"{LIBRARY}/__pycache__/small.cpython-311.pyc")
    (tmp_path / "bin/python").symlink_to("/nowhere/python3.11")

    parts = parts_of(tmp_path, wheel("large", LARGE_BYTES), wheel("small", LARGE_BYTES - 1))

    assert parts == {
        "large 1.0": {
            "bin/large",
            f"{LIBRARY}/large-1.0.dist-info/RECORD",
            f"{LIBRARY}/large/__init__.py",
            f"{LIBRARY}/large/__pycache__/__init__.cpython-311.pyc",
        },
        "1 wheel": {
            "bin/python",
            "pyvenv.cfg",
            f"{LIBRARY}/__pycache__/small.cpython-311.pyc",
            f"{LIBRARY}/small-1.0.dist-info/RECORD",
            f"{LIBRARY}/small.py",
        },
    }


def test_each_file_is_in_one_part_even_if_two_wheels_have_it(tmp_path: Path) -> None:
    write_wheel(tmp_path, "one", "shared/data", "one.py")
    write_wheel(tmp_path, "two", "shared/data", "two.py")
    parts = split_layer(tmp_path, [wheel("one", LARGE_BYTES), wheel("two", LARGE_BYTES)])
    paths = [path for part in parts for path in part.paths]
    files = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(map(str, paths)) == sorted(files)


def test_the_part_with_the_small_wheels_is_the_last_and_there_without_any(tmp_path: Path) -> None:
    write(tmp_path, "pyvenv.cfg")
    assert [part.title for part in split_layer(tmp_path, [])] == ["0 wheels"]
    write_wheel(tmp_path, "zlarge", "z.py")
    write_wheel(tmp_path, "alarge", "a.py")
    titles = [
        part.title for part in split_layer(tmp_path, [wheel(n, LARGE_BYTES) for n in ("zlarge", "alarge")])
    ]
    assert titles == ["alarge 1.0", "zlarge 1.0", "0 wheels"]


def test_only_the_largest_have_parts_of_their_own_so_that_an_image_has_not_too_many(tmp_path: Path) -> None:
    wheels = [wheel(f"w{number:03}", LARGE_BYTES + number) for number in range(MOST_LARGE + 2)]
    parts = split_layer(tmp_path, wheels)
    assert len(parts) == MOST_LARGE + 1
    assert parts[0].title == "w002 1.0"
    assert parts[-1].title == "2 wheels"


def test_folders_come_before_what_they_hold() -> None:
    paths = [PurePosixPath("a/b/c"), PurePosixPath("a/d")]
    assert [str(path) for path in folders_of(paths)] == ["a", "a/b"]
