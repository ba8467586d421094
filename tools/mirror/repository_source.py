"""A repository of a registry as a source, whoever filled it: a wheel is a blob with its own digest."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from gens.errors import MirrorError
from gens.mirror_shape import (
    INTERPRETER_TYPE,
    MANIFEST_TYPE,
    InterpreterConfig,
    interpreter_tag,
    parse_artifact,
    parse_interpreter_config,
)
from image.registry.client import Registry
from image.registry.contents import list_tags, open_blob, read_manifest, read_small_blob
from tools.mirror.errors import AbsentError
from tools.mirror.source import Stream
from tools.mirror.wanted import Item

INTERPRETER_TAGS = interpreter_tag("cpython-")


class RepositorySource:
    """A repository of a registry."""

    def __init__(self, registry: Registry) -> None:
        """Use a repository.

        Args:
            registry: Its client, connected.
        """
        self.name = f"oci://{registry.repository}"
        self.registry = registry

    def locate(self, item: Item) -> None:
        """Check that the repository has a blob."""
        if not self.registry.has_blob(item.digest):
            raise AbsentError(f"{self.name}: has no blob {item.digest}")

    @contextmanager
    def open(self, item: Item, start: int) -> Iterator[Stream]:
        """Read a blob from an offset on."""
        with open_blob(self.registry, item.digest, start) as found:
            if found is None:
                raise AbsentError(f"{self.name}: has no blob {item.digest}")
            yield Stream(*found)

    def local_path(self, item: Item) -> Path | None:  # noqa: ARG002 (of the protocol)
        """Return None: the blob is not on this machine."""
        return None

    def interpreters(self) -> Mapping[str, InterpreterConfig]:
        """Return the interpreters of the repository, by its tags."""
        return read_interpreters(self.registry)


def read_interpreters(registry: Registry) -> dict[str, InterpreterConfig]:
    """Return the interpreters that a repository has tags for, by their keys; what is malformed is not one.

    Raises:
        RegistryError: The registry refuses.
    """
    found = {}
    for tag in list_tags(registry):
        if not tag.startswith(INTERPRETER_TAGS):
            continue
        subject = f"{registry.repository}:{tag}"
        content = read_manifest(registry, tag, MANIFEST_TYPE)
        with suppress(MirrorError):  # another one's, or to be written again
            artifact = None if content is None else parse_artifact(content, subject)
            if artifact is None or artifact.artifact_type != INTERPRETER_TYPE:
                continue
            config = read_small_blob(registry, artifact.config.digest)
            if config is not None:
                interpreter = parse_interpreter_config(config, subject)
                found[interpreter.key] = interpreter
    return found
