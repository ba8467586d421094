"""A name for the user, and a place for caches, where the system and the container give none."""

import shutil
from pathlib import Path

import pytest

from runtime.sample_prefix import PYTHON, SamplePrefix
from runtime.shells import EXEC, SYSTEM_PATH, Outcome, Shell, run

pytest_plugins = ["runtime.fixtures"]

# Nothing but /dev/shm can be written to (a pod with a read-only root), and what `$extra` mounts.
READ_ONLY = (
    "for mount in / /tmp /var/tmp /root; do mount --bind $mount $mount || exit 99; "
    'mount -o remount,bind,ro $mount || exit 99; done; eval "$extra" || exit 99; exec "$@"'
)
NAMES = ("HOME", "XDG_CACHE_HOME", "TMPDIR", "TRITON_CACHE_DIR", "TORCH_EXTENSIONS_DIR", "CUDA_CACHE_PATH")
# What Triton, Inductor and Torch's extensions do.
USE = f"""
import os, pathlib, sys, tempfile
for name in {NAMES!r}:
    print(name, os.environ.get(name))
places = [os.environ.get("TRITON_CACHE_DIR") or os.path.expanduser("~/.triton/cache")]
places += [os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")]
places += [os.environ.get("CUDA_CACHE_PATH") or os.path.expanduser("~/.nv/ComputeCache")]
places += [tempfile.gettempdir()]
for place in places:
    assert os.path.isabs(place), place
    folder = pathlib.Path(place, "torchinductor")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kernel.so").write_text("")
"""


def execute(prefix: SamplePrefix, *command: str, wrapper: tuple[str, ...] = (), **variables: str) -> Outcome:
    asked = {"PATH": SYSTEM_PATH, "MONOBASE_PREFIX": str(prefix.root), "PYTHON_VERSION": PYTHON}
    return run([*wrapper, str(EXEC), *command], asked | variables)


def in_a_pod(prefix: SamplePrefix, extra: str = ":", **variables: str) -> tuple[dict[str, str], Outcome]:
    wrapper = ("unshare", "--mount", "--", "sh", "-c", READ_ONLY, "sh")
    outcome = execute(prefix, "python", "-c", USE, wrapper=wrapper, extra=extra, **variables)
    if outcome.code == 99 or "unshare:" in outcome.stderr:
        pytest.skip("this user may not mount")
    return dict(line.split(" ", 1) for line in outcome.stdout.splitlines()), outcome


@pytest.fixture
def volume() -> str:
    return "mount -t tmpfs -o mode=1777 none /var/tmp"


# --- a place --------------------------------------------------------------------------------------


@pytest.mark.parametrize("home", ["", "/"], ids=["no HOME", "HOME=/"])
def test_without_a_home_that_can_be_written_to_there_is_one(
    prefix: SamplePrefix, volume: str, home: str
) -> None:
    found, outcome = in_a_pod(prefix, volume, **({"HOME": home} if home else {}))

    assert (outcome.code, outcome.stderr) == (0, "")
    assert found["HOME"] == "/var/tmp/monobase-0"  # noqa: S108
    assert found["TMPDIR"] == "None"  # Python and gcc find /var/tmp by themselves


def test_a_home_that_cannot_be_written_to_stays_and_caches_go_elsewhere(
    prefix: SamplePrefix, volume: str, tmp_path: Path
) -> None:
    found, outcome = in_a_pod(prefix, volume, HOME=str(tmp_path))

    assert (outcome.code, outcome.stderr) == (0, "")
    place = "/var/tmp/monobase-0"  # noqa: S108
    assert found == {
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": f"{place}/.cache",
        "TMPDIR": "None",
        "TRITON_CACHE_DIR": f"{place}/.triton/cache",
        "TORCH_EXTENSIONS_DIR": f"{place}/.cache/torch_extensions",
        "CUDA_CACHE_PATH": f"{place}/.nv/ComputeCache",
    }


def test_weights_that_the_image_has_in_its_cache_are_still_found(
    prefix: SamplePrefix, volume: str, tmp_path: Path
) -> None:
    (tmp_path / ".cache" / "huggingface").mkdir(parents=True)

    found, _ = in_a_pod(prefix, volume, HOME=str(tmp_path))

    assert found["XDG_CACHE_HOME"] == "None"
    assert found["TRITON_CACHE_DIR"] == "/var/tmp/monobase-0/.triton/cache"  # noqa: S108


def test_what_the_user_has_set_is_not_changed(prefix: SamplePrefix, volume: str, tmp_path: Path) -> None:
    mine = {name: f"/var/tmp/mine/{name}" for name in NAMES if name not in ("HOME", "TMPDIR")}  # noqa: S108

    found, outcome = in_a_pod(prefix, volume, HOME=str(tmp_path), **mine)

    assert outcome.code == 0
    assert found == {"HOME": str(tmp_path), "TMPDIR": "None"} | mine


