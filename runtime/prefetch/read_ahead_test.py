"""Reading ahead: what a list names gets into the page cache, and nothing that is wrong does any harm."""

import ctypes
import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.prefetch import read_ahead
from runtime.prefetch.read_ahead import free_bytes, main, read_list

_PROGRAM = Path(read_ahead.__file__)


def put(root: Path, *lines: str, end: str = "end x\n") -> Path:
    path = root / "monobase" / ".prefetch" / "g00003" / "python3.11"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in ("monobase-prefetch 1", *lines)) + end)
    return path


def data(root: Path, size_bytes: int) -> Path:
    path = root / "library.so"
    with path.open("wb") as stream:
        stream.write(os.urandom(size_bytes))
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return path


def resident(path: Path) -> list[bool]:
    """Return for each page of a file whether it is in the page cache (mincore(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    size = path.stat().st_size
    with path.open("r+b") as stream, mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_WRITE) as mapped:
        pages = (size + mmap.PAGESIZE - 1) // mmap.PAGESIZE
        states = (ctypes.c_ubyte * pages)()
        view = (ctypes.c_char * size).from_buffer(mapped)
        result = libc.mincore(ctypes.byref(view), ctypes.c_size_t(size), states)
        del view
    assert result == 0
    return [bool(state & 1) for state in states]


def test_the_parts_that_a_list_names_are_in_the_page_cache_afterwards(tmp_path: Path) -> None:
    library = data(tmp_path, 16 << 20)
    if any(resident(library)):
        pytest.skip("this file system keeps pages whatever is asked")
    parts = [(0, 100), (3 << 20, 4096), (6 << 20, 3 << 20)]
    ranges = ",".join(f"{offset}:{length}" for offset, length in parts)
    main(str(put(tmp_path, "bytes 1", f"file {ranges} library.so", "file 0:9 missing.so")))
    found = resident(library)
    for offset, length in parts:
        assert all(found[offset // mmap.PAGESIZE : (offset + length) // mmap.PAGESIZE])
    assert not all(found)


@pytest.mark.parametrize(
    "lines",
    [
        ("file 0:5 /etc/passwd",),
        ("file 0:5 ../other",),
        ("file 0:5 a/../../other",),
    ],
)
def test_a_list_that_leads_out_of_the_prefix_is_not_used(tmp_path: Path, lines: tuple[str, ...]) -> None:
    assert read_list(str(put(tmp_path, *lines))) == []


def test_a_list_that_is_cut_off_or_newer_is_not_used(tmp_path: Path) -> None:
    line = "file 0:5 library.so"
    assert read_list(str(put(tmp_path, line))) == [("library.so", [(0, 5)])]
    assert read_list(str(put(tmp_path, line, end=""))) == []
    path = put(tmp_path, line)
    path.write_text(path.read_text().replace("prefetch 1", "prefetch 2"))
    assert read_list(str(path)) == []
    path.write_text("")
    assert read_list(str(path)) == []


@pytest.mark.parametrize(
    "line",
    ["file", "file 0:5", "file x:y library.so", "file 0 library.so", "file 0:9:1 a", "file -5:1 library.so"],
)
def test_a_malformed_list_ends_the_program_without_a_word(tmp_path: Path, line: str) -> None:
    data(tmp_path, 4096)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", str(_PROGRAM), str(put(tmp_path, line))],
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_list_that_is_not_there_ends_the_program_without_a_word() -> None:
    command = [sys.executable, "-I", "-S", "-B", str(_PROGRAM), "/nowhere/list"]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_with_too_little_memory_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    monkeypatch.setattr(read_ahead, "read_ahead", lambda root, files: read.append((root, files)))
    path = str(put(tmp_path, "file 0:60,100:40 library.so"))
    monkeypatch.setattr(read_ahead, "free_bytes", lambda: 199)
    main(path)
    assert read == []
    monkeypatch.setattr(read_ahead, "free_bytes", lambda: 200)
    main(path)
    assert read == [(str(tmp_path), [("library.so", [(0, 60), (100, 40)])])]


def machine(root: Path, groups: str, limits: dict[str, tuple[str, int, int]]) -> int:
    texts = {"proc/meminfo": "MemTotal: 9 kB\nMemAvailable:    8000 kB\n", "proc/self/cgroup": groups}
    for folder, (limit, usage, cache) in limits.items():
        first = folder.startswith("memory")
        names = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes") if first else ("memory.max", "memory.current")
        )
        texts[f"sys/fs/cgroup/{folder}/{names[0]}"] = limit
        texts[f"sys/fs/cgroup/{folder}/{names[1]}"] = str(usage)
        field = "total_inactive_file" if first else "inactive_file"
        texts[f"sys/fs/cgroup/{folder}/memory.stat"] = f"anon 1\n{field} {cache}\n"
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return free_bytes(f"{root}/")


def test_what_is_free_is_the_least_of_the_machine_and_the_control_groups(tmp_path: Path) -> None:
    assert machine(tmp_path / "none", "0::/\n", {}) == 8_192_000
    assert machine(tmp_path / "no limit", "0::/pod\n", {"pod": ("max", 5, 0)}) == 8_192_000
    assert machine(tmp_path / "limit", "0::/pod/one\n", {"pod/one": ("900", 300, 50)}) == 650
    assert (
        machine(tmp_path / "above", "0::/pod/one\n", {"pod": ("900", 300, 0), "pod/one": ("max", 1, 0)})
        == 600
    )
    assert machine(tmp_path / "container", "0::/elsewhere\n", {"": ("900", 100, 0)}) == 800
    assert machine(tmp_path / "first", "9:cpu:/\n4:memory:/pod\n", {"memory/pod": ("700", 100, 9)}) == 609
    assert machine(tmp_path / "over", "0::/\n", {"": ("1", 100, 9)}) == 0
