"""Runs commands in containers of images for arm64, in namespaces of their own."""

import os
import platform
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.emulation.emulated_image import EmulatedImage

_ENTER = Path(__file__).with_name("enter.sh")
# A container ends with the test, even one that is killed: unshare ends with it, and ends the container.
_NAMESPACES = (
    "setpriv", "--pdeathsig", "KILL",
    "unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child",
)  # fmt: skip
_PROBE = "mount -t binfmt_misc binfmt_misc /tmp && test -w /tmp/register"
_TIMEOUT_S = 600


def refusal() -> str | None:
    """Return why this machine cannot emulate in namespaces of its own; None if it can."""
    if platform.machine() != "x86_64":
        return f"the emulator is a program for x86_64, and this machine is {platform.machine()}"
    if missing := [program for program in ("setpriv", "unshare") if shutil.which(program) is None]:
        return f"{' and '.join(missing)} of the package util-linux are not on the PATH"
    done = subprocess.run(
        [*_NAMESPACES, "sh", "-c", _PROBE], capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
    )
    if done.returncode == 0:
        return None
    return (
        "a user cannot register an emulator in namespaces of its own; that needs Linux 6.7 with binfmt_misc, "
        f"and user namespaces that are not forbidden: {done.stderr.strip()}"
    )


@dataclass(frozen=True, slots=True)
class Container:
    """Runs each command in a new container of an image.

    Attributes:
        emulator: The program `qemu-aarch64`.
        image: The image.
        variables: Environment variables besides those of the image.
        writable: Folders that it can write to, as the container sees them, by their path on this machine.
        read_only: Folders that it can only read.
    """

    emulator: Path
    image: EmulatedImage
    variables: Mapping[str, str] = field(default_factory=dict)
    writable: Mapping[Path, str] = field(default_factory=dict)
    read_only: Mapping[Path, str] = field(default_factory=dict)

    def words(self, command: Sequence[str]) -> list[str]:
        """Return the command line that runs a command in a container."""
        mounts = [
            word
            for mode, folders in (("rw", self.writable), ("ro", self.read_only))
            for source, target in folders.items()
            for word in (mode, str(source), target)
        ]
        image = self.image
        variables = [f"{name}={value}" for name, value in {**image.variables, **self.variables}.items()]
        layers = ":".join(image.layers[::-1])
        return [
            *_NAMESPACES, "sh", str(_ENTER), str(self.emulator), str(image.store), layers, image.user,
            image.working_directory, *mounts, "--", "/usr/bin/env", "-i", *variables, *command,
        ]  # fmt: skip

    def run(self, *command: str, code: int = 0) -> str:
        """Run a command in place of the entrypoint, and return its output, with that to standard error.

        Args:
            command: The command.
            code: The exit code that it must have.
        """
        began = time.monotonic()
        done = subprocess.run(
            self.words(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False, timeout=_TIMEOUT_S,
        )  # fmt: skip
        print(f"$ {shlex.join(command)}\n{done.stdout}# {done.returncode}, {time.monotonic() - began:.1f} s")
        if done.returncode != code:
            raise AssertionError(f"{command}: exit code {done.returncode}, not {code}:\n{done.stdout}")
        return done.stdout

    def start(self, *arguments: str) -> list[str]:
        """Return the command line of the image's entrypoint.

        Args:
            arguments: Its arguments; those of the image if there are none.
        """
        return self.words([*self.image.entrypoint, *(arguments or self.image.command)])

    def enter(self, *arguments: str, code: int = 0) -> str:
        """Run the image's entrypoint, and return its output; see `run`."""
        return self.run(*self.image.entrypoint, *arguments, code=code)


def first_process(outer: int) -> int:
    """Return the process on this machine that is the first one of a container.

    Args:
        outer: The process of its command line, which ignores signals and waits for that one.
    """
    (child,) = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
    return int(child)


def send(outer: int, number: int) -> None:
    """Send a signal to the first process of a container."""
    os.kill(first_process(outer), number)
