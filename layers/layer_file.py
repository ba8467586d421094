"""The file `.monobase-layer`, which makes a folder a layer and says what it was made for.

Format 1: lines of a key and a value, the first of which is `monobase-layer 1`. `runtime/activation/layer.sh`
reads it without a process, so the order is fixed:

    monobase-layer 1
    generation g00002
    environment python3.12-torch2.13.0-cu130
    base sha256:…         digest of the text of the base's lock
    content sha256:…      digest of the set of the base's wheels, as in its `.content`; `-` if unknown
    lock sha256:…         digest of the text of the layer lock

The folder `.monobase-base` holds an empty file whose name is the digest of `content`. So `activate.sh`
compares an environment's `.content` without reading a file of the layer, which takes a shell longer.
"""

from dataclasses import dataclass
from pathlib import Path

from layers.lock import LayerLock, format_layer_lock, lock_digest

LAYER_FILE = ".monobase-layer"
_BASE_FOLDER = ".monobase-base"
_KIND = "monobase-layer"
_FORMAT = "1"
_KEYS = ("generation", "environment", "base", "content", "lock")


@dataclass(frozen=True, slots=True)
class LayerFile:
    """The content of the file.

    Attributes:
        generation: Name of the generation of the base, such as `g00002`.
        environment: Name of the base.
        base: Digest of the text of the base's lock.
        content: Digest of the set of the base's wheels, or `-`.
        lock: Digest of the text of the layer lock.
    """

    generation: str
    environment: str
    base: str
    content: str
    lock: str


def layer_file_of(lock: LayerLock) -> LayerFile:
    """Return what the file of a lock's layer says."""
    digest = lock_digest(format_layer_lock(lock))
    return LayerFile(lock.generation, lock.environment, lock.base, lock.content or "-", digest)


def write_layer_file(layer: Path, content: LayerFile) -> None:
    """Write the file into the folder of a layer."""
    lines = [f"{_KIND} {_FORMAT}", *(f"{key} {getattr(content, key)}" for key in _KEYS)]
    (layer / LAYER_FILE).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (layer / _BASE_FOLDER).mkdir()
    if content.content != "-":
        (layer / _BASE_FOLDER / content.content.removeprefix("sha256:")).touch()


def read_layer_file(layer: Path) -> LayerFile | None:
    """Read the file of a folder; None if the folder is not a layer, or one of another format."""
    try:
        lines = (layer / LAYER_FILE).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    pairs = [line.partition(" ")[::2] for line in lines]
    if not pairs or pairs[0] != (_KIND, _FORMAT) or tuple(key for key, _ in pairs[1:]) != _KEYS:
        return None
    return LayerFile(*(value for _, value in pairs[1:]))


def is_layer(folder: Path) -> bool:
    """Return whether a folder is a layer, of whatever format."""
    return (folder / LAYER_FILE).is_file()
