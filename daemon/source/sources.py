"""Opens the sources that `--source` names, and serves them to uv."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from daemon.download_limit.rate_limit import RateLimit
from daemon.download_limit.upstream_proxy import read_upstream_proxies
from daemon.source.body import Blob, Source
from daemon.source.folder import FolderSource
from daemon.source.http_client import HttpAnswer, HttpClient
from daemon.source.ledger import Ledger
from daemon.source.location import INDEX, Location
from daemon.source.peers import Peers
from daemon.source.registry import RegistryHost, RegistrySource
from daemon.source.registry_auth import RegistryAuth
from daemon.source.source_index import SourceIndex
from daemon.source.web_request import follow
from daemon.source.web_tree import Ask, WebTreeSource
from daemon.uv.least_rate import LeastRate
from gens.registry_credentials import Credentials, read_credentials


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """The options that name sources.

    Attributes:
        locations: The sources, in their order; none for the index of each lock.
        registry_config: Docker's configuration with the credentials; None for its own place.
        peers: Host and port of a peer-to-peer engine on the node, or None.
    """

    locations: tuple[Location, ...] = ()
    registry_config: Path | None = None
    peers: tuple[str, int] | None = None

    @property
    def has_sources(self) -> bool:
        """True if there is any source but the index of each lock."""
        return any(location.kind != INDEX for location in self.locations)

    @property
    def have_peers(self) -> bool:
        """True if there is a source that a peer-to-peer engine is asked for first."""
        return self.peers is not None and any(item.kind in {"oci", "http"} for item in self.locations)


def serve_sources(
    options: SourceOptions,
    variables: Mapping[str, str],
    warn: Callable[[str], None],
    least: LeastRate | None = None,
    limit: RateLimit | None = None,
) -> AbstractContextManager[SourceIndex | None]:
    """Serve the sources to uv while a block runs; no server runs without a source.

    Args:
        options: The sources.
        variables: The machine's environment variables.
        warn: Called with each new failure of a source.
        least: The least rate of a source.
        limit: What all downloads together may take.

    Returns:
        A context with the index; None without a source.

    Raises:
        CredentialsError: The credentials for a registry cannot be read.
        ProxyError: The machine names a proxy that cannot be used.
    """
    if not options.has_sources:
        return contextlib.nullcontext()
    return _serve(options, variables, warn, least, limit)


@contextmanager
def _serve(
    options: SourceOptions,
    variables: Mapping[str, str],
    warn: Callable[[str], None],
    least: LeastRate | None,
    limit: RateLimit | None,
) -> Iterator[SourceIndex]:
    clients: list[HttpClient] = []
    ways: list[tuple[Source, ...] | None] = []
    for location in dict.fromkeys(options.locations):
        made = None if location.kind == INDEX else _open(location, options, variables, clients)
        if made is not None and ways and ways[-1] is not None:
            ways[-1] += made
        else:
            ways.append(made)
    names = tuple(dict.fromkeys(source.name for way in ways for source in way or ()))
    try:
        with SourceIndex(ways, Ledger(names, warn), least, limit) as index:
            yield index
    finally:
        for client in clients:
            client.close()


def _open(
    location: Location, options: SourceOptions, variables: Mapping[str, str], clients: list[HttpClient]
) -> tuple[Source, ...]:
    """Return a source, after the same by the peers of this node if there are any."""
    name = location.name
    if location.kind == "file":
        return (FolderSource(name, Path(location.base)),)
    proxies = read_upstream_proxies(variables)
    client = HttpClient(proxies)
    clients.append(client)

    def straight(url: str, headers: Mapping[str, str], authorization: str, _: Blob | None) -> HttpAnswer:
        return follow(client, url, headers, authorization)

    ways: list[tuple[str, Ask]] = [(name, straight)]
    if options.peers is not None:
        ways.insert(0, (f"{name} by peers", Peers(client, *options.peers).ask))
    if location.kind == "http":
        return tuple(WebTreeSource(way, location, ask, variables) for way, ask in ways)
    auth = RegistryAuth(client, lambda: _credentials(location, options, variables), location.repository)
    host = RegistryHost(location)
    return tuple(
        RegistrySource(way, location, ask, auth, host, is_indirect=ask is not straight) for way, ask in ways
    )


def _credentials(location: Location, options: SourceOptions, variables: Mapping[str, str]) -> Credentials:
    if location.user is not None:
        return Credentials(f"the URL of {location.name}", location.user, location.password)
    return read_credentials(
        location.credentials_key, location.host, variables, options.registry_config, location.repository
    )
