"""The list of what a generation offers (`environments`, daemon/README.md has the format)."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Listed:
    """An environment of the list.

    Attributes:
        name: Its name, and that of its folder.
        ready: Whether the list says that it is installed.
        torch: Its Torch, or None.
        build: Its build of Torch, or None.
        cuda: The CUDA that it runs with, or None.
    """

    name: str
    ready: bool
    torch: str | None
    build: str | None
    cuda: str | None


@dataclass(frozen=True, slots=True)
class Offer:
    """The contents of a generation's list.

    Attributes:
        generation: Its name, such as `g00003`.
        state: `sealed` or `partial`.
        platform: Platform of its wheels in uv's words; None in a list of an older installer.
        drivers: Oldest driver by CUDA version.
        environments: The environments by name.
        architectures: GPU architectures that an environment's Torch has code for, by name of the environment.
    """

    generation: str
    state: str
    platform: str | None = None
    drivers: dict[str, str] = field(default_factory=dict)
    environments: dict[str, Listed] = field(default_factory=dict)
    architectures: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def cpu_build_of(self, listed: Listed) -> str | None:
        """Return the TORCH_VERSION that names the CPU build of the same Torch; None if there is none.

        A stack has its own Torch, and no other build of it.
        """
        python, _, _ = listed.name.partition("-torch")
        if listed.name != f"{python}-torch{listed.torch}-{listed.build}":
            return None
        return f"{listed.torch}+cpu" if f"{python}-torch{listed.torch}-cpu" in self.environments else None


def read_offer(generation: Path) -> Offer | None:
    """Read the list of a generation.

    Args:
        generation: The generation's folder.

    Returns:
        What it offers; None if there is no list of format 1.
    """
    try:
        text = (generation / "environments").read_text(errors="replace")
    except OSError:
        return None
    lines = [line.split(" ") for line in text.splitlines() if line]
    if len(lines) < 2 or lines[0] != ["monobase-environments", "1"] or lines[1][0] != "generation":
        return None
    named = [*lines[1][1:], "", ""]
    offer = Offer(named[0], named[1], next((line[1] for line in lines if line[0] == "platform"), None))
    for kind, *fields in lines[2:]:
        if kind == "driver" and len(fields) == 2:
            offer.drivers[fields[0]] = fields[1]
        elif kind == "architectures" and len(fields) > 1:
            offer.architectures[fields[0]] = tuple(fields[1:])
        elif kind in ("environment", "stack") and len(fields) > 6:
            torch, build, cuda = (None if text == "-" else text for text in fields[4:7])
            offer.environments[fields[0]] = Listed(fields[0], fields[1] == "ready", torch, build, cuda)
    return offer
