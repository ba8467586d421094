"""A folder of the node for compiled code: it is used only where nobody else can write what is loaded."""

import os
from pathlib import Path

import pytest

from runtime.sample_machine import CLOSED_DRIVER, make_sample_machine
from runtime.sample_prefix import PYTHON, SamplePrefix, question
from runtime.shells import EXEC, SYSTEM_PATH, Outcome, Shell, activated, run

pytest_plugins = ["runtime.fixtures"]

NAME = f"python{PYTHON}-torch2.4.1-cpu"
OWNER = f"uid-{os.geteuid()}"
NAMES = {"TORCHINDUCTOR_CACHE_DIR": "inductor", "TRITON_CACHE_DIR": "triton", "CUDA_CACHE_PATH": "cuda"}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    cache = tmp_path / "a cache"
    cache.mkdir()
    cache.chmod(0o1777)
    return cache


def start(prefix: SamplePrefix, cache: Path | str, *command: str, **variables: str) -> Outcome:
    asked = question(prefix, TORCH_VERSION="2.4.1", MONOBASE_COMPILE_CACHE=str(cache))
    return run([str(EXEC), *(command or ("env",))], {"PATH": SYSTEM_PATH, "HOME": "/tmp"} | asked | variables)  # noqa: S108


def found(outcome: Outcome) -> dict[str, str]:
    return {name: outcome.variables[name] for name in NAMES if name in outcome.variables}


def test_without_the_variable_nothing_is_set(prefix: SamplePrefix) -> None:
    for value in ({}, {"MONOBASE_COMPILE_CACHE": ""}):
        asked = question(prefix, TORCH_VERSION="2.4.1") | value
        assert found(run([str(EXEC), "env"], {"PATH": SYSTEM_PATH, "HOME": "/tmp"} | asked)) == {}  # noqa: S108


def test_the_caches_lead_to_a_folder_of_the_user_the_environment_and_the_processor(
    prefix: SamplePrefix, cache: Path, shell: Shell
) -> None:
    asked = question(prefix, TORCH_VERSION="2.4.1", MONOBASE_COMPILE_CACHE=str(cache))
    after = activated(shell, asked)
    folder = cache / OWNER / f"{NAME}-g00002" / "cpu"
    assert {name: after[name] for name in NAMES} == {name: f"{folder}/{part}" for name, part in NAMES.items()}
    assert (folder / ".used").is_file()
    assert (cache / OWNER).stat().st_mode & 0o777 == 0o700


def test_with_noclobber_a_second_start_still_marks_its_use(
    prefix: SamplePrefix, cache: Path, shell: Shell
) -> None:
    asked = question(prefix, TORCH_VERSION="2.4.1", MONOBASE_COMPILE_CACHE=str(cache))
    activated(shell, asked)
    used = cache / OWNER / f"{NAME}-g00002" / "cpu" / ".used"
    os.utime(used, (0, 0))
    activated(shell, asked, 'set -C; . "$activate"; env')
    assert used.stat().st_mtime > 0


def test_the_same_wheels_of_another_generation_share_a_folder(own_prefix: SamplePrefix, cache: Path) -> None:
    environment = own_prefix.root / "monobase" / "g00002" / NAME
    (environment / ".content").write_text("0123456789abcdef" * 4 + "\n")
    folder = cache / OWNER / f"{NAME}-0123456789ab" / "cpu"
    assert found(start(own_prefix, cache))["TRITON_CACHE_DIR"] == f"{folder}/triton"


def test_what_a_model_sets_itself_stays(prefix: SamplePrefix, cache: Path) -> None:
    assert found(start(prefix, cache, TRITON_CACHE_DIR="/mine"))["TRITON_CACHE_DIR"] == "/mine"


def test_another_environment_in_the_same_process_gets_another_folder(
    prefix: SamplePrefix, cache: Path
) -> None:
    outcome = start(prefix, cache, "env", "TORCH_VERSION=2.5.1+cu121", str(EXEC), "env")
    assert f"{PYTHON}-torch2.5.1-cu121-" in found(outcome)["TRITON_CACHE_DIR"]


