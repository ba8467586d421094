"""Authorizes the requests to a registry by Basic, or by tokens of its token service.

Specification: "Token Authentication" and "OAuth 2.0 token" of the distribution project, and RFC 7617.
"""

import json
import re
import threading
from typing import Any
from urllib.parse import urlencode, urlsplit

from daemon.source.failure import SourceFailure
from daemon.source.http_client import HttpAnswer, HttpClient
from gens.redaction import remember
from gens.registry_credentials import Credentials

_CLIENT = "monobase"
_MOST_BYTES = 1_000_000
_TOKEN = re.compile(r"[\x21-\x7e]+")  # one with a line break would split the header


class RegistryAuth:
    """The authorization for one repository; several threads use it.

    Args:
        client: Asks the token service.
        credentials: The credentials for the registry.
        repository: The repository that is pulled from.
    """

    def __init__(self, client: HttpClient, credentials: Credentials, repository: str) -> None:
        self._client = client
        self._credentials = credentials
        self._scope = f"repository:{repository}:pull"
        self._guard = threading.Lock()
        known = credentials
        secrets = (known.password, known.basic, known.identity_token, known.registry_token)
        remember(*(secret for secret in secrets if secret))
        self._header = f"Bearer {credentials.registry_token}" if credentials.registry_token else ""

    @property
    def header(self) -> str:
        """Value of `Authorization` of the next request; empty before the first challenge."""
        return self._header

    @property
    def origin(self) -> str:
        """Source of the credentials, for messages."""
        return self._credentials.origin

    def answer(self, challenge: str, base: str) -> str:
        """Return the value of `Authorization` that answers a challenge.

        Args:
            challenge: Value of `WWW-Authenticate`.
            base: Scheme and host of the registry.

        Raises:
            SourceFailure: The token service denies a token, or cannot be reached.
        """
        with self._guard:
            self._header = self._renewed(challenge, base)
            return self._header

    def _renewed(self, challenge: str, base: str) -> str:
        scheme = challenge.partition(" ")[0].lower()
        if scheme == "basic" and self._credentials.basic:
            return f"Basic {self._credentials.basic}"
        asked = dict(re.findall(r'([a-z]+)="([^"]+)"', challenge))
        realm = asked.get("realm", "")
        if scheme != "bearer" or not realm:
            raise SourceFailure("denied", f"answers 401; {self.origin}: add a login for the registry")
        if urlsplit(realm).scheme != "https" and urlsplit(base).scheme == "https":
            raise SourceFailure("denied", "names a token service without TLS; no credentials are sent there")
        token = self._token(realm, asked.get("service", ""))
        remember(token)
        return f"Bearer {token}"

    def _token(self, realm: str, service: str) -> str:
        with self._ask(realm, service) as answer:
            content = answer.read_all(_MOST_BYTES)
        if answer.status in {400, 401, 403}:
            raise SourceFailure(
                "denied",
                f"its token service answers {answer.status}; {self.origin}: correct the login for it",
            )
        try:
            found = json.loads(content)
            token = found.get("token") or found.get("access_token")
        except (ValueError, AttributeError):
            token = None
        if answer.status != 200 or not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise SourceFailure(
                "unreachable", f"its token service answers {answer.status} without a token; check its log"
            )
        return token

    def _ask(self, realm: str, service: str) -> HttpAnswer:
        """Request a token: a GET with Basic, or a POST with the identity token."""
        known = self._credentials
        fields: dict[str, Any] = {"scope": self._scope, **({"service": service} if service else {})}
        if known.identity_token:
            fields |= {
                "grant_type": "refresh_token", "client_id": _CLIENT, "refresh_token": known.identity_token,
            }  # fmt: skip
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            return self._client.request(realm, form, body=urlencode(fields).encode())
        if known.basic:
            fields["account"] = known.user
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(fields)}"
        return self._client.request(url, {"Authorization": f"Basic {known.basic}"} if known.basic else {})
