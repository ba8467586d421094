"""A source that is the tree of a mirror on a web server or in a bucket (`gens/mirror_shape.py`)."""

import base64
import netrc
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

from daemon.source.body import Blob
from daemon.source.http_client import HttpAnswer
from daemon.source.interpreter_archive import MAX_INDEX_BYTES, archive_blob, listed_interpreter
from daemon.source.location import Location
from daemon.source.web_request import WebBody, blob_body, check_status, range_fields
from gens.mirror_shape import INTERPRETERS_INDEX
from gens.redaction import remember

# Requests a URL with header fields and, for its own origin, a value of `Authorization`, for a blob or None.
Ask = Callable[[str, Mapping[str, str], str, Blob | None], HttpAnswer]
_REMEDY = "write credentials into the URL or netrc, or allow it there"


class WebTreeSource:
    """The tree of a mirror on a web server.

    Args:
        name: Name in messages and metrics.
        location: Its location.
        ask: Sends its requests.
        variables: The machine's environment variables, which name netrc.
    """

    def __init__(self, name: str, location: Location, ask: Ask, variables: Mapping[str, str]) -> None:
        self._name = name
        self._base = location.base
        self._ask = ask
        self._authorization = _basic(location, variables)

    @property
    def name(self) -> str:
        """Name in messages and metrics."""
        return self._name

    def open(self, blob: Blob, offset: int) -> WebBody:
        """Request a blob.

        Raises:
            SourceFailure: The server does not send it.
        """
        url = self._base + quote(blob.path)
        answer = self._ask(url, range_fields(offset), self._authorization, blob)
        check_status(answer, blob.path, _REMEDY)
        return blob_body(answer, blob, offset)

    def find_interpreter(self, path: str) -> Blob:
        """Return the archive of an interpreter that `interpreters/index.json` lists.

        Raises:
            SourceFailure: It does not list it, or is malformed.
        """
        answer = self._ask(self._base + INTERPRETERS_INDEX, {}, self._authorization, None)
        check_status(answer, INTERPRETERS_INDEX, _REMEDY)
        with answer:
            content = answer.read_all(MAX_INDEX_BYTES)
        return archive_blob(listed_interpreter(content, self._base + INTERPRETERS_INDEX, path))


def _basic(location: Location, variables: Mapping[str, str]) -> str:
    """Return the value of `Authorization` by the URL's user or netrc; empty for none."""
    user, password = location.user, location.password
    if user is None:
        path = variables.get("NETRC") or str(Path(variables.get("HOME", "/"), ".netrc"))
        try:
            entry = netrc.netrc(path).authenticators(urlsplit(location.base).hostname or "")
        except (OSError, netrc.NetrcParseError):
            return ""  # uv ignores such a file as well
        if entry is None:
            return ""
        user, _, password = entry
    pair = base64.b64encode(f"{user}:{password or ''}".encode()).decode()
    remember(password or "", pair)
    return f"Basic {pair}"