def test_a_volume_in_the_cache_folder_is_taken(prefix: SamplePrefix, tmp_path: Path) -> None:
    (tmp_path / ".cache").mkdir()
    extra = f"mount -t tmpfs none '{tmp_path}/.cache'"

    found, outcome = in_a_pod(prefix, extra, HOME=str(tmp_path))

    assert outcome.code == 0
    assert found["TRITON_CACHE_DIR"] == f"{tmp_path}/.cache/.triton/cache"
    assert found["TMPDIR"] == f"{tmp_path}/.cache"


def test_with_a_home_but_nothing_temporary_there_is_a_temporary_folder(
    prefix: SamplePrefix, tmp_path: Path
) -> None:
    found, outcome = in_a_pod(prefix, f"mount -t tmpfs none '{tmp_path}'", HOME=str(tmp_path))

    assert (outcome.code, outcome.stderr) == (0, "")
    assert found["TMPDIR"] == f"{tmp_path}/.cache/monobase-tmp"
    assert found["TRITON_CACHE_DIR"] == "None"


def test_shared_memory_is_the_last_resort_and_told_where_nothing_in_it_may_run(prefix: SamplePrefix) -> None:
    for flags in ("exec", "noexec"):
        found, outcome = in_a_pod(prefix, f"mount -t tmpfs -o {flags},mode=1777 none /dev/shm")

        assert outcome.code == 0
        assert found["HOME"] == found["TMPDIR"] == "/dev/shm/monobase-0"  # noqa: S108
        assert ("is mounted noexec" in outcome.stderr) == (flags == "noexec")
        assert outcome.stderr.count("\n") == (flags == "noexec")


def test_where_nothing_can_be_written_one_warning_says_what_to_mount(prefix: SamplePrefix) -> None:
    wrapper = ("unshare", "--mount", "--", "sh", "-c", READ_ONLY, "sh")
    extra = "mount -t tmpfs -o ro none /dev/shm"

    outcome = execute(prefix, "true", wrapper=wrapper, extra=extra)

    if outcome.code == 99 or "unshare:" in outcome.stderr:
        pytest.skip("this user may not mount")
    assert (outcome.code, outcome.stdout) == (0, "")
    assert outcome.stderr.count("\n") == 1
    assert outcome.stderr.startswith("monobase: warning: no folder can be written to: ")
    assert "emptyDir) at /tmp" in outcome.stderr


@pytest.mark.parametrize("kind", ["a link", "a file"])
def test_a_name_that_somebody_else_has_taken_is_left_to_him(
    prefix: SamplePrefix, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "elsewhere").mkdir()
    taken = tmp_path / "shared" / "monobase-0"
    if kind == "a link":
        taken.symlink_to(tmp_path / "elsewhere")
    else:
        taken.write_text("")
    extra = f"mount --bind '{tmp_path}/shared' /var/tmp && mount -o remount,bind,rw /var/tmp"

    found, outcome = in_a_pod(prefix, extra)

    assert outcome.code == 0
    assert found["HOME"].startswith("/var/tmp/monobase-0-")  # noqa: S108
    (made,) = (tmp_path / "shared").glob("monobase-0-*")
    assert made.stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_where_the_home_can_be_written_to_nothing_is_set_and_nothing_made(
    shell: Shell, prefix: SamplePrefix, tmp_path: Path
) -> None:
    variables = {"MONOBASE_PREFIX": str(prefix.root), "PYTHON_VERSION": PYTHON, "HOME": str(tmp_path)}

    after = shell.run('. "$activate"; env', variables).variables

    assert after["HOME"] == str(tmp_path)
    assert not set(NAMES[1:]) & after.keys()
    assert list(tmp_path.iterdir()) == []


# --- a name ---------------------------------------------------------------------------------------

USER = "import getpass, os; print(getpass.getuser(), os.environ.get('USER'))"


def as_user(shell: Shell, prefix: SamplePrefix, uid: int, **variables: str) -> Outcome:
    wrapper = ("unshare", "--user", f"--map-user={uid}", f"--map-group={uid}", "--")
    if shutil.which("unshare") is None or run([*wrapper, "true"], {"PATH": SYSTEM_PATH}).code != 0:
        pytest.skip("this user may not make a user namespace")
    asked = {"MONOBASE_PREFIX": str(prefix.root), "PYTHON_VERSION": PYTHON, "HOME": "/tmp"} | variables  # noqa: S108
    return shell.run(f'. "$activate"; exec python -c "{USER}"', asked, wrapper=wrapper)


def test_a_uid_that_the_system_has_no_name_for_gets_one(shell: Shell, prefix: SamplePrefix) -> None:
    assert as_user(shell, prefix, 54321) == Outcome(0, "uid54321 uid54321\n", "")


def test_a_name_that_the_system_or_the_user_gives_stays(shell: Shell, prefix: SamplePrefix) -> None:
    assert as_user(shell, prefix, 54321, LOGNAME="me") == Outcome(0, "me None\n", "")
    assert as_user(shell, prefix, 0) == Outcome(0, "root None\n", "")
