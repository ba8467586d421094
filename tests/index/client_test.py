"""The index as real clients see it: uv and pip resolve, install and download from it, and meet its faults."""

import hashlib
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.index.client import pip_command, pip_environment, uv_binary, uv_environment
from tests.index.fault import Fault, corrupt, drip, latency, reset, stall, status, substitute, truncate
from tests.index.repository import IMMUTABLE, IndexRoot, pytorch_root
from tests.index.server import LocalIndex
from tests.index.wheel import Damage, Wheel, WheelSpec, build_wheel

pytest_plugins = ["tests.index.fixture"]

FOO = WheelSpec(
    "Foo.Bar",
    "1.0",
    requires_dist=("baz>=1",),
    files={"foo/__init__.py": b"x = 1\n", "foo/data.bin": bytes(200_000)},
    console_scripts={"foo": "foo:main"},
    data={"scripts/hello": b"#!python\nprint('hello')\n", "data/share/foo/note.txt": b"note\n"},
)
BAZ = WheelSpec("baz", "1.2", requires_python=">=3.9", files={"baz.py": b"y = 2\n"})


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def compiled(
    index: LocalIndex, folder: Path, requirements: str, *options: str, python: str = "3.11"
) -> dict[str, Any]:
    """Return the packages of the pylock that uv resolves to, by name."""
    source, target = folder / "requirements.in", folder / "pylock.toml"
    source.write_text(requirements)
    command = [uv_binary(), "pip", "compile", "--format", "pylock.toml", "--python", sys.executable]
    command += [
        "--python-version",
        python,
        "--python-platform",
        "x86_64-manylinux_2_28",
        "--only-binary",
        ":all:",
    ]
    result = run([*command, *options, str(source), "-o", str(target)], uv_environment(index, folder))
    assert result.returncode == 0, result.stderr
    return {package["name"]: package for package in tomllib.loads(target.read_text())["packages"]}


