import shutil
import subprocess
from pathlib import Path

import pytest

_SCRIPT = Path("tools/workspace/workspace_status.sh").absolute()
_GIT = shutil.which("git") or "git"


def git(tree: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    done = subprocess.run([_GIT, *identity, *arguments], cwd=tree, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def run_script(tree: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([_SCRIPT], cwd=tree, capture_output=True, text=True, check=False)


def status(tree: Path) -> dict[str, str]:
    done = run_script(tree)
    assert done.returncode == 0, done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "source").write_text("1\n")
    (tmp_path / ".gitignore").write_text("ignored\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    return tmp_path


def test_a_clean_tree_is_named_by_its_commit(tree: Path) -> None:
    (tree / "ignored").touch()
    commit = git(tree, "rev-parse", "HEAD")
    assert status(tree) == {"STABLE_MONOBASE_REVISION": commit, "STABLE_MONOBASE_TREE": "clean"}


def test_a_changed_file_makes_the_tree_dirty(tree: Path) -> None:
    (tree / "source").write_text("2\n")
    assert status(tree)["STABLE_MONOBASE_TREE"] == "dirty"


def test_a_new_file_that_git_does_not_ignore_makes_the_tree_dirty(tree: Path) -> None:
    (tree / "new").touch()
    assert status(tree)["STABLE_MONOBASE_TREE"] == "dirty"


def test_a_folder_without_a_commit_is_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    done = run_script(tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith(
        "workspace_status.sh: no commit: a release is built in a clone of the repository\n"
    )
    assert done.stdout == ""
