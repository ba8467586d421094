"""How requests are authorized: Basic, or tokens that a registry's token service gives.

Specification: "Token Authentication" and "OAuth 2.0 token" of the distribution project, and RFC 7617.
"""

import re
import threading
from typing import Any
from urllib.parse import urlsplit

import requests
from oras.auth.token import TokenAuth  # type: ignore[import-untyped]
from oras.auth.utils import parse_auth_header  # type: ignore[import-untyped]

from image.errors import AccessError
from image.oci.credentials import Credentials
from image.oci.reference import Repository

_CLIENT = "monobase"
_TIMEOUT_S = (30.0, 60.0)


class RegistryAuth(TokenAuth):  # type: ignore[misc]
    """oras' token authentication, for several threads, long pushes, and all that Docker's file may hold.

    Beyond oras: it answers `Basic` challenges, takes identity tokens, replaces a token that has run out, and
    asks for the scopes of all repositories so far: a mount from another one must not cost the right to push.
    """

    def __init__(self, credentials: Credentials, repository: Repository) -> None:
        super().__init__()
        self.credentials = credentials
        self._guard = threading.Lock()
        # Or the first three questions would each need another token.
        self._scopes = {f"repository:{repository.name}:pull,push"}
        self._header = f"Bearer {credentials.registry_token}" if credentials.registry_token else None

    def get_auth_header(self) -> dict[str, str]:
        """Give what authorizes the next request, as far as the registry has said how."""
        return {"Authorization": self._header} if self._header else {}

    def authenticate_request(
        self, original: requests.Response, headers: dict[str, str], refresh: bool = False
    ) -> tuple[dict[str, str], bool]:
        """Answer a challenge.

        Args:
            original: The registry's answer with status 401.
            headers: Those of the request, which are not changed.
            refresh: As in oras; here the request itself tells whether its token was refused.

        Returns:
            Headers for the same request once more, and whether that has a chance.

        Raises:
            AccessError: The token service denies the token.
            requests.RequestException: It does not answer.
        """
        del refresh
        refused = original.request.headers.get("Authorization")
        with self._guard:
            # Another thread may have answered the same challenge in the meantime.
            if self._header is None or self._header == refused:
                renewed = self._answer(original.headers.get("WWW-Authenticate", ""), original.url)
                if renewed is None or renewed == refused:
                    return headers, False
                self._header = renewed
            return {**headers, "Authorization": self._header}, True

    def _answer(self, challenge: str, url: str) -> str | None:
        scheme = challenge.partition(" ")[0].lower()
        if scheme == "basic":
            return f"Basic {self.credentials.basic}" if self.credentials.basic else None
        if scheme != "bearer":
            return None
        asked = parse_auth_header(challenge)
        if not asked.realm:
            return None
        if urlsplit(asked.realm).scheme != "https" and urlsplit(url).scheme == "https":
            raise AccessError(
                f"{url}: its token service {asked.realm} has no TLS; no credentials are sent there"
            )
        self._scopes.update((asked.scope or "").split())
        token = self._ask(asked.realm, asked.service)
        return f"Bearer {token}" if token else None

    def _ask(self, realm: str, service: str | None) -> str | None:
        """Ask the token service (a GET with Basic, or a POST with the identity token)."""
        fields: dict[str, Any] = {"service": service} if service else {}
        scopes = sorted(self._scopes)
        if self.credentials.identity_token:
            answer = self.session.post(
                realm,
                data={
                    **fields,
                    "scope": " ".join(scopes),
                    "grant_type": "refresh_token",
                    "client_id": _CLIENT,
                    "refresh_token": self.credentials.identity_token,
                },
                timeout=_TIMEOUT_S,
                verify=self._tls_verify,
                allow_redirects=False,
            )
        else:
            basic = self.credentials.basic
            answer = self.session.get(
                realm,
                params={**fields, "scope": scopes, **({"account": self.credentials.user} if basic else {})},
                headers={"Authorization": f"Basic {basic}"} if basic else {},
                timeout=_TIMEOUT_S,
                verify=self._tls_verify,
            )
        if answer.status_code in {400, 401, 403}:
            return None
        answer.raise_for_status()
        try:
            found = answer.json()
            token = found.get("token") or found.get("access_token")
        except (ValueError, AttributeError):
            token = None
        # A header must not be split by what a server says.
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise AccessError(f"{realm}: the token service answered {answer.status_code} without a token")
        return token
