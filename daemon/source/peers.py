"""A peer-to-peer engine on the node: Dragonfly's HTTP proxy, asked as a registry mirror.

Header fields: Dragonfly's client, `dragonfly-client/src/proxy/header.rs`. The task is named by the digest of
the blob, so that nodes with different sources share it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from daemon.source.body import Blob
from daemon.source.http_client import HttpAnswer, HttpClient, place_of
from daemon.source.web_request import follow
from gens.redaction import learn, redact

_DEFAULT_PORT = 4001


@dataclass(frozen=True, slots=True)
class Peers:
    """Sends requests for blobs to a peer-to-peer engine, all others to the source itself.

    Attributes:
        client: Sends them.
        host: Host of the engine.
        port: Its port.
    """

    client: HttpClient
    host: str
    port: int

    def ask(self, url: str, headers: Mapping[str, str], authorization: str, blob: Blob | None) -> HttpAnswer:
        """Request a URL.

        Args:
            url: The URL at the source.
            headers: Header fields.
            authorization: Value of `Authorization` for the source; empty for none.
            blob: The blob that it is; None for anything else.

        Raises:
            SourceFailure: The engine or the source cannot be reached.
        """
        if blob is None:
            return follow(self.client, url, headers, authorization)
        fields = {
            **headers,
            "X-Dragonfly-Use-P2P": "true",
            "X-Dragonfly-Registry": place_of(url).origin,
            "X-Dragonfly-Content-For-Calculating-Task-ID": f"sha256:{blob.sha256}",
            # A node that goes on in the middle still gets the pieces that others ask it for.
            "X-Dragonfly-Prefetch": "true",
            **({"Authorization": authorization} if authorization else {}),
        }
        return self.client.request(url, fields, via=(self.host, self.port))


def parse_peers(text: str) -> tuple[str, int]:
    """Read the address of a peer-to-peer engine.

    Args:
        text: `http://HOST:PORT`; the port of Dragonfly's client is 4001.

    Returns:
        Host and port.

    Raises:
        ValueError: It is none; the text says why.
    """
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        host = port = None
    is_bare = url.path in {"", "/"} and not (url.query or url.fragment or url.username) if host else False
    if not host or url.scheme != "http" or not is_bare or port == 0:
        learn(text)
        raise ValueError(
            f"{redact(text)!r} is not the address of a peer-to-peer engine: write http://HOST:4001"
        )
    return host, port or _DEFAULT_PORT
