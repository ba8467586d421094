"""Publishes complete trees, and seals generations: nothing of them changes from then on.

Everything is synced before the first rename and the folder after it, so that after a power loss a name
stands for a whole tree or for nothing.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.host.durability import sync_directory, sync_filesystem, write_symlink
from daemon.host.fault import fault_point
from daemon.host.file_content import file_sha256
from daemon.host.modes import make_folder
from daemon.prefix.environments_file import write_environments
from daemon.prefix.generation import definition_digest, is_present, is_sealed
from daemon.prefix.line_file import text_digest
from daemon.prefix.manifest import MANIFEST_NAME
from daemon.prefix.mark import Mark, write_mark
from daemon.prefix.mending import remove_anything
from daemon.prefix.toolkit_tree import toolkit_link
from daemon.prefix.writer_lock import WriterLock
from gens.generation import Generation


@dataclass(frozen=True, slots=True)
class CompleteTree:
    """A tree that is complete, and where it goes.

    Attributes:
        target: Name of the environment or toolkit.
        directory: Where it is in the staging folder; None for a toolkit whose tree is published already.
        final: Its final name.
    """

    target: str
    directory: Path | None
    final: Path


def publish(writer: WriterLock, generation: Generation, finished: Sequence[CompleteTree]) -> None:
    """Publish trees: rename them to their final names, link toolkits, and rewrite the list.

    Args:
        writer: The right to write to the prefix.
        generation: Where they belong.
        finished: The trees; each is complete.

    Raises:
        PrefixInUseError: Another process may be the writer by now.
    """
    prefix = writer.prefix
    directory = prefix.generation(generation.directory_name)
    make_folder(directory)
    sync_filesystem(prefix.root)
    sync_directory(prefix.generations)
    fault_point("seal:synced")
    for item in finished:
        if item.directory is not None:
            writer.check()
            item.directory.rename(item.final)
    sync_directory(prefix.toolkits)
    sync_directory(directory)
    fault_point("seal:renamed")
    for item in finished:
        if item.final.parent == prefix.toolkits:
            writer.check()
            write_symlink(directory / item.target, toolkit_link(item.final.name))
    write_environments(prefix, generation, sealed=False)
    fault_point("seal:listed")


def replace_tree(writer: WriterLock, made: Path, tree: Path) -> None:
    """Publish a tree in place of anything that is not a folder.

    Args:
        writer: The right to write to the prefix.
        made: The tree, complete in the staging folder.
        tree: Its final name; there is no folder of that name.

    Raises:
        PrefixInUseError: Another process may be the writer by now.
    """
    sync_filesystem(writer.prefix.root)
    writer.check()
    remove_anything(tree)
    made.rename(tree)
    sync_directory(tree.parent)


def publish_record(writer: WriterLock, staged: Path, final: Path) -> None:
    """Publish an inventory or a list of bytecode, whatever has its name.

    Args:
        writer: The right to write to the prefix.
        staged: The file, in the staging folder.
        final: Its final name.

    Raises:
        PrefixInUseError: Another process may be the writer by now.
    """
    sync_filesystem(writer.prefix.root)
    writer.check()
    if final.is_dir() and not final.is_symlink():
        shutil.rmtree(final)
    staged.rename(final)


def unseal(writer: WriterLock, name: str) -> None:
    """Remove a damaged mark, whatever it is: the generation is not sealed until `seal` marks it again.

    Raises:
        PrefixInUseError: Another process may be the writer by now.
    """
    writer.check()
    remove_anything(writer.prefix.sealed_mark(name))


def seal(writer: WriterLock, generation: Generation) -> bool:
    """Mark a generation as complete, if it is.

    Args:
        writer: The right to write to the prefix.
        generation: The generation.

    Returns:
        Whether it is sealed now.

    Raises:
        PrefixInUseError: Another process may be the writer by now.
    """
    prefix = writer.prefix
    if is_sealed(prefix, generation):
        return True
    if not all(is_present(prefix, generation, target) for target in generation.targets):
        return False
    directory = prefix.generation(generation.directory_name)
    write_environments(prefix, generation, sealed=True)
    mark = Mark(
        generation=generation.id,
        definition=definition_digest(generation),
        environments=file_sha256(prefix.environments_file(generation.directory_name)),
        manifests={
            target.name: text_digest(directory / target.name / MANIFEST_NAME) for target in generation.targets
        },
    )
    writer.check()
    write_mark(prefix.sealed_mark(generation.directory_name), mark)
    fault_point("seal:done")
    return True
