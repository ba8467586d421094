"""The order of an author: which files to lock for which base, completed by what an existing lock says."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click
from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Pep508
from packaging.utils import InvalidName, canonicalize_name

from layers.lock import LayerLock
from tools.layer.credentials import (
    UnsetVariableError,
    expand_variables,
    shown_index,
    without_credentials,
)
from tools.layer.errors import RequirementsError
from tools.layer.index_url import address_of, check_index_url
from tools.layer.project import read_project, read_script
from tools.layer.request import Request
from tools.layer.requirements_file import read_requirements_file

_PROJECT = "pyproject.toml"


@dataclass(frozen=True, slots=True)
class Order:
    """The arguments of the command line.

    Attributes:
        sources: Files of requirements.
        output: The lock.
        generation_id: ID of the generation, or None.
        environment: Name of the environment, or None.
        machine: The machine, or None.
        extras: Extras of a project.
        groups: Dependency groups of a project.
        constraint_files: Files of constraints.
        index_url: Index in place of the default one, or None.
        extra_index_urls: Indexes beside the default one.
        overrides: `NAME` or `NAME==VERSION` of packages that may differ from the base.
        exclude_newer: Time bound, or None.
        upgrade: Whether to forget the versions and the date of the existing lock.
        upgrade_packages: Normalized names of packages of which to forget the version.
        may_build: Whether packages without wheels may be built.
    """

    sources: tuple[Path, ...]
    output: Path
    generation_id: int | None = None
    environment: str | None = None
    machine: str | None = None
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    constraint_files: tuple[Path, ...] = ()
    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    exclude_newer: str | None = None
    upgrade: bool = False
    upgrade_packages: tuple[str, ...] = ()
    may_build: bool = True

    @property
    def folder(self) -> Path:
        """Folder of the lock, which paths in it are relative to."""
        return self.output.parent

    @property
    def source_names(self) -> tuple[str, ...]:
        """The files in the words of the lock."""
        return tuple(_relative(path, self.folder) for path in self.sources)

    @property
    def options(self) -> tuple[str, ...]:
        """The constraints and indexes in the words of the lock."""
        default = (
            () if self.index_url is None else (f"--default-index {without_credentials(self.index_url)}",)
        )
        return (
            *(f"-c {_relative(path, self.folder)}" for path in self.constraint_files),
            *default,
            *(f"--index {without_credentials(url)}" for url in self.extra_index_urls),
        )


def make_order(
    *,
    extras: Iterable[str] = (),
    groups: Iterable[str] = (),
    overrides: Iterable[str] = (),
    upgrade_packages: Iterable[str] = (),
    index_url: str | None = None,
    extra_index_urls: Iterable[str] = (),
    exclude_newer: str | None = None,
    **fields: Any,  # noqa: ANN401 (fields of Order)
) -> Order:
    """Return an order, with names and the time bound in their normal form.

    Args:
        extras: Extras of a project.
        groups: Dependency groups of a project.
        overrides: `NAME` or `NAME==VERSION` of packages that may differ from the base.
        upgrade_packages: Names of packages of which to forget the version.
        index_url: Index in place of the default one, or None.
        extra_index_urls: Indexes beside the default one.
        exclude_newer: Time bound, or None.
        fields: All else, by the names of `Order`.

    Raises:
        UsageError: An override, an index or the time bound is malformed.
    """
    return Order(
        extras=_names(extras),
        groups=_names(groups),
        overrides=_overrides(overrides),
        upgrade_packages=_upgrades(upgrade_packages),
        index_url=None if index_url is None else _index("--default-index", index_url),
        extra_index_urls=tuple(_index("--index", url) for url in extra_index_urls),
        exclude_newer=None if exclude_newer is None else time_bound(exclude_newer),
        **fields,
    )


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(canonicalize_name, names)))


def _upgrades(texts: Iterable[str]) -> tuple[str, ...]:
    found = []
    for text in texts:
        try:
            found.append(canonicalize_name(text, validate=True))
        except InvalidName as error:
            raise click.UsageError(f"--upgrade-package: {text!r} is not the NAME of a package") from error
    return tuple(dict.fromkeys(found))


def _index(option: str, text: str) -> str:
    try:
        return check_index_url(text)
    except ValueError as error:
        raise click.UsageError(f"{option} {without_credentials(text)!r}: {error}") from error


def _overrides(texts: Iterable[str]) -> tuple[str, ...]:
    found = {}
    for text in texts:
        try:
            parsed = Pep508(text)
        except InvalidRequirement as error:
            raise click.UsageError(f"--override: {text!r} is neither NAME nor NAME==VERSION") from error
        found[canonicalize_name(parsed.name)] = f"{canonicalize_name(parsed.name)}{parsed.specifier}"
    return tuple(found[name] for name in sorted(found))


def complete(order: Order, previous: LayerLock | None, *, is_check: bool = False) -> Order:
    """Return an order with what it leaves open filled in from the existing lock.

    An order without files repeats the one of the existing lock: its files, extras, groups, constraints,
    indexes and overrides. An order with files takes only generation, environment and machine from it.

    Args:
        order: What the command line asks for.
        previous: The existing lock, or None.
        is_check: Whether the files of the order are those of the lock, at another place.

    Raises:
        UsageError: Files or environment are missing, or a variable of an index is not set.
    """
    order = replace(order, sources=tuple(map(_project_of, order.sources)))
    if previous is not None:
        if order.generation_id is None:
            order = replace(order, generation_id=previous.generation_id)
        order = replace(
            order,
            environment=order.environment or previous.environment,
            machine=order.machine or previous.machine,
        )
        if not order.sources or is_check:
            order = _repeated(order, previous)
    if not order.sources:
        raise click.UsageError(f"name a file of requirements: {order.output} does not exist yet")
    if order.environment is None:
        raise click.UsageError("name an environment with --env, such as --env 3.12-torch2.13.0")
    return order


def _repeated(order: Order, previous: LayerLock) -> Order:
    """Return an order with the files and options of a lock, but for those that it names itself."""
    return replace(
        order,
        sources=order.sources or tuple(_path(order.folder, source) for source in previous.sources),
        extras=order.extras or previous.extras,
        groups=order.groups or previous.groups,
        constraint_files=order.constraint_files
        or tuple(_path(order.folder, value) for value in _option_values(previous, "-c")),
        index_url=order.index_url
        or next((_expanded(value) for value in _option_values(previous, "--default-index")), None),
        extra_index_urls=order.extra_index_urls
        or tuple(_expanded(value) for value in _option_values(previous, "--index")),
        overrides=order.overrides or previous.allowed,
    )


def _option_values(lock: LayerLock, option: str) -> Iterator[str]:
    for line in lock.options:
        found, _, value = line.partition(" ")
        if found == option:
            yield value


def _path(folder: Path, name: str) -> Path:
    return Path(os.path.normpath(folder / name))


def _expanded(url: str) -> str:
    try:
        return expand_variables(url)
    except UnsetVariableError as error:
        raise click.UsageError(f"{url}: {error}") from error


def read_request(order: Order) -> Request:
    """Read all files of an order.

    Args:
        order: A complete order.

    Returns:
        What they ask for, with the indexes of the order.

    Raises:
        RequirementsError: A file is missing or malformed.
    """
    projects = [path for path in order.sources if path.name == _PROJECT]
    if not projects and (order.extras or order.groups):
        raise click.UsageError("--extra and --group belong to a pyproject.toml; name one")
    request = Request()
    for path in order.sources:
        if path.name == _PROJECT:
            request += read_project(path, order.folder, order.extras, order.groups)
        elif path.suffix == ".py" and path.name != "setup.py":
            request += read_script(path, order.folder)
        elif path.suffix in (".toml", ".yml", ".yaml", ".py", ".cfg"):
            raise RequirementsError(
                f"{path.name}: is not a file of requirements; export it to requirements.txt, or name a "
                "pyproject.toml with a [project] table"
            )
        else:
            request += read_requirements_file(path, order.folder)
    for path in order.constraint_files:
        request += read_requirements_file(path, order.folder, constraints=True)
    return request + Request(index_url=order.index_url, extra_index_urls=order.extra_index_urls)


def index_names(request: Request) -> tuple[str | None, tuple[str, ...]]:
    """Return the indexes of a request as a lock names them: without names and credentials."""
    extra = [*map(address_of, request.extra_index_urls), *(url for _, url in request.package_indexes)]
    index_url = None if request.index_url is None else shown_index(address_of(request.index_url))
    return index_url, tuple(dict.fromkeys(map(shown_index, extra)))


def time_bound(text: str) -> str:
    """Return a time bound as RFC 3339 in UTC; a day is its beginning.

    Raises:
        UsageError: It is neither a date nor a time with an offset.
    """
    try:
        moment = datetime.fromisoformat(text)
        if len(text) == len("2026-11-01"):
            moment = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
    except ValueError as error:
        raise click.UsageError(
            f"--exclude-newer: {text!r} is neither 2026-11-01 nor 2026-11-01T00:00:00Z"
        ) from error
    if moment.tzinfo is None:
        raise click.UsageError(f"--exclude-newer: {text!r} has no offset; write {text}Z")
    return format_time(moment)


def format_time(moment: datetime) -> str:
    """Return a time as in a lock."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _project_of(path: Path) -> Path:
    """Return the `pyproject.toml` of a folder, or the path itself if it is not a folder."""
    if not path.is_dir():
        return path
    if not (path / _PROJECT).exists():
        raise RequirementsError(f"{path}: has no {_PROJECT}; name a file of requirements")
    return path / _PROJECT
