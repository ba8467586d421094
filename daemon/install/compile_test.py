"""Bytecode is made once for each source and interpreter, shared by all environments, and read before use."""

import dataclasses
import importlib.util
import io
import shutil
from pathlib import Path

import pytest

from daemon.errors import DamageError, InterpreterError
from daemon.install.compile import Compiler
from daemon.install.linked_tree import LinkedTree
from daemon.install.workbench import Workbench, make_workbench
from daemon.interpreters.running_interpreter import Interpreter
from daemon.prefix.bytecode_list import bytecode_list_path, read_bytecode_list
from daemon.prefix.staging import begin_staging
from daemon.report.progress import Reporter, Stage
from tests.fake_prefix.fake_prefix import BYTECODE_KEY, CACHE_TAG, SITE_PACKAGES, FakePrefix
from tests.fake_uv.fake_uv import FakeUv, fake_interpreter, wanted_tree
from tests.index.wheel import Wheel
from tests.synthetic.catalog import environment_cell, locked_wheel

_COMPILED = f"{SITE_PACKAGES}/alpha/__pycache__/__init__.{CACHE_TAG}.pyc"


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    begin_staging(fake.prefix)
    return fake


def _alpha(fake: FakePrefix, content: bytes = b"NAME = 'alpha'\n", **files: bytes) -> Wheel:
    return fake.wheel("alpha", files={"alpha/__init__.py": content, **files})


def _bench(fake: FakePrefix) -> Workbench:
    return make_workbench(fake.prefix, FakeUv(fake), 1, links=True)


def _trees(fake: FakePrefix, bench: Workbench, *wheels: Wheel, number: int = 0) -> list[LinkedTree]:
    """Link two environments of the same wheels."""
    fake.define(number, environment_cell(wheels), environment_cell(wheels, "2.4.1"))
    names = (fake.environment, f"{fake.environment}-torch2.4.1-cpu")
    interpreter = fake_interpreter(fake)
    return [bench.linker.link_environment(wanted_tree(fake, number, name), interpreter) for name in names]


def _compile(compiler: Compiler, trees: list[LinkedTree]) -> int:
    return compiler.compile_missing(trees, Stage("compile"))


def test_environments_share_the_bytecode_of_a_source(fake: FakePrefix) -> None:
    bench = _bench(fake)
    trees = _trees(fake, bench, _alpha(fake))
    assert _compile(bench.compiler, trees) == 1
    for tree in trees:
        bench.compiler.link_bytecode(tree)
    compiled = [tree.directory / _COMPILED for tree in trees]
    assert compiled[0].samefile(compiled[1])


