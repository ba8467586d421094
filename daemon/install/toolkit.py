"""Stage 5, lay out: makes a toolkit of the files of its wheels, by links to uv's cache.

uv does not install the wheels first: in one folder those of a whole toolkit contradict each other, as CUPTI
and the sanitizer API bring different headers of one name. There is no `ld.so.cache`: glibc reads it from
`/etc` only, which belongs to the model; the runtime sets `LD_LIBRARY_PATH`.
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from daemon.errors import WheelContentError
from daemon.host.modes import make_folder, make_new_folder
from daemon.install.toolkit_layout import toolkit_links, toolkit_path
from daemon.install.wanted import Wanted
from daemon.install.workbench import Workbench
from daemon.prefix.inventory import InventoryFile
from daemon.prefix.manifest import Link
from daemon.prefix.staging import make_link, staged_tree
from daemon.uv.cache import fetched_archive
from gens.generation import Toolkit
from gens.lock import LockedWheel


@dataclass(frozen=True, slots=True)
class ToolkitTree:
    """A toolkit in the staging folder, in the layout that builds expect.

    Attributes:
        directory: Its folder.
        files: Its files.
        links: Its symbolic links.
    """

    directory: Path
    files: tuple[InventoryFile, ...]
    links: tuple[Link, ...]


def lay_out_toolkit(bench: Workbench, wanted: Wanted, toolkit: Toolkit) -> ToolkitTree:
    """Make a toolkit in the staging folder.

    Args:
        bench: The stores of the run.
        wanted: The toolkit, with its lock.
        toolkit: The target of `wanted`.

    Raises:
        WheelContentError: Two wheels bring different contents for one path, or a file in place of a folder.
    """
    directory = staged_tree(bench.prefix, wanted.generation, toolkit)
    make_new_folder(directory)
    contents = _Contents(bench, wanted, directory)
    for wheel in wanted.lock.wheels:
        contents.add(wheel, toolkit.product)
    if not contents.files:
        raise WheelContentError(f"{wanted.label}: its wheels hold no toolkit: no file under nvidia/")
    links = toolkit_links(contents.files, toolkit.product, toolkit.inputs.machine)
    for link in links:
        make_link(directory / link.path, link.target)
    return ToolkitTree(directory, tuple(contents.files.values()), tuple(links))


@dataclass(frozen=True, slots=True)
class _Contents:
    """The files of a toolkit that is being made.

    Attributes:
        bench: The stores of the run.
        wanted: The toolkit.
        directory: Its folder in the staging folder.
        files: Its files so far, by path.
        owners: Names of the packages that brought them, by path.
    """

    bench: Workbench
    wanted: Wanted
    directory: Path
    files: dict[str, InventoryFile] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)

    def add(self, wheel: LockedWheel, product: str) -> None:
        """Link the files of a wheel that have a place in the toolkit."""
        archive = fetched_archive(self.bench.prefix.uv_cache, wheel)
        for file in self.bench.inventories.get(wheel).installed_as_is():
            path = toolkit_path(wheel.name, file.path, product)
            if path is None:
                continue
            if path not in self.files:
                self.files[path] = self._place(wheel, f"{archive}/{file.path}", file, path)
                self.owners[path] = wheel.name
            elif self.files[path].sha256 != file.sha256:
                raise WheelContentError(
                    f"{self.wanted.label}: {self.owners[path]} and {wheel.name} both bring {path}, "
                    "with different contents"
                )

    def _place(self, wheel: LockedWheel, source: str, file: InventoryFile, path: str) -> InventoryFile:
        """Link one file, and compare it with what its wheel holds."""
        final = f"{self.directory}/{path}"
        try:
            make_folder(final.rpartition("/")[0])
            self.bench.store.place(source, final, file.sha256)
        except (FileExistsError, NotADirectoryError) as error:
            raise WheelContentError(
                f"{self.wanted.label}: {wheel.name} brings {path}, where another file or folder stands"
            ) from error
        status = os.lstat(final)
        mode = stat.S_IMODE(status.st_mode)
        if self.bench.known.digest(final, status) != file.sha256 or mode != file.mode:
            raise WheelContentError(
                f"{self.wanted.label}: {path} is not what {wheel.name} {wheel.version} holds; install again, "
                "which downloads the wheel again"
            )
        return InventoryFile(path, file.sha256, file.size_bytes, mode)
