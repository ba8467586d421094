"""The definitions in force: those that were read last without an error.

A folder given with `--gens` is read again each round, maybe in the middle of a change. The definitions read
before stay in force while the folder cannot be read. So does a generation, which never changes, while its
own file cannot be read, and so do the pools while they cannot be read, or the node's own one is missing or
selects nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gens.catalog import Catalog
from gens.errors import DefinitionError
from gens.pools import POOLS_NAME
from gens.selection import EVERYTHING, Selection


@dataclass(slots=True)
class Definitions:
    """The definitions in force.

    Attributes:
        load: Reads the definitions; its catalog names those that cannot be read.
        min_gen_id: Oldest active generation, or None.
        max_gen_id: Newest active generation, or None.
        selection: The part of each generation that the node holds.
        catalog: The definitions in force.
        broken: Errors of the definitions of the range that cannot be read now, by name such as `g00003`,
            whether or not they were read before; and that of the pools, by the name of their file.
    """

    load: Callable[[], Catalog]
    min_gen_id: int | None
    max_gen_id: int | None
    selection: Selection = EVERYTHING
    catalog: Catalog = field(init=False)
    broken: dict[str, DefinitionError] = field(default_factory=dict)

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
        unusable = self._error_of_pools(merged)
        if unusable is not None and self.selection.pool in self.catalog.pools:
            merged = replace(merged, pools=self.catalog.pools, broken_pools=None)
        self.catalog = merged
        self.broken = new.broken_between(self.min_gen_id, self.max_gen_id)
        if unusable is not None:
            self.broken |= {POOLS_NAME: unusable}

    def _error_of_pools(self, catalog: Catalog) -> DefinitionError | None:
        """Return why the node cannot take its part by the pools of a catalog; None when it can."""
        if self.selection.pool is None:
            return None
        part = Selection(pool=self.selection.pool)
        try:
            catalog.resolve(part).check(catalog.between(self.min_gen_id, self.max_gen_id))
        except DefinitionError as error:
            return error
        return None