def test_bytecode_names_neither_its_source_nor_its_time(fake: FakePrefix) -> None:
    bench = _bench(fake)
    trees = _trees(fake, bench, _alpha(fake))
    _compile(bench.compiler, trees)
    bench.compiler.link_bytecode(trees[0])
    content = (trees[0].directory / _COMPILED).read_bytes()
    assert content.startswith(importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little"))  # an unchecked hash
    assert str(fake.directory).encode() not in content


def test_a_source_is_compiled_once_for_all_generations(fake: FakePrefix) -> None:
    bench = _bench(fake)
    alpha = _alpha(fake)
    assert _compile(bench.compiler, _trees(fake, bench, alpha)) == 1
    again = _bench(fake)
    assert _compile(again.compiler, _trees(fake, again, alpha, number=1)) == 0


def test_a_wheel_with_a_known_source_gets_a_list_and_no_new_bytecode(fake: FakePrefix) -> None:
    bench = _bench(fake)
    source = b"NAME = 'alpha'\n"
    _compile(bench.compiler, _trees(fake, bench, _alpha(fake, source)))
    beta = fake.wheel("beta", files={"beta.py": source})
    assert _compile(bench.compiler, _trees(fake, bench, beta, number=1)) == 0
    listed = read_bytecode_list(fake.prefix, beta.sha256, BYTECODE_KEY)
    assert [file.path for file in listed or ()] == [f"__pycache__/beta.{CACHE_TAG}.pyc"]


def test_damaged_bytecode_is_compiled_again_and_replaced_where_it_is_linked(fake: FakePrefix) -> None:
    alpha = _alpha(fake)
    fake.install(0, environment_cell([alpha]))
    begin_staging(fake.prefix)
    compiled = fake.tree(0) / _COMPILED
    sound = compiled.read_bytes()
    with compiled.open("r+b") as file:
        file.write(b"~")
    bench = _bench(fake)
    trees = _trees(fake, bench, alpha, number=1)
    assert _compile(bench.compiler, trees) == 1
    bench.compiler.link_bytecode(trees[0])
    assert compiled.read_bytes() == sound
    assert compiled.samefile(trees[0].directory / _COMPILED)


def test_a_damaged_list_is_written_again(fake: FakePrefix) -> None:
    bench = _bench(fake)
    alpha = _alpha(fake)
    trees = _trees(fake, bench, alpha)
    _compile(bench.compiler, trees)
    listed = bytecode_list_path(fake.prefix, alpha.sha256, BYTECODE_KEY)
    before = listed.read_bytes()
    listed.write_bytes(b"junk")
    assert _compile(bench.compiler, trees) == 0
    assert listed.read_bytes() == before


def test_a_source_that_is_not_python_has_no_bytecode(fake: FakePrefix) -> None:
    bench = _bench(fake)
    alpha = _alpha(fake, **{"alpha/template.py": b"{% not python %}\n"})
    trees = _trees(fake, bench, alpha)
    assert _compile(bench.compiler, trees) == 2
    bench.compiler.link_bytecode(trees[0])
    made = (trees[0].directory / SITE_PACKAGES / "alpha/__pycache__").iterdir()
    assert [path.name for path in made] == [f"__init__.{CACHE_TAG}.pyc"]


def _crashing(fake: FakePrefix, condition: str) -> Interpreter:
    """Return an interpreter that ends by SIGSEGV where a condition on the worker's input holds."""
    sound = fake_interpreter(fake)
    program = fake.directory / "crashing"
    program.write_text(
        f"#!/bin/sh\ninput=$(tr '\\0' ' ')\ncase $input in {condition}) kill -SEGV $$ ;; esac\n"
        f"printf '%s' \"$input\" | tr ' ' '\\0' | exec {sound.executable} \"$@\"\n"
    )
    program.chmod(0o755)
    return Interpreter(program, sound.version, sound.cache_tag, managed=False)


def test_a_source_that_ends_its_interpreter_leaves_the_others_their_bytecode(fake: FakePrefix) -> None:
    bench = _bench(fake)
    alpha = _alpha(fake, **{"alpha/deep.py": b"deep = 1\n"})
    trees = _trees(fake, bench, alpha)
    crashing = _crashing(fake, "*deep.py*")
    trees = [dataclasses.replace(tree, interpreter=crashing) for tree in trees]
    assert _compile(bench.compiler, trees) == 2
    listed = read_bytecode_list(fake.prefix, alpha.sha256, BYTECODE_KEY)
    assert [file.path for file in listed or ()] == [f"alpha/__pycache__/__init__.{CACHE_TAG}.pyc"]


def test_an_interpreter_that_compiles_nothing_at_all_is_an_error(fake: FakePrefix) -> None:
    bench = _bench(fake)
    trees = _trees(fake, bench, _alpha(fake))
    crashing = _crashing(fake, "*")
    trees = [dataclasses.replace(tree, interpreter=crashing) for tree in trees]
    with pytest.raises(InterpreterError, match="crashing: compiling ended with -11"):
        _compile(bench.compiler, trees)


def test_bytecode_that_the_list_names_and_nobody_has_is_an_error(fake: FakePrefix) -> None:
    bench = _bench(fake)
    trees = _trees(fake, bench, _alpha(fake))
    _compile(bench.compiler, trees)
    for path in fake.prefix.bytecode.rglob("*.pyc"):
        path.unlink()
    with pytest.raises(DamageError, match=r"__init__\..*pyc.*verify --repair"):
        bench.compiler.link_bytecode(trees[0])


def test_progress_counts_sources(fake: FakePrefix) -> None:
    bench = _bench(fake)
    trees = _trees(fake, bench, _alpha(fake, **{"alpha/more.py": b""}))
    with Reporter(io.StringIO()).stage("compile") as stage:
        bench.compiler.compile_missing(trees, stage)
    assert stage.total == 2


def _ahead(fake: FakePrefix, bench: Workbench, alpha: Wheel, archive: Path) -> None:
    inventory = bench.inventories.get(locked_wheel(alpha))
    bench.compiler.compile_ahead(archive, inventory, [fake_interpreter(fake)])


def test_what_was_compiled_ahead_is_not_compiled_again(fake: FakePrefix) -> None:
    bench = _bench(fake)
    alpha = _alpha(fake)
    archive = fake.directory / "ahead"
    shutil.copytree(fake.archive(alpha), archive)
    _ahead(fake, bench, alpha, archive)
    trees = _trees(fake, bench, alpha)
    for tree in trees:
        (
            tree.directory / SITE_PACKAGES / "alpha/__init__.py"
        ).unlink()  # whoever compiles it now finds nothing
    assert _compile(bench.compiler, trees) == 1
    bench.compiler.link_bytecode(trees[0])
    assert (trees[0].directory / _COMPILED).exists()


def test_a_source_that_was_gone_when_it_was_compiled_ahead_is_compiled_later(fake: FakePrefix) -> None:
    bench = _bench(fake)
    alpha = _alpha(fake)
    _ahead(fake, bench, alpha, fake.directory / "dropped meanwhile")
    trees = _trees(fake, bench, alpha)
    assert _compile(bench.compiler, trees) == 1
    bench.compiler.link_bytecode(trees[0])
    assert (trees[0].directory / _COMPILED).exists()


def test_bytecode_that_the_prefix_has_is_not_made_ahead(fake: FakePrefix) -> None:
    bench = _bench(fake)
    alpha = _alpha(fake)
    trees = _trees(fake, bench, alpha)
    assert _compile(bench.compiler, trees) == 1
    _ahead(fake, bench, alpha, fake.archive(alpha))
    source = next(
        file for file in bench.inventories.get(locked_wheel(alpha)).files if file.path.endswith(".py")
    )
    assert bench.compiler.pool.take([(BYTECODE_KEY, source.sha256)], lambda _: None) == []
