"""Reads files of web servers: resumed by ranges, with credentials for their own host only."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from gens.redaction import redact
from image.errors import AccessError, RegistryError, TransientError, UnreachableError
from image.registry.client import ca_bundle, retry_after_s
from image.registry.contents import blocks_of, cause_of, first_byte
from tools.mirror.errors import AbsentError, SourceError
from tools.mirror.source import Stream

_TIMEOUT_S = (30.0, 120.0)
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_LARGEST_PAGE_BYTES = 256 << 20


class Web:
    """The connections of a run to web servers, for several threads."""

    def __init__(self, environment: Mapping[str, str], *, insecure: bool, jobs: int) -> None:
        """Make no connection yet.

        Args:
            environment: Variables that name trusted certificates.
            insecure: Whether any certificate is trusted.
            jobs: Number of connections to a host at a time.

        Raises:
            RegistryError: A variable names certificates that do not exist.
        """
        self._session = requests.Session()
        self._verify = False if insecure else ca_bundle(environment)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=jobs))

    def read(self, url: str, headers: Mapping[str, str] | None = None) -> tuple[bytes, requests.Response]:
        """Return a page, with its answer for headers and the URL after redirections.

        Args:
            url: The URL; a user and password in it are sent to its host only.
            headers: Headers of the request.

        Raises:
            AbsentError: The server does not have it.
            RegistryError: It denies access or refuses; a TransientError if a retry may help.
        """
        with self._get(url, headers or {}) as answer:
            content = b"".join(blocks_of_page(answer, shown(url)))
            return content, answer

    def exists(self, url: str) -> None:
        """Check that a server has a file, by a HEAD request.

        Raises:
            AbsentError: The server does not have it.
            RegistryError: As `read`.
        """
        with self._get(url, {}, "HEAD"):
            pass

    @contextmanager
    def open(self, url: str, start: int) -> Iterator[Stream]:
        """Read a file from an offset on.

        Args:
            url: The URL.
            start: First byte to read.

        Yields:
            The file; from its beginning if the server does not serve ranges.

        Raises:
            AbsentError: The server does not have it.
            RegistryError: As `read`.
        """
        # Without an encoding: what arrives must be the file itself.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        with self._get(url, headers) as answer:
            yield Stream(first_byte(answer, start), blocks_of(answer, shown(url)))

    @contextmanager
    def _get(self, url: str, headers: Mapping[str, str], method: str = "GET") -> Iterator[requests.Response]:
        try:
            # requests takes user and password out of the URL, and drops them when another host is next.
            answer = self._session.request(
                method, url, headers=dict(headers), stream=True, timeout=_TIMEOUT_S, verify=self._verify
            )
        except requests.exceptions.SSLError as error:
            raise SourceError(
                f"{shown(url)}: its certificate is not trusted; name the authority's in SSL_CERT_FILE, or "
                "use --insecure"
            ) from error
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise SourceError(f"{shown(url)}: is not the URL of a web server") from error
        except requests.RequestException as error:
            raise UnreachableError(
                f"{shown(url)}: the connection failed: {redact(cause_of(error))}"
            ) from error
        except (ValueError, urllib3.exceptions.HTTPError) as error:
            # requests does not check where a server redirects to.
            raise SourceError(f"{shown(url)}: redirects to what is not a URL; correct the server") from error
        with answer:
            _check(answer, shown(url))
            yield answer


def shown(url: str) -> str:
    """Return a URL as messages have it: without credentials, query and fragment."""
    return redact(urlsplit(url)._replace(query="", fragment="").geturl())


def blocks_of_page(answer: requests.Response, subject: str) -> Iterator[bytes]:
    """Return a page's body in blocks, decoded.

    Raises:
        TransientError: The connection broke.
        SourceError: The page is too large for one.
    """
    size = 0
    try:
        for block in answer.iter_content(1 << 16):
            size += len(block)
            if size > _LARGEST_PAGE_BYTES:
                raise SourceError(f"{subject}: has more than {_LARGEST_PAGE_BYTES} bytes: it is not a page")
            yield block
    except (requests.RequestException, OSError) as error:
        raise TransientError(f"{subject}: the connection broke: {redact(cause_of(error))}") from error


def _check(answer: requests.Response, subject: str) -> None:
    status = answer.status_code
    if status in {200, 206}:
        return
    if status in {404, 410, 416}:
        raise AbsentError(f"{subject}: answers {status}")
    if status in {401, 403}:
        raise AccessError(
            f"{subject}: answers {status}; give credentials in the URL's user part or in ~/.netrc"
        )
    if status in _TRANSIENT:
        raise TransientError(f"{subject}: answers {status}", retry_after_s(answer))
    raise RegistryError(f"{subject}: answers {status} {answer.reason}")
