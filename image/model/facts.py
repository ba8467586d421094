"""Facts of a model's base that its image needs: format 1, JSON.

One action reads the generations and writes these facts, so that a new generation repeats that action only.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from image.errors import ImageError

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class BasePackage:
    """A package of an environment.

    Attributes:
        name: Normalized name (PEP 503).
        version: Its version.
        sha256: Digest of its wheel, 64 hex digits.
    """

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The environment that a model runs in.

    Attributes:
        generation: ID of the generation.
        environment: Name of the environment.
        base: Digest of the text of its lock: `sha256:` and 64 hex digits.
        architecture: Architecture of the image (GOARCH).
        variables: Variables that select the environment.
        packages: Its packages, in order of their names.
        overridden: Names of the packages of it that the layer replaces.
    """

    generation: int
    environment: str
    base: str
    architecture: str
    variables: Mapping[str, str]
    packages: tuple[BasePackage, ...]
    overridden: tuple[str, ...] = ()


def format_facts(facts: ModelFacts) -> str:
    """Return facts as JSON, always the same bytes for the same facts."""
    return json.dumps({"format": _FORMAT} | asdict(facts), indent=1) + "\n"


def read_facts(path: Path) -> ModelFacts:
    """Read the file of facts.

    Args:
        path: The file.

    Returns:
        The facts.

    Raises:
        ImageError: The file is not one of facts.
    """
    try:
        found = json.loads(path.read_bytes())
        if not isinstance(found, dict) or found.pop("format", None) != _FORMAT:
            raise ImageError(f"{path}: is not a file of facts of format {_FORMAT}")
        return msgspec.convert(found, ModelFacts)
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: cannot be read as facts of a model: {error}") from error
