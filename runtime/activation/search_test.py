import re
import shutil
import threading
from pathlib import Path

import pytest

from runtime.sample_prefix import PYTHON, SamplePrefix, leave_out, question
from runtime.shells import SHELLS, Shell, activated

pytest_plugins = ["runtime.fixtures"]


def one_build(prefix: SamplePrefix, *lines: tuple[str, ...], toolkit: str = "ready") -> Path:
    """Replace the list of the first generation by these builds of Torch 2.3.1, and return its folder."""
    folder = prefix.root / "monobase" / "g00001"
    listed = ["monobase-environments 1", "generation g00001 sealed", f"python {PYTHON} {PYTHON}.9"]
    listed += [f"cuda cuda12.1 {toolkit} 12.1 12.1.1", "cudnn cudnn9-cuda12 ready 9 9.1.0.70 12"]
    for build, cuda, state in lines:
        name = f"python{PYTHON}-torch2.3.1-{build}"
        listed.append(f"environment {name} {state} {PYTHON} {PYTHON}.9 2.3.1 {build} {cuda}")
    (folder / "environments").write_text("".join(f"{line}\n" for line in listed))
    if toolkit != "ready":
        (folder / "cuda12.1").unlink()
    return folder


def test_a_toolkit_alone_that_the_node_leaves_out_is_not_awaited(
    shell: Shell, own_prefix: SamplePrefix
) -> None:
    leave_out(own_prefix, "cuda13.0", generation="g00002")

    outcome = shell.run('. "$activate"', question(own_prefix, CUDA_VERSION="13.0", MONOBASE_WAIT_S="600"))

    assert outcome.code == 69
    assert "cuda13.0 of generation g00002 is left out on this node by its selection: --pool small." in (
        outcome.stderr
    )
    assert "feature.node" not in outcome.stderr


def test_beside_torch_a_toolkit_that_the_node_leaves_out_is_only_missed(
    shell: Shell, own_prefix: SamplePrefix
) -> None:
    leave_out(own_prefix, "cuda13.0", generation="g00002")
    variables = question(
        own_prefix, TORCH_VERSION="2.5.1", CUDA_VERSION="13.0", MONOBASE_WAIT_S="600", MONOBASE_FIT="off"
    )

    outcome = shell.run('. "$activate" && echo "$VIRTUAL_ENV"', variables)

    assert outcome.code == 0
    assert outcome.stdout.strip().endswith("-torch2.5.1-cu130")
    assert outcome.stderr == (
        "monobase: warning: cuda13.0 of g00002 is left out on this node by its selection (--pool small); "
        "going on without it (no CUDA extension can be built)\n"
    )


def test_without_cuda_version_the_only_build_is_taken_with_its_toolkit(
    shell: Shell, own_prefix: SamplePrefix
) -> None:
    folder = one_build(own_prefix, ("cu121", "12.1", "ready"))
    variables = question(own_prefix, MONOBASE_GEN_ID="1", TORCH_VERSION="2.3.1")

    after = activated(shell, variables)
    told = shell.run('. "$activate"', variables | {"MONOBASE_LOG_LEVEL": "info"}).stderr

    assert after["VIRTUAL_ENV"] == str(folder / f"python{PYTHON}-torch2.3.1-cu121")
    assert after["CUDA_HOME"] == str(folder / "cuda12.1")
    assert told.splitlines()[0] == (
        "monobase: info: CUDA_VERSION is not set; "
        f"taking cu121, the only build of Torch 2.3.1 for Python {PYTHON}"
    )


@pytest.mark.parametrize("wait", ["0", "60"])
def test_the_toolkit_of_the_only_build_is_not_waited_for(
    shell: Shell, own_prefix: SamplePrefix, wait: str
) -> None:
    one_build(own_prefix, ("cu121", "12.1", "ready"), toolkit="missing")

    after = activated(
        shell,
        question(own_prefix, MONOBASE_GEN_ID="1", TORCH_VERSION="2.3.1", MONOBASE_WAIT_S=wait),
    )

    assert after["VIRTUAL_ENV"].endswith("torch2.3.1-cu121")
    assert "CUDA_HOME" not in after


def test_cudnn_is_that_of_the_only_builds_cuda(shell: Shell, own_prefix: SamplePrefix) -> None:
    folder = one_build(own_prefix, ("cu121", "12.1", "ready"))
    (folder / "cudnn9-cuda12").symlink_to("../g00002/cudnn9-cuda12")

    after = activated(
        shell, question(own_prefix, MONOBASE_GEN_ID="1", TORCH_VERSION="2.3.1", CUDNN_VERSION="9")
    )

    assert after["CUDNN_HOME"] == str(folder / "cudnn9-cuda12")


