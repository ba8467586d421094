"""Reads what the packages of a resolution require, from the metadata of their wheels."""

import email.parser
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from zipfile import BadZipFile, ZipFile

import requests
from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Pep508
from packaging.utils import canonicalize_name
from remotezip import RemoteIOError, RemoteZip  # type: ignore[import-untyped]

from tools.layer.resolution import Answer

_TIMEOUT_S = 20
_REQUESTS = 8


@dataclass(frozen=True, slots=True)
class Wish:
    """A package that requires another one.

    Attributes:
        name: Name of the package that requires.
        version: Its version.
        requirement: Its requirement.
    """

    name: str
    version: str
    requirement: Pep508

    @property
    def wanted(self) -> str:
        """Normalized name of the package that is required."""
        return canonicalize_name(self.requirement.name)


def read_wishes(answer: Answer, names: Iterable[str], environment: Mapping[str, str]) -> list[Wish]:
    """Return what packages of a resolution require, as far as their metadata can be had.

    Args:
        answer: The resolution.
        names: Names of the packages.
        environment: Values of markers; requirements of extras are not returned.
    """
    with ThreadPoolExecutor(_REQUESTS) as pool:
        found = pool.map(lambda name: (name, _metadata(answer, name)), names)
        return [
            Wish(name, answer.versions[name], requirement)
            for name, text in found
            for requirement in _requirements(text, environment)
        ]


def _metadata(answer: Answer, name: str) -> str:
    """Return the metadata of a package; nothing if they cannot be had: uv's own words must do then."""
    try:
        if name in answer.local:
            with ZipFile(answer.local[name][1]) as wheel:
                return _member(wheel)
        if name not in answer.packages:
            return ""
        return _of_index(answer.packages[name].wheels[0].url)
    except (OSError, ValueError, BadZipFile, StopIteration, RemoteIOError, requests.RequestException):
        return ""


def _of_index(url: str) -> str:
    try:
        with urllib.request.urlopen(f"{url}.metadata", timeout=_TIMEOUT_S) as reply:  # noqa: S310 (of uv's)
            content: bytes = reply.read()
            return content.decode(errors="replace")
    except OSError:
        # An index without metadata files (PEP 658): those in the wheel, by ranges.
        with RemoteZip(url, timeout=_TIMEOUT_S) as wheel:
            return _member(wheel)


def _member(wheel: ZipFile) -> str:
    inner = next(member for member in wheel.namelist() if member.endswith(".dist-info/METADATA"))
    return wheel.read(inner).decode(errors="replace")


def _requirements(metadata: str, environment: Mapping[str, str]) -> Iterator[Pep508]:
    for text in email.parser.HeaderParser().parsestr(metadata).get_all("Requires-Dist", []):
        try:
            requirement = Pep508(text)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate(dict(environment)):
            yield requirement
