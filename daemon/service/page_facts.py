"""The facts on the status page beside readiness: bytes, leases, progress and the disk."""

import os
import time
from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from daemon.prefix.lease_count import count_leases, visible_leases
from daemon.prefix.prefix import Prefix
from daemon.prefix.progress_file import ProgressLine, read_progress
from daemon.prefix.usage import TreeUsage
from daemon.service.context import ServiceContext
from daemon.service.state import INSTALL, LeaseState
from gens.generation import Generation


@dataclass(frozen=True, slots=True)
class PageFacts:
    """The facts.

    Attributes:
        definitions: The active generations by name.
        trees: The bytes of environments and toolkits by label, such as `g00003/python3.11`; what is not in it
            was not counted yet.
        leases: The leases of models when they were last looked at.
        models: Number of models by label or by name of the generation, where the kernel shows their locks.
        progress: The targets that are being installed, by label.
        explained: Labels whose failure the page shows among what is tried again.
        selection: The option that names the part of each generation that the node holds; empty for all.
        free_bytes: Free on the disk; None if that is unknown.
        now_s: Seconds since the epoch.
    """

    definitions: Mapping[str, Generation] = field(default_factory=dict)
    trees: Mapping[str, TreeUsage] = field(default_factory=dict)
    leases: LeaseState = field(default_factory=LeaseState)
    models: Mapping[str, int] = field(default_factory=dict)
    progress: Mapping[str, ProgressLine] = field(default_factory=dict)
    explained: Container[str] = frozenset()
    selection: str = ""
    free_bytes: int | None = None
    now_s: float = 0.0


def read_page_facts(context: ServiceContext) -> PageFacts:
    """Read the facts of a service; nobody's lease is touched.

    Args:
        context: The service.

    Raises:
        DefinitionError: No generation is active.
    """
    state = context.state
    usage, leases = state.usage, state.leases
    return PageFacts(
        definitions={generation.directory_name: generation for generation in context.active()},
        trees={} if usage is None else usage.trees,
        leases=leases,
        models=_models(context.prefix, leases),
        progress={f"{line.generation}/{line.name}": line for line in read_progress(context.prefix)},
        selection=context.options.install.selection.option,
        explained={retry.subject.removeprefix(f"{INSTALL} ") for retry in state.retries.pending()},
        free_bytes=_free_bytes(context.prefix),
        now_s=time.time(),
    )


def _models(prefix: Prefix, leases: LeaseState) -> dict[str, int]:
    if not leases.environments and not leases.generations:
        return {}
    shown = visible_leases()
    folders = {name: prefix.generation(name) for name in leases.generations}
    for label in leases.environments:
        generation, _, name = label.partition("/")
        folders[label] = prefix.target(generation, name)
    return {label: count for label, folder in folders.items() if (count := count_leases(shown, folder))}


def _free_bytes(prefix: Prefix) -> int | None:
    try:
        room = os.statvfs(prefix.root)
    except OSError:
        return None
    return room.f_bavail * room.f_frsize
