"""The driver, and what an environment needs."""

from pathlib import Path

import pytest

from runtime.diagnosis.driver import Driver, check_driver, minimum_driver, read_driver
from runtime.diagnosis.offer import Offer
from runtime.sample_machine import CLOSED_DRIVER, OPEN_DRIVER, SampleMachine

OFFER = Offer("g00003", "sealed", drivers={"13.0": "580.70"})


@pytest.fixture
def machine(tmp_path: Path) -> SampleMachine:
    return SampleMachine(tmp_path, tmp_path)


@pytest.mark.parametrize("line", [CLOSED_DRIVER, OPEN_DRIVER])
def test_the_version_is_read_from_proc(machine: SampleMachine, line: str) -> None:
    machine.add_gpu(line.format("570.211.01"))

    assert read_driver(machine.root) == Driver("570.211.01", "/proc/driver/nvidia/version", has_device=True)


@pytest.mark.parametrize(
    ("word", "version"),
    [
        ("580.65.06-grid", "580.65.06"), ("580.65.06+vgpu", "580.65.06"), ("580.65.06\r", "580.65.06"),
        ("580", None), ("5x.1", None), ("", None), ("\r", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("blank", [" ", "\t"])
def test_a_version_is_read_as_activation_reads_it(
    machine: SampleMachine, word: str, version: str | None, blank: str
) -> None:
    machine.add_gpu(f"NVRM version:  Kernel Module  {word}".replace(" ", blank))

    assert read_driver(machine.root).version == version


def test_where_proc_hides_it_the_library_tells_the_version(machine: SampleMachine) -> None:
    machine.add_gpu(None)
    machine.write("/usr/lib/x86_64-linux-gnu/libcuda.so.580.159.03")
    machine.write("/usr/lib/x86_64-linux-gnu/libcuda.so.1")

    found = read_driver(machine.root)

    assert found == Driver("580.159.03", "/usr/lib/x86_64-linux-gnu/libcuda.so.580.159.03", has_device=True)


def test_a_machine_without_a_driver_has_none(machine: SampleMachine) -> None:
    assert read_driver(machine.root) == Driver(None, None, has_device=False)


def test_the_list_says_what_a_cuda_needs_and_nvidias_table_what_it_does_not_say() -> None:
    assert minimum_driver("13.0", OFFER) == "580.70"
    assert minimum_driver("12.8", OFFER) == "525.60.13"
    assert minimum_driver("13.0", None) == "580.65.06"
    assert minimum_driver("99.0", None) is None


@pytest.mark.parametrize(
    ("driver", "cuda", "compat", "state", "found"),
    [
        (Driver("580.70.01", "/p", True), "13.0", None, "ok", "580.70.01 (/p); CUDA 13.0 needs 580.70"),
        (
            Driver("580.65.06", "/p", True),
            "13.0",
            None,
            "problem",
            "580.65.06 (/p); CUDA 13.0 needs 580.70 or",
        ),
        (Driver(f"580.{'9' * 5000}", "/p", True), "13.0", None, "ok", "; CUDA 13.0 needs 580.70"),
        (Driver(f"{'0' * 5000}570.9", "/p", True), "13.0", None, "problem", "; CUDA 13.0 needs 580.70"),
        (Driver("535.1", "/p", True), "13.0", "/compat", "note", "completed by /compat"),
        (Driver("535.1", "/p", True), None, None, "ok", "535.1 (/p)"),
        (
            Driver("535.1", "/p", False),
            "13.0",
            None,
            "warning",
            "535.1 on the node, but this container has no GPU",
        ),
        (Driver(None, None, False), "13.0", None, "warning", "no NVIDIA driver, and no GPU"),
        (Driver(None, None, False), None, None, "ok", "no NVIDIA driver, and no GPU"),
        (Driver(None, None, True), "13.0", None, "note", "of an unknown version"),
    ],
)
def test_a_driver_is_compared_with_the_environment(
    driver: Driver, cuda: str | None, compat: str | None, state: str, found: str
) -> None:
    finding = check_driver(driver, cuda, OFFER, compat)

    assert finding.state == state
    assert found in finding.found
    assert bool(finding.advice) == (state in ("problem", "warning"))


@pytest.mark.parametrize("driver", [Driver(None, None, False), Driver("580.70", "/p", False)])
def test_the_build_for_cpus_is_advised_only_where_there_is_one(driver: Driver) -> None:
    with_one = check_driver(driver, "13.0", OFFER, None, "2.13.0+cpu")
    without = check_driver(driver, "13.0", OFFER, None, None)

    assert "TORCH_VERSION=2.13.0+cpu is the smaller build" in with_one.advice[1]
    assert [line for line in without.advice if "+cpu" in line or "TORCH_VERSION" in line] == []
