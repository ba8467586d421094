"""Finds packages whose parts several distributions install, such as `nvidia`.

Of a regular package, one with an `__init__.py`, Python uses the first part on sys.path only.
"""

from pathlib import Path

from .overlay_module import does_nothing


def shared_packages(library: Path) -> list[str]:
    """Return the packages that several distributions may share.

    These are packages without an `__init__.py`, and packages with an `__init__.py` that does nothing, if more
    than one distribution has files in it (`nvidia` of most releases, `google` of old ones).

    Args:
        library: A site-packages.

    Returns:
        Their names, with dots.
    """
    records = [
        "\n" + record.read_text("utf-8", "surrogateescape") for record in library.glob("*.dist-info/RECORD")
    ]
    found: list[str] = []
    _add_shared(library, (), records, found)
    return found


def _add_shared(folder: Path, above: tuple[str, ...], records: list[str], found: list[str]) -> None:
    for child in sorted(folder.iterdir()):
        if not child.name.isidentifier() or child.name == "__pycache__" or not child.is_dir():
            continue
        parts = (*above, child.name)
        start = "/".join(parts) + "/"
        owners = sum(f"\n{start}" in record or f'\n"{start}' in record for record in records)
        inits = [path for path in child.glob("__init__.*") if path.suffix != ".pyc"]
        if inits:
            is_shared = owners > 1 and all(path.suffix == ".py" and does_nothing(path) for path in inits)
        else:
            is_shared = not above or owners > 1 or any(child.glob("*.py")) or any(child.glob("*/__init__.py"))
        if is_shared:
            found.append(".".join(parts))
            _add_shared(child, parts, records, found)
