"""The toolkits below `cuda/`, which generations share by symbolic links."""

from contextlib import suppress

from daemon.errors import DamageError
from daemon.prefix.line_file import has_digest
from daemon.prefix.manifest import MANIFEST_NAME, content_digest, read_manifest
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
        manifest = prefix.toolkits / name / MANIFEST_NAME
        if not manifest.exists():
            return name, False
        if read_manifest(manifest).content == content:
            return name, True
    raise DamageError(
        f"{prefix.toolkits / name}: has another content than its name says; `verify --repair` makes it anew, "
        "or removes it when no generation uses it"
    )


def toolkit_link(name: str) -> str:
    """Give what the link of a generation to a toolkit says, by the toolkit's name below `cuda`."""
    return f"../../cuda/{name}"


def toolkit_of_digest(prefix: Prefix, sha256: str) -> str | None:
    """Give the name below `cuda` of the toolkit whose manifest has a digest."""
    for manifest in sorted(prefix.toolkits.glob(f"*/{MANIFEST_NAME}")):
        with suppress(OSError):
            if has_digest(manifest, sha256):
                return manifest.parent.name
    return None
