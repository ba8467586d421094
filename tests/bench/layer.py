"""`bazel run //tests/bench:layer`: what a model adds to its environment costs, in bytes and at its start.

The model is `diffusion/`: diffusers, transformers, accelerate and fastapi on Torch 2.13. Its image is made as
`weightless_model` makes it, of the runtime, a layer of packages and code, then again after a change of the
code. A self-contained image of the same model would have the system, the wheels of the environment and the
model's own layers. Then `exec` is measured with a layer and without one, in turn, on a prefix of this run.
Ratios are within the run only. It downloads 40 MB of wheels.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from gens.catalog import Catalog, load_catalog
from image.architecture import find_architecture
from image.model.base import find_base
from image.model.code_layer import write_code_layer
from image.model.derived_image import DerivedSettings, write_derived
from image.model.facts import ModelFacts
from image.model.model_settings import LAYER_FOLDER, model_settings
from image.model.package_layers import Place, write_package_layers
from image.oci.layer import Layer, parse_layer
from image.oci.layout import Layout, read_layout
from layers.install import DEFAULT_PREFIX
from layers.lock import LayerLock, read_layer_lock
from runtime.sample_prefix import make_sample_prefix
from runtime.shells import EXEC, SYSTEM_PATH
from tests.index.wheel import WheelSpec
from tests.layer.sample import ENVIRONMENT, layer_on, variables_of

_MODEL = Path(__file__).parent / "diffusion"
_CODE = "serve.py"
_FOLDER = "/opt/model"
_TRUE = "/bin/true"
_DIGEST = "a" * 64
_IMAGE_LIMIT = 0.03
_CHANGE_LIMIT = 0.001
_START_LIMIT = 1.1
_MINE = WheelSpec("mine", "1.0", files={"mine.py": b"VERSION = '1.0'\n"})


@dataclass(frozen=True, slots=True)
class ModelImage:
    """The image of the model, as it is built before and after a change of the code.

    Attributes:
        base: The runtime's image.
        lock: The lock of its layer.
        packages: The layers of its packages, with their files.
        facts: What it knows of its environment.
    """

    base: Layout
    lock: LayerLock
    packages: Sequence[tuple[Layer, Path]]
    facts: ModelFacts

    def build(self, directory: Path, code: Path) -> Layout:
        """Build it with a file of code, into a new folder."""
        directory.mkdir()
        blob = directory / "code.tar.gz"
        layer = write_code_layer(blob, _FOLDER, {_CODE: code})
        settings = DerivedSettings(command=("python", _CODE), working_directory=_FOLDER)
        settings = model_settings(self.facts, settings, "diffusion")
        return write_derived(directory / "image", self.base, [*self.packages, (layer, blob)], settings)


@click.command()
@click.argument("runtime", type=click.Path(path_type=Path, exists=True))
@click.option("--rounds", default=200, show_default=True, help="Starts of each kind.")
@click.option(
    "--gens", type=click.Path(path_type=Path), help="Definitions and locks, for a run without Bazel."
)
def main(runtime: Path, rounds: int, gens: Path | None) -> None:
    """Measure a layer; the Bazel target passes RUNTIME, the layout of the runtime's image."""
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="monobase-bench-") as folder:
        (Path(folder) / "image").mkdir()
        _measure_image(console, runtime.absolute(), load_catalog(gens), Path(folder) / "image")
        (Path(folder) / "start").mkdir()
        _measure_start(console, Path(folder) / "start", rounds)


