"""Tests of the contracts on a copy of the source tree: each wrong import is found, with both names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.lint.checker import checkers
from tools.lint.source_tree import lay_out, walk

TREE = Path(os.environ["SOURCE_TREE"]).parent / "files"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("source") / "tree"
    lay_out(TREE, root)
    return root


def run(root: Path) -> subprocess.CompletedProcess[str]:
    checker = checkers()["imports"]
    return subprocess.run(
        [*checker.check, *map(str, checker.files(walk(root)))],
        cwd=root,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_contracts_are_kept(tree: Path) -> None:
    result = run(tree)
    assert (result.returncode, "0 broken" in result.stdout) == (0, True), result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("gens.lock", "image.oci.layer"),
        ("image.oci.layer", "tools.options"),
        ("image.oci.layout", "image.registry.client"),
        ("image.registry.push", "image.engine.load"),
        ("image.sbom.contents", "image.debian.rootfs.tree"),
        ("image.debian.lock.resolver", "image.debian.rootfs.tree"),
        ("tools.locking.relock", "tools.update"),
        ("tools.locking.relock", "tools.comparing.comparison"),
        ("daemon.cli.main", "image.oci.layout"),
        ("daemon.cli.main", "tools.options"),
        ("daemon.prefix", "daemon.install"),
        ("gens.catalog", "daemon.errors"),
        ("runtime.user_venv.main", "gens.lock"),
    ],
)
def test_a_wrong_import_fails_with_both_names(tree: Path, module: str, imported: str) -> None:
    path = tree / f"{module.replace('.', '/')}.py"
    if not path.exists():
        path = path.with_suffix("") / "__init__.py"
    whole = path.read_text()
    path.write_text(f"{whole}\nimport {imported}\n")
    try:
        result = run(tree)
    finally:
        path.write_text(whole)
    assert result.returncode == 1
    assert f"{module} -> {imported}" in result.stdout


def test_a_package_that_no_contract_places_is_named(tree: Path) -> None:
    package = tree / "image" / "shelf"
    package.mkdir()
    (package / "__init__.py").touch()
    try:
        result = run(tree)
    finally:
        (package / "__init__.py").unlink()
        package.rmdir()
    assert result.returncode == 1
    assert "shelf" in result.stdout


def test_a_unit_test_may_import_what_it_likes(tree: Path) -> None:
    test = tree / "gens" / "wish_test.py"
    test.write_text("import daemon.cli.main\n")
    try:
        assert run(tree).returncode == 0
    finally:
        test.unlink()
