"""`tools:update` end to end: real uv, a real index on loopback, wheels made here."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from gens.generation import Environment
from gens.lock import format_lock
from tests.index.client import pip_command, pip_environment, uv_binary, uv_environment
from tests.index.server import LocalIndex
from tests.index.wheel import WheelSpec
from tests.update.workshop import (
    PYTHONS,
    Workshop,
    add_cu118,
    all_cells,
    binary,
    build_cell,
    cell,
    generation,
    inputs,
    make_workshop,
    plain,
)

pytest_plugins = ["tests.index.fixture"]


@pytest.fixture
def workshop(local_index: LocalIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    return make_workshop(local_index, tmp_path, monkeypatch)


def test_locks_name_the_one_wheel_that_each_target_uses(workshop: Workshop) -> None:
    workshop.define(generation(0, *all_cells()))
    result = workshop.update("--min-gen-id", "0")
    assert "g00000: 4 locks, 4 written, 0 removed" in result.output
    lock = workshop.lock(0, "python3.12-torch2.4.1-cu121")
    assert [wheel.filename for wheel in lock.wheels] == [
        "numpy-2.1.0-cp312-cp312-manylinux1_x86_64.whl",
        "nvidia_cuda_runtime_cu12-12.1.105-py3-none-any.whl",
        "pip-24.0-py3-none-any.whl",
        "torch-2.4.1-cp312-cp312-manylinux1_x86_64.whl",
    ]
    on_index = {path.name: path.stat().st_size for path in (workshop.locks.parent / "index").rglob("*.whl")}
    assert all(wheel.size_bytes == on_index[wheel.filename] for wheel in lock.wheels)


def test_no_lock_names_a_host_of_the_default_index(workshop: Workshop) -> None:
    workshop.define(generation(0, *all_cells()))
    workshop.update("--min-gen-id", "0")
    assert not [name for name, content in workshop.tree().items() if b"http" in content]


def test_what_was_uploaded_after_the_time_bound_does_not_exist(workshop: Workshop) -> None:
    workshop.define(generation(0, plain("3.11")))
    workshop.update("--min-gen-id", "0")
    assert workshop.versions(0, "python3.11") == {"pip": "24.0"}


def test_a_second_run_asks_the_index_nothing_and_writes_nothing(workshop: Workshop) -> None:
    workshop.define(generation(0, *all_cells()))
    workshop.update("--min-gen-id", "0")
    before, written = workshop.tree(), (workshop.locks / "gens.sum").stat().st_mtime_ns
    workshop.index.log.clear()
    assert "g00000: 4 locks, unchanged" in workshop.update("--min-gen-id", "0").output
    assert workshop.index.log.requests() == ()
    assert workshop.tree() == before
    assert (workshop.locks / "gens.sum").stat().st_mtime_ns == written


def test_locks_are_the_same_bytes_at_any_parallelism_and_in_any_order(workshop: Workshop) -> None:
    workshop.define(generation(0, *all_cells()))
    workshop.update("--min-gen-id", "0", "--jobs", "1")
    one_by_one = workshop.tree()
    for path in sorted(workshop.locks.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    workshop.define(replace(generation(0, *all_cells()), environments=tuple(reversed(all_cells()))))
    workshop.update("--min-gen-id", "0", "--jobs", "8")
    at_once = workshop.tree()
    # The order of the environments is a part of the definition, which gens.sum seals.
    assert one_by_one.pop("gens.sum") != at_once.pop("gens.sum")
    assert one_by_one == at_once


def test_an_index_of_its_own_serves_the_build_and_nothing_else(workshop: Workshop) -> None:
    url, torch = add_cu118(workshop.index)
    workshop.define(generation(0, build_cell("3.11", url)))
    workshop.update("--min-gen-id", "0")
    lock = workshop.lock(0, "python3.11-torch2.4.1-cu118")
    assert lock.extra_index_urls == (url,)
    assert {wheel.name: wheel.version for wheel in lock.wheels} == {
        "numpy": "2.1.0",
        "nvidia-cuda-runtime-cu11": "11.8.89",
        "pip": "24.0",
        "torch": "2.4.1+cu118",
    }
    (locked,) = [wheel for wheel in lock.wheels if wheel.name == "torch"]
    # That index states neither size nor upload time; a request for the file returns its size.
    assert (locked.sha256, locked.size_bytes, locked.filename) == (
        torch.sha256,
        torch.size_bytes,
        torch.filename,
    )


def test_uv_installs_a_lock_as_it_is(workshop: Workshop, tmp_path: Path) -> None:
    workshop.define(generation(0, cell("3.11")))
    workshop.update("--min-gen-id", "0")
    result = install(workshop, tmp_path, workshop.locks / "g00000" / "python3.11-torch2.4.1-cu121.txt")
    assert result.returncode == 0, result.stderr
    assert "torch==2.4.1" in result.stderr


def test_uv_installs_the_lock_of_a_build_whose_index_shadows_the_default_one(
    workshop: Workshop, tmp_path: Path
) -> None:
    url, _ = add_cu118(workshop.index)
    workshop.define(generation(0, build_cell("3.11", url)))
    workshop.update("--min-gen-id", "0")
    lock = workshop.locks / "g00000" / "python3.11-torch2.4.1-cu118.txt"
    result = install(workshop, tmp_path, lock, "--index-strategy=unsafe-best-match")
    assert result.returncode == 0, result.stderr
    assert "torch==2.4.1+cu118" in result.stderr
    assert "numpy==2.1.0" in result.stderr


def install(workshop: Workshop, folder: Path, lock: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = uv_environment(workshop.index, folder / "install")
    venv = folder / "venv"
    for command in (
        [uv_binary(), "venv", "--python", sys.executable, str(venv)],
        [
            uv_binary(),
            "pip",
            "install",
            "--python",
            str(venv),
            "--no-deps",
            "--require-hashes",
            "-r",
            str(lock),
        ],
    ):
        extra = options if "install" in command else ()
        result = subprocess.run(
            [*command, *extra], env=environment, capture_output=True, text=True, check=False
        )
    return result


def test_pip_accepts_locks_of_both_kinds_of_index(workshop: Workshop, tmp_path: Path) -> None:
    url, _ = add_cu118(workshop.index)
    workshop.define(generation(0, cell("3.11"), build_cell("3.11", url)))
    workshop.update("--min-gen-id", "0")
    for name in ("python3.11-torch2.4.1-cu121", "python3.11-torch2.4.1-cu118"):
        lock, folder = workshop.locks / "g00000" / f"{name}.txt", tmp_path / name
        command = [
            *pip_command(),
            "download",
            "--no-deps",
            "--require-hashes",
            "-r",
            str(lock),
            "-d",
            str(folder),
        ]
        environment = pip_environment(workshop.index, tmp_path)
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        wheels = workshop.lock(0, name).wheels
        assert {path.name for path in folder.iterdir()} == {wheel.filename for wheel in wheels}


def test_settings_of_the_machine_do_not_leak_into_locks(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _ = add_cu118(workshop.index)
    links = tmp_path / "links"
    links.mkdir()
    for path in (tmp_path / "index").rglob("numpy-9*.whl"):
        (links / path.name).write_bytes(path.read_bytes())
    assert list(links.iterdir())
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("numpy<2\n")
    workshop.define(generation(0, cell("3.11")))
    workshop.update("--min-gen-id", "0")
    before = workshop.tree()
    monkeypatch.setenv("UV_CONSTRAINT", str(constraints))
    monkeypatch.setenv("UV_INDEX", url)
    monkeypatch.setenv("UV_INDEX_STRATEGY", "unsafe-best-match")
    monkeypatch.setenv("UV_RESOLUTION", "lowest")
    monkeypatch.setenv("UV_FIND_LINKS", str(links))
    workshop.update("--min-gen-id", "0", "--refresh")
    assert workshop.tree() == before


def test_an_index_that_goes_down_in_the_middle_leaves_the_tree_as_it_was(workshop: Workshop) -> None:
    workshop.define(generation(0, plain("3.11")))
    workshop.update("--min-gen-id", "0")
    before = workshop.tree()
    workshop.define(generation(1, *all_cells()))
    workshop.index.go_down_after(6)
    result = workshop.update("--min-gen-id", "0", "--jobs", "1", exit_code=4)
    assert result.output.count("error: ") == result.output.count("error: an index failed") + 1
    assert "an index failed, and nothing was changed" in result.output
    assert workshop.tree() == before


def test_an_index_that_cannot_be_reached_is_one_clear_message(workshop: Workshop) -> None:
    workshop.define(generation(0, *all_cells()))
    with workshop.index.down():
        result = workshop.update("--min-gen-id", "0", exit_code=4)
    assert result.output.count("an index failed, and nothing was changed") == 1
    assert workshop.tree() == {}


def test_a_yanked_release_is_not_taken_unless_pinned(workshop: Workshop) -> None:
    workshop.index.add(WheelSpec("pip", "25.0"), yanked="breaks everything")
    workshop.index.add(WheelSpec("wheel", "0.45"), yanked="was a mistake")
    wanted = inputs("3.11", "pip", "wheel==0.45")
    workshop.define(generation(0, Environment("3.11", PYTHONS["3.11"], wanted)))
    result = workshop.update("--min-gen-id", "0")
    assert workshop.versions(0, "python3.11") == {"pip": "24.0", "wheel": "0.45"}
    assert "was a mistake" in result.output


def test_a_wheel_for_another_python_does_not_resolve_and_the_others_are_tried(workshop: Workshop) -> None:
    workshop.index.add(binary("extra", "1.0", "3.12"))
    bad = Environment("3.11", PYTHONS["3.11"], inputs("3.11", "extra"))
    workshop.define(generation(0, bad, plain("3.12")), generation(1, *all_cells()))
    result = workshop.update("--min-gen-id", "0", exit_code=4)
    assert "g00000 not written: 1 failed" in result.output
    assert "g00000/python3.11 does not resolve; uv says:" in result.output
    assert "No solution found" in result.output
    assert "extra" in result.output
    # The generation of the failure is not there in part; the other one is complete.
    assert not (workshop.locks / "g00000").exists()
    assert "g00001: 4 locks, 4 written" in result.output
    assert (workshop.locks / "gens.sum").read_text().count("g00001 ") > 4
    assert "g00000 " not in (workshop.locks / "gens.sum").read_text()


def test_each_cell_that_does_not_resolve_is_reported(workshop: Workshop) -> None:
    bad = [Environment(python, full, inputs(python, "absent-package")) for python, full in PYTHONS.items()]
    workshop.define(generation(0, *bad))
    output = workshop.update("--min-gen-id", "0", exit_code=4).output
    assert "g00000 not written: 2 failed" in output
    assert "g00000/python3.11 does not resolve" in output
    assert "g00000/python3.12 does not resolve" in output


def test_generations_that_share_a_resolution_ask_for_it_once(workshop: Workshop) -> None:
    workshop.define(generation(0, *all_cells()), generation(1, *all_cells()))
    output = workshop.update("--min-gen-id", "0").output
    assert "[4/4]" in output
    assert "g00000/python3.11, g00001/python3.11: 1 wheels" in output


def test_each_page_of_the_index_is_fetched_once_by_resolutions_that_follow_each_other(
    workshop: Workshop,
) -> None:
    workshop.define(generation(0, *all_cells()))
    workshop.update("--min-gen-id", "0", "--jobs", "1")
    pages = Counter(request.path for request in workshop.index.log.requests() if request.path.endswith("/"))
    assert set(pages.values()) == {1}


def test_a_machine_that_forbids_configuration_files_gets_the_same_locks(workshop: Workshop) -> None:
    url, _ = add_cu118(workshop.index)
    old_numpy = replace(inputs("3.12", "numpy"), constraints=("numpy<2",))
    cells = [*all_cells()[:3], Environment("3.12", PYTHONS["3.12"], old_numpy), build_cell("3.11", url)]
    workshop.define(generation(0, *(cells[:2] + cells[3:])))
    workshop.update("--min-gen-id", "0")
    before = workshop.tree()
    assert workshop.versions(0, "python3.12") == {"numpy": "1.26.4"}
    workshop.update("--min-gen-id", "0", "--refresh", with_configuration=False)
    assert workshop.tree() == before


def test_bounds_choose_the_generations(workshop: Workshop) -> None:
    workshop.define(*(generation(number, plain("3.11")) for number in range(4)))
    workshop.update("--min-gen-id", "1", "--max-gen-id", "2")
    assert sorted(path.name for path in workshop.locks.iterdir()) == ["g00001", "g00002", "gens.sum"]


def test_check_shows_what_would_change_and_changes_nothing(workshop: Workshop) -> None:
    workshop.define(generation(0, plain("3.11")))
    result = workshop.update("--min-gen-id", "0", "--check", exit_code=1)
    assert "+++ b/gens/g00000/python3.11.txt" in result.output
    assert "+pip==24.0 --hash=sha256:" in result.output
    assert workshop.tree() == {}
    workshop.update("--min-gen-id", "0")
    workshop.update("--min-gen-id", "0", "--check")


def test_check_reports_a_lock_that_no_target_has(workshop: Workshop) -> None:
    workshop.define(generation(0, plain("3.11")))
    workshop.update("--min-gen-id", "0")
    stray = workshop.locks / "g00000" / "python2.7.txt"
    stray.write_text("stray\n")
    assert (
        "a/gens/g00000/python2.7.txt" in workshop.update("--min-gen-id", "0", "--check", exit_code=1).output
    )
    assert "0 written, 1 removed" in workshop.update("--min-gen-id", "0").output
    assert not stray.exists()


def test_a_hand_edited_lock_of_a_sealed_generation_is_found_and_restored(workshop: Workshop) -> None:
    workshop.define(generation(0, cell("3.11")))
    workshop.update("--min-gen-id", "0")
    before = workshop.tree()
    lock = workshop.lock(0, "python3.11-torch2.4.1-cu121")
    edited = replace(lock, wheels=(replace(lock.wheels[0], sha256="0" * 64), *lock.wheels[1:]))
    (workshop.locks / "g00000" / "python3.11-torch2.4.1-cu121.txt").write_text(format_lock(edited))
    result = workshop.update("--min-gen-id", "0", "--check", exit_code=1)
    assert f"-numpy==2.1.0 --hash=sha256:{'0' * 64}" in result.output
    workshop.update("--min-gen-id", "0")
    assert workshop.tree() == before


def test_a_changed_definition_of_a_sealed_generation_is_an_error_with_the_difference(
    workshop: Workshop,
) -> None:
    workshop.define(generation(0, plain("3.11")))
    workshop.update("--min-gen-id", "0")
    before = workshop.tree()
    wanted = inputs("3.11", "pip", "numpy")
    workshop.define(generation(0, Environment("3.11", PYTHONS["3.11"], wanted)))
    result = workshop.update("--min-gen-id", "0", exit_code=3)
    assert "generation 0 is sealed in gens.sum and would change" in result.output
    assert "gens/prod.bzl: generation 0: environments is sealed with" in result.output
    assert "gens/g00000/python3.11.txt is sealed with" in result.output
    assert "+numpy==2.1.0 --hash" in result.output
    assert workshop.tree() == before


def test_an_index_that_changed_since_is_an_error_with_the_difference_on_refresh(workshop: Workshop) -> None:
    workshop.define(generation(0, plain("3.11")))
    workshop.update("--min-gen-id", "0")
    before = workshop.tree()
    workshop.update("--min-gen-id", "0", "--refresh")
    assert workshop.tree() == before
    workshop.index.add(WheelSpec("pip", "26.0"), upload_time="2026-10-31T00:00:00Z")
    result = workshop.update("--min-gen-id", "0", "--refresh", exit_code=3)
    assert "-pip==24.0" in result.output
    assert "+pip==26.0" in result.output
    assert workshop.tree() == before


def test_a_reopened_generation_is_written_and_sealed_anew(workshop: Workshop) -> None:
    workshop.define(generation(0, plain("3.11")))
    workshop.update("--min-gen-id", "0")
    wanted = inputs("3.11", "pip", "numpy")
    workshop.define(generation(0, Environment("3.11", PYTHONS["3.11"], wanted)))
    before = workshop.tree()
    with workshop.index.down():
        workshop.update("--min-gen-id", "0", "--reopen", "0", exit_code=4)
    assert workshop.tree() == before
    workshop.update("--min-gen-id", "0", "--reopen", "0")
    assert workshop.versions(0, "python3.11") == {"numpy": "2.1.0", "pip": "24.0"}
    workshop.update("--min-gen-id", "0", "--check")


def test_a_table_that_promises_another_cuda_is_named(workshop: Workshop) -> None:
    workshop.define(generation(0, cell("3.11", "cu124", "12.4")))
    output = workshop.update("--min-gen-id", "0", exit_code=4).output
    assert (
        "g00000/python3.11-torch2.4.1-cu124: the table says CUDA 12.4, the index gave nvidia-cuda-runti"
        in output
    )
    assert "gens/releases.json" in output
    assert workshop.tree() == {}


def test_a_table_that_leaves_out_what_the_index_serves_is_named(workshop: Workshop) -> None:
    absence = replace(inputs("3.12", "torch==2.4.1"), no_deps=True)
    workshop.define(generation(0, plain("3.12"), absences=(absence,)))
    output = workshop.update("--min-gen-id", "0", exit_code=4).output
    assert (
        "gens/releases.json says there is no torch==2.4.1 for Python 3.12.7, the index gave torch-2.4.1-cp312"
        in output
    )
    assert workshop.tree() == {}


def test_a_python_that_uv_cannot_install_is_refused_with_those_it_can(workshop: Workshop) -> None:
    wanted = replace(inputs("3.11", "pip"), python="3.11.99")
    workshop.define(generation(0, Environment("3.11", "3.11.99", wanted)))
    output = workshop.update("--min-gen-id", "0", exit_code=3).output
    assert "cannot install 3.11.99; allowed: 3.11.1, " in output


def test_an_unknown_generation_is_refused_with_those_there_are(workshop: Workshop) -> None:
    workshop.define(generation(0, plain("3.11")))
    output = workshop.update("--min-gen-id", "7", exit_code=3).output
    assert "no generation has an ID from 7 to any; there are 0" in output


def test_malformed_sums_are_refused_with_file_and_line(workshop: Workshop) -> None:
    workshop.define(generation(0, plain("3.11")))
    (workshop.locks / "gens.sum").write_text("g00000 what\n")
    output = workshop.update("--min-gen-id", "0", exit_code=3).output
    assert f"{workshop.locks / 'gens.sum'}:1: expected" in output
