"""A registry, an index and a mirror of interpreters, all behind one shaped link."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

from tests.bench.cold_start.shaped_link import ShapedLink, shaped_link
from tests.index.interpreter_archive import interpreter_mirror
from tests.index.server import HOST, LocalIndex
from tests.registry.local_registry import LocalRegistry, local_registry


@dataclass(frozen=True, slots=True)
class Supply:
    """The servers, as the node sees them.

    Attributes:
        link: The link to them.
        index: The index, which is to be filled.
        index_url: URL of the index through the link.
        registry: The registry without the link: what is pushed is not measured.
        registry_host: Host and port of the registry through the link.
        variables: What a daemon gets from its Secret.
    """

    link: ShapedLink
    index: LocalIndex
    index_url: str
    registry: LocalRegistry
    registry_host: str
    variables: Mapping[str, str]


@contextmanager
def running_supply(directory: Path, registry: Path, pythons: tuple[str, ...]) -> Iterator[Supply]:
    """Run the servers until the end of the block.

    Args:
        directory: For their files.
        registry: For the files of the registry; it is made.
        pythons: Full versions of the interpreters that the mirror offers.
    """
    with (
        LocalIndex(directory / "index") as index,
        local_registry(registry) as images,
        interpreter_mirror(directory / "interpreters", pythons) as mirror,
        shaped_link() as link,
    ):
        index_url = f"http://{HOST}:{link.forward(index.port)}/simple/"
        mirror_port = urlsplit(mirror.list_url).port or 0
        through = link.forward(mirror_port)
        with urlopen(mirror.list_url) as answer:  # noqa: S310 (its own server)
            listed = json.load(answer)
        for entry in listed.values():
            entry["url"] = entry["url"].replace(f":{mirror_port}/", f":{through}/")
        name = "downloads-through-link.json"
        (directory / "interpreters" / name).write_text(json.dumps(listed))
        variables = {
            "UV_DEFAULT_INDEX": index_url, "UV_PYTHON_DOWNLOADS_JSON_URL": f"http://{HOST}:{through}/{name}",
        }  # fmt: skip
        yield Supply(link, index, index_url, images, f"localhost:{link.forward(images.port)}", variables)
