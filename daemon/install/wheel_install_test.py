"""uv installs the wheels of a lock from its cache, wherever they came from, and records no origin."""

import contextlib
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest

from daemon.errors import IndexAccessError, WheelContentError
from daemon.install.wheel_install import install_wheels
from daemon.prefix.staging import begin_staging
from daemon.uv.cache import find_archive
from tests.fake_prefix.fake_prefix import SITE_PACKAGES, FakePrefix
from tests.fake_uv.fake_uv import FakeUv, fake_interpreter, wanted_tree
from tests.index.wheel import Wheel
from tests.synthetic.catalog import environment_cell, locked_wheel


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    begin_staging(fake.prefix)
    return fake


def _install(fake: FakePrefix, uv: FakeUv, *wheels: Wheel) -> Path:
    fake.define(0, environment_cell(wheels))
    tree = fake.prefix.staging / "tree"
    interpreter = fake_interpreter(fake)
    uv.run("venv", "--python", interpreter.executable, tree)
    install_wheels(uv, wanted_tree(fake, 0), tree, interpreter)
    return tree / SITE_PACKAGES


def _from_a_folder(fake: FakePrefix, wheel: Wheel) -> None:
    """Make the cache entry of a wheel one of a folder: uv notes the time of its file."""
    pointer = next(fake.prefix.uv_cache.rglob(f"{wheel.spec.name}/*.http"))
    pointer.rename(pointer.with_suffix(".rev"))


def test_uv_is_given_each_wheel_by_its_hash_and_no_dependency(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    packages = _install(fake, uv, fake.wheel("alpha"), fake.wheel("beta"))
    assert (packages / "alpha.py").is_file()
    assert (packages / "beta.py").is_file()
    (command,) = [words for words in uv.calls if "--require-hashes" in words and "--target" not in words]
    assert {"--no-deps", "--no-build"} <= set(command)


def test_the_wheels_of_a_folder_are_installed_offline_beside_those_of_an_index(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    alpha, beta = fake.wheel("alpha"), fake.wheel("beta")
    _from_a_folder(fake, beta)
    packages = _install(fake, uv, alpha, beta)
    assert (packages / "alpha.py").is_file()
    assert (packages / "beta.py").is_file()
    assert [words[0] for words in uv.calls if "--require-hashes" in words][-1] == "--offline"


def test_the_time_of_a_file_in_a_folder_is_in_no_environment(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    beta = fake.wheel("beta")
    _from_a_folder(fake, beta)

    def note_the_time(tree: Path) -> None:
        information = tree / SITE_PACKAGES / "beta-1.0.dist-info"
        (information / "uv_cache.json").write_text('{"timestamp": 1}')
        with (information / "RECORD").open("a") as file:
            file.write("beta-1.0.dist-info/uv_cache.json,sha256=x,16\n")

    uv.after["install"] = note_the_time
    information = _install(fake, uv, beta) / "beta-1.0.dist-info"
    assert not (information / "uv_cache.json").exists()
    assert (information / "RECORD").read_text() == "beta-1.0.dist-info/INSTALLER,,\n"


def test_a_wheel_that_the_cache_lost_is_named_before_uv_runs(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    alpha = fake.wheel("alpha", cached=False)
    with pytest.raises(WheelContentError, match=rf"{alpha.filename}: is no longer in uv's cache"):
        _install(fake, uv, alpha)


def test_a_wheel_that_uv_asks_the_index_for_is_dropped_from_the_cache_and_named(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    alpha, beta = fake.wheel("alpha"), fake.wheel("beta")

    def ask_for_alpha(variables: Mapping[str, str]) -> None:
        proxy = urllib.request.ProxyHandler({"http": variables["HTTP_PROXY"]})
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.build_opener(proxy).open(f"http://monobase.invalid/wheels/x/{alpha.filename}")
        raise IndexAccessError("404")

    uv.before_install = ask_for_alpha
    with pytest.raises(IndexAccessError, match=rf"^{alpha.filename}: .*run the same command again"):
        _install(fake, uv, alpha, beta)
    assert find_archive(fake.prefix.uv_cache, locked_wheel(alpha)) is None
    assert find_archive(fake.prefix.uv_cache, locked_wheel(beta)) is not None


def test_a_failure_that_no_wheel_is_to_blame_for_stays_as_it_is(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    alpha = fake.wheel("alpha")

    def fail(_: Mapping[str, str]) -> None:
        raise IndexAccessError("a reason of uv's")

    uv.before_install = fail
    with pytest.raises(IndexAccessError, match=r"^a reason of uv's$"):
        _install(fake, uv, alpha)
    assert find_archive(fake.prefix.uv_cache, locked_wheel(alpha)) is not None


def test_wheels_of_a_folder_that_uv_does_not_find_are_dropped(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    beta = fake.wheel("beta")
    _from_a_folder(fake, beta)

    def fail(_: Path) -> None:
        raise IndexAccessError("the folder is gone")

    uv.after["install"] = fail
    with pytest.raises(IndexAccessError, match=beta.filename):
        _install(fake, uv, beta)
    assert find_archive(fake.prefix.uv_cache, locked_wheel(beta)) is None


def test_two_wheels_of_one_file_name_are_each_found_by_its_digest(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    first = fake.wheel("alpha", files={"alpha.py": b"first = 1\n"})
    fake.define(0, environment_cell([first]))
    packages = _install(fake, uv, first)
    assert (packages / "alpha.py").read_bytes() == b"first = 1\n"
    second = fake.wheel("alpha", files={"alpha.py": b"second = 2\n"})
    fake.define(1, environment_cell([second]))
    tree = fake.prefix.staging / "other"
    uv.run("venv", "--python", fake_interpreter(fake).executable, tree)
    install_wheels(uv, wanted_tree(fake, 1), tree, fake_interpreter(fake))
    assert (tree / SITE_PACKAGES / "alpha.py").read_bytes() == b"second = 2\n"
