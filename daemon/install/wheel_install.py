"""Installs the wheels of a lock from uv's cache, whatever the index of the machine is."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from daemon.errors import IndexAccessError, WheelContentError
from daemon.install.cache_folders import CacheFolders
from daemon.install.fetch_call import format_requirements
from daemon.install.lock_index import Listing, LockIndex
from daemon.install.wanted import Wanted
from daemon.interpreters.running_interpreter import Interpreter
from daemon.prefix.mending import remove_anything
from daemon.prefix.staging import set_file, temporary_path
from daemon.uv.cache import drop_wheel, find_archive
from daemon.uv.program import Uv, UvOutput
from gens.errors import MonobaseError
from gens.lock import LockedWheel

_NOTE = "uv_cache.json"


def install_wheels(uv: Uv, wanted: Wanted, directory: Path, interpreter: Interpreter) -> None:
    """Install the wheels of a lock from uv's cache.

    Args:
        uv: Runs uv.
        wanted: The environment.
        directory: Its folder, as `uv venv` made it.
        interpreter: The interpreter that it runs on.

    Raises:
        WheelContentError: uv refuses a wheel, or the cache no longer has it.
        IndexAccessError: uv did not find a wheel in its cache.
    """
    listings, others = _listings(uv, wanted, interpreter)
    if listings:
        with LockIndex(listings) as index:
            run = functools.partial(uv.run, configuration=index.configuration, variables=index.variables)
            wheels = [wheel for listing in listings for wheel in listing.wheels]
            try:
                _run(uv, run, wanted, directory, wheels)
            except IndexAccessError as error:
                lost = [wheel for wheel in wheels if wheel.filename in index.asked_for]
                raise _not_found(uv, lost, error) from error
    for index_url, wheels in others.items():
        run = functools.partial(uv.reach, "--offline", index_url=index_url)
        try:
            _run(uv, run, wanted, directory, wheels)
        except IndexAccessError as error:
            # The folder that they came from is gone: the next run fetches them from the index of that time.
            raise _not_found(uv, wheels, error) from error
        _forget_times(directory)


def _run(
    uv: Uv, run: Callable[..., UvOutput], wanted: Wanted, directory: Path, wheels: Sequence[LockedWheel]
) -> None:
    requirements = temporary_path(uv.prefix.staging).with_suffix(".txt")
    requirements.write_text(format_requirements(wheels))
    run(
        "pip", "install", "--python", directory / "bin" / "python",
        "--python-platform", wanted.target.inputs.platform, "--no-deps", "--require-hashes", "--no-build",
        "-r", requirements,
    )  # fmt: skip


def _forget_times(directory: Path) -> None:
    """Remove uv's note on a wheel that came from a folder: the time of its file, which no lock has."""
    for note in directory.glob(f"lib/python*/site-packages/*.dist-info/{_NOTE}"):
        record = note.with_name("RECORD")
        rows = record.read_bytes().splitlines(keepends=True)
        begin = f"{note.parent.name}/{_NOTE},".encode()
        set_file(record, b"".join(row for row in rows if not row.startswith(begin)))
        remove_anything(note)


def _listings(
    uv: Uv, wanted: Wanted, interpreter: Interpreter
) -> tuple[list[Listing], dict[str | None, list[LockedWheel]]]:
    """Return Monobase's indexes that list the wheels, and the wheels that none lists, by index URL."""
    cache = uv.prefix.uv_cache
    folders = CacheFolders(uv, interpreter.executable)
    found: dict[str, list[LockedWheel]] = {"": []}
    others: dict[str | None, list[LockedWheel]] = {}
    for wheel in wanted.lock.wheels:
        name = folders.adopt(cache, wheel)
        if name is not None:
            found.setdefault(name, []).append(wheel)
        elif find_archive(cache, wheel) is not None:
            others.setdefault(wanted.index_url(wheel), []).append(wheel)
        else:
            raise WheelContentError(
                f"{wheel.filename}: is no longer in uv's cache; run the same command again"
            )
    return [Listing(name, tuple(wheels)) for name, wheels in found.items() if wheels], others


def _not_found(uv: Uv, lost: Sequence[LockedWheel], error: MonobaseError) -> MonobaseError:
    """Drop wheels that uv did not find in its cache, so that they are downloaded again."""
    for wheel in lost:
        drop_wheel(uv.prefix.uv_cache, wheel)
    if not lost:
        return error
    names = ", ".join(wheel.filename for wheel in lost)
    return IndexAccessError(
        f"{names}: uv does not find in its cache what it kept there; run the same command again, which "
        "downloads it again"
    )
