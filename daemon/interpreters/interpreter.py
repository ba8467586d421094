"""The Python interpreters that environments run on: uv-managed, or the system's where none can be had."""

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import (
    IndexUnreachableError,
    IndexUrlError,
    InterpreterError,
    NewerFormatError,
    PrefixError,
    UvConfigurationError,
)
from daemon.interpreters.interpreter_tree import adopt_interpreter, make_interpreter, managed_interpreter
from daemon.interpreters.running_interpreter import Interpreter, describe, minor_of
from daemon.uv.program import Uv, last_lines
from gens.errors import MonobaseError
from gens.path_component import path_component

__all__ = ["Interpreter", "ManagedInterpreters", "describe", "minor_of", "provide_interpreters"]


def provide_interpreters(
    uv: Uv, versions: Iterable[str], *, downloads: bool, warn: Callable[[str], None]
) -> tuple[dict[str, Interpreter], dict[str, MonobaseError]]:
    """Find or install an interpreter for each version, each by itself.

    A managed interpreter of the exact version that is what its manifest says is preferred; one that is
    damaged is made anew. When it cannot be downloaded, an interpreter of the system with the same minor
    version serves, with a warning.

    Args:
        uv: How to run uv.
        versions: Full versions, such as `3.11.10`.
        downloads: Whether to try a download.
        warn: Told about each stand-in, and of each managed one that was damaged.

    Returns:
        The interpreters by the version that was asked for, and why there is none for the others.

    Raises:
        PrefixError: The disk is full, or the machine.
    """
    managed = ManagedInterpreters(uv, warn, None if downloads else "downloads are switched off")
    found: dict[str, Interpreter] = {}
    failures: dict[str, MonobaseError] = {}
    for version in sorted(set(versions)):
        try:
            found[version] = managed.provide(version) or _stand_in(uv, version, managed.reason, warn)
        except PrefixError:
            raise
        except MonobaseError as error:
            failures[version] = error
    return found, failures


@dataclass(slots=True)
class ManagedInterpreters:
    """One search for managed interpreters, and what it has learnt.

    Attributes:
        uv: How to run uv.
        warn: Where warnings go.
        no_downloads: Why no download is tried any more; None while it is.
        reason: Why the version that was asked for last could not be had.
    """

    uv: Uv
    warn: Callable[[str], None]
    no_downloads: str | None
    reason: str = ""

    def provide(self, version: str) -> Interpreter | None:
        """Give the managed interpreter of a version: as it is when it is sound, else mended or made.

        Raises:
            DefinitionError: The version is more than one part of a path.
            PrefixError: The disk is full, or the machine.
            NewerFormatError: A newer monobase has made it.
            UvConfigurationError: The machine's configuration of uv is malformed.
            IndexUrlError: The URL of an index is.
        """
        path_component(version)
        found = managed_interpreter(self.uv.prefix, version, self.warn)
        if found is not None:
            return found
        self.reason = self.no_downloads or ""
        if not self.reason:
            try:
                return make_interpreter(self.uv, version)
            except (PrefixError, NewerFormatError, UvConfigurationError, IndexUrlError):
                raise
            except MonobaseError as error:
                self.reason = _reason(error)
                if isinstance(error, IndexUnreachableError) and _same_host_for_all(str(error)):
                    # The next version would wait as long, for the same host.
                    self.no_downloads = f"not tried, as no host answered for Python {version}: {self.reason}"
        return adopt_interpreter(self.uv, version, self.warn)


def _stand_in(uv: Uv, version: str, reason: str, warn: Callable[[str], None]) -> Interpreter:
    found = _system(uv, version, reason)
    warn(
        f"Python {version} cannot be downloaded ({reason}): the system's {found.executable}, "
        f"{found.version}, serves; models need it at the same path"
    )
    return found


def _reason(error: MonobaseError) -> str:
    """Say in one line why uv could not install an interpreter: from where, and what came of it."""
    lines = [line.removeprefix("  cause: ").strip() for line in str(error).splitlines()]
    where = next((line for line in lines if line.startswith("Failed to download")), "")
    why = last_lines(str(error), 1).removeprefix("  cause: ").removeprefix("cause: ")
    return f"{where}: {why}" if where and where != why else why


def _same_host_for_all(said: str) -> bool:
    # A list of one's own may name a host for each version; unless it is the list that cannot be had.
    own_list = os.environ.get("UV_PYTHON_DOWNLOADS_JSON_URL")
    return not own_list or own_list in said


def _system(uv: Uv, version: str, reason: str) -> Interpreter:
    minor = minor_of(version)
    # uv runs every interpreter of the PATH to find one, which takes seconds where shims stand there.
    named = shutil.which(f"python{minor}")
    if named is not None:
        try:
            interpreter = describe(Path(named), managed=False)
        except InterpreterError:
            pass  # a shim of a version manager, for a version that is not installed
        else:
            if interpreter.minor == minor:
                return interpreter
    try:
        path = uv.run(
            "python",
            "find",
            "--no-managed-python",
            "--no-python-downloads",
            "--no-project",
            "--system",
            minor,
        ).stdout.strip()
        interpreter = describe(Path(path), managed=False)
    except PrefixError:
        raise
    except MonobaseError as error:
        raise _nowhere(version, reason) from error
    if interpreter.minor != minor:
        raise _nowhere(version, reason)
    return interpreter


def _nowhere(version: str, reason: str) -> InterpreterError:
    minor = minor_of(version)
    return InterpreterError(
        f"there is no Python {version}: {reason}; nor does the system have a Python {minor} that runs. Let "
        "uv download it (UV_PYTHON_INSTALL_MIRROR and UV_PYTHON_DOWNLOADS_JSON_URL name mirrors), "
        f"or install Python {minor}"
    )
