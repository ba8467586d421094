import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import uv

from runtime.sample_prefix import PYTHON, SITE_PACKAGES, SamplePrefix
from runtime.shells import SHELLS, SYSTEM_PATH, Outcome, Shell, read_only

pytest_plugins = ["runtime.fixtures"]

WHERE = 'python -c "import shared, torch, sys; print(shared.__version__, torch.__version__, sys.prefix)"'
INSTALLERS = {
    "pip": "pip --quiet --disable-pip-version-check install --no-index --find-links {wheels} {what} 1>&2",
    "python -m pip": "python -m pip --quiet --disable-pip-version-check install --no-index "
    "--find-links {wheels} {what} 1>&2",
    "uv pip": "{uv} --quiet --offline --no-cache --no-config pip install --link-mode copy --no-index "
    "--find-links {wheels} {what}",
}


def question(prefix: SamplePrefix, tmp_path: Path, venv: Path | str, **variables: str) -> dict[str, str]:
    return {
        "MONOBASE_PREFIX": str(prefix.root),
        "MONOBASE_USER_VENV": str(venv),
        "PYTHON_VERSION": PYTHON,
        "TORCH_VERSION": "2.4.1",
        "HOME": str(tmp_path),
    } | variables


def install(prefix: SamplePrefix, installer: str, what: str) -> str:
    return INSTALLERS[installer].format(wheels=prefix.wheels, what=what, uv=uv.find_uv_bin())


def test_a_venv_that_is_not_there_is_made_and_sees_the_base(
    shell: Shell, prefix: SamplePrefix, tmp_path: Path, venv: Path
) -> None:
    outcome = shell.run(
        f'. "$activate"; {WHERE}', question(prefix, tmp_path, venv), wrapper=read_only(prefix.root)
    )

    assert outcome == Outcome(0, f"1.0 2.4.1 {venv}\n", "")


@pytest.mark.parametrize("installer", INSTALLERS)
def test_a_package_that_both_have_is_the_users_and_the_base_is_not_installed_again(
    prefix: SamplePrefix, tmp_path: Path, venv: Path, installer: str
) -> None:
    script = f'. "$activate"; {install(prefix, installer, "mine shared==2.0")} && {WHERE}'

    outcome = SHELLS[0].run(script, question(prefix, tmp_path, venv), wrapper=read_only(prefix.root))

    assert outcome == Outcome(0, f"2.0 2.4.1 {venv}\n", "")
    packages = venv / SITE_PACKAGES
    assert (packages / "mine.py").is_file()
    assert (packages / "shared.py").is_file()
    assert not (packages / "torch").exists()
    assert len(list(packages.glob("shared-*.dist-info"))) == 1


@pytest.mark.parametrize("installer", INSTALLERS)
def test_a_package_of_the_user_that_goes_away_uncovers_the_one_of_the_base(
    prefix: SamplePrefix, tmp_path: Path, venv: Path, installer: str
) -> None:
    remove = {
        "pip": "pip --quiet uninstall --yes shared",
        "python -m pip": "python -m pip --quiet uninstall --yes shared",
        "uv pip": f"{uv.find_uv_bin()} --quiet --no-config pip uninstall shared",
    }[installer]
    script = f'. "$activate"; {install(prefix, installer, "shared==2.0")} && {remove} && {WHERE}'

    outcome = SHELLS[0].run(script, question(prefix, tmp_path, venv), wrapper=read_only(prefix.root))

    assert outcome == Outcome(0, f"1.0 2.4.1 {venv}\n", "")


@pytest.mark.parametrize("installer", INSTALLERS)
def test_the_commands_of_the_base_see_the_users_packages(
    prefix: SamplePrefix, tmp_path: Path, venv: Path, installer: str
) -> None:
    script = f'. "$activate"; {install(prefix, installer, "mine")} && tool'

    outcome = SHELLS[0].run(script, question(prefix, tmp_path, venv), wrapper=read_only(prefix.root))

    assert outcome == Outcome(0, f"{venv} mine\n", "")


@pytest.mark.parametrize("installer", INSTALLERS)
def test_a_command_of_the_base_is_replaced_with_its_package(
    prefix: SamplePrefix, tmp_path: Path, venv: Path, installer: str
) -> None:
    script = f'. "$activate"; {install(prefix, installer, "mine tool==2.0")} && tool'

    outcome = SHELLS[0].run(script, question(prefix, tmp_path, venv), wrapper=read_only(prefix.root))

    assert outcome == Outcome(0, f"{venv} mine\n", "")
    assert str(venv) in (venv / "bin" / "tool").read_text()


def test_the_base_is_seen_without_the_variables_and_under_another_pythonpath(
    prefix: SamplePrefix, tmp_path: Path, venv: Path
) -> None:
    script = '. "$activate"; PYTHONPATH=/src python -I -c "import torch"; unset MONOBASE_PREFIX VIRTUAL_ENV; '
    outcome = SHELLS[0].run(
        script + '"$MONOBASE_USER_VENV/bin/python" -c "import torch"', question(prefix, tmp_path, venv)
    )

    assert outcome == Outcome(0, "", "")


