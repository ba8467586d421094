"""Pruning, and cleaning uv's cache, against a real prefix."""

import fcntl
import gzip
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from daemon.prefix.prefix import Prefix
from daemon.uv.program import find_uv
from runtime.shells import EXEC, SYSTEM_PATH, read_only
from tests.node.node import SITE, Node
from tests.service.small_disk import small_disk
from tests.synthetic.catalog import PYTHON, Cell, cells, environment_cell, toolkit_cell

pytest_plugins = ["tests.service.fixture"]


_IMPORTS = """
import importlib, select, shared, sys
count = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    importlib.reload(shared)
    count += 1
    if count == 1:
        print("begun", flush=True)
print(shared.NAME, count)
"""


def _three_generations(node: Node) -> dict[int, list[Cell]]:
    shared = node.wheel("shared", size_bytes=4_000_000)
    generations = {}
    for number in range(3):
        own = node.wheel("own", f"{number}.0", size_bytes=3_000_000)
        cublas = node.wheel(
            "nvidia-cublas-cu12", f"12.4.{number}.8",
            files={"nvidia/cublas/lib/libcublas.so.12": os.urandom(300_000)},
        )  # fmt: skip
        generations[number] = [
            environment_cell([shared, own]),
            environment_cell([shared, own, cublas], torch="2.4.1", build="cu124"),
            toolkit_cell([cublas], f"12.4.{number}"),
        ]
    return generations


def _last(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stderr.splitlines()[-1])
    return found


def _files_without_another_name(prefix: Prefix) -> list[str]:
    return [path.name for path in prefix.files.rglob("*") if path.is_file() and path.stat().st_nlink == 1]


def test_prune_frees_what_dry_run_said_and_leaves_the_rest_whole(node: Node) -> None:
    node.define_all(_three_generations(node))
    node.run("install")
    arguments = ("prune", "--min-gen-id", "1", "--log-format", "json")
    before = node.disk_bytes()
    predicted = _last(node.run(*arguments, "--dry-run"))
    assert node.disk_bytes() == before
    assert predicted["generations"] == ["g00000"]
    assert predicted["toolkits"] == ["cuda-12.4.0"]
    gone = _last(node.run(*arguments))
    freed = before - node.disk_bytes()
    assert freed > 1_000_000
    assert abs(freed - predicted["freed_bytes"]) <= freed / 100
    assert abs(gone["freed_bytes"] - freed) <= freed / 100
    assert node.prefix.installed_generations() == ["g00001", "g00002"]
    assert not node.prefix.staging.exists()
    assert _files_without_another_name(node.prefix) == []
    assert sorted(path.name for path in node.prefix.toolkits.iterdir()) == ["cuda-12.4.1", "cuda-12.4.2"]
    node.run("verify")
    nothing = _last(node.run(*arguments))
    assert nothing["freed_bytes"] == 0
    assert nothing["generations"] == []


def test_a_generation_that_comes_back_after_pruning_is_installed_anew(node: Node) -> None:
    node.define_all(_three_generations(node))
    node.run("install")
    node.run("prune", "--min-gen-id", "1")
    node.run("install")
    assert node.prefix.sealed_mark("g00000").exists()
    node.run("verify")


def test_bytes_that_remaining_generations_share_are_not_promised(node: Node) -> None:
    shared = node.wheel("shared", size_bytes=2_000_000)
    node.define_all({0: cells(shared), 1: cells(shared)})
    node.run("install")
    predicted = _last(node.run("prune", "--min-gen-id", "1", "--dry-run", "--log-format", "json"))
    assert predicted["generations"] == ["g00000"]
    assert predicted["freed_bytes"] < 500_000


