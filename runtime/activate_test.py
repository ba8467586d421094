import fcntl
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.sample_prefix import PYTHON, SITE_PACKAGES, SamplePrefix
from runtime.shells import ACTIVATE, EXEC, SHELLS, SYSTEM_PATH, Outcome, Shell, read_only, run

pytest_plugins = ["runtime.fixtures"]

DRIVER = "/usr/local/nvidia/lib64:/usr/local/nvidia/lib"
NAMES = sorted(set(re.findall(r"\b_mb_\w+\b", ACTIVATE.read_text() + EXEC.read_text())))


def question(prefix: SamplePrefix, **variables: str) -> dict[str, str]:
    return {"MONOBASE_PREFIX": str(prefix.root), "PYTHON_VERSION": PYTHON} | variables


def activated(shell: Shell, variables: dict[str, str], script: str = '. "$activate"; env') -> dict[str, str]:
    outcome = shell.run(script, variables)
    assert outcome.code == 0, outcome.stderr
    assert outcome.stderr == ""
    return outcome.variables


def test_all_shells_are_there_where_the_project_brings_its_own_tools() -> None:
    if not Path("/var/lib/monobase/cacerts").exists():
        pytest.skip("not in the toolbox")
    assert [shell.name for shell in SHELLS if not shell.installed] == []


# --- what is set ----------------------------------------------------------------------------------


def test_an_environment_with_its_toolkits_sets_every_search_path(shell: Shell, prefix: SamplePrefix) -> None:
    after = activated(shell, question(prefix, TORCH_VERSION="2.4.1", CUDA_VERSION="12.4", CUDNN_VERSION="8"))

    generation = prefix.root / "monobase" / "g00002"
    environment = generation / f"python{PYTHON}-torch2.4.1-cu124"
    nvidia = environment / SITE_PACKAGES / "nvidia"
    cuda, cudnn = generation / "cuda12.4", generation / "cudnn8-cuda12"
    assert after["VIRTUAL_ENV"] == str(environment)
    assert after["PATH"] == f"{environment}/bin:{cuda}/bin:/usr/local/nvidia/bin:{SYSTEM_PATH}"
    assert after["LD_LIBRARY_PATH"] == (
        f"{DRIVER}:{nvidia}/cublas/lib:{nvidia}/cudnn/lib:{cuda}/lib64:{cudnn}/lib"
    )
    assert after["LIBRARY_PATH"] == f"{cuda}/lib64:{cuda}/lib64/stubs:{cudnn}/lib"
    assert after["CPATH"] == f"{cuda}/include:{cudnn}/include"
    assert after["CUDA_HOME"] == after["CUDA_PATH"] == str(cuda)
    assert after["CUDNN_HOME"] == after["CUDNN_PATH"] == str(cudnn)


def test_a_second_cudnn_of_torchs_own_major_version_is_for_builds_only(
    shell: Shell, prefix: SamplePrefix
) -> None:
    after = activated(shell, question(prefix, TORCH_VERSION="2.4.1", CUDA_VERSION="12.4", CUDNN_VERSION="9"))

    assert "cudnn9-cuda12/lib" not in after["LD_LIBRARY_PATH"]
    assert "cudnn9-cuda12/lib" in after["LIBRARY_PATH"]
    assert "cudnn9-cuda12/include" in after["CPATH"]


def test_without_torch_the_plain_python_with_the_toolkits_is_activated(
    shell: Shell, prefix: SamplePrefix
) -> None:
    after = activated(shell, question(prefix, CUDA_VERSION="12.4", CUDNN_VERSION="9"))

    generation = prefix.root / "monobase" / "g00002"
    assert after["VIRTUAL_ENV"] == str(generation / f"python{PYTHON}")
    assert after["LD_LIBRARY_PATH"] == f"{DRIVER}:{generation}/cuda12.4/lib64:{generation}/cudnn9-cuda12/lib"


