"""podman with a storage of its own: what a test pulls and runs leaves nothing on the machine.

A test that is killed leaves a gigabyte; the next one removes it.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

_PARENT = Path("/var/tmp")  # noqa: S108 (mkdtemp makes the folder in it)
_PREFIX = "monobase-"
# Locked as long as the folder is somebody's.
_LOCK = "lock"
_PATIENCE_S = 300
# A container of CI may neither raise limits nor manage cgroups with systemd.
_CONTAINERS_CONF = """\
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
netns = "host"
"""


@dataclass(frozen=True, slots=True)
class Engine:
    """podman.

    Attributes:
        directory: Its storage, and files of the test; a short path, since podman makes sockets below it.
    """

    directory: Path

    def command(self, *arguments: str | Path) -> list[str]:
        """Return the command line of a call.

        Without a `--tmpdir`, all podmans of the machine share one folder for the states of their containers:
        the first that is removed takes it away, and the others know none of their containers any more.
        """
        return [
            "podman", "--tmpdir", f"{self.directory}/state", "--root", f"{self.directory}/root",
            "--runroot", f"{self.directory}/run", "--runtime-flag", f"root={self.directory}/runc",
            *map(str, arguments),
        ]  # fmt: skip

    def run(
        self, *arguments: str | Path, code: int | None = 0, stdin: str = "", patience_s: float = _PATIENCE_S
    ) -> subprocess.CompletedProcess[str]:
        """Run podman to its end.

        Args:
            arguments: Its arguments.
            code: The exit code that it must have; None for any.
            stdin: What it reads.
            patience_s: When it is given up, in seconds.
        """
        # podman may lose the exit code of a container that it has removed, or try to remove one that has
        # not ended yet: 127, whatever the container has said. What really ends with 127 does so twice.
        for _ in range(2):
            done = subprocess.run(
                self.command(*arguments), env=self.environment(), input=stdin, capture_output=True,
                text=True, check=False, timeout=patience_s,
            )  # fmt: skip
            if code != 0 or done.returncode != 127:
                break
        if code is not None and done.returncode != code:
            raise AssertionError(
                f"podman {arguments}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def pull(self, source: str) -> str:
        """Pull an image, and return the name to run it by."""
        return self.run("pull", "--quiet", "--tls-verify=false", source).stdout.split()[-1]

    def shell(self, image: str, script: str, *options: str | Path, code: int | None = 0) -> str:
        """Run a script in a container of an image without its entrypoint, and return its output."""
        arguments = ("run", "--rm", "--interactive", *options, "--entrypoint", "/bin/sh", image, "-s")
        return self.run(*arguments, stdin=script, code=code).stdout

    def environment(self) -> Mapping[str, str]:
        """Return podman's environment."""
        return {
            "CONTAINERS_CONF": str(self.directory / "containers.conf"),
            "HOME": str(self.directory),
            "PATH": os.environ["PATH"],
            "PODMAN_IGNORE_CGROUPSV1_WARNING": "1",
            "TMPDIR": str(self.directory / "tmp"),
        }


@contextmanager
def engine() -> Iterator[Engine]:
    """Make a podman of one's own; skip the test where it cannot run.

    Yields:
        It; containers, images and storage go with the context.
    """
    if shutil.which("podman") is None or shutil.which("runc") is None:
        pytest.skip("podman and runc are not on the PATH; the toolbox of ./bazelw has them")
    if os.getuid() != 0:
        pytest.skip("these containers run as root; run the test as root")
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_PARENT))
    with (directory / "new").open("w") as lock:
        # Under its name it is locked from the beginning: nobody takes it for abandoned.
        fcntl.flock(lock, fcntl.LOCK_EX)
        (directory / "new").rename(directory / _LOCK)
        _remove_abandoned()
        (directory / "containers.conf").write_text(_CONTAINERS_CONF)
        (directory / "tmp").mkdir()
        podman = Engine(directory)
        try:
            yield podman
        finally:
            _remove(podman)


def _remove_abandoned() -> None:
    for path in _PARENT.glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(BlockingIOError, FileNotFoundError), path.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(Engine(path.parent))


def _remove(podman: Engine) -> None:
    podman.run("pod", "rm", "--all", "--force", "--time", "0", code=None)
    podman.run("rm", "--all", "--force", "--time", "0", code=None)
    podman.run("system", "reset", "--force", code=None)
    _unmount(podman.directory / "root" / "overlay")
    shutil.rmtree(podman.directory, ignore_errors=True)


def _unmount(path: Path) -> None:
    """Take away a mount that podman leaves; one that is not there is none to take away."""
    command = ["umount", "--lazy", str(path)]
    subprocess.run(command, capture_output=True, check=False)
