"""Reads and writes `gens.sum`, the seals of published generations.

Each line has the name of a generation, a field of its definition or the path of a lock, and a digest:

    g00000 cudnn sha256:…
    g00000 python3.11-torch2.4.1-cu121.txt sha256:…
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from gens.errors import SumsError
from gens.generation import Generation, generation_directory_name

_LINE = re.compile(r"g(?P<id>[0-9]{5}|[1-9][0-9]{5,14}) (?P<subject>\S+) (?P<digest>sha256:[0-9a-f]{64})")
_HEADER = "# What published generations consist of; `bazel run //tools:update` writes it.\n"

Seal = Mapping[str, str]
"""Digest by subject: a field of the definition, or the path of a lock in the generation's folder."""


def make_seal(generation: Generation, locks: Mapping[str, str]) -> Seal:
    """Compute the seal of a generation.

    Args:
        generation: Definition of the generation.
        locks: Text of each lock by its path in the generation's folder.

    Returns:
        The seal.
    """
    digests = {name: "sha256:" + hashlib.sha256(text.encode()).hexdigest() for name, text in locks.items()}
    return generation.field_digests | digests


def broken_seals(generation: Generation, sealed: Seal, found: Seal) -> list[str]:
    """Compare a generation with its seal.

    Args:
        generation: The generation.
        sealed: Its seal in `gens.sum`.
        found: Seal of the current files.

    Returns:
        One message for each difference, with the name of the file or field.
    """
    messages = []
    for subject in sorted(sealed.keys() | found.keys()):
        where = _where(generation, subject)
        if subject not in found:
            messages.append(f"{where} is sealed with {sealed[subject]}, but is gone")
        elif subject not in sealed:
            messages.append(f"{where} was added after the generation was sealed")
        elif sealed[subject] != found[subject]:
            messages.append(f"{where} is sealed with {sealed[subject]}, but is {found[subject]}")
    return messages


def read_sums(path: Path) -> dict[int, Seal]:
    """Read `gens.sum`; return no seals if the file does not exist.

    Raises:
        SumsError: The file cannot be read, or a line is malformed or a duplicate; the message names the line.
    """
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SumsError(f"{path}: cannot be read: {error}") from error
    sums: dict[int, dict[str, str]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise SumsError(f"{path}:{number}: expected 'g00003 FIELD-OR-LOCK sha256:…', found {line!r}")
        seal = sums.setdefault(int(found["id"]), {})
        if found["subject"] in seal:
            raise SumsError(f"{path}:{number}: {found['subject']} is sealed twice")
        seal[found["subject"]] = found["digest"]
    return dict(sums)


def format_sums(sums: Mapping[int, Seal]) -> str:
    """Return the text of `gens.sum`."""
    return _HEADER + "".join(
        f"{generation_directory_name(generation_id)} {subject} {digest}\n"
        for generation_id, seal in sorted(sums.items())
        for subject, digest in sorted(seal.items())
    )


def _where(generation: Generation, subject: str) -> str:
    if subject.endswith(".txt"):
        return f"gens/{generation.directory_name}/{subject}"
    return f"gens/prod.bzl: generation {generation.id}: {subject}"
