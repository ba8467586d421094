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
# What prints the architecture of the engine's machine.
_ARCHITECTURE = {
    "podman": ("info", "--format", "{{.Host.Arch}}"),
    "docker": ("version", "--format", "{{.Server.Arch}}"),
}
_LOADED = ("Loaded image: ", "Loaded image(s): ")
# Enough for an engine's reason, which it prints last, but not for a whole log.
_LAST_LINES = 3


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine.

    Attributes:
        name: `podman` or `docker`.
        program: Its executable.
        arguments: Arguments between the program and each command: `--root`, `--host`.
    """

    name: EngineName
    program: str
    arguments: tuple[str, ...]

    def full_name(self, name: str) -> str:
        """Return an image's name with this engine's default host: archives hold full names."""
        if has_host(name):
            return name
        if self.name == "podman":
            return f"localhost/{name}"
        return f"docker.io/{name}" if "/" in name else f"docker.io/library/{name}"

    def architecture(self) -> str:
        """Return the architecture of the machine that runs its containers (GOARCH).

        Raises:
            EngineError: It does not answer, or not with a name.
        """
        question = _ARCHITECTURE[self.name]
        try:
            answer = subprocess.run(
                [self.program, *self.arguments, *question], capture_output=True, text=True, check=False
            )
        except OSError as error:
            raise EngineError(f"{self.program}: cannot be run: {error.strerror}") from error
        found = answer.stdout.strip()
        if answer.returncode != 0 or not found:
            said = answer.stderr if answer.returncode else f"it said {answer.stdout!r}"
            raise EngineError(
                self._refusal(" ".join(question), answer.returncode, said)
                + "; name the architecture with --architecture"
            )
        return found

    def load(self, write: Callable[[IO[bytes]], None]) -> str | None:
        """Load an archive.

        Args:
            write: Writes the archive into a stream.

        Returns:
            The image's name in the engine, if the engine prints it.

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
                    pass  # the engine closed the pipe: its reason is read below
                except BaseException:
                    process.kill()  # otherwise it might load a truncated archive
                    raise
                code = process.wait()
            if code != 0:
                raise EngineError(self._refusal("load", code, _text(messages) or _text(output)))
            for line in _text(output).splitlines():
                for beginning in _LOADED:
                    if line.startswith(beginning):
                        return line.removeprefix(beginning).strip()
        return None

    def image_id(self, name: str) -> str | None:
        """Return the digest of the configuration of an image in the engine, `sha256:` and 64 hex digits.

        Args:
            name: A full name of it.

        Returns:
            The digest; None if the engine has no such image.
        """
        answer = subprocess.run(
            [self.program, *self.arguments, "image", "inspect", "--format", "{{.Id}}", name],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        digest = answer.stdout.strip().removeprefix("sha256:")
        return f"sha256:{digest}" if answer.returncode == 0 and digest else None

    def tag(self, image: str, name: str) -> None:
        """Add a name to an image.

        Args:
            image: A present name of it.
            name: The name to add.

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
    """Return an engine.

    Args:
        name: The engine; None for podman if it is installed, otherwise Docker.
        arguments: Arguments before each command.
        path: Search path for programs, like the variable PATH.

    Returns:
        The engine; whether it works is not checked.

    Raises:
        EngineError: It is not installed.
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
