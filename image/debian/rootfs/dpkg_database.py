"""Writes dpkg's database of installed packages, for dpkg, apt and scanners (dpkg(1), /var/lib/dpkg)."""

import hashlib
import tarfile
from collections.abc import Mapping, Sequence

from image.debian.rootfs.package import Package
from image.debian.rootfs.tree import Tree, image_path

_DATABASE = "var/lib/dpkg"
_FILES = (tarfile.REGTYPE, tarfile.LNKTYPE)


def write_database(tree: Tree, packages: Sequence[Package]) -> None:
    """Write the database entries of all packages.

    Args:
        tree: The file system, with the packages unpacked.
        packages: The packages.
    """
    for name in ("alternatives", "info", "parts", "triggers", "updates"):
        tree.make_directory(f"{_DATABASE}/{name}")
    tree.write(f"{_DATABASE}/status", "\n".join(_stanza(tree, package) for package in packages))
    tree.write(f"{_DATABASE}/arch-native", f"{tree.architecture.name}\n")
    for name in ("available", "diversions", "statoverride", "triggers/Lock", "triggers/Unincorp"):
        tree.write(f"{_DATABASE}/{name}", "")
    tree.write(f"{_DATABASE}/info/format", "1\n")
    for package in packages:
        for name, (mode, content) in package.control_files.items():
            tree.write(f"{_DATABASE}/info/{package.info_name}.{name}", content, mode & 0o755)
        paths = "".join(f"{path}\n" for path in tree.lists[package.name])
        tree.write(f"{_DATABASE}/info/{package.info_name}.list", paths)
    for name, lines in _interests(packages).items():
        tree.write(f"{_DATABASE}/triggers/{name}", "".join(f"{line}\n" for line in sorted(lines)))


def _interests(packages: Sequence[Package]) -> Mapping[str, list[str]]:
    """Return the lines of the files in /var/lib/dpkg/triggers: a file for each trigger, `File` for paths."""
    files: dict[str, list[str]] = {}
    for package in packages:
        _, content = package.control_files.get("triggers", (0, b""))
        for words in (line.split() for line in content.decode().splitlines()):
            if len(words) != 2 or not words[0].startswith("interest"):
                continue
            # By the name of its files in dpkg's database: `libc6` may be that of any architecture.
            who = f"{package.info_name}/noawait" if words[0].endswith("-noawait") else package.info_name
            if words[1].startswith("/"):
                files.setdefault("File", []).append(f"{words[1]} {who}")
            else:
                files.setdefault(words[1], []).append(who)
    return files


def _stanza(tree: Tree, package: Package) -> str:
    lines = package.control.rstrip("\n").splitlines()
    lines.insert(1, "Status: install ok installed")
    conffiles = [
        f" {path} {hashlib.md5(tree.path(name).read_bytes(), usedforsecurity=False).hexdigest()}"
        for path in package.conffiles
        # A file that is left out, or that the package removes (remove-on-upgrade), does not exist.
        if (name := image_path(path.lstrip("/"))) in tree.entries and tree.entries[name].kind in _FILES
    ]
    if conffiles:
        lines += ["Conffiles:", *conffiles]
    return "".join(f"{line}\n" for line in lines)
