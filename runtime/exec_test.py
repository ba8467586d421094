import fcntl
import os
import re
import shutil
import threading
import time
from pathlib import Path

import pytest

from runtime.sample_prefix import PYTHON, SamplePrefix, question, state_of
from runtime.shells import EXEC, SHELLS, SYSTEM_PATH, Outcome, Shell, read_only, run

pytest_plugins = ["runtime.fixtures"]


def execute(variables: dict[str, str], *command: str) -> Outcome:
    return run([str(EXEC), *command], {"PATH": SYSTEM_PATH} | variables)


def test_exec_becomes_the_command_with_its_arguments_as_they_are(prefix: SamplePrefix) -> None:
    code = "import sys; print(sys.argv[1:], sys.prefix); sys.exit(7)"

    outcome = execute(question(prefix), "python", "-c", code, "a  b", "", "*")

    environment = prefix.root / "monobase" / "g00002" / f"python{PYTHON}"
    assert outcome == Outcome(7, f"['a  b', '', '*'] {environment}\n", "")


def test_exec_ends_with_the_code_of_the_refusal(prefix: SamplePrefix) -> None:
    assert execute(question(prefix, TORCH_VERSION="9.9.9"), "echo", "ran").code == 69
    assert execute(question(prefix, TORCH_VERSION="9.9.9"), "echo", "ran").stdout == ""


def test_exec_without_a_command_says_how_to_call_it(prefix: SamplePrefix) -> None:
    outcome = execute(question(prefix))

    assert outcome.code == 64
    assert "no command to run" in outcome.stderr


def test_exec_of_a_command_that_is_not_there_ends_like_a_shell(prefix: SamplePrefix) -> None:
    assert execute(question(prefix), "no-such-command").code == 127


# --- the lease ------------------------------------------------------------------------------------

# Native zsh is never anybody's /bin/sh, which exec is written for.
EXEC_SHELLS = [shell for shell in SHELLS if shell.name != "zsh"]
# What a model can find out: whether the generation is leased, and which descriptors it was given.
LOOK = """
import fcntl, os, sys

def leased():
    descriptor = os.open(sys.argv[1], os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False

print(leased(), [os.path.exists(f"/proc/self/fd/{number}") for number in (0, 1, 2, 9)])
"""


@pytest.fixture(params=EXEC_SHELLS, ids=lambda shell: shell.name)
def exec_shell(request: pytest.FixtureRequest) -> Shell:
    shell: Shell = request.param
    if not shell.installed:
        pytest.skip(f"{shell.command[0]} is not installed")
    return shell


def lease(shell: Shell, variables: dict[str, str], *command: str, wrapper: tuple[str, ...] = ()) -> Outcome:
    """Run exec in a shell, with a lease asked for."""
    return run(
        [*wrapper, *shell.command, str(EXEC), *command],
        {"PATH": SYSTEM_PATH, "MONOBASE_LEASE": "1"} | variables,
    )


