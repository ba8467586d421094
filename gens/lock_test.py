"""Locks: what is written is read back, and nothing else is read."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from gens.errors import LockError
from gens.lock import Lock, LockedWheel, format_lock, parse_lock

PATH = Path("gens/g00003/python3.11-torch2.4.1-cu121.txt")
DIGEST = "sha256:" + "a" * 64
NUMPY = LockedWheel(
    name="numpy",
    version="1.26.4",
    sha256="6" * 64,
    filename="numpy-1.26.4-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    size_bytes=18252005,
)
TORCH = LockedWheel(
    name="torch",
    version="2.4.1+cu118",
    sha256="7" * 64,
    filename="torch-2.4.1+cu118-cp311-cp311-linux_x86_64.whl",
    size_bytes=857000000,
)
LOCK = Lock(
    generation_id=3,
    kind="environment",
    target="python3.11-torch2.4.1-cu121",
    inputs=DIGEST,
    resolver="uv 0.13.9",
    exclude_newer="2026-11-01T00:00:00Z",
    wheels=(NUMPY, TORCH),
)
TEXT = f"""\
# generation: g00003
# environment: python3.11-torch2.4.1-cu121
# inputs: {DIGEST}
# resolver: uv 0.13.9, exclude-newer 2026-11-01T00:00:00Z
numpy==1.26.4 --hash=sha256:{"6" * 64}  # {NUMPY.filename} 18252005
torch==2.4.1+cu118 --hash=sha256:{"7" * 64}  # {TORCH.filename} 857000000
"""


def test_a_lock_is_written_in_its_documented_form() -> None:
    assert format_lock(LOCK) == TEXT


@pytest.mark.parametrize(
    "lock",
    [
        LOCK,
        replace(LOCK, kind="toolkit", target="cuda12.4"),
        replace(LOCK, extra_index_urls=("https://example.org/whl/cu118",)),
        replace(
            LOCK,
            index_url="https://example.org/simple",
            extra_index_urls=("https://a.org/x", "https://b.org/x"),
        ),
        replace(LOCK, generation_id=123456),
        replace(LOCK, base="python3.11-torch2.4.1-cu121"),
        replace(
            LOCK,
            base="python3.11",
            conflicts=("numpy==2.5.0", "a-b==1!2"),
            extra_index_urls=("https://a.org/x",),
        ),
    ],
)
def test_what_is_written_is_read_back(lock: Lock) -> None:
    assert parse_lock(format_lock(lock), PATH) == lock


def test_the_header_names_the_base_of_a_stack_and_the_pins_that_it_does_not_keep() -> None:
    stack = replace(LOCK, base="python3.11-torch2.4.1-cu121", conflicts=("numpy==2.5.0", "pip==26.1"))
    assert (
        format_lock(stack).splitlines()[4]
        == "# base: python3.11-torch2.4.1-cu121, but not numpy==2.5.0, pip==26.1"
    )


@pytest.mark.parametrize(
    "line",
    [
        "# base: ",
        "# base: a b",
        "# base: a, but not ",
        "# base: a, but not numpy",
        "# base: a, but not ../x==1",
    ],
)
def test_a_malformed_base_is_refused_with_its_line(line: str) -> None:
    lines = TEXT.splitlines(keepends=True)
    with pytest.raises(LockError, match=r"cu121\.txt:5: "):
        parse_lock("".join([*lines[:4], line + "\n", *lines[4:]]), PATH)


def test_the_order_of_wheels_given_does_not_matter() -> None:
    assert format_lock(replace(LOCK, wheels=(TORCH, NUMPY))) == TEXT


def test_the_size_of_a_lock_is_that_of_its_wheels() -> None:
    assert LOCK.size_bytes == 18252005 + 857000000


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("# generation: g00003\n", "", 1, "expected '# generation: …'"),
        ("g00003", "3", 1, "not of the form g00003"),
        ("# environment: ", "# cell: ", 2, "expected '# environment: …' or '# toolkit: …'"),
        ("sha256:a", "md5:a", 3, "not sha256: and 64 lower-case hex digits"),
        (", exclude-newer", ";", 4, "exclude-newer 2026"),
        ("numpy==1.26.4 --hash", "numpy>=1.26.4 --hash", 5, "expected 'NAME==VERSION"),
        ("numpy==1.26.4", "numpy==1.26.5", 5, "is not a wheel of numpy 1.26.5"),
        ("torch==", "Torch==", 6, "'Torch' is not a normalized name"),
        ("666 ", "66 ", 5, "the hash of numpy is"),
        ("666  #", "66G  #", 5, "the hash of numpy is"),
        (" 18252005", "", 5, "expected 'NAME==VERSION"),
        (" 18252005", " 18 MB", 5, "expected 'NAME==VERSION"),
        (" 18252005", " -1", 5, "the size of numpy is '-1'"),
        (".whl 857", ".zip 857", 6, "Invalid wheel filename"),
        ("torch==2.4.1+cu118", "torch==two", 6, "two"),
        ("torch==", "--extra-index-url https://example.org\ntorch==", 6, "expected 'NAME==VERSION"),
        (
            "numpy==",
            "--index-url http://a.org\n--index-url http://b.org\nnumpy==",
            6,
            "--index-url stands once",
        ),
        ("numpy==", "--find-links /opt\nnumpy==", 5, "expected 'NAME==VERSION"),
    ],
)
def test_a_malformed_line_is_refused_with_file_and_number(old: str, new: str, line: int, reason: str) -> None:
    text = TEXT.replace(old, new, 1)
    assert text != TEXT
    with pytest.raises(LockError) as refused:
        parse_lock(text, PATH)
    assert str(refused.value).startswith(f"{PATH}:{line}: ")
    assert reason in str(refused.value)


def test_a_lock_with_two_hashes_is_refused_with_its_line() -> None:
    text = TEXT.replace(" --hash", f" --hash=sha256:{'5' * 64} --hash", 1)
    with pytest.raises(LockError, match=r":5: two hashes: a lock pins the one wheel"):
        parse_lock(text, PATH)


def test_a_package_that_stands_twice_is_refused_with_its_line() -> None:
    text = TEXT + TEXT.splitlines(keepends=True)[-1]
    with pytest.raises(LockError, match=r":7: torch is pinned twice"):
        parse_lock(text, PATH)


def test_wheels_out_of_order_are_refused_with_their_line() -> None:
    lines = TEXT.splitlines(keepends=True)
    with pytest.raises(LockError, match=r":6: numpy stands after torch"):
        parse_lock("".join([*lines[:4], lines[5], lines[4]]), PATH)


@pytest.mark.parametrize("lines", [0, 1, 3, 4])
def test_a_lock_that_is_cut_off_is_refused(lines: int) -> None:
    text = "".join(TEXT.splitlines(keepends=True)[:lines])
    with pytest.raises(LockError, match=re.escape(str(PATH))):
        parse_lock(text, PATH)


@pytest.mark.parametrize("text", [TEXT[:-1], TEXT + "\n", TEXT.replace("\n", "\r\n")])
def test_line_ends_other_than_those_written_are_refused(text: str) -> None:
    with pytest.raises(LockError, match=re.escape(str(PATH))):
        parse_lock(text, PATH)
