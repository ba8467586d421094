"""The location of a source, as `--source` names it."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

from gens.redaction import learn, redact

INDEX = "index"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_FORMS = "oci://REGISTRY/REPOSITORY, https://HOST/PATH/, file:///FOLDER or index"
_HUB = frozenset({"docker.io", "index.docker.io"})
_HUB_API = "registry-1.docker.io"
_HUB_KEY = "https://index.docker.io/v1/"

# Characters that a path may have as they are (RFC 3986, 3.3), and what is percent-encoded already.
_OF_A_PATH = "/%:!$&'()*+,;=~"
_NO_HOST = re.compile(r"[^\w.:%-]")
_TAG = re.compile(r"@[a-z0-9]+:[0-9a-f]+$|:[^/]*$")

Kind = Literal["oci", "http", "file", "index"]


@dataclass(frozen=True, slots=True)
class Location:
    """The location of a source.

    Attributes:
        kind: `oci` for a registry, `http` for a tree on a web server, `file` for a tree on this machine,
            `index` for the index of each lock.
        name: The location in messages and metrics, without a password.
        base: `https://HOST` of a registry, the URL of a web tree with a slash at its end, or a path.
        repository: Name of the registry's repository; else empty.
        user: User name in the URL, or None.
        password: Password in the URL, or None.
        may_be_plain: Whether a registry that does not speak TLS may be reached by plain HTTP.
    """

    kind: Kind
    name: str
    base: str = ""
    repository: str = ""
    user: str | None = None
    password: str | None = None
    may_be_plain: bool = False

    @property
    def host(self) -> str:
        """Host, and the port if one is named."""
        return urlsplit(self.base).netloc if self.kind in {"oci", "http"} else ""

    @property
    def credentials_key(self) -> str:
        """Name of a registry in Docker's configuration."""
        return _HUB_KEY if self.host == _HUB_API else self.host


def parse_location(text: str) -> Location:
    """Read the location of a source.

    Args:
        text: `oci://REGISTRY/REPOSITORY`, `https://HOST/PATH/`, `file:///FOLDER` or `index`.

    Raises:
        ValueError: It is none; the text says why, without a password.
    """
    learn(text)
    if text == INDEX:
        return Location("index", INDEX)
    scheme, separator, _ = text.partition("://")
    scheme = scheme.lower()
    if not separator or not text.isprintable() or " " in text:
        raise ValueError(f"{redact(text)!r} is not a source: write {_FORMS}")
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
    except ValueError as error:
        raise ValueError(f"{redact(text)!r} is not a source: {error}") from error
    if scheme.startswith("oci") and _TAG.search(url.path):
        raise ValueError(f"{redact(text)!r} has a tag or a digest; leave it out, and name the repository")
    if url.query or url.fragment or "@" in url.path:
        raise ValueError(f"{redact(text)!r} has a query, a fragment or an @ in its path: write {_FORMS}")
    if scheme == "file":
        return _folder(text, host, unquote(url.path))
    if not host or port == 0:
        raise ValueError(f"{redact(text)!r} has no host, or a port that is none")
    _check_host(text, host)
    place = f"[{host}]" if ":" in host else host
    place += f":{port}" if port is not None else ""
    user = None if url.username is None else unquote(url.username)
    password = None if url.password is None else unquote(url.password)
    if scheme in {"http", "https"}:
        base = f"{scheme}://{place}{quote(url.path.rstrip('/'), safe=_OF_A_PATH)}/"
        return Location("http", base, base, user=user, password=password)
    if scheme in {"oci", "oci+http"}:
        return _registry(scheme, host, place, url.path.strip("/"), user, password)
    raise ValueError(f"{redact(text)!r} has the scheme {scheme!r}: write {_FORMS}")


def _check_host(text: str, host: str) -> None:
    try:
        is_name = bool(host.encode("idna")) and not _NO_HOST.search(host)
    except UnicodeError:
        is_name = False
    if not is_name:
        raise ValueError(f"{redact(text)!r} has the host {host!r}, which is not the name of one; correct it")


def _folder(text: str, host: str, path: str) -> Location:
    if host not in {"", "localhost"} or not path.startswith("/") or "\0" in path:
        raise ValueError(f"{redact(text)!r} names no folder of this machine: write file:///FOLDER")
    path = path.rstrip("/") or "/"
    return Location("file", f"file://{path}", path)


def _registry(
    scheme: str, host: str, place: str, repository: str, user: str | None, password: str | None
) -> Location:
    if place in _HUB:
        place, repository = _HUB_API, repository if "/" in repository else f"library/{repository}"
    if not _REPOSITORY.fullmatch(repository):
        raise ValueError(
            f"{scheme}://{place}/{repository}: {repository!r} is not the name of a repository: lower-case "
            "letters and digits, with single '.', '_', '__' or dashes between them, parted by '/'"
        )
    name = f"{scheme}://{place}/{repository}"
    base = f"{'http' if scheme == 'oci+http' else 'https'}://{place}"
    plain = scheme == "oci" and _is_loopback(host)
    return Location("oci", name, base, repository, user, password, plain)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