def test_without_cuda_the_cpu_build_is_activated_and_no_toolkit(shell: Shell, prefix: SamplePrefix) -> None:
    after = activated(shell, question(prefix, TORCH_VERSION="2.4.1"))

    assert after["VIRTUAL_ENV"].endswith("g00002/python" + PYTHON + "-torch2.4.1-cpu")
    assert after["LD_LIBRARY_PATH"] == DRIVER
    assert not {"CUDA_HOME", "CUDA_PATH", "CUDNN_HOME", "LIBRARY_PATH", "CPATH"} & after.keys()


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        (
            {"TORCH_VERSION": "2.4.1", "CUDA_VERSION": "12.4.1", "PYTHON_VERSION": f"{PYTHON}.10"},
            "torch2.4.1-cu124",
        ),
        (
            {"TORCH_VERSION": "2.4.1", "CUDA_VERSION": "12.4.99.1", "CUDNN_VERSION": "9.1.0.70-1"},
            "torch2.4.1-cu124",
        ),
        ({"TORCH_VERSION": "2.4.1+cu124"}, "torch2.4.1-cu124"),
        ({"TORCH_VERSION": "2.4.1+cpu", "CUDA_VERSION": "12.4.1"}, "torch2.4.1-cpu"),
        ({"TORCH_VERSION": "2.5.1+cu121", "CUDA_VERSION": "12.4.1"}, "torch2.5.1-cu121"),
        ({"TORCH_VERSION": "2.3.1", "CUDA_VERSION": "12.1", "MONOBASE_GEN_ID": "1"}, "torch2.3.1-cu121"),
        ({"TORCH_VERSION": "2.3.1", "CUDA_VERSION": "12.1", "MONOBASE_GEN_ID": "00001"}, "torch2.3.1-cu121"),
        ({"TORCH_VERSION": "2.3.1", "CUDA_VERSION": "12.1", "MONOBASE_GEN_ID": "g00001"}, "torch2.3.1-cu121"),
        ({"TORCH_VERSION": "2.4.1.post2", "MONOBASE_GEN_ID": "latest"}, "torch2.4.1-cpu"),
    ],
)
def test_longer_versions_are_taken_at_the_needed_length(
    shell: Shell, prefix: SamplePrefix, variables: dict[str, str], name: str
) -> None:
    after = activated(shell, question(prefix, **variables))

    assert after["VIRTUAL_ENV"].endswith(name)


def test_the_torch_of_the_environment_is_imported_by_the_first_python_of_the_path(
    shell: Shell, prefix: SamplePrefix
) -> None:
    script = '. "$activate"; python -c "import torch; print(torch.__version__)"'
    outcome = shell.run(script, question(prefix, TORCH_VERSION="2.5.1", CUDA_VERSION="12.1.1"))

    assert (outcome.code, outcome.stdout) == (0, "2.5.1\n")


def test_what_the_caller_had_is_kept_behind_ours(shell: Shell, prefix: SamplePrefix) -> None:
    had = {
        "LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/mine/lib::",
        "CPATH": "/mine/include",
        "PYTHONPATH": "/mine/python",
        "CUDA_HOME": "/usr/local/cuda",
    }
    after = activated(shell, question(prefix, TORCH_VERSION="2.4.1", **had))

    assert after["LD_LIBRARY_PATH"] == f"{DRIVER}:/mine/lib::"
    assert {name: after[name] for name in ("CPATH", "PYTHONPATH", "CUDA_HOME")} == {
        name: had[name] for name in ("CPATH", "PYTHONPATH", "CUDA_HOME")
    }


# --- the one build that there is -----------------------------------------------------------------


def one_build(prefix: SamplePrefix, *lines: tuple[str, ...], toolkit: str = "ready") -> Path:
    """Let the first generation have just these builds of Torch 2.3.1; give its folder."""
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


def test_what_pythonhome_says_is_taken_back(shell: Shell, prefix: SamplePrefix) -> None:
    script = '. "$activate"; python -c "import sys; print(sys.prefix)"; echo "${PYTHONHOME-none}"'

    outcome = shell.run(script, question(prefix, PYTHONHOME="/usr"))

    environment = prefix.root / "monobase" / "g00002" / f"python{PYTHON}"
    assert outcome == Outcome(0, f"{environment}\nnone\n", "")


# --- a good guest in the caller's shell -----------------------------------------------------------