def is_leased(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def stand_in_for_flock(folder: Path, script: str) -> dict[str, str]:
    """Put a flock that does something first, and then what flock does, in front on the PATH."""
    folder.mkdir()
    program = folder / "flock"
    program.write_text(f'#!/bin/sh\n{script}\nexec /usr/bin/flock "$@"\n')
    program.chmod(0o755)
    return {"PATH": f"{folder}:{SYSTEM_PATH}"}


def test_exec_holds_a_lease_for_as_long_as_the_command_runs(exec_shell: Shell, prefix: SamplePrefix) -> None:
    generation = prefix.root / "monobase" / "g00002"

    outcome = lease(exec_shell, question(prefix), "python", "-c", LOOK, str(generation))

    assert outcome == Outcome(0, "True [True, True, True, True]\n", "")
    assert not is_leased(generation)


def test_the_lease_goes_on_in_what_the_command_leaves_behind(prefix: SamplePrefix, tmp_path: Path) -> None:
    generation = prefix.root / "monobase" / "g00002"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    script = 'cat "$1" >/dev/null 2>&1 &'
    assert lease(SHELLS[0], question(prefix), "sh", "-c", script, "sh", str(pipe)).code == 0
    assert is_leased(generation)

    pipe.write_text("")  # its reader ends
    end = time.monotonic() + 60
    while is_leased(generation) and time.monotonic() < end:
        time.sleep(0.01)
    assert not is_leased(generation)


def test_without_being_asked_exec_takes_no_lease(prefix: SamplePrefix) -> None:
    generation = prefix.root / "monobase" / "g00002"
    for asked in ({}, {"MONOBASE_LEASE": ""}, {"MONOBASE_LEASE": "0"}):
        outcome = execute(question(prefix) | asked, "python", "-c", LOOK, str(generation))
        assert outcome == Outcome(0, "False [True, True, True, False]\n", "")


def test_a_lease_is_taken_on_a_read_only_mount(exec_shell: Shell, prefix: SamplePrefix) -> None:
    generation = prefix.root / "monobase" / "g00002"
    before = state_of(prefix.root)

    outcome = lease(
        exec_shell,
        question(prefix),
        *("python", "-c", LOOK, str(generation)),
        wrapper=read_only(prefix.root),
    )

    assert outcome == Outcome(0, "True [True, True, True, True]\n", "")
    assert state_of(prefix.root) == before


def test_a_lease_changes_neither_variables_nor_arguments(exec_shell: Shell, prefix: SamplePrefix) -> None:
    code = "import os, sys; print(sys.argv[1:], sorted(os.environ.items()))"
    command = ("python", "-c", code, "a  b", "", "*", "-c", "--")
    variables = question(prefix, TORCH_VERSION="2.4.1", CUDA_VERSION="12.4")

    def without_last_command(outcome: Outcome) -> str:
        assert (outcome.code, outcome.stderr) == (0, "")
        # `_` and SHLVL are each shell's own notes of what it ran.
        return re.sub(r"\('(_|SHLVL|MONOBASE_LEASE)', '[^']*'\),? ?", "", outcome.stdout)

    leased = lease(exec_shell, variables, *command)
    plain = lease(exec_shell, variables | {"MONOBASE_LEASE": "0"}, *command)

    assert without_last_command(leased) == without_last_command(plain)
    assert leased.stdout.startswith("['a  b', '', '*', '-c', '--']")


@pytest.mark.parametrize(("command", "code"), [("no-such-command", 127), ("/etc/passwd", 126)])
def test_a_command_that_cannot_be_run_ends_like_in_a_shell_with_a_lease_too(
    exec_shell: Shell, prefix: SamplePrefix, command: str, code: int
) -> None:
    outcome = lease(exec_shell, question(prefix), command)

    assert outcome.code == code
    assert command in outcome.stderr


@pytest.mark.parametrize("asked", ["0", "1"])
def test_a_lease_is_the_one_thing_that_a_process_is_started_for(
    exec_shell: Shell, prefix: SamplePrefix, tmp_path: Path, asked: str
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    trace = tmp_path / "trace"
    watch = ("strace", "-f", "-e", "trace=fork,vfork,clone,clone3,execve,flock", "-o", str(trace))

    variables = question(prefix, MONOBASE_LEASE=asked)
    outcome = lease(exec_shell, variables, "python", "--version", wrapper=watch)

    assert outcome.code == 0, outcome.stderr
    # Only the beginning of a call counts: one that another process interrupts ends in a line of its own.
    calls = re.findall(r"^\d+ +(\w+)\((?!.* = -1 )(.*)", trace.read_text(), re.MULTILINE)
    programs = [arguments.split('"')[1].rpartition("/")[2] for name, arguments in calls if name == "execve"]
    forks = [name for name, _ in calls if "fork" in name or "clone" in name]
    locks = [name for name, _ in calls if name == "flock"]
    shell = exec_shell.command[0]
    if asked == "1":
        assert (programs, len(forks), len(locks)) == ([shell, "flock", "python"], 1, 1)
    else:
        assert (programs, forks, locks) == ([shell, "python"], [], [])


def test_a_generation_that_goes_after_its_activation_is_not_leased_but_asked_for_anew(
    exec_shell: Shell, own_prefix: SamplePrefix, tmp_path: Path
) -> None:
    generations = own_prefix.root / "monobase"
    away = tmp_path / "away"
    # What pruning does: `latest` names another one, then the old one is renamed away.
    pruning = (
        f"if [ -d '{generations}/g00002' ]; then\n"
        f"ln -sfn g00001 '{generations}/latest' && mv '{generations}/g00002' '{away}'\nfi"
    )
    environment = f"python{PYTHON}-torch2.4.1-cpu"  # what both of them have
    (generations / "g00001" / environment).symlink_to(f"python{PYTHON}-torch2.3.1-cu121")

    outcome = lease(
        exec_shell,
        question(own_prefix, TORCH_VERSION="2.4.1") | stand_in_for_flock(tmp_path / "bin", pruning),
        *("python", "-c", LOOK + "print(os.environ['VIRTUAL_ENV'])", str(generations / "g00001")),
    )

    leased, virtual_env = outcome.stdout.splitlines()
    assert (outcome.code, outcome.stderr) == (0, "")
    assert leased == "True [True, True, True, True]"
    assert virtual_env == str(generations / "g00001" / environment)
    assert not is_leased(away)


def test_a_generation_that_goes_before_it_can_be_opened_is_asked_for_anew(
    exec_shell: Shell, own_prefix: SamplePrefix, tmp_path: Path
) -> None:
    generations = own_prefix.root / "monobase"
    # The first step after the environment was found is a venv on top, prepared by the environment's Python.
    python = generations / "g00002" / f"python{PYTHON}" / "bin" / "python"
    python.unlink()
    python.write_text(f"#!/bin/sh\nmv '{generations}/g00002' '{tmp_path}/away'\n")
    python.chmod(0o755)

    outcome = lease(
        exec_shell,
        question(own_prefix, MONOBASE_GEN_ID="2", MONOBASE_USER_VENV=str(tmp_path / "venv")),
        *("echo", "ran"),
    )

    assert (outcome.code, outcome.stdout) == (68, "")
    assert "there is no generation g00002" in outcome.stderr


def test_without_a_flock_a_model_starts_all_the_same(
    exec_shell: Shell, prefix: SamplePrefix, tmp_path: Path
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "env").symlink_to("/usr/bin/env")
    shell = shutil.which(exec_shell.command[0], path=SYSTEM_PATH) or ""
    known = Shell(exec_shell.name, (shell, *exec_shell.command[1:]))
    variables = question(prefix, PATH=str(tools))

    quiet = lease(known, variables | {"MONOBASE_LOG_LEVEL": "error"}, "env")
    outcome = lease(known, variables, "env")

    assert (quiet.code, quiet.stderr) == (0, "")
    assert outcome.code == 0
    assert outcome.variables["VIRTUAL_ENV"].endswith(f"g00002/python{PYTHON}")
    assert outcome.stderr == (
        "monobase: warning: MONOBASE_LEASE=1, but flock cannot lock "
        f"{prefix.root}/monobase/g00002 (exit code 127); "
        "going on without a lease: the node may prune the generation\n"
    )


def test_a_generation_that_somebody_has_locked_for_himself_keeps_no_model_from_starting(
    prefix: SamplePrefix,
) -> None:
    generation = prefix.root / "monobase" / "g00002"
    descriptor = os.open(generation, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    look = 'echo ran; [ ! -e /proc/self/fd/9 ] && echo "9 is closed"'

    outcome = lease(SHELLS[0], question(prefix), "sh", "-c", look)

    os.close(descriptor)
    assert outcome == Outcome(
        0,
        "ran\n9 is closed\n",
        "monobase: warning: MONOBASE_LEASE=1, "
        f"but another process has held an exclusive lock on {generation} "
        "for 5 s (flock -x; the daemon holds it for a moment only); "
        "going on without a lease: the node may prune the generation\n",
    )


def test_a_lock_that_goes_soon_is_waited_for(exec_shell: Shell, prefix: SamplePrefix) -> None:
    generation = prefix.root / "monobase" / "g00002"
    descriptor = os.open(generation, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    holder = threading.Timer(1.0, os.close, (descriptor,))
    holder.start()

    outcome = lease(exec_shell, question(prefix), "python", "-c", LOOK, str(generation))

    holder.join()
    assert outcome == Outcome(0, "True [True, True, True, True]\n", "")


# Where the daemon evicts environments, the lease is on the environment alone.


def test_where_the_daemon_offers_it_the_lease_is_on_the_environment(
    exec_shell: Shell, own_prefix: SamplePrefix
) -> None:
    generation = own_prefix.root / "monobase" / "g00002"
    (generation.parent / ".environment-leases").touch()
    look = LOOK + 'sys.argv[1] = os.environ["MONOBASE_ENVIRONMENT"]\nprint(leased())'

    outcome = lease(exec_shell, question(own_prefix), "python", "-c", look, str(generation))

    assert outcome == Outcome(0, "False [True, True, True, True]\nTrue\n", "")


def test_an_environment_that_goes_after_its_activation_is_asked_for_again(
    exec_shell: Shell, own_prefix: SamplePrefix, tmp_path: Path
) -> None:
    generation = own_prefix.root / "monobase" / "g00002"
    (generation.parent / ".environment-leases").touch()
    environment = generation / f"python{PYTHON}"
    # What an eviction does: the list calls it missing, then it is renamed away.
    eviction = (
        f"if [ -d '{environment}' ]; then\n"
        f"sed -i 's/^environment python{PYTHON} ready/environment python{PYTHON} missing/' "
        f"'{generation}/environments' && mv '{environment}' '{tmp_path}/away'\nfi"
    )

    outcome = lease(
        exec_shell,
        question(own_prefix) | stand_in_for_flock(tmp_path / "bin", eviction),
        *("echo", "ran"),
    )

    assert (outcome.code, outcome.stdout) == (75, "")
    assert f"python{PYTHON}" in outcome.stderr


@pytest.mark.parametrize("error", ["ENOLCK", "EPERM", "ENOSYS"])
def test_a_kernel_that_refuses_the_lock_keeps_no_model_from_starting(
    exec_shell: Shell, prefix: SamplePrefix, error: str
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    refuse = ("strace", "-f", "-o", "/dev/null", "-e", "trace=flock", "-e", f"inject=flock:error={error}")
    look = 'echo ran; [ ! -e /proc/self/fd/9 ] && echo "9 is closed"'

    outcome = lease(exec_shell, question(prefix), "sh", "-c", look, wrapper=refuse)

    assert (outcome.code, outcome.stdout) == (0, "ran\n9 is closed\n")
    assert "g00002 (exit code" in outcome.stderr
    assert "going on without a lease" in outcome.stderr


def test_a_lease_needs_no_proc(exec_shell: Shell, prefix: SamplePrefix) -> None:
    hide = ("unshare", "--mount", "--", "sh", "-c", 'mount -t tmpfs none /proc && exec "$0" "$@"')
    if run([*hide, "true"], {"PATH": SYSTEM_PATH}).code != 0:
        pytest.skip("this user may not mount")
    generation = prefix.root / "monobase" / "g00002"
    look = LOOK.rpartition("print")[0] + "print(leased())"

    outcome = lease(exec_shell, question(prefix), "python", "-c", look, str(generation), wrapper=hide)

    assert outcome == Outcome(0, "True\n", "")
