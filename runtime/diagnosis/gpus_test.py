"""The driver's library, by a stand-in for it, and what the doctor says of the GPUs."""

import ctypes
import json
from dataclasses import asdict
from typing import Any

import pytest

from runtime.diagnosis import gpus
from runtime.diagnosis.driver import Driver
from runtime.diagnosis.gpu_check import check_cuda, check_gpus
from runtime.diagnosis.gpus import Cuda, Gpu, parse_cuda, read_cuda

H200 = Gpu("NVIDIA H200", (9, 0), 150_754_820_096)
GIVEN, NOT_GIVEN = Driver("580.1", "/p", True), Driver(None, None, False)


class FakeLibrary:
    """Answers as libcuda.so.1 does: an error number, and the value in the caller's memory."""

    def __init__(self, error: int = 0, cards: tuple[Gpu, ...] = (H200,), version: int = 13000) -> None:
        self.error, self.cards, self.version = error, cards, version

    def cuInit(self, flags: int) -> int:  # noqa: N802
        assert flags == 0
        return self.error

    def cuGetErrorString(self, _error: int, text: Any) -> int:  # noqa: ANN401, N802
        text._obj.value = b"an error, as the driver puts it"
        return 0

    def cuDriverGetVersion(self, number: Any) -> int:  # noqa: ANN401, N802
        number._obj.value = self.version
        return 0

    def cuDeviceGetCount(self, number: Any) -> int:  # noqa: ANN401, N802
        number._obj.value = len(self.cards)
        return 0

    def cuDeviceGet(self, device: Any, number: int) -> int:  # noqa: ANN401, N802
        device._obj.value = number
        return 0

    def cuDeviceGetName(self, name: Any, size: int, device: Any) -> int:  # noqa: ANN401, N802
        name.value = self.cards[device.value].name.encode()[:size]
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:  # noqa: ANN401, N802
        value._obj.value = self.cards[device.value].capability[{75: 0, 76: 1}[attribute]]
        return 0

    def cuDeviceTotalMem_v2(self, size: Any, device: Any) -> int:  # noqa: ANN401, N802
        size._obj.value = self.cards[device.value].memory_bytes
        return 0


def read(monkeypatch: pytest.MonkeyPatch, library: FakeLibrary) -> Cuda:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: library)
    return read_cuda()


def test_every_gpu_is_reported_with_its_capability_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Gpu("NVIDIA L4", (8, 9), 24_000_000_000)

    found = read(monkeypatch, FakeLibrary(cards=(H200, other), version=12080))

    assert found == Cuda(True, 0, "", "12.8", (H200, other))


def test_an_error_of_cuda_is_reported_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, FakeLibrary(803)) == Cuda(True, 803, "an error, as the driver puts it", "13.0")


def test_a_library_that_is_missing_is_reported() -> None:
    found = read_cuda("libcuda-that-nobody-has.so.1")

    assert not found.loaded
    assert "libcuda-that-nobody-has.so.1" in found.error_text


def test_the_report_of_another_process_is_read_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = read(monkeypatch, FakeLibrary())
    gpus.main()

    printed = capsys.readouterr().out
    assert parse_cuda(printed) == found
    assert json.loads(printed) == json.loads(json.dumps(asdict(found)))


@pytest.mark.parametrize(
    ("cuda", "driver", "needs", "state", "text"),
    [
        (Cuda(True, version="13.0", gpus=(H200,)), GIVEN, True, "ok", "runs CUDA up to 13.0; GPUs: 1"),
        (Cuda(True), GIVEN, True, "warning", "sees no GPU"),
        (Cuda(True, 803, "mismatch"), GIVEN, True, "problem", "error 803, mismatch"),
        (Cuda(True, 100, "no device"), NOT_GIVEN, True, "note", "error 100, no device"),
        (Cuda(False, error_text="not found"), GIVEN, True, "problem", "cannot be loaded: not found"),
        (Cuda(False, error_text="not found"), NOT_GIVEN, True, "note", "there is no GPU"),
        (Cuda(False, error_text="not found"), NOT_GIVEN, False, "ok", "there is no GPU"),
    ],
)
def test_cuda_that_does_not_start_is_a_problem_where_there_is_a_gpu(
    cuda: Cuda, driver: Driver, needs: bool, state: str, text: str
) -> None:
    finding = check_cuda(cuda, driver, needs)

    assert finding.state == state
    assert text in finding.found
    assert finding.advice or state != "problem"


@pytest.mark.parametrize(
    ("build", "architectures", "version", "state", "text"),
    [
        (
            "13.0",
            ("sm_80", "sm_90"),
            "13.0",
            "ok",
            "NVIDIA H200, 140.4 GiB, capability 9.0; Torch has code for",
        ),
        ("13.0", None, "13.0", "ok", "is not recorded"),
        (None, None, "13.0", "note", "does not use it"),
        ("12.8", ("sm_100", "compute_80"), "13.0", "note", "compiles it for this GPU at the first start"),
        ("13.0", ("sm_100", "compute_80"), "12.8", "problem", "as PTX of CUDA 13.0"),
        ("13.0", ("sm_100", "sm_120"), "13.0", "problem", "nothing that this GPU runs"),
    ],
)
def test_a_gpu_is_compared_with_what_torch_has_code_for(
    build: str | None, architectures: tuple[str, ...] | None, version: str, state: str, text: str
) -> None:
    (finding,) = check_gpus(Cuda(True, version=version, gpus=(H200,)), build, architectures)

    assert (finding.subject, finding.state) == ("gpu 0", state)
    assert text in finding.found
    assert finding.advice or state != "problem"
