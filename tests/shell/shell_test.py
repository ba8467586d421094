"""Tests `shell` as a user runs it: what it installs, and that the command is as if it ran by itself."""

import os
import pty
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gens.catalog import load_catalog
from gens.generation import Environment, Generation
from layers.lock import LayerLock, content_digest, format_layer_lock
from tests.index.server import LocalIndex
from tests.node.node import PLAIN, Node, make_node
from tests.node.small_generation import define_small_generation
from tests.synthetic.catalog import PLATFORM, PYTHON, TIME_BOUND, locked_wheel

pytest_plugins = ["tests.index.fixture"]

_DIGEST = "sha256:" + "a" * 64
_TORCH = f"{PLAIN}-torch2.4.1-cu124"
_TIMEOUT_S = 240


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    node = make_node(local_index, tmp_path)
    define_small_generation(node)
    return node


@pytest.fixture
def installed(node: Node) -> Node:
    node.install("--only", PLAIN)
    return node


def _shell(
    node: Node, *words: str, env: str = PLAIN, stdin: str | None = None, **variables: str
) -> "subprocess.CompletedProcess[str]":
    command = node.command("shell", "--no-python-downloads", "--env", env)
    return subprocess.run(
        [*command, *words], capture_output=True, text=True, check=False, cwd=node.directory,
        env=node.environment_variables(variables), timeout=_TIMEOUT_S,
        **({"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}),
    )  # fmt: skip


def _variables(done: "subprocess.CompletedProcess[str]") -> dict[str, str]:
    assert done.returncode == 0, done.stderr
    return dict(line.partition("=")[::2] for line in done.stdout.splitlines())


def test_an_environment_and_its_toolkit_are_installed_once_and_are_the_same_bytes(node: Node) -> None:
    code = "import torch; print(torch.v)"
    first = _shell(node, "--", "python", "-c", code, env="torch2.4.1")
    assert (first.returncode, first.stdout) == (0, "2.4.1\n"), first.stderr
    assert f"installing {_TORCH} and cuda12.4 of g00000 to {node.root}" in first.stderr
    assert sorted(path.name for path in node.prefix.generation("g00000").iterdir()) == [
        "cuda12.4", "environments", _TORCH
    ]  # fmt: skip

    again = _shell(node, "python", "-c", code, env="torch2.4.1", UV_DEFAULT_INDEX="http://127.0.0.1:1/simple")
    assert (again.returncode, again.stdout, again.stderr) == (0, "2.4.1\n", "")
    assert node.differences() == []


def test_the_runtime_activates_it(node: Node) -> None:
    after = _variables(_shell(node, "env", env=_TORCH))
    environment = node.environment(_TORCH)
    assert after["MONOBASE_ENVIRONMENT"] == after["VIRTUAL_ENV"] == str(environment)
    assert after["PATH"].split(":")[0] == str(environment / "bin")
    assert after["CUDA_HOME"] == str(node.environment("cuda12.4"))


def test_without_a_toolkit_none_is_installed(node: Node) -> None:
    done = _shell(node, "--no-toolkit", "--", "env", env=_TORCH)
    assert "CUDA_HOME" not in _variables(done)
    assert not node.environment("cuda12.4").exists()


def test_the_virtual_environment_and_the_settings_of_the_caller_do_not_get_in_the_way(
    installed: Node, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    after = _variables(
        _shell(
            installed, "env", VIRTUAL_ENV=str(tmp_path), PYTHON_VERSION="3.99", TORCH_VERSION="1",
            BUILD_WORKSPACE_DIRECTORY="/w",
        )
    )  # fmt: skip
    assert after["VIRTUAL_ENV"] == str(installed.environment())
    assert after["PYTHON_VERSION"] == PYTHON
    assert {"TORCH_VERSION", "BUILD_WORKSPACE_DIRECTORY"}.isdisjoint(after)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("sh", "-c", "exit 42"), 42),
        (("sh", "-c", "kill -TERM $$"), -signal.SIGTERM),
        (("sh", "-c", "kill -PIPE $$"), -signal.SIGPIPE),
        (("sh", "-c", "kill -KILL $$"), -signal.SIGKILL),
        (("no-such-command",), 127),
        (("/etc/passwd",), 126),
        (("/etc",), 126),
    ],
)
def test_the_command_ends_as_if_it_ran_by_itself(installed: Node, words: tuple[str, ...], code: int) -> None:
    assert _shell(installed, "--", *words).returncode == code


