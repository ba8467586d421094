"""The installer end to end: real uv, real wheels, a local index."""

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from daemon.host.durability import write_symlink
from tests.index.cuda_set import cudnn_wheel, toolkit_wheels
from tests.index.fault import status, substitute, truncate
from tests.index.repository import pytorch_root
from tests.index.server import LocalIndex
from tests.index.wheel import Damage, Wheel, WheelSpec, build_wheel
from tests.node.node import SITE, Node, make_node
from tests.synthetic.catalog import PYTHON, environment_cell, toolkit_cell, write_catalog

pytest_plugins = ["tests.index.fixture"]


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    return make_node(local_index, tmp_path, python_downloads=True).with_prefix(tmp_path / "a prefix ü")


def _generations(node: Node) -> list[str]:
    return sorted(entry.name for entry in node.prefix.generations.iterdir() if not entry.name.startswith("."))


def test_a_generation_is_installed_sealed_and_usable(node: Node) -> None:
    alpha = node.wheel(console_scripts={"alpha-tool": "alpha:main"})
    node.define(environment_cell([alpha]), environment_cell([alpha, node.wheel("beta")], torch="2.4.1"))
    done = node.run("install")
    assert "sealed g00000" in done.stderr
    python = node.environment() / "bin" / "python"
    said = subprocess.run(
        [python, "-c", "import alpha; print(alpha.NAME)"], capture_output=True, text=True, check=True
    )
    assert said.stdout == "alpha 1.0\n"
    assert (node.environment() / "bin" / "alpha-tool").exists()
    assert node.prefix.latest.readlink() == Path("g00000")
    assert node.prefix.sealed_mark("g00000").exists()
    assert not node.prefix.staging.exists()
    node.run("verify")


def test_the_runtime_is_told_what_there_is(node: Node) -> None:
    alpha = node.wheel()
    node.define(environment_cell([alpha]), environment_cell([alpha], torch="2.4.1", build="cu121"))
    node.run("install", "--only", f"python{PYTHON}")
    lines = node.prefix.environments_file("g00000").read_text().splitlines()
    assert lines[0] == "monobase-environments 1"
    assert lines[1] == "generation g00000 selected"
    assert f"selection --only python{PYTHON}" in lines
    assert f"left-out python{PYTHON}-torch2.4.1-cu121" in lines
    assert [line.split()[:3] for line in lines if line.startswith("environment")] == [
        ["environment", f"python{PYTHON}", "ready"],
        ["environment", f"python{PYTHON}-torch2.4.1-cu121", "missing"],
    ]
    assert lines[-1].split()[5:] == ["2.4.1", "cu121", "12.1"]


def test_a_part_is_sealed_as_a_part_and_a_later_install_completes_it(node: Node) -> None:
    alpha = node.wheel()
    node.define(environment_cell([alpha]), environment_cell([alpha], torch="2.4.1"))
    node.run("install", "--only", "*torch2.4*")
    assert json.loads(node.prefix.sealed_mark("g00000").read_text())["format"] == 2
    assert node.prefix.latest.readlink() == Path("g00000")
    assert not node.environment().exists()
    node.run("install")
    assert json.loads(node.prefix.sealed_mark("g00000").read_text())["format"] == 1
    assert node.environment().exists()
    assert "generation g00000 sealed" in node.prefix.environments_file("g00000").read_text()


def test_each_wheel_is_downloaded_once_for_all_environments_and_versions(node: Node) -> None:
    common = node.wheel("common")
    cells = [
        environment_cell([common, node.wheel("torch", version)], torch=version)
        for version in ("2.3.1", "2.4.1", "2.5.1")
    ]
    node.define(*cells)
    node.run("install", "--jobs", "3")
    assert set(node.index.log.wheel_downloads().values()) == {1}
    assert len(node.index.log.wheel_downloads()) == 4


