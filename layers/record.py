"""Reads the lists of installed files (`RECORD`), and makes them reproducible.

Implements https://packaging.python.org/en/latest/specifications/recording-installed-packages/.
"""

import base64
import csv
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

from packaging.utils import canonicalize_name


def records(packages: Path) -> Iterator[tuple[str, Path, list[list[str]]]]:
    """Yield the normalized name, the file and the rows of each distribution's list, in order of the files.

    Args:
        packages: The site-packages.
    """
    for record in sorted(packages.glob("*.dist-info/RECORD")):
        owner = canonicalize_name(record.parent.name.removesuffix(".dist-info").rpartition("-")[0])
        text = io.StringIO(record.read_text(encoding="utf-8"), newline="")
        yield owner, record, [row for row in csv.reader(text) if row]


def settle_records(packages: Path, moved: tuple[str, str]) -> None:
    """Sort each list, and write what its files are: scripts have changed, and a wheel may be wrong.

    Args:
        packages: The site-packages.
        moved: The start of paths that has changed since uv wrote the lists, and what it is now.
    """
    for _, record, rows in records(packages):
        kept = {}
        for path, *rest in rows:
            now = moved[1] + path.removeprefix(moved[0]) if path.startswith(moved[0]) else path
            file = packages / now
            if file.exists():
                kept[now] = [now, *(_fields(file) if any(rest) and file.is_file() else rest)]
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(kept[path] for path in sorted(kept))
        record.write_text(text.getvalue(), encoding="utf-8")


def _fields(path: Path) -> list[str]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        size_bytes = file.tell()
    return [f"sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}", str(size_bytes)]


def contradictions(packages: Path) -> dict[str, list[str]]:
    """Return the files that several distributions have with different contents.

    Args:
        packages: The site-packages.

    Returns:
        Normalized names of their owners, in order, by path.
    """
    seen: dict[str, dict[str, str]] = {}
    for owner, record, rows in records(packages):
        for row in rows:
            if len(row) > 1 and not row[0].startswith(f"{record.parent.name}/"):
                seen.setdefault(row[0], {})[owner] = row[1]
    return {path: sorted(by) for path, by in sorted(seen.items()) if len(set(by.values())) > 1}
