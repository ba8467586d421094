"""Finds in a catalog what a tree of the prefix holds, and which lock pins a wheel."""

from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property

from daemon.install.wanted import Wanted
from daemon.prefix.prefix import Prefix
from daemon.prefix.toolkit_tree import toolkit_behind
from daemon.prefix.tree_label import parse_label, toolkit_label
from gens.catalog import Catalog
from gens.errors import DefinitionError, MonobaseError
from gens.generation import Toolkit
from gens.lock import LockedWheel


class LockLookup:
    """Looks up definitions and locks; one that cannot be read hides no other one."""

    def __init__(self, prefix: Prefix, catalog: Catalog) -> None:
        self._prefix = prefix
        self._catalog = catalog

    def wanted(self, label: str) -> Wanted:
        """Return the definition and the lock of a tree.

        Args:
            label: Path of the tree below the prefix.

        Raises:
            DefinitionError: No definition names the tree.
            MonobaseError: Its definition or its lock cannot be read.
        """
        found = parse_label(label)
        if found.kind == "toolkit":
            return self._toolkit(found.name)
        generation = self._catalog.generation(int(found.generation[1:]))
        target = generation.target(found.name)
        return Wanted(generation, target, self._catalog.lock(generation, target))

    def wheel(self, sha256: str) -> tuple[LockedWheel, Wanted] | None:
        """Return a wheel, and an environment or toolkit whose lock pins it; None when no lock does."""
        return self._wheels.get(sha256)

    @cached_property
    def _wheels(self) -> dict[str, tuple[LockedWheel, Wanted]]:
        return {wheel.sha256: (wheel, item) for item in self._readable() for wheel in item.lock.wheels}

    def _readable(self) -> Iterator[Wanted]:
        for generation in self._catalog.generations:
            for target in generation.targets:
                with suppress(MonobaseError):
                    yield Wanted(generation, target, self._catalog.lock(generation, target))

    def _toolkit(self, name: str) -> Wanted:
        """Find a toolkit by the link of a generation that uses it, else by its name."""
        named = []
        for item in self._readable():
            if isinstance(item.target, Toolkit):
                link = self._prefix.target(item.generation.directory_name, item.target.name)
                if toolkit_behind(link) == name:
                    return item
                if item.target.directory_name == name:
                    named.append(item)
        if not named:
            raise DefinitionError(
                f"{toolkit_label(name)}: no generation with a readable definition and lock has it"
            )
        return named[0]