def test_sourcing_twice_gives_the_same_result(shell: Shell, prefix: SamplePrefix) -> None:
    variables = question(prefix, TORCH_VERSION="2.4.1", CUDA_VERSION="12.4", CUDNN_VERSION="9")

    once = activated(shell, variables)
    twice = activated(shell, variables, '. "$activate"; . "$activate"; env')

    assert {**twice, "_": ""} == {**once, "_": ""}


def test_another_environment_takes_the_place_of_the_former(shell: Shell, prefix: SamplePrefix) -> None:
    variables = question(prefix, TORCH_VERSION="2.4.1", CUDA_VERSION="12.4", CUDNN_VERSION="9")
    script = '. "$activate"; unset CUDA_VERSION CUDNN_VERSION; . "$activate"; env'

    after = activated(shell, variables, script)
    directly = activated(shell, question(prefix, TORCH_VERSION="2.4.1"))

    assert {**after, "_": ""} == {**directly, "_": ""}


@pytest.mark.parametrize("torch", ["2.4.1", "9.9.9"], ids=["activated", "refused"])
def test_no_variable_and_no_function_is_left_behind(shell: Shell, prefix: SamplePrefix, torch: str) -> None:
    look = "".join(
        f'[ -z "${{{name}+set}}" ] || echo "variable {name}"; '
        f'! command -v {name} >/dev/null || echo "function {name}"; '
        for name in NAMES
        if name != "_mb_home"
    )
    variables = question(prefix, TORCH_VERSION=torch, CUDA_VERSION="12.4", CUDNN_VERSION="9")

    outcome = shell.run(f'. "$activate" 2>/dev/null; {look}', variables)

    assert len(NAMES) > 50
    assert outcome.stdout == ""


@pytest.mark.parametrize("torch", ["2.4.1", "9.9.9"], ids=["activated", "refused"])
def test_the_callers_options_and_word_splitting_stay(shell: Shell, prefix: SamplePrefix, torch: str) -> None:
    show = 'echo "$-|$IFS|$#|$1"'
    # Under `set -e`, dash and busybox end at a file that returns non-zero, whatever follows the dot command.
    options = "-ufC" if torch == "9.9.9" and shell.command[0] in ("dash", "busybox") else "-eufC"
    source = '. "$activate" || echo refused'
    script = f'set {options}; IFS=1/.; set -- "a b"; {show}; {source}; {show}; echo "$VIRTUAL_ENV"'
    variables = question(prefix, TORCH_VERSION=torch, CUDA_VERSION="12.4", VIRTUAL_ENV="/none")

    outcome = shell.run(script, variables)

    before, *refused, after, virtual_env = outcome.stdout.splitlines()
    assert before == after
    assert refused == ([] if torch == "2.4.1" else ["refused"])
    assert virtual_env.endswith("torch2.4.1-cu124") == (torch == "2.4.1")


def test_a_refusal_returns_to_the_callers_shell(shell: Shell, prefix: SamplePrefix) -> None:
    variables = question(prefix, TORCH_VERSION="9.9.9")

    outcome = shell.run('. "$activate"; echo "went on after $?"; env', variables)
    careful = shell.run('set -e; . "$activate"; echo "went on"', variables)

    assert outcome.stdout.startswith("went on after 69\n")
    assert "VIRTUAL_ENV" not in outcome.variables
    assert outcome.variables["PATH"] == SYSTEM_PATH
    assert (careful.code, careful.stdout) == (69, "")


def test_everything_said_goes_to_stderr_at_the_level_asked_for(shell: Shell, prefix: SamplePrefix) -> None:
    variables = question(prefix, TORCH_VERSION="2.4.1")

    def said(level: str) -> Outcome:
        return shell.run('. "$activate"', variables | {"MONOBASE_LOG_LEVEL": level})

    assert said("warning") == said("error") == Outcome(0, "", "")
    assert said("info") == said("debug")
    assert said("info") == Outcome(0, "", f"monobase: info: activated g00002/python{PYTHON}-torch2.4.1-cpu\n")
    assert said("loud").stderr == (
        "monobase: warning: MONOBASE_LOG_LEVEL=loud is none of debug, info, warning, error; taking warning\n"
    )


# --- refusals -------------------------------------------------------------------------------------


