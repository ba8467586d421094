"""Reads the dependencies of a project: `pyproject.toml`, or the inline metadata of a script.

The formats are PyPA's (pyproject.toml, dependency groups, inline script metadata) and the table `tool.uv`.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Pep508
from packaging.utils import canonicalize_name

from tools.layer.errors import RequirementsError, reason_of
from tools.layer.index_url import check_index_url
from tools.layer.request import Request, Requirement
from tools.layer.requirement_text import parse_requirement

_SCRIPT = re.compile(r"(?ms)^# /// script\s*$\n(?P<content>(?:^#(?: .*)?$\n)*?)^# ///\s*$")


def read_project(path: Path, lock_folder: Path, extras: Iterable[str], groups: Iterable[str]) -> Request:
    """Read the dependencies of a project, with some of its extras and dependency groups.

    Args:
        path: The `pyproject.toml`.
        lock_folder: Folder that paths in the lock are relative to.
        extras: Extras of the project to add.
        groups: Dependency groups to add.

    Returns:
        What it asks for: its dependencies, the sources and indexes of `tool.uv`; not the project itself.

    Raises:
        RequirementsError: The file is missing or malformed, or has no such extra or group.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequirementsError(f"{path.name}: cannot be read: {reason_of(error)}") from error
    return _Project(path, lock_folder, _toml(text, path.name)).request(extras, groups)


