"""Damages files of an installed tree: all links of an inode, or one name."""

from pathlib import Path

HARMS = ("bytes", "cut", "grown", "gone", "mode", "open to all", "extra", "link", "folder")


def harmable(tree: Path) -> list[Path]:
    """Return the files of a tree that may be damaged: all that are not empty, except the manifest."""
    return sorted(
        path
        for path in tree.rglob("*")
        if path.is_file() and not path.is_symlink() and path.stat().st_size > 0 and path.name != ".manifest"
    )


def harm(path: Path, way: str) -> None:
    """Damage a file.

    Args:
        path: A file.
        way: One of `HARMS`.
    """
    content = path.read_bytes()
    if way == "bytes":
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif way == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif way == "grown":
        path.write_bytes(content + b"more")
    elif way == "mode":
        path.chmod(0o600)
    elif way == "open to all":
        path.chmod(0o777)
    elif way == "extra":
        (path.parent / "stray").write_text("stray")
    else:
        path.unlink()
        if way == "link":
            path.symlink_to("/etc/hostname")
        elif way == "folder":
            path.mkdir()
            (path / "inside").write_text("inside")
