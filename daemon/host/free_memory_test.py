"""Free memory: the least that the machine and each control group leave over."""

from pathlib import Path

import pytest

from daemon.host.free_memory import free_memory_bytes


def machine(root: Path, groups: str, files: dict[str, str], available_kb: int = 8000) -> int:
    files = {"proc/meminfo": f"MemTotal: 9000 kB\nMemAvailable:    {available_kb} kB\n"} | files
    for name, text in ({"proc/self/cgroup": groups} | files).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return free_memory_bytes(root)


def test_without_groups_the_machine_decides(tmp_path: Path) -> None:
    assert machine(tmp_path, "", {}) == 8_192_000


def test_a_limit_of_the_group_or_of_one_above_decides(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/pod/one/memory.max": "max\n",
        "sys/fs/cgroup/pod/one/memory.current": "10\n",
        "sys/fs/cgroup/pod/one/memory.stat": "anon 9\ninactive_file 5\n",
        "sys/fs/cgroup/pod/memory.max": "5000\n",
        "sys/fs/cgroup/pod/memory.current": "3000\n",
        "sys/fs/cgroup/pod/memory.stat": "anon 9\ninactive_file 700\n",
    }
    assert machine(tmp_path, "0::/pod/one\n", files) == 2700


def test_in_a_container_the_group_is_the_top_folder(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/memory.max": "5000\n",
        "sys/fs/cgroup/memory.current": "3000\n",
        "sys/fs/cgroup/memory.stat": "inactive_file 0\n",
    }
    assert machine(tmp_path, "0::/kubepods/pod\n", files) == 2000


def test_groups_of_the_first_version_count_too(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/memory/pod/memory.limit_in_bytes": "6000\n",
        "sys/fs/cgroup/memory/pod/memory.usage_in_bytes": "3000\n",
        "sys/fs/cgroup/memory/pod/memory.stat": "total_inactive_file 1\n",
    }
    assert machine(tmp_path, "8:cpu:/\n4:memory,x:/pod\n0::/\n", files) == 3001


@pytest.mark.parametrize("text", ["", "MemAvailable: many kB\n"])
def test_a_machine_that_does_not_tell_has_none(tmp_path: Path, text: str) -> None:
    assert machine(tmp_path, "", {"proc/meminfo": text}) == 0


def test_a_group_over_its_limit_has_none(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/memory.max": "10\n",
        "sys/fs/cgroup/memory.current": "30\n",
        "sys/fs/cgroup/memory.stat": "inactive_file 0\n",
    }
    assert machine(tmp_path, "0::/\n", files) == 0


def test_this_machine_has_some() -> None:
    assert free_memory_bytes() > 1_000_000
