"""Machine code and PTX by the capability of a GPU."""

import pytest

from runtime.diagnosis.architectures import Code, code_for

TORCH = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120")


@pytest.mark.parametrize(
    ("capability", "architectures", "code"),
    [
        ((8, 0), TORCH, "machine code"),
        ((8, 9), TORCH, "machine code"),  # of sm_86
        ((8, 7), ("sm_89",), "none"),
        ((9, 0), TORCH, "machine code"),
        ((7, 0), TORCH, "none"),
        ((10, 3), TORCH, "machine code"),
        ((12, 1), TORCH, "machine code"),
        ((13, 0), TORCH, "PTX"),
        ((11, 0), TORCH, "none"),
        ((9, 0), ("sm_90a",), "machine code"),
        ((10, 3), ("sm_100a",), "none"),
        ((10, 3), ("sm_100f",), "machine code"),
        ((9, 0), ("compute_80",), "PTX"),
        ((7, 5), ("compute_80",), "none"),
        ((10, 0), ("compute_90a",), "none"),
        ((9, 0), ("compute_80", "sm_90"), "machine code"),
        ((9, 0), (), "none"),
        ((9, 0), ("gfx90a", ""), "none"),
    ],
)
def test_a_gpu_runs_code_of_its_own_major_version_and_what_the_driver_compiles(
    capability: tuple[int, int], architectures: tuple[str, ...], code: Code
) -> None:
    assert code_for(capability, architectures) == code
