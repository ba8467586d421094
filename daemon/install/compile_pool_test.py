"""Sources compile in batches, ahead of who needs them; a batch is handed out once."""

import hashlib
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from daemon.errors import InterpreterError
from daemon.host.known_contents import KnownContents
from daemon.install.compile_pool import CompilePool, Identity, Source
from daemon.interpreters.running_interpreter import Interpreter
from daemon.prefix.staging import begin_staging
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.fake_uv.fake_uv import fake_interpreter

_LONG_S = 300  # reached only where a batch does not begin
_LARGE_BYTES = 9_000_000  # fills a batch: the size is what an inventory says


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    begin_staging(fake.prefix)
    return fake


def _source(fake: FakePrefix, name: str, size_bytes: int = 10, text: str = "value = 1\n") -> Source:
    path = fake.directory / f"{name}.py"
    path.write_text(text)
    return Source(str(path), f"{name:0>64}", size_bytes, fake_interpreter(fake).bytecode_key)


def _take(pool: CompilePool, *sources: Source) -> list[Path]:
    return pool.take([source.identity for source in sources], lambda _: None)


def _made(folders: Iterable[Path]) -> list[str]:
    return sorted(path.name.rpartition(".")[2].lstrip("0") for folder in folders for path in folder.iterdir())


def test_what_was_added_is_compiled_when_it_is_taken(fake: FakePrefix) -> None:
    pool = CompilePool(fake.prefix, 1)
    sources = [_source(fake, name) for name in "abc"]
    pool.add(fake_interpreter(fake), sources)
    assert _made(_take(pool, *sources)) == ["a", "b", "c"]


def test_a_full_batch_begins_before_anybody_takes_it(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Identity] = []

    def note(_: CompilePool, __: Interpreter, sources: list[Source], ___: Path) -> None:
        begun.extend(source.identity for source in sources)

    monkeypatch.setattr(CompilePool, "_compile", note)
    pool = CompilePool(fake.prefix, 1)
    large, small = _source(fake, "a", _LARGE_BYTES), _source(fake, "b")
    pool.add(fake_interpreter(fake), [small, large])
    pool.close()  # waits for what has begun
    assert begun == [large.identity]


def test_a_worker_that_has_nothing_to_do_begins_a_batch_that_is_not_full(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Identity] = []
    added, both = threading.Event(), threading.Event()

    def note(_: CompilePool, __: Interpreter, sources: list[Source], ___: Path) -> None:
        assert added.wait(_LONG_S)
        begun.extend(source.identity for source in sources)
        if len(begun) == 2:
            both.set()

    monkeypatch.setattr(CompilePool, "_compile_into", note)
    pool = CompilePool(fake.prefix, 1)
    large, part, small = _source(fake, "a", _LARGE_BYTES), _source(fake, "b", 2_000_000), _source(fake, "c")
    pool.add(fake_interpreter(fake), [large, part])
    added.set()
    assert both.wait(_LONG_S)  # nobody takes it
    pool.add(fake_interpreter(fake), [small])
    pool.close()
    assert begun == [large.identity, part.identity]


def test_a_source_is_compiled_once_and_its_batch_handed_out_once(fake: FakePrefix) -> None:
    pool = CompilePool(fake.prefix, 1)
    source = _source(fake, "a")
    pool.add(fake_interpreter(fake), [source])
    pool.add(fake_interpreter(fake), [source])
    assert len(_take(pool, source)) == 1
    assert _take(pool, source) == []


def test_only_the_batches_of_what_is_taken_are_handed_out(fake: FakePrefix) -> None:
    pool = CompilePool(fake.prefix, 1)
    one, two = _source(fake, "a", _LARGE_BYTES), _source(fake, "b", _LARGE_BYTES)
    pool.add(fake_interpreter(fake), [one, two])
    assert _made(_take(pool, two)) == ["b"]
    assert _made(_take(pool, one)) == ["a"]


def test_progress_counts_what_is_taken_and_not_the_rest_of_its_batch(fake: FakePrefix) -> None:
    pool = CompilePool(fake.prefix, 1)
    one, two = _source(fake, "a"), _source(fake, "b")
    pool.add(fake_interpreter(fake), [one, two])
    counts: list[int] = []
    pool.take([one.identity], counts.append)
    assert counts == [1]


def test_bytecode_was_read_when_it_is_taken(fake: FakePrefix) -> None:
    known = KnownContents(1)
    pool = CompilePool(fake.prefix, 1, known=known)
    source = _source(fake, "a")
    pool.add(fake_interpreter(fake), [source])
    (folder,) = _take(pool, source)
    (made,) = folder.iterdir()
    status = made.stat()
    assert known.snapshot() == {(status.st_dev, status.st_ino): hashlib.sha256(made.read_bytes()).hexdigest()}


def test_a_source_that_is_gone_or_does_not_compile_has_no_bytecode(fake: FakePrefix) -> None:
    pool = CompilePool(fake.prefix, 1)
    gone, broken, sound = _source(fake, "a"), _source(fake, "b", text="{% not python %}"), _source(fake, "c")
    Path(gone.path).unlink()
    pool.add(fake_interpreter(fake), [gone, broken, sound])
    assert _made(_take(pool, gone, broken, sound)) == ["c"]


def test_a_batch_that_failed_is_compiled_again_when_it_is_added_again(fake: FakePrefix) -> None:
    sound = fake_interpreter(fake)
    program = fake.directory / "broken"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    pool = CompilePool(fake.prefix, 1)
    source = _source(fake, "a")
    pool.add(Interpreter(program, sound.version, sound.cache_tag, managed=False), [source])
    with pytest.raises(InterpreterError, match="compiling ended with 3"):
        _take(pool, source)
    pool.add(sound, [source])
    assert _made(_take(pool, source)) == ["a"]


def test_a_pool_that_was_closed_has_nothing_to_hand_out_and_can_be_used_again(fake: FakePrefix) -> None:
    pool = CompilePool(fake.prefix, 1)
    source = _source(fake, "a")
    pool.add(fake_interpreter(fake), [source])
    pool.close()
    assert _take(pool, source) == []
    pool.add(fake_interpreter(fake), [source])
    assert _made(_take(pool, source)) == ["a"]
