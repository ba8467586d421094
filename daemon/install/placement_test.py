import pytest

from daemon.errors import WheelContentError
from daemon.install.placement import (
    Placed,
    is_of_environment,
    place_environment,
    place_wheel,
)
from daemon.prefix.bytecode_list import bytecode_of
from daemon.prefix.inventory import Inventory, InventoryFile
from gens.lock import LockedWheel

_SITE = "lib/python3.11/site-packages"


def _wheel(name: str) -> LockedWheel:
    return LockedWheel(name, "1.0", "0" * 64, f"{name}-1.0-py3-none-any.whl", 1)


def _placed(
    name: str, files: dict[str, str], commands: dict[str, str] | None = None, mode: int = 0o644
) -> list[Placed]:
    """Place a wheel whose files have the given contents."""
    held = {f"{name}-1.0.dist-info/RECORD": "", f"{name}-1.0.dist-info/METADATA": ""} | files
    inventory = Inventory(
        "0" * 64, tuple(InventoryFile(path, f"sha of {text}", len(text), mode) for path, text in held.items())
    )
    return list(place_wheel(_wheel(name), inventory, "3.11", commands or {}))


def _together(*placed: list[Placed]) -> dict[str, Placed]:
    return place_environment(
        "g00000/python3.11", [item for items in placed for item in items], "3.11", "cpython-311"
    )


def test_each_scheme_of_a_wheel_has_its_folder() -> None:
    data = ("purelib/a.py", "platlib/b.so", "scripts/tool", "headers/sub/h.h", "data/share/x")
    placed = _placed(
        "one", {f"one-1.0.data/{path}": "" for path in data} | {"one.py": ""}, {"cmd": "one:main"}
    )
    assert {item.path: item.kind for item in placed} == {
        f"{_SITE}/one-1.0.dist-info/METADATA": "plain",
        f"{_SITE}/a.py": "plain",
        f"{_SITE}/b.so": "plain",
        f"{_SITE}/one.py": "plain",
        "bin/cmd": "entry point",
        "bin/tool": "script",
        "include/site/python3.11/one/sub/h.h": "plain",
        "share/x": "plain",
    }


def test_a_folder_that_only_looks_like_the_data_of_the_wheel_is_a_package() -> None:
    assert f"{_SITE}/other-1.0.data/data/x" in {
        item.path for item in _placed("one", {"other-1.0.data/data/x": ""})
    }


@pytest.mark.parametrize(
    "path",
    [
        "one-1.0.data/data/.manifest", "one-1.0.data/data/.lock", "one-1.0.data/data/pyvenv.cfg",
        "one-1.0.data/data/.gitignore", "one-1.0.data/data/CACHEDIR.TAG", "one-1.0.data/data/lib64",
        "one-1.0.data/data/lib64/x", "one-1.0.data/data/bin/python", "one-1.0.data/scripts/python3.11",
        "one-1.0.data/scripts/activate", "one-1.0.data/scripts/activate.fish",
        "one-1.0.data/scripts/activate_this.py", "one-1.0.data/scripts/deactivate.bat",
        "one-1.0.data/scripts/pythonw", "_virtualenv.py", "_virtualenv.pth",
        "one-1.0.data/purelib/_virtualenv.pth",
    ],
)  # fmt: skip
def test_what_belongs_to_the_environment_belongs_to_no_wheel(path: str) -> None:
    with pytest.raises(
        WheelContentError, match=r"one 1.0: brings .*, which belongs to the environment itself"
    ):
        _placed("one", {path: ""})


@pytest.mark.parametrize("name", ["python", "python3", "python3.11", "Activate", "pydoc.bat"])
def test_no_entry_point_is_named_as_a_file_of_the_environment(name: str) -> None:
    with pytest.raises(WheelContentError, match=r"which belongs to the environment itself"):
        _placed("one", {}, {name: "one:main"})


@pytest.mark.parametrize(
    "path",
    ["bin/python-argcomplete-check", "bin/activate-global-python", "bin/pip3", "share/python"],
)  # fmt: skip
def test_names_that_only_begin_alike_are_free(path: str) -> None:
    assert not is_of_environment(path, "3.11")


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ".", "", "a\nb"])
def test_a_command_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(WheelContentError, match=r"which is not a file name"):
        _placed("one", {}, {name: "one:main"})