def _measure_image(console: Console, runtime: Path, catalog: Catalog, folder: Path) -> None:
    lock_path = _MODEL / "model.lock"
    lock = read_layer_lock(lock_path)
    facts = find_base(lock, lock_path, catalog, find_architecture("amd64"))
    image = ModelImage(read_layout(runtime), lock, _packages(lock, lock_path, folder), facts)
    first = image.build(folder / "first", _MODEL / _CODE)
    changed = folder / _CODE
    changed.write_text((_MODEL / _CODE).read_text() + "# a change\n")
    second = image.build(folder / "second", changed)

    generation = catalog.generation(lock.generation_id)
    environment = next(item for item in generation.environments if item.name == lock.environment)
    base_bytes = sum(wheel.size_bytes for wheel in catalog.lock(generation, environment).wheels)
    system_bytes = image.base.layers[0].size_bytes
    own_bytes = _bytes_beyond(first, image.base)
    alone_bytes = system_bytes + base_bytes + own_bytes
    console.print(
        f"{len(lock.wheels)} packages on {lock.generation}/{lock.environment}: own layers "
        f"{own_bytes / 1e6:.1f} MB; a self-contained image {alone_bytes / 1e6:.1f} MB (system "
        f"{system_bytes / 1e6:.1f}, wheels of the environment {base_bytes / 1e6:.1f}, own layers)"
    )
    _say(console, "own layers / a self-contained image", own_bytes / alone_bytes, _IMAGE_LIMIT)
    pushed_bytes = _bytes_beyond(second, first)
    console.print(f"a change of the code pushes {pushed_bytes} bytes")
    _say(console, "pushed after a change / a self-contained image", pushed_bytes / alone_bytes, _CHANGE_LIMIT)


def _packages(lock: LayerLock, lock_path: Path, folder: Path) -> list[tuple[Layer, Path]]:
    wheels, scratch, output = folder / "wheels", folder / "scratch", folder / "packages"
    scratch.mkdir()
    subprocess.run(
        [
            sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes",
            "--only-binary", ":all:", "--python-version", lock.python, "--dest", str(wheels),
            "--requirement", str(lock_path),
        ],
        check=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    place = Place(LAYER_FOLDER, DEFAULT_PREFIX, Path(sys.executable))
    write_package_layers(lock, lock_path, sorted(wheels.iterdir()), place, scratch, output)
    return [
        (parse_layer(facts.read_text(), facts), facts.with_name(f"{facts.stem}.tar.gz"))
        for facts in sorted(output.glob("*.json"))
    ]


def _bytes_beyond(image: Layout, known: Layout) -> int:
    """Count the bytes of an image that a registry lacks which has another one."""
    has = {blob.digest for blob in (*known.blobs, *known.manifests)}
    return sum(blob.size_bytes for blob in (*image.blobs, *image.manifests) if blob.digest not in has)


def _measure_start(console: Console, folder: Path, rounds: int) -> None:
    (folder / "wheels").mkdir()
    (folder / "home").mkdir()
    prefix = make_sample_prefix(folder / "prefix", folder / "wheels")
    # As the installer writes it, and as a lock has it.
    (prefix.root / "monobase" / "g00002" / ENVIRONMENT / ".content").write_text(f"{_DIGEST}\n")
    layer = layer_on(prefix, folder / "venv", _MINE, content=f"sha256:{_DIGEST}")
    common = {"PATH": SYSTEM_PATH, "HOME": str(folder / "home"), "TMPDIR": str(folder / "home")}
    with_layer = {**common, **variables_of(prefix, layer)}
    without = {**with_layer, "MONOBASE_USER_VENV": ""}
    before = _state(folder)
    subprocess.run([str(EXEC), "python", "-c", "import mine"], env=with_layer, check=True)
    written = len(_state(folder) ^ before)
    _say(console, "files that the first start with the layer writes", written, 0)

    seconds: dict[str, list[float]] = {"with": [], "without": []}
    for _ in range(rounds):
        for name, variables in (("with", with_layer), ("without", without)):
            began = time.perf_counter()
            subprocess.run([str(EXEC), _TRUE], env=variables, check=True, close_fds=False)
            seconds[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    console.print(
        f"exec: {medians['with'] * 1000:.2f} ms with a layer, {medians['without'] * 1000:.2f} ms without"
    )
    _say(console, "exec with a layer / without", medians["with"] / medians["without"], _START_LIMIT)


def _state(folder: Path) -> set[tuple[str, int]]:
    """Return all files and folders, with the time of their last change of content or metadata."""
    return {(str(path), path.lstat().st_ctime_ns) for path in (folder, *folder.rglob("*"))}


def _say(console: Console, text: str, value: float, limit: float) -> None:
    shown = f"{value:.6g}" if isinstance(value, int) else f"{value:.6f}"
    state = "reached" if value <= limit else "NOT REACHED"
    console.print(f"{text}: {shown} (to reach: ≤ {limit:g}): {state}")


if __name__ == "__main__":
    main()