def test_a_second_install_does_nothing(node: Node) -> None:
    node.define(environment_cell([node.wheel()]))
    node.run("install")
    node.index.log.clear()
    before = node.prefix.sealed_mark("g00000").stat()
    done = node.run("install")
    assert "0 to install" in done.stderr
    assert not node.index.log.requests()
    assert node.prefix.sealed_mark("g00000").stat().st_mtime_ns == before.st_mtime_ns


def test_files_and_bytecode_are_one_inode_in_all_environments(node: Node) -> None:
    alpha = node.wheel()
    node.define(environment_cell([alpha]), environment_cell([alpha], torch="2.4.1"))
    node.run("install")
    one = node.environment() / SITE / "alpha"
    other = node.environment(f"python{PYTHON}-torch2.4.1-cpu") / SITE / "alpha"
    assert (one / "__init__.py").samefile(other / "__init__.py")
    compiled = f"__pycache__/__init__.cpython-{PYTHON.replace('.', '')}.pyc"
    assert (one / compiled).samefile(other / compiled)


def test_one_content_in_two_wheels_is_one_inode(node: Node) -> None:
    same = b"\x7fELF" + bytes(200_000)
    first = node.wheel("first", files={"first/ptxas": same}, executables=frozenset({"first/ptxas"}))
    second = node.wheel("second", files={"second/ptxas": same}, executables=frozenset({"second/ptxas"}))
    third = node.wheel("third", files={"third/data": same})
    node.define(environment_cell([first, second, third]))
    node.run("install")
    site = node.environment() / SITE
    assert (site / "first" / "ptxas").samefile(site / "second" / "ptxas")
    assert not (site / "third" / "data").samefile(site / "first" / "ptxas")  # the mode belongs to the inode
    assert not (site / "third" / "data").stat().st_mode & stat.S_IXUSR


def test_bytecode_is_used_on_a_read_only_prefix_and_names_the_real_source(node: Node) -> None:
    source = b"def fail():\n    raise ValueError('here')\n"
    alpha = node.wheel(files={"alpha/__init__.py": source})
    node.define(environment_cell([alpha]), environment_cell([alpha], torch="2.4.1"))
    node.run("install")
    for environment in (node.environment(), node.environment(f"python{PYTHON}-torch2.4.1-cpu")):
        said = subprocess.run(
            [environment / "bin" / "python", "-v", "-c", "import alpha; alpha.fail()"],
            capture_output=True, text=True, check=False,
        ).stderr  # fmt: skip
        assert f"code object from '{environment}/{SITE}/alpha/__pycache__" in said.replace("matches", "from")
        assert f'File "{environment}/{SITE}/alpha/__init__.py", line 2, in fail' in said


def test_links_within_the_prefix_outlive_a_move_of_the_mount(node: Node) -> None:
    node.define(environment_cell([node.wheel()]), toolkit_cell([cuda_wheel(node)], "12.4.1"))
    node.run("install")
    link = node.environment("cuda12.4")
    assert link.readlink() == Path("../../cuda/cuda-12.4.1")


def cuda_wheel(node: Node) -> Wheel:
    return node.wheel(
        "nvidia-cublas-cu12", "12.4.5.8",
        files={
            "nvidia/cublas/lib/libcublas.so.12": b"\x7fELF cublas",
            "nvidia/cublas/include/cublas.h": b"//\n",
        },
    )  # fmt: skip


def test_toolkits_share_their_libraries_with_environments(node: Node) -> None:
    cublas = cuda_wheel(node)
    node.define(environment_cell([cublas], torch="2.5.1", build="cu124"), toolkit_cell([cublas], "12.4.1"))
    node.run("install")
    environment = node.environment(f"python{PYTHON}-torch2.5.1-cu124")
    toolkit = node.environment("cuda12.4")
    assert (toolkit / "lib64" / "libcublas.so.12").samefile(
        environment / SITE / "nvidia" / "cublas" / "lib" / "libcublas.so.12"
    )
    assert (toolkit / "lib64" / "libcublas.so").read_bytes() == b"\x7fELF cublas"
    assert (toolkit / "include" / "cublas.h").exists()


