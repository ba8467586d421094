"""A client of one repository of a registry (OCI distribution-spec v1.1)."""

import email.utils
import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import IO, Any
from urllib.parse import urlencode, urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from image.errors import AccessError, RegistryError, TransientError, UnreachableError
from image.oci.descriptor import Descriptor
from image.oci.reference import Repository
from image.registry.credentials import Credentials
from image.registry.token_auth import RegistryAuth

# A registry may copy or hash a whole blob before it answers the request that closes an upload.
_TIMEOUT_S = (30.0, 300.0)
_BLOCK_BYTES = 1 << 20
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_OCTETS = {"Content-Type": "application/octet-stream"}


class FileSlice:
    """A part of a file as the body of a request, read while it is sent."""

    def __init__(self, file: IO[bytes], start: int, size_bytes: int, sent: Callable[[int], None]) -> None:
        self._file = file
        self._start = start
        self._size_bytes = size_bytes
        self._sent = sent
        self.rewind()

    def __len__(self) -> int:
        return self._size_bytes

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(_BLOCK_BYTES), b"")

    def read(self, size: int = -1) -> bytes:
        """Read the next bytes, at most `size`."""
        wanted = self._left if size < 0 else min(size, self._left)
        block = self._file.read(wanted)
        if len(block) < wanted:
            raise OSError(f"{self._file.name}: became shorter while it was sent")
        self._left -= len(block)
        self._sent(len(block))
        return block

    def rewind(self) -> None:
        """Go back to the beginning, for a request that is repeated."""
        self._file.seek(self._start)
        self._left = self._size_bytes


