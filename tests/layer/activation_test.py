"""A layer on top of an environment: activated in all shells, from a read-only root, without a process."""

import re
import shutil
import sys
from pathlib import Path
from platform import machine

import pytest

from layers.layer_file import LAYER_FILE
from layers.lock import Override
from runtime.sample_prefix import PYTHON, SITE_PACKAGES, SamplePrefix, state_of
from runtime.shells import EXEC, SHELLS, SYSTEM_PATH, Outcome, Shell, read_only, run
from tests.index.wheel import WheelSpec
from tests.layer.sample import ENVIRONMENT, layer_on, variables_of

pytest_plugins = ["runtime.fixtures"]

MINE = WheelSpec(
    "mine",
    "1.0",
    files={"mine.py": b"import sys, torch\ndef main():\n    print(sys.prefix, torch.__version__)\n"},
    console_scripts={"mine": "mine:main"},
)
SHARED = WheelSpec("shared", "2.0", files={"shared.py": b"__version__ = '2.0'\n"})
OVERRIDE = (Override("shared", "2.0", "1.0"),)
WHERE = (
    'python -c "import shared, torch, mine, sys; print(shared.__version__, torch.__version__, sys.prefix)"'
)
CONTENT = "c" * 64


@pytest.fixture(scope="module")
def layer(prefix: SamplePrefix, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("a model")
    return layer_on(prefix, folder / "a layer", MINE, SHARED, overrides=OVERRIDE)


def with_content(prefix: SamplePrefix, content: str) -> None:
    environment = prefix.root / "monobase" / "g00002" / ENVIRONMENT
    (environment / ".content").write_text(f"{content}\n")


def test_a_model_sees_its_own_packages_before_those_of_the_environment(
    shell: Shell, prefix: SamplePrefix, layer: Path
) -> None:
    outcome = shell.run(f'. "$activate"; {WHERE}', variables_of(prefix, layer))

    assert outcome == Outcome(0, f"2.0 2.4.1 {layer}\n", "")


def test_a_first_start_writes_nothing_and_starts_no_process(
    shell: Shell, prefix: SamplePrefix, layer: Path, tmp_path: Path
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    before = state_of(layer)
    watch = ("strace", "-f", "-e", "trace=fork,vfork,clone,clone3,execve", "-o", str(tmp_path / "trace"))

    # Sourced from a folder of its own, dash and busybox start a process to find it.
    script = f'_mb_home="{EXEC.parent}"; . "$activate"; exec /bin/true'

    outcome = shell.run(script, variables_of(prefix, layer), wrapper=watch)

    assert outcome == Outcome(0, "", "")
    calls = re.findall(r"(\w+)\(.* = (?!-1)", (tmp_path / "trace").read_text())
    assert calls == ["execve", "execve"]  # the shell, and the command that it becomes
    assert state_of(layer) == before


def test_a_read_only_root_suffices(prefix: SamplePrefix, layer: Path) -> None:
    command = [*read_only(layer), str(EXEC), "sh", "-c", f"{WHERE} && mine"]

    outcome = run(command, {"PATH": SYSTEM_PATH, **variables_of(prefix, layer)})

    assert outcome == Outcome(0, f"2.0 2.4.1 {layer}\n{layer} 2.4.1\n", "")


def test_its_variables_are_those_of_a_virtual_environment_on_top(
    shell: Shell, prefix: SamplePrefix, layer: Path
) -> None:
    variables = shell.run('. "$activate"; . "$activate"; env', variables_of(prefix, layer)).variables

    environment = f"{prefix.root}/monobase/g00002/{ENVIRONMENT}"
    assert variables["VIRTUAL_ENV"] == str(layer)
    assert variables["MONOBASE_ENVIRONMENT"] == environment
    assert variables["PATH"].split(":")[:2] == [f"{layer}/bin", f"{environment}/bin"]
    assert variables["PATH"].count(str(layer)) == 1


def test_commands_of_the_environment_run_with_the_layers_python(prefix: SamplePrefix, layer: Path) -> None:
    outcome = run([str(EXEC), "torchrun"], {"PATH": SYSTEM_PATH, **variables_of(prefix, layer)})

    assert outcome == Outcome(0, f"torchrun of {layer}\n", "")


def test_a_command_that_the_environment_lacks_is_the_next_on_the_path(
    prefix: SamplePrefix, layer: Path, tmp_path: Path
) -> None:
    for name, lines in {
        "launchers": "# A launcher of Monobase: x\nexit 3",
        "others": "# mine\necho next",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "cython").write_text(f"#!/bin/sh\n{lines}\n")
        (tmp_path / name / "cython").chmod(0o755)
    variables = {
        **variables_of(prefix, layer),
        "PATH": f"{tmp_path}/launchers:{tmp_path}/others:{SYSTEM_PATH}",
    }

    assert run([str(EXEC), "cython"], variables) == Outcome(0, "next\n", "")
    missing = run([str(EXEC), "isympy"], variables)
    assert missing.code == 127
    assert missing.stderr.startswith("monobase: error: isympy: no such command in ")


@pytest.mark.parametrize("moved", [False, True], ids=["where it was made", "moved"])
def test_scripts_run_by_any_name(prefix: SamplePrefix, tmp_path: Path, moved: bool) -> None:
    layer = layer_on(prefix, tmp_path / "layer", MINE)
    if moved:
        layer = layer.rename(tmp_path / "moved to")
    (tmp_path / "link").symlink_to(layer / "bin" / "mine")
    variables = {"PATH": f"{layer}/bin:{SYSTEM_PATH}"}
    expected = Outcome(0, f"{layer} 2.4.1\n", "")

    assert run([str(layer / "bin" / "mine")], variables) == expected
    assert run(["mine"], variables) == expected
    assert run([str(tmp_path / "link")], variables) == expected
    assert run(["sh", "-c", f'cd "{layer}/bin" && PATH=":$PATH" && mine'], variables) == expected
    assert run(["sh", "-c", f'cd "{layer}" && bin/mine'], variables) == expected
    assert run([str(layer / "bin" / "python"), str(layer / "bin" / "mine")], variables) == expected


@pytest.mark.parametrize("options", [["-I"], ["-E", "-s"], ["-B"]], ids=" ".join)
def test_the_environment_is_seen_without_any_variable(layer: Path, options: list[str]) -> None:
    child = "subprocess.run([sys.executable, '-I', '-c', 'import torch, mine'], check=True)"
    code = f"import torch, mine, subprocess, sys; {child}"

    outcome = run([str(layer / "bin" / "python"), *options, "-c", code], {"PATH": SYSTEM_PATH})

    assert outcome == Outcome(0, "", "")


def test_an_image_that_has_activated_the_layer_names_it(
    shell: Shell, prefix: SamplePrefix, layer: Path
) -> None:
    variables = {**variables_of(prefix, layer), "VIRTUAL_ENV": str(layer)}
    del variables["MONOBASE_USER_VENV"]

    outcome = shell.run(f'. "$activate"; {WHERE}', variables)

    assert outcome == Outcome(0, f"2.0 2.4.1 {layer}\n", "")


def test_a_layer_for_another_environment_is_refused_with_both(
    shell: Shell, prefix: SamplePrefix, layer: Path
) -> None:
    variables = variables_of(prefix, layer, TORCH_VERSION="2.5.1", CUDA_VERSION="12.1")

    outcome = shell.run('. "$activate"; code=$?; env; exit $code', variables)

    other = f"g00002/python{PYTHON}-torch2.5.1-cu121"
    assert outcome.code == 65
    assert outcome.stderr.startswith(
        f"monobase: error: {layer} is a layer for another environment: it was made for g00002/{ENVIRONMENT}, "
        f"and the environment is {other}.\n    the layer's base: g00002/{ENVIRONMENT}, lock sha256:aaa"
    )
    assert f"--env python{PYTHON}-torch2.5.1-cu121 -o model.lock" in outcome.stderr
    assert "VIRTUAL_ENV" not in outcome.variables


@pytest.mark.parametrize("fit", ["warn", "off"])
def test_it_runs_nevertheless_if_the_variable_says_so(
    shell: Shell, prefix: SamplePrefix, layer: Path, fit: str
) -> None:
    variables = variables_of(
        prefix, layer, TORCH_VERSION="2.5.1", CUDA_VERSION="12.1", MONOBASE_LAYER_FIT=fit
    )

    outcome = shell.run(f'. "$activate"; {WHERE}', variables)

    assert (outcome.code, outcome.stdout) == (0, f"2.0 2.5.1 {layer}\n")
    assert ("going on, as MONOBASE_LAYER_FIT=warn says" in outcome.stderr) == (fit == "warn")


def test_other_values_of_the_variable_are_refused(shell: Shell, prefix: SamplePrefix, layer: Path) -> None:
    outcome = shell.run('. "$activate"', variables_of(prefix, layer, MONOBASE_LAYER_FIT="yes"))

    assert outcome.code == 64
    assert "MONOBASE_LAYER_FIT=yes is none of on, warn, off." in outcome.stderr


def test_an_environment_of_another_name_with_the_same_wheels_will_do(
    shell: Shell, own_prefix: SamplePrefix, tmp_path: Path
) -> None:
    # Nothing of its base is here: the layer leads to the interpreter by the name that uv gives it.
    interpreter = own_prefix.root / "uv" / "python" / f"cpython-{PYTHON}.9-linux-{machine()}-gnu" / "bin"
    interpreter.mkdir(parents=True)
    (interpreter / f"python{PYTHON}").symlink_to(Path(sys.executable).resolve())
    layer = layer_on(
        own_prefix,
        tmp_path / "layer",
        MINE,
        generation_id=7,
        content=f"sha256:{CONTENT}",
        python_full=f"{PYTHON}.9",
    )
    script = '. "$activate" && python -c "import torch, mine; print(torch.__version__)"'

    unknown = shell.run(script, variables_of(own_prefix, layer))
    with_content(own_prefix, CONTENT)
    same = shell.run(script, variables_of(own_prefix, layer))
    with_content(own_prefix, "d" * 64)
    other = shell.run(script, variables_of(own_prefix, layer))

    assert unknown.code == other.code == 65
    assert "wheels unknown" in unknown.stderr
    assert f"wheels sha256:{'d' * 64}" in other.stderr
    assert f"wheels sha256:{CONTENT}" in other.stderr
    assert same == Outcome(0, "2.4.1\n", "")


def test_an_environment_of_the_same_name_with_other_wheels_is_refused(
    own_prefix: SamplePrefix, tmp_path: Path
) -> None:
    layer = layer_on(own_prefix, tmp_path / "layer", MINE, content=f"sha256:{CONTENT}")
    with_content(own_prefix, "d" * 64)

    assert SHELLS[0].run('. "$activate"', variables_of(own_prefix, layer)).code == 65


def test_a_layer_for_another_python_is_refused_whatever_the_variable_says(
    shell: Shell, prefix: SamplePrefix, tmp_path: Path
) -> None:
    layer = layer_on(
        prefix, tmp_path / "layer", MINE, environment="python3.99-torch2.4.1-cpu", python_full="3.99.1"
    )

    outcome = shell.run('. "$activate"', variables_of(prefix, layer, MONOBASE_LAYER_FIT="off"))

    assert outcome.code == 65
    assert f"is a layer for another Python than {PYTHON}" in outcome.stderr


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("monobase-layer 2\nanything\n", "is a layer of format 2, newer than this runtime."),
        ("monobase-layer 1\ngeneration g00002\n", "is a damaged layer: its .monobase-layer cannot be read."),
        ("", "is a damaged layer: its .monobase-layer cannot be read."),
        ("monobase-layer 12\n", "is a layer of format 12, newer than this runtime."),
        (None, "is a damaged layer: its .monobase-layer cannot be read."),
    ],
    ids=["newer", "cut off", "empty", "much newer", "missing"],
)
def test_a_layer_that_cannot_be_read_is_refused(
    shell: Shell, prefix: SamplePrefix, tmp_path: Path, text: str | None, summary: str
) -> None:
    layer = layer_on(prefix, tmp_path / "layer", MINE)
    if text is None:
        (layer / LAYER_FILE).unlink()
    else:
        (layer / LAYER_FILE).write_text(text)
    before = state_of(layer)

    outcome = shell.run('. "$activate"', variables_of(prefix, layer))

    assert state_of(layer) == before

    assert outcome.code == 72
    assert outcome.stderr.startswith(f"monobase: error: {layer} {summary}\n")


def test_a_layer_that_leads_to_a_missing_interpreter_is_repaired_if_it_can_be(
    prefix: SamplePrefix, tmp_path: Path
) -> None:
    layer = layer_on(prefix, tmp_path / "layer", MINE)
    (layer / "bin" / "python").unlink()
    (layer / "bin" / "python").symlink_to("/srv/nowhere/bin/python3")
    variables = {"PATH": SYSTEM_PATH, **variables_of(prefix, layer)}

    refused = run([*read_only(layer), str(EXEC), "mine"], variables)
    repaired = run([str(EXEC), "mine"], variables)
    again = run([*read_only(layer), str(EXEC), "mine"], variables)

    assert refused.code == 73
    assert f"{layer}/bin/python leads to /srv/nowhere/bin/python3" in refused.stderr
    assert (repaired.code, repaired.stdout) == (0, f"{layer} 2.4.1\n")
    assert again == Outcome(0, f"{layer} 2.4.1\n", "")
    assert (layer / SITE_PACKAGES / "mine.py").is_file()
