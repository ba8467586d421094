"""uv's own locks in the prefix (flock(2)): a model that can read their files could hold them, and so stop uv.

They guard uv from another uv. Here the writer's lock does: no two of ours bring the same wheel. uv finds the
locks of its cache and of its interpreters by a link to a descriptor that it inherits: what that leads to in
the process of a model is nothing of ours. The other ones (of a wheel, of an environment that is made) are new
for each call, as what was left is removed; somebody who gets one in the moment between its making and its
locking costs the call a short wait, after which it is made again.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from daemon.host.modes import make_folder
from daemon.host.system_error import is_full_disk
from daemon.prefix.prefix import Prefix

TIMEOUT_S = 5
TRIES = 20
_TIMED_OUT = re.compile(r"Timeout \([0-9.]+s\) when waiting for lock")


@contextmanager
def private_uv_locks(prefix: Prefix) -> Iterator[tuple[int, ...]]:
    """Keep the locks of uv's cache and of its interpreters in memory while the block lasts.

    Args:
        prefix: The prefix, of which this process is the one writer.

    Yields:
        Descriptors that each uv must inherit.
    """
    paths = (prefix.uv_cache / ".lock", prefix.uv_python / ".lock")
    descriptors = tuple(os.memfd_create(f"lock of uv's {path.parent.name}") for path in paths)
    try:
        for path, descriptor in zip(paths, descriptors, strict=True):
            make_folder(path.parent)
            path.unlink(missing_ok=True)
            try:
                path.symlink_to(f"/proc/self/fd/{descriptor}")
            except OSError as error:
                # Without an inode, no uv could make its lock either; who makes room must not be kept from it.
                if not is_full_disk(error):
                    raise
        yield descriptors
    finally:
        for path, descriptor in zip(paths, descriptors, strict=True):
            with suppress(OSError):  # nobody else needs it
                path.unlink()
            os.close(descriptor)


def share_private_lock(prefix: Prefix, cache: Path) -> None:
    """Link the lock of another cache, in the staging folder, to that of uv's cache, which is in memory.

    Without it, a model that is quick could get each new lock of that cache, and hold up every try.

    Args:
        prefix: The prefix; without a block of `private_uv_locks`, nothing is done.
        cache: The folder of the cache, made if it does not exist.
    """
    lock = prefix.uv_cache / ".lock"
    if lock.is_symlink():
        make_folder(cache)
        (cache / ".lock").symlink_to(lock.readlink())


def remove_uv_locks(prefix: Prefix, cache: Path, target: Path | None = None) -> None:
    """Remove the files of fixed names that uv would open again: those of wheels and of environments.

    What a model holds of them, it would hold in every try: uv opens a lock that is there, and a file
    that each uv opens for writing (`.git`), where a lease (`F_SETLEASE`) would keep it waiting for 45 s.

    Args:
        prefix: The prefix, whose staging folder has the environments.
        cache: The cache of the call: that of the prefix, or one of its own.
        target: The folder that the call installs into, if it is no environment of the staging folder.
    """
    environments = [*prefix.staging.glob("*/.lock"), *([] if target is None else [target / ".lock"])]
    for path in (*environments, *cache.glob("sdists-v*/.git")):
        path.unlink(missing_ok=True)
    for bucket in cache.glob("wheels-v*"):
        for directory, _, names in os.walk(bucket):  # links to archives are not followed
            for name in names:
                if name.endswith(".lock"):
                    Path(directory, name).unlink(missing_ok=True)


def waited_for_a_lock(said: str) -> bool:
    """Return whether uv's message says that it gave up on one of its locks."""
    return _TIMED_OUT.search(said) is not None
