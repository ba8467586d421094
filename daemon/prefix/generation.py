"""One generation on the prefix: which of its trees are published, and whether it is sealed."""

import hashlib

from daemon.errors import DamageError
from daemon.prefix.manifest import MANIFEST_NAME
from daemon.prefix.mark import read_mark
from daemon.prefix.prefix import Prefix
from gens.generation import Generation, Target


def definition_digest(generation: Generation) -> str:
    """Digest what a generation consists of: each target by its name and what decides its resolution."""
    lines = sorted(f"{target.kind} {target.name} {target.inputs.digest}\n" for target in generation.targets)
    return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"


def is_sealed(prefix: Prefix, generation: Generation) -> bool:
    """Tell whether a generation is sealed on the prefix.

    Args:
        prefix: The prefix.
        generation: The generation.

    Raises:
        DamageError: It was sealed from another definition, or its mark is damaged.
        NewerFormatError: A newer monobase has sealed it.
    """
    mark = read_mark(prefix.sealed_mark(generation.directory_name))
    if mark is None:
        return False
    expected = definition_digest(generation)
    if mark.definition != expected:
        raise DamageError(
            f"{prefix.generation(generation.directory_name)}: was sealed from another definition "
            f"({mark.definition}) than the one of now ({expected}); a generation never changes: use "
            "the release that it came from, or remove it from the prefix"
        )
    return True


def is_present(prefix: Prefix, generation: Generation, target: Target) -> bool:
    """Tell whether an environment or toolkit stands under its final name, and so is complete."""
    path = prefix.generation(generation.directory_name) / target.name
    return (path / MANIFEST_NAME).exists()