def refusals() -> Iterator[object]:
    blocks = (ACTIVATE.parent / "refusal" / "refusals.txt").read_text().split("\n\n")[1:]
    count = 0
    for block in blocks:
        title, command, *lines = block.strip("\n").split("\n")
        variables, _, code = command.removeprefix("$ ").partition(" -> ")
        pairs = dict(item.split("=", 1) for item in variables.split(" "))
        message = "".join(f"{line}\n" for line in lines)
        count += 1
        yield pytest.param(pairs, int(code), message, id=title.removeprefix("## "))
    assert count > 20


@pytest.mark.parametrize(("variables", "code", "message"), list(refusals()))
def test_a_refusal_says_what_was_asked_what_decided_and_what_is_nearest(
    shell: Shell, prefix: SamplePrefix, variables: dict[str, str], code: int, message: str
) -> None:
    outcome = shell.run('. "$activate"', question(prefix, **variables))

    assert outcome == Outcome(code, "", message.format(python=PYTHON, prefix=prefix.root))


@pytest.mark.parametrize(
    ("variable", "value", "shown", "hint"),
    [
        ("PYTHON_VERSION", "3.11\r", "PYTHON_VERSION='3.11\\r' is not a version", "\\r is a carriage return"),
        ("TORCH_VERSION", "2.4.1\r", "TORCH_VERSION='2.4.1\\r' is not a version", "\\r is a carriage return"),
        ("CUDA_VERSION", "12.4\t", "CUDA_VERSION='12.4\\t' is not a version", "cannot be seen"),
        ("CUDA_VERSION", "12.4 ", "CUDA_VERSION='12.4 ' is not a version: it holds a blank", "Write numbers"),
        ("PYTHON_VERSION", "3.11\u00a0", "PYTHON_VERSION=3.11\\u00a0 is not a version", "cannot be seen"),
        ("PYTHON_VERSION", "\ufeff3.11", "PYTHON_VERSION=\\ufeff3.11 is not a version", "cannot be seen"),
        ("PYTHON_VERSION", "3.\u200b11", "PYTHON_VERSION=3.\\u200b11 is not a version", "cannot be seen"),
        ("PYTHON_VERSION", "3.11\x1b[0m", "PYTHON_VERSION=3.11\\033[0m is not a version", "cannot be seen"),
        ("MONOBASE_GEN_ID", "2\r", "MONOBASE_GEN_ID=2\\r is not the number", "\\r is a carriage return"),
        ("MONOBASE_WAIT_S", "60\r", "MONOBASE_WAIT_S=60\\r is not a number", "\\r is a carriage return"),
        ("MONOBASE_LEASE", "1\r", "MONOBASE_LEASE=1\\r is neither", "\\r is a carriage return"),
        (
            "MONOBASE_PREFIX",
            "/srv/r8\r",
            "MONOBASE_PREFIX=/srv/r8\\r holds a control",
            "is a carriage return",
        ),
        ("MONOBASE_PREFIX", "/srv\n/r8", "MONOBASE_PREFIX=/srv\\n/r8 holds a control", "cannot be seen"),
        (
            "MONOBASE_USER_VENV",
            "/opt/v\r",
            "MONOBASE_USER_VENV=/opt/v\\r holds",
            "is a carriage return",
        ),
    ],
)
def test_what_cannot_be_seen_in_a_value_is_shown(
    shell: Shell, prefix: SamplePrefix, variable: str, value: str, shown: str, hint: str
) -> None:
    outcome = shell.run('. "$activate"', question(prefix) | {variable: value})

    assert outcome.code == 64
    assert outcome.stderr.startswith(f"monobase: error: {shown}")
    assert hint in outcome.stderr
    assert outcome.stderr.replace("\n", "").isprintable()


def test_what_cannot_be_seen_in_a_level_is_shown(shell: Shell, prefix: SamplePrefix) -> None:
    outcome = shell.run('. "$activate"', question(prefix, MONOBASE_LOG_LEVEL="info\r"))

    assert outcome.code == 0
    assert "MONOBASE_LOG_LEVEL=info\\r is none of debug" in outcome.stderr


