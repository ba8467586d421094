"""`bazel run //tools:update_debian`: renews the locks of the images' Debian packages."""

import difflib
import os
from dataclasses import replace
from pathlib import Path

import click
from rich.filesize import decimal

from gens.command import MonobaseCommand
from gens.errors import DifferenceError
from image.architecture import ARCHITECTURES
from image.debian.lock.lock_file import Lock, format_lock, inputs_digest, lock_name, parse_lock
from image.debian.lock.mirror import find_mirrors
from image.debian.lock.package_list import parse_package_list
from image.debian.lock.resolver import resolve
from image.errors import ImageError


@click.command(cls=MonobaseCommand)
@click.option("--check", is_flag=True, help="Change nothing; exit 1 with a diff if anything would change.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    callback=lambda _context, _parameter, value: value or _source_directory(),
    help="Directory of packages.txt and the locks.  [default: image/debian of the source tree]",
)
@click.option(
    "--architecture",
    "architectures",
    type=click.Choice(list(ARCHITECTURES)),
    multiple=True,
    default=list(ARCHITECTURES),
    help="Renew the lock of this architecture only; repeat it for several.  [default: all]",
)
@click.option(
    "--keyring",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, resolve_path=True),
    help="Keys that sign the mirror's Release files.  [default: Debian's]",
)
def main(*, check: bool, directory: Path, architectures: tuple[str, ...], keyring: Path | None) -> None:
    """Lock the Debian packages of image/debian/packages.txt at the versions that the mirror has now.

    Each architecture of the images has a lock, packages.ARCHITECTURE.lock.json.

    The mirror is the one of this machine's apt configuration, or DEBIAN_MIRROR and DEBIAN_SECURITY_MIRROR. A
    lock with the newest packages is kept, with its date: the date is part of every image.
    """
    list_path = directory / "packages.txt"
    text = _read(list_path)
    names = parse_package_list(text, list_path)
    mirrors = find_mirrors(os.environ)
    # All are resolved before the first is written: a failure changes nothing.
    inputs = inputs_digest(text)
    locks = [resolve(names, inputs, mirrors, architecture, keyring) for architecture in architectures]
    renewed = [_renew(directory / lock_name(lock.architecture), lock, check=check) for lock in locks]
    if differences := [difference for difference in renewed if difference is not None]:
        raise DifferenceError("\n".join(differences))


def _renew(path: Path, lock: Lock, *, check: bool) -> str | None:
    """Write a lock if it differs from the existing one; with `check`, return the difference."""
    old_text = _read(path) if path.exists() else ""
    old = _parse_if_whole(old_text, path)
    new_text = format_lock(lock)
    if old is not None and old_text == format_lock(replace(lock, date=old.date)):
        click.echo(f"{path.name}: up to date, {_summary(lock)}")
        return None
    if check:
        lines = difflib.unified_diff(
            old_text.splitlines(), new_text.splitlines(), path.name, "as the mirror has it", lineterm="", n=0
        )
        return "\n".join(
            (f"{path}: differs from the mirror's packages; run `bazel run //tools:update_debian`", *lines)
        )
    _write(path, new_text)
    click.echo(f"{path.name}: written, {_summary(lock)}")
    if old is not None:
        for line in _changes(old, lock):
            click.echo(f"  {line}")
    return None


def _parse_if_whole(text: str, path: Path) -> Lock | None:
    # A lock that a merge left malformed is replaced.
    try:
        return parse_lock(text, path)
    except ImageError:
        return None


def _summary(lock: Lock) -> str:
    return "; ".join(
        f"{layer}: {len(packages)} packages, {decimal(sum(package.size_bytes for package in packages))}"
        for layer, packages in lock.layers.items()
    )


def _changes(old: Lock, new: Lock) -> list[str]:
    before, after = (
        {package.name: package.version for packages in lock.layers.values() for package in packages}
        for lock in (old, new)
    )
    return [
        f"{name}: {before.get(name, 'new')} -> {after.get(name, 'gone')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ImageError(f"{path}: cannot be read: {error}") from error


def _write(path: Path, text: str) -> None:
    new_path = path.with_suffix(".new")
    try:
        new_path.write_text(text)
        new_path.rename(path)
    except OSError as error:
        raise ImageError(f"{path}: cannot be written: {error}") from error


def _source_directory() -> Path:
    workspace = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
    if workspace is None:
        raise click.UsageError("not run by `bazel run`: name the directory of the lists with --directory")
    return Path(workspace, "image", "debian")


if __name__ == "__main__":
    main()
