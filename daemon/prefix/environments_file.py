"""The list of what a generation offers, `environments`: the one file that the runtime reads.

Lines of words, the first of which is `monobase-environments 1`; `daemon/README.md` describes the others. It
is rewritten when trees of the generation are published, and when the generation is sealed.
"""

import os
from pathlib import Path

from daemon.host.durability import write_file
from daemon.host.modes import make_folder
from daemon.host.plain_file import read_plain_file
from daemon.prefix.generation import is_present
from daemon.prefix.prefix import Prefix
from gens.generation import Environment, Generation, Toolkit

_LAYOUT_VERSION = 1


def environments_text(prefix: Prefix, generation: Generation, *, sealed: bool) -> str:
    """Write what a generation offers, for the runtime; daemon/README.md describes the format.

    Args:
        prefix: The prefix.
        generation: The generation.
        sealed: Whether it is complete.

    Returns:
        The text of the file.
    """

    def state(target: Environment | Toolkit) -> str:
        return "ready" if is_present(prefix, generation, target) else "missing"

    lines = [
        f"monobase-environments {_LAYOUT_VERSION}",
        f"generation {generation.directory_name} {'sealed' if sealed else 'partial'}",
    ]
    lines += [f"python {minor} {full}" for minor, full in generation.python.items()]
    for toolkit in generation.toolkits:
        fields = [toolkit.product, toolkit.name, state(toolkit), toolkit.version, toolkit.full_version]
        lines.append(" ".join([*fields, toolkit.cuda_major] if toolkit.cuda_major else fields))
    for cell in generation.environments:
        lines.append(
            f"environment {cell.name} {state(cell)} {cell.python} {cell.python_full} "
            f"{cell.torch or '-'} {cell.build or '-'} {cell.cuda or '-'}"
        )
    return "\n".join(lines) + "\n"


def write_environments(prefix: Prefix, generation: Generation, *, sealed: bool) -> None:
    """Tell the runtime what a generation offers now."""
    path = prefix.environments_file(generation.directory_name)
    text = environments_text(prefix, generation, sealed=sealed).encode()
    try:
        if path.read_bytes() == text:
            return
    except FileNotFoundError:
        pass
    make_folder(path.parent)
    write_file(path, text)


def listed_targets(prefix: Prefix, name: str) -> list[str]:
    """Give the environments and toolkits that a generation's list for the runtime names."""
    try:
        text = read_plain_file(prefix.environments_file(name)).decode(errors="replace")
    except OSError:
        return []
    fields = [line.split(" ") for line in text.splitlines()]
    return [words[1] for words in fields if words[0] in {"environment", "cuda", "cudnn"} and len(words) > 1]


def is_environments_file(path: Path) -> bool:
    """Tell whether a generation that is not sealed has a list that the runtime can read, or none yet."""
    try:
        return read_plain_file(path).startswith(b"monobase-environments ")
    except FileNotFoundError:
        return not os.path.lexists(path)
    except OSError:
        return False
