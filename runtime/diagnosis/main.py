"""The command that `doctor` runs: `main(RUNTIME, ARGUMENTS)`."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .activation import Activation, activate, check_activation, check_python, run, run_activated
from .driver import Driver, check_driver, read_driver
from .finding import Finding, has_problem
from .folders import check_folders
from .gpu_check import check_cuda, check_gpus
from .gpus import Cuda, parse_cuda
from .image import check_image, glibc_version
from .layer import check_layer
from .lease import check_lease
from .offer import Listed, Offer, read_offer
from .prefix import check_prefix, generation_folder
from .report import as_json, as_table

_OF_MONOBASE = ("PYTHON_VERSION", "MONOBASE_STACK", "TORCH_VERSION", "CUDA_VERSION", "CUDNN_VERSION")
_OF_OTHERS = (
    "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "LD_PRELOAD",
    "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV",
)  # fmt: skip
_DOES_NOT_FIT = (71, 78)
# In a process of its own, whose loader knows the activated LD_LIBRARY_PATH.
_GPUS = "import sys; sys.path.insert(0, sys.argv[1]); from diagnosis.gpus import main; main()"


@dataclass(frozen=True, slots=True)
class Patient:
    """All that the doctor found out before it judges.

    Attributes:
        variables: The variables of the container.
        activation: What the activation did.
        after: The variables after the activation, even one that was refused because of the driver or image.
        offer: What the generation offers, or None.
        listed: The environment as the list has it, or None.
        driver: The driver.
        cuda: What CUDA's driver library says.
        generation: The generation's folder, or None.
    """

    variables: Mapping[str, str]
    activation: Activation
    after: Mapping[str, str]
    offer: Offer | None
    listed: Listed | None
    driver: Driver
    cuda: Cuda
    generation: Path | None


def main(runtime: Path, arguments: Sequence[str]) -> int:
    """Examine this container, and print what was found.

    Args:
        runtime: The runtime's folder.
        arguments: `--json`, or nothing.

    Returns:
        The exit code: 1 if something keeps a model from running.
    """
    patient = examine(runtime, dict(os.environ))
    findings = list(judge(runtime, patient))
    text = as_json(findings, _facts(patient)) if "--json" in arguments else as_table(findings)
    sys.stdout.write(text)
    return 1 if has_problem(findings) else 0


def examine(runtime: Path, variables: Mapping[str, str]) -> Patient:
    """Find out what the container has.

    Args:
        runtime: The runtime's folder.
        variables: The variables of the container.

    Returns:
        What it has.
    """
    activation = activate(runtime, variables)
    fitting = activation
    if activation.code in _DOES_NOT_FIT:
        fitting = activate(runtime, {**variables, "MONOBASE_FIT": "warn"})
    generation = generation_folder(variables, fitting.environment)
    offer = None if generation is None else read_offer(generation)
    listed = None
    if offer is not None and fitting.environment is not None:
        listed = offer.environments.get(fitting.environment.name)
    return Patient(
        variables, activation, fitting.variables or variables, offer, listed, read_driver(),
        _ask_cuda(runtime, variables), generation,
    )  # fmt: skip


def _ask_cuda(runtime: Path, variables: Mapping[str, str]) -> Cuda:
    command = [sys.executable, "-I", "-B", "-c", _GPUS, str(runtime)]
    code, printed, said = run_activated(runtime, command, {**variables, "MONOBASE_FIT": "warn"})
    if code != 0:
        # Nothing can be activated: the library as the image finds it.
        code, printed, said = run(command, variables)
    return parse_cuda(printed) if code == 0 else Cuda(False, error_text=f"exit code {code}: {said[-300:]}")


def judge(runtime: Path, patient: Patient) -> Iterator[Finding]:
    """Report what is right and wrong.

    Args:
        runtime: The runtime's folder.
        patient: What the container has.

    Yields:
        The findings, in the order in which a reader wants them.
    """
    cuda = None if patient.listed is None else patient.listed.cuda
    yield _check_variables(patient.variables)
    yield check_prefix(patient.variables, patient.offer)
    yield check_activation(patient.activation)
    python = check_python(runtime, patient.activation, patient.variables)
    if python is not None:
        yield python
    layer = check_layer(patient.variables, patient.activation.environment)
    if layer is not None:
        yield layer
    yield check_image(patient.offer, glibc_version())
    known = cpu_build = None
    if patient.offer is not None and patient.listed is not None:
        known = patient.offer.architectures.get(patient.listed.name)
        cpu_build = patient.offer.cpu_build_of(patient.listed)
    compat = patient.after.get("MONOBASE_CUDA_COMPAT")
    yield check_driver(patient.driver, cuda, patient.offer, compat, cpu_build)
    yield check_cuda(patient.cuda, patient.driver, cuda is not None)
    yield from check_gpus(patient.cuda, cuda, known)
    yield from check_folders(patient.after)
    yield check_lease(
        patient.generation, patient.activation.environment, patient.variables.get("MONOBASE_LEASE", "")
    )


def _shown(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that decide something; others may hold secrets."""
    settings = sorted(name for name in variables if name.startswith("MONOBASE_"))
    names = [*_OF_MONOBASE, *settings, *_OF_OTHERS]
    return {name: variables[name] for name in dict.fromkeys(names) if variables.get(name)}


def _check_variables(variables: Mapping[str, str]) -> Finding:
    found = " ".join(f"{name}={value}" for name, value in _shown(variables).items())
    capabilities = variables.get("NVIDIA_DRIVER_CAPABILITIES", "")
    if capabilities and not {"compute", "all"} & set(capabilities.split(",")):
        return Finding(
            "variables", "warning", found,
            ("NVIDIA_DRIVER_CAPABILITIES needs `compute` (or `all`): else there is no libcuda.so.1.",),
        )  # fmt: skip
    return Finding("variables", "ok", found or "none of those that activation reads is set")


def _facts(patient: Patient) -> dict[str, object]:
    offer, listed = patient.offer, patient.listed
    architectures = None if offer is None or listed is None else offer.architectures.get(listed.name)
    return {
        "variables": _shown(patient.variables),
        "exit_code": patient.activation.code,
        "environment": None if listed is None else asdict(listed),
        "generation": None if offer is None else offer.generation,
        "platform": None if offer is None else offer.platform,
        "glibc": glibc_version(),
        "driver": asdict(patient.driver),
        "cuda": asdict(patient.cuda),
        "architectures": architectures,
    }
