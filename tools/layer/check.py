"""Compares a layer lock with its requirements, its base and its generation, without an index."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from gens.catalog import Catalog
from gens.errors import DefinitionError
from layers.lock import LayerLock, wheels_directory
from tools.layer.base import Base
from tools.layer.order import Order, index_names
from tools.layer.question import applies
from tools.layer.request import Request
from tools.layer.source_digest import file_digest, path_label

_AGAIN = "lock again"


def inputs_digest(base: Base, request: Request, overrides: Iterable[str], exclude_newer: str) -> str:
    """Return the digest of all that decides a resolution, but for the content of paths and branches.

    Args:
        base: The base.
        request: What is asked for.
        overrides: `NAME` or `NAME==VERSION` of packages that may differ from the base.
        exclude_newer: Time bound.
    """
    index_url, extra_index_urls = index_names(request)
    inputs = {
        "generation": base.generation.directory_name,
        "environment": base.environment.name,
        "base": base.digest,
        "python": base.environment.python_full,
        "platform": base.environment.inputs.platform,
        "requirements": [one.text for one in request.requirements],
        "constraints": [one.text for one in request.constraints],
        "overrides": list(overrides),
        "build": list(request.build),
        "index_url": index_url,
        "extra_index_urls": extra_index_urls,
        "exclude_newer": exclude_newer,
    }
    canonical = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def missing_base(catalog: Catalog, lock: LayerLock) -> str | None:
    """Return why the base of a lock does not exist any more, or None."""
    try:
        catalog.generation(lock.generation_id).for_machine(lock.machine).target(lock.environment)
    except DefinitionError as error:
        return str(error)
    return None


def differences(lock: LayerLock, path: Path, base: Base, request: Request, order: Order) -> Iterator[str]:
    """Yield how a lock differs from what it was made from.

    Args:
        lock: The lock.
        path: Its file.
        base: The base that it should be for.
        request: What its files ask for now.
        order: The complete order.

    Yields:
        Messages; none if the lock is up to date.
    """
    found = list(_header_differences(lock, base, request, order))
    yield from found
    yield from _changed_sources(lock, base, request, order)
    if not found and lock.inputs != inputs_digest(base, request, order.overrides, lock.exclude_newer):
        yield f"inputs: the header of {path} was edited, or its sources have other build options or indexes"
    yield from _missing_files(lock, path)


def _header_differences(lock: LayerLock, base: Base, request: Request, order: Order) -> Iterator[str]:
    generation = base.generation.directory_name
    if lock.generation != generation:
        yield f"generation: the lock is for {lock.generation}, not for {generation}"
    if lock.environment != base.environment.name:
        yield f"environment: the lock is for {lock.environment}, not for {base.environment.name}"
    elif lock.generation == generation and lock.base != base.digest:
        yield f"base: the lock was made for {lock.base}, and the lock of {base.name} is {base.digest}"
    if lock.platform != base.environment.inputs.platform:
        yield f"platform: the lock is for {lock.platform}, the base for {base.environment.inputs.platform}"
    index_url, extra_index_urls = index_names(request)
    for key, before, after in (
        ("requirement", lock.requirements, tuple(one.text for one in request.requirements)),
        ("constraint", lock.constraints, tuple(one.text for one in request.constraints)),
        ("--override", lock.allowed, order.overrides),
        ("--default-index", (lock.index_url or "none",), (index_url or "none",)),
    ):
        yield from (f"{key} {text!r}: the lock does not have it" for text in after if text not in before)
        yield from (f"{key} {text!r}: only the lock has it" for text in before if text not in after)
    yield from (
        f"--index {url}: the lock does not have it"
        for url in extra_index_urls
        if url not in lock.extra_index_urls
    )


def _changed_sources(lock: LayerLock, base: Base, request: Request, order: Order) -> Iterator[str]:
    labels = {built.source for built in lock.built}
    for requirement in request.requirements:
        source = requirement.source
        if source is None or source.kind != "path" or not applies(requirement, base):
            continue
        label = path_label(Path(source.location), order.folder)
        if label not in labels and requirement.text in lock.requirements:
            yield f"{requirement.place}: {label.partition(' ')[0]} has changed since its wheel was built"


def _missing_files(lock: LayerLock, path: Path) -> Iterator[str]:
    digests = {wheel.name: (wheel.filename, wheel.sha256) for wheel in lock.wheels}
    for built in lock.built:
        filename, sha256 = digests[built.name]
        file = wheels_directory(path) / filename
        if not file.is_file():
            yield f"{file}: is missing; it was built from {built.source}"
        elif file_digest(file) != sha256:
            yield f"{file}: is not the wheel of the lock: expected sha256:{sha256}"