@pytest.mark.parametrize(
    ("models", "folder"),
    [
        (["NVIDIA H200"], "NVIDIA-H200"),
        (["Tesla T4/x (1)"], "Tesla-T4-x--1-"),
        (["A", "B"], "mixed"),
        ([], "gpu"),
    ],
)
def test_the_folder_has_the_model_of_the_gpu(
    prefix: SamplePrefix, cache: Path, tmp_path: Path, models: list[str], folder: str
) -> None:
    machine = make_sample_machine(tmp_path / "machine")
    machine.write("/dev/nvidiactl")
    machine.write("/proc/driver/nvidia/version", f"{CLOSED_DRIVER.format('580.126.09')}\n")
    for number, model in enumerate(models):
        machine.write(
            f"/proc/driver/nvidia/gpus/0000:0{number}:00.0/information", f"Model: \t\t {model}\nIRQ:   1\n"
        )
    asked = question(prefix, TORCH_VERSION="2.4.1", CUDA_VERSION="12.4", MONOBASE_COMPILE_CACHE=str(cache))
    command = [str(machine.runtime / "exec"), "env"]
    outcome = run(command, {"PATH": SYSTEM_PATH, "HOME": "/tmp"} | asked)  # noqa: S108
    assert Path(found(outcome)["CUDA_CACHE_PATH"]).parent.name == folder, outcome.stderr


# --- nobody else's code ---------------------------------------------------------------------------


def is_not_used(outcome: Outcome, why: str) -> bool:
    return (outcome.code, found(outcome)) == (0, {}) and why in outcome.stderr


@pytest.mark.parametrize("value", ["relative", "/a:b", "/a\nb"])
def test_a_path_that_is_none_is_not_used(prefix: SamplePrefix, value: str) -> None:
    assert is_not_used(start(prefix, value), "is not an absolute path without colons; not using it")


def test_a_folder_that_is_not_mounted_is_not_used(prefix: SamplePrefix, tmp_path: Path) -> None:
    assert is_not_used(start(prefix, tmp_path / "none"), "is not a folder; mount it from the node")
    assert not (tmp_path / "none").exists()


def give_to_another(path: Path) -> None:
    try:
        os.chown(path, 54321, 54321, follow_symlinks=False)
    except PermissionError:
        pytest.skip("this user may not change owners")


def test_a_folder_in_which_others_can_rename_is_not_used(prefix: SamplePrefix, cache: Path) -> None:
    give_to_another(cache)
    cache.chmod(0o777)
    assert is_not_used(start(prefix, cache), "is writable for others and not sticky")
    cache.chmod(0o1777)
    assert found(start(prefix, cache))


def test_a_folder_that_another_user_has_made_under_this_name_is_not_used(
    prefix: SamplePrefix, cache: Path
) -> None:
    (cache / OWNER).mkdir()
    give_to_another(cache / OWNER)
    assert is_not_used(start(prefix, cache), f"{OWNER} is not a folder of this user")


@pytest.mark.parametrize("target", ["folder", "nowhere"])
def test_a_link_under_this_name_is_not_followed(prefix: SamplePrefix, cache: Path, target: str) -> None:
    (cache / "folder").mkdir()
    (cache / OWNER).symlink_to(target)
    assert is_not_used(start(prefix, cache), OWNER)
    assert list((cache / "folder").iterdir()) == []
    assert not (cache / "nowhere").exists()


def test_a_file_in_the_place_of_a_folder_is_a_warning(prefix: SamplePrefix, cache: Path) -> None:
    (cache / OWNER / f"{NAME}-g00002").mkdir(parents=True)
    (cache / OWNER).chmod(0o700)
    (cache / OWNER / f"{NAME}-g00002" / "cpu").touch()
    assert is_not_used(start(prefix, cache), "cannot be written to; compiling without the cache of the node")
