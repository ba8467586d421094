"""Publishes complete trees, and seals generations: nothing of them changes from then on.

Everything is synced before the first rename and the folder after it, so that after a power loss a name
stands for a whole tree or for nothing.
"""

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from daemon.host.durability import sync_directory, sync_filesystem, write_symlink
from daemon.host.fault import fault_point
from daemon.host.file_content import file_sha256
from daemon.host.modes import make_folder
from daemon.prefix.environments_file import environments_text, has_told, read_list, write_environments
from daemon.prefix.generation import definition_digest, is_present, read_seal
from daemon.prefix.line_file import text_digest
from daemon.prefix.manifest import MANIFEST_NAME
from daemon.prefix.mark import PART_FORMAT, WHOLE_FORMAT, Mark, read_mark, write_mark
from daemon.prefix.mending import remove_anything
from daemon.prefix.toolkit_tree import toolkit_link
from daemon.prefix.writer_lock import WriterLock
from gens.generation import Generation
from gens.selection import EVERYTHING, Selection


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


def publish(
    writer: WriterLock,
    generation: Generation,
    finished: Sequence[CompleteTree],
    selection: Selection = EVERYTHING,
) -> None:
    """Publish trees: rename them to their final names, link toolkits, and rewrite the list.

    Args:
        writer: The right to write to the prefix.
        generation: Where they belong.
        finished: The trees; each is complete.
        selection: The part of the generation that this node holds.

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
    write_list(writer, generation, selection)
    fault_point("seal:listed")


def write_list(writer: WriterLock, generation: Generation, selection: Selection = EVERYTHING) -> None:
    """Write what a generation that is being installed offers now, unless its list says so already.

    The mark of a part is opened first: what it has stays sealed, and only its list is to be written. The list
    of a generation that is sealed as a whole stays as it is.

    Args:
        writer: The right to write to the prefix.
        generation: The generation.
        selection: The part of it that this node holds.

    Raises:
        DamageError: It was sealed from another definition, or its mark is damaged.
        NewerFormatError: A newer release has sealed it.
        PrefixInUseError: Another process may be the writer by now.
    """
    prefix = writer.prefix
    mark = read_seal(prefix, generation)
    if mark is not None and not mark.is_part:
        return
    text = environments_text(prefix, generation, sealed=False, selection=selection)
    if read_list(prefix, generation.directory_name) != text:
        if mark is not None:
            open_mark(writer, generation.directory_name)
        write_environments(prefix, generation, sealed=False, selection=selection)


def open_mark(writer: WriterLock, name: str, without: Collection[str] = ()) -> None:
    """Open the mark of a generation: its list may be written, and some trees be removed or added.

    All other trees stay sealed, so that the generation stays what `latest` names. `seal` closes the mark.

    Args:
        writer: The right to write to the prefix.
        name: Name of the generation.
        without: The names of the environments and toolkits that are not sealed any more.

    Raises:
        DamageError: Its mark is damaged.
        NewerFormatError: A newer release has sealed it.
        PrefixInUseError: Another process may be the writer by now.
    """
    path = writer.prefix.sealed_mark(name)
    mark = read_mark(path)
    if mark is None or (mark.is_open and mark.manifests.keys().isdisjoint(without)):
        return
    left = {target: digest for target, digest in mark.manifests.items() if target not in without}
    writer.check()
    write_mark(path, replace(mark, environments="", manifests=left, format=PART_FORMAT))
    fault_point("seal:opened")


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


def seal(
    writer: WriterLock,
    generation: Generation,
    selection: Selection = EVERYTHING,
    further: Collection[str] = (),
) -> bool:
    """Mark what is required of a generation as complete, if it is.

    What was sealed for an earlier selection stays sealed; the new mark takes the place of the one before.

    Args:
        writer: The right to write to the prefix.
        generation: The generation.
        selection: The part of it that this node holds.
        further: Names of what is installed besides, and is to be sealed with it.

    Returns:
        Whether it is sealed now.

    Raises:
        PrefixInUseError: Another process may be the writer by now.
    """
    prefix, name = writer.prefix, generation.directory_name
    mark = read_seal(prefix, generation)
    names = selection.required(generation)
    present = {target.name for target in generation.targets if is_present(prefix, generation, target)}
    if mark is not None and mark.covers(names.union(further)) and mark.is_settled(selection.option):
        left_out = {target.name for target in generation.targets if not selection.has(target.name)} - present
        if not mark.is_part or has_told(prefix, name, present, left_out):
            return True
    if not present.issuperset(names):
        return False
    manifests = {
        target.name: text_digest(prefix.target(name, target.name) / MANIFEST_NAME)
        for target in generation.targets
        if target.name in names or target.name in further
    } | (mark.manifests if mark is not None else {})
    is_whole = manifests.keys() >= {target.name for target in generation.targets}
    if is_whole:
        selection = EVERYTHING
    if mark is not None:
        open_mark(writer, name)
    write_environments(prefix, generation, sealed=True, selection=selection)
    new = Mark(
        generation=generation.id,
        definition=definition_digest(generation),
        environments=file_sha256(prefix.environments_file(name)),
        manifests=manifests,
        format=WHOLE_FORMAT if is_whole else PART_FORMAT,
        selection=selection.option,
    )
    writer.check()
    write_mark(prefix.sealed_mark(name), new)
    fault_point("seal:done")
    return True