def test_a_signal_to_shell_is_one_to_the_command(installed: Node) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        waits = f"trap 'echo got; exit 9' {int(number)}; echo up; while :; do sleep 0.1; done"
        with subprocess.Popen(
            [*installed.command("shell", "--env", PLAIN), "--", "sh", "-c", waits],
            stdout=subprocess.PIPE, text=True, env=installed.environment_variables(),
        ) as process:  # fmt: skip
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            process.send_signal(number)
            assert process.communicate()[0] == "got\n"
        assert process.returncode == 9


def test_the_command_runs_without_standard_streams(installed: Node, tmp_path: Path) -> None:
    for number, closed in enumerate(("0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-")):
        file = tmp_path / f"ran {number}"
        command = [*installed.command("shell", "--env", PLAIN), "--", "touch", str(file)]
        done = subprocess.run(
            ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *command], check=False,
            env=installed.environment_variables(), timeout=_TIMEOUT_S,
        )  # fmt: skip
        assert done.returncode == 0
        assert file.exists()


def test_packages_of_another_python_of_the_caller_are_not_seen(installed: Node, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "alpha.py").write_text("NAME = 'of the caller'\n")
    variables = installed.environment_variables()
    path = f"{tmp_path}/lib:{variables.get('PYTHONPATH', '')}"
    code = "import alpha, os; print(alpha.NAME, os.environ.get('CONDA_PREFIX'))"
    done = _shell(
        installed, "--", "python", "-c", code,
        PYTHONPATH=path, CONDA_PREFIX="/opt/conda", VIRTUAL_ENV="/opt/venv", PYTHONHOME="",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "alpha None\n"), done.stderr


def test_a_shell_in_a_shell_with_a_layer_has_its_own_environment_only(installed: Node) -> None:
    lock = _write_layer_lock(installed)
    inner = [*installed.command("shell", "--env", PLAIN), "--", "env"]
    outer = installed.command("shell", "--no-python-downloads", "--layer", str(lock))
    variables = installed.environment_variables({"XDG_CACHE_HOME": str(installed.directory / "cache")})
    # As Bazel's launcher does: the interpreter of the inner one is not that of the outer one.
    again = ["env", f"PYTHONPATH={variables['PYTHONPATH']}"] if "PYTHONPATH" in variables else []
    done = subprocess.run(
        [*outer, "--", *again, *inner], capture_output=True, text=True, check=False, env=variables,
        cwd=installed.directory, timeout=_TIMEOUT_S,
    )  # fmt: skip
    after = _variables(done)
    environment = str(installed.environment())
    assert (after["VIRTUAL_ENV"], after["MONOBASE_USER_VENV"]) == (environment, "")
    assert "/cache/monobase/layers/" not in after["PATH"]
    assert after["PATH"].split(":").count(f"{environment}/bin") == 1


def test_several_shells_at_once_install_an_environment_once(node: Node) -> None:
    command = node.command("shell", "--no-python-downloads", "--env", PLAIN)
    processes = [
        subprocess.Popen(
            [*command, "--", "python", "-c", "import alpha; print(alpha.NAME)"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=node.environment_variables(), cwd=node.directory,
        )
        for _ in range(3)
    ]  # fmt: skip
    ended = [process.communicate(timeout=_TIMEOUT_S) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], ended
    assert [stdout for stdout, _ in ended] == ["alpha\n"] * 3
    assert sum("1 wheels, " in stderr for _, stderr in ended) == 1
    assert node.differences() == []


def test_the_command_reads_what_the_caller_writes_or_nothing(installed: Node) -> None:
    assert _shell(installed, "cat", stdin="a line\n").stdout == "a line\n"
    assert _shell(installed, "cat").stdout == ""


def test_paths_are_those_of_the_folder_that_bazel_run_was_called_in(installed: Node) -> None:
    directory = installed.directory / "work"
    directory.mkdir()
    command = installed.command("shell", "--env", PLAIN)
    command[command.index(str(installed.root))] = "../prefix"
    done = subprocess.run(
        [*command, "pwd"], capture_output=True, text=True, check=False, cwd="/",
        env=installed.environment_variables({"BUILD_WORKING_DIRECTORY": str(directory)}), timeout=_TIMEOUT_S,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, f"{directory}\n"), done.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--env", "torch2.4.2"), 3, f"near it are: {_TORCH}, "),
        (("--env", "cu124"), 3, f"fits 2 environments of g00000: {_TORCH}, "),
        (("--gen", "7"), 3, "there is no generation 7; there are 0"),
    ],
)
def test_what_does_not_exist_is_refused_before_anything_is_written(
    node: Node, words: tuple[str, ...], code: int, message: str
) -> None:
    done = _shell(node, *words, "true")
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert not node.root.exists()


