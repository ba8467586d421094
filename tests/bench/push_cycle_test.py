from pathlib import Path

from tests.bench.push_cycle import Push, stored_bytes


def test_what_a_registry_keeps_is_the_sum_of_its_blobs_without_its_links(tmp_path: Path) -> None:
    data = tmp_path / "data" / "docker" / "registry" / "v2"
    for path, size_bytes in (
        ("blobs/sha256/ab/abcd/data", 100),
        ("blobs/sha256/cd/cdef/data", 20),
        ("repositories/monobase/daemon/_layers/sha256/abcd/link", 71),
    ):
        (data / path).parent.mkdir(parents=True)
        (data / path).write_bytes(bytes(size_bytes))
    assert stored_bytes(tmp_path) == 120
    assert stored_bytes(tmp_path / "empty") == 0


def test_the_way_from_a_change_to_the_registry_is_building_and_pushing() -> None:
    assert Push(1.5, 2.0, 10).total_s == 3.5
