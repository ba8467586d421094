"""Runs programs of Debian packages of the builder's architecture, with their own libraries, in no container.

What configures an image runs here, whatever the image's architecture: nothing of the image itself is run.
"""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from image.architecture import ARCHITECTURES, Architecture
from image.debian.rootfs.package import open_package
from image.debian.rootfs.tree import Tree
from image.errors import ImageError


@dataclass(frozen=True, slots=True)
class Programs:
    """Unpacked packages.

    Attributes:
        root: The folder that they were unpacked to.
        architecture: The architecture of their programs, which is the builder's.
    """

    root: Path
    architecture: Architecture

    @property
    def libraries(self) -> str:
        """Folder of their libraries, below the root."""
        return f"usr/lib/{self.architecture.triplet}"

    def path(self, name: str) -> Path:
        """Return the file of a path."""
        return self.root / name

    def run(self, program: str, *arguments: str | Path, variables: Mapping[str, str] | None = None) -> bytes:
        """Run a program.

        Args:
            program: Its path below the root.
            arguments: Its arguments.
            variables: Its environment variables, in addition to the locale.

        Returns:
            Its output.

        Raises:
            ImageError: It failed.
        """
        folders = f"{self.path(self.libraries)}:{self.path('usr/lib')}"
        loader = (self.path(self.architecture.loader), "--inhibit-cache", "--library-path", folders)
        environment = {"LC_ALL": "C.UTF-8", "PATH": "/nonexistent", **(variables or {})}
        needed = f"a Linux of {self.architecture.name} is needed"
        try:
            done = subprocess.run(
                [*loader, self.path(program), *arguments], env=environment, capture_output=True, check=False
            )
        except OSError as error:
            raise ImageError(f"/{program} of Debian cannot be run here ({needed}): {error}") from error
        if done.returncode != 0:
            raise ImageError(
                f"/{program} of Debian ended with {done.returncode} here ({needed}): "
                f"{done.stderr.decode(errors='replace').strip()[-500:]}"
            )
        return done.stdout


def unpack_programs(packages: Sequence[Path], root: Path) -> Programs:
    """Unpack packages whose programs are to be run.

    Args:
        packages: The .deb files, with those of the libraries that the programs load.
        root: The new folder to unpack to.

    Returns:
        The programs.

    Raises:
        ImageError: A .deb file cannot be read, or the packages are not of one architecture.
    """
    opened = [open_package(path) for path in packages]
    names = sorted({package.architecture for package in opened} - {"all"})
    if len(names) != 1 or names[0] not in ARCHITECTURES:
        raise ImageError(
            f"programs to run are of {' and '.join(names) or 'no architecture'}; give those of one"
        )
    root.mkdir()
    tree = Tree(root.resolve(), date_s=0, architecture=ARCHITECTURES[names[0]])
    # base-files, whose links lead from /lib to /usr/lib, comes first if it is one of them.
    for package in sorted(opened, key=lambda package: package.name != "base-files"):
        tree.unpack(package, package.data())
    return Programs(tree.root, tree.architecture)
