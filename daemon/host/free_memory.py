"""The memory that this process could take before the kernel takes it from others."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_ROOT = Path("/")


def free_memory_bytes(root: Path = _ROOT) -> int:
    """Return the bytes that the machine and the control groups of this process leave over.

    The pages of files that nobody has used lately count as free, as the kernel gives them up first.

    Args:
        root: The root folder, for tests.

    Returns:
        The least of them; 0 if the machine does not tell.
    """
    try:
        machine = _field(root / "proc/meminfo", "MemAvailable:") * 1024
    except (OSError, ValueError):
        return 0
    return max(0, min([machine, *_groups(root)]))


def _groups(root: Path) -> Iterator[int]:
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield from _above(root / "sys/fs/cgroup", path, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            yield from _above(
                root / "sys/fs/cgroup/memory", path, "memory.limit_in_bytes", "memory.usage_in_bytes",
                "total_inactive_file",
            )  # fmt: skip


def _above(top: Path, path: str, limit: str, usage: str, cache: str) -> Iterator[int]:
    """Yield what a group and those above it leave over. In a container, the group may be the top folder."""
    group = top / path.strip("/")
    for folder in [group, *group.parents]:
        if top != folder and top not in folder.parents:
            return
        with suppress(OSError, ValueError):  # no limit is written as `max`
            left = int((folder / limit).read_text()) - int((folder / usage).read_text())
            yield left + _field(folder / "memory.stat", cache)


def _field(path: Path, name: str) -> int:
    for line in path.read_text().splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value.split()[0])
    raise ValueError(f"{path} has no {name}")
