"""Whoever installs, with whatever umask, models can read all of it, and nothing of the caller is changed."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.index.server import LocalIndex
from tests.node.node import Node, make_node
from tests.node.small_generation import define_small_generation
from tests.synthetic.catalog import environment_cell

pytest_plugins = ["tests.index.fixture"]

_CALLS = """
import json, os, sys
from pathlib import Path
from daemon.service.feature_file import write_features
from daemon.install.options import InstallOptions
from daemon.install.pipeline import install
from daemon.upkeep.known_file import write_known
from daemon.prefix.prefix import prefix_at
from daemon.report.progress import Reporter
from daemon.upkeep.prune import clean_uv_cache, prune
from daemon.upkeep.prune_plan import PruneRules
from daemon.upkeep.readiness import NOTHING_KNOWN, read_readiness
from daemon.upkeep.repair import repair
from daemon.uv.program import find_uv
from daemon.upkeep.verify import verify
from gens.catalog import load_catalog

umask = int(sys.argv[1], 8)
os.umask(umask)
variables = dict(os.environ)
prefix, gens, features = prefix_at(Path(sys.argv[2])), Path(sys.argv[3]), Path(sys.argv[4])
options = InstallOptions(downloads=False)
reporter = Reporter()


def unchanged(what):
    found = os.umask(umask)
    assert found == umask, f"{what} changed the umask to {found:o}"
    assert dict(os.environ) == variables, f"{what} changed the environment"


def do(what, *arguments):
    result = what(*arguments)
    unchanged(what.__name__)
    return result


catalog, uv = load_catalog(gens), find_uv(None)
assert do(install, prefix, catalog, uv, options, reporter).sealed == ["g00001", "g00000"]
assert do(verify, prefix, ["g00000", "g00001"], 1).findings == []
for name in ("alpha/__init__.py", "alpha/part.py"):
    next(prefix.generation("g00000").glob(f"python*/lib/python*/site-packages/{name}")).unlink()
assert do(repair, prefix, catalog, uv, ["g00000"], options, reporter).findings == []
do(prune, prefix, catalog, uv, PruneRules(1), reporter)
do(clean_uv_cache, prefix, reporter)
do(write_known, prefix, NOTHING_KNOWN)
do(write_features, features, read_readiness(prefix, catalog, 1, None))
assert do(install, prefix, catalog, uv, options, reporter).installed
"""


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    node = make_node(local_index, tmp_path)
    define_small_generation(node)
    node.define(environment_cell([node.wheel("beta")]), generation=1)
    return node


def _modes(root: Path) -> dict[str, str]:
    modes = {".": f"{stat.S_IMODE(root.lstat().st_mode):o}"}
    for path in root.rglob("*"):
        relative = path.relative_to(root)
        if relative.parts[1:3] == ("uv", "cache") and len(relative.parts) > 3:
            continue  # uv's own names, some by chance
        modes[str(relative)] = "link" if path.is_symlink() else f"{stat.S_IMODE(path.lstat().st_mode):o}"
    return modes


def _install(node: Node, umask: int) -> dict[str, str]:
    place = node.directory / f"{umask:03o}"
    place.mkdir()
    place.chmod(0o755)
    features = place / "features"
    features.mkdir(0o755)
    done = subprocess.run(
        [sys.executable, "-c", _CALLS, f"{umask:o}", place / "prefix", node.gens, features],
        capture_output=True, text=True, check=False, env=node.environment_variables(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return _modes(place)


def test_the_tree_is_the_same_under_any_umask_and_the_caller_s_stays(node: Node) -> None:
    usual = _install(node, 0o022)
    assert len(usual) > 100
    for umask in (0o077, 0o000, 0o027):
        found = _install(node, umask)
        different = {name: (found.get(name), usual.get(name)) for name in found.keys() | usual.keys()}
        assert {name: pair for name, pair in different.items() if pair[0] != pair[1]} == {}


def test_all_may_read_what_they_need_and_nobody_may_write(node: Node) -> None:
    closed = {".lock": "600", ".service-lock": "600", "calls": "700"}
    for name, mode in _install(node, 0o077).items():
        if mode == "link":
            continue
        assert int(mode, 8) & 0o022 == 0, name
        if Path(name).name in closed:
            assert mode == closed[Path(name).name], name
        else:
            assert int(mode, 8) & 0o044 == 0o044, name