@pytest.mark.parametrize(
    ("builds", "code", "message"),
    [
        (
            [("cu121", "12.1", "ready"), ("cu124", "12.4", "missing")],
            69,
            "CUDA_VERSION=12.1, CUDA_VERSION=12.4",
        ),
        ([("cu121", "12.1", "missing")], 75, "torch2.3.1-cu121 of generation g00001 is not installed yet"),
        ([("cpu", "-", "missing"), ("cu121", "12.1", "ready")], 75, "torch2.3.1-cpu of generation"),
    ],
    ids=["two builds", "not installed", "the CPU build"],
)
def test_of_several_builds_none_is_guessed(
    shell: Shell,
    own_prefix: SamplePrefix,
    builds: list[tuple[str, ...]],
    code: int,
    message: str,
) -> None:
    one_build(own_prefix, *builds)

    outcome = shell.run('. "$activate"', question(own_prefix, MONOBASE_GEN_ID="1", TORCH_VERSION="2.3.1"))

    assert outcome.code == code
    assert message in outcome.stderr


def test_a_cudnn_for_a_cpu_build_is_refused(shell: Shell, prefix: SamplePrefix) -> None:
    outcome = shell.run('. "$activate"', question(prefix, TORCH_VERSION="2.4.1", CUDNN_VERSION="9"))

    assert outcome.code == 64
    assert "CUDNN_VERSION=9 is set without CUDA_VERSION" in outcome.stderr


def test_a_toolkit_that_is_missing_beside_torch_is_a_warning(shell: Shell, prefix: SamplePrefix) -> None:
    outcome = shell.run('. "$activate"; env', question(prefix, TORCH_VERSION="2.5.1", CUDA_VERSION="13.0"))

    assert outcome.code == 0
    assert "CUDA_HOME" not in outcome.variables
    assert outcome.stderr == (
        "monobase: warning: cuda13.0 of g00002 is not installed yet; going on without it "
        "(no CUDA extension can be built)\n"
    )


def test_before_anything_is_sealed_the_newest_generation_is_the_latest(
    shell: Shell, own_prefix: SamplePrefix
) -> None:
    (own_prefix.root / "monobase" / "latest").unlink()
    shutil.rmtree(own_prefix.root / "monobase" / "g00003")

    assert "/g00002/" in activated(shell, question(own_prefix))["VIRTUAL_ENV"]


# --- waiting --------------------------------------------------------------------------------------


def test_waiting_ends_when_the_environment_is_there(
    shell: Shell, own_prefix: SamplePrefix, tmp_path: Path
) -> None:
    generation = own_prefix.root / "monobase" / "g00002"
    said, over = tmp_path / "said", threading.Event()

    def publish() -> None:
        while not said.exists() or "waiting" not in said.read_text():
            if over.wait(0.01):
                return
        shutil.copytree(generation / f"python{PYTHON}", generation / "staged", symlinks=True)
        (generation / "staged").rename(generation / f"python{PYTHON}-torch2.6.0-cu124")

    installer = threading.Thread(target=publish)
    installer.start()
    variables = question(
        own_prefix,
        TORCH_VERSION="2.6.0",
        CUDA_VERSION="12.4",
        MONOBASE_WAIT_S="300",
        MONOBASE_LOG_LEVEL="warning",
        said=str(said),
    )
    try:
        outcome = shell.run('. "$activate" 2>"$said"; echo "$VIRTUAL_ENV"', variables)
    finally:
        over.set()
        installer.join()

    assert outcome.code == 0
    assert outcome.stdout.endswith("torch2.6.0-cu124\n")
    first, last = said.read_text().splitlines()
    assert first == (
        "monobase: warning: waiting up to 300 s for "
        f"python{PYTHON}-torch2.6.0-cu124, which is not installed yet"
    )
    assert re.fullmatch(r"monobase: warning: ready after \d+ s", last)


@pytest.mark.parametrize(
    ("variables", "code", "why"),
    [
        ({"TORCH_VERSION": "2.6.0", "CUDA_VERSION": "12.4"}, 75, "or may lack room for it (--disk-budget)."),
        ({"MONOBASE_GEN_ID": "7"}, 68, "widen the installer's range."),
    ],
)
def test_waiting_has_an_end(
    shell: Shell, prefix: SamplePrefix, variables: dict[str, str], code: int, why: str
) -> None:
    outcome = shell.run('. "$activate"', question(prefix, MONOBASE_WAIT_S="1", **variables))

    assert outcome.code == code
    assert why in outcome.stderr
    assert "Waited 1 s (MONOBASE_WAIT_S=1)." in outcome.stderr
    assert "MONOBASE_WAIT_S=SECONDS" not in outcome.stderr


def test_nothing_waits_for_what_will_never_come(prefix: SamplePrefix) -> None:
    variables = question(prefix, MONOBASE_WAIT_S="3600", TORCH_VERSION="9.9.9")

    assert SHELLS[1].run('. "$activate"', variables).code == 69
