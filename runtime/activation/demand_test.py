"""Tests that a model which waits asks its node, and shows the progress."""

import fcntl
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from runtime.sample_prefix import PYTHON, SamplePrefix, question, state_of
from runtime.shells import SHELLS, SYSTEM_PATH, Shell, read_only

pytest_plugins = ["runtime.fixtures"]

_NAME = f"python{PYTHON}-torch2.6.0-cu124"
_ASKED = {"TORCH_VERSION": "2.6.0", "CUDA_VERSION": "12.4"}
_PATIENCE_S = 60


def offered(prefix: SamplePrefix, name: str = _NAME) -> Path:
    """Make the file that a daemon keeps for an environment, and return its path."""
    path = prefix.root / "monobase" / ".demand" / "g00002" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def is_asked_for(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def some_shell(name: str) -> Shell:
    shell = next(shell for shell in SHELLS if shell.name == name)
    if not shell.installed:
        pytest.skip(f"{name} is not installed")
    return shell


class Installer(threading.Thread):
    """Installs the environment of a sample prefix once a model asks for it, as the daemon does."""

    def __init__(self, prefix: SamplePrefix, path: Path) -> None:
        super().__init__()
        self._generation = prefix.root / "monobase" / "g00002"
        self._path = path
        self.was_asked = False

    def run(self) -> None:
        end = time.monotonic() + _PATIENCE_S
        while not self.was_asked and time.monotonic() < end:
            time.sleep(0.02)
            self.was_asked = is_asked_for(self._path)
        shutil.copytree(self._generation / f"python{PYTHON}", self._generation / "staged", symlinks=True)
        (self._generation / "staged").rename(self._generation / _NAME)


def test_a_model_that_waits_asks_and_goes_on_when_it_is_installed(
    shell: Shell, own_prefix: SamplePrefix
) -> None:
    installer = Installer(own_prefix, offered(own_prefix))
    installer.start()

    outcome = shell.run(
        '. "$activate"; echo "$VIRTUAL_ENV"', question(own_prefix, MONOBASE_WAIT_S="120", **_ASKED)
    )
    installer.join()

    assert installer.was_asked
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout.endswith(f"{_NAME}\n")


def test_a_model_asks_for_a_stack_by_the_name_of_its_environment(own_prefix: SamplePrefix) -> None:
    listed = own_prefix.root / "monobase" / "g00002" / "environments"
    listed.write_text(f"{listed.read_text()}stack {_NAME} missing {PYTHON} {PYTHON}.9 - - - mine -\n")
    installer = Installer(own_prefix, offered(own_prefix))
    installer.start()
    variables = {"MONOBASE_PREFIX": str(own_prefix.root), "MONOBASE_STACK": "mine", "MONOBASE_WAIT_S": "120"}

    outcome = SHELLS[0].run('. "$activate"; echo "$VIRTUAL_ENV"', variables)
    installer.join()

    assert installer.was_asked
    assert outcome.stdout.endswith(f"{_NAME}\n"), outcome.stderr


def test_it_asks_over_a_read_only_mount_and_writes_nothing(own_prefix: SamplePrefix) -> None:
    path = offered(own_prefix)
    before = state_of(own_prefix.root)
    seen: list[bool] = []

    def watch() -> None:
        end = time.monotonic() + _PATIENCE_S
        while not any(seen) and time.monotonic() < end:
            seen.append(is_asked_for(path))
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    outcome = SHELLS[0].run(
        '. "$activate"',
        question(own_prefix, MONOBASE_WAIT_S="10", **_ASKED),
        wrapper=read_only(own_prefix.root),
    )
    watcher.join()

    assert outcome.code == 75
    assert any(seen)
    assert state_of(own_prefix.root) == before


def test_it_asks_for_nothing_else_and_not_without_waiting(own_prefix: SamplePrefix) -> None:
    other = offered(own_prefix, f"python{PYTHON}-torch2.6.0-cu121")
    path = offered(own_prefix)
    seen: list[tuple[bool, bool]] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            seen.append((is_asked_for(path), is_asked_for(other)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert SHELLS[0].run('. "$activate"', question(own_prefix, **_ASKED)).code == 75
    assert not any(asked for pair in seen for asked in pair)
    assert SHELLS[0].run('. "$activate"', question(own_prefix, MONOBASE_WAIT_S="10", **_ASKED)).code == 75
    over.set()
    watcher.join()
    assert any(asked for asked, _ in seen)
    assert not any(asked for _, asked in seen)


def test_another_model_with_an_exclusive_lock_holds_up_nobody(shell: Shell, own_prefix: SamplePrefix) -> None:
    with offered(own_prefix).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        outcome = shell.run('. "$activate"', question(own_prefix, MONOBASE_WAIT_S="2", **_ASKED))

    assert outcome.code == 75
    assert "Waited 2 s (MONOBASE_WAIT_S=2)." in outcome.stderr


@pytest.mark.parametrize("kind", ["folder", "pipe", "absent", "without flock"])
def test_a_wait_that_cannot_ask_is_a_wait_all_the_same(
    own_prefix: SamplePrefix, tmp_path: Path, kind: str
) -> None:
    path = offered(own_prefix)
    search = {}
    if kind == "without flock":
        programs = tmp_path / "programs"
        programs.mkdir()
        for name in ("sleep", "sh", "readlink"):
            (programs / name).symlink_to(shutil.which(name, path=SYSTEM_PATH) or name)
        search["PATH"] = str(programs)
    else:
        path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)

    shell = Shell("dash", (shutil.which("dash", path=SYSTEM_PATH) or "dash",))
    outcome = shell.run('. "$activate"', question(own_prefix, MONOBASE_WAIT_S="2", **_ASKED, **search))

    assert outcome.code == 75
    first, second, *_ = outcome.stderr.splitlines()
    assert first.startswith("monobase: warning: waiting up to 2 s for ")
    assert second.startswith("monobase: error: ")


@pytest.mark.parametrize("name", ["dash", "busybox ash", "zsh"])
def test_the_wait_shows_how_far_it_is(own_prefix: SamplePrefix, name: str) -> None:
    lines = [
        "monobase-progress 1",
        f"g00001 {_NAME} fetch 1 2",
        f"g00002 {_NAME} fetch x 2",
        f"g00002 {_NAME} fetch 1",
        f"g00002 {_NAME} fetch 08 2",
        f"g00002 {_NAME} fetch 1 {'9' * 20}",
        f"g00002 {_NAME} fetch {'9' * 20} 1",
        f"g00002 {_NAME} unheard-of 1 2",
        f"g00002 {_NAME} fetch 1203456789 2812345678",
        "g00002 another link 5 5",
    ]
    (own_prefix.root / "monobase" / ".progress").write_text("".join(f"{line}\n" for line in lines))
    variables = question(own_prefix, MONOBASE_WAIT_S="5", **_ASKED)

    outcome = some_shell(name).run('. "$activate"', variables)

    assert outcome.code == 75
    shown = [line for line in outcome.stderr.splitlines() if "after" in line]
    assert shown == [f"monobase: warning: {_NAME}: downloading 1203 of 2812 MB (42 %), after 5 s"]


@pytest.mark.parametrize(
    ("stage", "text"),
    [
        ("fetch 0 0", "downloading 0 of 0 MB"),
        ("link 9 9", "installing (link)"),
        ("compile 9 9", "installing (compile)"),
    ],
)
def test_each_stage_has_its_words(own_prefix: SamplePrefix, stage: str, text: str) -> None:
    (own_prefix.root / "monobase" / ".progress").write_text(f"monobase-progress 1\ng00002 {_NAME} {stage}\n")
    variables = question(own_prefix, MONOBASE_WAIT_S="5", **_ASKED)

    outcome = SHELLS[0].run('. "$activate"', variables)

    shown = [line for line in outcome.stderr.splitlines() if "after" in line]
    assert shown == [f"monobase: warning: {_NAME}: {text}, after 5 s"]


def test_what_has_not_changed_is_not_shown_again(own_prefix: SamplePrefix) -> None:
    (own_prefix.root / "monobase" / ".progress").write_text(
        f"monobase-progress 1\ng00002 {_NAME} queued 0 0\n"
    )

    outcome = SHELLS[0].run('. "$activate"', question(own_prefix, MONOBASE_WAIT_S="10", **_ASKED))

    shown = [line for line in outcome.stderr.splitlines() if "after" in line]
    assert shown == [f"monobase: warning: {_NAME}: waits for its turn, after 5 s"]
