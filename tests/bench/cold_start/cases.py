"""The cases: each begins with a node in a known state, and ends when `import torch` is done."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.cold_start.images import import_in_monolith
from tests.bench.cold_start.measurement import Sample, bytes_per_s
from tests.bench.cold_start.node import Node, new_node, stages_of
from tests.bench.cold_start.subject import Subject
from tests.bench.cold_start.supply import Supply
from tests.synthetic.catalog import Cell

_WAIT_S = 3600
_WARM_STARTS = 5


@dataclass(frozen=True, slots=True)
class Bench:
    """The subject, the servers and the images of all cases.

    Attributes:
        subject: The model's environment.
        supply: The servers.
        daemon_before: The daemon's image before the roll-out of the newest generation.
        daemon: The one after it.
        runtime: The image of models.
    """

    subject: Subject
    supply: Supply
    daemon_before: str
    daemon: str
    runtime: str

    def image(self, name: str) -> str:
        """Return what a node pulls: an image of the registry, through the link."""
        return f"docker://{self.supply.registry_host}/{name}"

    def model_variables(self) -> dict[str, str]:
        """Return the variables of a model that asks for the environment."""
        cell = self.subject.environment
        return {
            "MONOBASE_GEN_ID": str(self.subject.generation_id), "PYTHON_VERSION": cell.python,
            "TORCH_VERSION": f"{cell.torch}+{cell.build}", "MONOBASE_WAIT_S": str(_WAIT_S),
            "MONOBASE_FIT": "off",
        }  # fmt: skip

    def daemon_variables(self, *cells: Cell, generation_id: int) -> dict[str, str]:
        """Return the variables of a daemon that holds some environments of the generations from one on."""
        names = sorted({cell.target.name for cell in cells})
        return {"MONOBASE_ONLY": " ".join(names), "MONOBASE_MIN_GEN_ID": str(generation_id)}


class Watch:
    """Measures one round: from the order to the import that ends it."""

    def __init__(self, bench: Bench, gbit_per_s: float) -> None:
        self._link = bench.supply.link
        self._link.reset(bytes_per_s(gbit_per_s))
        self._began_s = time.monotonic()

    def stop(self, node: Node, imported_s: float, detail: str = "") -> Sample:
        """Return what it took until a moment; the link has no limit from now on."""
        wire_bytes = self._link.received_bytes
        self._link.reset(None)
        return Sample(imported_s - self._began_s, wire_bytes, node.disk_bytes(), detail)


def pull_and_import(
    bench: Bench,
    gbit_per_s: float,
    name: str,
    *,
    command: Sequence[str] = (),
    held: Sequence[str] = (),
) -> Sample:
    """Pull an image that needs nothing of the node, and start it.

    Args:
        bench: What all cases share.
        gbit_per_s: The bandwidth.
        name: The image.
        command: What is started; by default the import of what the image holds.
        held: The images that the node has already.
    """
    with new_node(bench.supply.variables) as node:
        for image in held:
            node.pull(bench.image(image))
        watch = Watch(bench, gbit_per_s)
        began_s = time.monotonic()
        node.pull(bench.image(name))
        pulled_s = time.monotonic() - began_s
        imported_s = node.import_in(bench.image(name), command or import_in_monolith(), "--network", "host")
        return watch.stop(node, imported_s, f"pull {pulled_s:.1f}")


def start_on_empty_node(bench: Bench, gbit_per_s: float) -> tuple[Sample, list[Sample]]:
    """Start a weightless model on a node that has nothing, then again and again on the same node.

    Returns:
        The first start, and the others.
    """
    with new_node(bench.supply.variables) as node:
        watch = Watch(bench, gbit_per_s)
        first = _roll_out(bench, node, watch, (bench.subject.cell,))
        others = []
        for _ in range(_WARM_STARTS):
            watch = Watch(bench, gbit_per_s)
            imported_s = node.import_in_model(bench.image(bench.runtime), bench.model_variables())
            others.append(watch.stop(node, imported_s))
        return first, others


def start_beside(bench: Bench, gbit_per_s: float, held: Cell) -> Sample:
    """Start a weightless model on a node that has another environment, and Monobase's images.

    The node has either the environment of the generation before, and then gets the daemon's image of the next
    release; or an environment of the same generation, and then gets another selection.
    """
    subject = bench.subject
    rolled_out = held is subject.earlier_generation
    image = bench.daemon_before if rolled_out else bench.daemon
    generation_id = subject.generation_id - 1 if rolled_out else subject.generation_id
    with new_node(bench.supply.variables) as node:
        for name in (image, bench.runtime):
            node.pull(bench.image(name))
        node.install(bench.image(image), bench.daemon_variables(held, generation_id=generation_id))
        watch = Watch(bench, gbit_per_s)
        return _roll_out(bench, node, watch, (held, subject.cell))


def _roll_out(bench: Bench, node: Node, watch: Watch, cells: Sequence[Cell]) -> Sample:
    """Pull what the node lacks of both images, start the daemon and a model, and wait for its import."""
    generation_id = bench.subject.generation_id
    began_s = time.monotonic()
    node.pull(bench.image(bench.daemon))
    node.start_daemon(bench.image(bench.daemon), bench.daemon_variables(*cells, generation_id=generation_id))
    node.pull(bench.image(bench.runtime))
    pulled_s = time.monotonic() - began_s
    node.wait_until_listed(generation_id, bench.subject.environment.name)
    imported_s = node.import_in_model(bench.image(bench.runtime), bench.model_variables())
    stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in stages_of(node.stop_daemon()).items())
    return watch.stop(node, imported_s, f"pull {pulled_s:.1f}; {stages}")
