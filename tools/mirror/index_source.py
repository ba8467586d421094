"""Package indexes as a source: those that the locks name, and the default index of this machine.

Implements the client side of the Simple repository API (PEP 503, PEP 691), by pypi-simple's parser.
"""

import configparser
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pypi_simple

from gens.mirror_shape import InterpreterConfig
from gens.redaction import learn
from tools.locking.uv_program import find_resolver
from tools.mirror.errors import AbsentError, SourceError
from tools.mirror.source import Stream
from tools.mirror.wanted import Item
from tools.mirror.web import Web, shown

_PIP_FILES = ("~/.config/pip/pip.conf", "~/.pip/pip.conf", "/etc/pip.conf")


class IndexSource:
    """The indexes of the locks; each page is read once."""

    def __init__(self, default_url: str, web: Web) -> None:
        """Use indexes.

        Args:
            default_url: URL of the default index, the folder of projects.
            web: The connections.
        """
        self.name = f"the index {shown(default_url)}"
        self._default_url = default_url
        self._web = web
        self._pages: dict[str, Mapping[str, tuple[str, str]]] = {}
        self._guards: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def locate(self, item: Item) -> None:
        """Check that an index lists a wheel with the digest of the lock."""
        self._address(item)

    @contextmanager
    def open(self, item: Item, start: int) -> Iterator[Stream]:
        """Read a wheel from an offset on."""
        with self._web.open(self._address(item), start) as stream:
            yield stream

    def local_path(self, item: Item) -> Path | None:  # noqa: ARG002 (of the protocol)
        """Return None: the file is not on this machine."""
        return None

    def interpreters(self) -> Mapping[str, InterpreterConfig]:
        """Return none: uv knows where interpreters are."""
        return {}

    def _address(self, item: Item) -> str:
        """Return the URL of a wheel."""
        reasons = []
        for index in item.indexes:
            root = index or self._default_url
            url = f"{root.rstrip('/')}/{item.project}/"
            try:
                page = self._page(url)
            except AbsentError as error:
                reasons.append(str(error))
                continue
            found = page.get(item.filename)
            if found is None:
                reasons.append(f"{shown(url)}: does not list it (any more)")
            elif found[1] not in {"", item.sha256}:
                reasons.append(
                    f"{shown(url)}: lists another file under this name: expected sha256:{item.sha256}, found "
                    f"sha256:{found[1]}"
                )
            else:
                return found[0]
        raise AbsentError("; ".join(reasons) or f"{self.name}: has only wheels")

    def _page(self, url: str) -> Mapping[str, tuple[str, str]]:
        with self._guard:
            guard = self._guards.setdefault(url, threading.Lock())
        with guard:
            if url not in self._pages:
                self._pages[url] = self._read_page(url)
            return self._pages[url]

    def _read_page(self, url: str) -> Mapping[str, tuple[str, str]]:
        """Return the URL and SHA-256 of each file of a page, by its name."""
        content, answer = self._web.read(url, {"Accept": pypi_simple.ACCEPT_ANY})
        kind = answer.headers.get("Content-Type", "text/html")
        project = url.rstrip("/").rpartition("/")[2]
        try:
            if "json" in kind.partition(";")[0]:
                page = pypi_simple.ProjectPage.from_json_data(json.loads(content), answer.url)
            else:
                text = content.decode(answer.encoding or "utf-8", "replace")
                page = pypi_simple.ProjectPage.from_html(project, text, answer.url)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SourceError(f"{shown(url)}: is not a page of an index: {error}") from error
        return {
            package.filename: (
                with_credentials(package.url, url, answer.url),
                package.digests.get("sha256", ""),
            )
            for package in page.packages
        }


def with_credentials(link: str, page: str, final_page: str) -> str:
    """Return the URL of a file, with the credentials of its page if both are on the same host.

    Args:
        link: URL of the file.
        page: URL of the page, with its credentials.
        final_page: URL of the page after redirections.
    """
    target = urlsplit(urljoin(final_page, link))
    own = urlsplit(page)
    user, at, _ = own.netloc.rpartition("@")
    same = (target.scheme, target.netloc.rpartition("@")[2]) == (own.scheme, own.netloc.rpartition("@")[2])
    if at and same and "@" not in target.netloc:
        target = target._replace(netloc=f"{user}@{target.netloc}")
    return target._replace(fragment="").geturl()


def default_index_url(environment: Mapping[str, str] = os.environ) -> str:
    """Return the URL of the default index as uv, or else pip, is configured on this machine.

    Args:
        environment: Environment variables of the caller.

    Raises:
        SourceError: It is not a web server's, or uv does not show it.
    """
    named = environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL")
    url = re.sub(r"^[\w-]+=", "", named) if named else find_resolver(environment).default_index
    if url is None or url.rstrip("/") == pypi_simple.PYPI_SIMPLE_ENDPOINT.rstrip("/"):
        url = environment.get("PIP_INDEX_URL") or _of_pip(environment) or url
    if url is None:
        raise SourceError(
            "uv does not show the URL of the default index, as it has a password; name the index in "
            "UV_DEFAULT_INDEX, and its password in the URL or in ~/.netrc"
        )
    if urlsplit(url).scheme not in {"http", "https"}:
        raise SourceError(f"{shown(url)}: is not an index on a web server; name a folder with --from")
    learn(url)
    return url


def _of_pip(environment: Mapping[str, str]) -> str | None:
    named = environment.get("PIP_CONFIG_FILE")
    for path in (named,) if named else _PIP_FILES:
        parser = configparser.RawConfigParser()
        try:
            parser.read(Path(path).expanduser(), encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue
        found = parser.get("global", "index-url", fallback=None)
        if found:
            return found.strip()
    return None
