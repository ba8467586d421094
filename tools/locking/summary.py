"""Says what the locks of a generation amount to: bytes by machine, and what each stack shares."""

from collections.abc import Iterable, Iterator, Mapping

from rich.filesize import decimal

from gens.generation import Generation
from gens.lock import Lock, LockedWheel


def summary_lines(generation: Generation, locks: Mapping[str, Lock]) -> Iterator[str]:
    """Write the content of a generation's locks for people.

    Args:
        generation: The generation.
        locks: Its locks by path.

    Yields:
        A line for each machine, and one for each stack with the bytes that it shares with the rest of the
        generation (with all of its environments and toolkits without stacks on that machine), followed by the
        packages that it has in several versions, by Python: an old one on some Pythons may be a release whose
        metadata forgot a bound.
    """
    for machine in generation.machines:
        targets = [target for target in generation.for_machine(machine).targets if target.lock_name in locks]
        held = [locks[target.lock_name] for target in targets]
        distinct = _bytes(wheel for lock in held for wheel in lock.wheels)
        total = sum(lock.size_bytes for lock in held)
        yield f"  {machine}: {len(held)} locks, {decimal(distinct)} distinct of {decimal(total)}"
        stacks = {cell.lock_name: cell.name for cell in generation.environments if cell.stack is not None}
        rest = {
            wheel.sha256
            for target in targets
            if target.lock_name not in stacks
            for wheel in locks[target.lock_name].wheels
        }
        for target in targets:
            if target.lock_name in stacks:
                lock = locks[target.lock_name]
                shared = _bytes(wheel for wheel in lock.wheels if wheel.sha256 in rest)
                yield (
                    f"    {target.name}: {decimal(lock.size_bytes)}, of which {decimal(shared)} "
                    f"({shared / lock.size_bytes:.0%}) are shared"
                )
        yield from _differences(generation.for_machine(machine), locks)


def _differences(generation: Generation, locks: Mapping[str, Lock]) -> Iterator[str]:
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for cell in generation.environments:
        if cell.stack is None or cell.lock_name not in locks:
            continue
        for wheel in locks[cell.lock_name].wheels:
            versions = found.setdefault((f"{cell.stack} {cell.stack_version or ''}".strip(), wheel.name), {})
            versions.setdefault(wheel.version, []).append(cell.python)
    for (stack, package), versions in sorted(found.items()):
        if len(versions) > 1:
            said = [f"{version} ({', '.join(pythons)})" for version, pythons in versions.items()]
            yield f"    {stack} has {package} {', '.join(said)}"


def _bytes(wheels: Iterable[LockedWheel]) -> int:
    return sum({wheel.sha256: wheel.size_bytes for wheel in wheels}.values())
