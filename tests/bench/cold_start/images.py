"""The images of the benchmark: Monobase's, and what a model has without it.

The latter are what a Dockerfile with `uv pip install -r` makes: the system, an interpreter, one layer with
a virtual environment, bytecode included. The layer comes about in a container as well; only `podman build` is
spared, which keeps three copies of it on the disk.
"""

import hashlib
import json
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import pip

from image.oci.layer import Layer, write_layer
from image.oci.layout import Layout, read_layout, to_json_bytes, write_layout
from tests.bench.cold_start.large_layer import write_large_layer
from tests.bench.cold_start.node import IMPORT, PATIENCE_S
from tests.images.engine import Engine, engine
from tests.index.client import uv_binary
from tests.index.interpreter_archive import write_interpreter
from tests.registry.local_registry import LocalRegistry
from tests.registry.push_process import Pusher
from tests.synthetic.catalog import PYTHON, Cell

_TEAM = "team"
_MONOLITH = "model"
_AT_START = "at-start"
_VENV = "opt/venv"
_MODEL = "/opt/model"
_INTERPRETER = f"/opt/python/bin/python{PYTHON}"
_PATH = f"/{_VENV}/bin:/usr/local/bin:/usr/bin:/bin"
# The cache is beside the files that are linked from it, so that they are on the disk once.
_FILL = f"""\
set -eu
uv venv --quiet --no-cache --allow-existing --python {_INTERPRETER} /{_VENV}
uv pip install --quiet --cache-dir /{_VENV}/.cache --link-mode hardlink --python /{_VENV} \\
    --compile-bytecode --no-deps --require-hashes --default-index "$1" --requirement /{_VENV}/lock.txt
rm -rf /{_VENV}/.cache /{_VENV}/lock.txt
"""


@dataclass(frozen=True, slots=True)
class Images:
    """The builder of images for a registry.

    Attributes:
        registry: Where it pushes.
        directory: For its files.
        index_url: The index that it installs from, without a limit.
    """

    registry: LocalRegistry
    directory: Path
    index_url: str

    def push_layout(self, layout: Layout, name: str, tag: str = "v1") -> str:
        """Push an image; return its repository and tag."""
        home = self.directory / "home"
        home.mkdir(exist_ok=True)
        done = Pusher(home, {}).push(
            layout.directory, f"{self.registry.host}/{_TEAM}/{name}", "--tag", tag, "--jobs", "2"
        )
        if done.returncode != 0:
            raise click.ClickException(done.stderr)
        return f"{_TEAM}/{name}:{tag}"

    def push_monoliths(self, runtime: Layout, cells: Sequence[Cell], *, zstd_chunked: bool) -> None:
        """Make and push images with their own Python and wheels, and one that installs them at its start.

        Those that the registry has of an earlier run are not made again.

        Args:
            runtime: The image whose layer of the system they have.
            cells: The environments; an image of the first installs at its start.
            zstd_chunked: Whether they are pushed in this format as well.
        """
        wanted = [monolith(cell, zstd_chunked=zstd_chunked) for cell in cells] + [at_start(cells[0])]
        if all(self._has(name) for name in wanted):
            return
        base = self._make_base(runtime)
        with engine() as podman:
            reference = podman.pull(f"oci:{base.directory}")
            for cell in cells:
                layer = self._fill(podman, reference, cell)
                image = _on_top(base, *layer, self.directory / _tag(cell))
                layer[1].unlink()
                self.push_layout(image, _MONOLITH, _tag(cell))
                if zstd_chunked:
                    name = monolith(cell, zstd_chunked=True)
                    _push_zstd_chunked(podman, image, f"{self.registry.host}/{name}")
                shutil.rmtree(image.directory)
        blob = self.directory / "at-start.tar.gz"
        installers = write_layer(blob, _installers(_requirements(cells[0])), "uv, pip and a lock")
        self.push_layout(
            _on_top(base, installers, blob, self.directory / _AT_START), _AT_START, _tag(cells[0])
        )

    def _has(self, image: str) -> bool:
        name, _, tag = image.partition(":")
        return tag in self.registry.tags(name)

    def _make_base(self, runtime: Layout) -> Layout:
        """Make an image with the system of Monobase's images and an interpreter."""
        config = json.loads(runtime.path(runtime.config).read_bytes())
        system = runtime.layers[0]
        archive, python = self.directory / "python.tar.gz", self.directory / "python"
        write_interpreter(archive)
        python.mkdir()
        shutil.unpack_archive(archive, python)
        blob = self.directory / "python-layer.tar.gz"
        layer = write_large_layer(blob, python, "opt", "an interpreter")
        shutil.rmtree(python)
        config["config"] = {"Env": [f"PATH={_PATH}", "LANG=C.UTF-8", "HOME=/tmp"]}
        config["rootfs"]["diff_ids"] = [config["rootfs"]["diff_ids"][0], layer.diff_id]
        config["history"] = [{"created_by": "the system"}, {"created_by": layer.created_by}]
        layers = [(system, runtime.path(system)), (layer.blob, blob)]
        return write_layout(self.directory / "base", to_json_bytes(config), layers, {})

    def _fill(self, podman: Engine, base: str, cell: Cell) -> tuple[Layer, Path]:
        """Install an environment in a container, and return the layer that it makes."""
        venv = podman.directory / "venv"
        venv.mkdir()
        (venv / "lock.txt").write_text(_requirements(cell))
        podman.run(
            "run", "--rm", "--network", "host", "--volume", f"{venv}:/{_VENV}",
            "--volume", f"{uv_binary()}:/usr/local/bin/uv:ro", base,
            "/bin/sh", "-c", _FILL, "sh", self.index_url, patience_s=PATIENCE_S,
        )  # fmt: skip
        blob = self.directory / "venv.tar.gz"
        layer = write_large_layer(blob, venv, _VENV, "a virtual environment")
        shutil.rmtree(venv)
        return layer, blob


