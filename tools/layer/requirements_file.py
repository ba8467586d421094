"""Reads requirements files: https://pip.pypa.io/en/stable/reference/requirements-file-format/.

Paths in a file are relative to the file. Options that decide how pip installs, such as `--trusted-host`, are
refused with what to do instead.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from packaging.utils import canonicalize_name

from tools.layer.credentials import expand_variables
from tools.layer.errors import RequirementsError, reason_of
from tools.layer.index_url import check_index_url
from tools.layer.request import Request
from tools.layer.requirement_text import parse_requirement

_COMMENT = re.compile(r"(^|\s)#.*$")
_LINE_OPTION = re.compile(r"\s--(?=[a-z])")
_HASH = re.compile(r"hash[= ]sha256:([0-9a-f]{64})")
_LONG = {
    "-r": "--requirement",
    "-c": "--constraint",
    "-e": "--editable",
    "-i": "--index-url",
    "-f": "--find-links",
}
_WITH_VALUE = ("--requirement", "--constraint", "--editable", "--index-url", "--extra-index-url")
_IGNORED = ("--require-hashes", "--prefer-binary")
_INSTEAD = {
    "--find-links": "name the wheels by path, or an index with --index-url",
    "--pre": "name the pre-release by its version, such as NAME>=1.0rc1",
    "--no-index": "name an index with --index-url",
    "--trusted-host": "set UV_INSECURE_HOST for this machine",
    "--only-binary": "leave it out: wheels are preferred",
}


def read_requirements_file(path: Path, lock_folder: Path, *, constraints: bool = False) -> Request:
    """Read a requirements file, and those that it includes.

    Args:
        path: The file.
        lock_folder: Folder that paths in the lock are relative to.
        constraints: Whether its lines are constraints.

    Returns:
        What it asks for.

    Raises:
        RequirementsError: A file is missing or a line is malformed; the message names file and line.
    """
    return _read(path, path.name, lock_folder, constraints, ())


def _read(path: Path, shown: str, lock_folder: Path, constraints: bool, outer: tuple[Path, ...]) -> Request:
    try:
        text = path.read_text(encoding="utf-8-sig")
        real = path.resolve()  # a file has many paths
    except (OSError, ValueError) as error:
        raise RequirementsError(f"{shown}: cannot be read: {reason_of(error)}") from error
    _check_kind(text, shown)
    if real in outer:
        raise RequirementsError(f"{shown}: includes itself; remove one of the -r lines")
    request = Request()
    for number, line in _lines(text):
        reader = _Line(f"{shown}:{number}", path.parent, lock_folder, constraints, (*outer, real))
        request += reader.read(line)
    return request


def _check_kind(text: str, shown: str) -> None:
    if "\0" in text:
        raise RequirementsError(f"{shown}: is not text; name a file of requirements")
    if text.startswith("# layer: "):
        raise RequirementsError(
            f"{shown}: is a layer lock; name it with -o, and the files that it is made from"
        )
    if text.startswith("# generation: "):
        raise RequirementsError(f"{shown}: is the lock of an environment; name the environment with --env")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each logical line with the number of its first line."""
    pending, first = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        first = first or number
        plain = _COMMENT.sub("", line)
        if plain.endswith("\\"):
            pending += plain[:-1] + " "
            continue
        whole = (pending + plain).strip()
        if whole:
            yield first, whole
        pending, first = "", 0
    if pending.strip():
        yield first, pending.strip()


class _Line:
    """One logical line of a file."""

    def __init__(
        self, place: str, folder: Path, lock_folder: Path, constraints: bool, outer: tuple[Path, ...]
    ) -> None:
        self._place = place
        self._folder = folder
        self._lock_folder = lock_folder
        self._constraints = constraints
        self._outer = outer

    def read(self, line: str) -> Request:
        if line.startswith("-"):
            return self._option(line)
        return self._requirement(line)

    def _option(self, line: str) -> Request:
        option, value = _split_option(line, self._place)
        if option in _WITH_VALUE and not value:
            raise RequirementsError(f"{self._place}: {option} has no value; write it behind the option")
        if option in ("--requirement", "--constraint"):
            if "://" in value:
                raise RequirementsError(
                    f"{self._place}: {option} names a URL; download the file, and name it by its path"
                )
            path = Path(self._folder, value)
            is_constraint = self._constraints or option == "--constraint"
            return _read(path, value, self._lock_folder, is_constraint, self._outer)
        if option == "--editable":
            return self._requirement(value)
        if option == "--index-url":
            return Request(index_url=self._index(option, value))
        if option == "--extra-index-url":
            return Request(extra_index_urls=(self._index(option, value),))
        if option == "--no-binary" and not value.startswith(":"):
            return Request(build=tuple(canonicalize_name(name.strip()) for name in value.split(",")))
        if option in _IGNORED:
            return Request()
        instead = _INSTEAD.get(option, "remove it")
        raise RequirementsError(f"{self._place}: {option} has no meaning for a layer; {instead}")

    def _index(self, option: str, text: str) -> str:
        try:
            return check_index_url(expand_variables(text))
        except ValueError as error:
            raise RequirementsError(f"{self._place}: {option} {text!r}: {error}") from error

    def _requirement(self, line: str) -> Request:
        text, *options = _LINE_OPTION.split(line)
        hashes = []
        for option in options:
            found = _HASH.fullmatch(option.strip())
            if found is None and not option.startswith("hash"):
                raise RequirementsError(f"{self._place}: --{option.strip()} is not supported; remove it")
            hashes += [found[1]] if found is not None else []
        if options and not hashes:
            raise RequirementsError(f"{self._place}: no --hash=sha256:… among the hashes; add one")
        requirement = parse_requirement(
            text.strip(), self._place, self._folder, self._lock_folder, tuple(hashes)
        )
        if not self._constraints:
            return Request(requirements=(requirement,))
        if requirement.source is not None or requirement.extras:
            raise RequirementsError(f"{self._place}: a constraint is a name with versions; found {text!r}")
        return Request(constraints=(requirement,))


def _split_option(line: str, place: str) -> tuple[str, str]:
    option, _, value = line.partition(" ")
    if "=" in option:
        option, _, value = line.partition("=")
    elif option[:2] in _LONG and option != option[:2] and not option.startswith("--"):
        option, value = option[:2], line[2:]
    try:
        words = shlex.split(value.strip()) if value.strip() else []
    except ValueError as error:
        raise RequirementsError(f"{place}: {line!r}: {error}") from error
    return _LONG.get(option, option), " ".join(words)
