"""The toolkits below `cuda/`, which generations share by symbolic links."""

import os
from contextlib import suppress
from pathlib import Path

from daemon.errors import DamageError
from daemon.host.durability import write_symlink
from daemon.prefix.generation import list_generation
from daemon.prefix.line_file import has_digest
from daemon.prefix.manifest import MANIFEST_NAME, content_digest, read_manifest
from daemon.prefix.mark import read_mark
from daemon.prefix.mending import remove_anything
from daemon.prefix.prefix import Prefix
from gens.generation import Toolkit
from gens.lock import Lock


def toolkit_directory_name(prefix: Prefix, toolkit: Toolkit, lock: Lock) -> tuple[str, bool]:
    """Choose the shared tree of a toolkit.

    Two generations whose locks pin the same wheels share a tree; another set of wheels of the same
    version gets a name with a part of its digest.

    Args:
        prefix: The prefix.
        toolkit: The toolkit.
        lock: What it is made from.

    Returns:
        The name below `cuda/`, and whether the tree stands already.
    """
    content = content_digest(lock.wheels)
    for name in (toolkit.directory_name, f"{toolkit.directory_name}-{content[:8]}"):
        manifest = prefix.toolkit(name) / MANIFEST_NAME
        if not manifest.exists():
            return name, False
        if read_manifest(manifest).content == content:
            return name, True
    raise DamageError(
        f"{prefix.toolkit(name)}: has another content than its name says; `verify --repair` rebuilds it, "
        "or removes it when no generation uses it"
    )


def toolkit_names(prefix: Prefix) -> list[str]:
    """Return the names of the toolkits below `cuda/`, in order: the folders that have a manifest."""
    manifests = prefix.toolkits.glob(f"*/{MANIFEST_NAME}")
    return sorted(path.parent.name for path in manifests if not path.parent.is_symlink())


def toolkit_link(name: str) -> str:
    """Return the text of a generation's link to a toolkit, by the name of the toolkit below `cuda/`."""
    return f"../../cuda/{name}"


def link_toolkit(path: Path, name: str) -> None:
    """Point the link of a generation at a toolkit, whatever has its path.

    Args:
        path: The link.
        name: Name of the toolkit below `cuda/`.
    """
    text = toolkit_link(name)
    if not path.is_symlink() or str(path.readlink()) != text:
        remove_anything(path)
        write_symlink(path, text)


def sealed_toolkit(prefix: Prefix, generation: str, target: str) -> str | None:
    """Return the name of the toolkit that a generation was sealed with; None when there is no such toolkit.

    Raises:
        DamageError: The mark of the generation is damaged.
        NewerFormatError: A newer release has sealed it.
    """
    mark = read_mark(prefix.sealed_mark(generation))
    if mark is None or target not in mark.manifests:
        return None
    return toolkit_of_digest(prefix, mark.manifests[target])


def linked_toolkit(link: str) -> str | None:
    """Return the name of the toolkit that a link of this text leads to; None for a link to anything else."""
    name = link.rpartition("/")[2]
    return name if name and link == toolkit_link(name) else None


def is_used(prefix: Prefix, name: str) -> bool:
    """Return whether a generation links to a toolkit."""
    return any(
        linked_toolkit(entry.link) == name
        for generation in prefix.installed_generations()
        for entry in list_generation(prefix, generation)
        if entry.kind == "link"
    )


def toolkit_of_digest(prefix: Prefix, sha256: str) -> str | None:
    """Return the name of the toolkit whose manifest has a digest."""
    for manifest in sorted(prefix.toolkits.glob(f"*/{MANIFEST_NAME}")):
        with suppress(OSError):
            if has_digest(manifest, sha256):
                return manifest.parent.name
    return None


def link_text(path: Path) -> str | None:
    """Return the text of a symbolic link; None when there is none."""
    try:
        return os.readlink(path)  # noqa: PTH115 (the text is meant, not a path)
    except OSError:
        return None


def toolkit_behind(path: Path) -> str | None:
    """Return the name that the link of a generation ends with; None when there is no link."""
    text = link_text(path)
    return None if text is None else Path(text).name


def is_without_toolkits(prefix: Prefix) -> bool:
    """Return whether `cuda/` is empty, or not there."""
    return not any(prefix.toolkits.glob("*"))
