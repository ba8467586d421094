"""Authorizes requests by Basic, or by tokens of a registry's token service.

Specification: "Token Authentication" and "OAuth 2.0 token" of the distribution project, and RFC 7617.
"""

import re
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests

from gens.registry_challenge import parse_challenges
from image.errors import AccessError
from image.oci.reference import Repository
from image.registry.credentials import Credentials

_CLIENT = "monobase"
_TIMEOUT_S = (30.0, 60.0)


class RegistryAuth:
    """Authorizes the requests of one push, which may have several threads and outlive a token.

    It requests tokens with the scopes of all repositories so far: a mount from another repository must not
    lose the right to push.
    """

    def __init__(
        self, session: requests.Session, verify: bool | str, credentials: Credentials, repository: Repository
    ) -> None:
        self._session = session
        self._verify = verify
        self._credentials = credentials
        self._guard = threading.Lock()
        # Otherwise the first three requests would each need another token.
        self._scopes = {f"repository:{repository.name}:pull,push"}
        self._header = f"Bearer {credentials.registry_token}" if credentials.registry_token else None

    @property
    def header(self) -> str | None:
        """The Authorization header of the next request; None before the first challenge."""
        return self._header

    def answer(self, challenge: requests.Response) -> str | None:
        """Return the header that answers a challenge.

        Args:
            challenge: The registry's answer with status 401.

        Returns:
            The header to repeat the request with; None if a repetition cannot help.

        Raises:
            AccessError: The token service denies the token.
            requests.RequestException: It does not answer.
        """
        refused = challenge.request.headers.get("Authorization")
        with self._guard:
            # Another thread may already have answered the same challenge.
            if self._header is None or self._header == refused:
                renewed = self._renewed(challenge.headers.get("WWW-Authenticate", ""), challenge.url)
                if renewed is None or renewed == refused:
                    return None
                self._header = renewed
            return self._header

    def _renewed(self, challenge: str, url: str) -> str | None:
        for asked in parse_challenges(challenge):
            if asked.scheme == "basic" and self._credentials.basic:
                return f"Basic {self._credentials.basic}"
            if asked.scheme == "bearer" and asked.parameters.get("realm"):
                return self._bearer(asked.parameters, url)
        return None

    def _bearer(self, asked: Mapping[str, str], url: str) -> str | None:
        realm = asked["realm"]
        if urlsplit(realm).scheme != "https" and urlsplit(url).scheme == "https":
            raise AccessError(f"{url}: its token service {realm} has no TLS; no credentials are sent there")
        self._scopes.update(asked.get("scope", "").split())
        token = self._ask(realm, asked.get("service"))
        return f"Bearer {token}" if token else None

    def _ask(self, realm: str, service: str | None) -> str | None:
        """Request a token (a GET with Basic, or a POST with the identity token)."""
        fields: dict[str, Any] = {"service": service} if service else {}
        scopes = sorted(self._scopes)
        if self._credentials.identity_token:
            answer = self._session.post(
                realm,
                data={
                    **fields,
                    "scope": " ".join(scopes),
                    "grant_type": "refresh_token",
                    "client_id": _CLIENT,
                    "refresh_token": self._credentials.identity_token,
                },
                timeout=_TIMEOUT_S,
                verify=self._verify,
                allow_redirects=False,
            )
        else:
            basic = self._credentials.basic
            answer = self._session.get(
                realm,
                params={**fields, "scope": scopes, **({"account": self._credentials.user} if basic else {})},
                headers={"Authorization": f"Basic {basic}"} if basic else {},
                timeout=_TIMEOUT_S,
                verify=self._verify,
            )
        if answer.status_code in {400, 401, 403}:
            return None
        answer.raise_for_status()
        try:
            found = answer.json()
            token = found.get("token") or found.get("access_token")
        except (ValueError, AttributeError):
            token = None
        # A token with a line break would split the header.
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise AccessError(f"{realm}: the token service answered {answer.status_code} without a token")
        return token
