"""The list of what a generation offers, `environments`: the one file that the runtime reads.

Lines of words, the first of which is `monobase-environments 1`; `daemon/README.md` describes the others. It
is rewritten when trees of the generation are published, and when the generation is sealed.
"""

import os
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from daemon.host.durability import sync_directory, write_file, write_if_changed
from daemon.host.modes import make_folder
from daemon.host.plain_file import read_plain_file
from daemon.host.system_error import is_full_disk
from daemon.prefix.generation import is_present
from daemon.prefix.gpu_architectures import architectures_of, known_architectures
from daemon.prefix.mending import remove_anything
from daemon.prefix.prefix import Prefix
from gens.drivers import minimum_driver
from gens.generation import Environment, Generation, Toolkit
from gens.selection import EVERYTHING, Selection

_LAYOUT_VERSION = 1
_KINDS = ("environment", "stack", "cuda", "cudnn")
_ENVIRONMENT_KINDS = ("environment", "stack")


def environments_text(
    prefix: Prefix, generation: Generation, *, sealed: bool, selection: Selection = EVERYTHING
) -> str:
    """Write what a generation offers, for the runtime; daemon/README.md describes the format.

    Args:
        prefix: The prefix.
        generation: The generation.
        sealed: Whether what is selected of it is complete.
        selection: The part of it that this node holds.

    Returns:
        The text of the file.
    """
    present = {target.name for target in generation.targets if is_present(prefix, generation, target)}
    missing = [target.name for target in generation.targets if target.name not in present]
    is_whole = selection.is_all and selection.eager is None

    def state(target: Environment | Toolkit) -> str:
        return "ready" if target.name in present else "missing"

    lines = [
        f"monobase-environments {_LAYOUT_VERSION}",
        f"generation {generation.directory_name} {_state(sealed=sealed, is_whole=is_whole)}",
    ]
    lines += [
        f"platform {name}" for name in sorted({target.inputs.platform for target in generation.targets})
    ]
    if not selection.is_all:
        lines.append(f"selection {selection.option}")
        lines += [f"left-out {name}" for name in missing if not selection.has(name)]
    lines += [f"python {minor} {full}" for minor, full in generation.python.items()]
    lines += _drivers(generation)
    for toolkit in generation.toolkits:
        fields = [toolkit.product, toolkit.name, state(toolkit), toolkit.version, toolkit.full_version]
        lines.append(" ".join([*fields, toolkit.cuda_major] if toolkit.cuda_major else fields))
    lines += [_environment(cell, state(cell)) for cell in generation.environments]
    lines += _architectures(prefix, generation)
    return "\n".join(lines) + "\n"


def _environment(cell: Environment, state: str) -> str:
    """Write the line of an environment; one with a stack has a kind that earlier readers skip."""
    kind = "environment" if cell.stack is None else "stack"
    fields = [cell.torch, cell.build, cell.cuda]
    if cell.stack is not None:
        fields += [cell.stack, cell.stack_version]
    words = [kind, cell.name, state, cell.python, cell.python_full, *(field or "-" for field in fields)]
    return " ".join(words)


def _state(*, sealed: bool, is_whole: bool) -> str:
    if not sealed:
        return "partial"
    return "sealed" if is_whole else "selected"


def _drivers(generation: Generation) -> Iterator[str]:
    """Yield a line for each CUDA version of a Torch build or toolkit, in the order of the definition."""
    builds = [cell.cuda for cell in generation.environments]
    toolkits = [toolkit.version for toolkit in generation.toolkits if toolkit.product == "cuda"]
    for cuda in dict.fromkeys([*builds, *toolkits]):
        driver = None if cuda is None else minimum_driver(cuda)
        if driver is not None:
            yield f"driver {cuda} {driver}"


def _architectures(prefix: Prefix, generation: Generation) -> Iterator[str]:
    """Yield a line for each installed environment whose Torch has GPU code, as far as that is known."""
    known = known_architectures(prefix)
    for cell in generation.environments:
        if cell.torch is not None:
            names = architectures_of(prefix.target(generation.directory_name, cell.name), known)
            if names:
                yield f"architectures {cell.name} {' '.join(names)}"


def write_environments(
    prefix: Prefix, generation: Generation, *, sealed: bool, selection: Selection = EVERYTHING
) -> None:
    """Write what a generation offers now, unless the file says so already.

    The mark of a part digests the list: `write_list` (`daemon/prefix/publication.py`) opens it first.
    """
    path = prefix.environments_file(generation.directory_name)
    make_folder(path.parent)
    text = environments_text(prefix, generation, sealed=sealed, selection=selection)
    write_if_changed(path, text.encode())


