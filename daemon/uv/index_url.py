"""URLs of indexes, which may hold a password."""

import re

from daemon.errors import IndexUrlError
from gens.redaction import learn, redact


def check_url(url: str) -> None:
    """Refuse the URL of an index whose password has characters that end it, before anybody shows a part.

    Raises:
        IndexUrlError: It is such a one.
    """
    learn(url)
    _, separator, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest)[0]
    if not separator or "@" not in rest[len(authority) :] or "@" in authority:
        return
    port = authority.rpartition(":")[2] if ":" in authority.rpartition("]")[2] else ""
    before_at = rest.rpartition("@")[0]
    if (port and not port.isdecimal()) or "?" in before_at or "#" in before_at:
        raise IndexUrlError(
            f"the index URL {redact(url)} is malformed: a `/`, `?` or `#` of its password must be written "
            "as %2F, %3F or %23"
        )


def without_user_info(url: str) -> str:
    """Return a URL without its user name and password, and without a slash at its end."""
    scheme, separator, rest = url.rstrip("/").partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"
