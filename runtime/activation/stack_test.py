"""A stack instead of a Torch, and how versions are compared."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.sample_prefix import PYTHON, SamplePrefix, question, state_of
from runtime.shells import RUNTIME, SHELLS, SYSTEM_PATH, Outcome, Shell, activated, run

pytest_plugins = ["runtime.fixtures"]

VLLM = f"python{PYTHON}-vllm0.33.0"


def without_python(prefix: SamplePrefix, **variables: str) -> dict[str, str]:
    return {"MONOBASE_PREFIX": str(prefix.root)} | variables


def add_lines(prefix: SamplePrefix, *lines: str) -> None:
    """Put lines in front of the stacks of the second generation."""
    path = prefix.root / "monobase" / "g00002" / "environments"
    text = "".join(f"stack {line}\n" for line in lines)
    path.write_text(path.read_text().replace("stack ", f"{text}stack ", 1))


@pytest.mark.parametrize(
    "variables",
    [
        {"MONOBASE_STACK": "vllm"},
        {"MONOBASE_STACK": "vllm==0.33.0"},
        {"MONOBASE_STACK": "vllm==0.33"},
        {"MONOBASE_STACK": "vllm", "PYTHON_VERSION": f"{PYTHON}.4"},
        {"MONOBASE_STACK": "vllm", "TORCH_VERSION": "2.4.1", "CUDA_VERSION": "12.4.99"},
        {"MONOBASE_STACK": "vllm", "TORCH_VERSION": "2.4.1+cu124"},
    ],
)
def test_a_stack_is_found_by_its_name_and_brings_its_torch_and_cuda(
    shell: Shell, prefix: SamplePrefix, variables: dict[str, str]
) -> None:
    before = state_of(prefix.root)

    after = activated(shell, without_python(prefix, CUDNN_VERSION="9", **variables))

    generation = prefix.root / "monobase" / "g00002"
    assert after["VIRTUAL_ENV"] == after["MONOBASE_ENVIRONMENT"] == str(generation / VLLM)
    assert after["PATH"].startswith(f"{generation / VLLM}/bin:{generation}/cuda12.4/bin:")
    assert after["CUDA_HOME"] == str(generation / "cuda12.4")
    assert after["CUDNN_HOME"] == str(generation / "cudnn9-cuda12")
    assert (
        f"{generation / VLLM}/lib/python{PYTHON}/site-packages/nvidia/cublas/lib" in after["LD_LIBRARY_PATH"]
    )
    assert state_of(prefix.root) == before


def test_the_log_says_what_was_taken(shell: Shell, prefix: SamplePrefix) -> None:
    asked = without_python(prefix, MONOBASE_STACK="vllm", MONOBASE_LOG_LEVEL="info")

    outcome = shell.run('. "$activate"; python -c "import torch; print(torch.__version__)"', asked)

    assert outcome == Outcome(0, "2.4.1\n", f"monobase: info: activated g00002/{VLLM}\n")


def test_an_empty_stack_is_no_stack(shell: Shell, prefix: SamplePrefix) -> None:
    plain = activated(shell, question(prefix, MONOBASE_STACK=""))
    refused = shell.run('. "$activate"', without_python(prefix, MONOBASE_STACK=""))

    assert plain["VIRTUAL_ENV"].endswith(f"/python{PYTHON}")
    assert refused.code == 64
    assert refused.stderr.startswith("monobase: error: PYTHON_VERSION is not set.\n")


def test_a_plain_activation_takes_no_stack_even_if_there_is_nothing_else(
    shell: Shell, own_prefix: SamplePrefix
) -> None:
    generation = own_prefix.root / "monobase" / "g00002"
    lines = (generation / "environments").read_text().splitlines()
    kept = [line for line in lines if not line.startswith("environment ")]
    (generation / "environments").write_text("\n".join(kept) + "\n")
    shutil.rmtree(generation / f"python{PYTHON}-torch2.4.1-cu124")

    for asked in ({"TORCH_VERSION": "2.4.1"}, {"TORCH_VERSION": "2.4.1", "CUDA_VERSION": "12.4"}):
        outcome = shell.run('. "$activate"', question(own_prefix, **asked) | {"PYTHON_VERSION": "3.99"})
        assert outcome.code == 69


def test_a_stack_without_torch_and_cuda_takes_any_toolkit(shell: Shell, own_prefix: SamplePrefix) -> None:
    add_lines(own_prefix, f"python{PYTHON}-tpu1.0 ready {PYTHON} {PYTHON}.9 - - - tpu 1.0")
    generation = own_prefix.root / "monobase" / "g00002"
    (generation / f"python{PYTHON}-tpu1.0").symlink_to(f"python{PYTHON}")

    plain = activated(shell, without_python(own_prefix, MONOBASE_STACK="tpu"))
    with_toolkit = activated(shell, without_python(own_prefix, MONOBASE_STACK="tpu", CUDA_VERSION="12.4"))

    assert "CUDA_HOME" not in plain
    assert with_toolkit["CUDA_HOME"] == str(generation / "cuda12.4")


def test_the_toolkit_of_a_stack_is_not_waited_for_unless_it_was_asked_for(
    shell: Shell, own_prefix: SamplePrefix
) -> None:
    add_lines(own_prefix, f"python{PYTHON}-new1.0 ready {PYTHON} {PYTHON}.9 2.5.1 cu130 13.0 new 1.0")
    generation = own_prefix.root / "monobase" / "g00002"
    (generation / f"python{PYTHON}-new1.0").symlink_to(f"python{PYTHON}-torch2.5.1-cu130")

    quiet = activated(shell, without_python(own_prefix, MONOBASE_STACK="new", MONOBASE_WAIT_S="60"))
    warned = shell.run('. "$activate"', without_python(own_prefix, MONOBASE_STACK="new", CUDA_VERSION="13.0"))

    assert "CUDA_HOME" not in quiet
    assert (warned.code, warned.stdout) == (0, "")
    assert "cuda13.0 of g00002 is not installed yet; going on without it" in warned.stderr


# --- what is left open ----------------------------------------------------------------------------


def many(*stacks: str, state: str = "missing") -> list[str]:
    """Return the lines of a stack of this name for Pythons and versions such as `3.9:1.0`."""
    pairs = [stack.split(":") for stack in stacks]
    return [
        f"python{python}-many{version} {state} {python} {python}.9 - - - many {version}"
        for python, version in pairs
    ]


@pytest.mark.parametrize(
    ("lines", "asked", "taken"),
    [
        (["3.9:1.0", "3.12:1.0", "3.10:1.0"], {}, "python3.12-many1.0"),
        (["3.9:1.0", "3.12:1.0"], {"PYTHON_VERSION": "3.9"}, "python3.9-many1.0"),
        (["3.12:1.9", "3.9:1.10", "3.9:1.8"], {}, "python3.9-many1.10"),
        (["3.12:1.9", "3.9:1.10"], {"MONOBASE_STACK": "many==1.9"}, "python3.12-many1.9"),
        (["3.8:1.08.2", "3.9:1.8.2.1", "3.9:1.8.2rc1"], {}, "python3.9-many1.8.2.1"),
    ],
    ids=["newest Python", "Python asked for", "newest version", "version asked for", "more numbers"],
)
def test_of_several_the_newest_is_taken(
    shell: Shell,
    own_prefix: SamplePrefix,
    lines: list[str],
    asked: dict[str, str],
    taken: str,
) -> None:
    add_lines(own_prefix, *many(*lines))

    outcome = shell.run('. "$activate"', without_python(own_prefix, **({"MONOBASE_STACK": "many"} | asked)))

    assert outcome.code == 75
    assert outcome.stderr.startswith(f"monobase: error: {taken} of generation g00002 is not installed yet")


def test_what_is_installed_comes_before_what_is_newer(shell: Shell, own_prefix: SamplePrefix) -> None:
    ready = many(f"{PYTHON}:1.0", state="ready")
    add_lines(own_prefix, *many("3.98:1.0"), *ready, *many("3.99:1.0"))
    generation = own_prefix.root / "monobase" / "g00002"
    (generation / f"python{PYTHON}-many1.0").symlink_to(f"python{PYTHON}")

    after = activated(shell, without_python(own_prefix, MONOBASE_STACK="many"))

    assert after["VIRTUAL_ENV"].endswith(f"/python{PYTHON}-many1.0")


# --- waiting --------------------------------------------------------------------------------------


def test_a_stack_is_waited_for(shell: Shell, own_prefix: SamplePrefix, tmp_path: Path) -> None:
    generation = own_prefix.root / "monobase" / "g00002"
    said = tmp_path / "said"

    def publish() -> None:
        while not said.exists() or "waiting" not in said.read_text():
            if done.wait(0.01):
                return
        (generation / f"python{PYTHON}-train").symlink_to(f"python{PYTHON}-torch2.5.1-cu130")

    done = threading.Event()
    installer = threading.Thread(target=publish)
    installer.start()
    asked = without_python(own_prefix, MONOBASE_STACK="train", MONOBASE_WAIT_S="100", said=str(said))
    try:
        outcome = shell.run('. "$activate" 2>"$said"; echo "$?"; echo "$VIRTUAL_ENV"', asked)
    finally:
        done.set()
        installer.join()

    assert outcome.stdout == f"0\n{generation}/python{PYTHON}-train\n"
    assert f"waiting up to 100 s for python{PYTHON}-train, which" in said.read_text()


def test_a_stack_that_is_listed_as_ready_and_is_not_there_is_refused(
    shell: Shell, own_prefix: SamplePrefix
) -> None:
    (own_prefix.root / "monobase" / "g00002" / VLLM).unlink()

    outcome = shell.run('. "$activate"', question(own_prefix, MONOBASE_STACK="vllm"))

    assert outcome.code == 72
    assert f"{VLLM} has no Python that runs" in outcome.stderr


def test_a_login_shell_is_activated_by_a_stack_alone(prefix: SamplePrefix, tmp_path: Path) -> None:
    profile = (RUNTIME / "profile.sh").read_text().replace("/opt/monobase", str(RUNTIME))
    (tmp_path / "profile").write_text(profile)
    asked = without_python(prefix, MONOBASE_STACK="vllm", PATH=SYSTEM_PATH, profile=str(tmp_path / "profile"))

    outcome = run(["/bin/sh", "-c", '. "$profile"; echo "$VIRTUAL_ENV"'], asked)

    assert outcome.stdout.endswith(f"/{VLLM}\n")


# --- versions -------------------------------------------------------------------------------------


@pytest.fixture(params=SHELLS, ids=lambda shell: shell.name)
def compare(request: pytest.FixtureRequest) -> Callable[[str], bool]:
    """Return a function that runs one comparison of versions in a shell."""
    shell: Shell = request.param
    if not shell.installed:
        pytest.skip(f"{shell.command[0]} is not installed")
    # zsh reads the runtime's files as sh does.
    start = 'emulate sh 2>/dev/null; _mb_functions="" _mb_variables=""; . "$versions"; '

    def check(call: str) -> bool:
        outcome = shell.run(start + call, {"versions": str(RUNTIME / "activation" / "versions.sh")})
        assert not outcome.stderr
        assert outcome.code in (0, 1)
        return outcome.code == 0

    return check


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("535.104.05", "580.65.06"), ("525.60.13", "525.105.17"), ("570.9", "570.10"),
        ("580.65.06", "580.65.10"), ("580.65.08", "580.65.09"), ("580.65", "580.65.06"),
        ("9", "10.1"), ("0.33.0rc1", "0.33.1"), ("", "1"), ("2.9.1", "2.14.0"), ("450.80.02", "525.60.13"),
    ],
)  # fmt: skip
def test_versions_are_compared_number_by_number(
    compare: Callable[[str], bool], older: str, newer: str
) -> None:
    assert compare(f"_mb_is_newer '{newer}' '{older}'")
    assert not compare(f"_mb_is_newer '{older}' '{newer}'")
    assert not compare(f"_mb_is_newer '{older}' '{older}'")


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [("0.33", "0.33.0", True), ("1.0.0", "1", True), ("1.0", "1.00", False), ("0.3", "0.33", False)],
)
def test_versions_are_the_same_whatever_zeros_end_them(
    compare: Callable[[str], bool], left: str, right: str, same: bool
) -> None:
    assert compare(f"_mb_is_same_version '{left}' '{right}'") is same
