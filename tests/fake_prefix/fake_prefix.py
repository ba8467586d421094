"""A small prefix as the installer leaves it, in each state that a tree of it can have.

    fake = FakePrefix(tmp_path)
    fake.install(0)                            # an environment and cuDNN, sealed; `latest` names g00000
    alpha = fake.wheel("alpha", "2.0")
    fake.define(1, environment_cell([alpha]))  # in the catalog only
    fake.stage(1, fake.environment)            # complete, in .staging
    fake.publish(1)                            # under its final name, not sealed
    with fake.lease(0): ...                    # as a model leases it
    fake.retire(0)                             # as a prune leaves it that was killed
    fake.make_newer(1)                         # as if a newer release had sealed it

The functions of `daemon/prefix` write all file formats; where each file lies is written down here once more.
`tests/faults/harm.py` damages files.
"""

import fcntl
import gzip
import json
import os
import platform
import py_compile
import re
import shutil
import stat
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from daemon.host.file_content import file_sha256
from daemon.host.modes import make_folder, open_new_file
from daemon.host.tree_walk import walk_files
from daemon.prefix.bytecode_list import (
    BytecodeFile,
    bytecode_list_path,
    bytecode_path,
    format_bytecode_list,
    read_bytecode_list,
)
from daemon.prefix.environments_file import environments_text
from daemon.prefix.generation import definition_digest
from daemon.prefix.inventory import (
    WRITTEN_BY_INSTALLERS,
    Inventory,
    InventoryFile,
    inventory_path,
    take_inventory,
    write_inventory,
)
from daemon.prefix.line_file import text_digest
from daemon.prefix.manifest import (
    MANIFEST_NAME,
    BytecodePart,
    Link,
    Manifest,
    WheelPart,
    content_digest,
    format_manifest,
)
from daemon.prefix.mark import PART_FORMAT, WHOLE_FORMAT, Mark, write_mark
from daemon.prefix.prefix import Prefix
from gens.catalog import Catalog, load_catalog
from gens.generation import Environment, Generation, Toolkit, generation_directory_name
from gens.lock import Lock
from gens.selection import EVERYTHING, Selection
from tests.index.wheel import Wheel, WheelSpec, normalized, write_wheel
from tests.synthetic.catalog import (
    PYTHON,
    PYTHON_FULL,
    Cell,
    environment_cell,
    locked_wheel,
    toolkit_cell,
    write_catalog,
)

CACHE_TAG = f"cpython-{PYTHON.replace('.', '')}"
BYTECODE_KEY = f"{CACHE_TAG}-{PYTHON_FULL}"
INTERPRETER = f"cpython-{PYTHON_FULL}-linux-{platform.machine()}-gnu"
SITE_PACKAGES = f"lib/python{PYTHON}/site-packages"
_COMPONENT = re.compile(r"nvidia/[^/]+/(?P<rest>.+/.+)")
_LIBRARY = re.compile(r"(?P<stem>.+\.so)\.[0-9.]+")
_INDEX = Path("wheels-v8", "index", "0123456789abcdef")


