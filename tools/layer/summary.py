"""Says what a layer lock amounts to: packages and bytes of the delta, and what the base has already."""

from collections.abc import Iterator
from pathlib import Path

from rich.filesize import decimal

from layers.lock import wheels_directory
from tools.layer.locking import Outcome

_SHOWN = 5


def summary_lines(outcome: Outcome, path: Path) -> Iterator[str]:
    """Write the content of a lock for people.

    Args:
        outcome: The lock.
        path: Its file.

    Yields:
        Lines.
    """
    lock, base = outcome.lock, outcome.base
    state = "unchanged" if outcome.is_unchanged else f"written, packages until {lock.exclude_newer}"
    yield f"{path.name}: {state}"
    whole = lock.size_bytes + base.lock.size_bytes
    yield (
        f"  on {base.name}: {_packages(len(lock.wheels))}, {decimal(lock.size_bytes)} "
        f"({lock.size_bytes / whole:.1%} of {decimal(whole)} with the base)"
    )
    if not lock.wheels:
        asked = len(lock.requirements) > len(outcome.excluded)
        yield "  the base has all that is asked for" if asked else "  nothing is asked for"
    for text in outcome.excluded:
        yield f"  left out by its marker: {text}"
    if outcome.shared:
        shared = sum(base.wheels[name].size_bytes for name in outcome.shared)
        yield f"  of the base: {_packages(len(outcome.shared))}, {decimal(shared)}"
    largest = sorted(lock.wheels, key=lambda wheel: -wheel.size_bytes)[:_SHOWN]
    if largest:
        names = ", ".join(f"{wheel.name} {wheel.version} ({decimal(wheel.size_bytes)})" for wheel in largest)
        yield f"  largest: {names}"
    for override in lock.overrides:
        yield f"  instead of the base's {override.base_version}: {override.name} {override.version}"
    for built in lock.built:
        yield f"  in {wheels_directory(path).name}: {built.name} {built.version} from {built.source}"


def _packages(count: int) -> str:
    return f"{count} package{'' if count == 1 else 's'}"


def summary_json(outcome: Outcome, path: Path) -> dict[str, object]:
    """Return the content of a lock for programs."""
    lock, base = outcome.lock, outcome.base
    return {
        "lock": str(path),
        "generation": lock.generation_id,
        "environment": lock.environment,
        "platform": lock.platform,
        "exclude_newer": lock.exclude_newer,
        "unchanged": outcome.is_unchanged,
        "packages": len(lock.wheels),
        "bytes": lock.size_bytes,
        "base_packages": len(base.lock.wheels),
        "base_bytes": base.lock.size_bytes,
        "excluded": list(outcome.excluded),
        "shared_packages": len(outcome.shared),
        "shared_bytes": sum(base.wheels[name].size_bytes for name in outcome.shared),
        "overrides": {override.name: override.version for override in lock.overrides},
        "built": {built.name: built.source for built in lock.built},
    }
