"""The proxy that the machine's environment variables name for a host, as uv reads them.

The rules are those of uv's HTTP library and not curl's: a variable that is set to an empty text hides its
lower-case form; `*` in NO_PROXY matches all names but no address, and is not a wildcard within a name.
"""

import base64
import ipaddress
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from daemon.errors import ProxyError
from daemon.uv.configuration_files import configuration_files
from daemon.uv.variables import is_true

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class UpstreamProxy:
    """A proxy of the machine.

    Attributes:
        host: Host of the proxy.
        port: Port of the proxy.
        tls: Whether connections to the proxy use TLS.
        authorization: Value of a `Proxy-Authorization` field, or empty.
    """

    host: str
    port: int
    tls: bool = False
    authorization: str = ""


@dataclass(frozen=True, slots=True)
class UpstreamProxies:
    """The proxies of the machine.

    Attributes:
        by_scheme: The proxy for `http` and for `https`; hosts of other schemes are reached directly.
        exceptions: Entries of `NO_PROXY`, in lower case.
    """

    by_scheme: Mapping[str, UpstreamProxy]
    exceptions: tuple[str, ...] = ()

    def find(self, scheme: str, host: str) -> UpstreamProxy | None:
        """Return the proxy for a host, or None to connect to it directly.

        Args:
            scheme: `http` or `https`.
            host: Name or address, without brackets.
        """
        proxy = self.by_scheme.get(scheme)
        if proxy is None or any(_covers(entry, host.lower()) for entry in self.exceptions):
            return None
        return proxy


def read_upstream_proxies(variables: Mapping[str, str]) -> UpstreamProxies:
    """Return the proxies that environment variables name.

    Args:
        variables: Variables such as `os.environ`.

    Raises:
        ProxyError: A variable names a proxy that is neither `http` nor `https`.
    """
    if "REQUEST_METHOD" in variables:  # a CGI program, whose clients can set HTTP_PROXY by a header field
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
    """Refuse a uv configuration that names a proxy: uv prefers it to all environment variables.

    Args:
        variables: Variables such as `os.environ`.

    Raises:
        ProxyError: A configuration file of uv names a proxy.
    """
    if is_true(variables.get("UV_NO_CONFIG")):
        return
    for path in configuration_files(variables):
        try:
            settings = tomllib.loads(path.read_text())
        except (OSError, ValueError):
            continue  # uv itself reports the error
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
        place = f"{url.scheme}://{url.hostname or ''}"  # not the whole URL, which may have a password
        raise ProxyError(
            f"{name}: --source and --max-download-rate go through http:// and https:// proxies only; this is "
            f"{place}"
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
    if slash and not length.isdecimal():  # Python accepts a mask here as well
        return False
    try:
        return address in ipaddress.ip_network(f"{address_text}{slash}{length}", strict=False)
    except ValueError:
        return False
