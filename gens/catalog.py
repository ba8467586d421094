"""All generations of one directory: definitions at once, locks when asked for."""

import errno
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gens.errors import DefinitionError, LockError
from gens.generation import Generation, Target, generation_directory_name, parse_generation
from gens.lock import Lock, parse_lock

_DEFINITION = re.compile(r"g([0-9]{5}|[1-9][0-9]{5,14})\.json")


@dataclass(frozen=True, slots=True)
class Catalog:
    """The generations that there are, and where their locks lie.

    Attributes:
        generations: The generations, oldest first.
        locks_directory: Directory that holds `g00003/python3.11-torch2.4.1-cu121.txt` and so on.
        broken: Why the definition of a generation cannot be read, by ID.
    """

    generations: tuple[Generation, ...]
    locks_directory: Path
    broken: Mapping[int, DefinitionError] = field(default_factory=dict)

    def generation(self, generation_id: int) -> Generation:
        """Give the generation of that ID.

        Raises:
            DefinitionError: There is none, or its definition cannot be read.
        """
        for generation in self.generations:
            if generation.id == generation_id:
                return generation
        if generation_id in self.broken:
            raise self.broken[generation_id]
        raise DefinitionError(f"there is no generation {generation_id}; there are {self._known()}")

    def between(self, min_gen_id: int | None, max_gen_id: int | None) -> tuple[Generation, ...]:
        """Give the generations with `min_gen_id <= id <= max_gen_id`; None is no bound.

        Raises:
            DefinitionError: There is none whose definition can be read.
        """
        found = tuple(
            generation
            for generation in self.generations
            if (min_gen_id is None or generation.id >= min_gen_id)
            and (max_gen_id is None or generation.id <= max_gen_id)
        )
        if not found:
            for error in self.broken_between(min_gen_id, max_gen_id).values():
                raise error
            raise DefinitionError(
                f"no generation has an ID from {'any' if min_gen_id is None else min_gen_id}"
                f" to {'any' if max_gen_id is None else max_gen_id}; there are {self._known()}"
            )
        return found

    def broken_between(self, min_gen_id: int | None, max_gen_id: int | None) -> dict[str, DefinitionError]:
        """Give, by name such as `g00003`, why definitions of that range cannot be read."""
        return {
            generation_directory_name(number): error
            for number, error in sorted(self.broken.items())
            if (min_gen_id is None or number >= min_gen_id) and (max_gen_id is None or number <= max_gen_id)
        }

    def lock_path(self, generation: Generation, target: Target) -> Path:
        """Give the path of a target's lock, whether or not it exists."""
        return self.locks_directory / generation.directory_name / f"{target.name}.txt"

    def lock(self, generation: Generation, target: Target) -> Lock:
        """Read the lock of a target, and check that it belongs to it.

        Raises:
            LockError: It is missing or malformed, or was made for something else or from another definition.
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
                f" `bazel run //tools:update -- --min-gen-id {generation.id}` makes it anew"
            )
        return lock

    def _known(self) -> str:
        return ", ".join(str(generation.id) for generation in self.generations) or "none"


def load_catalog(
    directory: Path | None = None, locks_directory: Path | None = None, *, keep_broken: bool = False
) -> Catalog:
    """Read the definitions of a directory, `g00000.json`, `g00001.json` and so on.

    Args:
        directory: Where the definitions lie; by default beside this module, where Bazel puts them.
        locks_directory: Where the locks lie, if not in the same directory.
        keep_broken: Whether the catalog carries the definitions that cannot be read, so that the others
            are of use; else the first one is raised.

    Returns:
        The catalog; no lock has been read.

    Raises:
        DefinitionError: There is no definition, one is malformed, or a file's name is not of its generation.
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
    for path in paths:
        try:
            generations.append(_read_definition(path))
        except DefinitionError as error:
            if not keep_broken:
                raise
            broken[int(path.stem[1:])] = error
    return Catalog(
        tuple(sorted(generations, key=lambda generation: generation.id)),
        locks_directory or directory,
        broken,
    )


def _read_definition(path: Path) -> Generation:
    try:
        content = _read_file(path)
    except OSError as error:
        raise DefinitionError(f"{path}: cannot be read: {error.strerror}") from error
    generation = parse_generation(content, path)
    if path.name != f"{generation.directory_name}.json":
        raise DefinitionError(
            f"{path}: defines generation {generation.id}, whose file is {generation.directory_name}.json"
        )
    return generation


def _read_file(path: Path) -> bytes:
    """Read a file; a pipe is none, and would wait for somebody who writes to it."""
    if stat.S_ISFIFO(path.stat().st_mode):
        raise OSError(errno.EINVAL, "is a pipe, not a file", str(path))
    return path.read_bytes()
