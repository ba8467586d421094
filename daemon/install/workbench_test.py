"""The stages of one run share what they have read, and link only where links are switched on."""

from pathlib import Path

import pytest

from daemon.host.known_contents import KnownContents
from daemon.install.workbench import make_workbench
from daemon.prefix.staging import begin_staging
from daemon.report.progress import Stage
from tests.fake_prefix.fake_prefix import CACHE_TAG, SITE_PACKAGES, FakePrefix
from tests.fake_uv.fake_uv import FakeUv, fake_interpreter, wanted_tree
from tests.index.wheel import Wheel
from tests.synthetic.catalog import environment_cell


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    return FakePrefix(tmp_path)


@pytest.fixture
def alpha(fake: FakePrefix) -> Wheel:
    alpha = fake.wheel("alpha")
    fake.define(0, environment_cell([alpha]))
    return alpha


def test_without_links_nothing_of_an_environment_shares_an_inode(fake: FakePrefix, alpha: Wheel) -> None:
    begin_staging(fake.prefix)
    bench = make_workbench(fake.prefix, FakeUv(fake, link_mode="copy"), 1, links=False)
    tree = bench.linker.link_environment(wanted_tree(fake, 0), fake_interpreter(fake))
    bench.linker.share(tree)
    bench.compiler.compile_missing([tree], Stage("compile"))
    bench.compiler.link_bytecode(tree)
    files = [path for path in tree.directory.rglob("*") if path.is_file() and not path.is_symlink()]
    assert tree.directory / SITE_PACKAGES / f"__pycache__/alpha.{CACHE_TAG}.pyc" in files
    assert {path.stat().st_nlink for path in files} == {1}
    assert (fake.archive(alpha) / "alpha.py").is_file()


def test_what_one_environment_has_read_is_not_read_again_for_the_next(fake: FakePrefix) -> None:
    alpha = fake.wheel("alpha", files={"alpha/weights": b"w" * 100_000})
    fake.define(0, environment_cell([alpha]), environment_cell([alpha], "2.4.1"))
    begin_staging(fake.prefix)
    known = KnownContents(1)
    bench = make_workbench(fake.prefix, FakeUv(fake), 1, links=True, known=known)
    bench.linker.link_environment(wanted_tree(fake, 0), fake_interpreter(fake))
    read_bytes = known.read_bytes
    assert read_bytes > 100_000
    other = wanted_tree(fake, 0, f"{fake.environment}-torch2.4.1-cpu")
    bench.linker.link_environment(other, fake_interpreter(fake))
    assert known.read_bytes - read_bytes < 1_000
