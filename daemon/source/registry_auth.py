"""Authorizes the requests to a registry by Basic, or by tokens of its token service.

Specification: "Token Authentication" and "OAuth 2.0 token" of the distribution project, and RFC 7617.
"""

import json
import re
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from daemon.source.failure import SourceFailure
from daemon.source.http_client import HttpAnswer, HttpClient, place_of
from gens.errors import CredentialsError
from gens.redaction import remember
from gens.registry_challenge import Challenge, parse_challenges
from gens.registry_credentials import Credentials

_CLIENT = "monobase"
_MOST_BYTES = 1_000_000
_TOKEN = re.compile(r"[\x21-\x7e]+")  # one with a line break would split the header


class RegistryAuth:
    """The authorization for one repository; several threads use it.

    Args:
        client: Asks the token service.
        read: Reads the credentials for the registry. They are read again at each challenge: a mounted secret
            is replaced while the daemon runs, and the passwords of some registries last some hours.
        repository: The repository that is pulled from.

    Raises:
        CredentialsError: The credentials cannot be read.
    """

    def __init__(self, client: HttpClient, read: Callable[[], Credentials], repository: str) -> None:
        self._client = client
        self._read = read
        self._scope = f"repository:{repository}:pull"
        self._guard = threading.Lock()
        self._credentials = self._known(read())
        token = self._credentials.registry_token
        self._header = f"Bearer {token}" if token else ""

    @property
    def header(self) -> str:
        """Value of `Authorization` of the next request; empty before the first challenge."""
        return self._header

    @property
    def remedy(self) -> str:
        """Source of the credentials, and what to do there if they are not enough."""
        known = self._credentials
        has_any = known.user or known.identity_token or known.registry_token
        return f"{known.origin}: {'correct the' if has_any else 'add a'} login for the registry"

    def answer(self, challenge: str, base: str, refused: str) -> str:
        """Return the value of `Authorization` that answers a challenge.

        Args:
            challenge: Value of `WWW-Authenticate`.
            base: Scheme and host of the registry.
            refused: The value that was refused; another thread may have got a new one since.

        Raises:
            SourceFailure: The token service denies a token, or cannot be reached.
        """
        with self._guard:
            if self._header == refused:
                self._header = self._renewed(challenge, base)
            return self._header

    def has_changed(self, refused: str) -> bool:
        """Return whether there is another password than a refused one, of which no challenge was sent.

        Some registries answer 403 to a password that has expired.
        """
        with self._guard:
            if self._header != refused:
                return True
            if not refused.startswith("Basic "):
                return False
            self._credentials = self._reread()
            basic = self._credentials.basic
            self._header = f"Basic {basic}" if basic else refused
            return self._header != refused

    def _reread(self) -> Credentials:
        try:
            return self._known(self._read())
        except CredentialsError as error:
            raise SourceFailure("denied", f"denies access; {error}") from error

    def _renewed(self, challenge: str, base: str) -> str:
        self._credentials = self._reread()
        for asked in parse_challenges(challenge):
            if asked.scheme == "basic" and self._credentials.basic:
                return f"Basic {self._credentials.basic}"
            if asked.scheme == "bearer" and asked.parameters.get("realm"):
                return f"Bearer {self._bearer(asked, base)}"
        raise SourceFailure("denied", f"answers 401; {self.remedy}")

    def _bearer(self, asked: Challenge, base: str) -> str:
        realm = asked.parameters["realm"]
        try:
            scheme = place_of(realm).scheme
        except SourceFailure as error:
            raise SourceFailure(
                "unreachable", "names a token service without a URL; correct the registry's configuration"
            ) from error
        if scheme != "https" and urlsplit(base).scheme == "https":
            raise SourceFailure("denied", "names a token service without TLS; no credentials are sent there")
        token = self._token(realm, asked.parameters.get("service", ""))
        remember(token)
        return token

    @staticmethod
    def _known(credentials: Credentials) -> Credentials:
        """Remember the secrets of credentials, so that no message has them."""
        found = credentials
        secrets = (found.password, found.basic, found.identity_token, found.registry_token)
        remember(*(secret for secret in secrets if secret))
        return found

    def _token(self, realm: str, service: str) -> str:
        with self._ask(realm, service) as answer:
            content = answer.read_all(_MOST_BYTES)
        if answer.status in {400, 401, 403}:
            raise SourceFailure(
                "denied",
                f"its token service answers {answer.status}; {self._credentials.origin}: correct the login "
                "for it",
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
