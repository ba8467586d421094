"""Stage 6, seal: writes the manifests of complete trees.

The store then publishes and seals them (`daemon/prefix/publication.py`).
"""

from dataclasses import dataclass

from daemon.install.linked_tree import LinkedTree
from daemon.install.toolkit import ToolkitTree
from daemon.install.wanted import Wanted
from daemon.prefix.bytecode_list import bytecode_list_path
from daemon.prefix.inventory import inventory_path
from daemon.prefix.line_file import text_digest
from daemon.prefix.manifest import (
    BytecodePart,
    Manifest,
    WheelPart,
    content_digest,
    write_manifest,
)
from daemon.prefix.prefix import Prefix
from daemon.prefix.publication import CompleteTree


@dataclass(frozen=True, slots=True)
class Finished:
    """A complete tree.

    Attributes:
        wanted: The environment or toolkit.
        tree: Its folder, and its final name.
    """

    wanted: Wanted
    tree: CompleteTree


def finish_environment(prefix: Prefix, tree: LinkedTree) -> Finished:
    """Write the manifest of an environment.

    Args:
        prefix: The prefix.
        tree: The environment, complete in the staging folder.

    Returns:
        The tree, ready to be published.
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
    write_manifest(tree.directory, manifest)
    final = prefix.target(tree.wanted.generation.directory_name, tree.wanted.target.name)
    return Finished(tree.wanted, CompleteTree(tree.wanted.target.name, tree.directory, final))


def finish_toolkit(prefix: Prefix, wanted: Wanted, tree: ToolkitTree, directory_name: str) -> Finished:
    """Write the manifest of a toolkit.

    Args:
        prefix: The prefix.
        wanted: The toolkit.
        tree: Its tree, complete in the staging folder.
        directory_name: Its name below `cuda/`.

    Returns:
        The tree, ready to be published.
    """
    manifest = Manifest(
        wanted.target.name, content_digest(wanted.lock.wheels), files=tree.files, links=tree.links
    )
    write_manifest(tree.directory, manifest)
    complete = CompleteTree(wanted.target.name, tree.directory, prefix.toolkit(directory_name))
    return Finished(wanted, complete)