def test_latest_is_never_pruned(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha")), 1: cells(node.wheel("beta"))})
    node.run("install", "--max-gen-id", "0")
    done = node.run("prune", "--min-gen-id", "1")
    assert "`latest` names it" in done.stderr
    assert node.prefix.installed_generations() == ["g00000"]
    node.run("verify")


def test_a_range_without_a_generation_prunes_nothing(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"))})
    node.run("install")
    assert "no generation has an ID" in node.run("prune", "--min-gen-id", "7", code=3).stderr
    assert node.prefix.installed_generations() == ["g00000"]


def test_a_leased_generation_stays_until_the_lease_ends(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha")), 1: cells(node.wheel("beta"))})
    node.run("install")
    folder = node.prefix.generation("g00000")
    # What a model does in POSIX sh: the lock ends with its process.
    model = subprocess.Popen(
        ["/bin/sh", "-c", 'exec 9< "$1" && flock -s 9 && echo leased && exec cat', "sh", folder],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert model.stdout is not None
    assert model.stdout.readline() == b"leased\n"
    done = node.run("prune", "--min-gen-id", "1")
    assert "g00000 stays: a model has leased it" in done.stderr
    assert (node.environment() / SITE / "alpha").exists()
    with node.daemon("--min-gen-id", "1", "--prune-old-gen") as daemon:
        daemon.wait_ready()
        daemon.wait_until(lambda: daemon.said("a model has leased it"))
        model.communicate()
        daemon.wait_until(lambda: not folder.exists())
        daemon.wait_until(lambda: daemon.metric("monobase_pruned_bytes_total") > 0)
    node.run("verify")


def test_a_model_that_the_runtime_started_keeps_its_generation_until_it_ends(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha")), 1: cells(node.wheel("beta"))})
    node.run("install")
    command = "import alpha, sys; print(alpha.NAME, flush=True); sys.stdin.read(); import alpha.__init__"
    model = subprocess.Popen(
        [*read_only(node.prefix.root), EXEC, "python", "-c", command],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={
            "PATH": SYSTEM_PATH, "PYTHON_VERSION": PYTHON, "MONOBASE_GEN_ID": "0", "MONOBASE_LEASE": "1",
            "MONOBASE_PREFIX": str(node.prefix.root),
        },
    )  # fmt: skip
    assert model.stdout is not None
    assert model.stdout.readline() == b"alpha 1.0\n"
    done = node.run("prune", "--min-gen-id", "1")
    assert "g00000 stays: a model has leased it" in done.stderr
    assert node.prefix.installed_generations() == ["g00000", "g00001"]
    model.communicate()
    assert model.returncode == 0
    assert "stays" not in node.run("prune", "--min-gen-id", "1").stderr
    assert node.prefix.installed_generations() == ["g00001"]
    node.run("verify")


def test_a_lease_works_through_a_descriptor_that_cannot_write(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha")), 1: cells(node.wheel("beta"))})
    node.run("install")
    descriptor = os.open(node.prefix.generation("g00000"), os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        assert "leased" in node.run("prune", "--min-gen-id", "1", "--dry-run").stderr
    finally:
        os.close(descriptor)
    assert "leased" not in node.run("prune", "--min-gen-id", "1", "--dry-run").stderr


def test_an_import_goes_on_while_another_generation_is_pruned(node: Node) -> None:
    node.define_all(_three_generations(node))
    node.run("install")
    model = subprocess.Popen(
        [
            node.environment(generation="g00001") / "bin" / "python", "-c",
            _IMPORTS,
        ],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert model.stdout is not None
    assert model.stdout.readline() == "begun\n"
    node.run("prune", "--min-gen-id", "1")
    said, _ = model.communicate()
    assert model.returncode == 0
    found = re.fullmatch(r"shared 1\.0 (\d+)\n", said)
    assert found is not None
    assert int(found[1]) > 10


@pytest.mark.parametrize("point", ["prune:renamed", "prune:removed"])
def test_a_prune_that_is_killed_is_completed_by_the_next(node: Node, point: str) -> None:
    node.define_all(_three_generations(node))
    node.run("install")
    node.run("prune", "--min-gen-id", "2", code=-9, variables={"MONOBASE_FAULT_AT": point})
    assert node.prefix.installed_generations() == ["g00002"]
    node.run("verify")
    node.run("prune", "--min-gen-id", "2")
    node.run("verify")
    assert not node.prefix.staging.exists()
    assert _files_without_another_name(node.prefix) == []
    assert [path.name for path in node.prefix.toolkits.iterdir()] == ["cuda-12.4.2"]
    assert {path.name for path in node.prefix.uv_cache.glob("wheels-v*/*/*/own")} <= {"own"}


def test_the_daemon_prunes_when_the_newer_generations_are_ready(node: Node) -> None:
    generations = _three_generations(node)
    node.define_all(generations)
    node.run("install", "--max-gen-id", "1")
    with node.daemon("--min-gen-id", "2", "--prune-old-gen") as daemon:
        daemon.wait_ready()
        daemon.wait_until(lambda: node.prefix.installed_generations() == ["g00002"])
        daemon.wait_until(lambda: daemon.metric("monobase_pruned_bytes_total") > 1_000_000)
        daemon.wait_ready()
    assert node.prefix.latest.readlink() == Path("g00002")
    node.run("verify")


@pytest.mark.parametrize("only", [(), ("--only", f"python{PYTHON}")])
def test_what_models_use_stays_until_its_successor_stands(node: Node, only: tuple[str, ...]) -> None:
    node.define_all(
        {0: cells(node.wheel("alpha"), torch=("2.4.1",)), 1: cells(node.wheel("beta"), torch=("2.4.1",))}
    )
    node.run("install", "--max-gen-id", "0", *only)
    if not only:
        node.prefix.latest.unlink()
    subject = f"install g00001/python{PYTHON}"
    with node.index.down(), node.daemon("--min-gen-id", "1", "--prune-old-gen", *only) as daemon:
        daemon.wait_until(lambda: daemon.said("g00000: older than --min-gen-id, pruned when"))
        daemon.wait_until(
            lambda: sum(entry.get("subject") == subject for entry in daemon.entries()) >= 2, patience_s=240
        )
        assert (node.environment() / SITE / "alpha").exists()
        node.index.go_up()
        daemon.wait_until(lambda: not node.prefix.generation("g00000").exists())
        assert (node.environment(generation="g00001") / SITE / "beta").exists()
        daemon.wait_ready()
        assert not daemon.said("prune failed")
    node.run("verify")


def test_a_full_disk_does_not_make_room_by_what_models_use(node: Node) -> None:
    with small_disk(node, "14m") as small:
        node.define_all({0: cells(node.wheel("alpha", size_bytes=1_000_000))})
        node.run("install")
        node.define_all({1: cells(node.wheel("beta", size_bytes=2_000_000))})
        ballast = small / "ballast"
        room = os.statvfs(small)
        ballast.write_bytes(bytes(room.f_bavail * room.f_frsize - 2_500_000))
        with node.daemon("--min-gen-id", "1", "--prune-old-gen") as daemon:
            daemon.wait_until(lambda: daemon.metric('monobase_failures_total{kind="disk"}') >= 2)
            assert "g00000: pruned only when the active generations are ready" in daemon.get("/readyz")[1]
            assert (node.environment() / SITE / "alpha").exists()
            ballast.unlink()
            daemon.wait_until(lambda: not node.prefix.generation("g00000").exists())
            daemon.wait_ready()
            daemon.end()


@pytest.mark.parametrize("broken", ["g00001.json", f"g00001/python{PYTHON}.txt"])
def test_what_a_broken_definition_or_lock_names_is_not_taken_for_unused(node: Node, broken: str) -> None:
    alpha = node.wheel("alpha")
    node.define_all({0: cells(alpha), 1: cells(node.wheel("beta")), 2: cells(alpha)})
    node.run("install")
    (node.directory / "gens" / broken).write_text("{")
    done = node.run("prune", "--min-gen-id", "1")
    assert f"what is in use is not known: {node.directory / 'gens' / broken}" in done.stderr
    assert node.prefix.installed_generations() == ["g00001", "g00002"]
    node.run("verify")


def test_a_prune_that_fails_keeps_nothing_from_being_installed(node: Node) -> None:
    alpha = node.wheel("alpha")
    node.define_all({0: cells(alpha), 1: cells(alpha)})
    node.run("install")
    hour = ("--retry-delay", "3600", "--max-retry-delay", "3600")
    with node.daemon(
        "--min-gen-id", "1", "--prune-old-gen", "--uv", str(_refusing_uv(node)), *hour
    ) as daemon:
        daemon.wait_until(lambda: daemon.said("uv is told to fail") and daemon.ready())
        node.define_all({2: cells(alpha)})
        daemon.wait_until(lambda: node.prefix.sealed_mark("g00002").exists())
        daemon.wait_ready()


def _refusing_uv(node: Node) -> Path:
    """Make a uv that does all but `cache prune`."""
    program = node.directory / "uv"
    program.write_text(
        '#!/bin/sh\n[ "$1 $2" != "cache prune" ] || { echo "error: uv is told to fail" >&2; exit 2; }\n'
        f'exec {find_uv(None)} "$@"\n'
    )
    program.chmod(0o755)
    return program


def test_unused_managed_interpreters_go(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha")), 1: cells(node.wheel("beta"))})
    node.run("install")
    unused = node.prefix.uv_python / "cpython-3.8.1-linux-x86_64-gnu"
    (unused / "bin").mkdir(parents=True)
    (unused / "bin" / "python3.8").write_bytes(bytes(100_000))
    (node.prefix.uv_python / f".{unused.name}.complete").write_bytes(b"")
    (node.prefix.uv_python / "cpython-3.8-linux-x86_64-gnu").symlink_to(unused.name)
    node.run("prune", "--min-gen-id", "1")
    assert [path.name for path in node.prefix.uv_python.iterdir() if "3.8" in path.name] == []


def test_prune_and_clean_are_refused_without_what_they_need(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"))})
    assert "--min-gen-id" in node.run("prune", code=2).stderr


def test_sharing_is_regained_after_the_cache_was_cleaned(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    generations = _three_generations(node)
    node.define_all(generations)
    node.run("install")
    in_one_go = node.disk_bytes()
    node.prefix.root.rename(node.directory / "in one go")
    node.run("install", "--max-gen-id", "1")
    # A corrupt cache: what uv keeps is there and is not what it was.
    for file in node.prefix.uv_cache.rglob("*.http"):
        file.write_bytes(b"garbage")
    with node.daemon("--clean-uv-cache") as daemon:
        daemon.wait_ready()
        daemon.end()
    node.run("verify")
    shared = [
        node.environment(generation=name) / SITE / "shared" / "data.bin"
        for name in ("g00000", "g00001", "g00002")
    ]
    assert len({file.stat().st_ino for file in shared}) == 1
    disk_bytes = node.disk_bytes()
    with capsys.disabled():
        print(f"\n{disk_bytes} bytes after the cache was cleaned, {in_one_go} in one go")
    assert abs(disk_bytes - in_one_go) <= in_one_go / 50


def test_cleaning_the_cache_harms_no_installed_generation(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha", size_bytes=100_000), torch=("2.4.1",))})
    node.run("install")
    with node.daemon("--clean-uv-cache") as daemon:
        daemon.wait_until(lambda: daemon.said("clean"))
        daemon.wait_ready()
    assert not list(node.prefix.uv_cache.glob("archive-v*/*"))
    python = node.environment() / "bin" / "python"
    said = subprocess.run([python, "-c", "import alpha; print(alpha.NAME)"], capture_output=True, check=True)
    assert said.stdout == b"alpha 1.0\n"
    node.run("verify")


def test_where_nothing_was_installed_there_is_nothing_to_prune(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha")), 1: cells(node.wheel("beta"))})
    node.run("prune", "--min-gen-id", "1")
    assert not node.prefix.root.exists()
    node.prefix.uv_cache.mkdir(parents=True)  # an install that was killed when it had just begun
    node.run("prune", "--min-gen-id", "1")
    assert not node.prefix.generations.exists()


def test_what_a_model_can_use_stays_until_what_follows_can_be_used(node: Node) -> None:
    releases = ("2.4.1", "2.5.1")
    node.define_all(
        {0: cells(node.wheel("alpha"), torch=releases), 1: cells(node.wheel("beta"), torch=releases)}
    )
    plain = f"python{PYTHON}"
    node.run("install", "--only", plain, "--max-gen-id", "0")
    node.prefix.latest.unlink()
    arguments = ("prune", "--min-gen-id", "1", "--log-format", "json")
    for options in (("--dry-run",), ()):
        done = node.run(*arguments, *options)
        assert f"g00000 stays: no active generation takes its place: g00001 has no {plain} yet" in done.stderr
        assert _last(done)["generations"] == []
    node.run("install", "--only", "*-torch2.4.1-*", "--min-gen-id", "1")  # another part of it
    assert "stays" in node.run(*arguments).stderr
    assert node.prefix.installed_generations() == ["g00000", "g00001"]
    node.run("install", "--only", plain, "--min-gen-id", "1")
    assert _last(node.run(*arguments))["generations"] == ["g00000"]
    assert node.prefix.installed_generations() == ["g00001"]
    node.run("verify")


@pytest.mark.parametrize(
    "spelling", ["{root}/monobase/g00000", "g00000/", "./g00000", "../monobase/g00000", "other"]
)
def test_what_latest_leads_to_stays_however_the_link_is_spelled(node: Node, spelling: str) -> None:
    node.define_all({0: cells(node.wheel("alpha")), 1: cells(node.wheel("beta"))})
    node.run("install")
    (node.prefix.generations / "other").symlink_to("g00000")
    node.prefix.latest.unlink()
    node.prefix.latest.symlink_to(spelling.format(root=node.prefix.root))
    done = node.run("prune", "--min-gen-id", "1")
    assert "g00000 stays: `latest` names it" in done.stderr
    assert (node.environment() / "bin" / "python").exists()
    node.run("install", "--min-gen-id", "1")
    assert os.readlink(node.prefix.latest) == "g00001"  # noqa: PTH115 (the text is meant)
    node.run("prune", "--min-gen-id", "1")
    assert node.prefix.installed_generations() == ["g00001"]


def test_what_no_install_made_is_not_pruned(node: Node) -> None:
    node.define_all({0: cells(node.wheel("old")), 1: cells(node.wheel("new"))})
    node.run("install")
    prefix = node.prefix
    stores = (prefix.wheels, prefix.bytecode, prefix.files, prefix.toolkits, prefix.uv_python)
    mine = [store / "lost+found" / "notes" for store in stores]
    mine += [prefix.toolkits / "cuda-12.mine" / "notes", prefix.uv_python / "cpython-mine" / "notes"]
    for path in mine:
        path.parent.mkdir()
        path.write_text("mine")
    node.run("prune", "--min-gen-id", "1")
    assert prefix.installed_generations() == ["g00001"]
    assert [path for path in mine if not path.exists()] == []


@pytest.mark.parametrize("what", ["mark", "manifest"])
def test_what_a_newer_monobase_has_written_is_not_pruned(node: Node, what: str) -> None:
    node.define_all({0: cells(node.wheel("old")), 1: cells(node.wheel("new"))})
    node.run("install")
    path = node.environment() / ".manifest"
    if what == "mark":
        path = node.prefix.sealed_mark("g00000")
        newer = json.dumps({**json.loads(path.read_text()), "format": 9}).encode()
    else:
        newer = gzip.compress(b"monobase-manifest 9\n")
    path.unlink()
    path.write_bytes(newer)
    for arguments in (["--dry-run"], []):
        said = node.run("prune", "--min-gen-id", "1", *arguments).stderr
        assert f"g00000 stays: {path}: written by a newer monobase" in said
    assert path.read_bytes() == newer
    assert len([*node.prefix.wheels.glob("*.files.gz")]) == 2
