import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import uv

from runtime.sample_prefix import PYTHON, SITE_PACKAGES, SamplePrefix
from runtime.shells import EXEC, SYSTEM_PATH, Outcome, run
from runtime.user_venv.main import COMMAND_MARK, NEW, PreparationError, is_prepared, prepare, shared_packages

pytest_plugins = ["runtime.fixtures"]

WHERE = "import shared, torch, sys; print(shared.__version__, torch.__version__, sys.prefix)"
# What changes a file system, as Python's own audit of it sees it.
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.chmod", "shutil.copyfile"}


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    return tmp_path / "a venv of mine"


@pytest.fixture
def base(prefix: SamplePrefix) -> Path:
    return prefix.root / "monobase" / "g00002" / f"python{PYTHON}-torch2.4.1-cpu"


def python_of(venv: Path, code: str = WHERE, *options: str, **variables: str) -> Outcome:
    return run([str(venv / "bin" / "python"), *options, "-c", code], {"PATH": SYSTEM_PATH} | variables)


def make_venv(venv: Path, *options: str) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", *options, str(venv)], check=True)


def assert_whole(venv: Path, base: Path) -> None:
    assert is_prepared(venv, base)
    assert [path.name for path in venv.rglob(f"{NEW}*")] == []
    assert python_of(venv) == Outcome(0, f"1.0 2.4.1 {venv}\n", "")
    names = "import importlib.metadata as m; print(sorted(d.name for d in m.distributions(path=[PATH])))"
    seen = python_of(venv, names.replace("PATH", repr(str(venv / SITE_PACKAGES)))).stdout
    assert seen == "['pip', 'shared', 'tool', 'torch']\n"
    assert COMMAND_MARK in (venv / "bin" / "tool").read_text()
    assert os.access(venv / "bin" / "tool", os.X_OK)


# --- killed at any moment -------------------------------------------------------------------------


