"""`bazel run //tests/bench:images`: how large the images are, and what separate images would hold instead.

Sizes are compressed, as a registry keeps them and a node pulls them. Unless `--no-push` is given, the image
of the daemon is pushed to a registry of this run, cold and after a change of one source file; times are
compared within the run only.
"""

import dataclasses
import json
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import click
from rich.console import Console
from rich.table import Table

from gens.catalog import load_catalog
from gens.command import MonobaseCommand
from image.oci.layer import parse_layer
from image.oci.layout import read_layout
from tests.bench.image_sizes import SizedImage, pulled_bytes, size_image
from tests.bench.push_cycle import PushCycle, measure_pushes
from tests.bench.separate_images import (
    SeparateImage,
    distinct_wheel_bytes,
    held_bytes,
    layered_bytes,
    separate_images,
)

_PATH = click.Path(path_type=Path, exists=True)
_WIDE = 160


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """Sizes of separate images, and of Monobase's.

    Attributes:
        name: What the separate images have, and how it is counted.
        separate_bytes: What they hold.
        our_bytes: Our two images, and each wheel of the generation once.
    """

    name: str
    separate_bytes: int
    our_bytes: int

    @property
    def ratio(self) -> float:
        """Ratio of the size of separate images to Monobase's."""
        return self.separate_bytes / self.our_bytes


