"""A file system in a folder: the files of packages, and those that their configuration adds.

The builder is not root, so owners and modes of the folder mean nothing: `Tree` records those of the image.
"""

import hashlib
import os
import re
import shutil
import stat
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from image.architecture import Architecture
from image.debian.rootfs.package import Package, open_archive
from image.errors import ImageError

# Debian 13 has a merged /usr: packages may still use the old paths.
_ALIASES = re.compile(r"^(bin|sbin|lib|lib64)(?=/)")
# Folders of /usr/share that no model reads; configuration.py excludes them in dpkg as well. Licences in `doc`
# stay.
LEFT_OUT = ("man", "info", "locale", "lintian", "linda", "groff", "doc-base", "bug", "gtk-doc", "omf")
_LEFT_OUT = re.compile(rf"usr/share/(?:{'|'.join(LEFT_OUT)})/.+|usr/share/doc/.+/(?!copyright$)[^/]+")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, folder or link of the image.

    Attributes:
        kind: Its type, as tarfile names it.
        mode: Its permissions.
        uid: Its owner.
        gid: Its group.
        mtime_s: When it was modified, in seconds since the epoch.
        target: Target of a symbolic link; path of the file for a hard link.
        size_bytes: Size of a regular file.
        sha256: Digest of a regular file that is not from a package; empty for others.
    """

    kind: bytes
    mode: int
    uid: int = 0
    gid: int = 0
    mtime_s: int = 0
    target: str = ""
    size_bytes: int = 0
    sha256: str = ""

    def member(self, path: str) -> tarfile.TarInfo:
        """Return its tar header for a layer."""
        member = tarfile.TarInfo(path)
        member.type, member.mode, member.uid, member.gid = self.kind, self.mode, self.uid, self.gid
        member.mtime, member.linkname, member.size = self.mtime_s, self.target, self.size_bytes
        return member


@dataclass(slots=True)
class Tree:
    """The file system.

    Attributes:
        root: The folder.
        date_s: Modification time of entries that are not from a package, in seconds since the epoch.
        architecture: Its architecture.
        entries: Entries of packages, by path without a leading slash.
        owners: Unusual mode, user and group of entries that are not from a package.
        lists: All paths of each package, with those left out, by the package's name.
    """

    root: Path
    date_s: int
    architecture: Architecture
    entries: dict[str, Entry] = field(default_factory=dict)
    owners: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    _holders: dict[str, str] = field(default_factory=dict)
    _folders: set[str] = field(default_factory=set)

    def path(self, name: str) -> Path:
        """Return the file in the folder for a path of the image."""
        return self.root / name

    def unpack(self, package: Package, data: bytes) -> None:
        """Add the files of a package.

        Args:
            package: The package.
            data: Its archive of files, from `Package.data`.

        Raises:
            ImageError: It has a file of another package, or a kind of file that an image cannot hold.
        """
        names = self.lists.setdefault(package.name, [])
        try:
            with open_archive(data) as archive:
                for member in archive:
                    original = os.path.normpath(member.name).lstrip("/")
                    if original == ".":
                        names.append("/.")
                        continue
                    names.append(f"/{original}")
                    name = image_path(original)
                    if not _LEFT_OUT.fullmatch(name):
                        self._add(package, archive, member, name)
        except tarfile.TarError as error:
            raise ImageError(f"{package.path}: its archive of files cannot be read: {error}") from error

    def make_directory(self, name: str, mode: int = 0o755, gid: int = 0, uid: int = 0) -> None:
        """Make a folder that is not from a package; an existing one is not changed.

        Raises:
            ImageError: Something else is there.
        """
        path = self._place(name)
        if self.holds(name):
            if path.is_symlink() or not path.is_dir():
                raise self._taken(name, "a folder")
            return
        path.mkdir(parents=True)
        self.owners[name] = (mode, uid, gid)

    def write(self, name: str, content: str | bytes, mode: int = 0o644, gid: int = 0) -> None:
        """Write a file that is not from a package; overwrite it if it was written before.

        Raises:
            ImageError: A package has this file, or it is a link or folder.
        """
        path = self._place(name)
        if name in self.entries or path.is_symlink() or path.is_dir():
            raise self._taken(name, "a file of the image's own")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.owners[name] = (mode, 0, gid)

    def copy(self, source: str, name: str) -> None:
        """Copy a file of a package to a path that no package has."""
        self.write(name, self.path(source).read_bytes())

    def link(self, name: str, target: str) -> None:
        """Make a symbolic link that is not from a package; it replaces an empty folder of a package.

        Raises:
            ImageError: Something else is there.
        """
        path = self._place(name)
        if path.is_symlink() and os.readlink(path) == target:  # noqa: PTH115
            return
        if name in self.entries and self.entries[name].kind == tarfile.DIRTYPE and not any(path.iterdir()):
            path.rmdir()
            del self.entries[name]
            self._folders.discard(name)
        if self.holds(name):
            raise self._taken(name, f"a link to {target}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    def holds(self, name: str) -> bool:
        """Return whether a path exists; a link is not followed."""
        return os.path.lexists(self.path(name))

    def chown(self, name: str, mode: int, gid: int) -> None:
        """Change mode and group of a package's file or folder."""
        self.entries[name] = replace(self.entries[name], mode=mode, gid=gid)

    def state(self) -> dict[str, Entry]:
        """Return all present entries of the folder, by path."""
        state = {}
        for name, status in self._walk():
            held = self.entries.get(name)
            if held is not None and held.size_bytes and held.size_bytes != status.st_size:
                raise ImageError(
                    f"/{name}: {self._holders[name]} installed it, and the configuration changed it"
                )
            state[name] = held if held is not None else self._generated(name, status)
        missing = self.entries.keys() - state.keys()
        if missing:
            raise ImageError(
                f"/{min(missing)}: {self._holders[min(missing)]} installed it, and it is missing"
            )
        return state

    def _walk(self) -> Iterator[tuple[str, os.stat_result]]:
        for directory, directories, files in os.walk(self.root):
            directories.sort()
            for name in (*directories, *files):
                path = Path(directory, name)
                yield str(path.relative_to(self.root)), path.lstat()

    def _generated(self, name: str, status: os.stat_result) -> Entry:
        path = self.path(name)
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(path)  # noqa: PTH115
            self._refuse_builder(name, target.encode(errors="surrogateescape"))
            return Entry(tarfile.SYMTYPE, 0o777, mtime_s=self.date_s, target=target)
        if stat.S_ISDIR(status.st_mode):
            mode, uid, gid = self.owners.get(name, (0o755, 0, 0))
            return Entry(tarfile.DIRTYPE, mode, uid, gid, self.date_s)
        usual = 0o755 if status.st_mode & 0o100 else 0o644
        mode, uid, gid = self.owners.get(name, (usual, 0, 0))
        content = path.read_bytes()
        self._refuse_builder(name, content)
        digest = hashlib.sha256(content).hexdigest()
        return Entry(tarfile.REGTYPE, mode, uid, gid, self.date_s, size_bytes=len(content), sha256=digest)

    def _add(self, package: Package, archive: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> None:
        path = self._place(name)
        before = self.entries.get(name)
        if member.isdir():
            # Like dpkg, keep a folder, or a link to one, as the first package made it.
            if before is None and not self.holds(name):
                path.mkdir(parents=True, exist_ok=True)
                self._keep(
                    package,
                    name,
                    Entry(tarfile.DIRTYPE, member.mode, member.uid, member.gid, int(member.mtime)),
                )
            elif not path.is_symlink() and not path.is_dir():
                raise self._conflict(package, name)
            return
        if before is not None or self.holds(name):
            raise self._conflict(package, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        owner = (member.mode, member.uid, member.gid, int(member.mtime))
        if member.issym():
            path.symlink_to(member.linkname)
            self._keep(package, name, Entry(tarfile.SYMTYPE, 0o777, *owner[1:], target=member.linkname))
        elif member.islnk():
            target = image_path(os.path.normpath(member.linkname).lstrip("/"))
            if target not in self.entries or self.entries[target].kind != tarfile.REGTYPE:
                raise ImageError(
                    f"{package.path}: {member.name} is a hard link to {member.linkname}, "
                    "which is not an earlier file of the image"
                )
            os.link(self.path(target), path)
            self._keep(package, name, Entry(tarfile.LNKTYPE, *owner, target=target))
        elif member.isreg():
            source = archive.extractfile(member)
            if source is None:
                raise ImageError(f"{package.path}: {member.name} cannot be read")
            with path.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
            path.chmod(0o755 if member.mode & 0o111 else 0o644)
            self._keep(package, name, Entry(tarfile.REGTYPE, *owner, size_bytes=member.size))
        else:
            raise ImageError(
                f"{package.path}: {member.name} is a device or pipe; Monobase's images hold none"
            )

    def _place(self, name: str) -> Path:
        """Return the path of a new entry, which may not be behind a link: that could lead to builder's files.

        Raises:
            ImageError: It lies behind a link, or above the root.
        """
        if name.startswith("../") or name == "..":
            raise ImageError(f"{name}: lies above the root of the image")
        unknown = []
        for parent in PurePosixPath(name).parents:
            if str(parent) in self._folders:
                break
            if self.path(str(parent)).is_symlink():
                raise ImageError(f"/{name}: lies behind the link /{parent}; name the folder that it leads to")
            unknown.append(str(parent))
        path = self.path(name)
        # A path that is not a folder yet may still become a link.
        self._folders.update(parent for parent in unknown if self.path(parent).is_dir())
        return path

    def _conflict(self, package: Package, name: str) -> ImageError:
        return ImageError(f"/{name}: both {self._holders.get(name, 'the image')} and {package.name} hold it")

    def _refuse_builder(self, name: str, content: bytes) -> None:
        # With the builder's path in it, each builder would make another image.
        if str(self.root).encode() in content:
            raise ImageError(f"/{name}: what made it left the builder's folder {self.root} in it")

    def _taken(self, name: str, wanted: str) -> ImageError:
        holder = self._holders.get(name, "the image")
        return ImageError(f"/{name}: is to be {wanted}, and {holder} holds something else there")

    def _keep(self, package: Package, name: str, entry: Entry) -> None:
        self.entries[name] = entry
        self._holders[name] = package.name


def image_path(name: str) -> str:
    """Return the path in the image of a path in a package, both without a leading slash."""
    return _ALIASES.sub(r"usr/\1", name)


def difference(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return the entries of a layer: all that are new or differ from those below it.

    Args:
        before: Entries of the layers below, by path.
        after: Entries of the image with the new layer.

    Returns:
        The entries of the new layer.

    Raises:
        ImageError: An entry is removed: Monobase's layers cannot express that.
    """
    gone = before.keys() - after.keys()
    if gone:
        raise ImageError(f"/{min(gone)}: a lower layer has it, and an upper one removes it")
    return {name: entry for name, entry in after.items() if before.get(name) != entry}
