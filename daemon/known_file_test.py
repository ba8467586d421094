"""What a probe of another process is told."""

from pathlib import Path

import pytest

from daemon.known_file import FILE_NAME, read_known, write_known
from daemon.prefix import Prefix
from daemon.readiness import NOTHING_KNOWN, Known
from daemon.verify import Finding

_KNOWN = Known(
    {"g00001/cuda12.4": "no room"}, {"g00000": [Finding("cuda/x", "bin/nvcc", "changed")]}, general="full"
)


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    prefix = Prefix(tmp_path)
    prefix.make_directories()
    return prefix


def test_what_was_written_is_read(prefix: Prefix) -> None:
    assert write_known(prefix, _KNOWN)
    assert read_known(prefix) == _KNOWN
    assert not write_known(prefix, _KNOWN)


def test_an_install_that_goes_on_is_not_remembered(prefix: Prefix) -> None:
    write_known(prefix, Known({}, {}, frozenset({"g00000"})))
    assert read_known(prefix) == NOTHING_KNOWN


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"failures": 3}'])
def test_without_a_sound_file_nothing_is_known(prefix: Prefix, content: bytes | None) -> None:
    if content is not None:
        (prefix.generations / FILE_NAME).write_bytes(content)
    assert read_known(prefix) == NOTHING_KNOWN
