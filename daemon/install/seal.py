"""Stage 6, seal: what is complete gets its final name, and never changes from then on.

Everything is synced before the first rename and the folder after it, so that after a power loss a name
stands for a whole tree or for nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.host.durability import sync_directory, sync_filesystem, write_new_file, write_symlink
from daemon.host.fault import fault_point
from daemon.host.file_content import file_sha256
from daemon.host.modes import make_folder
from daemon.install.link import LinkedTree
from daemon.install.plan import Wanted, definition_digest, is_present, is_sealed
from daemon.install.toolkit import ToolkitTree, write_environments
from daemon.prefix.bytecode_list import bytecode_list_path
from daemon.prefix.inventory import inventory_path
from daemon.prefix.line_file import text_digest
from daemon.prefix.manifest import (
    MANIFEST_NAME,
    BytecodePart,
    Manifest,
    WheelPart,
    content_digest,
    format_manifest,
)
from daemon.prefix.mark import Mark, write_mark
from daemon.prefix.prefix import Prefix
from daemon.prefix.writer_lock import WriterLock
from gens.generation import Generation


@dataclass(frozen=True, slots=True)
class Finished:
    """A tree that is complete in the staging folder, and where it goes.

    Attributes:
        wanted: What it is.
        directory: Where it is; None for a toolkit whose tree stands already.
        final: Its final name.
    """

    wanted: Wanted
    directory: Path | None
    final: Path


def finish_environment(prefix: Prefix, tree: LinkedTree) -> Finished:
    """Write the manifest of an environment.

    Args:
        prefix: The prefix.
        tree: The environment, complete in the staging folder.

    Returns:
        What is to be published.
    """
    key = tree.interpreter.bytecode_key
    directory = tree.packages_directory
    wheels = tree.wanted.lock.wheels
    manifest = Manifest(
        tree.wanted.target.name,
        content_digest(wheels),
        tuple(
            WheelPart(wheel.sha256, text_digest(inventory_path(prefix, wheel.sha256)), directory)
            for wheel in wheels
        ),
        tuple(
            BytecodePart(
                wheel.sha256, key, text_digest(bytecode_list_path(prefix, wheel.sha256, key)), directory
            )
            for wheel in wheels
        ),
        tuple(tree.files),
        tuple(tree.links),
    )
    write_new_file(tree.directory / MANIFEST_NAME, format_manifest(manifest))
    final = prefix.generation(tree.wanted.generation.directory_name) / tree.wanted.target.name
    return Finished(tree.wanted, tree.directory, final)


def finish_toolkit(prefix: Prefix, wanted: Wanted, tree: ToolkitTree, directory_name: str) -> Finished:
    """Write the manifest of a toolkit.

    Args:
        prefix: The prefix.
        wanted: The toolkit.
        tree: Its tree, complete in the staging folder.
        directory_name: Its name below `cuda/`.

    Returns:
        What is to be published.
    """
    manifest = Manifest(
        wanted.target.name, content_digest(wanted.lock.wheels), files=tree.files, links=tree.links
    )
    write_new_file(tree.directory / MANIFEST_NAME, format_manifest(manifest))
    return Finished(wanted, tree.directory, prefix.toolkits / directory_name)


def publish(writer: WriterLock, generation: Generation, finished: Sequence[Finished]) -> None:
    """Give trees their final names.

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
            write_symlink(directory / item.wanted.target.name, f"../../cuda/{item.final.name}")
    write_environments(prefix, generation, sealed=False)
    fault_point("seal:listed")


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


def point_latest(writer: WriterLock, generations: Sequence[Generation]) -> str | None:
    """Let `latest` name the newest sealed generation of the active ones.

    Args:
        writer: The right to write to the prefix.
        generations: The active generations.

    Returns:
        Its name; None when none is sealed, and then `latest` stays as it was.

    Raises:
        PrefixInUseError: Another process may be the writer by now.
    """
    prefix = writer.prefix
    sealed = [generation for generation in generations if is_sealed(prefix, generation)]
    if not sealed:
        return None
    name = max(sealed, key=lambda generation: generation.id).directory_name
    if not prefix.latest.is_symlink() or str(prefix.latest.readlink()) != name:
        writer.check()
        write_symlink(prefix.latest, name)
        fault_point("seal:latest")
    return name
