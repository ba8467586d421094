"""A manifest names all of a tree: what it names is checked by the store's own verification."""

from pathlib import Path

import pytest

from daemon.install.seal import finish_environment, finish_toolkit
from daemon.install.toolkit import lay_out_toolkit
from daemon.install.workbench import make_workbench
from daemon.prefix.finding import Finding
from daemon.prefix.manifest import MANIFEST_NAME, read_manifest
from daemon.prefix.staging import begin_staging
from daemon.prefix.tree_check import Digests, verify_tree
from daemon.report.progress import Stage
from gens.generation import Toolkit
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.fake_uv.fake_uv import FakeUv, fake_interpreter, wanted_tree


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.define(0)
    begin_staging(fake.prefix)
    return fake


def _findings(fake: FakePrefix, tree: Path) -> list[Finding]:
    findings: list[Finding] = []
    verify_tree(fake.prefix, tree, Digests(1), findings)
    return findings


def _published(tree: Path, final: Path) -> Path:
    final.parent.mkdir(exist_ok=True)
    return tree.rename(final)


def test_an_environment_differs_in_nothing_from_its_manifest(fake: FakePrefix) -> None:
    bench = make_workbench(fake.prefix, FakeUv(fake), 1, links=True)
    tree = bench.linker.link_environment(wanted_tree(fake, 0), fake_interpreter(fake))
    bench.compiler.compile_missing([tree], Stage("compile"))
    bench.compiler.link_bytecode(tree)
    finished = finish_environment(fake.prefix, tree)
    assert finished.tree.final == fake.prefix.generation("g00000") / fake.environment
    assert not finished.tree.final.exists()
    final = _published(tree.directory, finished.tree.final)
    assert read_manifest(final / MANIFEST_NAME).target == fake.environment
    assert _findings(fake, final) == []
    (final / "extra").touch()
    assert [finding.kind for finding in _findings(fake, final)] == ["extra"]


def test_a_toolkit_differs_in_nothing_from_its_manifest(fake: FakePrefix) -> None:
    bench = make_workbench(fake.prefix, FakeUv(fake), 1, links=True)
    wanted = wanted_tree(fake, 0, fake.toolkit)
    assert isinstance(wanted.target, Toolkit)
    tree = lay_out_toolkit(bench, wanted, wanted.target)
    finished = finish_toolkit(fake.prefix, wanted, tree, "cudnn-9.1.0.70-cuda12")
    assert finished.tree.final == fake.prefix.toolkits / "cudnn-9.1.0.70-cuda12"
    final = _published(tree.directory, finished.tree.final)
    assert _findings(fake, final) == []
    (final / "include" / "cudnn.h").unlink()
    assert {finding.kind for finding in _findings(fake, final)} == {"missing"}