@pytest.mark.parametrize("path", ["one-1.0.data/elsewhere/x", "one-1.0.data/scripts"])
def test_data_that_no_scheme_has_a_place_for_is_refused(path: str) -> None:
    with pytest.raises(WheelContentError, match=r"no installation scheme has a place for it"):
        _placed("one", {path: ""})


def test_metadata_of_another_package_is_refused() -> None:
    with pytest.raises(
        WheelContentError, match=r"holds the metadata of one-1.0.dist-info, other-2.0.dist-info"
    ):
        _placed("one", {"other-2.0.dist-info/METADATA": ""})


@pytest.mark.parametrize(
    "other",
    [
        {"x.py": "b"}, {"two-1.0.data/purelib/x.py": "b"}, {"two-1.0.data/platlib/x.py": "b"},
        {f"two-1.0.data/data/{_SITE}/x.py": "b"},
    ],
)  # fmt: skip
def test_two_contents_of_one_path_are_refused_whatever_way_they_take(other: dict[str, str]) -> None:
    with pytest.raises(
        WheelContentError, match=r"one 1.0 and two 1.0 both bring x.py, with different contents"
    ):
        _together(_placed("one", {"x.py": "a"}), _placed("two", other))


def test_two_modes_of_one_path_are_refused() -> None:
    with pytest.raises(WheelContentError, match=r"both bring x"):
        _together(_placed("one", {"x": "a"}), _placed("two", {"x": "a"}, mode=0o755))


def test_a_script_and_an_entry_point_of_one_name_are_refused_even_in_one_wheel() -> None:
    with pytest.raises(WheelContentError, match=r"both bring bin/tool"):
        _together(_placed("one", {"one-1.0.data/scripts/tool": "a"}, {"tool": "one:main"}))


def test_what_two_wheels_bring_alike_stands_there_once() -> None:
    placed = _together(
        _placed("one", {"ns/__init__.py": ""}, {"tool": "ns:main"}),
        _placed("two", {"ns/__init__.py": ""}, {"tool": "ns:main"}),
    )
    assert placed[f"{_SITE}/ns/__init__.py"].owner == "one 1.0"


@pytest.mark.parametrize(
    ("one", "two"), [({"x": ""}, {"x/y": ""}), ({"x/y": ""}, {"x": ""}), ({"x/y/z": ""}, {"x": ""})]
)
def test_a_file_where_another_wheel_needs_a_folder_is_refused(
    one: dict[str, str], two: dict[str, str]
) -> None:
    with pytest.raises(WheelContentError, match=r"where .* needs a folder"):
        _together(_placed("one", one), _placed("two", two))


def test_bytecode_that_a_wheel_brings_for_its_own_source_is_its_own_matter() -> None:
    compiled = bytecode_of("x.py", "cpython-311")
    assert compiled == "__pycache__/x.cpython-311.pyc"
    _together(_placed("one", {"x.py": "", compiled: ""}))
    with pytest.raises(WheelContentError, match=r"two 1\.0 brings .*, the bytecode of a source of one 1\.0"):
        _together(_placed("one", {"x.py": ""}), _placed("two", {compiled: ""}))


@pytest.mark.parametrize("way", ["purelib/x", "data/lib/python3.11/site-packages/x"])
def test_bytecode_of_a_wheel_s_own_source_does_not_come_through_its_data_folder(way: str) -> None:
    compiled = f"one-1.0.data/{way.removesuffix('x')}{bytecode_of('x.py', 'cpython-311')}"
    with pytest.raises(WheelContentError, match=r"one 1\.0 brings .* through its \.data folder"):
        _together(_placed("one", {"x.py": "source", compiled: "compiled"}))


def test_bytecode_needs_a_name_that_a_file_system_takes_and_a_folder() -> None:
    with pytest.raises(WheelContentError, match=r"longer name than the 255 bytes"):
        _together(_placed("one", {f"{'m' * 240}.py": ""}))
    with pytest.raises(WheelContentError, match=r"where one 1.0 needs a folder"):
        _together(_placed("one", {"ns/m.py": ""}), _placed("two", {"ns/__pycache__": ""}))
