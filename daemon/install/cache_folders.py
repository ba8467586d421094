"""Finds the folders in uv's cache where uv keeps the wheels of Monobase's index."""

import hashlib
import io
import threading
import zipfile
from pathlib import Path

from daemon.install.lock_index import Listing, LockIndex
from daemon.prefix.staging import private_folder
from daemon.prefix.uv_locks import share_private_lock
from daemon.uv.cache import in_the_way, move_wheel, stands_in
from daemon.uv.program import Uv
from gens.errors import MonobaseError
from gens.lock import LockedWheel

_PROBE = "monobase-probe"
_PROBE_FILE = "monobase_probe-1-py3-none-any.whl"


class CacheFolders:
    """Finds the folders of Monobase's index in uv's cache, by a probe of uv, once for each binary."""

    _learnt: dict[tuple[object, ...], Path] = {}  # noqa: RUF012 (of the process)
    _guard = threading.Lock()
    _moving = threading.Lock()  # a fetch and a link may move the same wheel

    def __init__(self, uv: Uv, python: Path) -> None:
        status = uv.program.stat()
        self._key = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
        self._uv = uv
        self._python = python

    def find(self, name: str = "") -> Path:
        """Return the folder of the wheels of an index, relative to the cache.

        Args:
            name: The name of the index; empty for the one that lists nearly all wheels.

        Raises:
            MonobaseError: This uv keeps wheels in another way.
        """
        key = (*self._key, name)
        with self._guard:
            if key not in self._learnt:
                self._learnt[key] = self._ask(name)
            return self._learnt[key]

    def adopt(self, cache: Path, wheel: LockedWheel) -> str | None:
        """Move a wheel to the folder of Monobase's index, whatever index it came from.

        Args:
            cache: The folder of uv's cache.
            wheel: The wheel.

        Returns:
            The name of the index that lists it then; None if the cache does not have it from an index.
        """
        own = _own_name(wheel)
        with self._moving:
            place = move_wheel(cache, self.find(), wheel)
            if place == "taken":  # by another wheel of the same file name: two indexes may have one each
                place, name = move_wheel(cache, self.find(own), wheel), own
            else:
                name = ""
        return name if place == "there" else None

    def hold(self, cache: Path, wheel: LockedWheel) -> bool:
        """Return whether a wheel is in a folder of Monobase's index: only examined wheels are."""
        return stands_in(cache, self.find(), wheel) or (
            in_the_way(cache, wheel) != [] and stands_in(cache, self.find(_own_name(wheel)), wheel)
        )

    def _ask(self, name: str) -> Path:
        content = _probe_wheel()
        wheel = LockedWheel(_PROBE, "1", hashlib.sha256(content).hexdigest(), _PROBE_FILE, len(content))
        with private_folder(self._uv.prefix) as folder:
            (folder / "requirements.txt").write_text(f"{_PROBE}==1 --hash=sha256:{wheel.sha256}\n")
            share_private_lock(self._uv.prefix, folder / "cache")
            with LockIndex([Listing(name, (wheel,))], {_PROBE_FILE: content}) as index:
                self._uv.run(
                    "pip", "install", "--target", folder / "target", "--python", self._python, "--no-deps",
                    "--require-hashes", "-r", folder / "requirements.txt",
                    configuration=index.configuration,
                    variables={**index.variables, "UV_CACHE_DIR": str(folder / "cache")},
                )  # fmt: skip
            found = list((folder / "cache").glob(f"wheels-v*/**/{_PROBE}/*.http"))
            if len(found) != 1:
                raise MonobaseError(
                    f"{self._uv.program}: keeps wheels in its cache in a way that Monobase does not know; "
                    "use the uv of this release"
                )
            return found[0].parent.parent.relative_to(folder / "cache")


def _own_name(wheel: LockedWheel) -> str:
    return wheel.sha256[:16]


def _probe_wheel() -> bytes:
    information = "monobase_probe-1.dist-info"
    members = {
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {_PROBE}\nVersion: 1\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{information}/RECORD": "",
    }
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as wheel:
        for name, text in members.items():
            wheel.writestr(zipfile.ZipInfo(name), text)
    return archive.getvalue()