@pytest.mark.parametrize("version", ["11.8.0", "12.4.1", "13.0.2"])
def test_a_toolkit_has_the_folders_that_builds_expect(node: Node, version: str) -> None:
    wheels = [node.index.add(spec) for spec in toolkit_wheels(version)]
    major = version.split(".", maxsplit=1)[0]
    cudnn = node.index.add(cudnn_wheel("9.1.0.70", int(major)))
    node.define(
        environment_cell([node.wheel()]),
        toolkit_cell(wheels, version),
        toolkit_cell([cudnn], "9.1.0.70", major),
    )
    node.run("install")
    cuda = node.environment(f"cuda{version.rpartition('.')[0]}")
    for path in (
        "bin/ptxas",
        "include/cuda_runtime.h",
        "lib64/libcudart.so",
        "lib/libcudart.so",
        "nvvm/libdevice",
    ):
        assert (cuda / path).exists(), path
    assert (cuda / "targets" / "x86_64-linux" / "include").samefile(cuda / "include")
    cudnn_tree = node.environment(f"cudnn9-cuda{major}")
    assert (cudnn_tree / "lib" / "libcudnn.so").exists()
    assert (cudnn_tree / "include" / "cudnn.h").exists()


def test_two_generations_share_a_toolkit_of_the_same_wheels(node: Node) -> None:
    alpha, cublas = node.wheel(), cuda_wheel(node)
    cells = [environment_cell([alpha]), toolkit_cell([cublas], "12.4.1")]
    write_catalog(node.directory / "gens", {0: cells, 1: cells})
    node.run("install")
    assert node.environment("cuda12.4", "g00001").samefile(node.environment("cuda12.4", "g00000"))
    other = node.wheel(
        "nvidia-cublas-cu12", "12.4.5.9", files={"nvidia/cublas/lib/libcublas.so.12": b"newer"}
    )
    write_catalog(
        node.directory / "gens", {0: cells, 1: cells, 2: [cells[0], toolkit_cell([other], "12.4.1")]}
    )
    node.run("install")
    assert (node.environment("cuda12.4", "g00002") / "lib64" / "libcublas.so.12").read_bytes() == b"newer"
    assert (
        node.environment("cuda12.4", "g00000") / "lib64" / "libcublas.so.12"
    ).read_bytes() == b"\x7fELF cublas"
    assert node.prefix.latest.readlink() == Path("g00002")


def test_only_the_packages_that_a_build_index_serves_come_from_it(node: Node) -> None:
    root = node.index.add_root(pytorch_root("cu118"))
    torch = node.index.add(WheelSpec("torch", "2.4.1+cu118", files={"torch/__init__.py": b""}), root)
    node.index.add(WheelSpec("alpha", "1.0", files={"alpha.py": b"shadow = 1\n"}), root)
    alpha = node.wheel()
    node.define(
        environment_cell(
            [torch, alpha], "2.4.1", "cu118", index_url=node.index.url(root), index_packages=["torch"]
        )
    )
    node.run("install")
    assert (node.environment(f"python{PYTHON}-torch2.4.1-cu118") / SITE / "torch").exists()
    node.run("verify")


def test_a_wheel_that_is_not_the_locked_one_stops_with_both_hashes(node: Node) -> None:
    alpha = node.wheel()
    other = build_wheel(WheelSpec("alpha", "1.0", files={"alpha/__init__.py": b"evil = 1\n"}))
    node.define(environment_cell([alpha]))
    with node.index.fault(substitute("*alpha*.whl", other, times=None)):
        done = node.run("install", code=7)
    assert alpha.sha256 in done.stderr
    assert "alpha" in done.stderr
    assert done.stderr.count("sha256:") >= 2
    assert not node.environment().exists()
    node.run("install")
    node.run("verify")


def test_one_bad_wheel_does_not_keep_the_other_environments_away(node: Node) -> None:
    alpha, beta = node.wheel(), node.wheel("beta")
    node.define(environment_cell([alpha]), environment_cell([alpha, beta], torch="2.4.1"))
    node.index.repository.lose(beta.filename)
    done = node.run("install", code=4)
    assert "beta" in done.stderr
    assert node.environment().exists()
    assert not node.environment(f"python{PYTHON}-torch2.4.1-cpu").exists()
    assert not node.prefix.sealed_mark("g00000").exists()