def replace_environments(
    prefix: Prefix, generation: Generation, *, sealed: bool, selection: Selection = EVERYTHING
) -> None:
    """Write what a generation offers now, whatever has the name of its list."""
    remove_anything(prefix.environments_file(generation.directory_name))
    write_environments(prefix, generation, sealed=sealed, selection=selection)


def list_as_missing(prefix: Prefix, name: str, target: str) -> bytes | None:
    """Mark an environment or toolkit as missing in the list of its generation, and the generation as partial.

    On a full disk, the old list goes to make room for the new one: a list that is not there calls nothing
    ready that is about to go.

    Args:
        prefix: The prefix.
        name: Name of the generation.
        target: Name of the environment or toolkit.

    Returns:
        The new list if there is no room for it even then, to be written by `restore_list` once there is; None
        when it is written, or when there was no list.

    Raises:
        OSError: It cannot be written, for another reason.
    """
    try:
        text = read_plain_file(prefix.environments_file(name)).decode(errors="surrogateescape")
    except OSError:
        return None  # the next publication writes it
    lines = [line.split(" ") for line in text.splitlines()]
    lines = [words for words in lines if words[:2] != ["architectures", target]]
    for words in lines:
        if words[:2] == ["generation", name] and len(words) > 2:
            words[2] = "partial"
        elif words[0] in _KINDS and len(words) > 2 and words[1] == target:
            words[2] = "missing"
    changed = "".join(" ".join(words) + "\n" for words in lines).encode(errors="surrogateescape")
    return None if _replace_list(prefix.environments_file(name), changed) else changed


def _replace_list(path: Path, content: bytes) -> bool:
    """Write a list, at the cost of the old one if need be; return whether there was room for it."""
    try:
        write_if_changed(path, content)
    except OSError as error:
        if not is_full_disk(error):
            raise
        remove_anything(path)
        sync_directory(path.parent)
        try:
            write_file(path, content)
        except OSError as again:
            if not is_full_disk(again):
                raise
            return False
    return True


def restore_list(prefix: Prefix, name: str, content: bytes) -> None:
    """Write a list for which `list_as_missing` found no room."""
    write_file(prefix.environments_file(name), content)


@dataclass(frozen=True, slots=True)
class ListedTarget:
    """An environment or toolkit that a generation's list names.

    Attributes:
        kind: `environment`, `stack`, `cuda` or `cudnn`.
        name: Its name.
        ready: Whether the list says that it is there.
    """

    kind: str
    name: str
    ready: bool


def read_targets(prefix: Prefix, name: str) -> list[ListedTarget]:
    """Read what the list of a generation names; nothing where there is no list, or what is not a list."""
    return [
        ListedTarget(words[0], words[1], words[2] == "ready")
        for words in _lines(prefix, name)
        if words[0] in _KINDS and len(words) > 2
    ]


def listed_targets(prefix: Prefix, name: str) -> list[str]:
    """Return the names of the environments and toolkits that a generation's list has, even in a cut line."""
    return [words[1] for words in _lines(prefix, name) if words[0] in _KINDS and len(words) > 1]


def read_list(prefix: Prefix, name: str) -> str:
    """Return the text of the list of a generation; empty where it has none, or none that can be read."""
    try:
        return read_plain_file(prefix.environments_file(name)).decode(errors="replace")
    except OSError:
        return ""  # none yet, or none any more


def _lines(prefix: Prefix, name: str) -> list[list[str]]:
    return [line.split(" ") for line in read_list(prefix, name).splitlines()]


def has_told(prefix: Prefix, name: str, present: Set[str], left_out: Set[str]) -> bool:
    """Return whether the list of a generation says what is installed, and what is missing as it is left out.

    Args:
        prefix: The prefix.
        name: Name of the generation.
        present: Names of the installed environments and toolkits.
        left_out: Names of those that are neither installed nor selected.
    """
    ready = {target.name for target in read_targets(prefix, name) if target.ready}
    return ready == present and read_left_out(prefix, name) == left_out


def read_left_out(prefix: Prefix, name: str) -> set[str]:
    """Return the names that the list of a generation calls left out."""
    return {words[1] for words in _lines(prefix, name) if words[0] == "left-out" and len(words) > 1}


def has_list(prefix: Prefix, name: str) -> bool:
    """Return whether something has the name of a generation's list, or a link that of the generation."""
    return os.path.lexists(prefix.environments_file(name)) or prefix.generation(name).is_symlink()


def has_readable_list(prefix: Prefix, name: str) -> bool:
    """Return whether the list of an unsealed generation has a format of ours, or is not there yet."""
    path = prefix.environments_file(name)
    try:
        return read_plain_file(path).startswith(b"monobase-environments ")
    except FileNotFoundError:
        return not os.path.lexists(path)
    except OSError:
        return False
