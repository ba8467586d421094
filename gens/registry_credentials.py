"""Reads the credentials for a registry that `docker login` writes to Docker's configuration."""

import base64
import binascii
import json
import os
import re
import subprocess
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gens.errors import CredentialsError

_HELPER_TIMEOUT_S = 120.0  # a helper may ask a person for the password of a key store
_HUB = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_IDENTITY_USER = "<token>"  # user name that helpers report with an identity token


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials for one registry; each part may be missing.

    Attributes:
        origin: Source of the credentials, or the place where none were found; for messages, without secrets.
        user: User name.
        password: Password of the user.
        identity_token: A refresh token (OAuth 2), which the token service accepts instead of a password.
        registry_token: A bearer token that the registry itself accepts.
    """

    origin: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    identity_token: str | None = field(default=None, repr=False)
    registry_token: str | None = field(default=None, repr=False)

    @property
    def basic(self) -> str | None:
        """The value of a `Basic` Authorization header (RFC 7617)."""
        if self.user is None or self.password is None:
            return None
        return base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


def read_credentials(
    key: str, host: str, environment: Mapping[str, str], path: Path | None = None, repository: str = ""
) -> Credentials:
    """Read Docker's configuration: `credHelpers`, then `credsStore`, then `auths`.

    The names in `auths` are those of Docker, Podman and Kubernetes: a host, a URL, a host with the beginning
    of a repository's name (the longest counts), `*` for a part of a host.

    Args:
        key: Name of the registry in the configuration and for helpers.
        host: The registry as people write it, with a port if needed.
        environment: The variables DOCKER_CONFIG, HOME, and PATH for the helpers.
        path: The configuration file, such as a mounted `.dockerconfigjson`; None for Docker's own place.
        repository: Name of the repository in the registry.

    Returns:
        The credentials; empty if the configuration has none.

    Raises:
        CredentialsError: The configuration or a helper's answer is malformed, or a helper failed.
    """
    if path is None:
        directory = environment.get("DOCKER_CONFIG") or str(Path(environment.get("HOME", "/"), ".docker"))
        path = Path(directory, "config.json")
    config = _read(path)
    notes = []
    helper = _table(config, "credHelpers", path).get(key) or config.get("credsStore")
    if helper:
        answer = _ask_helper(f"docker-credential-{helper}", key, path, environment)
        if isinstance(answer, Credentials):
            return answer
        notes.append(answer)
    entry = _entry(_table(config, "auths", path), key, host, repository)
    if entry:
        found = _from_entry(entry, path, key)
        if found is not None:
            return found
    notes.append(
        f"{path} {'has no credentials for' if config else 'does not exist: no credentials for'} {key}"
    )
    return Credentials("; ".join(notes))


def _read(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise CredentialsError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        # The text of the error is left out: the file holds secrets.
        raise CredentialsError(
            f"{path}: is not JSON; repair it, or name another folder in DOCKER_CONFIG"
        ) from error
    if not isinstance(config, dict):
        raise CredentialsError(
            f"{path}: is not a JSON object; repair it, or name another folder in DOCKER_CONFIG"
        )
    return config


def _table(config: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    table = config.get(name) or {}
    if not isinstance(table, dict):
        raise CredentialsError(f"{path}: its {name!r} is not a JSON object")
    return table


def _entry(auths: dict[str, Any], registry: str, host: str, repository: str) -> Any:  # noqa: ANN401 (of JSON)
    """Return the entry whose name fits best: the longest path, then no `*`, then Docker's own form."""
    hosts = _HUB if host in _HUB else {host.lower()}
    found = [
        ((len(path), "*" not in name, key == registry), key)
        for key in auths
        for name, path in [_host_and_path(key)]
        if _fits(name, hosts) and f"{repository}/".startswith(f"{path}/" if path else "")
    ]
    return auths[max(found)[1]] if found else None


def _host_and_path(key: str) -> tuple[str, str]:
    """Return the host of a name in `auths`, and the beginning of the repositories that it is for."""
    host, _, path = (key.partition("://")[2] or key).partition("/")
    path = path.strip("/")
    return host.lower(), "" if path in {"v1", "v2"} else path  # old versions of Docker wrote https://host/v1/


def _fits(name: str, hosts: Set[str]) -> bool:
    """Return whether a host is meant; `*` stands for no dot, as in Kubernetes."""
    pattern = re.escape(name).replace(r"\*", "[^.]*")
    return any(re.fullmatch(pattern, host) for host in hosts)


def _from_entry(entry: Any, path: Path, key: str) -> Credentials | None:  # noqa: ANN401 (of a JSON file)
    if not isinstance(entry, dict):
        raise CredentialsError(f"{path}: the entry of {key} is not a JSON object; run `docker login {key}`")
    for name in ("username", "password", "auth", "identitytoken", "registrytoken"):
        if not isinstance(entry.get(name), str | None):
            raise CredentialsError(f"{path}: the {name!r} of {key} is not a text; run `docker login {key}`")
    user, password = entry.get("username"), entry.get("password")
    if entry.get("auth"):
        try:
            user, colon, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError, TypeError) as error:
            raise CredentialsError(
                f"{path}: the entry of {key} has an `auth` that is not base64; run `docker login {key}`"
            ) from error
        if not colon:
            raise CredentialsError(
                f"{path}: the entry of {key} has an `auth` without a colon; run `docker login {key}`"
            )
        password = password.rstrip("\0")
    identity, registry = entry.get("identitytoken") or None, entry.get("registrytoken") or None
    if not (user or identity or registry):
        return None
    return Credentials(f"{path} (user {user or 'not named'})", user or None, password, identity, registry)


def _ask_helper(program: str, key: str, path: Path, environment: Mapping[str, str]) -> Credentials | str:
    """Run a credential helper (docker-credential-helpers, "Development"); return a reason if it has none."""
    try:
        answer = subprocess.run(
            [program, "get"],
            input=key.encode(),
            capture_output=True,
            timeout=_HELPER_TIMEOUT_S,
            env=dict(environment),
            check=False,
        )
    except FileNotFoundError:
        # Machines may share a configuration, and not all have the helper. A push may need no credentials.
        return f"{path} names {program}, which is not on the PATH"
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise CredentialsError(f"{program}, which {path} names, cannot be run: {error}") from error
    if answer.returncode != 0:
        # By the protocol, a failing helper prints a message, and prints a secret only on success.
        said = (answer.stdout or answer.stderr).decode(errors="replace").strip().partition("\n")[0]
        if "credentials not found" in said:
            return f"{program} has no credentials for {key}"
        raise CredentialsError(
            f"{program}, which {path} names, failed for {key}: {said or 'it said nothing'}"
        )
    try:
        found = json.loads(answer.stdout)
        user, secret = found["Username"], found["Secret"]
        os.fspath(user), os.fspath(secret)
    except (ValueError, KeyError, TypeError):
        raise CredentialsError(
            f"{program}, which {path} names, did not answer with Username and Secret for {key}"
        ) from None
    origin = f"{program}, which {path} names (user {user})"
    if user == _IDENTITY_USER:
        return Credentials(origin, identity_token=secret)
    return Credentials(origin, user, secret)
