"""Reads from the machine's configuration of uv which indexes there are and how to reach them.

uv reads a user's and the system's `uv.toml` and a hundred variables. Many of them change the result of an
install: seeds for environments, other versions, another folder to write to. So uv gets none of them: the
settings that may pass are listed here, and go into a configuration that Monobase writes.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from daemon.uv.configuration_files import malformed, read_files
from daemon.uv.index_url import check_url, without_user_info
from gens.redaction import learn_variables, redact

Setting = str | int | bool | list[str]
Index = dict[str, object]

# Scalars are the user's before the system's; lists are joined in that order, as in uv.
_SETTINGS: Mapping[str, type] = {
    "allow-insecure-host": list,
    "concurrent-downloads": int,
    "concurrent-installs": int,
    "find-links": list,
    "http-proxy": str,
    "https-proxy": str,
    "index-strategy": str,
    "keyring-provider": str,
    "native-tls": bool,
    "no-proxy": list,
    "pypy-install-mirror": str,
    "python-downloads-json-url": str,
    "python-install-mirror": str,
    "system-certs": bool,
    "trusted-host": list,
}
_PROXIES = ("http-proxy", "https-proxy", "no-proxy")
_IN_PIP = ("find-links", "index-strategy", "keyring-provider")
_INDEX_KEYS = ("name", "url", "default", "format", "authenticate", "ignore-error-codes", "cache-control")
# The wheels are pinned by content, so a cached one is always right; pages are requested again.
_CACHED = {"api": "no-cache", "files": "max-age=365000000, immutable"}
_NAMED = re.compile(r"(?P<name>[\w.-]+)=(?P<url>.+)")


@dataclass(frozen=True, slots=True)
class UvConfiguration:
    """The part of the machine's configuration that may pass.

    Attributes:
        settings: The settings by name, as in `uv.toml`.
        indexes: The indexes as `[[index]]` of `uv.toml`, in the order in which uv asks them.
        sources: The files that it was read from, for messages.
    """

    settings: Mapping[str, Setting] = field(default_factory=dict)
    indexes: tuple[Index, ...] = ()
    sources: tuple[str, ...] = ()

    def for_default_index(self, url: str | None) -> tuple[Index, ...]:
        """Return the indexes of the wheels that are not on the index of a build.

        Args:
            url: The default index of an option, which replaces the machine's; None for none.
        """
        if url is None:
            return self.indexes
        others = tuple(index for index in self.indexes if not index.get("default"))
        return (*others, self._known(url) | {"default": True})

    def for_build_index(self, url: str) -> tuple[Index, ...]:
        """Return the index of a build alone, so that no index of the machine shadows it."""
        return (self._known(url) | {"default": True},)

    def _known(self, url: str) -> Index:
        """Return an index with the name and the password that the machine's configuration may have for it."""
        for index in self.indexes:
            if without_user_info(str(index["url"])) == without_user_info(url):
                return index if "@" not in urlsplit(url).netloc else index | {"url": url}
        return {"url": url}

    def text(self, indexes: Sequence[Index], *, proxies: bool = True) -> str:
        """Write a `uv.toml`.

        Args:
            indexes: The indexes that it names.
            proxies: Whether it names proxies, too: they replace those of all variables.

        Raises:
            IndexUrlError: The URL of an index is malformed.
        """
        lines = [
            f"{name} = {_toml(value)}"
            for name, value in self.settings.items()
            if proxies or name not in _PROXIES
        ]
        for index in indexes:
            check_url(str(index["url"]))
            entry = {name: index[name] for name in _INDEX_KEYS if name in index} | {"cache-control": _CACHED}
            lines += ["[[index]]", *(f"{name} = {_toml(value)}" for name, value in entry.items())]
        return "\n".join([*lines, ""])