def test_an_index_that_is_down_is_asked_once_and_named(node: Node) -> None:
    wheels = [node.wheel(name) for name in ("alpha", "beta", "gamma")]
    node.define(environment_cell(wheels), environment_cell(wheels[:1], "2.4.1"))
    with node.index.down():
        done = node.run("install", code=4, variables={"UV_HTTP_RETRIES": "0", "MONOBASE_LOG_FORMAT": "json"})
    assert "the index cannot be reached" in done.stderr
    assert node.index.origin in done.stderr
    node.run("install")
    node.run("verify")


def test_a_server_that_fails_once_is_asked_again(node: Node) -> None:
    node.define(environment_cell([node.wheel()]))
    with node.index.fault(status("*.whl", code=500, times=1)):
        node.run("install")
    node.run("verify")


def test_a_truncated_download_leaves_nothing_behind(node: Node) -> None:
    node.define(environment_cell([node.wheel(files={"alpha/data.bin": os.urandom(300_000)})]))
    with node.index.fault(truncate("*.whl", after_bytes=1000, times=None)):
        done = node.run("install", code=4, variables={"UV_HTTP_RETRIES": "0"})
    assert "alpha" in done.stderr
    assert not node.environment().exists()
    node.run("install")
    node.run("verify")


def test_a_wheel_that_leaves_its_folder_is_refused(node: Node) -> None:
    evil = node.wheel("evil", damage=Damage(escaping={"../../../evil.txt": b"x"}))
    node.define(environment_cell([evil]))
    done = node.run("install", code=7)
    assert "'../../../evil.txt'" in done.stderr
    assert not list(node.directory.rglob("evil.txt"))


def test_two_packages_with_one_path_and_two_contents_are_named(node: Node) -> None:
    first = node.wheel("first", files={"shared/__init__.py": b"a = 1\n"})
    second = node.wheel("second", "2.0", files={"shared/__init__.py": b"b = 1\n"})
    node.define(environment_cell([first, second]))
    done = node.run("install", code=7)
    assert "first 1.0 and second 2.0 both bring shared/__init__.py" in done.stderr


def test_two_packages_with_one_script_and_two_contents_are_named(node: Node) -> None:
    first = node.wheel("first", console_scripts={"tool": "first:main"})
    second = node.wheel("second", console_scripts={"tool": "second:main"})
    node.define(environment_cell([first, second]))
    done = node.run("install", code=7)
    assert "both bring bin/tool" in done.stderr


def test_two_packages_with_one_path_and_one_content_are_fine(node: Node) -> None:
    files = {"shared/__init__.py": b"a = 1\n"}
    node.define(environment_cell([node.wheel("first", files=files), node.wheel("second", files=files)]))
    node.run("install")
    node.run("verify")


def test_a_wrong_hash_in_a_record_is_no_damage(node: Node) -> None:
    alpha = node.wheel(damage=Damage(wrong_hashes=frozenset({"alpha/__init__.py"})))
    node.define(environment_cell([alpha]))
    node.run("install")
    node.run("verify")
    assert node.index.log.wheel_downloads() == {alpha.filename: 1}


def test_data_files_and_headers_are_part_of_the_manifest(node: Node) -> None:
    alpha = node.wheel(
        data={
            "data/share/alpha/model.bin": b"weights",
            "headers/alpha.h": b"//\n",
            "scripts/run": b"#!python\n",
        },
    )
    node.define(environment_cell([alpha]))
    node.run("install")
    share = node.environment() / "share" / "alpha" / "model.bin"
    assert share.read_bytes() == b"weights"
    _replace(share, b"WEIGHTS")
    assert "share/alpha/model.bin" in node.run("verify", code=1).stdout


