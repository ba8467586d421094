"""Layer locks: what is written is read back, and nothing else is read."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from gens.errors import LockError
from gens.lock import LockedWheel
from layers.lock import (
    Built,
    LayerLock,
    OtherFileError,
    Override,
    format_layer_lock,
    lock_digest,
    parse_layer_lock,
    read_layer_lock,
    wheels_directory,
)

PATH = Path("models/model.lock")
BASE = "sha256:" + "b" * 64
INPUTS = "sha256:" + "a" * 64
NUMPY = LockedWheel(
    "numpy", "1.26.4", "6" * 64, "numpy-1.26.4-cp312-cp312-manylinux_2_17_x86_64.whl", 18_252_005
)
MYLIB = LockedWheel("mylib", "1.0", "7" * 64, "mylib-1.0-py3-none-any.whl", 1_234)
LOCK = LayerLock(
    generation_id=2,
    environment="python3.12-torch2.13.0-cu130",
    base=BASE,
    platform="x86_64-manylinux_2_34",
    inputs=INPUTS,
    resolver="uv 0.13.9",
    exclude_newer="2026-11-26T00:00:00Z",
    wheels=(MYLIB, NUMPY),
    sources=("requirements.in", "../lib/pyproject.toml"),
    extras=("serve",),
    groups=("gpu",),
    requirements=("numpy<2", "mylib @ ./mylib"),
    constraints=("click<9",),
    allowed=("numpy",),
    overrides=(Override("numpy", "1.26.4", "2.5.0"),),
    built=(Built("mylib", "1.0", f"./mylib {INPUTS}"),),
    index_url="https://index.example/simple",
    extra_index_urls=("https://other.example/simple",),
)
TEXT = f"""\
# layer: 1
# generation: g00002
# environment: python3.12-torch2.13.0-cu130
# base: {BASE}
# platform: x86_64-manylinux_2_34
# inputs: {INPUTS}
# resolver: uv 0.13.9, exclude-newer 2026-11-26T00:00:00Z
# source: requirements.in
# source: ../lib/pyproject.toml
# extra: serve
# group: gpu
# requirement: numpy<2
# requirement: mylib @ ./mylib
# constraint: click<9
# allowed: numpy
# override: numpy==1.26.4, the base has 2.5.0
# built: mylib==1.0, from ./mylib {INPUTS}
# wheels: 2, 18253239 bytes
--index-url https://index.example/simple
--extra-index-url https://other.example/simple
mylib==1.0 --hash=sha256:{"7" * 64}  # mylib-1.0-py3-none-any.whl 1234
numpy==1.26.4 --hash=sha256:{"6" * 64}  # numpy-1.26.4-cp312-cp312-manylinux_2_17_x86_64.whl 18252005
"""
BARE = replace(
    LOCK,
    sources=(),
    extras=(),
    groups=(),
    requirements=(),
    constraints=(),
    allowed=(),
    overrides=(),
    built=(),
    wheels=(),
    index_url=None,
    extra_index_urls=(),
)


def test_a_lock_is_written_in_its_documented_form() -> None:
    assert format_layer_lock(LOCK) == TEXT


@pytest.mark.parametrize("lock", [LOCK, BARE, replace(LOCK, wheels=(NUMPY, MYLIB))])
def test_what_is_written_is_read_back(lock: LayerLock) -> None:
    read = parse_layer_lock(format_layer_lock(lock), PATH)
    assert read == replace(lock, wheels=tuple(sorted(lock.wheels, key=lambda wheel: wheel.name)))


def test_a_lock_knows_its_python_its_machine_and_its_bytes() -> None:
    assert (LOCK.python, LOCK.machine, LOCK.size_bytes, LOCK.generation) == (
        "3.12",
        "x86_64",
        18_253_239,
        "g00002",
    )
    assert replace(LOCK, environment="python3.13").python == "3.13"


@pytest.mark.parametrize(
    ("found", "put", "message"),
    [
        ("# layer: 1", "# layer: 2", r":1: the lock is of format 2, newer than the format 1"),
        ("# layer: 1", "# layer: one", r":1: layer is 'one', not the number of a format"),
        ("# layer: 1\n", "", r":1: expected '# layer: …', found '# generation: g00002'"),
        ("g00002", "2", r":2: generation is '2', not of the form g00003"),
        ("python3.12-torch2.13.0-cu130", "../x", r":3: environment is '../x', not of the form python3"),
        (f"base: {BASE}", "base: none", r":4: base is 'none', not sha256"),
        ("x86_64-manylinux_2_34", "windows", r":5: platform is 'windows', not of the form"),
        ("numpy==1.26.4, the base has 2.5.0", "numpy 1.26.4", r":16: override is 'numpy 1.26.4', not of"),
        ("mylib==1.0, from ", "mylib==1.0 of ", r":17: built is .*, not of the form"),
        ("# wheels: 2, 18253239 bytes", "# wheels: many", r":18: wheels is not of the form"),
        (
            "mylib==1.0 --hash",
            "other==1.0 --hash",
            r":21: mylib-1.0-py3-none-any.whl is not a wheel of other",
        ),
        ("mylib==1.0, from", "mylib==2.0, from", r":22: the header names mylib==2.0, and the lock has 1.0"),
        ("override: numpy==1.26.4", "override: scipy==1.0", r"names scipy==1.0, and the lock has no wheel"),
        (" 18252005\n", " 18252005", r":22: the file does not end with exactly one newline"),
    ],
)
def test_another_text_is_refused_by_its_line(found: str, put: str, message: str) -> None:
    assert found in TEXT
    with pytest.raises(LockError, match=rf"^{re.escape(str(PATH))}.*{message}"):
        parse_layer_lock(TEXT.replace(found, put, 1), PATH)


def test_a_lock_that_was_cut_off_after_a_line_is_refused() -> None:
    cut = TEXT[: TEXT.index("numpy==1.26.4 --hash")]
    with pytest.raises(LockError, match="expected 2 wheels of 18253239 bytes, found 1 of 1234 bytes"):
        parse_layer_lock(cut, PATH)


def test_two_overrides_of_one_package_are_refused() -> None:
    line = "# override: numpy==1.26.4, the base has 2.5.0\n"
    with pytest.raises(LockError, match=r":17: numpy: lines stand once"):
        parse_layer_lock(TEXT.replace(line, line * 2), PATH)


def test_a_lock_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "model.lock"
    path.write_text(TEXT)
    assert read_layer_lock(path) == LOCK
    assert wheels_directory(path) == tmp_path / "model.wheels"


def test_a_missing_lock_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(LockError, match=r"model.lock: does not exist; `bazel run //tools:layer -- lock"):
        read_layer_lock(tmp_path / "model.lock")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.lock"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(OtherFileError, match="is not text, so not a layer lock"):
        read_layer_lock(path)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "is empty, not a layer lock"),
        ("\n \n", "is empty, not a layer lock"),
        ("# generation: g00002\n# environment: python3.12\n", "is the lock of an environment, which layers"),
        (
            "torch\nnumpy>=1\n",
            "is a file of requirements, not a layer lock; `bazel run //tools:layer -- ",
        ),
        ("# ours\n--index-url https://x.example/simple\n", "is a file of requirements"),
        ("version = 1\n[[package]]\nname = 'x'\n", "is TOML, not a layer lock; export it"),
        ("<<<<<<< HEAD\n# layer: 1\n", "has unmerged changes of Git"),
        ("# layer: 1\n<<<<<<< HEAD\n", "has unmerged changes of Git"),
        ("(what is this)\n", "is not a layer lock; name the file that `bazel run"),
        ("\0\0", "is not text, so not a layer lock"),
    ],
)
def test_a_file_that_is_something_else_is_named_for_what_it_is(tmp_path: Path, text: str, kind: str) -> None:
    path = tmp_path / "model.lock"
    path.write_text(text)
    with pytest.raises(LockError, match=re.escape(f"{path}: {kind}")):
        read_layer_lock(path)


def test_a_folder_is_told_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="is a folder, not a layer lock; name the file"):
        read_layer_lock(tmp_path)


def test_the_digest_of_a_base_is_that_of_its_text() -> None:
    assert lock_digest("") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