@pytest.mark.parametrize("value", ["08", "09", "0", "000000000000000000001", "9999999"])
def test_a_number_of_seconds_is_read_as_people_write_it(
    shell: Shell, prefix: SamplePrefix, value: str
) -> None:
    assert activated(shell, question(prefix, MONOBASE_WAIT_S=value))["VIRTUAL_ENV"]


@pytest.mark.parametrize("value", ["10000000", "99999999999999999999", "-1", "1e3", "0x10", " 5", "1.5"])
def test_a_number_that_a_shell_cannot_count_to_is_refused(
    shell: Shell, prefix: SamplePrefix, value: str
) -> None:
    outcome = shell.run('. "$activate"', question(prefix, MONOBASE_WAIT_S=value))

    assert outcome.code == 64
    assert outcome.stderr.startswith(f"monobase: error: MONOBASE_WAIT_S={value} is ")


@pytest.mark.parametrize("venv", ["/", "//", "{prefix}", "{prefix}/monobase/g00002/python{python}/"])
def test_a_venv_that_nobody_can_mean_is_refused(shell: Shell, prefix: SamplePrefix, venv: str) -> None:
    named = venv.format(prefix=prefix.root, python=PYTHON)

    outcome = shell.run('. "$activate"', question(prefix, MONOBASE_USER_VENV=named))

    assert outcome.code == 64
    assert "cannot be a venv on top" in outcome.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("monobase-environments 1\r\ngeneration g00002 sealed\r\n", "is damaged"),
        ("monobase-environments 1", "is damaged"),
        ("monobase-environments 1\ngeneration ../../../x sealed\n", "is damaged"),
        ("monobase-environments 1\ngeneration\n", "is damaged"),
        ("monobase-environments\ngeneration g00002 sealed\n", "is damaged"),
        ("\x00\x01\x02" * 1000, "is damaged"),
        ("monobase-environments 23\nwhatever\n", "has format 23, and this runtime reads format 1"),
    ],
)
def test_a_list_that_is_none_of_ours_is_refused(
    shell: Shell, own_prefix: SamplePrefix, text: str, message: str
) -> None:
    (own_prefix.root / "monobase" / "g00002" / "environments").write_text(text, newline="")

    outcome = shell.run('. "$activate"', question(own_prefix))

    assert outcome.code == 72
    assert message in outcome.stderr


def test_a_list_without_an_end_of_line_is_read_to_its_end(shell: Shell, own_prefix: SamplePrefix) -> None:
    path = own_prefix.root / "monobase" / "g00002" / "environments"
    path.write_text(path.read_text().rstrip("\n"))

    outcome = shell.run(
        '. "$activate"',
        question(own_prefix, PYTHON_VERSION="3.99", TORCH_VERSION="2.6.0", CUDA_VERSION="12.4"),
    )

    assert outcome.code == 72  # its last line: listed as ready, and not there
    assert "torch2.6.0-cu124 has no Python that runs" in outcome.stderr


def test_a_list_of_a_newer_format_is_refused(shell: Shell, own_prefix: SamplePrefix) -> None:
    path = own_prefix.root / "monobase" / "g00002" / "environments"
    path.write_text(path.read_text().replace("monobase-environments 1", "monobase-environments 2"))

    outcome = shell.run('. "$activate"', question(own_prefix))

    assert outcome.code == 72
    assert "has format 2, and this runtime reads format 1" in outcome.stderr


def test_a_damaged_list_is_refused(shell: Shell, own_prefix: SamplePrefix) -> None:
    (own_prefix.root / "monobase" / "g00002" / "environments").write_text("")

    outcome = shell.run('. "$activate"', question(own_prefix))

    assert outcome.code == 72
    assert "is damaged" in outcome.stderr


def test_a_prefix_mounted_elsewhere_than_on_the_node_is_refused(
    shell: Shell, own_prefix: SamplePrefix
) -> None:
    python = own_prefix.root / "monobase" / "g00002" / f"python{PYTHON}" / "bin" / "python"
    python.unlink()
    python.symlink_to("/srv/of/the/node/uv/python/bin/python")

    outcome = shell.run('. "$activate"', question(own_prefix))

    assert outcome.code == 72
    assert "Is the prefix mounted at the same path as on the node?" in outcome.stderr


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