def installed(
    index: LocalIndex, folder: Path, wheels: list[Wheel], *options: str, venv: str = "venv", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Install wheels by hash with uv into a new environment."""
    environment = {**uv_environment(index, folder), **variables}
    result = run([uv_binary(), "venv", "--python", sys.executable, str(folder / venv)], environment)
    assert result.returncode == 0, result.stderr
    lock = folder / "lock.txt"
    lock.write_text("".join(f"{wheel.requirement}\n" for wheel in wheels))
    command = [uv_binary(), "pip", "install", "--python", str(folder / venv), "--no-deps", "--require-hashes"]
    return run([*command, *options, "-r", str(lock)], environment)


def site_packages(folder: Path, venv: str = "venv") -> Path:
    return next((folder / venv / "lib").glob("python*/site-packages"))


def test_uv_resolves_with_sizes_hashes_and_upload_times_without_a_wheel(
    local_index: LocalIndex, tmp_path: Path
) -> None:
    foo, baz = local_index.add(FOO), local_index.add(BAZ)
    packages = compiled(local_index, tmp_path, "foo-bar\n")
    for wheel, name in ((foo, "foo-bar"), (baz, "baz")):
        (listed,) = packages[name]["wheels"]
        assert listed["url"].endswith(f"/{wheel.filename}")
        assert (listed["size"], listed["hashes"]) == (wheel.size_bytes, {"sha256": wheel.sha256})
        assert listed["upload-time"].isoformat() == "2024-01-01T00:00:00+00:00"
    paths = [request.path for request in local_index.log.requests()]
    assert not any(path.endswith(".whl") for path in paths)
    assert sum(path.endswith(".whl.metadata") for path in paths) == 2


def test_uv_reads_metadata_by_ranges_where_there_are_no_metadata_files(
    local_index: LocalIndex, tmp_path: Path
) -> None:
    root = local_index.add_root(IndexRoot("ranges", has_metadata_files=False))
    wheel = local_index.add(FOO, root)
    local_index.add(BAZ, root)
    assert set(compiled(local_index, tmp_path, "foo-bar\n", "--default-index", local_index.url(root))) == {
        "foo-bar",
        "baz",
    }
    ranges = [request for request in local_index.log.requests() if request.range]
    assert {request.status for request in ranges} == {206}
    assert not local_index.log.wheel_downloads()
    assert 0 < local_index.log.wheel_bytes()[wheel.filename] < wheel.size_bytes


def test_uv_installs_by_hash_and_each_wheel_is_sent_once(local_index: LocalIndex, tmp_path: Path) -> None:
    wheels = [local_index.add(FOO), local_index.add(BAZ)]
    for venv in ("one", "two"):
        assert installed(local_index, tmp_path, wheels, venv=venv).returncode == 0
    assert local_index.log.wheel_downloads() == {wheel.filename: 1 for wheel in wheels}
    assert (site_packages(tmp_path, "two") / "foo/__init__.py").read_bytes() == b"x = 1\n"
    assert (tmp_path / "two/share/foo/note.txt").read_bytes() == b"note\n"
    assert os.access(tmp_path / "two/bin/foo", os.X_OK)
    hello = run([str(tmp_path / "two/bin/hello")], dict(os.environ))
    assert hello.stdout == "hello\n"


def test_wheels_that_may_not_be_stored_are_sent_for_each_environment(
    local_index: LocalIndex, tmp_path: Path
) -> None:
    root = local_index.add_root(pytorch_root("cu118"))
    wheel = local_index.add(WheelSpec("torch", "2.4.1+cu118", files={"torch.py": b""}), root)
    for venv in ("one", "two"):
        result = installed(
            local_index, tmp_path, [wheel], "--default-index", local_index.url(root), venv=venv
        )
        assert result.returncode == 0, result.stderr
    assert local_index.log.wheel_downloads() == {wheel.filename: 2}
    kept = local_index.add_root(replace(pytorch_root("cu121"), wheel_cache_control=IMMUTABLE))
    wheel = local_index.add(WheelSpec("torch", "2.4.1+cu121", files={"torch.py": b""}), kept)
    for venv in ("three", "four"):
        result = installed(
            local_index, tmp_path, [wheel], "--default-index", local_index.url(kept), venv=venv
        )
        assert result.returncode == 0, result.stderr
    assert local_index.log.wheel_downloads()[wheel.filename] == 1


def test_uv_takes_a_local_version_from_a_pytorch_index(local_index: LocalIndex, tmp_path: Path) -> None:
    root = local_index.add_root(pytorch_root("cu118"))
    local_index.add(replace(FOO, name="torch", version="2.4.1"))
    local_index.add(BAZ)
    wheel = local_index.add(replace(FOO, name="torch", version="2.4.1+cu118"), root)
    packages = compiled(local_index, tmp_path, "torch==2.4.1\n", "--index", local_index.url(root))
    assert packages["torch"]["version"] == "2.4.1+cu118"
    (listed,) = packages["torch"]["wheels"]
    assert listed["url"].endswith("/whl/cu118/torch-2.4.1%2Bcu118-py3-none-any.whl")
    assert listed["hashes"] == {"sha256": wheel.sha256}
    assert "size" not in listed  # an HTML page has none


def test_a_pytorch_index_shadows_the_default_one_in_uv(local_index: LocalIndex, tmp_path: Path) -> None:
    root = local_index.add_root(pytorch_root("cu118"))
    local_index.add(BAZ)
    shadow = local_index.add(WheelSpec("baz", "1.0", files={"baz.py": b"shadow = True\n"}), root)
    packages = compiled(local_index, tmp_path, "baz\n", "--index", local_index.url(root))
    assert packages["baz"]["version"] == "1.0"
    assert packages["baz"]["wheels"][0]["hashes"] == {"sha256": shadow.sha256}


def test_uv_leaves_a_yanked_release_and_one_from_after_the_bound_alone(
    local_index: LocalIndex, tmp_path: Path
) -> None:
    local_index.add(BAZ)
    local_index.add(replace(BAZ, version="1.3"), upload_time="2024-06-01T00:00:00Z")
    local_index.add(replace(BAZ, version="1.4"), yanked="broken")
    assert compiled(local_index, tmp_path, "baz\n")["baz"]["version"] == "1.3"
    bounded = compiled(local_index, tmp_path, "baz\n", "--exclude-newer", "2024-03-01T00:00:00Z")
    assert bounded["baz"]["version"] == "1.2"


def test_uv_leaves_a_wheel_for_another_python_alone(local_index: LocalIndex, tmp_path: Path) -> None:
    local_index.add(
        replace(BAZ, version="1.2", python_tag="cp311", abi_tag="cp311", platform_tag="linux_x86_64")
    )
    local_index.add(
        replace(BAZ, version="1.3", python_tag="cp310", abi_tag="cp310", platform_tag="linux_x86_64")
    )
    local_index.add(replace(BAZ, version="1.4", requires_python=">=3.12"))
    assert compiled(local_index, tmp_path, "baz\n")["baz"]["version"] == "1.2"
    assert compiled(local_index, tmp_path, "baz\n", python="3.10")["baz"]["version"] == "1.3"
    assert compiled(local_index, tmp_path, "baz\n", python="3.12")["baz"]["version"] == "1.4"


def test_pip_downloads_by_hash_from_both_kinds_of_index(local_index: LocalIndex, tmp_path: Path) -> None:
    root = local_index.add_root(pytorch_root("cpu"))
    wheels = [
        local_index.add(FOO),
        local_index.add(BAZ),
        local_index.add(replace(BAZ, version="2+cpu"), root),
    ]
    lock = tmp_path / "lock.txt"
    for chosen, options in ((wheels[:2], []), (wheels[2:], ["--extra-index-url", local_index.url(root)])):
        lock.write_text("".join(f"{wheel.requirement}\n" for wheel in chosen))
        command = [*pip_command(), "download", "--no-deps", "--require-hashes", *options]
        result = run([*command, "-r", str(lock), "-d", str(tmp_path)], pip_environment(local_index, tmp_path))
        assert result.returncode == 0, result.stderr
        for wheel in chosen:
            assert (tmp_path / wheel.filename).read_bytes() == wheel.path.read_bytes()
    assert local_index.log.wheel_downloads() == {wheel.filename: 1 for wheel in wheels}


def test_pip_refuses_a_wheel_that_is_not_the_one_of_the_lock(local_index: LocalIndex, tmp_path: Path) -> None:
    wheel = local_index.add(BAZ)
    other = build_wheel(replace(BAZ, files={"baz.py": b"y = 3\n"}))
    lock = tmp_path / "lock.txt"
    lock.write_text(f"{wheel.requirement}\n")
    command = [
        *pip_command(),
        "download",
        "--no-deps",
        "--require-hashes",
        "-r",
        str(lock),
        "-d",
        str(tmp_path),
    ]
    with local_index.fault(substitute("*.whl", other, times=None)):
        result = run(command, pip_environment(local_index, tmp_path))
    assert result.returncode != 0
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in result.stderr
    assert wheel.sha256 in result.stderr


@pytest.mark.parametrize(
    "fault",
    [
        reset("*.whl"),
        reset("*.whl", after_bytes=100_000),
        truncate("*.whl", after_bytes=100_000),
        status("*.whl", code=500),
        status("/simple/*", code=503),
        drip("*.whl", bytes_per_s=400_000),
        latency(delay_s=0.1),
    ],
    ids=lambda fault: f"{fault.kind.name.lower()}-{fault.after_bytes}",
)
def test_uv_gets_over_a_passing_fault(local_index: LocalIndex, tmp_path: Path, fault: Fault) -> None:
    wheel = local_index.add(FOO)
    with local_index.fault(fault):
        result = installed(local_index, tmp_path, [wheel])
    assert result.returncode == 0, result.stderr
    assert (site_packages(tmp_path) / "foo/data.bin").read_bytes() == bytes(200_000)
    assert local_index.log.wheel_downloads() == {wheel.filename: 1}


def test_uv_times_out_on_a_stalled_download_and_tries_again(local_index: LocalIndex, tmp_path: Path) -> None:
    wheel = local_index.add(FOO)
    with local_index.fault(stall("*.whl", delay_s=600, after_bytes=1000)):
        result = installed(local_index, tmp_path, [wheel], UV_HTTP_TIMEOUT="5")
    assert result.returncode == 0, result.stderr
    assert local_index.log.wheel_attempts() == {wheel.filename: 2}
    assert local_index.log.wheel_downloads() == {wheel.filename: 1}


def test_uv_names_both_hashes_of_a_wheel_with_another_content(
    local_index: LocalIndex, tmp_path: Path
) -> None:
    wheel = local_index.add(BAZ)
    other = build_wheel(replace(BAZ, files={"baz.py": b"y = 3\n"}))
    assert len(other) == wheel.size_bytes
    with local_index.fault(substitute("*.whl", other, times=None)):
        result = installed(local_index, tmp_path, [wheel])
    assert result.returncode != 0
    assert "Hash mismatch" in result.stderr
    assert wheel.sha256 in result.stderr
    assert hashlib.sha256(other).hexdigest() in result.stderr
    assert not (site_packages(tmp_path) / "baz.py").exists()


def test_uv_refuses_a_wheel_with_one_wrong_byte(local_index: LocalIndex, tmp_path: Path) -> None:
    wheel = local_index.add(FOO)
    with local_index.fault(corrupt("*.whl", times=None)):
        result = installed(local_index, tmp_path, [wheel])
    assert result.returncode != 0
    assert wheel.filename in result.stderr or "foo-bar" in result.stderr
    assert not (site_packages(tmp_path) / "foo").exists()


@pytest.mark.parametrize("way", ["lost", "removed", "down"])
def test_uv_fails_where_the_wheel_of_a_lock_cannot_be_had(
    local_index: LocalIndex, tmp_path: Path, way: str
) -> None:
    wheel = local_index.add(FOO)
    if way == "lost":
        local_index.repository.lose(wheel.filename)
    elif way == "removed":
        local_index.repository.remove(wheel.filename)
    else:
        local_index.go_down_after(1)
    result = installed(local_index, tmp_path, [wheel], UV_HTTP_RETRIES="1")
    assert result.returncode != 0
    assert re.search(r"foo[-_.]bar", result.stderr, re.IGNORECASE)
    assert not local_index.log.wheel_downloads()


def test_uv_outlives_an_index_that_is_down_for_a_moment(local_index: LocalIndex, tmp_path: Path) -> None:
    wheel = local_index.add(FOO)
    local_index.go_down_after(1, for_s=0.5)
    result = installed(local_index, tmp_path, [wheel], UV_HTTP_RETRIES="10")
    assert result.returncode == 0, result.stderr
    assert local_index.log.wheel_downloads() == {wheel.filename: 1}


def test_a_truncated_archive_is_refused_though_its_hash_is_right(
    local_index: LocalIndex, tmp_path: Path
) -> None:
    wheel = local_index.add(replace(FOO, damage=Damage(truncated_to_bytes=1000)))
    result = installed(local_index, tmp_path, [wheel])
    assert result.returncode != 0
    assert "foo" in result.stderr


@pytest.mark.parametrize(
    ("damage", "recorded"),
    [
        (Damage(escaping={"../../../escaped.txt": b"escaped"}), []),
        (Damage(escaping={"/monobase-escaped.txt": b"escaped"}), []),
        (Damage(unrecorded={"extra.py": b""}), ["extra.py,,0"]),
        (
            Damage(symlinks={"link.txt": "/etc/hostname"}),
            ["link.txt,sha256=e36HPYJGLk7eTPpc6HMpGwd-xFJ3z5vT0nUBecg5dHU,13"],
        ),
        (
            Damage(wrong_hashes=frozenset({"baz.py"})),
            ["baz.py,sha256=Yol9vRsK1cu_uBtezMGRqttJHs7LkM8K6zYYJ8y_11M,6"],
        ),
    ],
    ids=["parent", "absolute", "unrecorded", "symlink", "wrong-hash"],
)
def test_uv_installs_a_wheel_whose_record_is_wrong_and_says_nothing(
    local_index: LocalIndex, tmp_path: Path, damage: Damage, recorded: list[str]
) -> None:
    # What uv does not say, whoever installs with it has to find out; this fails when uv starts to say it. It
    # drops members that escape, from the tree and from RECORD; adds unrecorded ones to RECORD without a hash;
    # keeps a wrong hash; and makes a symbolic link a file that holds the target.
    wheel = local_index.add(replace(BAZ, damage=damage))
    result = installed(local_index, tmp_path, [wheel])
    assert (result.returncode, "warning" in result.stderr) == (0, False)
    packages = site_packages(tmp_path)
    record = (packages / "baz-1.2.dist-info/RECORD").read_text().splitlines()
    right = "baz.py,sha256=9GmEJ2PbOYEHB2T5aLvHecsHefMm44a5m740MfjzDEk,6"
    if not damage.wrong_hashes:
        recorded = [right, *recorded]
    assert [line for line in record if not line.startswith("baz-1.2.dist-info/")] == recorded
    assert not Path("/monobase-escaped.txt").exists()
    assert not list(tmp_path.rglob("*escaped.txt"))
    assert not [path for path in packages.rglob("*") if path.is_symlink()]


def test_uv_lets_one_of_two_wheels_win_a_path_that_both_bring(
    local_index: LocalIndex, tmp_path: Path
) -> None:
    one = local_index.add(WheelSpec("one", "1", files={"shared/data.txt": b"one"}))
    two = local_index.add(WheelSpec("two", "1", files={"shared/data.txt": b"two"}))
    result = installed(local_index, tmp_path, [one, two])
    assert result.returncode == 0, result.stderr
    assert (site_packages(tmp_path) / "shared/data.txt").read_bytes() in {b"one", b"two"}
    for name in ("one", "two"):
        assert "shared/data.txt" in (site_packages(tmp_path) / f"{name}-1.dist-info/RECORD").read_text()


def test_the_environment_of_the_caller_does_not_reach_uv_or_pip(
    local_index: LocalIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "UV_OFFLINE",
        "UV_INDEX",
        "PIP_FIND_LINKS",
        "PYTHONHOME",
        "VIRTUAL_ENV",
        "http_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.setenv(name, "1")
    for environment in (uv_environment(local_index, tmp_path), pip_environment(local_index, tmp_path)):
        assert (
            not {"UV_OFFLINE", "UV_INDEX", "PIP_FIND_LINKS", "PYTHONHOME", "http_proxy", "ALL_PROXY"}
            & environment.keys()
        )
        assert environment["NO_PROXY"] == "127.0.0.1"
