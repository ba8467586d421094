"""Compares a sealed generation with its mark: its manifests and its list are the ones of its sealing."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from daemon.errors import DamageError, NewerFormatError
from daemon.host.plain_file import read_plain_file
from daemon.prefix.finding import Finding
from daemon.prefix.manifest import MANIFEST_NAME
from daemon.prefix.manifest_memory import Digests, ManifestMemory, manifest_digests
from daemon.prefix.mark import Mark, read_mark
from daemon.prefix.prefix import ENVIRONMENTS_NAME, MARK_NAME, Prefix
from daemon.prefix.tree_label import generation_label

_TRIES = 5


def check_mark(
    prefix: Prefix, name: str, findings: list[Finding], memory: ManifestMemory | None = None
) -> Mark | None:
    """Check that the manifests of a sealed generation are the ones of its sealing.

    Args:
        prefix: The prefix.
        name: Name of the generation.
        findings: Where differences are added.
        memory: The manifests that were read and need not be read again; None to read each.

    Returns:
        Its mark; None when there is none that can be read.
    """
    for _ in range(_TRIES):
        identity = _identity(prefix.sealed_mark(name))
        found: list[Finding] = []
        mark = _check_mark(prefix, name, found, manifest_digests if memory is None else memory.digests)
        # An eviction replaces the mark before it changes anything that the mark digests.
        if _identity(prefix.sealed_mark(name)) == identity:
            break
    findings += found
    return mark


def _check_mark(
    prefix: Prefix, name: str, findings: list[Finding], digests: Callable[[str], Digests]
) -> Mark | None:
    directory = prefix.generation(name)
    tree = generation_label(name)
    try:
        mark = read_mark(prefix.sealed_mark(name))
    except NewerFormatError as error:
        findings.append(Finding(tree, MARK_NAME, "newer", str(error)))
        return None
    except DamageError as error:
        findings.append(Finding(tree, MARK_NAME, "unreadable", str(error)))
        return None
    if mark is None:
        if os.path.lexists(prefix.sealed_mark(name)):
            findings.append(Finding(tree, MARK_NAME, "unreadable", "a broken link"))
        return None

    def has(file: str, digest: str) -> bool:
        return digest in digests(file)

    for target, digest in mark.manifests.items():
        path = f"{target}/{MANIFEST_NAME}"
        try:
            _compare(f"{directory}/{path}", digest, tree, path, findings, has)
        except NewerFormatError as error:
            findings.append(Finding(tree, path, "newer", str(error)))
    if not mark.is_open:
        listed = prefix.environments_file(name)
        _compare(str(listed), mark.environments, tree, ENVIRONMENTS_NAME, findings, _has_sha256)
    return mark


def has_sealed_list(prefix: Prefix, name: str) -> bool:
    """Return whether the list of a generation is the one of its sealing, or nothing was sealed.

    Raises:
        DamageError: Its mark is damaged.
        NewerFormatError: A newer release has written the mark.
        OSError: The list cannot be read.
    """
    mark = read_mark(prefix.sealed_mark(name))
    return mark is None or _has_sha256(str(prefix.environments_file(name)), mark.environments)


def _compare(
    path: str,
    digest: str,
    tree: str,
    name: str,
    findings: list[Finding],
    has: Callable[[str, str], bool],
) -> None:
    try:
        sound = has(path, digest)
    except (FileNotFoundError, NotADirectoryError):
        findings.append(Finding(tree, name, "missing"))
    except OSError as error:
        findings.append(Finding(tree, name, "unreadable", str(error.strerror)))
    else:
        if not sound:
            findings.append(Finding(tree, name, "changed", f"does not have sha256:{digest}"))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _has_sha256(path: str, sha256: str) -> bool:
    return hashlib.sha256(read_plain_file(Path(path))).hexdigest() == sha256
