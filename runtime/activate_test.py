import os
import re
import shutil
from pathlib import Path

import pytest

from runtime.sample_prefix import PYTHON, SITE_PACKAGES, SamplePrefix, question, state_of
from runtime.shells import (
    ACTIVATE,
    EXEC,
    RUNTIME,
    SHELLS,
    SYSTEM_PATH,
    Outcome,
    Shell,
    activated,
    read_only,
)

pytest_plugins = ["runtime.fixtures"]

DRIVER = "/usr/local/nvidia/lib64:/usr/local/nvidia/lib"
PARTS = sorted([*RUNTIME.glob("activation/*.sh"), *RUNTIME.glob("refusal/*.sh")])
NAMES = sorted(
    {name for path in [*PARTS, ACTIVATE, EXEC] for name in re.findall(r"\b_mb_\w+\b", path.read_text())}
)


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


@pytest.mark.parametrize(
    "variables",
    [
        {"TORCH_VERSION": "2.4.1"},
        {"TORCH_VERSION": "9.9.9"},
        {"TORCH_VERSION": "2.5.1+cu121", "CUDNN_VERSION": "8", "MONOBASE_GEN_ID": "2", "HOME": "/proc"},
        {"TORCH_VERSION": "2.6.0", "MONOBASE_WAIT_S": "1"},
        {"MONOBASE_LOG_LEVEL": "info\r", "MONOBASE_USER_VENV": "/proc/venv/", "PYTHONHOME": "/usr"},
        {"CPATH": "/srv/monobase/g00001/cuda12.1/include:/mine", "MONOBASE_PREFIX": "/nowhere"},
        {"MONOBASE_STACK": "vllm==0.33"},
        {"MONOBASE_STACK": "vllm==0.32"},
        {"MONOBASE_FIT": "yes"},
    ],
    ids=[
        *("activated", "refused", "with a build", "waited", "with a venv", "without a prefix"),
        *("with a stack", "without the stack", "with a wrong setting"),
    ],
)
def test_no_variable_and_no_function_is_left_behind(
    shell: Shell, prefix: SamplePrefix, variables: dict[str, str]
) -> None:
    look = "".join(
        f'[ -z "${{{name}+set}}" ] || echo "variable {name}"; '
        f'! command -v {name} >/dev/null || echo "function {name}"; '
        for name in NAMES
        if name != "_mb_home"
    )
    asked = question(prefix, CUDA_VERSION="12.4", CUDNN_VERSION="9") | variables

    outcome = shell.run(f'. "$activate" 2>/dev/null; {look}', asked)

    assert len(NAMES) > 50
    assert outcome.stdout == ""


@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"{part.parent.name}/{part.name}")
def test_each_file_lists_the_names_that_it_defines(part: Path) -> None:
    text = part.read_text()
    lists = dict(re.findall(r'^(_mb_functions|_mb_variables)="\$\1 ([^"]*)"', text, re.MULTILINE))
    functions = re.findall(r"^(_mb_\w+)\(\)", text, re.MULTILINE)
    assigned = re.findall(r"\b(_mb_\w+)=|\bfor (_mb_\w+) in", text)
    read = [name for line in re.findall(r"\bread -r ([\w ]+)", text) for name in line.split()]
    unset_by_activate = ACTIVATE.read_text().rpartition("\nunset ")[2]

    assert sorted(lists["_mb_functions"].replace("\\\n", "").split()) == sorted(functions)
    variables = {*read, *(name for pair in assigned for name in pair if name)}
    left = variables - set(lists.get("_mb_variables", "").split())
    # activate.sh unsets these.
    left -= set(re.findall(r"_mb_\w+", unset_by_activate)) | {"_mb_folder"}
    assert sorted(left) == []


# --- the other files ------------------------------------------------------------------------------


def copy_of_runtime(folder: Path, shell: Shell) -> Path:
    """Copy the shell files to a folder whose name has what names can have."""
    # (The one way in which zsh tells a path, prompt expansion, escapes bytes that are not of the locale.)
    copy = folder / os.fsdecode(b"a $co*py" if shell.command[0] == "zsh" else b"a $co*py \xff")
    copy.mkdir()
    for name in ("activate.sh", "exec"):
        shutil.copy(RUNTIME / name, copy)
    for name in ("activation", "refusal"):
        shutil.copytree(RUNTIME / name, copy / name)
    return copy


@pytest.mark.parametrize(
    "source",
    [
        '. "$folder/activate.sh"',
        'cd "$folder" && . ./activate.sh',
        'cd "$folder/refusal" && . ../activate.sh',
        "PATH=$PATH:$folder; . activate.sh",
        'ln -s "$folder/activate.sh" link; . ./link',
        '( . "$folder/activate.sh" ) <"$folder/exec" 3<"$folder/activation/user.sh"',
    ],
)
def test_the_other_files_are_found_however_activate_is_called(
    shell: Shell, prefix: SamplePrefix, tmp_path: Path, source: str
) -> None:
    folder = copy_of_runtime(tmp_path, shell)
    variables = question(prefix, TORCH_VERSION="9.9.9", folder=str(folder))

    outcome = shell.run(f'cd "{tmp_path}"; {source}', variables)

    assert outcome.code == 69
    assert outcome.stderr.startswith("monobase: error: generation g00002 has no Torch 9.9.9.\n    asked for")


def test_a_file_that_is_missing_is_named(shell: Shell, prefix: SamplePrefix, tmp_path: Path) -> None:
    shutil.copy(ACTIVATE, tmp_path)
    variables = question(prefix, TORCH_VERSION="9", folder=str(tmp_path))

    outcome = shell.run('. "$folder/activate.sh"; code=$?; env; exit $code', variables)

    missing = "activation/modes" if shell.command[0] in ("bash", "zsh") else "refusal/settings"
    assert outcome.code == 72
    assert outcome.stderr == (
        f"monobase: error: {tmp_path}/{missing}.sh cannot be read; install the whole folder of activate.sh\n"
    )
    assert "VIRTUAL_ENV" not in outcome.variables


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


# --- a read-only mount ----------------------------------------------------------------------------


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