def test_an_environment_must_be_named(node: Node) -> None:
    done = subprocess.run(
        node.command("shell"), capture_output=True, text=True, check=False, cwd=node.directory,
        env=node.environment_variables(), timeout=_TIMEOUT_S,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--env names the environment" in done.stderr


def test_an_install_that_fails_starts_nothing_and_gives_its_exit_code(node: Node) -> None:
    done = _shell(node, "echo", "started", UV_DEFAULT_INDEX="http://127.0.0.1:1/simple", UV_HTTP_RETRIES="0")
    assert (done.returncode, done.stdout) == (4, "")
    assert f"g00000/{PLAIN} could not be installed" in done.stderr


def _write_layer_lock(node: Node, **changes: Any) -> Path:  # noqa: ANN401 (fields of the lock)
    """Write the lock of a layer with one package on the plain environment."""
    wheel = node.wheel("mine", "3.0", files={"mine.py": b"import alpha\nprint('mine on', alpha.NAME)\n"})
    base = load_catalog(node.gens).lock(*_plain(node))
    fields: dict[str, Any] = {
        "generation_id": 0, "environment": PLAIN, "base": _DIGEST, "platform": PLATFORM, "inputs": _DIGEST,
        "resolver": "uv 0.13.9", "exclude_newer": TIME_BOUND, "wheels": (locked_wheel(wheel),),
        "content": content_digest(base.wheels),
    }  # fmt: skip
    path = node.directory / "model.lock"
    path.write_text(format_layer_lock(LayerLock(**{**fields, **changes})))
    return path


def _plain(node: Node) -> tuple[Generation, Environment]:
    generation = load_catalog(node.gens).generation(0)
    return generation, next(item for item in generation.environments if item.name == PLAIN)


def _with_layer(node: Node, lock: Path, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = node.command("shell", "--no-python-downloads", "--layer", str(lock), *words)
    return subprocess.run(
        [*command, "python", "-c", "import mine, sys; print(sys.prefix)"], capture_output=True, text=True,
        check=False, cwd=node.directory, stdin=subprocess.DEVNULL, timeout=_TIMEOUT_S,
        env=node.environment_variables({"XDG_CACHE_HOME": str(node.directory / "cache"), **variables}),
    )  # fmt: skip


def test_a_layer_comes_on_top_of_the_environment_of_its_lock_and_is_made_once(node: Node) -> None:
    lock = _write_layer_lock(node)
    first = _with_layer(node, lock)
    assert first.returncode == 0, first.stderr
    said, folder = first.stdout.splitlines()
    assert said == "mine on alpha"
    assert f"installing the layer of {lock}: 1 packages, " in first.stderr
    assert Path(folder).parent == node.directory / "cache" / "monobase" / "layers"

    again = _with_layer(node, lock, UV_DEFAULT_INDEX="http://127.0.0.1:1/simple")
    assert (again.returncode, again.stdout, again.stderr) == (0, first.stdout, "")
    assert len(list(Path(folder).parent.iterdir())) == 1
    assert node.differences() == []


@pytest.mark.parametrize(
    ("changes", "words", "code", "message"),
    [
        ({}, ("--env", _TORCH), 2, f"is for g00000/{PLAIN}: leave out --env and --gen"),
        (
            {"content": _DIGEST},
            (),
            3,
            f"an environment with other wheels than g00000/{PLAIN} has",
        ),
        ({"platform": "riscv64-manylinux_2_34"}, (), 3, "has wheels for riscv64, and this machine is"),
        ({"generation_id": 7}, (), 3, "there is no generation 7"),
    ],
)
def test_a_layer_of_another_base_is_refused_before_anything_is_written(
    node: Node, changes: dict[str, Any], words: tuple[str, ...], code: int, message: str
) -> None:
    done = _with_layer(node, _write_layer_lock(node, **changes), *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert not node.root.exists()


def test_without_a_layer_nothing_of_layers_is_loaded(installed: Node) -> None:
    """The image of the daemon does not have them."""
    command = installed.command("shell", "--env", PLAIN)
    command[1:1] = ["-X", "importtime"]
    done = subprocess.run(
        [*command, "true"], capture_output=True, text=True, check=False, cwd=installed.directory,
        env=installed.environment_variables(), timeout=_TIMEOUT_S,
    )  # fmt: skip
    assert done.returncode == 0
    assert "daemon.cli.shell_program" in done.stderr
    assert " layers" not in done.stderr


@pytest.mark.parametrize(
    ("program", "file", "prompt"), [("bash", ".bashrc", "PS1"), ("zsh", ".zshrc", "PROMPT")]
)
def test_an_interactive_shell_has_the_environment_first_whatever_the_users_file_does(
    installed: Node, tmp_path: Path, program: str, file: str, prompt: str
) -> None:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"there is no {program} here")
    home = tmp_path / "my home"
    home.mkdir()
    (home / file).write_text(
        f'PATH=/usr/bin:$PATH\n{prompt}="mine> "\nOWN=read\n'
        "export TORCH_VERSION=9.9 MONOBASE_PREFIX=/nowhere\n"
        "export PYTHONPATH=/nowhere VIRTUAL_ENV=/nowhere MONOBASE_USER_VENV=/nowhere MONOBASE_GEN_ID=7\n"
        "alias .=false\n"
    )
    said = _in_terminal(
        installed.command("shell", "--env", PLAIN),
        [(b"mine> ", b'tty && echo "[$OWN] [$(command -v python)] [$ZDOTDIR] [$PYTHONPATH]"; exit 7\n')],
        installed.environment_variables({"HOME": str(home), "SHELL": path, "TERM": "dumb"}), 7,
    )  # fmt: skip
    assert f"(g00000/{PLAIN}) mine> " in said
    assert "/dev/pts/" in said
    assert f"[read] [{installed.environment()}/bin/python] [] []" in said


@pytest.mark.parametrize("program", ["bash", "dash", "zsh"])
def test_a_key_that_interrupts_ends_the_command_and_not_the_shell(
    installed: Node, tmp_path: Path, program: str
) -> None:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"there is no {program} here")
    (tmp_path / ".bashrc").write_text("PS1='mine> '\n")
    (tmp_path / ".zshrc").write_text("PROMPT='mine> '\n")
    variables = {"HOME": str(tmp_path), "SHELL": path, "TERM": "dumb", "PS1": "mine> "}
    said = _in_terminal(
        installed.command("shell", "--env", PLAIN),
        [
            (b"mine> ", b"sh -c 'echo wai''ts; exec sleep 1000'\n"),
            (b"waits", b"\x03"),
            (b"mine> ", b'echo "code [$?]"; exit 7\n'),
        ],
        installed.environment_variables(variables), 7,
    )  # fmt: skip
    assert "code [130]" in said


def _in_terminal(
    command: list[str], typed: list[tuple[bytes, bytes]], variables: Mapping[str, str], code: int
) -> str:
    """Run a command in a terminal, type each text when it shows another, and return all that it showed."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        ["/usr/bin/setsid", "--ctty", "--wait", *command],
        stdin=theirs, stdout=theirs, stderr=theirs, env=variables,
    ) as process:  # fmt: skip
        os.close(theirs)
        watch = threading.Timer(_TIMEOUT_S, process.kill)
        watch.start()
        shown, seen, left = bytearray(), 0, list(typed)
        while part := _read(ours):
            shown += part
            if left and left[0][0] in shown[seen:]:  # what is typed earlier, a shell may drop
                seen = len(shown)
                os.write(ours, left.pop(0)[1])
        found = process.wait()
        watch.cancel()
    os.close(ours)
    text = shown.decode()
    assert found == code, text
    return text


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # EIO: nobody has the terminal open any more
        return b""
