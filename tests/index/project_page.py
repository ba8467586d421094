"""Writes the pages of a simple repository API: an index's projects and files.

Implements the PyPA *simple repository API*: HTML (PEP 503) and JSON (PEP 691), with sizes, upload times and
versions (PEP 700), metadata files (PEP 658, 714) and yanked releases (PEP 592).
"""

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from tests.index.wheel import Wheel

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
HTML_V1_TYPE = "application/vnd.pypi.simple.v1+html"
HTML_TYPE = "text/html"
_API_VERSION = "1.1"


@dataclass(frozen=True, slots=True)
class Listing:
    """A file as an index lists it.

    Attributes:
        wheel: The file.
        href: Path of its URL, not quoted.
        upload_time: RFC 3339 time in UTC; JSON pages alone carry it.
        yanked: Why the release was withdrawn, None where it was not.
        has_metadata_file: Whether ``METADATA`` can be had as a file of its own.
    """

    wheel: Wheel
    href: str
    upload_time: str
    yanked: str | None
    has_metadata_file: bool

    @property
    def filename(self) -> str:
        """File name of the wheel."""
        return self.wheel.filename


def negotiated(accept: str) -> str:
    """Return the media type that a client wants most of those that a simple API has.

    Args:
        accept: The ``Accept`` header, empty where there is none.

    Returns:
        One of the media types of this module; HTML where the client names none of them.
    """
    best_type, best_quality = HTML_TYPE, 0.0
    for part in accept.split(","):
        media_type, *parameters = (item.strip() for item in part.split(";"))
        quality = next((float(item[2:]) for item in parameters if item.startswith("q=")), 1.0)
        if media_type in {JSON_TYPE, HTML_V1_TYPE, HTML_TYPE} and quality > best_quality:
            best_type, best_quality = media_type, quality
    return best_type


def project_html(project: str, listings: Sequence[Listing]) -> bytes:
    """Return the HTML page of a project, hashes in the fragments of its links."""
    links = "\n".join(_link(listing) for listing in listings)
    return _page(f"Links for {project}", f"<h1>Links for {html.escape(project)}</h1>\n{links}")


def project_json(project: str, listings: Sequence[Listing]) -> bytes:
    """Return the JSON page of a project."""
    page = {
        "meta": {"api-version": _API_VERSION},
        "name": project,
        "versions": sorted({listing.wheel.spec.version for listing in listings}),
        "files": [_file(listing) for listing in listings],
    }
    return json.dumps(page).encode()


def root_html(projects: Sequence[str]) -> bytes:
    """Return the HTML page that lists the projects of an index."""
    links = "\n".join(f'<a href="{project}/">{project}</a><br/>' for project in projects)
    return _page("Simple index", links)


def root_json(projects: Sequence[str]) -> bytes:
    """Return the JSON page that lists the projects of an index."""
    page = {"meta": {"api-version": _API_VERSION}, "projects": [{"name": project} for project in projects]}
    return json.dumps(page).encode()


def _link(listing: Listing) -> str:
    wheel = listing.wheel
    attributes = [f'href="{quote(listing.href)}#sha256={wheel.sha256}"']
    if wheel.spec.requires_python is not None:
        attributes.append(f'data-requires-python="{html.escape(wheel.spec.requires_python)}"')
    if listing.has_metadata_file:
        digest = f"sha256={wheel.metadata_sha256}"
        attributes += [f'data-dist-info-metadata="{digest}"', f'data-core-metadata="{digest}"']
    if listing.yanked is not None:
        attributes.append(f'data-yanked="{html.escape(listing.yanked)}"')
    return f"<a {' '.join(attributes)}>{html.escape(listing.filename)}</a><br/>"


def _file(listing: Listing) -> dict[str, object]:
    wheel = listing.wheel
    return {
        "filename": listing.filename,
        "url": quote(listing.href),
        "hashes": {"sha256": wheel.sha256},
        "size": wheel.size_bytes,
        "upload-time": listing.upload_time,
        "yanked": False if listing.yanked is None else listing.yanked or True,
        **({} if wheel.spec.requires_python is None else {"requires-python": wheel.spec.requires_python}),
        **({"core-metadata": {"sha256": wheel.metadata_sha256}} if listing.has_metadata_file else {}),
    }


def _page(title: str, body: str) -> bytes:
    head = (
        f'<meta name="pypi:repository-version" content="{_API_VERSION}">\n<title>{html.escape(title)}</title>'
    )
    return f"<!DOCTYPE html>\n<html>\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n".encode()
