"""Faults while models start on a layer: what can happen to a venv on top, at a first start, cannot to it."""

import subprocess
from pathlib import Path

import pytest

from layers.layer_file import read_layer_file
from runtime.sample_prefix import SITE_PACKAGES, SamplePrefix, state_of
from runtime.shells import EXEC, SYSTEM_PATH, Outcome, run
from tests.faults.mount import fill_bytes, private_mounts, read_only, tmpfs
from tests.index.wheel import WheelSpec
from tests.layer.sample import layer_on, variables_of

pytest_plugins = ["runtime.fixtures"]

MINE = WheelSpec(
    "mine", "1.0", files={"mine.py": b"import torch\n"} | {f"m{n}/__init__.py": b"V = 1\n" for n in range(40)}
)


def as_a_model() -> list[str]:
    """Return the start of a command line that runs the rest as uid 1000, which may read all."""
    capability = "-all,+dac_read_search"  # instead of a chmod of all folders above those of the test
    user = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", f"--inh-caps={capability}"]
    user.append(f"--ambient-caps={capability}")
    if subprocess.run([*user, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this user cannot become another")
    return user


def test_models_start_and_are_killed_on_one_layer_and_nothing_is_written(
    prefix: SamplePrefix, tmp_path: Path
) -> None:
    """What a venv on top can fail at: several first starts at once, a kill, no room, no right to write."""
    private_mounts()
    with tmpfs(tmp_path / "disk", size_bytes=4_000_000) as disk:
        layer = layer_on(prefix, disk / "venv", MINE)
        (disk / "home").mkdir()
        fill_bytes(disk / "full")
        code = "import m1, mine, sys; print(sys.prefix, flush=True); sys.stdin.read()"
        environment = {
            "PATH": SYSTEM_PATH, "HOME": f"{disk}/home", "TMPDIR": f"{disk}/home",
            **variables_of(prefix, layer),
        }  # fmt: skip
        start = [*as_a_model(), str(EXEC), "python", "-c", code]
        before = state_of(disk), state_of(prefix.root)

        with read_only(disk), read_only(prefix.root):
            processes = [
                subprocess.Popen(
                    start, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
                for _ in range(8)
            ]  # fmt: skip
            for process in processes[:4]:
                assert process.stdout is not None
                assert process.stdout.readline().decode() == f"{layer}\n"
                process.kill()
                process.communicate()
            printed = [process.communicate()[0].decode() for process in processes[4:]]
            again = subprocess.run(
                start, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
            )

        assert printed == [f"{layer}\n"] * 4
        assert (again.returncode, again.stdout.decode(), again.stderr) == (0, f"{layer}\n", b"")
        assert (state_of(disk), state_of(prefix.root)) == before


@pytest.mark.parametrize("user", ["root", "uid 1000"])
def test_a_first_start_writes_nothing_to_a_layer_that_can_be_written_to(
    prefix: SamplePrefix, tmp_path: Path, user: str
) -> None:
    private_mounts()
    layer = layer_on(prefix, tmp_path / "venv", MINE)
    before = state_of(layer), state_of(prefix.root)
    start = [*(as_a_model() if user != "root" else []), str(EXEC), "python", "-c", "import m1, mine"]

    with read_only(prefix.root):  # as on each node
        outcome = run(start, {"PATH": SYSTEM_PATH, **variables_of(prefix, layer)})

    assert outcome == Outcome(0, "", "")
    assert (state_of(layer), state_of(prefix.root)) == before


def test_a_model_killed_at_its_first_start_leaves_the_layer_as_it_was(
    prefix: SamplePrefix, tmp_path: Path
) -> None:
    layer = layer_on(prefix, tmp_path / "venv", MINE)
    before = state_of(layer)
    environment = {"PATH": SYSTEM_PATH, **variables_of(prefix, layer)}
    process = subprocess.Popen([str(EXEC), "python", "-c", "import mine; print(1, flush=True); input()"],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"1\n"
    process.kill()
    process.communicate()

    assert state_of(layer) == before
    assert run([str(EXEC), "python", "-c", "import mine"], environment) == Outcome(0, "", "")
    assert read_layer_file(layer) is not None
    assert (layer / SITE_PACKAGES / "mine.py").is_file()
