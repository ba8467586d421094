"""The archive of an interpreter, as uv requests it and mirrors list it."""

import re

from daemon.source.body import Blob
from daemon.source.failure import SourceFailure
from gens.errors import MirrorError
from gens.mirror_shape import InterpreterConfig, interpreter_path, parse_interpreters_index

MAX_INDEX_BYTES = 16_000_000
# Names of python-build-standalone, such as
# cpython-3.12.12+20251014-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz
_ARCHIVE = re.compile(
    r"(?P<name>[a-z]+-[0-9][0-9a-z.]*)(?:\+[0-9A-Za-z]+)?-(?P<machine>[a-z0-9_]+)-[a-z]+-linux-"
    r"(?P<libc>gnu|musl|gnueabihf|gnueabi|musleabihf|musleabi)(?:-.*)?"
)


def interpreter_key(path: str) -> str | None:
    """Return uv's key of an interpreter by the path of its archive, or None where the name does not show it.

    Args:
        path: Path below `UV_PYTHON_INSTALL_MIRROR`.
    """
    found = _ARCHIVE.fullmatch(path.rpartition("/")[2])
    if found is None:
        return None
    return f"{found['name']}-linux-{found['machine']}-{found['libc']}"


def archive_blob(config: InterpreterConfig) -> Blob:
    """Return the archive of an interpreter as a blob of a mirror."""
    return Blob(config.sha256, config.size_bytes, config.filename, interpreter_path(config.path))


def listed_interpreter(content: bytes, subject: str, path: str) -> InterpreterConfig:
    """Find an interpreter in the list of a tree.

    Args:
        content: `interpreters/index.json`.
        subject: Where it was read from, for messages.
        path: Path below `UV_PYTHON_INSTALL_MIRROR`.

    Raises:
        SourceFailure: The list does not have it, or is malformed.
    """
    try:
        configs = parse_interpreters_index(content, subject)
    except MirrorError as error:
        raise SourceFailure("wrong", str(error)) from error
    found = next((config for config in configs.values() if config.path == path), None)
    if found is None:
        raise SourceFailure("absent", f"does not list the interpreter {path}; mirror its generation there")
    return found
