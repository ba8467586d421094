"""The definitions in force: those that were read last without an error.

A folder given with `--gens` is read again each round, maybe in the middle of a change. The definitions read
before stay in force while the folder cannot be read. So does a generation, which never changes, while its
own file cannot be read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from gens.catalog import Catalog
from gens.errors import DefinitionError


@dataclass(slots=True)
class Definitions:
    """The definitions in force.

    Attributes:
        load: Reads the definitions; its catalog names those that cannot be read.
        min_gen_id: Oldest active generation, or None.
        max_gen_id: Newest active generation, or None.
        catalog: The definitions in force.
        broken: Errors of the definitions of the range that cannot be read now, by name such as `g00003`,
            whether or not they were read before.
    """

    load: Callable[[], Catalog]
    min_gen_id: int | None
    max_gen_id: int | None
    catalog: Catalog = field(init=False)
    broken: Mapping[str, DefinitionError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read the definitions for the first time.

        Raises:
            DefinitionError: No generation of the range can be read.
        """
        self.catalog = Catalog((), self.load().locks_directory)
        self.read()

    def read(self) -> None:
        """Read the definitions again.

        Raises:
            DefinitionError: They cannot be read, or hold no generation of the range; the last ones stay in
                force.
        """
        new = self.load()
        read = {generation.id for generation in new.generations}
        held = {
            generation.id: generation
            for generation in self.catalog.generations
            if generation.id in new.broken and generation.id not in read
        }
        merged = replace(
            new,
            generations=tuple(sorted((*new.generations, *held.values()), key=lambda item: item.id)),
            broken={number: error for number, error in new.broken.items() if number not in held},
        )
        merged.between(self.min_gen_id, self.max_gen_id)
        self.catalog = merged
        self.broken = new.broken_between(self.min_gen_id, self.max_gen_id)
