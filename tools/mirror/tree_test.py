"""A folder as a mirror: what a prune takes, and what it leaves."""

from pathlib import Path

from gens.mirror_shape import InterpreterConfig, format_interpreters_index
from tools.mirror.tree import Tree, project_of

KEPT = InterpreterConfig("cpython-3.12.16-linux-x86_64-gnu", "20261110/cpython-3.12.16.tar.gz", "1" * 64, 3)
OLD = InterpreterConfig("cpython-3.11.18-linux-x86_64-gnu", "20261009/cpython-3.11.18.tar.gz", "2" * 64, 3)


def _write(path: Path, content: bytes = b"abc") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _tree(root: Path) -> tuple[Tree, list[Path], list[Path]]:
    """Return a tree, the paths of what a prune to `KEPT` removes, and of what it leaves."""
    interpreters = root / "interpreters"
    _write(interpreters / "index.json", format_interpreters_index([KEPT, OLD]))
    going = [
        _write(interpreters / OLD.path),
        _write(interpreters / "20250101" / "cpython-3.12.15.tar.gz"),  # replaced by a newer release
        _write(root / "files" / ("3" * 64) / "a-1-py3-none-any.whl"),
        _write(root / "artifacts" / "g00001-python3.12.json"),
        _write(root / "artifacts" / ".g00002-python3.12.json.partial"),
        _write(root / ".partial" / ("4" * 64)),
    ]
    staying = [
        _write(interpreters / KEPT.path),
        _write(interpreters / "20261110" / "README"),
        _write(root / "files" / ("3" * 64) / "notes.txt"),
        _write(root / "simple" / "mine" / "index.html", b"<html></html>"),
    ]
    return Tree(root, lambda _line: None), going, staying


def test_a_prune_takes_what_mirrors_write_and_leaves_the_rest(tmp_path: Path) -> None:
    tree, going, staying = _tree(tmp_path)
    removed = tree.prune([], [], {KEPT.key: KEPT}, dry_run=False)
    assert sorted(removed.names) == sorted(str(path.relative_to(tmp_path)) for path in going)
    assert removed.size_bytes == 3 * len(going)
    assert [path for path in going if path.exists()] == []
    assert all(path.exists() for path in staying)
    assert tree.interpreters() == {KEPT.key: KEPT}
    assert any("notes.txt: is not a mirror's; left" in line for line in removed.left)


def test_a_dry_run_removes_nothing(tmp_path: Path) -> None:
    tree, going, _ = _tree(tmp_path)
    assert len(tree.prune([], [], {KEPT.key: KEPT}, dry_run=True).names) == len(going)
    assert all(path.exists() for path in going)


def test_interpreters_stay_where_they_are_not_asked_for(tmp_path: Path) -> None:
    tree, _, _ = _tree(tmp_path)
    tree.prune([], [], None, dry_run=False)
    assert tree.interpreters() == {KEPT.key: KEPT, OLD.key: OLD}
    assert len(list((tmp_path / "interpreters").glob("*/cpython-*"))) == 3


def test_a_file_that_is_not_a_wheel_has_no_package() -> None:
    assert project_of("Torch-2.4.1+cpu-py3-none-any.whl") == "torch"
    assert project_of("notes.txt") is None