def test_a_source_that_does_not_compile_is_installed_without_bytecode(node: Node) -> None:
    node.define(environment_cell([node.wheel(files={"alpha/template.py": b"{% not python %}\n"})]))
    node.run("install")
    assert (node.environment() / SITE / "alpha" / "template.py").exists()
    assert not list(node.environment().rglob("template.*.pyc"))
    node.run("verify")


def test_bytecode_that_a_wheel_brings_is_kept(node: Node) -> None:
    path = f"alpha/__pycache__/__init__.cpython-{PYTHON.replace('.', '')}.pyc"
    node.define(environment_cell([node.wheel(files={"alpha/__init__.py": b"", path: b"its own"})]))
    node.run("install")
    assert (node.environment() / SITE / path).read_bytes() == b"its own"
    node.run("verify")


def _replace(path: Path, content: bytes) -> None:
    """Replace a file by one with another content and inode, and the same mode."""
    mode = path.stat().st_mode
    path.unlink()
    path.write_bytes(content)
    path.chmod(mode)


def test_verify_names_what_is_changed_missing_and_extra(node: Node) -> None:
    node.define(environment_cell([node.wheel(files={"alpha/a.py": b"a = 1\n", "alpha/b.py": b"b = 1\n"})]))
    node.run("install")
    site = node.environment() / SITE / "alpha"
    _replace(site / "a.py", b"a = 2\n")
    (site / "b.py").unlink()
    (site / "c.py").write_bytes(b"")
    (node.environment() / "bin" / "python3").unlink()
    said = node.run("verify", code=1).stdout.splitlines()
    assert [line.split(": ")[0] for line in said] == ["changed", "extra", "missing", "missing"] or sorted(
        (line.split(": ")[0], line.split(": ")[1].rpartition("/")[2]) for line in said
    ) == [("changed", "a.py"), ("extra", "c.py"), ("missing", "b.py"), ("missing", "python3")]


def test_repair_restores_every_environment_on_a_fresh_inode(node: Node) -> None:
    alpha = node.wheel(console_scripts={"tool": "alpha:main"})
    node.define(environment_cell([alpha]), environment_cell([alpha], torch="2.4.1"))
    node.run("install")
    damaged = node.environment() / SITE / "alpha" / "__init__.py"
    compiled = next((damaged.parent / "__pycache__").iterdir())
    inode = damaged.stat().st_ino
    for path in (damaged, compiled, node.environment() / "bin" / "tool"):
        with path.open("r+b") as file:  # in place: every link of it, and uv's cache, are damaged
            file.write(b"~")
    (node.environment() / "extra").mkdir()
    assert len(node.run("verify", code=1).stdout.splitlines()) == 7
    node.run("verify", "--repair")
    node.run("verify")
    assert damaged.read_bytes().startswith(b"NAME")
    assert damaged.stat().st_ino != inode
    assert damaged.samefile(
        node.environment(f"python{PYTHON}-torch2.4.1-cpu") / SITE / "alpha" / "__init__.py"
    )
    assert not node.prefix.staging.exists()


def test_repair_needs_no_download_when_the_cache_is_sound(node: Node) -> None:
    node.define(environment_cell([node.wheel()]))
    node.run("install")
    (node.environment() / SITE / "alpha" / "__init__.py").unlink()
    node.index.log.clear()
    node.run("verify", "--repair")
    assert not node.index.log.wheel_downloads()


@pytest.mark.parametrize("name", [".manifest", "environments"])
def test_a_damaged_manifest_or_list_is_found_and_restored(node: Node, name: str) -> None:
    node.define(environment_cell([node.wheel()]))
    node.run("install")
    path = node.environment() / name if name == ".manifest" else node.prefix.environments_file("g00000")
    before = path.read_bytes()
    path.write_bytes(b"junk")
    assert name in node.run("verify", code=1).stdout
    node.run("verify", "--repair")
    assert path.read_bytes() == before


def test_an_inventory_that_is_damaged_is_made_anew(node: Node) -> None:
    node.define(environment_cell([node.wheel()]))
    node.run("install")
    for path in node.prefix.wheels.iterdir():
        path.write_bytes(b"junk")
    assert "is damaged" in node.run("verify", code=1).stdout
    node.run("verify", "--repair")
    node.run("verify")


