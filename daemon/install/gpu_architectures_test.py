"""The GPU architectures of a Torch build, from its library."""

import gzip
from pathlib import Path

import pytest

from daemon.install.gpu_architectures import LIBRARY, library_architectures, record_architectures
from daemon.prefix.gpu_architectures import architectures_path, read_architectures
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.index.wheel import Wheel
from tests.synthetic.catalog import locked_wheel

_SEVEN = ("sm_70", "sm_75", "sm_80", "sm_86", "sm_90a", "sm_100", "compute_120")
# Beside the list, as in Torch's library: names of kernels, messages, and a name at the end of another text.
_AROUND = (
    b"\x7fELF\0\0gemm_sm_90_kernel\0unknown sm_\0_cxx11_abi_1\0\0",
    b"\0at\0Found GPU%d sm_80\0sm_x\0sm_",
)


def _library(path: Path, *lists: str) -> Path:
    constants = b"\0pad\0".join(names.encode() for names in lists)
    path.write_bytes(_AROUND[0] + constants + _AROUND[1])
    return path


@pytest.mark.parametrize(
    ("lists", "found"),
    [
        ([" ".join(_SEVEN)], _SEVEN),
        (["sm_90"], ("sm_90",)),
        (["compute_90 sm_90"], ("compute_90", "sm_90")),
        (["sm_80 sm_90", "sm_80 sm_90"], ("sm_80", "sm_90")),
        ([], ()),
        (["sm_80 sm_90", "sm_80"], None),
    ],
)
def test_the_list_between_two_zero_bytes_is_read(
    tmp_path: Path, lists: list[str], found: tuple[str, ...] | None
) -> None:
    assert library_architectures(_library(tmp_path / "library", *lists)) == found


class _Site:
    """A prefix with Torch wheels in uv's cache."""

    def __init__(self, directory: Path) -> None:
        self.fake = FakePrefix(directory)
        self.said: list[str] = []

    def torch(self, version: str, *lists: str) -> Wheel:
        library = _library(self.fake.directory / "library", *lists)
        return self.fake.wheel("torch", version, files={LIBRARY: library.read_bytes()})

    def record(self, *wheels: Wheel) -> None:
        locked = [locked_wheel(wheel) for wheel in wheels]
        record_architectures(self.fake.prefix, locked, self.said.append)

    def recorded(self, wheel: Wheel) -> tuple[str, ...] | None:
        return read_architectures(self.fake.prefix, wheel.sha256)


@pytest.fixture
def site(tmp_path: Path) -> _Site:
    return _Site(tmp_path)


def test_each_torch_wheel_is_recorded_once_and_no_other_wheel(site: _Site) -> None:
    cuda, cpu = site.torch("2.14.0", "sm_80 sm_90"), site.torch("2.14.1")
    other = site.fake.wheel("alpha", files={LIBRARY: b"\0sm_90\0"})
    site.record(cuda, cpu, other)
    assert [site.recorded(wheel) for wheel in (cuda, cpu, other)] == [("sm_80", "sm_90"), (), None]
    inode = architectures_path(site.fake.prefix, cuda.sha256).stat().st_ino
    site.record(cuda)
    assert architectures_path(site.fake.prefix, cuda.sha256).stat().st_ino == inode
    assert site.said == []


def test_a_wheel_without_a_readable_list_is_reported_and_stops_nothing(site: _Site) -> None:
    several = site.torch("2.14.0", "sm_80", "sm_90")
    without = site.fake.wheel("torch", "2.14.1")
    absent = site.fake.wheel("torch", "2.14.2", cached=False)
    good = site.torch("2.15.0", "sm_90")
    site.record(several, without, absent, good)
    assert site.recorded(good) == ("sm_90",)
    assert [site.recorded(wheel) for wheel in (several, without, absent)] == [None, None, None]
    reasons = [f"{LIBRARY} holds several lists", "No such file or directory", "is not in uv's cache"]
    assert len(site.said) == len(reasons)
    for said, wheel, reason in zip(site.said, (several, without, absent), reasons, strict=True):
        assert said.startswith(f"{wheel.filename}: its GPU architectures are unknown: ")
        assert reason in said


def test_a_damaged_record_is_replaced_and_a_newer_one_is_left(site: _Site) -> None:
    damaged, newer = site.torch("2.14.0", "sm_80"), site.torch("2.15.0", "sm_90")
    architectures_path(site.fake.prefix, damaged.sha256).write_bytes(b"junk")
    content = gzip.compress(b"monobase-architectures 2\n")
    architectures_path(site.fake.prefix, newer.sha256).write_bytes(content)
    site.record(damaged, newer)
    assert site.recorded(damaged) == ("sm_80",)
    assert architectures_path(site.fake.prefix, newer.sha256).read_bytes() == content
    assert site.said == []