def monolith(cell: Cell, *, zstd_chunked: bool = False) -> str:
    """Return the repository and tag of the image of an environment."""
    return f"{_TEAM}/{_MONOLITH}:{_tag(cell)}{'-zstd' if zstd_chunked else ''}"


def at_start(cell: Cell) -> str:
    """Return the repository and tag of the image that installs an environment at its start."""
    return f"{_TEAM}/{_AT_START}:{_tag(cell)}"


def uv_at_start(index_url: str) -> list[str]:
    """Return the command of a container that installs its wheels by uv when it starts."""
    return _shell(
        f"uv venv --quiet --no-cache --python {_INTERPRETER} {_MODEL}",
        f"uv pip install --quiet --no-cache --python {_MODEL} --no-deps --require-hashes"
        f" --default-index {index_url} --requirement /opt/lock.txt",
        f"{_MODEL}/bin/python -c '{IMPORT}'",
    )


def pip_at_start(index_url: str) -> list[str]:
    """Return the command of a container that installs its wheels by pip when it starts."""
    return _shell(
        f"{_INTERPRETER} -m venv --without-pip {_MODEL}",
        f"PYTHONPATH=/opt/pip {_MODEL}/bin/python -m pip install --quiet --no-cache-dir --no-deps"
        f" --require-hashes --disable-pip-version-check --index-url {index_url} --requirement /opt/lock.txt",
        f"{_MODEL}/bin/python -c '{IMPORT}'",
    )


def import_in_monolith() -> list[str]:
    """Return the command of a container that has its wheels."""
    return ["python", "-c", IMPORT]


def _shell(*commands: str) -> list[str]:
    return ["/bin/sh", "-c", " && ".join(commands)]


def _tag(cell: Cell) -> str:
    return hashlib.sha256(_requirements(cell).encode()).hexdigest()[:12]


def _requirements(cell: Cell) -> str:
    return "".join(f"{wheel.requirement}\n" for wheel in cell.wheels)


def _installers(lock: str) -> Iterator[tuple[tarfile.TarInfo, Path | bytes | None]]:
    """Yield what an image has that installs at its start."""
    uv = Path(uv_binary())
    member = tarfile.TarInfo("usr/local/bin/uv")
    member.mode, member.size = 0o755, uv.stat().st_size
    yield member, uv
    member = tarfile.TarInfo("opt/lock.txt")
    member.size = len(lock.encode())
    yield member, lock.encode()
    package = Path(pip.__file__).parent
    # With the certificates that pip loads at each start, whatever the index is.
    for path in sorted(item for item in package.rglob("*") if item.is_file() and item.suffix != ".pyc"):
        member = tarfile.TarInfo(f"opt/pip/pip/{path.relative_to(package)}")
        member.size = path.stat().st_size
        yield member, path


def _on_top(base: Layout, layer: Layer, blob: Path, directory: Path) -> Layout:
    """Make an image with one more layer."""
    config = json.loads(base.path(base.config).read_bytes())
    config["rootfs"]["diff_ids"].append(layer.diff_id)
    config["history"].append({"created_by": layer.created_by})
    layers = [(descriptor, base.path(descriptor)) for descriptor in base.layers]
    write_layout(directory, to_json_bytes(config), [*layers, (layer.blob, blob)], {})
    return read_layout(directory)


def _push_zstd_chunked(podman: Engine, image: Layout, name: str) -> None:
    reference = podman.pull(f"oci:{image.directory}")
    podman.run(
        "push", "--quiet", "--tls-verify=false", "--compression-format", "zstd:chunked", reference,
        f"docker://{name}", patience_s=PATIENCE_S,
    )  # fmt: skip
    podman.run("rmi", "--force", reference, patience_s=PATIENCE_S)
