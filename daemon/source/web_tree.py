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
from daemon.source.web_request import WebBody, blob_body, check_status, is_from, range_fields
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
        self._location = location
        self._variables = variables
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
        return blob_body(self._get(url, range_fields(offset), blob, blob.path), blob, offset)

    def find_interpreter(self, path: str) -> Blob:
        """Return the archive of an interpreter that `interpreters/index.json` lists.

        Raises:
            SourceFailure: It does not list it, or is malformed.
        """
        with self._get(self._base + INTERPRETERS_INDEX, {}, None, INTERPRETERS_INDEX) as answer:
            content = answer.read_all(MAX_INDEX_BYTES)
        return archive_blob(listed_interpreter(content, self._base + INTERPRETERS_INDEX, path))

    def _get(self, url: str, headers: Mapping[str, str], blob: Blob | None, what: str) -> HttpAnswer:
        sent = self._authorization
        answer = self._ask(url, headers, sent, blob)
        if answer.status in {401, 403} and is_from(answer, self._base):
            self._authorization = _basic(self._location, self._variables)  # netrc may have been replaced
            if self._authorization != sent:
                answer.__exit__()
                answer = self._ask(url, headers, self._authorization, blob)
        check_status(answer, what, _REMEDY, self._base)
        return answer


def _basic(location: Location, variables: Mapping[str, str]) -> str:
    """Return the value of `Authorization` by the URL's user or netrc; empty for none."""
    user, password = location.user, location.password
    if user is None:
        path = variables.get("NETRC") or str(Path(variables.get("HOME", "/"), ".netrc"))
        try:
            entry = netrc.netrc(path).authenticators(urlsplit(location.base).hostname or "")
        except (OSError, UnicodeError, netrc.NetrcParseError):
            return ""  # uv ignores such a file as well
        if entry is None:
            return ""
        user, _, password = entry
    pair = base64.b64encode(f"{user}:{password or ''}".encode()).decode()
    remember(password or "", pair)
    return f"Basic {pair}"
