"""The runtime's image on a node with a driver: which build is activated, and which is refused.

The node has no GPU. A container with the capability to mount puts a file system over `/proc/driver`, where
the kernel shows a loaded driver; the entrypoint then runs as the image's user, without that capability.
"""

import shlex

import pytest

from runtime.sample_machine import CLOSED_DRIVER, OPEN_DRIVER, make_offer
from runtime.sample_prefix import PYTHON
from tests.images.engine import Engine

pytest_plugins = ["tests.images.fixtures"]

BUILDS = {"cpu": "-", "cu118": "11.8", "cu128": "12.8", "cu130": "13.0"}
TORCH = "2.9.1"
# The first line of the driver's `version`; the build that is taken, then what becomes of each of BUILDS.
TABLE = {
    CLOSED_DRIVER.format("440.33.01"): "cpu 0 71 71 71",
    CLOSED_DRIVER.format("470.256.02"): "cu118 0 0 71 71",
    CLOSED_DRIVER.format("535.54.03"): "cu128 0 0 0 71",
    OPEN_DRIVER.format("570.211.01"): "cu128 0 0 0 71",
    OPEN_DRIVER.format("580.65.06"): "cu130 0 0 0 0",
    OPEN_DRIVER.format("610.10"): "cu130 0 0 0 0",
}
_NO_MOUNT = 3
# perl makes the system call: the image has no mount(8).
_MOUNT = f"""perl -e '
    my ($kind, $target, $options) = ("tmpfs", "/proc/driver", "mode=755");
    syscall(165, $kind, $target, $kind, 0, $options) == 0 or die "mount: $!\\n"
' || exit {_NO_MOUNT}
mkdir /proc/driver/nvidia
touch /dev/nvidiactl
"""
_MARK = "next driver"
_AS_MODEL = "setpriv --reuid 1000 --regid 1000 --clear-groups --bounding-set -all --inh-caps -all"
_EXEC = f"{_AS_MODEL} /opt/monobase/exec sh -c 'echo ${{VIRTUAL_ENV##*-}}'"


@pytest.fixture(scope="module")
def answers(podman: Engine, images: dict[str, str]) -> dict[str, list[str]]:
    """Start models with each driver.

    Returns:
        By driver: the build that is taken, an exit code for each build, the message for the last build.
    """
    root = podman.directory / "offer"
    make_offer(root, TORCH, BUILDS)
    for python in root.glob("monobase/g00001/*/bin/python"):
        python.unlink()
        python.symlink_to("/bin/sh")  # any program that the image has
    script = [_MOUNT]
    for line in TABLE:
        script.append(f"printf '%s\\n' {shlex.quote(line)} >/proc/driver/nvidia/version")
        script.append(f"echo {_MARK}; {_EXEC} 2>/dev/null")
        script += [
            f"TORCH_VERSION={TORCH}+{build} {_EXEC} >/dev/null 2>/tmp/said; echo $?" for build in BUILDS
        ]
        script.append("cat /tmp/said")
    variables = {"MONOBASE_PREFIX": root, "PYTHON_VERSION": PYTHON, "TORCH_VERSION": TORCH}
    options = [f"--env={name}={value}" for name, value in variables.items()]
    options += [f"--volume={root}:{root}:ro", "--user=0", "--cap-add=SYS_ADMIN"]
    command = ("run", "--rm", "--interactive", *options, "--entrypoint=/bin/sh", images["runtime"], "-s")
    done = podman.run(*command, stdin="\n".join(script), code=None)
    if done.returncode == _NO_MOUNT:
        pytest.skip(f"a container may not mount here, even with the capability: {done.stderr}")
    assert done.returncode == 0, done.stderr
    parts = done.stdout.split(f"{_MARK}\n")[1:]
    return {line: part.splitlines() for line, part in zip(TABLE, parts, strict=True)}


@pytest.mark.parametrize("line", TABLE)
def test_a_container_takes_the_newest_build_that_the_driver_of_its_node_runs_and_refuses_others(
    answers: dict[str, list[str]], line: str
) -> None:
    count = 1 + len(BUILDS)
    assert " ".join(answers[line][:count]) == TABLE[line]
    said = "\n".join(answers[line][count:])
    if TABLE[line].endswith("71"):
        driver = line.split("  ")[1]
        assert said.startswith("monobase: error: ")
        assert driver in said
        assert "580.65.06" in said
    else:
        assert said == ""
