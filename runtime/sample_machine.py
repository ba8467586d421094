"""A machine with another driver, GPU or libc than the one that runs the tests.

The runtime has no setting that changes where it looks, so that no model can change it either. A test reads a
copy of the runtime's shell files, in which the paths of the machine lead to a folder.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from runtime.sample_prefix import PYTHON, SamplePrefix
from runtime.shells import RUNTIME

CLOSED_DRIVER = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  {}  Sat Aug 19 01:15:15 UTC 2023"
OPEN_DRIVER = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {}  Release Build  (builder@U22-I3-B17)"
)
_GPU = (
    "/proc/driver/nvidia", "/dev/nvidiactl", "/usr/local/cuda", "/usr/local/nvidia/lib64/libcuda",
    "/usr/lib/*-linux-gnu/libcuda",
    "/usr/lib64/libcuda",
)  # fmt: skip
_LIBRARIES = ("/lib64/", "/lib/", "/usr/lib/")


@dataclass(frozen=True, slots=True)
class SampleMachine:
    """A copy of the runtime that looks for the machine in a folder.

    Attributes:
        root: The folder that stands for `/`.
        runtime: The folder of the copy.
    """

    root: Path
    runtime: Path

    @property
    def activate(self) -> Path:
        """Path of the copy of activate.sh."""
        return self.runtime / "activate.sh"

    def write(self, path: str, text: str = "") -> None:
        """Write a file of the machine.

        Args:
            path: Its path on the machine, such as `/dev/nvidiactl`.
            text: What it contains.
        """
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link of the machine."""
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)

    def add_gpu(self, first_line: str | None, model: str = "NVIDIA H200") -> None:
        """Add a GPU to the machine.

        Args:
            first_line: Of the driver's `version`; None for a sandbox that hides that file.
            model: Name of the GPU.
        """
        self.write("/dev/nvidiactl")
        self.write(
            "/proc/driver/nvidia/gpus/0000:17:00.0/information", f"Model: \t\t {model}\nIRQ:   \t\t 1\n"
        )
        if first_line is not None:
            self.write("/proc/driver/nvidia/version", f"{first_line}\nGCC version:  gcc version 12.3.0\n")


def make_sample_machine(folder: Path, *, gpu: bool = True, libraries: bool = False) -> SampleMachine:
    """Copy the runtime's shell files, and lead their paths to an empty machine.

    Args:
        folder: Where to.
        gpu: Whether GPU and driver are those of the sample.
        libraries: Whether the libc and the loader are those of the sample.

    Returns:
        The machine.
    """
    machine = SampleMachine(folder / "root", folder / "runtime")
    machine.runtime.mkdir(parents=True)
    paths = (_GPU if gpu else ()) + (_LIBRARIES if libraries else ())
    pattern = re.compile(rf"(?<=[\s\"=<])(?={'|'.join(map(re.escape, paths))})")
    for source in [RUNTIME / "activate.sh", RUNTIME / "exec", *RUNTIME.glob("*/*.sh")]:
        copy = machine.runtime / source.relative_to(RUNTIME)
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(pattern.sub(str(machine.root), source.read_text()))
        shutil.copymode(source, copy)
    return machine


def make_offer(
    root: Path, torch: str, builds: dict[str, str], *lines: str, missing: tuple[str, ...] = ()
) -> SamplePrefix:
    """Make a prefix of one generation with builds of one Torch; its environments have nothing but a Python.

    Args:
        root: The prefix.
        torch: The Torch.
        builds: CUDA (or `-`) by build.
        lines: Further lines of the list, with the platform first.
        missing: Builds that are not installed.

    Returns:
        The prefix.
    """
    prefix = SamplePrefix(root, root)
    generation = prefix.generation("g00001")
    generation.lines[2:] = [*lines, f"python {PYTHON} {PYTHON}.9"]
    for build, cuda in builds.items():
        name = f"python{PYTHON}-torch{torch}-{build}"
        state = "missing" if build in missing else "ready"
        generation.offer("environment", name, state, PYTHON, f"{PYTHON}.9", torch, build, cuda)
        if state == "ready":
            (generation.folder / name / "bin").mkdir(parents=True)
            (generation.folder / name / "bin" / "python").symlink_to(prefix.python)
    generation.write()
    (root / "monobase" / "latest").symlink_to("g00001")
    return prefix