def prepare_until(venv: Path, base: Path, last_change: int) -> bool:
    """Prepare in a process that is killed before its change of that number; tell whether it was."""
    child = os.fork()
    if child == 0:
        changes = 0

        def kill(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal changes
            writes = event == "open" and isinstance(arguments[1], str) and arguments[1][0] in "wx"
            if writes or event in CHANGES:
                changes += 1
                if changes == last_change:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(kill)
        try:
            prepare(venv, base)
        except BaseException:  # the child of a fork must not go on as a second pytest
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def nothing(_venv: Path) -> None:
    pass


def an_empty_volume(venv: Path) -> None:
    (venv / "lost+found").mkdir(parents=True)


def a_venv_of_another_image(venv: Path) -> None:
    make_venv(venv)
    dangle(venv)


def a_venv_of_another_environment(venv: Path) -> None:
    other = venv.parent / "other/monobase/g00001/python"
    if not other.exists():
        (other / SITE_PACKAGES).mkdir(parents=True)
        install_into(other / SITE_PACKAGES, "torch", {"torch/__init__.py": ""})
        install_into(other / SITE_PACKAGES, "gone", {"gone.py": ""})
    prepare(venv, other)


@pytest.mark.parametrize(
    "before", [nothing, an_empty_volume, a_venv_of_another_image, a_venv_of_another_environment]
)
def test_the_start_after_a_killed_one_succeeds(
    base: Path, tmp_path: Path, before: Callable[[Path], None]
) -> None:
    number, killed = 1, True
    while killed:
        venv = tmp_path / f"venv {number}"
        before(venv)
        killed = prepare_until(venv, base, number)
        assert is_prepared(venv, base) != killed
        prepare(venv, base)
        assert_whole(venv, base)
        shutil.rmtree(venv)
        number += 7
    assert number > 30


def test_a_preparation_that_is_killed_twice_succeeds_the_third_time(base: Path, venv: Path) -> None:
    assert prepare_until(venv, base, 30)
    assert prepare_until(venv, base, 20)

    prepare(venv, base)

    assert_whole(venv, base)


def test_what_a_runtime_before_this_one_has_left_half_copied_is_copied_anew(base: Path, venv: Path) -> None:
    make_venv(venv)
    (venv / SITE_PACKAGES / "torch-2.4.1.dist-info").mkdir()

    prepare(venv, base)

    assert_whole(venv, base)


def test_a_full_disk_is_told_with_the_file_and_the_room_and_no_hindrance_later(
    prefix: SamplePrefix, tmp_path: Path
) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    execute = f'MONOBASE_USER_VENV={volume}/venv {EXEC} python -c "{WHERE}"'
    script = (
        f"mount -t tmpfs -o size=40k none {volume} || exit 99; {execute}; echo $?; "
        f"mount -o remount,size=8m {volume} && {execute}; echo $?"
    )
    variables = {
        "PATH": SYSTEM_PATH,
        "MONOBASE_PREFIX": str(prefix.root),
        "PYTHON_VERSION": PYTHON,
        "TORCH_VERSION": "2.4.1",
    }

    outcome = run(["unshare", "--mount", "--", "sh", "-c", script], variables)

    if outcome.code == 99 or "unshare:" in outcome.stderr:
        pytest.skip("this user may not mount")
    assert outcome.stdout == f"73\n1.0 2.4.1 {volume}/venv\n0\n"
    first = outcome.stderr.splitlines()[0]
    pattern = (
        rf"monobase: error: {volume}/venv cannot be prepared: {volume}/venv/(\S+): "
        r"No space left on device \([\d,]+ bytes and [\d,]+ inodes are free\)"
    )
    found = re.fullmatch(pattern, first)
    assert found is not None, first
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize("name", ["stranger-1.0.dist-info", "torch.egg-info", "odd.dist-info", "x.egg-link"])
def test_metadata_of_the_user_in_any_state_is_no_hindrance(base: Path, venv: Path, name: str) -> None:
    make_venv(venv)
    (venv / SITE_PACKAGES / name).mkdir()
    (venv / SITE_PACKAGES / name / "entry_points.txt").write_bytes(b"[console_scripts\n\xff = :")

    prepare(venv, base)

    assert is_prepared(venv, base)
    assert (venv / SITE_PACKAGES / name / "entry_points.txt").exists()


# --- several at once ------------------------------------------------------------------------------


def start(prefix: SamplePrefix, venv: Path, code: str, **variables: str) -> subprocess.Popen[str]:
    asked = {
        "PATH": SYSTEM_PATH,
        "HOME": "/nonexistent",
        "MONOBASE_PREFIX": str(prefix.root),
        "MONOBASE_USER_VENV": str(venv),
        "MONOBASE_LOG_LEVEL": "error",
        "PYTHON_VERSION": PYTHON,
    }
    return subprocess.Popen(
        [str(EXEC), "python", "-c", code],
        env=asked | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_of_first_starts_at_once_one_prepares_and_all_succeed(
    prefix: SamplePrefix, base: Path, venv: Path
) -> None:
    starts = [start(prefix, venv, WHERE, TORCH_VERSION="2.4.1") for _ in range(4)]

    ended = [(*process.communicate(timeout=120), process.returncode) for process in starts]

    assert ended == [(f"1.0 2.4.1 {venv}\n", "", 0)] * 4
    assert_whole(venv, base)


def test_starts_of_two_environments_on_one_venv_see_each_its_own(prefix: SamplePrefix, venv: Path) -> None:
    code = "import torch; print(torch.__version__)"
    starts = [
        start(prefix, venv, code, TORCH_VERSION=torch, CUDA_VERSION=cuda)
        for torch, cuda in [("2.4.1", "12.4"), ("2.5.1", "12.1")] * 2
    ]

    ended = [(*process.communicate(timeout=120), process.returncode) for process in starts]

    assert ended == [("2.4.1\n", "", 0), ("2.5.1\n", "", 0)] * 2
    (marked,) = [
        name
        for name in ("torch2.4.1-cu124", "torch2.5.1-cu121")
        if is_prepared(venv, prefix.root / "monobase" / "g00002" / f"python{PYTHON}-{name}")
    ]
    copies = [path.name for path in (venv / SITE_PACKAGES).glob("torch-*.dist-info")]
    assert copies == [f"torch-{marked[5:10]}.dist-info"]


def test_a_folder_that_somebody_keeps_locked_is_told(
    base: Path, venv: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    venv.mkdir()
    descriptor = os.open(venv, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)

    with pytest.raises(PreparationError, match="another process has held its lock for 0 s"):
        prepare(venv, base, lock_wait_s=0.2)

    assert "another start prepares" in capfd.readouterr().err
    os.close(descriptor)
    prepare(venv, base, lock_wait_s=0)
    assert_whole(venv, base)


def test_a_file_system_without_locks_is_no_hindrance(
    base: Path, venv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)

    prepare(venv, base)

    assert_whole(venv, base)


# --- a venv from elsewhere ------------------------------------------------------------------------


def dangle(venv: Path, interpreter: str = "/usr/local/nowhere/bin/python") -> None:
    """Make a venv what it is after a copy into an image without its interpreter."""
    for link in (venv / "bin").glob("python*"):
        link.unlink()
    (venv / "bin" / "python").symlink_to(interpreter)
    (venv / "bin" / "python3").symlink_to("python")
    config = venv / "pyvenv.cfg"
    config.write_text(re.sub(r"(?m)^home = .*", f"home = {Path(interpreter).parent}", config.read_text()))


def test_a_venv_whose_interpreter_is_not_here_gets_the_one_of_the_base(base: Path, venv: Path) -> None:
    make_venv(venv)
    (venv / SITE_PACKAGES / "mine.py").write_text("")
    dangle(venv)

    prepare(venv, base)

    assert_whole(venv, base)
    interpreter = Path(getattr(sys, "_base_executable", ""))
    assert (venv / "bin" / "python").resolve() == interpreter.resolve()
    assert f"home = {interpreter.parent}" in (venv / "pyvenv.cfg").read_text().splitlines()
    for name in ("python3", f"python{PYTHON}"):
        outcome = run([str(venv / "bin" / name), "-c", "import mine, sys; print(sys.prefix)"], {})
        assert outcome == Outcome(0, f"{venv}\n", "")


def a_python_of_another_kind(venv: Path) -> None:
    other = venv / "bin" / "python"
    other.unlink()
    other.write_text("#!/bin/sh\necho .cpython-399-x86_64-linux-gnu.so\n")
    other.chmod(0o755)


def a_copy_without_its_library(venv: Path) -> None:
    other = venv / "bin" / "python"
    other.unlink()
    other.write_bytes(b"\x7fELF")
    other.chmod(0o755)


def a_home_that_is_not_there(venv: Path) -> None:
    config = venv / "pyvenv.cfg"
    config.write_text(re.sub(r"(?m)^home = .*", "home = /usr/local/nowhere", config.read_text()))


def an_empty_config(venv: Path) -> None:
    (venv / "pyvenv.cfg").write_text("")


@pytest.mark.parametrize(
    "damage",
    [a_python_of_another_kind, a_copy_without_its_library, a_home_that_is_not_there, an_empty_config],
)
def test_an_interpreter_that_cannot_serve_is_replaced(
    base: Path, venv: Path, damage: Callable[[Path], None]
) -> None:
    make_venv(venv)
    damage(venv)

    prepare(venv, base)

    assert_whole(venv, base)


def test_an_interpreter_of_the_same_kind_stays(base: Path, venv: Path) -> None:
    make_venv(venv)
    before = [(link.name, os.lstat(link).st_ino) for link in sorted((venv / "bin").glob("python*"))]

    prepare(venv, base)

    assert [(link.name, os.lstat(link).st_ino) for link in sorted((venv / "bin").glob("python*"))] == before
    assert_whole(venv, base)


def test_a_venv_for_another_minor_version_is_refused_with_its_link(base: Path, venv: Path) -> None:
    make_venv(venv)
    dangle(venv, "/usr/local/bin/python3.99")
    (venv / "lib" / f"python{PYTHON}").rename(venv / "lib" / "python3.99")

    with pytest.raises(PreparationError, match="is not for Python") as caught:
        prepare(venv, base)

    assert caught.value.advice == (
        f"Its {venv}/bin/python leads to /usr/local/bin/python3.99.",
        f"It is for python3.99: set PYTHON_VERSION so, or make it with python{PYTHON}.",
    )
    assert not (venv / ".monobase").exists()


def test_a_venv_that_cannot_be_mended_is_refused_with_its_link(prefix: SamplePrefix, venv: Path) -> None:
    make_venv(venv)
    dangle(venv)
    mount = ("unshare", "--mount", "--", "sh", "-c")
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    if run([*mount, script, str(venv), "true"], {"PATH": SYSTEM_PATH}).code != 0:
        pytest.skip("this user may not mount")
    variables = {
        "PATH": SYSTEM_PATH,
        "MONOBASE_PREFIX": str(prefix.root),
        "MONOBASE_USER_VENV": str(venv),
        "PYTHON_VERSION": PYTHON,
        "TORCH_VERSION": "2.4.1",
    }

    outcome = run([*mount, script, str(venv), str(EXEC), "python", "-c", WHERE], variables)

    assert (outcome.code, outcome.stdout) == (73, "")
    assert f"{venv}/bin/python leads to /usr/local/nowhere/bin/python" in outcome.stderr
    assert "Read-only file system" in outcome.stderr


def test_commands_of_a_venv_that_was_moved_run_with_its_own_interpreter(
    prefix: SamplePrefix, base: Path, tmp_path: Path, venv: Path
) -> None:
    former = tmp_path / "former"
    make_venv(former)
    command = [uv.find_uv_bin(), "--quiet", "--no-config", "--offline", "--no-cache", "pip", "install"]
    options = ["--no-index", "--no-deps", "--find-links", str(prefix.wheels), "--link-mode", "copy"]
    python = ["--python", str(former / "bin" / "python")]
    subprocess.run([*command, *options, *python, "tool", "mine"], check=True, env={"PATH": SYSTEM_PATH})
    (former / "bin" / "odd name").write_text(f"#!{former}/bin/python -E\nprint('odd')\n")
    (former / "bin" / "odd name").chmod(0o755)
    former.rename(venv)

    prepare(venv, base)

    assert run([str(venv / "bin" / "tool")], {"PATH": SYSTEM_PATH}) == Outcome(0, f"{venv} mine\n", "")
    assert run([str(venv / "bin" / "odd name")], {"PATH": SYSTEM_PATH}) == Outcome(0, "odd\n", "")
    assert str(former) not in (venv / "bin" / "activate").read_text()


def test_a_conda_environment_is_refused_by_its_name(base: Path, venv: Path) -> None:
    (venv / "conda-meta").mkdir(parents=True)

    with pytest.raises(PreparationError, match="is a conda environment"):
        prepare(venv, base)


def test_nothing_is_written_into_the_prefix(base: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(base)

    with pytest.raises(PreparationError, match="lies in the prefix"):
        prepare(link, base)


# --- what installers do to it later ---------------------------------------------------------------


def uv_pip(prefix: SamplePrefix, venv: Path, *arguments: str) -> None:
    subprocess.run(
        [
            *(uv.find_uv_bin(), "--quiet", "--no-config", "--offline", "--no-cache", "pip", *arguments),
            *("--python", str(venv / "bin" / "python")),
        ],
        env={
            "PATH": SYSTEM_PATH,
            "UV_FIND_LINKS": str(prefix.wheels),
            "UV_NO_INDEX": "1",
            "UV_LINK_MODE": "copy",
        },
        check=True,
    )


def test_what_a_sync_has_removed_is_there_again_at_the_next_start(
    prefix: SamplePrefix, base: Path, tmp_path: Path, venv: Path
) -> None:
    prepare(venv, base)
    (tmp_path / "requirements.txt").write_text("shared==2.0\n")

    uv_pip(prefix, venv, "sync", str(tmp_path / "requirements.txt"))

    assert not is_prepared(venv, base)
    assert not (venv / "bin" / "tool").exists()
    prepare(venv, base)
    assert is_prepared(venv, base)
    assert python_of(venv).stdout == f"2.0 2.4.1 {venv}\n"
    uv_pip(prefix, venv, "install", "mine")  # needs torch
    assert not (venv / SITE_PACKAGES / "torch").exists()


def test_what_is_right_stays_in_its_place_for_who_runs_with_it(
    prefix: SamplePrefix, base: Path, venv: Path
) -> None:
    def places() -> list[int]:
        kept = [*sorted((venv / SITE_PACKAGES).glob("[tp]*.dist-info")), venv / "bin/tool", venv / "bin/pip"]
        return [path.stat().st_ino for path in kept]

    prepare(venv, base)
    before = places()
    uv_pip(prefix, venv, "uninstall", "shared")

    prepare(venv, base)

    assert places() == before
    assert_whole(venv, base)


def test_a_copy_beside_the_users_own_package_goes(base: Path, venv: Path) -> None:
    prepare(venv, base)
    own = venv / SITE_PACKAGES / "shared-2.0.dist-info"
    own.mkdir()
    (own / "METADATA").write_text("Metadata-Version: 2.1\nName: shared\nVersion: 2.0\n")
    (venv / ".monobase").unlink()

    prepare(venv, base)

    assert [path.name for path in (venv / SITE_PACKAGES).glob("shared-*")] == ["shared-2.0.dist-info"]


@pytest.mark.parametrize("arguments", [("uninstall", "torch"), ("install", "shared==2.0")])
def test_a_single_package_that_goes_is_noticed_too(
    prefix: SamplePrefix, base: Path, venv: Path, arguments: tuple[str, ...]
) -> None:
    prepare(venv, base)

    uv_pip(prefix, venv, *arguments)

    assert not is_prepared(venv, base)
    prepare(venv, base)
    assert is_prepared(venv, base)


def test_the_metadata_of_the_base_is_back_when_the_users_package_has_gone(
    prefix: SamplePrefix, base: Path, venv: Path
) -> None:
    prepare(venv, base)
    uv_pip(prefix, venv, "install", "shared==2.0")
    prepare(venv, base)
    assert is_prepared(venv, base)

    uv_pip(prefix, venv, "uninstall", "shared")

    assert not is_prepared(venv, base)
    prepare(venv, base)
    assert_whole(venv, base)


def test_a_venv_that_cannot_be_prepared_anew_is_used_as_it_is(
    prefix: SamplePrefix, base: Path, venv: Path
) -> None:
    prepare(venv, base)
    uv_pip(prefix, venv, "uninstall", "tool")
    mount = ("unshare", "--mount", "--", "sh", "-c")
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    if run([*mount, script, str(venv), "true"], {"PATH": SYSTEM_PATH}).code != 0:
        pytest.skip("this user may not mount")
    variables = {
        "PATH": SYSTEM_PATH,
        "MONOBASE_PREFIX": str(prefix.root),
        "MONOBASE_USER_VENV": str(venv),
        "PYTHON_VERSION": PYTHON,
        "TORCH_VERSION": "2.4.1",
    }

    outcome = run([*mount, script, str(venv), str(EXEC), "python", "-c", WHERE], variables)

    assert (outcome.code, outcome.stdout) == (0, f"1.0 2.4.1 {venv}\n")
    assert outcome.stderr == (
        f"monobase: warning: {venv} cannot be prepared: {venv}/.monobase: Read-only file system; "
        f"going on with {venv} as it is: its list of the base's packages has gaps\n"
    )


@pytest.mark.parametrize("name", ["monobase.pth", "_monobase_base.py"])
def test_what_python_reads_at_its_start_is_watched_too(base: Path, venv: Path, name: str) -> None:
    prepare(venv, base)
    (venv / SITE_PACKAGES / name).unlink()

    assert not is_prepared(venv, base)
    prepare(venv, base)
    assert_whole(venv, base)


# --- packages that several distributions share ----------------------------------------------------


def install_into(packages: Path, name: str, files: dict[str, str]) -> None:
    """Put files into a site-packages as a distribution that records them."""
    for path, text in files.items():
        file = packages / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    metadata = packages / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "RECORD").write_text("".join(f"{path},,\n" for path in files))


@pytest.fixture
def shared_base(own_prefix: SamplePrefix) -> Path:
    """Give an environment with packages that have no __init__.py, one that does nothing, or one that does."""
    base = own_prefix.root / "monobase" / "g00002" / f"python{PYTHON}-torch2.4.1-cpu"
    packages = base / SITE_PACKAGES
    install_into(packages, "nvidia_a", {"nvidia/__init__.py": "", "nvidia/a/__init__.py": "v = 'base'\n"})
    install_into(packages, "nvidia_b", {"nvidia/__init__.py": "", "nvidia/b/__init__.py": "v = 'base'\n"})
    install_into(packages, "google_x", {"google/cloud/x/__init__.py": "v = 'base'\n"})
    install_into(packages, "google_y", {"google/cloud/y.py": "v = 'base'\n"})
    install_into(packages, "solid", {"solid/__init__.py": "v = 1\n", "solid/below.py": ""})
    return base


def test_which_packages_are_shared(shared_base: Path) -> None:
    found = shared_packages(shared_base / SITE_PACKAGES)

    assert found == ["google", "google.cloud", "nvidia"]


@pytest.mark.parametrize("init", ["nvidia/__init__.py", None], ids=["regular", "namespace"])
@pytest.mark.parametrize("installed_first", [True, False])
def test_both_parts_of_a_shared_package_are_found(
    shared_base: Path, venv: Path, init: str | None, installed_first: bool
) -> None:
    make_venv(venv)
    if not installed_first:
        prepare(venv, shared_base)
    files = {"nvidia/b/__init__.py": "v = 'mine'\n", "nvidia/c.py": "v = 'mine'\n"}
    files |= {"google/__init__.py": "", "google/cloud/__init__.py": "", "google/cloud/z.py": "v = 'mine'\n"}
    if init:
        files[init] = "here = True\n"
    install_into(venv / SITE_PACKAGES, "mine", files)
    prepare(venv, shared_base)
    code = (
        "import nvidia.a, nvidia.b, nvidia.c, google.cloud.x, google.cloud.y, google.cloud.z, torch\n"
        "print(nvidia.a.v, nvidia.b.v, nvidia.c.v, google.cloud.x.v, google.cloud.y.v, google.cloud.z.v)"
    )
    expected = Outcome(0, "base mine mine base base mine\n", "")

    assert python_of(venv, code) == expected
    assert python_of(venv, code, "-I") == expected
    in_child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}], check=True)"
    assert python_of(venv, in_child) == expected


def test_a_package_that_is_one_distributions_own_hides_the_other_as_a_whole(
    shared_base: Path, venv: Path
) -> None:
    make_venv(venv)
    install_into(venv / SITE_PACKAGES, "solid", {"solid/__init__.py": "v = 2\n"})
    prepare(venv, shared_base)

    outcome = python_of(venv, "import solid; print(solid.v, len(solid.__path__)); import solid.below")

    assert outcome.stdout == "2 1\n"
    assert "No module named 'solid.below'" in outcome.stderr
