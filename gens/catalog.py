"""All generations of one directory: definitions at once, locks when asked for."""

import re
from dataclasses import dataclass
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
    """

    generations: tuple[Generation, ...]
    locks_directory: Path

    def generation(self, generation_id: int) -> Generation:
        """Give the generation of that ID.

        Raises:
            DefinitionError: There is none.
        """
        for generation in self.generations:
            if generation.id == generation_id:
                return generation
        raise DefinitionError(f"there is no generation {generation_id}; there are {self._known()}")

    def between(self, min_gen_id: int | None, max_gen_id: int | None) -> tuple[Generation, ...]:
        """Give the generations with `min_gen_id <= id <= max_gen_id`; None is no bound.

        Raises:
            DefinitionError: There is none.
        """
        found = tuple(
            generation
            for generation in self.generations
            if (min_gen_id is None or generation.id >= min_gen_id)
            and (max_gen_id is None or generation.id <= max_gen_id)
        )
        if not found:
            raise DefinitionError(
                f"no generation has an ID from {'any' if min_gen_id is None else min_gen_id}"
                f" to {'any' if max_gen_id is None else max_gen_id}; there are {self._known()}"
            )
        return found

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
            text = path.read_bytes().decode()
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


def load_catalog(directory: Path | None = None, locks_directory: Path | None = None) -> Catalog:
    """Read the definitions of a directory, `g00000.json`, `g00001.json` and so on.

    Args:
        directory: Where the definitions lie; by default beside this module, where Bazel puts them.
        locks_directory: Where the locks lie, if not in the same directory.

    Returns:
        The catalog; no lock has been read.

    Raises:
        DefinitionError: There is no definition, one is malformed, or a file's name is not of its generation.
    """
    directory = Path(__file__).parent if directory is None else directory
    try:
        paths = sorted(path for path in directory.iterdir() if _DEFINITION.fullmatch(path.name))
    except OSError as error:
        raise DefinitionError(f"{directory}: cannot be read: {error}") from error
    if not paths:
        raise DefinitionError(f"{directory}: holds no definition of a generation (g00000.json)")
    generations = []
    for path in paths:
        generation = parse_generation(path.read_bytes(), path)
        if path.name != f"{generation.directory_name}.json":
            raise DefinitionError(
                f"{path}: defines generation {generation.id}, whose file is {generation.directory_name}.json"
            )
        generations.append(generation)
    return Catalog(
        tuple(sorted(generations, key=lambda generation: generation.id)), locks_directory or directory
    )