def test_verify_works_on_a_prefix_that_nobody_may_write_to(node: Node) -> None:
    node.define(environment_cell([node.wheel()]))
    node.run("install")
    before = {path: os.lstat(path).st_mtime_ns for path in node.prefix.root.rglob("*")}
    node.run("verify")
    assert {path: os.lstat(path).st_mtime_ns for path in node.prefix.root.rglob("*")} == before


def test_an_archive_that_a_power_loss_cut_is_brought_anew(node: Node) -> None:
    alpha = node.wheel()
    node.define(environment_cell([alpha]))
    node.run("install", code=-9, variables={"MONOBASE_FAULT_AT": "fetch:synced"})
    cut = list(node.prefix.uv_cache.glob("archive-v*/*/alpha/__init__.py"))
    assert len(cut) == 1
    cut[0].write_bytes(b"")
    node.run("install")
    assert (node.environment() / SITE / "alpha" / "__init__.py").read_bytes() == b"NAME = 'alpha 1.0'\n"
    node.run("verify")


_POINTS = (
    "plan:done", "fetch:call", "fetch:synced", "fetch:kept", "link:linked", "compile:compiled",
    "compile:kept", "layout:toolkit",
    "seal:synced", "seal:renamed", "seal:listed", "seal:done", "seal:latest",
)  # fmt: skip


@pytest.mark.parametrize("point", _POINTS)
def test_an_install_that_is_killed_is_completed_by_the_next(node: Node, point: str) -> None:
    cublas = cuda_wheel(node)
    node.define(environment_cell([node.wheel()]), toolkit_cell([cublas], "12.4.1"))
    node.run("install", code=-9, variables={"MONOBASE_FAULT_AT": point})
    if node.environment().exists():
        node.run("verify")
    node.run("install")
    assert node.prefix.sealed_mark("g00000").exists()
    assert node.prefix.latest.readlink() == Path("g00000")
    assert not node.prefix.staging.exists()
    node.run("verify")


@pytest.mark.parametrize("point", ["seal:opened", "seal:renamed", "seal:listed", "seal:done"])
def test_a_wider_selection_that_is_killed_leaves_the_part_sealed_and_is_completed(
    node: Node, point: str
) -> None:
    alpha, beta = node.wheel(), node.wheel("beta")
    node.define(environment_cell([alpha]), environment_cell([alpha, beta], torch="2.4.1"))
    plain = f"python{PYTHON}"
    node.run("install", "--only", plain)
    before = node.environment().stat().st_ino
    node.run("install", code=-9, variables={"MONOBASE_FAULT_AT": point})
    node.run("verify")
    assert node.prefix.latest.readlink() == Path("g00000")
    assert plain in json.loads(node.prefix.sealed_mark("g00000").read_text())["manifests"]
    node.run("install")
    assert node.is_sealed()
    assert node.environment().stat().st_ino == before
    node.run("verify")


def test_sharing_is_regained_after_the_cache_was_cleaned(node: Node) -> None:
    alpha = node.wheel()
    write_catalog(node.directory / "gens", {0: [environment_cell([alpha])]})
    node.run("install")
    shutil.rmtree(node.prefix.uv_cache)
    write_catalog(node.directory / "gens", {0: [environment_cell([alpha])], 1: [environment_cell([alpha])]})
    node.run("install")
    paths = [
        node.environment(generation=name) / SITE / "alpha" / "__init__.py" for name in ("g00000", "g00001")
    ]
    assert paths[0].samefile(paths[1])
    node.run("verify")


def test_without_hard_links_everything_is_copied_when_asked(node: Node) -> None:
    alpha = node.wheel()
    node.define(environment_cell([alpha]), environment_cell([alpha], torch="2.4.1"))
    node.run("install", "--copy")
    one = node.environment() / SITE / "alpha" / "__init__.py"
    assert one.stat().st_nlink == 1
    node.run("verify")


