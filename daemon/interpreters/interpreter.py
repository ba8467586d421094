"""Finds the interpreters that environments run on: managed by uv, else the system's."""

import os
import shutil
from collections.abc import Callable, Iterable
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
from daemon.uv.failure import last_lines
from daemon.uv.program import Uv
from gens.errors import MonobaseError
from gens.path_component import path_component


def provide_interpreters(
    uv: Uv, versions: Iterable[str], *, downloads: bool, warn: Callable[[str], None]
) -> tuple[dict[str, Interpreter], dict[str, MonobaseError]]:
    """Find or install an interpreter for each version; one that fails leaves the others alone.

    Args:
        uv: How to run uv.
        versions: Full versions, such as `3.11.10`.
        downloads: Whether an interpreter may be downloaded.
        warn: Called with each damaged interpreter, and each that the system provides instead.

    Returns:
        The interpreters by the version that was requested, and the failures by version.

    Raises:
        PrefixError: The disk is full, or the machine lacks something else.
    """
    search = InterpreterSearch(uv, warn, downloads=downloads)
    found: dict[str, Interpreter] = {}
    failures: dict[str, MonobaseError] = {}
    for version in sorted(set(versions)):
        try:
            found[version] = search.provide(version)
        except PrefixError:
            raise
        except MonobaseError as error:
            failures[version] = error
    return found, failures


class InterpreterSearch:
    """Finds or installs interpreters, and remembers which hosts do not answer.

    Attributes:
        reason: Why the last managed interpreter could not be downloaded.
    """

    def __init__(self, uv: Uv, warn: Callable[[str], None], *, downloads: bool) -> None:
        self.reason = ""
        self._uv = uv
        self._warn = warn
        self._no_downloads = "" if downloads else "downloads are switched off"

    def provide(self, version: str) -> Interpreter:
        """Return the managed interpreter of a version, or the system's of the same minor version.

        Raises:
            InterpreterError: There is neither.
            MonobaseError: As in `managed`.
        """
        found = self.managed(version)
        if found is not None:
            return found
        found = _system(self._uv, version, self.reason)
        self._warn(
            f"Python {version} cannot be downloaded ({self.reason}): the system's {found.executable}, "
            f"{found.version}, is used instead; models need it at the same path"
        )
        return found

    def managed(self, version: str) -> Interpreter | None:
        """Return the managed interpreter of a version: as it is if undamaged, else repaired or installed.

        Raises:
            DefinitionError: The version is more than one part of a path.
            PrefixError: The disk is full, or the machine lacks something else.
            NewerFormatError: A newer release has made it.
            UvConfigurationError: The machine's configuration of uv is malformed.
            IndexUrlError: The URL of an index is malformed.
        """
        path_component(version)
        found = managed_interpreter(self._uv.prefix, version, self._warn)
        if found is not None:
            return found
        self.reason = self._no_downloads
        if not self.reason:
            try:
                return make_interpreter(self._uv, version)
            except (PrefixError, NewerFormatError, UvConfigurationError, IndexUrlError):
                raise
            except MonobaseError as error:
                self.reason = _reason(error)
                if isinstance(error, IndexUnreachableError) and _same_host_for_all(str(error)):
                    # The next version would wait as long, for the same host.
                    self._no_downloads = f"not tried, as no host answered for Python {version}: {self.reason}"
        return adopt_interpreter(self._uv, version, self._warn)


def _reason(error: MonobaseError) -> str:
    """Return one line on why uv could not install an interpreter: where from, and what happened."""
    lines = [line.removeprefix("  cause: ").strip() for line in str(error).splitlines()]
    where = next((line for line in lines if line.startswith("Failed to download")), "")
    why = last_lines(str(error), 1).removeprefix("  cause: ").removeprefix("cause: ")
    return f"{where}: {why}" if where and where != why else why


def _same_host_for_all(said: str) -> bool:
    # A list that an operator gives may name a host for each version, unless the list itself cannot be read.
    given_list = os.environ.get("UV_PYTHON_DOWNLOADS_JSON_URL")
    return not given_list or given_list in said


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
        options = ("--no-managed-python", "--no-python-downloads", "--no-project", "--system")
        path = uv.run("python", "find", *options, minor).stdout.strip()
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
        f"there is no Python {version}: {reason}, and the system has no Python {minor} that runs; let "
        "uv download it (UV_PYTHON_INSTALL_MIRROR and UV_PYTHON_DOWNLOADS_JSON_URL name mirrors), "
        f"or install Python {minor}"
    )
