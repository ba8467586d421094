"""The releases of Torch, its companions, CUDA and cuDNN that an index serves: `gens/releases.json`.

JSON, sorted by version, which Starlark reads as well (`gens/releases.bzl`):

- `format`: 1; `read`: the date, and the index;
- `torch`, `torchvision`, `torchaudio`: by version `uploaded` (the first wheel, UTC), `source` (a digest of
  the names and digests of its wheels: a release with the same one is not read again), and `wheels` by
  machine: the oldest `glibc`, `python`, `free_threaded`;
- of Torch: `build` by machine, such as `cu130`, `cpu`;
- of companions: `torch`, what the metadata requires of Torch (PEP 440), null where it names none; `admits`,
  the Torch releases that this allows, or whose libraries export each symbol that the companion needs;
  `examined`, the Torch releases whose symbols were read for that;
- `cuda`: versions of `cuda-toolkit`; `cuda_extras`: by version, for a machine that cannot have all extras of
  it (`cuda-toolkit[all]`), those whose packages have a wheel for it;
- `cudnn`: by version the CUDA majors that it is built for, each with its machines.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from gens.errors import DefinitionError
from tools.releases.wheel_set import WheelSet

_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release of Torch or of a companion.

    Attributes:
        uploaded: When its first wheel was uploaded, UTC.
        source: Digest of the file names and digests of its wheels.
        wheels: Pythons and glibc of its wheels, by machine.
        build: Of Torch: the build of each machine, such as `cu130` or `cpu`.
        torch: Of a companion: what it requires of Torch; None where it names none.
        admits: Of a companion: the Torch releases that it works with.
        examined: Of a companion that names no Torch: the Torch releases whose symbols were read.
    """

    uploaded: str
    source: str
    wheels: dict[str, WheelSet]
    build: dict[str, str] = field(default_factory=dict)
    torch: str | None = None
    admits: tuple[str, ...] = ()
    examined: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFrom:
    """The source of the facts.

    Attributes:
        date: Date of their last change.
        index: Name of the index.
    """

    date: str
    index: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All facts about an index's releases; the module's docstring describes the fields."""

    format: int
    read: ReadFrom
    torch: dict[str, Release]
    torchvision: dict[str, Release]
    torchaudio: dict[str, Release]
    cuda: list[str]
    cudnn: dict[str, dict[str, list[str]]]
    cuda_extras: dict[str, dict[str, list[str]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Version:
    format: int


def read_facts(path: Path) -> Facts | None:
    """Read the file; return None if it does not exist.

    Raises:
        DefinitionError: It is malformed, or of a newer format.
    """
    try:
        content = path.read_bytes()
        # The format first: a newer one is reported as newer, whatever its fields are.
        version = msgspec.json.decode(content, type=_Version).format
        facts = msgspec.json.decode(content, type=Facts) if version == _FORMAT else None
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise DefinitionError(
            f"{path}: cannot be read: {error}; remove it and run `bazel run //tools:update_releases`"
        ) from error
    if facts is None:
        raise DefinitionError(
            f"{path}: has format {version}, and this monobase reads {_FORMAT}; use the monobase that wrote it"
        )
    return facts


def make_facts(**fields: object) -> Facts:
    """Return facts of the present format."""
    return Facts(format=_FORMAT, **fields)  # type: ignore[arg-type]


def format_facts(facts: Facts) -> str:
    """Return the text of the file."""
    fields = msgspec.to_builtins(facts)
    return "{\n" + ",\n".join(f" {_json(name)}: {_lines(fields[name])}" for name in fields) + "\n}\n"


def _lines(value: object) -> str:
    """Return JSON with a release a line, so that a review sees which have changed."""
    if not isinstance(value, dict):
        return _json(value)
    return "{\n" + ",\n".join(f"  {_json(name)}: {_json(held)}" for name, held in value.items()) + "\n }"


def _json(value: object) -> str:
    return json.dumps(value)