def read_script(path: Path, lock_folder: Path) -> Request:
    """Read the dependencies of a script with inline metadata (PEP 723).

    Args:
        path: The script.
        lock_folder: Folder that paths in the lock are relative to.

    Raises:
        RequirementsError: The script cannot be read, or has no such metadata.
    """
    try:
        found = _SCRIPT.search(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RequirementsError(f"{path.name}: cannot be read: {reason_of(error)}") from error
    if found is None:
        raise RequirementsError(f"{path.name}: has no `# /// script` block; name a requirements file")
    content = "\n".join(line[2:] for line in found["content"].splitlines())
    table = _toml(content, path.name)
    project = {key: table[key] for key in ("dependencies", "requires-python") if key in table}
    return _Project(path, lock_folder, {"project": project, "tool": table.get("tool", {})}).request((), ())


def _toml(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RequirementsError(f"{name}: is not TOML: {error}") from error


class _Project:
    """The tables of one file."""

    def __init__(self, path: Path, lock_folder: Path, tables: Mapping[str, Any]) -> None:
        self._path = path
        self._lock_folder = lock_folder
        self._tables = tables
        self._uv = _table(tables.get("tool", {}), "uv")
        self._sources: dict[str, Any] = {
            canonicalize_name(name): value for name, value in _table(self._uv, "sources").items()
        }

    def request(self, extras: Iterable[str], groups: Iterable[str]) -> Request:
        project = self._tables.get("project")
        if not isinstance(project, dict):
            raise self._error(self._without_project(), "")
        if "dependencies" in project.get("dynamic", ()):
            raise self._error(
                "its dependencies are dynamic, and only building it would tell them; name the file that they "
                "are read from, such as requirements.txt",
                "project.dependencies",
            )
        texts = [(text, "project.dependencies") for text in _list(project.get("dependencies"))]
        optional = _table(project, "optional-dependencies")
        for extra in extras:
            texts += [(text, f"extra {extra}") for text in self._extra(project, optional, extra, ())]
        for group in groups:
            texts += [(text, f"group {group}") for text in self._group(group, ())]
        requires_python = project.get("requires-python")
        indexes = self._indexes()
        request = Request(
            requirements=tuple(self._requirement(text, place) for text, place in texts),
            constraints=tuple(
                self._requirement(text, "tool.uv.constraint-dependencies")
                for text in _list(self._uv.get("constraint-dependencies"))
            ),
            index_url=next((entry["url"] for entry in indexes if entry.get("default")), None),
            extra_index_urls=tuple(
                entry["url"] for entry in indexes if not entry.get("default") and not entry.get("explicit")
            ),
            requires_python=(requires_python,) if isinstance(requires_python, str) else (),
        )
        return replace(request, package_indexes=tuple(self._package_indexes(request, indexes)))

    def _without_project(self) -> str:
        if "poetry" in self._tables.get("tool", {}):
            return (
                "is a project of Poetry without a [project] table; run "
                "`poetry export --without-hashes -o requirements.txt` and name that file"
            )
        return "has no [project] table; name a requirements file"

    def _error(self, what: str, place: str) -> RequirementsError:
        return RequirementsError(f"{self._path.name}{f' [{place}]' if place else ''}: {what}")

    def _extra(
        self, project: Mapping[str, Any], optional: Mapping[str, Any], extra: str, outer: tuple[str, ...]
    ) -> Iterator[str]:
        known = {canonicalize_name(name): values for name, values in optional.items()}
        wanted = canonicalize_name(extra)
        if wanted not in known:
            raise self._error(f"has no extra {extra!r}; it has {', '.join(known) or 'none'}", "")
        own = canonicalize_name(str(project.get("name", "")))
        for text in _list(known[wanted]):
            parsed = self._parsed(text, f"extra {extra}")
            if canonicalize_name(parsed.name) != own:
                yield text
                continue
            for inner in sorted(parsed.extras):
                if inner not in outer:
                    yield from self._extra(project, optional, inner, (*outer, extra))

    def _group(self, group: str, outer: tuple[str, ...]) -> Iterator[str]:
        groups = _table(self._tables, "dependency-groups")
        known = {canonicalize_name(name): values for name, values in groups.items()}
        wanted = canonicalize_name(group)
        if wanted not in known:
            raise self._error(f"has no dependency group {group!r}; it has {', '.join(known) or 'none'}", "")
        if wanted in outer:
            raise self._error(f"includes itself through {', '.join(outer)}", f"group {group}")
        for item in known[wanted]:
            if isinstance(item, str):
                yield item
            elif isinstance(item, dict) and isinstance(item.get("include-group"), str):
                yield from self._group(item["include-group"], (*outer, wanted))
            else:
                raise self._error(f"{item!r} is not a requirement", f"group {group}")

    def _parsed(self, text: str, place: str) -> Pep508:
        try:
            return Pep508(text)
        except InvalidRequirement as error:
            reason = str(error).partition("\n")[0]
            raise self._error(f"{text!r} is not a requirement: {reason}", place) from error

    def _requirement(self, text: str, place: str) -> Requirement:
        parsed = self._parsed(text, place)
        shown = f"{self._path.name} [{place}]"
        source = self._source(canonicalize_name(parsed.name), shown)
        if source is not None and parsed.url is None:
            extras = f"[{','.join(sorted(parsed.extras))}]" if parsed.extras else ""
            text = f"{parsed.name}{extras} @ {source}" + (f" ; {parsed.marker}" if parsed.marker else "")
        return parse_requirement(text, shown, self._path.parent, self._lock_folder)

    def _source(self, name: str, place: str) -> str | None:
        """Return the place of a package by `tool.uv.sources`, or None if it is on an index."""
        entry = self._entry(name)
        if "git" in entry:
            revision = entry.get("rev") or entry.get("tag") or entry.get("branch")
            subdirectory = entry.get("subdirectory")
            url = f"git+{entry['git']}" if not str(entry["git"]).startswith("git+") else entry["git"]
            return (
                f"{url}{f'@{revision}' if revision else ''}"
                f"{f'#subdirectory={subdirectory}' if subdirectory else ''}"
            )
        if "path" in entry:
            path = str(entry["path"])
            return path if path.startswith(("/", ".")) else f"./{path}"
        if "url" in entry:
            return str(entry["url"])
        if "workspace" in entry:
            raise RequirementsError(
                f"{place}: {name} is a member of a uv workspace; give it a path in [tool.uv.sources], or "
                "put its code into the image"
            )
        return None

    def _entry(self, name: str) -> Mapping[str, Any]:
        """Return the source of a package for a base: the first one whose marker is true on Linux."""
        found = self._sources.get(name, {})
        for entry in found if isinstance(found, list) else [found]:
            if not isinstance(entry, dict) or "extra" in entry or "group" in entry:
                continue
            marker = entry.get("marker")
            if marker is None or Marker(str(marker)).evaluate(
                {"sys_platform": "linux", "platform_system": "Linux"}
            ):
                return entry
        return {}

    def _indexes(self) -> list[Mapping[str, Any]]:
        found = self._uv.get("index", [])
        entries = found if isinstance(found, list) else [found]
        if not all(isinstance(entry, dict) and isinstance(entry.get("url"), str) for entry in entries):
            raise self._error("an index has no url", "tool.uv.index")
        for entry in entries:
            try:
                check_index_url(entry["url"])
            except ValueError as error:
                raise self._error(f"{entry['url']!r}: {error}", "tool.uv.index") from error
        return entries

    def _package_indexes(
        self, request: Request, indexes: Iterable[Mapping[str, Any]]
    ) -> Iterator[tuple[str, str]]:
        urls = {entry.get("name"): str(entry["url"]) for entry in indexes}
        for requirement in request.requirements:
            index = self._entry(requirement.name or "").get("index")
            if requirement.name and index is not None:
                if index not in urls:
                    raise self._error(
                        f"{requirement.name} names the index {index!r}, which [[tool.uv.index]] lacks",
                        "tool.uv.sources",
                    )
                yield requirement.name, urls[index]


def _table(tables: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = tables.get(key, {})
    return found if isinstance(found, dict) else {}


def _list(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []
