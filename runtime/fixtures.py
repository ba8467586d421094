"""pytest fixtures of the runtime's tests."""

import shutil
from pathlib import Path

import pytest

from runtime.sample_prefix import PYTHON, SamplePrefix, make_sample_prefix
from runtime.shells import SHELLS, Shell


@pytest.fixture(scope="session")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> SamplePrefix:
    """Return a prefix that tests do not change; its path contains blanks and non-ASCII characters."""
    folder = tmp_path_factory.mktemp("sample")
    (folder / "wheels").mkdir()
    return make_sample_prefix(folder / "préfixe of a node", folder / "wheels")


@pytest.fixture
def own_prefix(prefix: SamplePrefix, tmp_path: Path) -> SamplePrefix:
    """Return a copy of the prefix that a test may change."""
    root = tmp_path / "own"
    shutil.copytree(prefix.root, root, symlinks=True, copy_function=_copy)
    return SamplePrefix(root, prefix.wheels)


@pytest.fixture
def base(prefix: SamplePrefix) -> Path:
    """Return an environment of the prefix that tests do not change."""
    return prefix.root / "monobase" / "g00002" / f"python{PYTHON}-torch2.4.1-cpu"


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """Return the path of a venv that does not exist yet."""
    return tmp_path / "a venv of mine"


def _copy(source: str, target: str) -> None:
    """Copy a file, or link it if it is one of the many of pip, to which no test writes."""
    if "/site-packages/pip/" in source:
        Path(target).hardlink_to(source)
    else:
        shutil.copy2(source, target)


@pytest.fixture(params=SHELLS, ids=lambda shell: shell.name)
def shell(request: pytest.FixtureRequest) -> Shell:
    """Return each shell in turn."""
    shell: Shell = request.param
    if not shell.installed:
        pytest.skip(f"{shell.command[0]} is not installed")
    return shell
