"""The proxy that the machine's own variables name for a host, as uv reads them.

They are read by uv's HTTP library, not by curl's rules: a variable that is set and empty hides the one in
lower-case letters, `*` covers names and no addresses, and is no wildcard within a name.
"""

import base64
import ipaddress
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from daemon.errors import ProxyError
from daemon.uv.configuration import configuration_files
from daemon.uv.variables import is_true

_PORTS = {"http": 80, "https": 443}
PROXY_VARIABLES = tuple(
    name
    for upper in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
    for name in (upper, upper.lower())
)


@dataclass(frozen=True, slots=True)
class UpstreamProxy:
    """A proxy to go through.

    Attributes:
        host: Its host.
        port: Its port.
        tls: Whether it is spoken to over TLS.
        authorization: Value of a `Proxy-Authorization` header, or empty.
    """

    host: str
    port: int
    tls: bool = False
    authorization: str = ""


@dataclass(frozen=True, slots=True)
class UpstreamProxies:
    """What the variables say.

    Attributes:
        by_scheme: The proxy for `http` and for `https`; a scheme without one is gone to directly.
        exceptions: Entries of `NO_PROXY`, in lower-case letters.
    """

    by_scheme: Mapping[str, UpstreamProxy]
    exceptions: tuple[str, ...] = ()

    def find(self, scheme: str, host: str) -> UpstreamProxy | None:
        """Give the proxy for a host, or None to connect to it directly.

        Args:
            scheme: `http` or `https`.
            host: Name or address, without brackets.
        """
        proxy = self.by_scheme.get(scheme)
        if proxy is None or any(_covers(entry, host.lower()) for entry in self.exceptions):
            return None
        return proxy


def read_upstream_proxies(variables: Mapping[str, str]) -> UpstreamProxies:
    """Read the variables of a caller.

    Args:
        variables: Such as `os.environ`.

    Returns:
        What they say.

    Raises:
        ProxyError: One of them names a proxy that is neither `http` nor `https`.
    """
    if "REQUEST_METHOD" in variables:  # a CGI program, whose HTTP_PROXY anybody can set by a header
        return UpstreamProxies({})
    by_scheme = {}
    for scheme in ("http", "https"):
        name, text = _first_set(variables, f"{scheme.upper()}_PROXY")
        if not text:
            name, text = _first_set(variables, "ALL_PROXY")
        if text:
            by_scheme[scheme] = _parse(name, text)
    _, exceptions = _first_set(variables, "NO_PROXY")
    return UpstreamProxies(
        by_scheme, tuple(entry.strip().lower() for entry in exceptions.split(",") if entry.strip())
    )


def check_configuration(variables: Mapping[str, str]) -> None:
    """Refuse uv's own configuration where it names a proxy: it comes before every variable.

    Args:
        variables: Such as `os.environ`.

    Raises:
        ProxyError: A configuration file of uv names one.
    """
    if is_true(variables.get("UV_NO_CONFIG")):
        return
    for path in configuration_files(variables):
        try:
            text = path.read_text()
            settings = tomllib.loads(text)
        except (OSError, ValueError):
            continue  # uv says itself what is wrong with it
        named = [name for name in ("http-proxy", "https-proxy") if name in settings]
        if named:
            raise ProxyError(
                f"{path}: {named[0]} comes before the limit of --max-download-rate; "
                f"name the proxy by {named[0].upper().replace('-', '_')} instead"
            )


def _first_set(variables: Mapping[str, str], upper: str) -> tuple[str, str]:
    name = upper if upper in variables else upper.lower()
    return name, variables.get(name, "").strip()


def _parse(name: str, text: str) -> UpstreamProxy:
    url = urlsplit(text if "://" in text else f"http://{text}")
    try:
        port = url.port or _PORTS.get(url.scheme, 0)
    except ValueError:
        port = 0
    if url.scheme not in _PORTS or not url.hostname or not port:
        place = f"{url.scheme}://{url.hostname or ''}"  # not the whole of it: a password may be in it
        raise ProxyError(
            f"{name}: --max-download-rate goes through http:// and https:// proxies only; this one is {place}"
        )
    authorization = ""
    if url.username is not None:
        pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
        authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return UpstreamProxy(url.hostname, port, url.scheme == "https", authorization)


def _covers(entry: str, host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        domain = entry.removeprefix(".")
        return entry == "*" or host == domain or host.endswith(f".{domain}")
    address_text, slash, length = entry.partition("/")
    if slash and not length.isdecimal():  # Python takes a mask there as well
        return False
    try:
        return address in ipaddress.ip_network(f"{address_text}{slash}{length}", strict=False)
    except ValueError:
        return False
