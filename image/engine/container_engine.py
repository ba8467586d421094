"""The container engine of this machine: podman or Docker."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Literal

from image.errors import EngineError
from image.oci.reference import has_host

EngineName = Literal["podman", "docker"]
ENGINES: tuple[EngineName, ...] = ("podman", "docker")
_LOADED = ("Loaded image: ", "Loaded image(s): ")
# Enough to hold an engine's reason, which comes last, and no whole log.
_LAST_LINES = 3


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine.

    Attributes:
        name: Which one.
        program: Its file.
        arguments: What stands between the program and each command: `--root`, `--host`.
    """

    name: EngineName
    program: str
    arguments: tuple[str, ...]

    def full_name(self, name: str) -> str:
        """Put the host before an image's name that this engine would: names in an archive are whole."""
        if has_host(name):
            return name
        if self.name == "podman":
            return f"localhost/{name}"
        return f"docker.io/{name}" if "/" in name else f"docker.io/library/{name}"

    def load(self, write: Callable[[IO[bytes]], None]) -> str | None:
        """Load an archive.

        Args:
            write: Writes the archive into a stream.

        Returns:
            What the engine calls the image, if it says so.

        Raises:
            EngineError: It refuses the archive.
        """
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as messages:
            try:
                process = subprocess.Popen(
                    [self.program, *self.arguments, "load"],
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=messages,
                )
            except OSError as error:
                raise EngineError(f"{self.program}: cannot be run: {error.strerror}") from error
            with process:
                assert process.stdin is not None  # noqa: S101 (a pipe was asked for)
                try:
                    write(process.stdin)
                    process.stdin.close()
                except BrokenPipeError:
                    pass  # it has its reasons, and tells them below
                except BaseException:
                    process.kill()  # or it might take the half for the whole
                    raise
                code = process.wait()
            if code != 0:
                raise EngineError(self._refusal("load", code, _text(messages) or _text(output)))
            for line in _text(output).splitlines():
                for beginning in _LOADED:
                    if line.startswith(beginning):
                        return line.removeprefix(beginning).strip()
        return None

    def tag(self, image: str, name: str) -> None:
        """Give an image another name.

        Args:
            image: A name that it has.
            name: The other one.

        Raises:
            EngineError: The engine refuses.
        """
        answer = subprocess.run(
            [self.program, *self.arguments, "tag", image, name], capture_output=True, check=False
        )
        if answer.returncode != 0:
            raise EngineError(self._refusal("tag", answer.returncode, answer.stderr.decode(errors="replace")))

    def _refusal(self, command: str, code: int, messages: str) -> str:
        lines = [line for line in messages.splitlines() if line.strip() and "level=warning" not in line]
        said = "; ".join(lines[-_LAST_LINES:]) or "it said nothing"
        hint = ""
        if self.name == "podman" and ("read-only file system" in said or "permission denied" in said):
            hint = "; give it folders of its own: --engine-arg=--root=FOLDER --engine-arg=--runroot=FOLDER"
        return f"`{self.name} {command}` failed with {code}: {said}{hint}"


def find_engine(name: EngineName | None, arguments: Sequence[str], path: str | None) -> Engine:
    """Find an engine.

    Args:
        name: Which one; None for podman where it is, and else Docker.
        arguments: What it is to get before each command.
        path: Where programs are looked for, like the variable PATH.

    Returns:
        The engine; whether it works is seen when it is used.

    Raises:
        EngineError: It is not there.
    """
    for candidate in (name,) if name is not None else ENGINES:
        program = shutil.which(candidate, path=path)
        if program is not None:
            return Engine(candidate, program, tuple(arguments))
    if name is not None:
        raise EngineError(
            f"{name} is not on the PATH ({path}): install it, or name another one with --engine"
        )
    raise EngineError(f"neither {' nor '.join(ENGINES)} is on the PATH ({path}): install one of them")


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
