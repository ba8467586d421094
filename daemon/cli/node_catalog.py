"""The definitions of a node: those of its own machine.

The rest of the daemon sees no other environments and toolkits. A generation that has nothing for the machine
is neither missing nor failed there, and `latest` never names it.
"""

import platform
from collections.abc import Callable
from pathlib import Path

from gens.catalog import Catalog, load_catalog
from gens.definition_memory import DefinitionMemory


class NodeCatalog:
    """Reads the definitions of this machine.

    Args:
        directory: Folder of definitions and locks; None for the built-in ones.
        say: Called with one line about the generations that are left out, again only when these change.
    """

    def __init__(self, directory: Path | None, say: Callable[[str], None] = lambda _: None) -> None:
        self._directory = directory
        self._say = say
        self._said = ""
        self._memory = DefinitionMemory()

    def load(self) -> Catalog:
        """Read the definitions; one that cannot be read is among the catalog's errors.

        Raises:
            DefinitionError: The folder cannot be read, or has no definition.
        """
        machine = platform.machine()
        whole = load_catalog(self._directory, keep_broken=True, memory=self._memory)
        catalog = whole.for_machine(machine, self._memory)
        names = [item.directory_name for item in whole.generations if item.id in catalog.elsewhere]
        text = f"left out, as they have nothing for {machine}: {', '.join(names)}" if names else ""
        if text and text != self._said:
            self._say(text)
        self._said = text
        return catalog
