"""A repository of a registry as a mirror: an artifact for each lock and interpreter (image-spec v1.1)."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from gens.errors import MirrorError
from gens.mirror_shape import (
    INTERPRETER_TYPE,
    LOCK_TYPE,
    MANIFEST_TYPE,
    Artifact,
    Blob,
    InterpreterConfig,
    LockConfig,
    format_artifact,
    format_interpreter_config,
    format_lock_config,
    interpreter_artifact,
    lock_artifact,
    parse_artifact,
)
from image.errors import RegistryError, TransientError
from image.oci.descriptor import Descriptor, descriptor_of
from image.oci.reference import Repository
from image.registry.client import Registry
from image.registry.contents import blob_size, delete_manifest, list_tags, open_blob, read_manifest
from image.registry.patience import Patience, persist
from image.registry.upload import upload_blob
from tools.mirror.destination import Published, Removed, Way
from tools.mirror.durable_file import make_directory
from tools.mirror.interpreters import Download
from tools.mirror.receive import Supply
from tools.mirror.repository_source import INTERPRETER_TAGS, read_interpreters
from tools.mirror.spool import Spool
from tools.mirror.tree import demand_free
from tools.mirror.wanted import Item, Wanted

_LOCK_TAG = re.compile(r"g[0-9]{5,}-.+")
_OCTETS = "application/octet-stream"


class RepositoryMirror:
    """A repository of a registry that is a mirror.

    Attributes:
        name: Its name in messages.
        registry: Its client.
    """

    def __init__(
        self,
        registry: Registry,
        spool: Spool,
        patience: Callable[[], Patience],
        *,
        mount_from: tuple[str, ...] = (),
        chunk_bytes: int = 0,
        jobs: int = 1,
        verify: bool | None = None,
    ) -> None:
        """Use a repository.

        Args:
            registry: Its client, connected.
            spool: Where wheels wait that come from another machine.
            patience: Makes the limit of retries of one blob.
            mount_from: Other repositories of the registry that may have wheels.
            chunk_bytes: Longest body of a request; 0 for no limit.
            jobs: How many files are sent at a time.
            verify: Whether a check reads the blobs.
        """
        self.name = f"oci://{registry.repository}"
        self.registry = registry
        self._spool = spool
        self._patience = patience
        self._mount_from = mount_from
        self._chunk_bytes = chunk_bytes
        self._jobs = jobs
        self._verify = verify

    def interpreters(self) -> Mapping[str, InterpreterConfig]:
        """Return the interpreters that the repository has tags for, by their keys."""
        return persist(lambda: read_interpreters(self.registry), self._patience())

    @contextmanager
    def written(self) -> Iterator[None]:
        """Do nothing: several processes may push the same blobs and artifacts."""
        yield

    def mount_from(self, repository: Repository) -> None:
        """Allow mounts from another repository, if the registry has both."""
        own = self.registry.repository
        if repository.host == own.host and repository.name != own.name:
            self._mount_from = tuple(dict.fromkeys([*self._mount_from, repository.name]))

    def defects(self) -> list[str]:
        """Return none: blobs and artifacts are all that there is."""
        return []

    def prepare(self, wanted: Wanted, downloads: Mapping[str, Download], supply: Supply) -> None:  # noqa: ARG002
        """Check that this machine has room for the wheels that are on their way at one time."""
        make_directory(self._spool.directory)
        # Wheels in a folder are sent from there.
        remote = (item.size_bytes for item in wanted.items if supply.local_path(item) is None)
        largest = sorted(remote, reverse=True)
        demand_free(self._spool.directory, sum(largest[: self._jobs]))

    def send(self, item: Item, supply: Supply) -> Way:
        """Send a blob unless the repository has it, or another repository that it can be mounted from."""
        held = self._held(item)
        if held == item.size_bytes:
            supply.advance(item.size_bytes)
            return "kept"
        for other in self._mount_from:
            if persist(partial(self.registry.mount_blob, item.digest, other), self._patience()):
                supply.advance(item.size_bytes)
                return "mounted"
        blob = Descriptor(_OCTETS, item.digest, item.size_bytes)
        path = supply.local_path(item)
        if path is not None and _digest(path) == item.sha256:
            self._upload(blob, path, supply.advance)
        else:
            with self._spool.borrowed(item, supply) as received:
                self._upload(blob, received, _nothing)
        if held is not None:
            self._refuse_damaged(item)
        return "sent"

    def publish(
        self, configs: Iterable[LockConfig], interpreters: Mapping[str, InterpreterConfig]
    ) -> Published:
        """Write the artifacts of locks and interpreters whose blobs are all there."""
        artifacts = [
            (config.tag, interpreter_artifact(config), format_interpreter_config(config))
            for config in interpreters.values()
        ]
        artifacts += [(config.tag, lock_artifact(config), format_lock_config(config)) for config in configs]
        new = [tag for tag, artifact, config in artifacts if self._name(tag, artifact, config)]
        return Published(tuple(new), tuple(tag for tag, _, _ in artifacts if tag not in set(new)))

    def fault(self, item: Item) -> str | None:
        """Return `is missing` if the repository lacks a blob."""
        size = self._held(item)
        if size is None:
            return "is missing"
        if size != item.size_bytes:
            return f"is damaged in the registry: it has {size:,} bytes"
        found = persist(lambda: self._digest_of_blob(item), self._patience()) if self._verify else item.sha256
        return None if found == item.sha256 else f"is damaged in the registry: its digest is sha256:{found}"

    def unnamed(self, configs: Iterable[LockConfig]) -> list[str]:
        """Return the tags of the locks that name no artifact, or another one."""
        return [config.tag for config in configs if not self._is_named(config.tag, lock_artifact(config))]

    def prune(
        self,
        configs: Iterable[LockConfig],
        items: Iterable[Item],  # noqa: ARG002 (of the protocol: the registry collects blobs itself)
        interpreters: Mapping[str, InterpreterConfig] | None,
        *,
        dry_run: bool,
    ) -> Removed:
        """Delete the artifacts of locks and interpreters that are not wanted, and nothing else.

        A manifest is deleted by its digest, and with it every tag that names it: it stays if one of them is
        not a mirror's.
        """
        wanted = {config.tag for config in configs}
        wanted |= {config.tag for config in (interpreters or {}).values()}
        tags = persist(lambda: list(list_tags(self.registry)), self._patience())
        old = [
            tag
            for tag in tags
            if tag not in wanted
            and (_LOCK_TAG.fullmatch(tag) or (interpreters is not None and tag.startswith(INTERPRETER_TAGS)))
        ]
        if not old:
            return Removed()
        others = {self._digest_of(tag): tag for tag in tags if tag not in old}
        removed, left = [], []
        for tag in old:
            digest = self._own_digest(tag)
            if digest is None:
                left.append(f"{self.registry.repository}:{tag}: is not an artifact of a mirror; left")
            elif digest in others:
                left.append(f"{self.registry.repository}:{tag}: is also tagged {others[digest]}; left")
            else:
                removed.append(tag)
                if not dry_run:
                    persist(partial(delete_manifest, self.registry, digest), self._patience())
        return Removed(tuple(removed), left=tuple(left))

    def _held(self, item: Item) -> int | None:
        return persist(lambda: blob_size(self.registry, item.digest, item.size_bytes), self._patience())

    def _refuse_damaged(self, item: Item) -> None:
        """Refuse a registry that keeps a damaged blob: most take a digest that they know for its content."""
        size = self._held(item)
        if size != item.size_bytes:
            raise RegistryError(
                f"{self.registry.repository}: keeps {item.filename} ({item.digest}) with {size or 0:,} bytes "
                f"in place of {item.size_bytes:,}, whatever is sent; remove the blob from its storage, or "
                "mirror into another registry"
            )

    def _digest_of_blob(self, item: Item) -> str:
        found = hashlib.sha256()
        with open_blob(self.registry, item.digest, 0) as opened:
            for block in opened[1] if opened is not None else ():
                found.update(block)
        return found.hexdigest()

    def _name(self, tag: str, artifact: Artifact, config: bytes) -> bool:
        """Write an artifact; return False if its tag names it already."""
        if self._is_named(tag, artifact):
            return False
        self._send_config(artifact.config, config)
        content = format_artifact(artifact)
        try:
            self._put(tag, content)
        except TransientError:
            raise
        except RegistryError as error:
            self._put_plain(tag, artifact, error)
        return True

    def _put_plain(self, tag: str, artifact: Artifact, refused: RegistryError) -> None:
        """Write an artifact without `artifactType`, for a registry from before OCI 1.1."""
        try:
            self._put(tag, format_artifact(artifact, with_type=False))
        except TransientError:
            raise
        except RegistryError as error:
            kinds = " and ".join(sorted({layer.media_type for layer in artifact.layers}))
            raise RegistryError(
                f"{self.registry.repository}:{tag}: the registry refuses artifacts with a config of type "
                f"{artifact.artifact_type} and layers of type {kinds} ({refused}); use a registry that takes "
                "OCI artifacts, or mirror into a folder that a web server serves"
            ) from error

    def _put(self, tag: str, content: bytes) -> None:
        manifest = descriptor_of(MANIFEST_TYPE, content)
        persist(lambda: self.registry.put_manifest(tag, manifest, content), self._patience())

    def _is_named(self, tag: str, artifact: Artifact) -> bool:
        return self._digest_of(tag) in {
            descriptor_of(MANIFEST_TYPE, format_artifact(artifact, with_type=with_type)).digest
            for with_type in (True, False)
        }

    def _digest_of(self, tag: str) -> str | None:
        return persist(lambda: self.registry.manifest_digest(tag, MANIFEST_TYPE), self._patience())

    def _own_digest(self, tag: str) -> str | None:
        """Return the digest of a tag's manifest; None if it is not an artifact of a mirror."""
        content = persist(lambda: read_manifest(self.registry, tag, MANIFEST_TYPE), self._patience())
        try:
            artifact = None if content is None else parse_artifact(content, tag)
        except MirrorError:
            return None
        if content is None or artifact is None or artifact.artifact_type not in {LOCK_TYPE, INTERPRETER_TYPE}:
            return None
        return descriptor_of(MANIFEST_TYPE, content).digest

    def _send_config(self, blob: Blob, content: bytes) -> None:
        if persist(lambda: self.registry.has_blob(blob.digest), self._patience()):
            return
        with self._spool.written(content) as path:
            self._upload(Descriptor(blob.media_type, blob.digest, blob.size_bytes), path, _nothing)

    def _upload(self, blob: Descriptor, path: Path, advance: Callable[[int], None]) -> None:
        upload_blob(
            self.registry, blob, path, self._patience(), chunk_bytes=self._chunk_bytes, advance=advance
        )


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _nothing(_count: int) -> None:
    pass
