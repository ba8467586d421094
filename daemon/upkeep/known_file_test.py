"""The file by which the daemon tells probes of other processes what it knows."""

import json
import os
import secrets
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.host.durability import DAEMON_SUFFIX, WRITER_SUFFIX, remove_temporary_files
from daemon.host.retries import Retry
from daemon.prefix.finding import Finding
from daemon.prefix.known_record import RECORD_NAME, record_path
from daemon.prefix.prefix import Prefix
from daemon.report.progress import Reporter
from daemon.upkeep.known_file import read_known, write_known
from daemon.upkeep.readiness import NOTHING_KNOWN, Known, SourceKnown
from daemon.uv.leftovers import clean_leftovers

_KNOWN = Known(
    {"g00001/cuda12.4": "no room"},
    {"g00000": [Finding("cuda/x", "bin/nvcc", "changed")]},
    general="full",
    retries=(Retry("repair g00000", 3, "lost", 1_700_000_000),),
    sources=(SourceKnown("file:///mirror", 7, {"absent": 2}), SourceKnown("oci://r.example/w", 0)),
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


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_not_waited_for_and_gives_way_to_one(
    prefix: Prefix, make: Callable[[Path], object]
) -> None:
    make(record_path(prefix))
    said: list[str] = []
    assert read_known(prefix, said.append) == NOTHING_KNOWN
    assert "the daemon writes it again" in said[0]
    assert write_known(prefix, _KNOWN)
    assert read_known(prefix) == _KNOWN


def test_an_install_that_goes_on_is_not_remembered(prefix: Prefix) -> None:
    write_known(prefix, Known({}, {}, frozenset({"g00000"})))
    assert read_known(prefix) == NOTHING_KNOWN


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"failures": 3}', b"[" * 100_000, b"\xff", b'{"format": "x"}']
)
def test_without_a_sound_file_nothing_is_known(prefix: Prefix, content: bytes) -> None:
    (record_path(prefix)).write_bytes(content)
    said: list[str] = []
    assert read_known(prefix, said.append) == NOTHING_KNOWN
    assert [RECORD_NAME in text for text in said] == [True]


def test_without_a_file_nothing_is_known_or_said(prefix: Prefix) -> None:
    said: list[str] = []
    assert read_known(prefix, said.append) == NOTHING_KNOWN
    assert said == []


def test_what_a_newer_release_wrote_is_not_read_as_damage(prefix: Prefix) -> None:
    write_known(prefix, _KNOWN)
    path = record_path(prefix)
    content = json.loads(path.read_bytes())
    assert content["format"] == 1
    path.write_text(json.dumps(content | {"format": 2, "damage": "of another form"}))
    said: list[str] = []
    assert read_known(prefix, said.append) == NOTHING_KNOWN
    assert "newer monobase (format 2)" in said[0]


def test_what_an_older_release_wrote_is_read(prefix: Prefix) -> None:
    (record_path(prefix)).write_bytes(b'{"failures":{"g00000/x":"lost"},"damage":{},"general":""}')
    assert read_known(prefix) == Known({"g00000/x": "lost"}, {})


def test_the_daemon_writes_while_an_install_cleans_up(prefix: Prefix) -> None:
    failed: list[BaseException] = []
    ended = threading.Event()

    def clean() -> None:
        try:
            while not ended.is_set():
                (prefix.generations / f".environments.{secrets.token_hex(4)}.tmp").touch()
                clean_leftovers(prefix, Reporter(quiet=True))
        except BaseException as error:
            failed.append(error)

    cleaner = threading.Thread(target=clean)
    cleaner.start()
    try:
        for number in range(300):
            write_known(prefix, Known({"g00000/x": str(number)}, {}))
    finally:
        ended.set()
        cleaner.join()
    assert failed == []
    assert read_known(prefix).failures == {"g00000/x": "299"}
    clean_leftovers(prefix, Reporter(quiet=True))
    assert sorted(path.name for path in prefix.generations.iterdir()) == [RECORD_NAME]


def test_each_cleans_only_its_own(prefix: Prefix) -> None:
    names = {suffix: f".known.json.0badcafe{suffix}" for suffix in (WRITER_SUFFIX, DAEMON_SUFFIX)}
    for name in names.values():
        (prefix.generations / name).touch()
    clean_leftovers(prefix, Reporter(quiet=True))
    assert [path.name for path in prefix.generations.iterdir()] == [names[DAEMON_SUFFIX]]
    remove_temporary_files(prefix.generations, DAEMON_SUFFIX)
    assert list(prefix.generations.iterdir()) == []
