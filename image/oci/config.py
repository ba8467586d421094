"""An image's configuration: its process and its layers (OCI image-spec v1.1, config.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from image.oci.layer import Layer

ANNOTATION_PREFIX = "org.opencontainers.image"


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The process of an image, and the image's facts.

    Attributes:
        architecture: Architecture of its programs (GOARCH).
        created: Date of the Debian packages (RFC 3339), so that the same commit gives the same image.
        user: `UID:GID`, or empty for root.
        environment: Environment variables.
        entrypoint: Program and its first arguments.
        command: Default arguments.
        working_directory: Working directory of the process.
        exposed_ports: Ports, such as `8080/tcp`.
        stop_signal: Signal that stops it; empty for the default.
        labels: Facts for people and tools (annotations.md).
    """

    architecture: str
    created: str
    user: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    working_directory: str = "/"
    exposed_ports: Sequence[str] = ()
    stop_signal: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def to_json(config: ImageConfig, layers: Sequence[Layer]) -> dict[str, Any]:
    """Return the JSON object of the specification.

    Args:
        config: The process and facts.
        layers: Its layers, the lowest first.

    Returns:
        The object, without empty fields, as the specification allows.
    """
    execution: dict[str, Any] = {
        "User": config.user,
        "ExposedPorts": {port: {} for port in config.exposed_ports},
        "Env": [f"{name}={value}" for name, value in config.environment.items()],
        "Entrypoint": list(config.entrypoint),
        "Cmd": list(config.command),
        "WorkingDir": config.working_directory,
        "Labels": dict(config.labels),
        "StopSignal": config.stop_signal,
    }
    return {
        "created": config.created,
        "architecture": config.architecture,
        "os": "linux",
        "config": {name: value for name, value in execution.items() if value},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created": config.created, "created_by": layer.created_by} for layer in layers],
    }
