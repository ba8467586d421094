"""Runs a model on this machine as its container would: its layer and its code on a prefix, without an engine.

The layer is installed once for each lock and prefix, into the cache folder of the user. The code is unpacked
for each run.
"""

import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import FrameType

from gens.generation import generation_directory_name
from image.errors import ImageError
from image.model.derived_image import DerivedSettings
from image.model.facts import ModelFacts
from image.model.package_layers import gather_wheels
from layers.install import LayerOptions, install_layer
from layers.layer_file import is_layer
from layers.lock import LayerLock, format_layer_lock
from layers.uv import WheelSources

_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


@dataclass(frozen=True, slots=True)
class Model:
    """The files of a model that `weightless_model` builds, without its image.

    Attributes:
        facts: Facts of its environment.
        settings: Settings of its image.
        lock: The lock of its layer.
        wheels: The wheels of the lock.
        files: Layers of its files, the lowest first.
    """

    facts: ModelFacts
    settings: DerivedSettings
    lock: LayerLock
    wheels: Sequence[Path]
    files: Sequence[Path]


def find_environment(model: Model, prefix: Path) -> Path:
    """Return the folder of the environment of a model.

    Args:
        model: The model.
        prefix: The prefix.

    Returns:
        The folder.

    Raises:
        ImageError: It is not installed; the message says how to install it.
    """
    generation = generation_directory_name(model.facts.generation)
    folder = prefix / "monobase" / generation / model.facts.environment
    if not folder.is_dir():
        number = model.facts.generation
        only = f"--min-gen-id {number} --max-gen-id {number} --only {model.facts.environment}"
        raise ImageError(
            f"{folder}: is not installed on this machine; install it with"
            f" `bazel run //daemon -- install --prefix {prefix} {only}`, or name another prefix with --prefix"
        )
    return folder


def cached_layer(model: Model, prefix: Path, cache: Path) -> Path:
    """Install the layer of a model, unless the cache has it.

    Args:
        model: The model.
        prefix: The prefix, which has the environment of the model.
        cache: Folder of such layers.

    Returns:
        The layer.

    Raises:
        MonobaseError: It cannot be installed.
    """
    key = sha256(f"{prefix}\n{format_layer_lock(model.lock)}".encode()).hexdigest()[:32]
    layer = cache / key
    if not is_layer(layer):
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            sources = WheelSources((gather_wheels(model.wheels, Path(scratch)),), offline=True)
            python = find_environment(model, prefix) / "bin" / "python"
            install_layer(model.lock, layer, LayerOptions(prefix=prefix, sources=sources, python=python))
    return layer


def unpack_files(model: Model, folder: Path) -> Path:
    """Unpack the files of a model.

    Args:
        model: The model.
        folder: An empty folder, which stands for the root of the image.

    Returns:
        The working directory below it.
    """
    for blob in model.files:
        with tarfile.open(blob) as archive:
            for member in archive:
                _unpack(archive, member, folder / member.name)
    return folder / model.settings.working_directory.lstrip("/")


def _unpack(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    # Folders and regular files, which is what write_code_layer writes. Not `extract`: it would set owners.
    stream = archive.extractfile(member)
    if stream is None:
        path.mkdir(exist_ok=True)
        return
    with stream, path.open("wb") as file:
        shutil.copyfileobj(stream, file)
    path.chmod(member.mode)


def variables_of(model: Model, prefix: Path, layer: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables of the process.

    Args:
        model: The model.
        prefix: The prefix.
        layer: The installed layer.
        given: The variables of this process; those of the model take their place.
    """
    # Of this command's own Python, or of an environment that the caller has activated.
    foreign = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "VIRTUAL_ENV", "RUNFILES_DIR", "CUDA_VERSION")
    return {
        **{name: value for name, value in given.items() if name not in foreign},
        "PYTHONUNBUFFERED": "1",
        **model.settings.environment,
        "MONOBASE_PREFIX": str(prefix),
        "MONOBASE_USER_VENV": str(layer),
    }


def run_model(model: Model, prefix: Path, cache: Path, arguments: Sequence[str], program: Path) -> int:
    """Run a model to its end.

    Args:
        model: The model.
        prefix: The prefix.
        cache: Folder of installed layers.
        arguments: A command in place of that of the model; empty for that of the model.
        program: The runtime's `exec`.

    Returns:
        Its exit code, 128 and the signal's number if a signal ended it.

    Raises:
        MonobaseError: It cannot be started.
    """
    find_environment(model, prefix)
    layer = cached_layer(model, prefix, cache)
    command = [*model.settings.entrypoint, *(arguments or model.settings.command)]
    if not command:
        raise ImageError(
            "the model has no command: write one behind `--`, or command = […] in the BUILD file"
        )
    root = Path(tempfile.mkdtemp(prefix="monobase-model-"))
    try:
        folder = unpack_files(model, root)
        variables = variables_of(model, prefix, layer, os.environ)
        with subprocess.Popen([program.absolute(), *command], cwd=folder, env=variables) as process:
            _forward_signals(process)
            code = process.wait()
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return code if code >= 0 else 128 - code


def _forward_signals(process: subprocess.Popen[bytes]) -> None:
    def forward(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    for number in _FORWARDED:
        signal.signal(number, forward)
    # A terminal sends it to both; the model decides whether it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def user_cache(given: Mapping[str, str]) -> Path:
    """Return the folder of installed layers (XDG Base Directory Specification)."""
    cache = given.get("XDG_CACHE_HOME", "")
    # The specification says to ignore a relative path.
    home = Path(cache) if cache.startswith("/") else Path(given.get("HOME") or os.sep, ".cache")
    return home / "monobase" / "layers"
