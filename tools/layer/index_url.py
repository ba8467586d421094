"""Checks the URLs of indexes before uv sees them, so that a message names the option or line that has one."""

import re
from urllib.parse import urlsplit

from tools.layer.credentials import learn_url

_NAMED = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)=(?P<url>.*)", re.DOTALL)
_SCHEMES = ("https", "http", "file")


def check_index_url(text: str) -> str:
    """Return the URL of an index, or `NAME=URL` as uv has it, and remember its credentials.

    Args:
        text: What an author wrote, with the values of variables.

    Raises:
        ValueError: It is not the URL of an index; the text says why, without the URL.
    """
    url = address_of(text)
    learn_url(url)
    if re.search(r"\s", url):
        raise ValueError("it has a blank; repeat the option for each index")
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or "://" not in url:
        raise ValueError("it does not begin with https://, http:// or file://; write the whole URL")
    if parts.scheme == "file":
        if not parts.path.startswith("/") or parts.netloc not in ("", "localhost"):
            raise ValueError("it is not an absolute path; write file:///PATH")
        return text
    try:
        _ = parts.port
    except ValueError as error:
        raise ValueError(
            "what follows its host is not a port; in a password write `/` as %2F, `?` as %3F, `#` as %23"
        ) from error
    if not parts.hostname:
        raise ValueError("it names no host; write https://HOST/PATH")
    return text


def address_of(index: str) -> str:
    """Return the URL of an index, which uv lets an author name: `corp=https://…`."""
    found = _NAMED.fullmatch(index)
    return found["url"] if found is not None and "://" not in found["name"] else index