def test_from_the_second_time_on_nothing_is_prepared_and_no_process_started(
    shell: Shell, prefix: SamplePrefix, tmp_path: Path, venv: Path
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    variables = question(prefix, tmp_path, venv, MONOBASE_LOG_LEVEL="info")
    first = shell.run('. "$activate"', variables)
    watch = ("strace", "-f", "-e", "trace=fork,vfork,clone,clone3,execve", "-o", str(tmp_path / "trace"))

    second = shell.run('. "$activate"; exec /bin/true', variables, wrapper=watch)

    assert f"preparing {venv}" in first.stderr
    assert "preparing" not in second.stderr
    calls = re.findall(r"(\w+)\(.* = (?!-1)", (tmp_path / "trace").read_text())
    assert calls == ["execve", "execve"]  # the shell, and the command that it becomes


def test_another_environment_below_takes_the_place_of_the_former(
    shell: Shell, prefix: SamplePrefix, tmp_path: Path, venv: Path
) -> None:
    again = 'TORCH_VERSION=2.5.1 CUDA_VERSION=12.1; . "$activate"'
    script = f'. "$activate"; {install(prefix, "uv pip", "mine")}; {again}; {WHERE}; env'

    outcome = shell.run(script, question(prefix, tmp_path, venv))

    assert outcome.stdout.startswith(f"1.0 2.5.1 {venv}\n")
    assert outcome.variables["PATH"].split(":")[:2] == [
        f"{venv}/bin",
        f"{prefix.root}/monobase/g00002/python{PYTHON}-torch2.5.1-cu121/bin",
    ]
    assert outcome.variables["PATH"].count("torch2.4.1") == 0
    assert outcome.variables["PATH"].count(str(venv)) == 1


def test_sourcing_twice_gives_the_same_result(
    shell: Shell, prefix: SamplePrefix, tmp_path: Path, venv: Path
) -> None:
    variables = question(prefix, tmp_path, venv)
    once = shell.run('. "$activate"; env', variables)
    twice = shell.run('. "$activate"; . "$activate"; env', variables)

    assert once.code == twice.code == 0
    assert {**twice.variables, "_": ""} == {**once.variables, "_": ""}


@pytest.mark.parametrize("maker", ["uv venv", "python -m venv"])
def test_a_venv_of_the_image_that_is_active_is_the_users(
    shell: Shell, prefix: SamplePrefix, tmp_path: Path, venv: Path, maker: str
) -> None:
    if maker == "uv venv":
        command = [uv.find_uv_bin(), "--quiet", "--no-config", "venv", "--python", sys.executable, str(venv)]
    else:
        command = [sys.executable, "-m", "venv", "--without-pip", str(venv)]
    subprocess.run(command, check=True, env={"PATH": SYSTEM_PATH, "HOME": str(tmp_path)})
    variables = question(prefix, tmp_path, "", VIRTUAL_ENV=str(venv), PATH=f"{venv}/bin:{SYSTEM_PATH}")
    del variables["MONOBASE_USER_VENV"]

    outcome = shell.run(f'. "$activate"; {WHERE}; env', variables)

    assert outcome.stdout.startswith(f"1.0 2.4.1 {venv}\n")
    assert outcome.variables["VIRTUAL_ENV"] == str(venv)
    assert outcome.variables["PATH"].count(f"{venv}/bin") == 1


def test_an_empty_name_leaves_an_active_venv_out(
    shell: Shell, prefix: SamplePrefix, tmp_path: Path, venv: Path
) -> None:
    shell.run('. "$activate"', question(prefix, tmp_path, venv))
    variables = question(prefix, tmp_path, "", VIRTUAL_ENV=str(venv), PATH=f"{venv}/bin:{SYSTEM_PATH}")

    outcome = shell.run('. "$activate"; env', variables)

    environment = f"{prefix.root}/monobase/g00002/python{PYTHON}-torch2.4.1-cpu"
    assert outcome.variables["VIRTUAL_ENV"] == environment
    assert str(venv) not in outcome.variables["PATH"]


@pytest.mark.parametrize(
    ("make", "summary"),
    [
        (
            lambda venv: (venv / "bin").mkdir(parents=True),
            "is not a virtual environment: it has no pyvenv.cfg.",
        ),
        (
            lambda venv: (
                (venv / "lib/python3.99/site-packages").mkdir(parents=True),
                (venv / "pyvenv.cfg").touch(),
            ),
            f"is not for Python {PYTHON}: it has no {SITE_PACKAGES}.",
        ),
        (lambda venv: venv.write_text(""), "is not a virtual environment: it has no pyvenv.cfg."),
    ],
    ids=["a folder", "of another Python", "a file"],
)
def test_what_cannot_be_a_venv_on_top_is_refused(
    shell: Shell, prefix: SamplePrefix, tmp_path: Path, venv: Path, make: object, summary: str
) -> None:
    assert callable(make)
    make(venv)

    outcome = shell.run('. "$activate"; code=$?; env; exit $code', question(prefix, tmp_path, venv))

    assert outcome.code == 73
    assert outcome.stderr.startswith(f"monobase: error: {venv} {summary}\n    MONOBASE_USER_VENV")
    assert "VIRTUAL_ENV" not in outcome.variables


def test_a_venv_where_nobody_can_write_is_refused(shell: Shell, prefix: SamplePrefix, tmp_path: Path) -> None:
    outcome = shell.run('. "$activate"', question(prefix, tmp_path, "/proc/venv"))

    assert outcome.code == 73
    assert outcome.stderr.startswith("monobase: error: /proc/venv cannot be prepared: ")


def test_a_relative_name_is_refused(shell: Shell, prefix: SamplePrefix, tmp_path: Path) -> None:
    outcome = shell.run('. "$activate"', question(prefix, tmp_path, ".venv"))

    assert outcome.code == 64
    assert "MONOBASE_USER_VENV=.venv is not an absolute path" in outcome.stderr