class Registry:
    """A client of one repository, for several threads.

    Attributes:
        repository: The repository.
        credentials: Its credentials.
        prefix: The scheme of its URLs.
        session: Its connections.
    """

    def __init__(
        self,
        repository: Repository,
        credentials: Credentials,
        *,
        insecure: bool,
        jobs: int,
        environment: Mapping[str, str],
    ) -> None:
        self.repository = repository
        self.credentials = credentials
        self.prefix = "https"
        self.session = requests.Session()
        self._insecure = insecure
        # Passed with each request: requests replaces a session's value by REQUESTS_CA_BUNDLE.
        self._verify = False if insecure else ca_bundle(environment)
        if insecure:
            urllib3.disable_warnings()
        # Some registries treat a client that keeps cookies as a browser, and then require more.
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._auth = RegistryAuth(self.session, self._verify, credentials, repository)
        # Otherwise requests would replace our header by a password from .netrc.
        self.session.auth = _unchanged
        if repository.is_loopback:
            self.session.trust_env = False  # no proxy for this machine
        self.session.mount("http://", _Adapter(pool_maxsize=jobs))
        self.session.mount("https://", _Adapter(pool_maxsize=jobs))

    def connect(self) -> None:
        """Determine how to reach the registry (distribution-spec, "Determining Support").

        It tries TLS first. Like Docker, it tries plain HTTP for a registry on this machine, or with
        `--insecure`.

        Raises:
            RegistryError: The host is not a registry, or its certificate is not trusted.
            TransientError: The host does not answer, or a retry may help.
        """
        plain = self._insecure or self.repository.is_loopback
        first: UnreachableError | None = None
        for self.prefix in ("https", "http") if plain else ("https",):
            try:
                answer = self.do_request(self.url(""))
            except UnreachableError as error:
                first = first or error
                continue
            if answer.status_code not in {200, 401, 403}:
                raise RegistryError(
                    f"{self.repository.host}: is not an OCI registry: {answer.url} answers "
                    f"{answer.status_code}"
                )
            return
        if first is not None:
            raise first

    def do_request(
        self,
        url: str,
        method: str = "GET",
        data: bytes | FileSlice | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        stream: bool = False,
    ) -> requests.Response:
        """Send a request, and repeat it with credentials if the registry requires them.

        Args:
            url: The URL.
            method: The HTTP method.
            data: Body; a FileSlice is read while it is sent.
            headers: Headers in addition to those of the authentication.
            stream: Leave the body of the answer to the caller, who closes it.

        Returns:
            The answer, with any status that is not one of the errors below.

        Raises:
            TransientError: The registry did not answer, or answered with a temporary failure.
            AccessError: The registry denies access.
            RegistryError: The registry's certificate is not trusted.
        """
        # An upload may go to another storage service, whose URL contains the authorization.
        target = urlsplit(url)
        ours = (target.scheme, target.netloc) == (self.prefix, self.repository.api_host)
        answer = self._send(url, method, data, headers, self._auth.header if ours else None, stream)
        # A host that the registry redirects to may not say where the login is sent.
        if answer.status_code == 401 and ours and self._is_own(answer):
            try:
                header = self._auth.answer(answer)
            except requests.RequestException as error:
                raise _broken(error, self.repository.host) from error
            if header is not None:
                if isinstance(data, FileSlice):
                    data.rewind()
                answer = self._send(url, method, data, headers, header, stream)
        if answer.status_code in {401, 403}:
            raise AccessError(self._denied(answer, method))
        if answer.status_code in _TRANSIENT:
            raise TransientError(self._refusal(answer, method), retry_after_s(answer))
        return answer

    def _is_own(self, answer: requests.Response) -> bool:
        found = urlsplit(answer.url)
        return (found.scheme, found.netloc) == (self.prefix, self.repository.api_host)

    def has_blob(self, digest: str) -> bool:
        """Return whether the repository has a blob ("Checking if content exists in the registry").

        Args:
            digest: Its digest.

        Raises:
            RegistryError: As `do_request`, or an answer that is neither yes nor no.
        """
        answer = self.do_request(self.url(f"{self.repository.name}/blobs/{digest}"), "HEAD")
        return self.expect(answer, "HEAD", {200, 404}) == 200

    def manifest_digest(self, reference: str, media_type: str) -> str | None:
        """Return the digest of the manifest that a tag or digest names, or None.

        Args:
            reference: A tag or digest.
            media_type: Media type of the expected manifest.

        Raises:
            RegistryError: As `do_request`, or an answer that is neither yes nor no.
        """
        url = self.url(f"{self.repository.name}/manifests/{reference}")
        answer = self.do_request(url, "HEAD", headers={"Accept": media_type})
        if self.expect(answer, "HEAD", {200, 404}) == 404:
            return None
        return answer.headers.get("Docker-Content-Digest")

    def put_manifest(self, reference: str, manifest: Descriptor, content: bytes) -> None:
        """Write a manifest, byte for byte ("Pushing Manifests").

        Args:
            reference: A tag or digest.
            manifest: Its descriptor.
            content: Its bytes.

        Raises:
            TransientError: The registry does not find a blob that it had a moment ago: if several pushes
                upload the same blob at once, docker-registry overwrites the first with the later ones.
            RegistryError: The registry refuses it, or stored another one.
        """
        url = self.url(f"{self.repository.name}/manifests/{reference}")
        answer = self.do_request(url, "PUT", content, {"Content-Type": manifest.media_type})
        if answer.status_code in {400, 404} and "MANIFEST_BLOB_UNKNOWN" in _said(answer):
            raise TransientError(self._refusal(answer, "PUT"))
        self.expect(answer, "PUT", {200, 201, 202})
        stored = answer.headers.get("Docker-Content-Digest", manifest.digest)
        if stored != manifest.digest:
            raise RegistryError(
                f"{self.repository}:{reference}: the registry stored {stored} instead of {manifest.digest}"
            )

    def mount_blob(self, digest: str, source: str) -> bool:
        """Mount a blob of another repository ("Mounting a blob from another repository").

        Args:
            digest: Digest of the blob.
            source: Name of the repository that may have it.

        Returns:
            Whether it was mounted; False if the registry does not mount blobs or denies reading the source.
        """
        url = _with_query(self._uploads, {"mount": digest, "from": source})
        try:
            answer = self.do_request(url, "POST", headers={"Content-Length": "0"})
        except AccessError:
            return False
        if answer.status_code == 202:
            # The registry opened an upload instead, which is not used.
            self.do_request(self.upload_address(answer), "DELETE")
        return answer.status_code == 201

    def start_upload(self) -> tuple[str, int]:
        """Open an upload ("Pushing a blob in chunks").

        Returns:
            Its URL, and the smallest size in bytes of a part, except the last one.

        Raises:
            RegistryError: The registry refuses.
        """
        answer = self.do_request(self._uploads, "POST", headers={"Content-Length": "0"})
        self.expect(answer, "POST", {202})
        smallest = answer.headers.get("OCI-Chunk-Min-Length", "")
        return self.upload_address(answer), int(smallest) if smallest.isdecimal() else 0

    def upload_status(self, location: str) -> tuple[str, int] | None:
        """Return the state of an upload ("Resuming a blob upload").

        Args:
            location: Its address.

        Returns:
            Its next URL, and the number of bytes that the registry has; None if the upload does not exist.

        Raises:
            RegistryError: As `do_request`.
        """
        answer = self.do_request(location, "GET")
        if answer.status_code != 204:
            return None
        return self.upload_address(answer, location), _received_bytes(answer)

    def send_part(self, location: str, part: FileSlice, content_range: str | None) -> tuple[str, int] | None:
        """Send a part of a blob.

        Args:
            location: Address of the upload.
            part: The bytes.
            content_range: Positions of its first and last byte; None if the part is the whole blob.

        Returns:
            The upload's next URL, and the number of bytes that the registry has; None if the registry expects
            another position.

        Raises:
            RegistryError: The registry refuses it.
        """
        headers = {**_OCTETS, **({"Content-Range": content_range} if content_range else {})}
        answer = self.do_request(location, "PATCH", part, headers)
        if content_range is not None and answer.status_code in {400, 404, 416}:
            return None
        self.expect(answer, "PATCH", {202, 204})
        return self.upload_address(answer, location), _received_bytes(answer)

    def finish_upload(self, location: str, digest: str) -> str | None:
        """Close an upload.

        Args:
            location: Its address.
            digest: Digest of the blob.

        Returns:
            None, or the registry's message if the content does not match the digest or the upload is lost.

        Raises:
            RegistryError: The registry refuses it.
        """
        url = _with_query(location, {"digest": digest})
        answer = self.do_request(url, "PUT", headers={**_OCTETS, "Content-Length": "0"})
        if answer.status_code in {400, 404, 416}:
            return self._refusal(answer, "PUT")
        self.expect(answer, "PUT", {201, 204})
        return None

    @property
    def _uploads(self) -> str:
        return self.url(f"{self.repository.name}/blobs/uploads/")

    def url(self, path: str) -> str:
        """Return the URL of a path below `/v2/`."""
        return f"{self.prefix}://{self.repository.api_host}/v2/{path}"

    def _send(
        self,
        url: str,
        method: str,
        data: bytes | FileSlice | None,
        headers: Mapping[str, str] | None,
        authorization: str | None,
        stream: bool,
    ) -> requests.Response:
        sent = {**(headers or {}), **({"Authorization": authorization} if authorization else {})}
        try:
            return self.session.request(
                method,
                url,
                data=data,
                headers=sent,
                timeout=_TIMEOUT_S,
                verify=self._verify,
                stream=stream,
            )
        except requests.RequestException as error:
            raise _broken(error, self.repository.host) from error
        except (ValueError, urllib3.exceptions.HTTPError) as error:
            # requests does not check where a server redirects to.
            raise RegistryError(
                f"{self.repository.host}: redirects to what is not a URL; correct its configuration"
            ) from error

    def upload_address(self, answer: requests.Response, otherwise: str | None = None) -> str:
        """Return the URL at which an upload continues.

        Args:
            answer: Answer of the registry.
            otherwise: URL to return if the answer has none.

        Returns:
            The absolute URL.

        Raises:
            RegistryError: The answer has no URL, and `otherwise` is None.
        """
        location = answer.headers.get("Location") or otherwise
        if location is None:
            raise RegistryError(f"{self.repository}: the registry opened an upload without saying where")
        address = urlsplit(urljoin(answer.url, location))
        # A registry behind a proxy that terminates TLS may answer with an http URL.
        if address.netloc == self.repository.api_host:
            address = address._replace(scheme=self.prefix)
        return address.geturl()

    def expect(self, answer: requests.Response, method: str, statuses: set[int]) -> int:
        """Return the status of an answer.

        Args:
            answer: Answer of the registry.
            method: Method of the request, for the message.
            statuses: The expected statuses.

        Raises:
            RegistryError: It is another one.
        """
        if answer.status_code not in statuses:
            raise RegistryError(self._refusal(answer, method))
        return answer.status_code

    def _refusal(self, answer: requests.Response, method: str) -> str:
        hint = ""
        if answer.status_code == 413:
            hint = "; a proxy before the registry may limit requests: try --chunk-size, or ask for more quota"
        elif answer.status_code == 507:
            hint = "; the registry is full: ask for more quota, or remove what is not needed from it"
        return f"{self.repository}: {self._what(answer, method)}{hint}"

    def _denied(self, answer: requests.Response, method: str) -> str:
        return (
            f"{self.repository}: {self._what(answer, method)}; credentials: {self.credentials.origin}. "
            f"Run `docker login {self.repository.host}` as a user who may "
            f"{'read' if method == 'GET' else 'push'} there"
        )

    def _what(self, answer: requests.Response, method: str) -> str:
        # The query holds the state or the authorization of an upload: it is not shown.
        path = urlsplit(answer.url).path
        return f"{method} {path} answers {answer.status_code}{_said(answer)}"


