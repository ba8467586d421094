"""One generation on the prefix: what its folder holds, which trees are published, whether it is sealed."""

import errno
import hashlib
import os
import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from daemon.errors import DamageError, NewerFormatError
from daemon.host.durability import is_temporary_name
from daemon.prefix.line_file import file_and_text_digest
from daemon.prefix.manifest import MANIFEST_KIND, MANIFEST_NAME
from daemon.prefix.mark import Mark, read_mark
from daemon.prefix.prefix import ENVIRONMENTS_NAME, MARK_NAME, Prefix
from gens.generation import Generation, Target

_TARGET = re.compile(r"(python|cuda|cudnn)[0-9]")
_OWN = (MARK_NAME, ENVIRONMENTS_NAME)
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EBADF, errno.ELOOP)
_MAX_DIGESTS = 256
_digests: dict[int, tuple[Generation, str]] = {}  # by id(): the object is held, so that no other one gets it


@dataclass(frozen=True, slots=True)
class GenerationEntry:
    """One file, link or folder of a generation, beside its mark and its list.

    Attributes:
        name: Its name: of an environment or toolkit, if an install made it.
        path: Its path.
        kind: What it is, links not followed; a pipe or device counts as a file.
        link: For a link, its text; else empty.
    """

    name: str
    path: Path
    kind: Literal["folder", "link", "file"]
    link: str = ""


def list_generation(prefix: Prefix, name: str) -> list[GenerationEntry]:
    """List the folder of a generation, by name; without its mark, its list, and what is being written.

    Args:
        prefix: The prefix.
        name: Name of the generation.

    Raises:
        FileNotFoundError: There is no such generation.
        OSError: Its folder cannot be listed.
    """
    entries = []
    for found in sorted(os.scandir(prefix.generation(name)), key=lambda entry: entry.name):
        if found.name in _OWN or is_temporary_name(found.name):
            continue
        with suppress(FileNotFoundError):  # it has just been removed
            if found.is_symlink():
                link = os.readlink(found.path)  # noqa: PTH115 (the text is meant, not a path)
                entries.append(GenerationEntry(found.name, Path(found.path), "link", link))
            elif found.is_dir(follow_symlinks=False):
                entries.append(GenerationEntry(found.name, Path(found.path), "folder"))
            else:
                entries.append(GenerationEntry(found.name, Path(found.path), "file"))
    return entries


def published_names(prefix: Prefix, name: str) -> set[str]:
    """Return the names of the environments and toolkits that a generation has; none when it is gone."""
    with suppress(FileNotFoundError):
        return {
            entry.name for entry in list_generation(prefix, name) if (entry.path / MANIFEST_NAME).exists()
        }
    return set()


def is_strange_folder(path: Path) -> bool:
    """Return whether a folder among environments is not an environment, nor what is left of one."""
    return not os.path.lexists(f"{path}/{MANIFEST_NAME}") and not _TARGET.match(path.name)


def newer_format(prefix: Prefix, name: str) -> str:
    """Explain that a newer release has written to a generation, whose rules are not known here.

    Args:
        prefix: The prefix.
        name: Name of the generation.

    Returns:
        The message; empty when all of it is of known formats.
    """
    try:
        with suppress(DamageError):
            read_mark(prefix.sealed_mark(name))
        with suppress(FileNotFoundError):
            for entry in list_generation(prefix, name):
                if entry.path.is_dir():
                    with suppress(OSError):  # readiness and scans report it
                        file_and_text_digest(entry.path / MANIFEST_NAME, MANIFEST_KIND)
    except NewerFormatError as error:
        return str(error)
    return ""


def definition_digest(generation: Generation) -> str:
    """Digest a definition: each target by its name and what decides its resolution.

    The digest of an object is remembered, as its targets cannot change: a round asks for it several times,
    and it takes 50 ms for 1,000 environments.
    """
    known = _digests.get(id(generation))
    if known is not None and known[0] is generation:
        return known[1]
    lines = sorted(f"{target.kind} {target.name} {target.inputs.digest}\n" for target in generation.targets)
    digest = f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"
    if len(_digests) >= _MAX_DIGESTS:
        _digests.clear()  # those of definitions that have changed are among them
    _digests[id(generation)] = generation, digest
    return digest


def read_seal(prefix: Prefix, generation: Generation) -> Mark | None:
    """Read the mark of a generation, and check that it was sealed from this definition.

    Args:
        prefix: The prefix.
        generation: The generation.

    Returns:
        Its mark, of all of it or of a part; None when it is not sealed.

    Raises:
        DamageError: It was sealed from another definition, or its mark is damaged.
        NewerFormatError: A newer release has sealed it.
    """
    mark = read_mark(prefix.sealed_mark(generation.directory_name))
    if mark is None:
        return None
    expected = definition_digest(generation)
    if mark.definition != expected:
        raise DamageError(
            f"{prefix.generation(generation.directory_name)}: was sealed from another definition "
            f"({mark.definition}) than the one of now ({expected}); a generation never changes: use "
            "the release that it came from, or remove it from the prefix"
        )
    return mark


def is_sealed(prefix: Prefix, generation: Generation, names: Collection[str] | None = None) -> bool:
    """Return whether a generation, or a part of it, is sealed on the prefix.

    Args:
        prefix: The prefix.
        generation: The generation.
        names: The names of the part; None for all environments and toolkits.

    Raises:
        DamageError: It was sealed from another definition, or its mark is damaged.
        NewerFormatError: A newer release has sealed it.
    """
    mark = read_seal(prefix, generation)
    return mark is not None and mark.covers(names)


def mark_of(prefix: Prefix, name: str) -> Mark | None:
    """Return the mark of a generation, of all of it or a part, whatever it was sealed from; None without one.

    Raises:
        DamageError: The mark is damaged.
        NewerFormatError: A newer release has written it.
    """
    return read_mark(prefix.sealed_mark(name))


def is_present(prefix: Prefix, generation: Generation, target: Target) -> bool:
    """Return whether an environment or toolkit is published, and so is complete."""
    # A string: a round looks at each environment several times, and a `Path` takes longer than the kernel.
    path = f"{prefix.generation(generation.directory_name)}/{target.name}/{MANIFEST_NAME}"
    try:
        os.stat(path)  # noqa: PTH116
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
        return False
    return True
