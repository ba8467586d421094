"""The symbols of real libraries, in wheels."""

import io
import re
import zipfile
from pathlib import Path

import msgspec
import pytest

from tools.releases.symbols import needed_symbols, not_exported

_CORE = next(Path(msgspec.__file__).parent.glob("_core*.so"))  # an extension of Python, by a real linker
_NAME = f"msgspec/{_CORE.name}"


def _wheel(**members: bytes) -> zipfile.ZipFile:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        for name, content in members.items():
            writer.writestr(name, content)
    return zipfile.ZipFile(archive)


@pytest.fixture
def wheel() -> zipfile.ZipFile:
    return _wheel(**{_NAME: _CORE.read_bytes(), "msgspec/__init__.py": b"not a library\n"})


def test_what_a_library_leaves_undefined_is_needed(wheel: zipfile.ZipFile) -> None:
    needed = needed_symbols(wheel, re.compile("PyList_|PyInit_"))

    assert "PyList_New" in needed
    assert "PyInit__core" not in needed  # which it defines
    assert not any(name.startswith("PyDict_") for name in needed)


def test_what_no_library_defines_is_not_exported(wheel: zipfile.ZipFile) -> None:
    assert not_exported(wheel, {"PyInit__core"}) == frozenset()
    wanted = {"PyInit__core", "PyList_New", "torch_no_such"}
    assert not_exported(wheel, wanted) == {"PyList_New", "torch_no_such"}


def test_no_larger_library_is_read_when_all_are_found() -> None:
    broken = b"not a library, and read never" * 100_000
    wheel = _wheel(**{_NAME: _CORE.read_bytes(), "torch/lib/libtorch_cuda.so.13": broken})

    assert not_exported(wheel, {"PyInit__core"}) == frozenset()


def test_a_wheel_without_libraries_needs_nothing() -> None:
    assert needed_symbols(_wheel(**{"pure/__init__.py": b""})) == frozenset()