def read_uv_configuration(variables: Mapping[str, str]) -> UvConfiguration:
    """Read what the machine says, as uv would: variables, then the user's file, then the system's.

    Args:
        variables: Such as `os.environ`.

    Returns:
        What may pass of it.

    Raises:
        UvConfigurationError: A file cannot be read, or is malformed.
    """
    learn_variables(variables)
    indexes = _indexes_of_variables(variables)
    settings: dict[str, Setting] = {}
    if variables.get("UV_FIND_LINKS"):
        settings["find-links"] = [
            _absolute(text, Path.cwd()) for text in variables["UV_FIND_LINKS"].split(",")
        ]
    sources = []
    for path, contents in read_files(variables):
        sources.append(str(path))
        pip = contents.get("pip", {})
        if not isinstance(pip, dict):
            raise malformed(path, "pip", "is not a table")
        for table, names in ((pip, _IN_PIP), (contents, tuple(_SETTINGS))):
            indexes += _indexes_of_table(path, table)
            for name in names:
                if name in table:
                    _add(settings, name, _checked(path, name, table[name]))
    return UvConfiguration(settings, tuple(_one_default(indexes)), tuple(sources))


def _indexes_of_variables(variables: Mapping[str, str]) -> list[Index]:
    here = Path.cwd()
    indexes = [
        _index(url, here)
        for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL")
        for url in variables.get(name, "").split()
    ]
    defaults = [variables.get(name, "").strip() for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL")]
    return [*indexes, *(_index(url, here) | {"default": True} for url in defaults if url)]


def _indexes_of_table(path: Path, table: Mapping[str, object]) -> list[Index]:
    entries = table.get("index", [])
    if not isinstance(entries, list):
        raise malformed(path, "index", "is not a list of tables")
    indexes: list[Index] = []
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("url"), str):
            raise malformed(path, "index", "has an entry without an `url`")
        if not entry.get("explicit"):  # only a project may ask for such a one
            indexes.append(entry | {"url": _absolute(entry["url"], path.parent)})
    extra = _checked(path, "extra-index-url", table.get("extra-index-url", []), list)
    indexes += [_index(url, path.parent) for url in (extra if isinstance(extra, list) else ())]
    if "index-url" in table:
        url = str(_checked(path, "index-url", table["index-url"], str))
        indexes.append(_index(url, path.parent) | {"default": True})
    return indexes


def _index(text: str, directory: Path) -> Index:
    named = _NAMED.fullmatch(text)
    if named is not None and "://" not in named["name"]:
        return {"name": named["name"], "url": _absolute(named["url"], directory)}
    return {"url": _absolute(text, directory)}


def _one_default(indexes: Sequence[Index]) -> list[Index]:
    """Keep only the first default index, and only the first index of each name."""
    kept: list[Index] = []
    for index in indexes:
        if index.get("default") and any(other.get("default") for other in kept):
            continue
        if index.get("name") and any(other.get("name") == index["name"] for other in kept):
            continue
        kept.append(index)
    return kept


def _checked(path: Path, name: str, value: object, kind: type | None = None) -> Setting:
    kind = kind or _SETTINGS[name]
    fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if not fits or (isinstance(value, list) and not all(isinstance(item, str) for item in value)):
        raise malformed(path, name, f"is {redact(repr(value))}, which is not of type {kind.__name__}")
    if isinstance(value, list) and name == "find-links":
        return [_absolute(item, path.parent) for item in value]
    return value  # type: ignore[return-value]


def _add(settings: dict[str, Setting], name: str, value: Setting) -> None:
    held = settings.setdefault(name, value)
    if held is not value and isinstance(held, list) and isinstance(value, list):
        settings[name] = [*held, *value]


def _absolute(place: str, directory: Path) -> str:
    """Return a URL unchanged, and the absolute path of a folder of wheels."""
    return place if "://" in place else os.path.normpath(directory.absolute() / place)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(item)}" for name, item in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    # A JSON string is a TOML one, but for U+007F.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
