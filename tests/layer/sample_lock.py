"""Wheels in a folder, and a layer lock that names them."""

from pathlib import Path
from platform import machine
from typing import Any

from gens.lock import LockedWheel
from layers.lock import LayerLock, content_digest
from tests.index.wheel import Wheel, WheelSpec, normalized, write_wheel

DIGEST = "sha256:" + "a" * 64


def locked(wheel: Wheel) -> LockedWheel:
    """Return the line of a lock for a wheel."""
    spec = wheel.spec
    return LockedWheel(normalized(spec.name), spec.version, wheel.sha256, wheel.path.name, wheel.size_bytes)


def sample_lock(folder: Path, *specs: WheelSpec, **changes: Any) -> LayerLock:  # noqa: ANN401 (fields of the lock)
    """Write wheels into a folder, and return a lock that names them.

    Args:
        folder: The folder.
        specs: The wheels.
        changes: Fields of the lock.
    """
    wheels = sorted((locked(write_wheel(spec, folder)) for spec in specs), key=lambda wheel: wheel.name)
    fields: dict[str, Any] = {
        "generation_id": 2,
        "environment": "python3.11-torch2.4.1-cpu",
        "base": DIGEST,
        "platform": f"{machine()}-manylinux_2_34",
        "inputs": DIGEST,
        "resolver": "uv 0.13.9",
        "exclude_newer": "2026-11-26T00:00:00Z",
        "content": content_digest(()),
        "python_full": "3.11.9",
    }
    return LayerLock(wheels=tuple(wheels), **{**fields, **changes})