def test_a_cache_on_another_mount_is_refused_with_the_reason(node: Node) -> None:
    other = Path("/dev/shm")  # noqa: S108 (another mount is the point)
    if not os.access(other, os.W_OK) or other.stat().st_dev == node.directory.stat().st_dev:
        pytest.skip("there is no second mount to write to")
    node.define(environment_cell([node.wheel()]))
    node.prefix.uv_cache.parent.mkdir(parents=True)
    cache = other / f"monobase-{os.getpid()}"
    cache.mkdir()
    try:
        write_symlink(node.prefix.uv_cache, str(cache))
        done = node.run("install", code=5)
    finally:
        shutil.rmtree(cache)
    assert "different mounts" in done.stderr
    assert "--copy" in done.stderr


def test_a_sealed_generation_is_never_installed_from_another_definition(node: Node) -> None:
    node.define(environment_cell([node.wheel()]))
    node.run("install")
    node.define(environment_cell([node.wheel("beta")]))
    done = node.run("install", code=1)
    assert "a generation never changes" in done.stderr


def test_a_pattern_that_matches_nothing_names_what_there_is(node: Node) -> None:
    node.define(environment_cell([node.wheel()]))
    done = node.run("install", "--only", "python2*", code=3)
    assert f"python{PYTHON}" in done.stderr


def test_a_range_without_a_generation_is_a_usage_error(node: Node) -> None:
    node.define(environment_cell([node.wheel()]))
    assert (
        "no generation is active"
        in node.run("install", "--min-gen-id", "3", "--max-gen-id", "1", code=2).stderr
    )


def test_a_python_that_is_nowhere_is_named(node: Node) -> None:
    node.define(environment_cell([node.wheel()], python="3.99.1"))
    done = node.run("install", "--no-python-downloads", code=8)
    assert "Python 3.99" in done.stderr


def test_a_python_that_is_nowhere_does_not_keep_the_others_away(node: Node) -> None:
    alpha = node.wheel()
    node.define(environment_cell([alpha]), environment_cell([alpha], python="3.99.1"))
    done = node.run("install", "--no-python-downloads", code=8)
    assert "g00000/python3.99" in done.stderr
    assert node.environment().exists()


def test_a_prefix_that_cannot_be_written_to_is_a_disk_error(node: Node) -> None:
    node.define(environment_cell([node.wheel()]))
    node.prefix.root.write_text("a file where a folder should be")
    assert str(node.prefix.root) in node.run("install", code=5).stderr


def test_options_are_environment_variables_as_well(node: Node) -> None:
    alpha = node.wheel()
    node.define(environment_cell([alpha]), environment_cell([alpha], torch="2.4.1"))
    node.run("install", variables={"MONOBASE_ONLY": f"python{PYTHON}", "MONOBASE_LOG_FORMAT": "json"})
    assert _generations(node) == ["g00000", "latest"]
    assert not node.environment(f"python{PYTHON}-torch2.4.1-cpu").exists()


def test_machines_read_one_object_a_line(node: Node) -> None:
    node.define(environment_cell([node.wheel()]))
    done = node.run("install", "--log-format", "json")
    entries = [json.loads(line) for line in done.stderr.splitlines()]
    stages = {entry["stage"]: entry for entry in entries if "stage" in entry}
    assert list(stages) == ["plan", "fetch", "link", "compile", "lay out", "seal"]
    assert stages["fetch"]["wheels"] == 1
    assert stages["fetch"]["seconds"] >= 0
    failed = node.run("install", "--only", "nothing", "--log-format", "json", code=3)
    assert json.loads(failed.stderr)["level"] == "error"


def test_status_counts_what_sharing_saves(node: Node) -> None:
    alpha = node.wheel(files={"alpha/data.bin": os.urandom(500_000)})
    node.define(environment_cell([alpha]), environment_cell([alpha], torch="2.4.1"))
    node.run("install")
    found = json.loads(node.run("status", "--json").stdout)
    assert found["latest"] == "g00000"
    assert found["generations"][0]["sealed"]
    assert 500_000 < found["saved_bytes"] < 600_000
    assert "2 of 2" in node.run("status").stdout
