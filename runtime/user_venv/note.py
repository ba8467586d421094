"""The note of CUDA libraries that both sides have in different versions, a line that `activate.sh` prints.

The file is empty if both have the same versions, and absent if only one side has any.
"""

from pathlib import Path

from .distributions import Distribution
from .files import write_file
from .layout import LIBRARY

NOTE = ".monobase-note"


def write_note(venv: Path, base: Path, theirs: dict[str, Distribution], own: dict[str, Distribution]) -> None:
    """Write the note, or remove it.

    Args:
        venv: The venv.
        base: The environment.
        theirs: The distributions of the environment, by name.
        own: Those of the venv.
    """
    both = folders_of_both(venv, base)
    note = venv / NOTE
    if not both:
        note.unlink(missing_ok=True)
        return
    pairs = []
    for name in sorted(own):
        folder = _part_of(own[name], both)
        if folder is None:
            continue
        below = theirs.get(name) or next((it for it in theirs.values() if _part_of(it, {folder})), None)
        if below is not None and (below.name, below.version) != (name, own[name].version):
            pairs.append(f"{below.name} {below.version} (not {name} {own[name].version}, which pip shows)")
    write_file(note, ", ".join(pairs) + "\n" if pairs else "")


def folders_of_both(venv: Path, base: Path) -> set[str]:
    """Return the folders of CUDA libraries that both sides have, such as `nvidia/cudnn/`.

    Args:
        venv: The venv.
        base: The environment.
    """
    library = venv / LIBRARY
    folders = {
        folder.parent.relative_to(library) for folder in library.glob("nvidia/*/lib") if folder.is_dir()
    }
    return {f"{folder.as_posix()}/" for folder in folders if (base / LIBRARY / folder / "lib").is_dir()}


def _part_of(distribution: Distribution, folders: set[str]) -> str | None:
    try:
        record = "\n" + (distribution.folder / "RECORD").read_text("utf-8", "surrogateescape")
    except OSError:
        return None
    return next((folder for folder in sorted(folders) if f"\n{folder}lib/" in record), None)
