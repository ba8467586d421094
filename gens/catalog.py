"""Loads the generations of a directory: all definitions at once, each lock when it is asked for."""

import errno
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from gens.definition_memory import DefinitionMemory
from gens.errors import DefinitionError, LockError
from gens.generation import Generation, Target, generation_directory_name
from gens.lock import Lock, parse_lock
from gens.pools import POOLS_NAME, check_pools, parse_pools
from gens.selection import Selection

_DEFINITION = re.compile(r"g([0-9]{5}|[1-9][0-9]{5,14})\.json")


@dataclass(frozen=True, slots=True)
class Catalog:
    """The generations of a directory, and the place of their locks.

    Attributes:
        generations: The generations, oldest first.
        locks_directory: Directory that holds `g00003/python3.11-torch2.4.1-cu121.txt`,
            `g00003/aarch64/python3.11-torch2.11.0-cu130.txt` and so on.
        broken: Why the definition of a generation cannot be read, by ID.
        elsewhere: Of the catalog of a machine: why a generation is left out, by ID.
        pools: The patterns of each pool, by its name.
        broken_pools: Why the pools cannot be read; None when they can.
    """

    generations: tuple[Generation, ...]
    locks_directory: Path
    broken: Mapping[int, DefinitionError] = field(default_factory=dict)
    elsewhere: Mapping[int, DefinitionError] = field(default_factory=dict)
    pools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    broken_pools: DefinitionError | None = None

    def for_machine(self, machine: str, memory: DefinitionMemory | None = None) -> "Catalog":
        """Return the catalog with only the environments and toolkits of one machine.

        Args:
            machine: The machine, as `platform.machine()` names it.
            memory: The memory that the catalog was loaded with; None for none.

        Returns:
            The catalog; `elsewhere` names the generations that have nothing for the machine.
        """
        found, elsewhere = [], {}
        for generation in self.generations:
            try:
                found.append((memory or DefinitionMemory()).for_machine(generation, machine))
            except DefinitionError as error:
                elsewhere[generation.id] = error
        return replace(self, generations=tuple(found), elsewhere=elsewhere)

    def generation(self, generation_id: int) -> Generation:
        """Return the generation with an ID.

        Raises:
            DefinitionError: There is none, or its definition cannot be read.
        """
        for generation in self.generations:
            if generation.id == generation_id:
                return generation
        for unusable in (self.broken, self.elsewhere):
            if generation_id in unusable:
                raise unusable[generation_id]
        raise DefinitionError(f"there is no generation {generation_id}; there are {self._known()}")

    def between(self, min_gen_id: int | None, max_gen_id: int | None) -> tuple[Generation, ...]:
        """Return the generations with `min_gen_id <= id <= max_gen_id`; None means no bound.

        Raises:
            DefinitionError: No generation of the range has a readable definition.
        """
        found = tuple(
            generation
            for generation in self.generations
            if _is_between(generation.id, min_gen_id, max_gen_id)
        )
        if not found:
            for error in self.broken_between(min_gen_id, max_gen_id).values():
                raise error
            elsewhere = self.elsewhere_between(min_gen_id, max_gen_id).values()
            if elsewhere:
                reasons = "; ".join(map(str, elsewhere))
                raise DefinitionError(f"{reasons}; for that machine there are {self._known()}")
            raise DefinitionError(
                f"no generation has an ID from {'any' if min_gen_id is None else min_gen_id}"
                f" to {'any' if max_gen_id is None else max_gen_id}; there are {self._known()}"
            )
        return found

    def broken_between(self, min_gen_id: int | None, max_gen_id: int | None) -> dict[str, DefinitionError]:
        """Return the errors of unreadable definitions of a range, by name such as `g00003`."""
        return _between(self.broken, min_gen_id, max_gen_id)

    def elsewhere_between(self, min_gen_id: int | None, max_gen_id: int | None) -> dict[str, DefinitionError]:
        """Return why generations of a range are left out on this machine, by name such as `g00003`."""
        return _between(self.elsewhere, min_gen_id, max_gen_id)

    def resolve(self, selection: Selection) -> Selection:
        """Return a selection with the patterns of its pool, as the pool is defined now.

        Raises:
            DefinitionError: There is no such pool, or the pools cannot be read.
        """
        if selection.pool is None:
            return selection
        if self.broken_pools is not None:
            raise self.broken_pools
        if selection.pool not in self.pools:
            known = ", ".join(self.pools) or "none"
            raise DefinitionError(f"there is no pool {selection.pool}; there are {known}")
        return replace(selection, patterns=self.pools[selection.pool])

    def lock_path(self, generation: Generation, target: Target) -> Path:
        """Return the path of a target's lock, whether or not it exists."""
        return self.locks_directory / generation.directory_name / target.lock_name

    def lock(self, generation: Generation, target: Target) -> Lock:
        """Read the lock of a target, and check that it was made for this target and definition.

        Raises:
            LockError: The lock is missing, malformed, or made for another target or from another definition.
        """
        path = self.lock_path(generation, target)
        try:
            text = _read_file(path).decode()
        except FileNotFoundError as error:
            raise LockError(
                f"{path}: there is no lock for {target.name}; `bazel run //tools:update` makes it"
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise LockError(f"{path}: cannot be read: {error}") from error
        lock = parse_lock(text, path)
        if (lock.generation_id, lock.kind, lock.target) != (generation.id, target.kind, target.name):
            raise LockError(
                f"{path}: is for {lock.kind} {lock.target} of"
                f" {generation_directory_name(lock.generation_id)},"
                f" not for {target.kind} {target.name} of {generation.directory_name}"
            )
        if lock.inputs != target.inputs.digest:
            raise LockError(
                f"{path}:3: was made from another definition: inputs {lock.inputs}, the definition"
                f" has {target.inputs.digest};"
                f" `bazel run //tools:update -- --min-gen-id {generation.id}` resolves it again"
            )
        return lock

    def _known(self) -> str:
        return ", ".join(str(generation.id) for generation in self.generations) or "none"


def load_catalog(
    directory: Path | None = None,
    locks_directory: Path | None = None,
    *,
    keep_broken: bool = False,
    memory: DefinitionMemory | None = None,
) -> Catalog:
    """Read the definitions of a directory, `g00000.json`, `g00001.json` and so on.

    Args:
        directory: Folder of the definitions; by default the folder of this module, where Bazel puts them.
        locks_directory: Folder of the locks, if it is another one.
        keep_broken: Keep the errors of unreadable definitions in the catalog, so that the other generations
            can be used. By default, the first error is raised.
        memory: The definitions that were read before, of which unchanged ones are not parsed again.

    Returns:
        The catalog, without having read any lock.

    Raises:
        DefinitionError: The folder has no definition, or one is malformed or in a file with another name; or
            its pools are malformed, or have a pattern that matches nothing.
    """
    directory = Path(__file__).parent if directory is None else directory
    try:
        paths = sorted(path for path in directory.iterdir() if _DEFINITION.fullmatch(path.name))
    except OSError as error:
        raise DefinitionError(f"{directory}: cannot be read: {error.strerror}") from error
    if not paths:
        raise DefinitionError(f"{directory}: holds no definition of a generation (g00000.json)")
    generations = []
    broken = {}
    memory = memory or DefinitionMemory()
    memory.keep_only(paths)
    for path in paths:
        try:
            generations.append(_read_definition(path, memory))
        except DefinitionError as error:
            if not keep_broken:
                raise
            broken[int(path.stem[1:])] = error
    catalog = Catalog(
        tuple(sorted(generations, key=lambda generation: generation.id)),
        locks_directory or directory,
        broken,
    )
    try:
        return replace(catalog, pools=_read_pools(directory / POOLS_NAME, catalog))
    except DefinitionError as error:
        if not keep_broken:
            raise
        return replace(catalog, broken_pools=error)


def _read_pools(path: Path, catalog: Catalog) -> dict[str, tuple[str, ...]]:
    try:
        pools = parse_pools(_read_file(path), path)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DefinitionError(f"{path}: cannot be read: {error.strerror}") from error
    if not catalog.broken:  # the definition that cannot be read may have what a pattern names
        check_pools(pools, catalog.generations, path)
    return pools


def _between(
    errors: Mapping[int, DefinitionError], least: int | None, most: int | None
) -> dict[str, DefinitionError]:
    return {
        generation_directory_name(number): error
        for number, error in sorted(errors.items())
        if _is_between(number, least, most)
    }


def _is_between(number: int, least: int | None, most: int | None) -> bool:
    return (least is None or number >= least) and (most is None or number <= most)


def _read_definition(path: Path, memory: DefinitionMemory) -> Generation:
    try:
        content = _read_file(path)
    except OSError as error:
        raise DefinitionError(f"{path}: cannot be read: {error.strerror}") from error
    generation = memory.parse(content, path)
    if path.name != f"{generation.directory_name}.json":
        raise DefinitionError(
            f"{path}: defines generation {generation.id}, whose file is {generation.directory_name}.json"
        )
    return generation


def _read_file(path: Path) -> bytes:
    """Read a regular file; opening a FIFO would block until a writer appears."""
    if stat.S_ISFIFO(path.stat().st_mode):
        raise OSError(errno.EINVAL, "is a pipe, not a file", str(path))
    return path.read_bytes()
