"""Reads one requirement as pip and uv write it: by name, by URL, from Git or by path."""

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit, urlunsplit

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Pep508
from packaging.utils import canonicalize_name

from tools.layer.credentials import expand_variables, learn_url, safe_text, without_credentials
from tools.layer.errors import RequirementsError
from tools.layer.request import Requirement, Source, is_archive, name_of_wheel

_DIRECT = re.compile(
    r"(?:(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[(?P<extras>[^\]]*)\])?\s*@\s*)(?P<place>\S+)(?P<marker>.*)"
)
_BARE = re.compile(r"(?P<place>[^\s;\[]+)(?:\[(?P<extras>[^\]]*)\])?(?P<marker>(?:\s*;.*)?)")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def parse_requirement(
    text: str, place: str, folder: Path, lock_folder: Path, hashes: tuple[str, ...] = ()
) -> Requirement:
    """Read one requirement.

    Args:
        text: The requirement, without options such as `--hash`.
        place: Where it stands, for messages.
        folder: Folder that its paths are relative to.
        lock_folder: Folder that paths in the lock are relative to.
        hashes: SHA-256 digests of which its wheel must have one.

    Returns:
        The requirement. Variables such as `${TOKEN}` of its URL have their values, but not in its text.

    Raises:
        RequirementsError: It is malformed, a path does not exist, or a variable is not set.
    """
    if not _is_direct(text):
        return _by_name(text, place, hashes)
    found = _DIRECT.fullmatch(text) or _BARE.fullmatch(text)
    if found is None:
        raise RequirementsError(f"{place}: {text!r} is not a requirement; write NAME @ URL, or a path")
    groups = found.groupdict()
    marker = _marker(groups["marker"].strip().removeprefix(";").strip(), place)
    extras = tuple(
        sorted(
            canonicalize_name(extra.strip()) for extra in (groups["extras"] or "").split(",") if extra.strip()
        )
    )
    try:
        source, egg, shown = _source(groups["place"], place, folder, lock_folder)
    except (ValueError, RuntimeError) as error:  # of a URL, or of a `~` whose user is unknown
        where = without_credentials(groups["place"])
        raise RequirementsError(
            f"{place}: {where!r} is not a URL or path: {safe_text(str(error))}"
        ) from error
    if hashes:
        source = replace(source, sha256=source.sha256 or hashes[0])
    given = groups.get("name") or egg
    name = canonicalize_name(given) if given else _name_of(source)
    brackets = f"[{','.join(extras)}]" if extras else ""
    head = f"{name}{brackets} @ {shown}" if name else f"{shown}{brackets}"
    return Requirement(
        text=_with_hashes(head if marker is None else f"{head} ; {marker}", hashes),
        place=place,
        name=name,
        pep508="",
        extras=extras,
        marker=marker,
        source=source,
        hashes=hashes,
    )


def _is_direct(text: str) -> bool:
    """Return whether a requirement names a place instead of versions."""
    before_marker = text.partition(" ;")[0].partition("; ")[0].strip()
    if re.search(r"\s@\s|^[\w.-]+(\[[^\]]*\])?@", before_marker) or "://" in before_marker:
        return True
    bare = before_marker.partition("[")[0]
    return (
        bare.startswith((".", "/", "~", "file:")) or "/" in bare or bare.endswith(".whl") or is_archive(bare)
    )


def _by_name(text: str, place: str, hashes: tuple[str, ...]) -> Requirement:
    try:
        parsed = Pep508(text)
    except InvalidRequirement as error:
        reason = str(error).partition("\n")[0]
        raise RequirementsError(f"{place}: {text!r} is not a requirement: {reason}") from error
    return Requirement(
        text=_with_hashes(str(parsed), hashes),
        place=place,
        name=canonicalize_name(parsed.name),
        pep508=str(parsed),
        extras=tuple(sorted(parsed.extras)),
        marker=parsed.marker,
        hashes=hashes,
    )


def _with_hashes(text: str, hashes: Iterable[str]) -> str:
    return " ".join((text, *(f"--hash=sha256:{digest}" for digest in sorted(hashes))))


def _marker(text: str, place: str) -> Marker | None:
    if not text:
        return None
    try:
        return Marker(text)
    except InvalidMarker as error:
        reason = str(error).partition("\n")[0]
        raise RequirementsError(f"{place}: {text!r} is not a marker: {reason}") from error


def _source(where: str, place: str, folder: Path, lock_folder: Path) -> tuple[Source, str | None, str]:
    """Return a source, the name that its fragment gives it, and its text in the lock."""
    address = where.removeprefix("git+")
    if address.startswith("-"):
        raise ValueError("it begins like an option")
    if not where.startswith("git+") and ("://" not in address or address.startswith("file:")):
        return _path_source(address, place, folder, lock_folder)
    expanded = expand_variables(address)
    learn_url(expanded)
    parts = _split(expanded)
    fragment = {key: values[0] for key, values in parse_qs(parts.fragment).items()}
    location = urlunsplit((parts.scheme, parts.netloc, parts.path, parts.query, ""))
    shown = without_credentials(where)
    if not where.startswith("git+"):
        return (
            Source("url", location, None, fragment.get("subdirectory"), fragment.get("sha256")),
            fragment.get("egg"),
            shown,
        )
    path, at, revision = location.rpartition("@")
    # The @ of `ssh://git@host/…` is part of the host.
    has_revision = bool(at) and "/" in urlsplit(path).path
    if has_revision and revision.startswith("-"):
        raise RequirementsError(f"{place}: {revision!r} is not a branch, tag or commit")
    source = Source(
        "git",
        path if has_revision else location,
        revision if has_revision else None,
        fragment.get("subdirectory"),
    )
    return source, fragment.get("egg"), shown


def _split(url: str) -> SplitResult:
    parts = urlsplit(url)
    try:
        _ = parts.port
    except ValueError as error:
        raise ValueError("write `/` in a password as %2F, `?` as %3F and `#` as %23") from error
    if not parts.hostname and parts.scheme != "file":
        raise ValueError("it names no host")
    return parts


def _path_source(address: str, place: str, folder: Path, lock_folder: Path) -> tuple[Source, str | None, str]:
    plain, _, fragment = address.partition("#")
    if plain.startswith("file:"):
        plain = unquote(urlsplit(plain).path)
    path = Path(os.path.normpath(folder / Path(expand_variables(plain)).expanduser()))
    if not path.exists():
        raise RequirementsError(
            f"{place}: {safe_text(str(path))} does not exist; paths are relative to the file that has them"
        )
    if path.is_file() and path.suffix != ".whl" and not is_archive(path.name):
        raise RequirementsError(f"{place}: {path} is neither a wheel, a source distribution nor a folder")
    shown = Path(os.path.relpath(path, lock_folder)).as_posix()
    fields = {key: values[0] for key, values in parse_qs(fragment).items()}
    source = Source("path", str(path), None, fields.get("subdirectory"))
    return source, fields.get("egg"), shown if shown.startswith(".") else f"./{shown}"


def _name_of(source: Source) -> str | None:
    file_name = urlsplit(source.location).path if source.kind == "url" else source.location
    return name_of_wheel(file_name) if file_name.endswith(".whl") else None


def is_commit(revision: str | None) -> bool:
    """Return whether a revision is a whole commit ID of Git, which cannot move."""
    return revision is not None and _COMMIT.fullmatch(revision) is not None
