"""A source that is a repository of an OCI registry (distribution-spec v1.1, "Pulling blobs")."""

import contextlib
from collections.abc import Callable, Mapping

from daemon.source.body import Blob
from daemon.source.failure import SourceFailure
from daemon.source.http_client import HttpAnswer
from daemon.source.interpreter_archive import archive_blob, interpreter_key
from daemon.source.location import Location
from daemon.source.registry_auth import RegistryAuth
from daemon.source.web_request import WebBody, blob_body, check_status, is_from, range_fields
from daemon.source.web_tree import Ask
from gens.errors import MirrorError
from gens.mirror_shape import (
    INTERPRETER_TYPE,
    MANIFEST_TYPE,
    Artifact,
    interpreter_tag,
    parse_artifact,
    parse_interpreter_config,
)

_MOST_BYTES = 4_000_000
_NO_TLS = 400  # what a server with TLS answers to plain HTTP


class RegistryHost:
    """The way to a registry: TLS, or plain HTTP where that is allowed and TLS is not spoken.

    Args:
        location: The location.
    """

    def __init__(self, location: Location) -> None:
        self._base = location.base
        self._plain = location.base.replace("https://", "http://", 1) if location.may_be_plain else ""

    @property
    def base(self) -> str:
        """Scheme and host."""
        return self._base

    def ask(self, send: Callable[[str], HttpAnswer]) -> HttpAnswer:
        """Send a request; by plain HTTP from the first time on that only this is answered.

        Args:
            send: Sends the request to a base.

        Raises:
            SourceFailure: The registry does not answer.
        """
        base = self._base  # other requests at once may find out meanwhile
        try:
            return send(base)
        except SourceFailure as failure:
            if not self._plain or base == self._plain:
                raise
            try:
                answer = send(self._plain)
            except SourceFailure:
                raise failure from None
            if answer.status == _NO_TLS:
                answer.__exit__()
                raise  # it speaks TLS, and had another reason
        self._base = self._plain
        return answer


class RegistrySource:
    """A repository of a registry.

    Args:
        name: Name in messages and metrics.
        location: Its location.
        ask: Sends its requests.
        auth: Authorizes them.
        host: How the registry is reached.
        is_indirect: Whether blobs are requested from another host than the registry, which may not pass its
            challenges on: the registry itself is asked for them then.
    """

    def __init__(
        self,
        name: str,
        location: Location,
        ask: Ask,
        auth: RegistryAuth,
        host: RegistryHost,
        *,
        is_indirect: bool = False,
    ) -> None:
        self._name = name
        self._repository = location.repository
        self._ask = ask
        self._auth = auth
        self._host = host
        self._is_indirect = is_indirect
        self._is_known = not is_indirect

    @property
    def name(self) -> str:
        """Name in messages and metrics."""
        return self._name

    def open(self, blob: Blob, offset: int) -> WebBody:
        """Request a blob.

        Raises:
            SourceFailure: The registry does not send it.
        """
        answer = self._get(f"blobs/sha256:{blob.sha256}", range_fields(offset), blob)
        return blob_body(answer, blob, offset)

    def find_interpreter(self, path: str) -> Blob:
        """Return the archive of an interpreter by the tag of its key.

        Raises:
            SourceFailure: The registry does not have it.
        """
        key = interpreter_key(path)
        if key is None:
            raise SourceFailure("absent", f"{path} is not the name of an interpreter's archive")
        try:
            tag = interpreter_tag(key)
            manifest = self._read(f"manifests/{tag}", {"Accept": MANIFEST_TYPE})
            artifact = parse_artifact(manifest, f"{self._name}:{tag}")
            content = self._read(f"blobs/{_config_digest(artifact)}", {})
            config = parse_interpreter_config(content, f"{self._name}:{tag}")
        except MirrorError as error:
            raise SourceFailure("wrong", str(error)) from error
        if config.path != path:
            raise SourceFailure("absent", f"has {config.path} for {key}, and not {path}; mirror it again")
        return archive_blob(config)

    def _read(self, path: str, headers: Mapping[str, str]) -> bytes:
        with self._get(path, headers, None) as answer:
            return answer.read_all(_MOST_BYTES)

    def _get(self, path: str, headers: Mapping[str, str], blob: Blob | None) -> HttpAnswer:
        """Send a request, and repeat it with credentials if the registry requires them."""
        what = f"{self._repository}/{path}"
        if not self._is_known:
            self._answer(self._challenge(), self._auth.header)
            self._is_known = True
        sent = self._auth.header
        answer = self._sent(what, headers, sent, blob)
        # The login is for the registry: a host that it redirects to may not say where it is sent.
        if answer.status == 401 and is_from(answer, self._host.base):
            challenge = answer.header("WWW-Authenticate")
            with answer, contextlib.suppress(SourceFailure):
                answer.read_all(_MOST_BYTES)
            self._answer(self._challenge() if self._is_indirect else challenge, sent)
            answer = self._sent(what, headers, self._auth.header, blob)
        elif answer.status == 403 and is_from(answer, self._host.base) and self._auth.has_changed(sent):
            answer.__exit__()
            answer = self._sent(what, headers, self._auth.header, blob)
        check_status(answer, what, self._auth.remedy, self._host.base)
        return answer

    def _answer(self, challenge: str | None, refused: str) -> None:
        if challenge is not None:
            self._auth.answer(challenge, self._host.base, refused)

    def _challenge(self) -> str | None:
        """Return the challenge of the registry ("Determining Support"); None if it requires no login."""
        with self._sent("", {}, "", None) as answer:
            with contextlib.suppress(SourceFailure):
                answer.read_all(_MOST_BYTES)
            is_own = answer.status == 401 and is_from(answer, self._host.base)
            return answer.header("WWW-Authenticate") if is_own else None

    def _sent(
        self, what: str, headers: Mapping[str, str], authorization: str, blob: Blob | None
    ) -> HttpAnswer:
        return self._host.ask(lambda base: self._ask(f"{base}/v2/{what}", headers, authorization, blob))


def _config_digest(artifact: Artifact) -> str:
    if artifact.artifact_type != INTERPRETER_TYPE:
        raise MirrorError(f"its tag names an artifact of type {artifact.artifact_type}; mirror it again")
    return artifact.config.digest
