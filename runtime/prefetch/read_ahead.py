"""Reads ahead what the import of an environment reads, beside the model that starts: `read_ahead.py LIST`.

`activation/prefetch.sh` starts it in the background with the environment's Python, without `site`. It brings
the parts that a list of the daemon names into the page cache, in their order, and prints nothing. Whatever is
wrong (a damaged or newer list, too little memory, a file that has gone) makes it end: the model then reads
for itself. The format of the list: `daemon/prefix/prefetch_list.py`.
"""

# ruff: noqa: PTH123, SIM105 (pathlib and contextlib are files that a model might not read)
import _thread
import os
import sys
import time

FIRST_LINE = "monobase-prefetch 1\n"
_THREADS = 8  # small files are waited for one by one: as many at once as a disk of a cloud serves
_STEP_BYTES = 1 << 20
_CALL_BYTES = 128 * 1024  # of one call, the kernel reads no more than the disk's read_ahead_kb
_LONGEST_S = 120.0
_SHARE = 2  # at most half of what is free is filled

if sys.version_info < (3, 9):  # noqa: UP036 (nothing is said to a model that starts)
    sys.exit(0)


def read_list(path: str) -> "list[tuple[str, list[tuple[int, int]]]]":
    """Return the files of a list, with offset and length of each part; none if it is damaged or newer."""
    with open(path, encoding="utf-8") as stream:
        lines = list(stream)
    if len(lines) < 2 or lines[0] != FIRST_LINE or not lines[-1].startswith("end "):
        return []
    files = []
    for line in lines:
        if line.startswith("file "):
            _, ranges, name = line.rstrip("\n").split(" ", 2)
            if name.startswith("/") or ".." in name.split("/"):
                return []
            pairs = [item.split(":") for item in ranges.split(",")]
            files.append((name, [(int(offset), int(length)) for offset, length in pairs]))
    return files


def free_bytes(root: str = "/") -> int:
    """Return the bytes that the machine and the control groups of this process leave over; 0 if unknown."""
    found = [_field(f"{root}proc/meminfo", "MemAvailable:") * 1024]
    with open(f"{root}proc/self/cgroup", encoding="utf-8") as stream:
        groups = [line.rstrip("\n").split(":", 2) for line in stream]
    for _, controllers, path in groups:
        if controllers == "":
            names = ("", "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            names = ("/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        # In a container, the group may be the top folder, whatever its path is.
        parts = path.strip("/").split("/")
        for count in range(len(parts) + 1):
            folder = "/".join([f"{root}sys/fs/cgroup{names[0]}", *parts[:count]])
            try:
                left = _number(f"{folder}/{names[1]}") - _number(f"{folder}/{names[2]}")
                found.append(left + _field(f"{folder}/memory.stat", names[3]))
            except (OSError, ValueError):  # no such group, or no limit, which is written as `max`
                pass
    return max(0, min(found))


def _number(path: str) -> int:
    with open(path, encoding="utf-8") as stream:
        return int(stream.read())


def _field(path: str, name: str) -> int:
    with open(path, encoding="utf-8") as stream:
        for line in stream:
            if line.startswith(f"{name} "):
                return int(line.split()[1])
    raise ValueError(f"{path} has no {name}")


def read_part(descriptor: int, offset: int, length: int) -> None:
    """Bring a part of a file into the page cache; return when it is there, so that little waits at once."""
    end = offset + length
    while offset < end:
        stop = min(offset + _STEP_BYTES, end)
        for begin in range(offset, stop, _CALL_BYTES):
            os.posix_fadvise(descriptor, begin, min(_CALL_BYTES, stop - begin), os.POSIX_FADV_WILLNEED)
        # The last byte comes with the last page: nothing is copied.
        if not os.pread(descriptor, 1, stop - 1):
            return
        offset = stop


def read_ahead(root: str, files: "list[tuple[str, list[tuple[int, int]]]]") -> None:
    """Read files in their order, several at once; return when all are read, or after two minutes."""
    remaining, lock, end_s = iter(files), _thread.allocate_lock(), time.monotonic() + _LONGEST_S
    running = []

    def work(done: "_thread.LockType") -> None:
        try:
            while time.monotonic() < end_s:
                with lock:
                    item = next(remaining, None)
                if item is None:
                    return
                _read_file(root, *item)
        finally:
            done.release()

    for _ in range(_THREADS):
        done = _thread.allocate_lock()
        done.acquire()
        running.append(done)
        _thread.start_new_thread(work, (done,))
    for done in running:
        done.acquire(timeout=max(0.0, end_s - time.monotonic()))


def _read_file(root: str, name: str, ranges: "list[tuple[int, int]]") -> None:
    try:
        descriptor = os.open(f"{root}/{name}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        for offset, length in ranges:
            read_part(descriptor, offset, length)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def main(path: str) -> None:
    """Read ahead what a list names, if there is memory for it."""
    files = read_list(path)
    total = sum(length for _, ranges in files for _, length in ranges)
    if files and total * _SHARE <= free_bytes():
        read_ahead(path.rsplit("/", 4)[0], files)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (OSError, ValueError, IndexError, RuntimeError):
        pass  # the model reads for itself
    os._exit(0)
