"""Reads and removes what a repository has (OCI distribution-spec v1.1)."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from image.errors import RegistryError, TransientError
from image.registry.client import Registry, printable

# A manifest may be larger, but no client has to accept it (distribution-spec, "Pushing Manifests").
_LARGEST_MANIFEST_BYTES = 4 << 20
# A connection that breaks loses the block that it was in.
_BLOCK_BYTES = 1 << 16
_PAGE = 1000


def read_manifest(registry: Registry, reference: str, media_type: str) -> bytes | None:
    """Return the bytes of the manifest that a tag or digest names, or None ("Pulling manifests").

    Args:
        registry: Client of the repository, connected.
        reference: A tag or digest.
        media_type: Media type of the expected manifest.

    Raises:
        RegistryError: The registry refuses, or the manifest is too large.
    """
    url = registry.url(f"{registry.repository.name}/manifests/{reference}")
    with registry.do_request(url, headers={"Accept": media_type}, stream=True) as answer:
        if answer.status_code == 404:
            return None
        registry.expect(answer, "GET", {200})
        return _read(answer, f"{registry.repository}:{reference}")


def read_small_blob(registry: Registry, digest: str) -> bytes | None:
    """Return the bytes of a config, or None if the repository lacks it ("Pulling blobs").

    Args:
        registry: Client of the repository, connected.
        digest: Digest of the blob.

    Raises:
        RegistryError: The registry refuses, or the blob is larger than a manifest may be.
    """
    url = registry.url(f"{registry.repository.name}/blobs/{digest}")
    with registry.do_request(url, stream=True) as answer:
        if answer.status_code == 404:
            return None
        registry.expect(answer, "GET", {200})
        return _read(answer, f"{registry.repository}@{digest}")


def blob_size(registry: Registry, digest: str, expected_bytes: int) -> int | None:
    """Return how many bytes a registry has of a blob ("Checking if content exists in the registry").

    Args:
        registry: Client of the repository, connected.
        digest: Digest of the blob.
        expected_bytes: Its size, which is returned where the registry does not say another one.

    Returns:
        The number of bytes; None if the repository lacks the blob.

    Raises:
        RegistryError: The registry refuses.
    """
    url = registry.url(f"{registry.repository.name}/blobs/{digest}")
    head = registry.do_request(url, "HEAD")
    if registry.expect(head, "HEAD", {200, 404}) == 404:
        return None
    if _length(head) in {None, expected_bytes}:
        return expected_bytes
    # Some servers answer a HEAD with no length or that of another answer.
    with registry.do_request(url, headers={"Accept-Encoding": "identity"}, stream=True) as answer:
        if registry.expect(answer, "GET", {200, 404}) == 404:
            return None
        found = _length(answer)
        return expected_bytes if found is None else found


def _length(answer: requests.Response) -> int | None:
    text = answer.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None


@contextmanager
def open_blob(registry: Registry, digest: str, start: int) -> Iterator[tuple[int, Iterator[bytes]] | None]:
    """Read a blob from an offset on, block by block ("Pulling blobs").

    Args:
        registry: Client of the repository, connected.
        digest: Digest of the blob.
        start: First byte to read.

    Yields:
        The first byte that the registry sends, 0 if it does not serve ranges, and the blocks; None if the
        repository lacks the blob.

    Raises:
        RegistryError: The registry refuses.
        TransientError: The connection broke.
    """
    url = registry.url(f"{registry.repository.name}/blobs/{digest}")
    headers = {"Range": f"bytes={start}-"} if start else {}
    with registry.do_request(url, headers=headers, stream=True) as answer:
        if answer.status_code == 404:
            yield None
            return
        registry.expect(answer, "GET", {200, 206})
        yield first_byte(answer, start), blocks_of(answer, str(registry.repository))


def first_byte(answer: requests.Response, start: int) -> int:
    """Return the position of the first byte of an answer to a request for a range (RFC 9110, 14.4)."""
    found = re.match(r"bytes ([0-9]+)-", answer.headers.get("Content-Range", ""))
    if answer.status_code != 206:
        return 0
    return int(found[1]) if found else start


def blocks_of(answer: requests.Response, subject: str) -> Iterator[bytes]:
    """Return the body of an answer in blocks, as it is on the wire.

    Args:
        answer: The answer, streamed.
        subject: The server, for messages.

    Raises:
        TransientError: The connection broke.
    """
    try:
        # Not decoded: a server that labels a .tar.gz with Content-Encoding would change the content.
        yield from answer.raw.stream(_BLOCK_BYTES, decode_content=False)
    except (urllib3.exceptions.HTTPError, requests.RequestException, OSError) as error:
        raise TransientError(f"{subject}: the connection broke: {cause_of(error)}") from error


def cause_of(error: BaseException) -> str:
    """Return the text of the innermost cause of an error of a connection."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return printable(str(getattr(error, "strerror", None) or error))


def list_tags(registry: Registry) -> Iterator[str]:
    """Return the tags of a repository, page by page ("Listing Tags"); none if it does not exist.

    Args:
        registry: Client of the repository, connected.

    Raises:
        RegistryError: The registry refuses, or its answer is not a list of tags.
    """
    url: str | None = registry.url(f"{registry.repository.name}/tags/list?n={_PAGE}")
    while url is not None:
        answer = registry.do_request(url)
        if registry.expect(answer, "GET", {200, 404}) == 404:
            return
        try:
            found = answer.json()["tags"] or []
        except (ValueError, KeyError, TypeError) as error:
            raise RegistryError(
                f"{registry.repository}: its answer to /tags/list is not a list of tags"
            ) from error
        yield from (tag for tag in found if isinstance(tag, str))
        link = answer.links.get("next", {}).get("url")
        url = None if link is None else _same_host(registry, urljoin(answer.url, link))


def delete_manifest(registry: Registry, digest: str) -> bool:
    """Remove a manifest, and with it every tag that names it ("Deleting Manifests").

    Args:
        registry: Client of the repository, connected.
        digest: Digest of the manifest.

    Returns:
        Whether it existed.

    Raises:
        RegistryError: The registry refuses: many have to be configured to delete.
    """
    url = registry.url(f"{registry.repository.name}/manifests/{digest}")
    answer = registry.do_request(url, "DELETE")
    if answer.status_code == 405:
        raise RegistryError(
            f"{registry.repository}: the registry does not delete; permit it (docker-registry: "
            "`storage.delete.enabled: true`), or delete the tags in its own interface"
        )
    return registry.expect(answer, "DELETE", {200, 202, 404}) != 404


def _read(answer: requests.Response, subject: str) -> bytes:
    content = b""
    for block in blocks_of(answer, subject):
        content += block
        if len(content) > _LARGEST_MANIFEST_BYTES:
            raise RegistryError(f"{subject}: has more than {_LARGEST_MANIFEST_BYTES} bytes; not read")
    return content


def _same_host(registry: Registry, url: str) -> str:
    # A registry behind a proxy that terminates TLS may name http in its links.
    address = urlsplit(url)
    if address.netloc == registry.repository.api_host:
        address = address._replace(scheme=registry.prefix)
    return address.geturl()
