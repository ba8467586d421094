"""Names of images: repositories and tags (OCI distribution-spec v1.1, "Pulling manifests")."""

import ipaddress
import re
from dataclasses import dataclass

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_HOST = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?)(?::[0-9]{1,5})?")
_HUB = "docker.io"
# The limit of many clients for host and name together, according to the specification.
_LONGEST = 255


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of a registry.

    Attributes:
        host: The registry as people write it, with a port if needed: `localhost:5000`.
        name: The repository's name in the registry: `team/monobase`.
    """

    host: str
    name: str

    def __str__(self) -> str:
        return f"{self.host}/{self.name}"

    @property
    def api_host(self) -> str:
        """The host of the API; Docker Hub's differs from the one that people write."""
        return "registry-1.docker.io" if self.host == _HUB else self.host

    @property
    def credentials_key(self) -> str:
        """Name of the registry in Docker's configuration and for credential helpers."""
        return "https://index.docker.io/v1/" if self.host == _HUB else self.host

    @property
    def is_loopback(self) -> bool:
        """True if the registry is on this machine by Docker's rules: then TLS is optional."""
        hostname = (
            self.host.removeprefix("[").partition("]")[0] if self.host[0] == "[" else self.host.split(":")[0]
        )
        if hostname == "localhost":
            return True
        try:
            return ipaddress.ip_address(hostname).is_loopback
        except ValueError:
            return False


def parse_repository(text: str, *, is_short: bool = True) -> Repository:
    """Read the name of a repository.

    Args:
        text: Host, slash, name: `registry.example.com/team/monobase`.
        is_short: Whether the name may be one of Docker Hub without its host, so that a host needs a dot or a
            port; not after `oci://`.

    Returns:
        The repository.

    Raises:
        ValueError: It is none; the text says why.
    """
    host, _, name = text.partition("/")
    if is_short and not has_host(text):
        raise ValueError(f"{text!r} names no registry: write {_HUB}/{text} for Docker Hub, or another host")
    if not _HOST.fullmatch(host):
        raise ValueError(f"{text!r}: {host!r} is not a host with or without a port")
    if host == _HUB and "/" not in name:
        name = f"library/{name}"
    if ":" in name or "@" in name:
        raise ValueError(f"{text!r} has a tag or digest: name the tag with --tag")
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{text!r}: {name!r} is not a repository's name: lower-case letters and digits, "
            f"with single '.', '_', '__' or dashes between them, parted by '/'"
        )
    if len(host) + 1 + len(name) > _LONGEST:
        raise ValueError(f"{text!r} is longer than {_LONGEST} characters")
    return Repository(host, name)


def parse_image_name(text: str) -> str:
    """Read the name of an image on this machine.

    Args:
        text: A name with or without host and tag: `monobase/daemon:dev`.

    Returns:
        The name with its tag; `latest` if it has none.

    Raises:
        ValueError: It is none; the text says why.
    """
    name, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        name, tag = text, "latest"
    if has_host(name):
        parse_repository(name)
    elif not _NAME.fullmatch(name):
        raise ValueError(f"{text!r} is not a name for an image: write one like team/image:tag, in lower case")
    return f"{name}:{parse_tag(tag)}"


def has_host(name: str) -> bool:
    """Return whether a name begins with a host, by Docker's rules."""
    host, slash, _ = name.partition("/")
    return bool(slash) and (host == "localhost" or any(sign in host for sign in ".:"))


def parse_tag(text: str) -> str:
    """Check a tag.

    Args:
        text: A tag, such as `2026-11-24`.

    Returns:
        The same.

    Raises:
        ValueError: It is none; the text says why.
    """
    if not _TAG.fullmatch(text):
        raise ValueError(
            f"{text!r} is not a tag: at most 128 letters, digits, '_', '.' and '-', "
            f"not starting with '.' or '-'"
        )
    return text