class _Adapter(HTTPAdapter):
    """Sends large blocks: a layer in some hundred steps, not in some ten thousand."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (as in requests)
        """Make the pool of connections."""
        super().init_poolmanager(*args, **kwargs, blocksize=_BLOCK_BYTES)


def _with_query(url: str, fields: Mapping[str, str]) -> str:
    """Add fields to the query of a URL, which is otherwise unchanged."""
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(fields)}"


def ca_bundle(environment: Mapping[str, str]) -> str | bool:
    """Return what TLS connections trust, as `verify` of requests takes it.

    Args:
        environment: The variables REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE and SSL_CERT_FILE.

    Raises:
        RegistryError: A variable names a file that does not exist.
    """
    # requests reads only the first two, and none for this machine, for which trust_env is off.
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        if path := environment.get(name):
            if not os.path.exists(path):  # noqa: PTH110 (a text is what requests takes)
                raise RegistryError(f"{path}: does not exist; {name} must name trusted certificates")
            return path
    system = ssl.get_default_verify_paths()
    if system.cafile:
        return system.cafile
    # Small containers have no certificates: then use certifi's.
    return system.capath if system.capath and os.listdir(system.capath) else True  # noqa: PTH208


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _broken(error: requests.RequestException, host: str) -> RegistryError:
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text or "doesn't match" in text:
        reason = text.partition("certificate verify failed: ")[2].partition(" (_ssl")[0] or "it does not fit"
        return RegistryError(
            f"{host}: its certificate is not trusted: {reason}; name the authority's in SSL_CERT_FILE, "
            f"or use --insecure"
        )
    if isinstance(error, requests.exceptions.HTTPError) and error.response is not None:
        return TransientError(f"{host}: its token service answers {error.response.status_code}")
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    reason = printable(str(getattr(cause, "strerror", None) or cause))
    return UnreachableError(f"{host}: the connection failed: {reason}")


def printable(text: str) -> str:
    """Return a text in one line that a terminal shows as it is: a server may send anything."""
    shown = (sign if sign.isprintable() else ascii(sign)[1:-1] for sign in " ".join(text.split()))
    return "".join(shown)


def _received_bytes(answer: requests.Response) -> int:
    """Return the length of `Range: 0-99`, which includes the last byte; `0-0` or no header means 0."""
    last = answer.headers.get("Range", "").removeprefix("bytes=").partition("-")[2]
    return int(last) + 1 if last.isdecimal() and int(last) > 0 else 0


def _said(answer: requests.Response) -> str:
    """Return the registry's error message ("Error Codes")."""
    try:
        errors = answer.json()["errors"]
        said = "; ".join(
            " ".join(str(error[name]) for name in ("code", "message", "detail") if error.get(name))
            for error in errors
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        said = answer.reason or ""
    return f": {said[:500]}" if said else ""


def retry_after_s(answer: requests.Response) -> float | None:
    """Read `Retry-After` (RFC 9110, section 10.2.3): seconds or a date."""
    asked = answer.headers.get("Retry-After", "")
    if asked.isdecimal():
        return float(asked)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(asked).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