class FakePrefix:
    """A prefix, with the definitions and locks of what it holds beside it.

    Attributes:
        directory: Where all of it is.
        prefix: The prefix, with the folders that every install needs.
        environment: Name of the environment that `install` defines where no cells are given.
        toolkit: Name of the toolkit that it defines then.
    """

    environment = f"python{PYTHON}"
    toolkit = "cudnn9-cuda12"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.prefix = Prefix(directory / "prefix")
        self.prefix.make_directories()
        self._archives: dict[str, tuple[Path, Inventory]] = {}

    # --- what there is to install ---

    @property
    def catalog(self) -> Catalog:
        """All generations that were defined."""
        return load_catalog(self.directory / "gens")

    def generation(self, number: int) -> Generation:
        """Return a generation that was defined."""
        return self.catalog.generation(number)

    def define(self, number: int, *cells: Cell) -> Generation:
        """Write the definition and the locks of a generation; by default, of one environment and cuDNN."""
        write_catalog(self.directory / "gens", {number: cells or self.default_cells()})
        return self.generation(number)

    def default_cells(self) -> tuple[Cell, ...]:
        """Return an environment that holds `alpha` 1.0, and cuDNN 9.1.0.70 for CUDA 12."""
        alpha = self.wheel("alpha", files={"alpha/__init__.py": b"NAME = 'alpha'\n", "alpha/data": b"data\n"})
        return environment_cell([alpha]), self.cudnn_cell()

    def cudnn_cell(self) -> Cell:
        """Return cuDNN 9.1.0.70 for CUDA 12."""
        cudnn = self.wheel(
            "nvidia-cudnn-cu12",
            "9.1.0.70",
            files={
                "nvidia/cudnn/include/cudnn.h": b"#define CUDNN_MAJOR 9\n",
                "nvidia/cudnn/lib/libcudnn.so.9": b"\x7fELF of cuDNN",
            },
        )
        return toolkit_cell([cudnn], "9.1.0.70", "12")

    def wheel(
        self,
        name: str,
        version: str = "1.0",
        *,
        files: Mapping[str, bytes] | None = None,
        data: Mapping[str, bytes] | None = None,
        console_scripts: Mapping[str, str] | None = None,
        cached: bool = True,
    ) -> Wheel:
        """Make a wheel, and keep it as a fetch does: unpacked in uv's cache, with its inventory.

        Args:
            name: Name of the package.
            version: Its version.
            files: What goes into site-packages; a module of the package's name by default.
            data: What its `.data` folder holds, such as `scripts/tool`.
            console_scripts: Its commands, with the object of each.
            cached: Whether the prefix holds it. A tree can be made only of wheels that it holds.
        """
        content = {f"{normalized(name)}.py": f"NAME = {name!r}\n".encode()} if files is None else files
        spec = WheelSpec(name, version, files=content, data=data or {}, console_scripts=console_scripts or {})
        wheel = write_wheel(spec, self.directory / "wheels")
        if cached:
            self._keep(wheel)
        return wheel

    def archive(self, wheel: Wheel) -> Path:
        """Return the folder of a wheel in uv's cache."""
        return self.prefix.uv_cache / "archive-v0" / wheel.sha256[:20]

    def unpack(self, wheel: Wheel, change: Callable[[Path], object] = bool) -> Path:
        """Unpack a wheel into uv's cache, as uv does it, and return the folder: it has no inventory yet.

        Args:
            wheel: The wheel.
            change: Called with the folder before the cache has it: an archive of uv is complete by then.
        """
        archive = self.archive(wheel)
        with zipfile.ZipFile(wheel.path) as members:
            for member in members.infolist():
                executable = bool(member.external_attr >> 16 & stat.S_IXUSR)
                _write(archive / member.filename, members.read(member), executable=executable)
        change(archive)
        stem = wheel.filename.removesuffix(".whl").partition("-")[2]
        entry = self.prefix.uv_cache / _INDEX / normalized(wheel.spec.name) / stem
        _write(entry.with_name(f"{stem}.http"), f"{wheel.filename} sha256 {wheel.sha256}".encode())
        _link(entry, os.path.relpath(archive, entry.parent))
        return archive

    # --- the states of a tree ---

    def install(self, number: int = 0, *cells: Cell) -> Generation:
        """Define, publish and seal a generation, and let `latest` name it."""
        self.define(number, *cells)
        self.publish(number)
        self.seal(number)
        self.point_latest(number)
        return self.generation(number)

    def stage(self, number: int, name: str) -> Path:
        """Make a tree in the staging folder, complete with its manifest, and return its folder."""
        generation = self.generation(number)
        target = generation.target(name)
        tree = self.prefix.staging / f"{generation.directory_name}.{name}"
        if tree.exists():
            return tree
        make_folder(tree)
        lock = self.catalog.lock(generation, target)
        if isinstance(target, Environment):
            manifest = self._lay_out_environment(tree, target, lock)
        else:
            manifest = self._lay_out_toolkit(tree, target, lock)
        _write(tree / MANIFEST_NAME, format_manifest(manifest))
        return tree

    def publish(self, number: int, *names: str) -> None:
        """Publish trees; without names, all that the generation lacks."""
        generation = self.generation(number)
        directory = self.prefix.generation(generation.directory_name)
        make_folder(directory)
        for target in generation.targets:
            if target.name not in (names or [item.name for item in generation.targets]):
                continue
            final = directory / target.name
            if isinstance(target, Toolkit):
                final = self.prefix.toolkits / target.directory_name
                _link(directory / target.name, f"../../cuda/{target.directory_name}")
            if not final.exists():
                self.stage(number, target.name).rename(final)
        self.list_targets(number, sealed=False)
        shutil.rmtree(self.prefix.staging, ignore_errors=True)

    def seal(self, number: int, selection: Selection = EVERYTHING) -> None:
        """Mark what is selected of a generation as sealed; all of that was published."""
        generation = self.generation(number)
        names = selection.required(generation)
        targets = [target for target in generation.targets if target.name in names]
        is_whole = len(targets) == len(generation.targets)
        self.list_targets(number, sealed=True, selection=EVERYTHING if is_whole else selection)
        name = generation.directory_name
        mark = Mark(
            generation=number,
            definition=definition_digest(generation),
            environments=file_sha256(self.prefix.environments_file(name)),
            manifests={
                target.name: text_digest(self.prefix.generation(name) / target.name / MANIFEST_NAME)
                for target in targets
            },
            format=WHOLE_FORMAT if is_whole else PART_FORMAT,
            selection="" if is_whole else selection.option,
        )
        write_mark(self.prefix.sealed_mark(name), mark)

    def list_targets(self, number: int, *, sealed: bool, selection: Selection = EVERYTHING) -> None:
        """Write the list that the runtime reads."""
        generation = self.generation(number)
        text = environments_text(self.prefix, generation, sealed=sealed, selection=selection)
        _write(self.prefix.environments_file(generation.directory_name), text.encode())

    def point_latest(self, number: int) -> None:
        """Point `latest` to a generation."""
        _link(self.prefix.latest, generation_directory_name(number))

    def retire(self, number: int) -> Path:
        """Rename a generation into the staging folder, as a prune does that was killed right after."""
        name = generation_directory_name(number)
        make_folder(self.prefix.staging)
        return self.prefix.generation(name).rename(self.prefix.staging / name)

    @contextmanager
    def lease(self, number: int, environment: str = "") -> Iterator[None]:
        """Lease a generation, or an environment of it, as a running model does."""
        directory = self.prefix.generation(generation_directory_name(number)) / environment
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)

    def make_newer(self, number: int) -> None:
        """Rewrite the mark of a generation as a newer release might have written it."""
        mark = self.prefix.sealed_mark(generation_directory_name(number))
        content = json.loads(mark.read_bytes())
        mark.write_text(json.dumps({**content, "format": 999}))

    def make_tree_newer(self, tree: Path) -> None:
        """Rewrite the manifest of a tree as a newer release might have written it."""
        manifest = tree / MANIFEST_NAME
        text = gzip.decompress(manifest.read_bytes())
        manifest.unlink()
        _write(manifest, gzip.compress(text.replace(b"monobase-manifest 1", b"monobase-manifest 999")))

    # --- where things are ---

    def tree(self, number: int, name: str | None = None) -> Path:
        """Return the folder of an environment or toolkit of a generation; of a toolkit, below `cuda`."""
        return (
            self.prefix.generation(generation_directory_name(number)) / (name or self.environment)
        ).resolve()

    @property
    def interpreter(self) -> Path:
        """The folder of the managed interpreter that all environments run on, made when it is needed first.

        Its program starts the Python that runs the test.
        """
        tree = self.prefix.uv_python / INTERPRETER
        if not tree.exists():
            program = f'#!/bin/sh\nexec {sys.executable} "$@"\n'.encode()
            _write(tree / f"bin/python{PYTHON}", program, executable=True)
            _link(tree / "bin/python", f"python{PYTHON}")
            _write(tree / f"lib/python{PYTHON}/os.py", b"# the standard library\n")
            files, links = _list(tree)
            manifest = Manifest(INTERPRETER, content_digest(()), files=tuple(files), links=tuple(links))
            _write(self.prefix.interpreter_manifest(INTERPRETER), format_manifest(manifest))
        return tree

    def _directory(self, number: int) -> Path:
        return self.prefix.generation(generation_directory_name(number))

    # --- how trees are made ---

    def _keep(self, wheel: Wheel) -> None:
        if wheel.sha256 in self._archives:
            return
        archive = self.unpack(wheel)
        inventory = take_inventory(archive, locked_wheel(wheel))
        write_inventory(inventory, inventory_path(self.prefix, wheel.sha256))
        self._archives[wheel.sha256] = archive, inventory
        for file in inventory.files:
            self._share(archive / file.path, file.sha256, executable=file.executable)

    def _compile(self, archive: Path, inventory: Inventory) -> None:
        listed = bytecode_list_path(self.prefix, inventory.wheel_sha256, BYTECODE_KEY)
        if listed.exists():
            return
        compiled = []
        for file in inventory.installed_as_is():
            if not file.path.endswith(".py"):
                continue
            made = self.directory / "compiled.pyc"
            py_compile.compile(
                str(archive / file.path), cfile=str(made), dfile=f"{file.sha256}.py", doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )  # fmt: skip
            sha256 = file_sha256(made)
            shared = bytecode_path(self.prefix, BYTECODE_KEY, file.sha256, sha256)
            if not shared.exists():
                _write(shared, made.read_bytes())
            path = PurePosixPath(file.path)
            name = str(path.parent / "__pycache__" / f"{path.stem}.{CACHE_TAG}.pyc")
            compiled.append(BytecodeFile(name, file.sha256, sha256, made.stat().st_size))
            made.unlink()
        _write(listed, format_bytecode_list(compiled))

    def _share(self, path: Path, sha256: str, *, executable: bool) -> None:
        entry = self.prefix.files / sha256[:2] / (f"{sha256}.x" if executable else sha256)
        if path.stat().st_size == 0:
            return
        make_folder(entry.parent)
        if entry.exists():
            path.unlink()
            path.hardlink_to(entry)
        else:
            entry.hardlink_to(path)

    def _lay_out_environment(self, tree: Path, target: Environment, lock: Lock) -> Manifest:
        program = self.interpreter / f"bin/python{PYTHON}"
        _link(tree / "bin/python", os.path.relpath(program, tree / "bin"))
        _write(tree / "pyvenv.cfg", f"home = {program.parent}\nversion_info = {PYTHON_FULL}\n".encode())
        wheels, bytecode = [], []
        for wheel in lock.wheels:
            archive, inventory = self._archives[wheel.sha256]
            self._compile(archive, inventory)
            for file in inventory.installed_as_is():
                _hardlink(archive / file.path, tree / SITE_PACKAGES / file.path)
            for name in WRITTEN_BY_INSTALLERS[:2]:
                _write(
                    tree / SITE_PACKAGES / f"{inventory.stem}.dist-info" / name, f"{wheel.name}\n".encode()
                )
            listed = bytecode_list_path(self.prefix, wheel.sha256, BYTECODE_KEY)
            for compiled in read_bytecode_list(self.prefix, wheel.sha256, BYTECODE_KEY) or ():
                shared = bytecode_path(self.prefix, BYTECODE_KEY, compiled.source_sha256, compiled.sha256)
                _hardlink(shared, tree / SITE_PACKAGES / compiled.path)
            sha256 = text_digest(inventory_path(self.prefix, wheel.sha256))
            wheels.append(WheelPart(wheel.sha256, sha256, SITE_PACKAGES))
            bytecode.append(BytecodePart(wheel.sha256, BYTECODE_KEY, text_digest(listed), SITE_PACKAGES))
        files, links = _list(tree)
        own = [file for file in files if file.path.endswith(WRITTEN_BY_INSTALLERS) or "/" not in file.path]
        for file in own:
            self._share(tree / file.path, file.sha256, executable=file.executable)
        return Manifest(
            target.name, content_digest(lock.wheels), tuple(wheels), tuple(bytecode), tuple(own), tuple(links)
        )

    def _lay_out_toolkit(self, tree: Path, target: Toolkit, lock: Lock) -> Manifest:
        for wheel in lock.wheels:
            archive, inventory = self._archives[wheel.sha256]
            for file in inventory.installed_as_is():
                found = _COMPONENT.fullmatch(file.path)
                if found is None or file.path.endswith(".py"):
                    continue
                rest = found["rest"]
                place = f"lib64{rest[3:]}" if target.product == "cuda" and rest.startswith("lib/") else rest
                _hardlink(archive / file.path, tree / place)
                library = _LIBRARY.fullmatch(place)
                if library is not None:
                    _link(tree / library["stem"], PurePosixPath(place).name)
        files, links = _list(tree)
        return Manifest(target.name, content_digest(lock.wheels), files=tuple(files), links=tuple(links))


def _list(tree: Path) -> tuple[list[InventoryFile], list[Link]]:
    files, links = [], []
    for path, status in walk_files(str(tree)):
        relative = os.path.relpath(path, tree)
        if stat.S_ISLNK(status.st_mode):
            links.append(Link(relative, str(Path(path).readlink())))
        else:
            mode = stat.S_IMODE(status.st_mode)
            files.append(InventoryFile(relative, file_sha256(path), status.st_size, mode))
    return files, links


def _write(path: Path, content: bytes, *, executable: bool = False) -> None:
    make_folder(path.parent)
    path.unlink(missing_ok=True)
    with open_new_file(path) as file:
        file.write(content)
    if executable:
        path.chmod(0o755)


def _link(path: Path, target: str) -> None:
    make_folder(path.parent)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def _hardlink(source: Path, path: Path) -> None:
    make_folder(path.parent)
    path.hardlink_to(source)
