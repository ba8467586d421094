"""Folders that a model writes to: HOME, caches, temporary files, shared memory; and the room there."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from .finding import Finding

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (where the kernel has it)
_LOW_BYTES = 1 << 30
_LOW_SHARED_BYTES = 1 << 30
_MOUNT = (
    "Mount a volume (Kubernetes: an emptyDir) at /tmp, or give HOME a folder that this user can write to."
)
# By what it holds: the variable that names the folder, and the folder without that variable.
_CACHES = {
    "caches": ("XDG_CACHE_HOME", "{home}/.cache"),
    "cache of Triton": ("TRITON_CACHE_DIR", "{home}/.triton/cache"),
    "cache of Torch": ("TORCH_EXTENSIONS_DIR", "{cache}/torch_extensions"),
    "cache of CUDA": ("CUDA_CACHE_PATH", "{home}/.nv/ComputeCache"),
    "cache of HF": ("HF_HOME", "{cache}/huggingface"),
}


def check_folders(variables: Mapping[str, str], shared_memory: Path = _SHARED_MEMORY) -> Iterator[Finding]:
    """Look at the folders that a model writes to.

    Args:
        variables: The variables after the activation.
        shared_memory: Where shared memory is mounted.

    Yields:
        A finding for each.
    """
    home = variables.get("HOME", "")
    if home:
        yield _check("home", Path(home), executes=False)
    else:
        yield Finding("home", "warning", "HOME is not set, so caches have no folder", (_MOUNT,))
    cache = variables.get("XDG_CACHE_HOME") or f"{home}/.cache"
    for name, (variable, default) in _CACHES.items():
        folder = variables.get(variable) or (default.format(home=home, cache=cache) if home else "")
        if folder:
            yield _check(name, Path(folder), executes=True)
    yield _check("temporary files", Path(variables.get("TMPDIR") or tempfile.gettempdir()), executes=True)
    yield _check_shared_memory(shared_memory)


def _check(subject: str, folder: Path, *, executes: bool) -> Finding:
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Finding(subject, "warning", f"{folder} cannot be written to by uid {os.geteuid()}", (_MOUNT,))
    status = os.statvfs(existing)
    if status.f_flag & os.ST_RDONLY:
        return Finding(subject, "warning", f"{folder} is mounted read-only", (_MOUNT,))
    if executes and status.f_flag & os.ST_NOEXEC:
        return Finding(
            subject, "warning", f"{folder} is mounted noexec: what is built there cannot be loaded", (_MOUNT,)
        )
    free = status.f_bavail * status.f_frsize
    found = f"{folder}, {_size(free)} free"
    if free < _LOW_BYTES or (status.f_files and status.f_favail < 1000):
        return Finding(
            subject,
            "warning",
            f"{found}, {status.f_favail} inodes",
            ("Make room, or mount a larger volume.",),
        )
    return Finding(subject, "ok", found)


def _check_shared_memory(folder: Path) -> Finding:
    try:
        status = os.statvfs(folder)
    except OSError as error:
        return Finding("shared memory", "warning", f"{folder}: {error.strerror}", (_SHARED,))
    size = status.f_blocks * status.f_frsize
    if size < _LOW_SHARED_BYTES:
        found = f"{folder} has {_size(size)}: data loaders and NCCL end with a bus error when it is full"
        return Finding("shared memory", "warning", found, (_SHARED,))
    return Finding("shared memory", "ok", f"{folder}, {_size(size)}")


_SHARED = "Kubernetes: an emptyDir of medium Memory at /dev/shm; podman: --shm-size=8g, or --ipc=host."


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
