"""A token service as registries name in their challenge, which signs with the key of a test.

Specification: "Token Authentication Specification" and "OAuth 2.0 token" of the distribution project.
"""

import base64
import json
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.registry.certificates import Certificate
from tests.registry.local_registry import PASSWORD, USER
from tests.registry.loopback_server import loopback_server

SERVICE = "registry of a test"
ISSUER = "token service of a test"
IDENTITY_TOKEN = "an identity token"  # noqa: S105 (of services that live as long as a test)


@dataclass(slots=True)
class TokenService:
    """A token service that runs.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        signer: Who signs the tokens.
        pushable: Names of repositories that the user may push to; all others may be pulled from.
        asked: The scopes of each request, and how its user was known: `basic` or `refresh_token`.
    """

    port: int
    signer: Certificate
    pushable: tuple[str, ...]
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def configuration(self) -> Mapping[str, object]:
        """Return the registry's `auth.token`."""
        return {
            "realm": f"http://localhost:{self.port}/token",
            "service": SERVICE,
            "issuer": ISSUER,
            "rootcertbundle": str(self.signer.authority),
        }

    def token(self, scopes: tuple[str, ...]) -> str:
        """Make a token for some scopes, as far as they are granted."""
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            granted = [action for action in actions.split(",") if action == "pull" or name in self.pushable]
            access.append({"type": kind, "name": name, "actions": granted})
        now = int(time.time())
        header = {"typ": "JWT", "alg": "ES256", "x5c": [_certificate_text(self.signer)]}
        claims = {
            "iss": ISSUER,
            "sub": USER,
            "aud": SERVICE,
            "exp": now + 300,
            "nbf": now - 60,
            "iat": now - 60,
            "jti": uuid.uuid4().hex,
            "access": access,
        }
        signed = f"{_encoded(json.dumps(header).encode())}.{_encoded(json.dumps(claims).encode())}"
        return f"{signed}.{_encoded(_signature(signed.encode(), self.signer))}"


@contextmanager
def token_service(signer: Certificate, pushable: tuple[str, ...]) -> Iterator[TokenService]:
    """Run a token service.

    Args:
        signer: Who signs the tokens.
        pushable: Names of repositories that the user may push to.

    Yields:
        The service; it ends with the context.
    """
    service = TokenService(0, signer, pushable)

    class Handler(_Handler):
        pass

    Handler.service = service
    with loopback_server(Handler) as service.port:
        yield service


class _Handler(BaseHTTPRequestHandler):
    service: TokenService

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as in the base class)
        """Log nothing."""

    def do_GET(self) -> None:
        """Issue a token to a user with a password."""
        fields = parse_qs(urlsplit(self.path).query)
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        known = self.headers["Authorization"] == f"Basic {expected}"
        self._give("basic", tuple(fields.get("scope", ())), known, fields)

    def do_POST(self) -> None:
        """Issue a token to a user with an identity token."""
        fields = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        known = fields.get("refresh_token") == [IDENTITY_TOKEN] and fields["grant_type"] == ["refresh_token"]
        self._give("refresh_token", tuple(" ".join(fields.get("scope", ())).split()), known, fields)

    def _give(self, how: str, scopes: tuple[str, ...], known: bool, fields: Mapping[str, Any]) -> None:
        known = known and fields.get("service") == [SERVICE]
        self.service.asked.append((how, scopes))
        name = "token" if how == "basic" else "access_token"
        body = json.dumps({name: self.service.token(scopes)} if known else {"details": "denied"}).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _certificate_text(signer: Certificate) -> str:
    lines = signer.certificate.read_text().splitlines()
    return "".join(line for line in lines if not line.startswith("-"))


def _signature(content: bytes, signer: Certificate) -> bytes:
    """Return a signature of RFC 7518, section 3.4: two numbers of 32 bytes, not openssl's DER."""
    command = ["openssl", "dgst", "-sha256", "-sign", str(signer.key)]
    der = subprocess.run(command, input=content, capture_output=True, check=True).stdout
    first_length = der[3]
    first = der[4 : 4 + first_length]
    second = der[6 + first_length :]
    return b"".join(int.from_bytes(number, "big").to_bytes(32, "big") for number in (first, second))
