"""The folder on the node that holds everything, and the paths below it."""

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from daemon.errors import DiskError, PrefixPathError
from daemon.host.modes import make_folder
from gens.path_component import path_component

DEFAULT_PREFIX = Path("/srv/r8/monobase")
MARK_NAME = ".done"
ENVIRONMENTS_NAME = "environments"
LATEST_NAME = "latest"
_GENERATIONS = "monobase"
_REMEMBERED = 1024
_GENERATION = re.compile(r"g([0-9]{5}|[1-9][0-9]{5,14})")


@dataclass(frozen=True, slots=True)
class Prefix:
    """The paths of a prefix; none needs to exist.

    Attributes:
        root: The folder itself, absolute.
    """

    root: Path

    @property
    def uv_cache(self) -> Path:
        """The cache of uv; on the mount of all else, as a hard link crosses none."""
        return self.root / "uv" / "cache"

    @property
    def uv_python(self) -> Path:
        """The interpreters that uv manages."""
        return self.root / "uv" / "python"

    @property
    def uv_python_staging(self) -> Path:
        """The folder in which an interpreter is made; beside the others, so on their mount."""
        return self.uv_python / ".staging"

    def interpreter_manifest(self, directory_name: str) -> Path:
        """Return the manifest of an interpreter, which marks it as complete.

        Beside the folder, which may be called by uv's own name of it, and is removed by uv as it likes.

        Args:
            directory_name: Name below `uv/python`, such as `cpython-3.11.10-linux-x86_64-gnu`.
        """
        return self.uv_python / f".{directory_name}.complete"

    @property
    def toolkits(self) -> Path:
        """CUDA and cuDNN trees, which generations share."""
        return self.root / "cuda"

    @property
    def bytecode(self) -> Path:
        """The shared bytecode, by interpreter and digest of the source."""
        return self.root / "pyc"

    @property
    def files(self) -> Path:
        """A link to each installed content, by its digest: how later wheels find what to share."""
        return self.root / "files"

    @property
    def wheels(self) -> Path:
        """The inventories and lists of bytecode, by the digest of the wheel."""
        return self.root / "wheels"

    @property
    def generations(self) -> Path:
        """The generations, and what belongs to the writing of them."""
        return self.root / _GENERATIONS

    @property
    def staging(self) -> Path:
        """The folder in which everything is made; nothing in it outlives its writer.

        It is as deep as a generation, so that a relative link in an environment is right in both.
        """
        return self.generations / ".staging"

    @property
    def lock_file(self) -> Path:
        """The file whose lock makes a process the one writer."""
        return self.generations / ".lock"

    @property
    def second_lock_file(self) -> Path:
        """The file that a writer locks as well, so that one whose first file was removed stays alone."""
        return self.root / ".lock"

    @property
    def service_lock_file(self) -> Path:
        """The file whose lock makes a process the one daemon."""
        return self.generations / ".service-lock"

    @property
    def machine_file(self) -> Path:
        """The file that says which machine the prefix is for."""
        return self.generations / ".machine"

    @property
    def latest(self) -> Path:
        """The link to the newest sealed generation that is active."""
        return self.generations / LATEST_NAME

    def generation(self, directory_name: str) -> Path:
        """Return the folder of a generation, by its name such as `g00003`.

        Raises:
            DefinitionError: The name is more, or less, than one part of a path.
        """
        return _generation(self.root, path_component(directory_name))

    def target(self, directory_name: str, name: str) -> Path:
        """Return an environment of a generation, or its link to a toolkit, by both names."""
        return self.generation(directory_name) / name

    def toolkit(self, directory_name: str) -> Path:
        """Return the tree of a toolkit, by its name such as `cuda-12.4.1`."""
        return self.toolkits / directory_name

    def interpreter(self, directory_name: str) -> Path:
        """Return the tree of an interpreter, by its name such as `cpython-3.11.10-linux-x86_64-gnu`."""
        return self.uv_python / directory_name

    def sealed_mark(self, directory_name: str) -> Path:
        """Return the path of a generation's mark."""
        return self.generation(directory_name) / MARK_NAME

    def environments_file(self, directory_name: str) -> Path:
        """Return the path of a generation's list for the runtime."""
        return self.generation(directory_name) / ENVIRONMENTS_NAME

    def installed_generations(self) -> list[str]:
        """Return the names of the generations that have a folder, oldest first."""
        try:
            names = [
                entry.name
                for entry in os.scandir(self.generations)
                if is_generation_name(entry.name) and entry.is_dir(follow_symlinks=False)
            ]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(names, key=lambda name: int(name[1:]))

    def make_directories(self) -> None:
        """Make the folders that every install needs.

        Raises:
            DiskError: The prefix cannot be written to.
        """
        try:
            for path in (
                self.uv_cache, self.uv_python, self.toolkits, self.bytecode, self.files, self.wheels,
                self.generations,
            ):  # fmt: skip
                make_folder(path)
        except OSError as error:
            raise DiskError(
                f"{self.root}: the prefix cannot be written to: {error.strerror} ({error.filename}); "
                "name a directory of a writable mount with --prefix"
            ) from error


@lru_cache(_REMEMBERED)  # a round asks for it several times for each environment
def _generation(root: Path, directory_name: str) -> Path:
    return root / _GENERATIONS / directory_name


def is_generation_name(name: str) -> bool:
    """Return whether a name is one of a generation: `g00003`, `g123456`, not `g000003`."""
    found = _GENERATION.fullmatch(name)
    return found is not None and name == f"g{int(found[1]):05}"


def prefix_at(path: Path) -> Prefix:
    """Return the prefix at a path, made absolute without following links.

    Args:
        path: The folder, as a person gave it.

    Returns:
        The prefix.

    Raises:
        PrefixPathError: No prefix can have that path.
        DiskError: There is something else than a folder.
    """
    given = os.fspath(path)
    root = Path(os.path.abspath(given))  # noqa: PTH100 (resolve() would follow links)
    if ":" in str(root) or not str(root).isprintable():
        raise PrefixPathError(
            f"{str(root)!r}: the path of a prefix has no colon, which parts the folders of PATH, and nothing "
            "invisible in it, such as a tab or a line break; give another folder with --prefix"
        )
    if root == Path(root.anchor):
        raise PrefixPathError(f"{root}: is the root of all files; give a folder of its own with --prefix")
    if ".." in Path(given).parts and os.path.realpath(given) != os.path.realpath(root):
        raise PrefixPathError(
            f"{given}: goes up behind a link; write it without `..`: {os.path.realpath(given)}"
        )
    if root.is_symlink() and not root.exists():
        raise DiskError(f"{root}: is a link to {root.readlink()}, which is not there; make that folder first")
    if root.exists() and not root.is_dir():
        raise DiskError(f"{root}: is not a directory; name a directory with --prefix")
    return Prefix(root)