@click.command(cls=MonobaseCommand)
@click.argument("daemon", type=_PATH)
@click.argument("runtime", type=_PATH)
@click.argument("layers", type=_PATH, nargs=-1)
@click.option("--gen", "generation_id", type=int, default=1, show_default=True, help="Generation to compare.")
@click.option("--push/--no-push", default=True, help="Push the daemon's image, cold and after a change.")
@click.option(
    "--rounds", type=click.IntRange(1), default=3, show_default=True, help="Changes; the median counts."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(
    *,
    daemon: Path,
    runtime: Path,
    layers: tuple[Path, ...],
    generation_id: int,
    push: bool,
    rounds: int,
    as_json: bool,
) -> None:
    """Measure the images; the Bazel target passes the arguments.

    DAEMON and RUNTIME are the images' layouts. LAYERS are the files of two layers: that of the system, which
    separate images have as well, and that of the build tools.
    """
    images = [size_image("daemon", read_layout(daemon)), size_image("runtime", read_layout(runtime))]
    system, build = (parse_layer(path.read_text(), path).blob for path in layers if path.suffix == ".json")
    catalog = load_catalog()
    generation = catalog.generation(generation_id)
    separate = separate_images(catalog, generation)
    our_bytes = pulled_bytes(images) + distinct_wheel_bytes(catalog, generation)
    comparisons = compare(separate, system.size_bytes, our_bytes)
    pushes = _measure(rounds) if push else None
    if as_json:
        click.echo(
            json.dumps(
                _as_json(images, build.digest, generation_id, len(separate), comparisons, pushes), indent=2
            )
        )
        return
    # A pipe or file has no width to fit.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    console.print(_sizes(images, build.digest))
    console.print(_comparisons(generation.directory_name, len(separate), comparisons))
    if pushes is not None:
        console.print(_pushes(pushes))


def compare(separate: Sequence[SeparateImage], base_bytes: int, our_bytes: int) -> list[Comparison]:
    """Compare with separate images, counted in four ways.

    Args:
        separate: The separate images.
        base_bytes: Size of the system in each.
        our_bytes: Our two images, and each wheel once.

    Returns:
        The comparisons, the one that is asked for first.
    """
    counts = (
        ("with CUDA and cuDNN, each image for itself", held_bytes, True),
        ("with CUDA and cuDNN, stacked on shared layers", layered_bytes, True),
        ("wheels only, each image for itself", held_bytes, False),
        ("wheels only, stacked on shared layers", layered_bytes, False),
    )
    return [
        Comparison(name, count(separate, base_bytes, with_toolkits=with_toolkits), our_bytes)
        for name, count, with_toolkits in counts
    ]


def _measure(rounds: int) -> PushCycle:
    workspace = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
    if workspace is None:
        raise click.UsageError(
            "the pushes are of a source tree: start this with `bazel run`, or give --no-push"
        )
    # A registry and a folder are to go away even when this is ended.
    signal.signal(signal.SIGTERM, _end)
    with tempfile.TemporaryDirectory(prefix="monobase-bench-") as folder:
        return measure_pushes(Path(workspace), Path(folder), rounds)


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _sizes(images: Sequence[SizedImage], build: str) -> Table:
    table = Table("layer", *(image.name for image in images), title="compressed, MB", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    holds = {layer.blob.digest: layer.holds for image in images for layer in image.layers}
    for digest, text in holds.items():
        sizes = [{layer.blob.digest: layer.blob.size_bytes for layer in image.layers} for image in images]
        table.add_row(text, *(_mb(found[digest]) if digest in found else "" for found in sizes))
    table.add_section()
    without = [image.without([build]) for image in images]
    table.add_row("sum", *(_mb(image.size_bytes) for image in images))
    table.add_row("sum without the build tools", *(_mb(image.size_bytes) for image in without))
    table.add_section()
    table.add_row("both on a node, shared layers once", _mb(pulled_bytes(images)))
    table.add_row("the same without the build tools", _mb(pulled_bytes(without)))
    return table


def _comparisons(generation: str, count: int, comparisons: Sequence[Comparison]) -> Table:
    # Ours are the two images and each wheel of the generation once.
    title = f"{generation}: {count} separate images against ours, GB"
    table = Table("separate images", "separate", "ours", "ratio", title=title, title_justify="left")
    for row in comparisons:
        table.add_row(
            row.name, f"{row.separate_bytes / 1e9:.1f}", f"{row.our_bytes / 1e9:.1f}", f"{row.ratio:.2f}"
        )
    return table


def _pushes(pushes: PushCycle) -> Table:
    table = Table("", "value", "", title="push of the daemon's image", title_justify="left")
    touched_s = statistics.median(push.total_s for push in pushes.touched)
    touched_bytes = max(push.stored_bytes for push in pushes.touched)
    cold = pushes.cold
    build_s = statistics.median(push.build_s for push in pushes.touched)
    table.add_row(
        "bytes pushed after a change / cold",
        f"{touched_bytes / cold.stored_bytes:.6f}",
        f"{touched_bytes} / {cold.stored_bytes}",
    )
    table.add_row(
        "change to pushed image / cold push of a built one",
        f"{touched_s / cold.total_s:.3f}",
        f"{touched_s:.1f} s, {build_s:.1f} s of it the build / {cold.total_s:.1f} s",
    )
    return table


def _as_json(
    images: Sequence[SizedImage],
    build: str,
    generation_id: int,
    count: int,
    comparisons: Sequence[Comparison],
    pushes: PushCycle | None,
) -> dict[str, object]:
    without = [image.without([build]) for image in images]
    found: dict[str, object] = {
        "images": {
            image.name: {
                "layers": [
                    {"holds": layer.holds, "digest": layer.blob.digest, "bytes": layer.blob.size_bytes}
                    for layer in image.layers
                ],
                "bytes": image.size_bytes,
                "bytes_without_build_tools": small.size_bytes,
            }
            for image, small in zip(images, without, strict=True)
        },
        "both": {"bytes": pulled_bytes(images), "bytes_without_build_tools": pulled_bytes(without)},
        "separate": {
            "generation": generation_id,
            "images": count,
            "comparisons": [dataclasses.asdict(row) | {"ratio": row.ratio} for row in comparisons],
        },
    }
    if pushes is not None:
        found["pushes"] = dataclasses.asdict(pushes)
    return found


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.2f}"


if __name__ == "__main__":
    main()
