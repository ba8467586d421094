"""The laws of locks: written and read are each other's inverse, and any other text is refused by its line."""

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gens.errors import LockError
from gens.lock import Lock, format_lock, parse_lock
from tests.laws.names import sha256s
from tests.laws.wheels import locked_wheels

_PATH = Path("gens/g00003/cuda12.4.txt")
_URLS = st.builds(
    "{}://{}.example{}/{}".format,
    st.sampled_from(["http", "https"]),
    st.text("ab1-", min_size=1, max_size=6),
    st.sampled_from(["", ":8080"]),
    st.text("ab/%25+._~-#?&=", max_size=8),
)
_LOCKS = st.builds(
    Lock,
    generation_id=st.integers(0, 200_000),
    kind=st.sampled_from(["environment", "toolkit"]),
    target=st.sampled_from(["python3.11", "python3.11-torch2.4.1-cu121", "cuda12.4", "cudnn9-cuda12"]),
    inputs=sha256s().map("sha256:{}".format),
    resolver=st.integers(0, 99).map("uv 0.13.{}".format),
    exclude_newer=st.datetimes().map(lambda time: f"{time.isoformat(timespec='seconds')}Z"),
    wheels=st.lists(locked_wheels(), min_size=1, max_size=6, unique_by=lambda wheel: wheel.name).map(
        lambda wheels: tuple(sorted(wheels, key=lambda wheel: wheel.name))
    ),
    index_url=st.none() | _URLS,
    extra_index_urls=st.lists(_URLS, max_size=3).map(tuple),
)
_SIGNS = ("\n", "\r", " ", "\t", "\x0b", "\x85", "\u2028", "#", "=", "-", "0", "9", "a", "٣", "\udc80", "é")


def _read_or_refusal(text: str) -> Lock | str:
    try:
        return parse_lock(text, _PATH)
    except LockError as error:
        return str(error)


@given(_LOCKS, st.randoms(use_true_random=False))
def test_what_is_written_is_read_back_in_whatever_order_wheels_were_given(
    lock: Lock, chance: random.Random
) -> None:
    wheels = chance.sample(lock.wheels, len(lock.wheels))
    assert parse_lock(format_lock(replace(lock, wheels=tuple(wheels))), _PATH) == lock


@given(_LOCKS, st.data())
def test_a_text_is_refused_by_its_line_unless_it_is_what_would_be_written(
    lock: Lock, data: st.DataObject
) -> None:
    text = format_lock(lock)
    first = data.draw(st.integers(0, len(text)))
    last = data.draw(st.integers(first, min(len(text), first + 80)))
    strange = st.text(st.sampled_from(_SIGNS), max_size=3) | st.text(max_size=3)
    changed = text[:first] + data.draw(strange | st.just(text[first:last] * 2)) + text[last:]
    read = _read_or_refusal(changed)
    if isinstance(read, str):
        assert re.match(rf"{re.escape(str(_PATH))}:[1-9][0-9]*: .", read)
    else:
        assert format_lock(read) == changed


@pytest.mark.parametrize(
    ("found", "put"),
    [
        ("g00003", "g" + "9" * 5_000),
        (" 7\n", " " + "9" * 5_000 + "\n"),
        ("1.0", "1." + "9" * 5_000),
        ("g00003", "g000003"),
    ],
    ids=["generation", "size", "version", "a zero too many"],
)
def test_a_number_that_is_too_long_is_refused_by_its_line(found: str, put: str) -> None:
    text = (
        "# generation: g00003\n# toolkit: cuda12.4\n"
        f"# inputs: sha256:{'a' * 64}\n# resolver: uv 0.13.9, exclude-newer 2026-11-01T00:00:00Z\n"
        f"alpha==1.0 --hash=sha256:{'b' * 64}  # alpha-1.0-py3-none-any.whl 7\n"
    )
    assert parse_lock(text, _PATH).wheels[0].size_bytes == 7
    line = 1 if found == "g00003" else 5
    with pytest.raises(LockError, match=rf":{line}: .*(generation is|size of alpha|of version)"):
        parse_lock(text.replace(found, put), _PATH)
