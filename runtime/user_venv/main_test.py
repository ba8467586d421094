import re
from pathlib import Path

import pytest

from runtime.sample_prefix import PYTHON, SamplePrefix
from runtime.shells import EXEC, SYSTEM_PATH, run
from runtime.user_venv.preparation import prepare
from runtime.user_venv.sample_venv import WHERE, start_read_only, uv_pip

pytest_plugins = ["runtime.fixtures"]


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


def test_a_venv_that_cannot_be_prepared_anew_is_used_as_it_is(
    prefix: SamplePrefix, base: Path, venv: Path
) -> None:
    prepare(venv, base)
    uv_pip(prefix, venv, "uninstall", "tool")

    outcome = start_read_only(prefix, venv)

    assert (outcome.code, outcome.stdout) == (0, f"1.0 2.4.1 {venv}\n")
    assert outcome.stderr == (
        f"monobase: warning: {venv} cannot be prepared: {venv}/.monobase: Read-only file system; "
        f"going on with {venv} as it is: its list of the base's packages has gaps\n"
    )
