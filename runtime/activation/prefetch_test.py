"""`exec` with MONOBASE_PREFETCH: it reads ahead beside the model, which never notices."""

import time
from pathlib import Path

import pytest

from runtime.sample_prefix import PYTHON, SamplePrefix, question
from runtime.shells import EXEC, SYSTEM_PATH, Outcome, Shell, run

pytest_plugins = ["runtime.fixtures"]

_PATIENCE_S = 120
# What a model can notice: a child that it has not started, or a descriptor that it has not opened.
_LOOK = """
import os
try:
    os.waitpid(-1, os.WNOHANG)
    print("has a child")
except ChildProcessError:
    print(sorted(set(os.listdir("/proc/self/fd")) & {"0", "1", "2", "8", "9"}))
"""


def execute(prefix: SamplePrefix, shell: Shell, *command: str, **variables: str) -> Outcome:
    return run(
        [*shell.command, str(EXEC), *command],
        {"PATH": SYSTEM_PATH} | question(prefix, TORCH_VERSION="2.4.1") | variables,
    )


def offer_list(prefix: SamplePrefix) -> Path:
    """Put a list in place, and a Python that writes down how it is called instead of reading ahead."""
    name = f"python{PYTHON}-torch2.4.1-cpu"
    path = prefix.root / "monobase" / ".prefetch" / "g00002" / name
    path.parent.mkdir(parents=True)
    path.touch()
    python = prefix.root / "monobase" / "g00002" / name / "bin" / "python"
    real = python.resolve()
    python.unlink()
    noted = prefix.root / "noted"
    python.write_text(
        f"""#!/bin/sh
case $4 in
*/read_ahead.py)
    {{ echo "$@"; [ -e /proc/self/fd/9 ] && echo leased; readlink /proc/self/fd/[012]; }} >'{noted}.new'
    mv '{noted}.new' '{noted}' ;;
*) exec -a "$0" '{real}' "$@" ;;
esac
""".replace("#!/bin/sh", "#!/bin/bash")
    )
    python.chmod(0o755)
    return noted


def wait_for(path: Path) -> list[str]:
    end_s = time.monotonic() + _PATIENCE_S
    while not path.exists():
        assert time.monotonic() < end_s, f"{path} did not appear"
        time.sleep(0.02)
    return path.read_text().splitlines()


@pytest.mark.parametrize("lease", ["0", "1"])
def test_a_model_with_prefetch_reads_ahead_and_has_nothing_of_it(
    own_prefix: SamplePrefix, shell: Shell, lease: str
) -> None:
    if shell.name == "zsh":
        pytest.skip("native zsh is never anybody's /bin/sh, which exec is written for")
    noted = offer_list(own_prefix)
    outcome = execute(
        own_prefix, shell, "/usr/bin/env", "python3", "-c", _LOOK, MONOBASE_PREFETCH="1", MONOBASE_LEASE=lease
    )
    called = wait_for(noted)
    monobase = own_prefix.root / "monobase"
    path = monobase / ".prefetch" / "g00002" / f"python{PYTHON}-torch2.4.1-cpu"
    assert called[0] == f"-I -S -B {EXEC.parent}/prefetch/read_ahead.py {path}"
    assert called[1:] == ["/dev/null", f"{noted}.new", "/dev/null"]
    descriptors = ["0", "1", "2"] + (["9"] if lease == "1" else [])
    assert outcome == Outcome(0, f"{descriptors}\n", "")


@pytest.mark.parametrize("value", ["", "0"])
def test_without_it_nothing_is_read_ahead(own_prefix: SamplePrefix, value: str) -> None:
    noted = offer_list(own_prefix)
    sh = Shell("sh", ("sh",))
    assert execute(own_prefix, sh, "echo", "ran", MONOBASE_PREFETCH=value) == Outcome(0, "ran\n", "")
    assert not noted.exists()


def test_a_node_without_a_list_starts_the_model_as_ever(prefix: SamplePrefix) -> None:
    sh = Shell("sh", ("sh",))
    assert execute(prefix, sh, "echo", "ran", MONOBASE_PREFETCH="1") == Outcome(0, "ran\n", "")
    outcome = execute(prefix, sh, "echo", "ran", MONOBASE_PREFETCH="1", MONOBASE_LOG_LEVEL="info")
    assert (outcome.code, outcome.stdout) == (0, "ran\n")
    assert "this node has not recorded what the import reads" in outcome.stderr


def test_a_value_that_is_none_is_a_warning_and_no_reason_not_to_start(prefix: SamplePrefix) -> None:
    outcome = execute(prefix, Shell("sh", ("sh",)), "echo", "ran", MONOBASE_PREFETCH="yes")
    assert (outcome.code, outcome.stdout) == (0, "ran\n")
    assert (
        outcome.stderr == "monobase: warning: MONOBASE_PREFETCH=yes is neither 0 nor 1; not reading ahead\n"
    )
