"""Checks, before any download, that the stores and the staging folder are on one mount with hard links."""

import errno
import secrets
from pathlib import Path

from daemon.errors import DiskError
from daemon.host.durability import WRITER_SUFFIX
from daemon.prefix.prefix import Prefix

_OR_COPY = ", or, where it has none, give --copy, which needs the full size of each environment"


def check_stores(prefix: Prefix, *, copy: bool) -> None:
    """Make sure that files can be linked, or with `copy` renamed, between each store and the staging folder.

    uv would fall back to copying with no more than a warning, and nothing would be shared; and what is
    complete could not get its final name.

    Args:
        prefix: The prefix; its folders exist, that for staging among them.
        copy: Whether files are copied, so that uv's cache may be elsewhere.

    Raises:
        DiskError: They cannot; the message says why.
    """
    for store in (*stores(prefix), prefix.generations):
        if copy and store == prefix.uv_cache:
            continue
        check_links(store, prefix.staging, links=not copy)
        if store.is_symlink():  # on the same mount, and yet not there for who mounts the prefix alone
            raise DiskError(
                f"{store}: is a link to {store.readlink()}, which who mounts the prefix does not have; make "
                "it a folder, and give a prefix with more room with --prefix instead"
            )


def stores(prefix: Prefix) -> tuple[Path, ...]:
    """Return the folders of the prefix that all installs share."""
    return (
        prefix.uv_cache, prefix.uv_python, prefix.toolkits, prefix.bytecode, prefix.files, prefix.wheels,
    )  # fmt: skip


def check_links(store: Path, staging: Path, *, links: bool = True) -> None:
    """Make sure that a file of a store can get into the staging folder.

    Args:
        store: The store.
        staging: Where environments are made.
        links: Whether by a hard link; else by a rename.

    Raises:
        DiskError: It cannot; the message says why.
    """
    name = f".link.{secrets.token_hex(4)}{WRITER_SUFFIX}"
    source, target = store / name, staging / name
    try:
        source.write_bytes(b"")
        try:
            if links:
                target.hardlink_to(source)
            else:
                source.rename(target)
        except OSError as error:
            raise DiskError(
                f"{store} and {staging}: a file of the one cannot be {'linked' if links else 'moved'} into "
                f"the other: {_reason(error, links=links)}; put the prefix on one mount of a file system "
                f"with hard links{_OR_COPY if links else ''}"
            ) from error
    finally:
        source.unlink(missing_ok=True)
        target.unlink(missing_ok=True)


def _reason(error: OSError, *, links: bool) -> str:
    if error.errno == errno.EXDEV:
        what = "hard link" if links else "rename"
        return f"they are on different mounts, and a {what} does not cross a mount"
    if error.errno in {errno.EPERM, errno.ENOTSUP, errno.ENOSYS}:
        return "the file system has no hard links"
    return str(error.strerror)
