"""Remembers definitions by the content of their files, and what follows from them for a machine.

A daemon reads its definitions in each round, as a folder of `--gens` may change. The bytes are read and
digested each time; they are parsed and checked, which takes ten times as long, when they have changed. Equal
content gives the same object, so that what was computed from it can be kept as well.
"""

import hashlib
from collections.abc import Collection
from pathlib import Path

from gens.generation import Generation, parse_generation


class DefinitionMemory:
    """The definitions that were read; for one thread."""

    def __init__(self) -> None:
        self._parsed: dict[Path, tuple[bytes, Generation]] = {}
        self._narrowed: dict[tuple[int, str], tuple[Generation, Generation]] = {}

    def parse(self, content: bytes, path: Path) -> Generation:
        """Return the definition of a file's content.

        Args:
            content: The content.
            path: The file.

        Raises:
            DefinitionError: It is malformed.
        """
        digest = hashlib.sha256(content).digest()
        known = self._parsed.get(path)
        if known is None or known[0] != digest:
            known = self._parsed[path] = digest, parse_generation(content, path)
        return known[1]

    def for_machine(self, generation: Generation, machine: str) -> Generation:
        """Return a generation with the environments and toolkits of one machine only.

        Args:
            generation: The generation, as `parse` returned it.
            machine: The machine, as `platform.machine()` names it.

        Raises:
            DefinitionError: None of its platforms is one of that machine.
        """
        key = id(generation), machine
        known = self._narrowed.get(key)
        if known is None or known[0] is not generation:
            known = self._narrowed[key] = generation, generation.for_machine(machine)
        return known[1]

    def keep_only(self, paths: Collection[Path]) -> None:
        """Forget the definitions of all other files."""
        for path in self._parsed.keys() - set(paths):
            del self._parsed[path]
        kept = {id(generation) for _, generation in self._parsed.values()}
        for key in [key for key in self._narrowed if key[0] not in kept]:
            del self._narrowed[key]
