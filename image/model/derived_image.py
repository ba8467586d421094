"""Makes an image on top of another one (OCI image-spec v1.1, config.md and annotations.md)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from image.errors import ImageError
from image.oci.config import ANNOTATION_PREFIX
from image.oci.image_index import ImageIndex, read_content
from image.oci.layer import Layer
from image.oci.layout import Layout, to_json_bytes, write_layout

# What the base says of itself is not true of the image on top.
_OF_THE_BASE = (
    "authors", "base.digest", "base.name", "description", "documentation", "licenses", "ref.name", "revision",
    "source", "title", "url", "vendor", "version",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DerivedSettings:
    """Settings of an image that differ from those of its base.

    Attributes:
        command: Default arguments; empty for those of the base.
        entrypoint: Program and its first arguments; empty for that of the base.
        environment: Variables besides those of the base, or in their place.
        exposed_ports: Ports besides those of the base, such as `8080/tcp`.
        labels: Labels besides those of the base.
        stop_signal: Signal that stops it; empty for that of the base.
        user: `UID:GID`; empty for that of the base.
        working_directory: Working directory; empty for that of the base.
    """

    command: Sequence[str] = ()
    entrypoint: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    exposed_ports: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = ""
    user: str = ""
    working_directory: str = ""


def write_derived(
    directory: Path, base: Layout, layers: Sequence[tuple[Layer, Path]], settings: DerivedSettings
) -> Layout:
    """Write an image on top of another one.

    Args:
        directory: The folder to make, which will hold the layers of the base as well.
        base: The base.
        layers: The layers on top, the lowest first, with their files.
        settings: What the image changes.

    Returns:
        The image.

    Raises:
        ImageError: The configuration of the base is malformed.
    """
    config = _derive(_read_config(base), base, [layer for layer, _ in layers], settings)
    return write_layout(
        directory,
        to_json_bytes(config),
        [
            *((layer, base.path(layer)) for layer in base.layers),
            *((layer.blob, path) for layer, path in layers),
        ],
        config["config"].get("Labels", {}),
    )


def base_for(path: Path, architecture: str) -> Layout:
    """Read the image below: an OCI layout, or an index with one for the architecture.

    Args:
        path: Its folder.
        architecture: The architecture that it must have (GOARCH).

    Raises:
        ImageError: It is for another architecture, or malformed.
    """
    content = read_content(path)
    base = content.image(architecture) if isinstance(content, ImageIndex) else content
    found = str(_read_config(base)["architecture"])
    if found != architecture:
        raise ImageError(
            f"{path}: is an image for {found}, not for {architecture};"
            " write base with {architecture} in its name, or name an index of both"
        )
    return base


def _read_config(base: Layout) -> dict[str, Any]:
    path = base.path(base.config)
    config: object = json.loads(path.read_bytes())
    match config:
        case {
            "architecture": str(),
            "created": str(),
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
            **rest,
        } if len(diff_ids) == len(base.layers) and isinstance(rest.get("config", {}), dict):
            return dict(config)  # type: ignore[call-overload, no-any-return]
    raise ImageError(f"{path}: is not the configuration of a Linux image with {len(base.layers)} layers")


def _derive(
    config: Mapping[str, Any], base: Layout, layers: Sequence[Layer], settings: DerivedSettings
) -> dict[str, Any]:
    execution = config.get("config", {})
    created = config["created"]
    dropped = {f"{ANNOTATION_PREFIX}.{name}" for name in _OF_THE_BASE}
    labels = {
        name: value for name, value in (execution.get("Labels") or {}).items() if name not in dropped
    } | {f"{ANNOTATION_PREFIX}.base.digest": base.manifest.digest}
    changed = {
        "Cmd": list(settings.command),
        "Entrypoint": list(settings.entrypoint),
        "Env": _variables(execution.get("Env") or [], settings.environment),
        "ExposedPorts": {
            port: {} for port in [*(execution.get("ExposedPorts") or {}), *settings.exposed_ports]
        },
        "Labels": labels | dict(settings.labels),
        "StopSignal": settings.stop_signal,
        "User": settings.user,
        "WorkingDir": settings.working_directory,
    }
    # A new entrypoint has other arguments: the command of the base is not for it.
    kept = {name: value for name, value in execution.items() if name != "Cmd" or not settings.entrypoint}
    history = [{"created": created, "created_by": layer.created_by} for layer in layers]
    return dict(config) | {
        "config": kept | {name: value for name, value in changed.items() if value},
        "rootfs": {
            "type": "layers",
            "diff_ids": [*config["rootfs"]["diff_ids"], *(layer.diff_id for layer in layers)],
        },
        "history": [*config.get("history", []), *history],
    }


def _variables(of_the_base: Sequence[str], added: Mapping[str, str]) -> list[str]:
    pairs = dict(entry.partition("=")[::2] for entry in of_the_base)
    return [f"{name}={value}" for name, value in (pairs | dict(added)).items()]
