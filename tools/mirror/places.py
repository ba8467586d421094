"""Makes sources and mirrors of the places that the options name."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from gens.redaction import redact
from image.oci.reference import parse_repository
from image.registry.client import Registry
from image.registry.credentials import find_credentials
from image.registry.patience import Patience, persist
from tools.mirror.archive import ArchiveMirror
from tools.mirror.archive_source import ArchiveSource
from tools.mirror.destination import Destination
from tools.mirror.folder_source import FolderSource
from tools.mirror.index_source import IndexSource, default_index_url
from tools.mirror.repository import RepositoryMirror
from tools.mirror.repository_source import RepositorySource
from tools.mirror.source import Source
from tools.mirror.spool import Spool
from tools.mirror.tree import Tree
from tools.mirror.tree_source import TreeSource
from tools.mirror.web import Web

Kind = Literal["index", "registry", "web", "path", "archive"]
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
_TAG = re.compile(r"/.*[:@]")
_OTHER_ARCHIVES = (".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2", ".zip", ".whl")
_HOST = re.compile(r"[\w-]+(\.[\w-]+)+(:\d+)?|[\w-]+:\d+")  # what begins a repository, and rarely a path


@dataclass(frozen=True, slots=True)
class Place:
    """A place that an option names.

    Attributes:
        kind: What is there.
        value: Its path, URL or repository.
        plain: Of a registry: whether it may do without TLS.
    """

    kind: Kind
    value: str
    plain: bool = False


def parse_place(text: str) -> Place:
    """Read the value of `--from` or `--to`.

    Args:
        text: `index`, `oci://REGISTRY/REPOSITORY`, `oci+http://…`, `https://…`, `file://…`, a folder, a tar.

    Raises:
        click.BadParameter: It is none of these, or has the form of a registry's repository without `oci://`.
    """
    found = _SCHEME.fullmatch(text)
    if found is None:
        return Place("index", "") if text == "index" else _local_place(text)
    scheme, rest = found["scheme"].lower(), found["rest"]
    if scheme in {"oci", "oci+http"}:
        return Place("registry", _repository_name(text, rest.rstrip("/")), plain=scheme == "oci+http")
    if scheme in {"http", "https"}:
        return Place("web", text)
    if scheme == "file" and rest.startswith("/"):
        return parse_place(rest)
    raise click.BadParameter(
        f"{redact(text)!r} is neither oci://REGISTRY/REPOSITORY, https://…, file:///DIR, a folder, nor "
        "FILE.tar"
    )


def _local_place(text: str) -> Place:
    if not text.strip() or not text.isprintable():
        raise click.BadParameter(f"{text!r} is not the name of a place; is a variable empty?")
    first, slash, _ = text.partition("/")
    if slash and _HOST.fullmatch(first) and not Path(first).exists():
        raise click.BadParameter(f"{text}: write oci://{text} for a registry, or ./{text} for a folder")
    if text.startswith("~"):
        raise click.BadParameter(f"{text!r} begins with ~, which the shell has not replaced; write the path")
    if text.lower().endswith(_OTHER_ARCHIVES):
        raise click.BadParameter(
            f"{text!r} is not the name of a folder; an archive is an uncompressed FILE.tar"
        )
    return Place("archive" if text.endswith(".tar") else "path", text)


def _repository_name(text: str, name: str) -> str:
    if "@" in name.partition("/")[0]:
        raise click.BadParameter(
            f"{redact(text)!r} has a user; leave it out, and run `docker login` for the registry"
        )
    if _TAG.search(name):
        raise click.BadParameter(f"{text!r} has a tag or a digest; leave it out: a mirror has its own tags")
    return name


@dataclass(frozen=True, slots=True)
class Places:
    """Makes sources and mirrors.

    Attributes:
        environment: Environment variables of the caller.
        mount_from: Other repositories of the registry that may have wheels.
        chunk_bytes: Longest body of a request to a registry; 0 for no limit.
        insecure: Whether any certificate is trusted, and a registry without TLS.
    """

    environment: Mapping[str, str]
    mount_from: tuple[str, ...] = ()
    chunk_bytes: int = 0
    insecure: bool = False

    def web(self, jobs: int) -> Web:
        """Return connections to web servers."""
        return Web(self.environment, insecure=self.insecure, jobs=jobs)

    def spool(self, say: Callable[[str], None]) -> Spool:
        """Return the folder for files that are on their way, in the user's cache."""
        cache = self.environment.get("XDG_CACHE_HOME") or Path(self.environment.get("HOME", "/"), ".cache")
        return Spool(Path(cache, "monobase", "mirror"), say)

    def source(self, place: Place, patience: Callable[[], Patience], jobs: int) -> Source:
        """Return a source.

        Args:
            place: The place.
            patience: Makes the limit of retries.
            jobs: Connections at a time.

        Raises:
            MonobaseError: The place cannot be used.
        """
        match place.kind:
            case "index":
                return IndexSource(default_index_url(self.environment), self.web(jobs))
            case "registry":
                return RepositorySource(self._registry(place, patience, jobs))
            case "web":
                return TreeSource(place.value, self.web(jobs))
            case "archive":
                return ArchiveSource(Path(place.value))
            case "path":
                return FolderSource(Path(place.value))

    def destination(
        self,
        place: Place,
        patience: Callable[[], Patience],
        say: Callable[[str], None],
        *,
        jobs: int,
        verify: bool | None,
    ) -> Destination:
        """Return a mirror.

        Args:
            place: The place.
            patience: Makes the limit of retries.
            say: Prints a line.
            jobs: Files at a time.
            verify: Whether existing files are read and compared; None for a check of a folder or archive.

        Raises:
            MonobaseError: The place cannot be used.
            click.BadParameter: Nothing can be written there.
        """
        if place.kind == "registry":
            return RepositoryMirror(
                self._registry(place, patience, jobs),
                self.spool(say),
                patience,
                mount_from=self.mount_from,
                chunk_bytes=self.chunk_bytes,
                jobs=jobs,
                verify=verify,
            )
        if place.kind == "archive":
            return ArchiveMirror(Path(place.value), say, verify=verify)
        if place.kind == "path":
            return Tree(Path(place.value), say, verify=verify)
        raise click.BadParameter(
            f"--to {place.value or place.kind}: is not written to; name oci://REGISTRY/REPOSITORY, a folder, "
            "or FILE.tar"
        )

    def _registry(self, place: Place, patience: Callable[[], Patience], jobs: int) -> Registry:
        try:
            repository = parse_repository(place.value, is_short=False)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error
        registry = Registry(
            repository,
            find_credentials(repository, self.environment),
            insecure=self.insecure or place.plain,
            jobs=jobs,
            environment=self.environment,
        )
        persist(registry.connect, patience())
        return registry


def mount_between(destination: Destination, sources: Sequence[Source]) -> None:
    """Allow a repository to mount what a source in its own registry has, instead of copying it."""
    if isinstance(destination, RepositoryMirror):
        for source in sources:
            if isinstance(source, RepositorySource):
                destination.mount_from(source.registry.repository)
