"""A small environment with a toolkit: its generation, wheels, and an archive of an interpreter."""

import json
from dataclasses import dataclass
from pathlib import Path

from layers.lock import content_digest, format_layer_lock, lock_digest
from tests.index.cuda_set import toolkit_wheels
from tests.index.interpreter_archive import archive_entry, write_interpreter
from tests.index.payload import filler
from tests.index.wheel import WheelSpec, write_wheel
from tests.layer.sample_lock import sample_lock
from tests.synthetic.catalog import (
    PLATFORM,
    PYTHON_FULL,
    environment_cell,
    locked_wheel,
    toolkit_cell,
    write_catalog,
)

GENERATION, ENVIRONMENT, TOOLKIT = 2, "python3.11-torch2.13.0-cu130", "cuda13.0"
_LARGE_BYTES = 9_000_000
_ARCHIVE = "cpython.tar.gz"


@dataclass(frozen=True, slots=True)
class SampleEnvironment:
    """Files that an image with an environment is made of.

    Attributes:
        gens: Folder of the definition and the locks.
        wheels: The wheels.
        interpreter: The archive, and the list that names it.
        lock: The lock of a layer on the environment.
        layer_wheels: Folder of its wheels.
    """

    gens: Path
    wheels: tuple[Path, ...]
    interpreter: tuple[Path, Path]
    lock: Path
    layer_wheels: Path


def write_sample_environment(folder: Path) -> SampleEnvironment:
    """Write an environment with Torch, a large wheel, a toolkit with wheels of the environment, and a layer.

    Args:
        folder: An existing folder.

    Returns:
        Its files.
    """
    wheels, python = folder / "wheels", folder / "python"
    for path in (wheels, python):
        path.mkdir()
    code = b"NAME = 'torch in the image'\ndef run(): print(NAME)\n"
    torch = WheelSpec(
        "torch", "2.13.0",
        files={"torch/__init__.py": code, "torch/lib/libtorch.so": filler("torch", _LARGE_BYTES)},
        console_scripts={"torchrun": "torch:run"},
    )  # fmt: skip
    toolkit = [write_wheel(spec, wheels) for spec in toolkit_wheels("13.0.2")]
    shared = [wheel for wheel in toolkit if "cublas" in wheel.filename]
    small = WheelSpec("small", "1.0", files={"small.py": b"NAME = 'small'\n"})
    locked = [write_wheel(spec, wheels) for spec in (torch, small)]
    cells = [
        environment_cell([*locked, *shared], "2.13.0", "cu130", python=PYTHON_FULL),
        toolkit_cell(toolkit, "13.0.2"),
    ]
    gens = write_catalog(folder / "gens", {GENERATION: cells})
    _write_interpreter(python)
    layer = sample_lock(
        folder / "layer",
        WheelSpec("ours", "1.0", files={"ours.py": b"NAME = 'ours in the layer'\n"}),
        environment=ENVIRONMENT,
        python_full=PYTHON_FULL,
        platform=PLATFORM,
        base=lock_digest((gens / f"g{GENERATION:05}" / f"{ENVIRONMENT}.txt").read_text()),
        content=content_digest(locked_wheel(wheel) for wheel in cells[0].wheels),
    )
    lock = folder / "model.lock"
    lock.write_text(format_layer_lock(layer))
    return SampleEnvironment(
        gens,
        tuple(sorted(wheels.glob("*.whl"))),
        (python / _ARCHIVE, python / "downloads.json"),
        lock,
        folder / "layer",
    )


def _write_interpreter(folder: Path) -> None:
    digest = write_interpreter(folder / _ARCHIVE, small=True)
    # An address that nothing answers: the archive beside the list is used.
    entry = archive_entry(PYTHON_FULL, f"https://mirror.example/{_ARCHIVE}", digest)
    (folder / "downloads.json").write_text(json.dumps(dict([entry])))