def test_waiting_ends_when_the_environment_is_there(shell: Shell, own_prefix: SamplePrefix) -> None:
    generation = own_prefix.root / "monobase" / "g00002"

    def publish() -> None:
        time.sleep(0.5)
        shutil.copytree(generation / f"python{PYTHON}", generation / "staged", symlinks=True)
        (generation / "staged").rename(generation / f"python{PYTHON}-torch2.6.0-cu124")

    installer = threading.Thread(target=publish)
    installer.start()
    variables = question(
        own_prefix,
        TORCH_VERSION="2.6.0",
        CUDA_VERSION="12.4",
        MONOBASE_WAIT_S="60",
        MONOBASE_LOG_LEVEL="warning",
    )
    outcome = shell.run('. "$activate"; echo "$VIRTUAL_ENV"', variables)
    installer.join()

    assert outcome.code == 0
    assert outcome.stdout.endswith("torch2.6.0-cu124\n")
    first, last = outcome.stderr.splitlines()
    assert first == (
        "monobase: warning: waiting up to 60 s for "
        f"python{PYTHON}-torch2.6.0-cu124, which is not installed yet"
    )
    assert re.fullmatch(r"monobase: warning: ready after \d+ s", last)


@pytest.mark.parametrize(
    ("variables", "code"),
    [({"TORCH_VERSION": "2.6.0", "CUDA_VERSION": "12.4"}, 75), ({"MONOBASE_GEN_ID": "7"}, 68)],
)
def test_waiting_has_an_end(shell: Shell, prefix: SamplePrefix, variables: dict[str, str], code: int) -> None:
    outcome = shell.run('. "$activate"', question(prefix, MONOBASE_WAIT_S="1", **variables))

    assert outcome.code == code
    assert "Waited 1 s (MONOBASE_WAIT_S=1)." in outcome.stderr


def test_nothing_waits_for_what_will_never_come(prefix: SamplePrefix) -> None:
    variables = question(prefix, MONOBASE_WAIT_S="3600", TORCH_VERSION="9.9.9")

    assert SHELLS[1].run('. "$activate"', variables).code == 69


# --- the entrypoint -------------------------------------------------------------------------------


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


def test_activation_starts_no_process(shell: Shell, prefix: SamplePrefix, tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    trace = tmp_path / "trace"
    variables = question(prefix, TORCH_VERSION="2.4.1", CUDA_VERSION="12.4.1", CUDNN_VERSION="9")
    watch = ("strace", "-f", "-e", "trace=fork,vfork,clone,clone3,execve", "-o", str(trace))

    outcome = shell.run('. "$activate"; exec python --version', variables, wrapper=watch)

    assert outcome.code == 0, outcome.stderr
    calls = re.findall(r"(\w+)\(.* = (?!-1)", trace.read_text())
    assert calls == ["execve", "execve"]  # the shell, and the command that it becomes


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
        f"monobase: warning: MONOBASE_LEASE=1, but something else has held {generation} locked for itself "
        "for 5 s (flock -x: a model may, no daemon does so long); "
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


# --- a read-only mount ----------------------------------------------------------------------------


def state_of(root: Path) -> dict[str, tuple[int, int, int]]:
    return {
        str(path): (status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        for path in [root, *root.rglob("*")]
        for status in [path.lstat()]
    }


def test_a_read_only_prefix_is_used_without_a_change_and_without_writing_bytecode(
    shell: Shell, prefix: SamplePrefix
) -> None:
    before = state_of(prefix.root)

    outcome = shell.run(
        '. "$activate"; python -c "import torch, sys; print(torch.__version__, sys.dont_write_bytecode)"',
        question(prefix, TORCH_VERSION="2.4.1"),
        wrapper=read_only(prefix.root),
    )

    assert outcome == Outcome(0, "2.4.1 True\n", "")
    assert state_of(prefix.root) == before


def test_where_the_prefix_can_be_written_the_caller_decides_about_bytecode(
    shell: Shell, prefix: SamplePrefix
) -> None:
    before = state_of(prefix.root)

    assert "PYTHONDONTWRITEBYTECODE" not in activated(shell, question(prefix))
    assert state_of(prefix.root) == before
