"""The content of an index, and the answer to each path; without sockets."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus

from tests.index.answer import Answer, answer_with, answer_without_body, conditional, etag_of, ranged
from tests.index.project_page import (
    HTML_TYPE,
    JSON_TYPE,
    Listing,
    negotiated,
    project_html,
    project_json,
    root_html,
    root_json,
)
from tests.index.wheel import Wheel, normalized

IMMUTABLE = "max-age=365000000, immutable, public"
NO_STORE = "no-cache, no-store, must-revalidate"
_PAGE_CACHE_CONTROL = "max-age=600, public"
_METADATA_SUFFIX = ".metadata"


@dataclass(frozen=True, slots=True)
class IndexRoot:
    """One of the indexes of a server and what it is able to.

    Attributes:
        path: Path of its simple API, without slashes at its ends.
        has_json: Whether it speaks JSON (PEP 691); without it there are no upload times and no sizes.
        has_metadata_files: Whether it offers ``METADATA`` files (PEP 658).
        has_ranges: Whether its files can be had in parts.
        wheel_cache_control: ``Cache-Control`` of the wheels.
        page_cache_control: ``Cache-Control`` of the pages.
        files_beside_pages: Whether the wheels stand under ``path``, as on PyTorch's index.
    """

    path: str
    has_json: bool = True
    has_metadata_files: bool = True
    has_ranges: bool = True
    wheel_cache_control: str = IMMUTABLE
    page_cache_control: str = _PAGE_CACHE_CONTROL
    files_beside_pages: bool = False


DEFAULT_ROOT = IndexRoot("simple")


def pytorch_root(build: str) -> IndexRoot:
    """Return an index like PyTorch's for one build (``cu118``, ``cpu``): HTML alone, ``no-store``."""
    return IndexRoot(
        f"whl/{build}",
        has_json=False,
        has_metadata_files=False,
        wheel_cache_control=NO_STORE,
        page_cache_control=NO_STORE,
        files_beside_pages=True,
    )


class Repository:
    """The projects of each index and the files behind them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._roots: dict[str, IndexRoot] = {}
        self._listings: dict[str, list[Listing]] = {}
        self._files: dict[str, tuple[IndexRoot, Listing]] = {}

    def add_root(self, root: IndexRoot) -> None:
        """Add an index, empty until a wheel is added to it."""
        with self._lock:
            self._roots[root.path] = root
            self._listings.setdefault(root.path, [])

    def add(self, wheel: Wheel, root: IndexRoot, *, yanked: str | None, upload_time: str) -> None:
        """List a wheel and serve it.

        Args:
            wheel: The wheel.
            root: The index to list it on.
            yanked: Why it was withdrawn, None where it was not.
            upload_time: RFC 3339 time in UTC.
        """
        folder = root.path if root.files_beside_pages else f"packages/{wheel.sha256}"
        href = f"/{folder}/{wheel.filename}"
        has_metadata_file = root.has_metadata_files
        listing = Listing(wheel, href, upload_time, yanked, has_metadata_file)
        with self._lock:
            self._listings[root.path].append(listing)
            self._files[href] = (root, listing)

    def lose(self, filename: str) -> None:
        """Answer 404 for a wheel, which its project page still lists."""
        with self._lock:
            self._files = {href: file for href, file in self._files.items() if file[1].filename != filename}

    def remove(self, filename: str) -> None:
        """Neither list nor serve a wheel any more."""
        self.lose(filename)
        with self._lock:
            for path, listings in self._listings.items():
                self._listings[path] = [listing for listing in listings if listing.filename != filename]

    def answer(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Return the answer to a GET.

        Args:
            path: Percent-decoded path.
            headers: Headers of the request, their names in lower case.
        """
        with self._lock:
            file = self._files.get(path) or self._files.get(path.removesuffix(_METADATA_SUFFIX))
        if file is not None:
            root, listing = file
            if path.endswith(_METADATA_SUFFIX):
                answer = _metadata_answer(root, listing)
            else:
                answer = _wheel_answer(root, listing)
                if root.has_ranges:
                    answer = ranged(answer, headers.get("range"))
        else:
            answer = self._page_answer(path, headers)
        return conditional(answer, headers.get("if-none-match"))

    def _page_answer(self, path: str, headers: Mapping[str, str]) -> Answer:
        root, project = self._find_page(path)
        if root is None:
            return answer_without_body(HTTPStatus.NOT_FOUND)
        canonical = f"/{root.path}/{normalized(project)}/" if project else f"/{root.path}/"
        if path != canonical:
            return answer_without_body(HTTPStatus.MOVED_PERMANENTLY, {"Location": canonical})
        with self._lock:
            listings = tuple(self._listings[root.path])
        media_type = negotiated(headers.get("accept", "")) if root.has_json else HTML_TYPE
        if project:
            listings = tuple(item for item in listings if normalized(item.wheel.spec.name) == project)
            if not listings:
                return answer_without_body(HTTPStatus.NOT_FOUND)
            page = (project_json if media_type == JSON_TYPE else project_html)(project, listings)
        else:
            projects = sorted({normalized(item.wheel.spec.name) for item in listings})
            page = (root_json if media_type == JSON_TYPE else root_html)(projects)
        page_headers = {
            "Content-Type": media_type if media_type != HTML_TYPE else "text/html; charset=utf-8",
            "Cache-Control": root.page_cache_control,
            "ETag": etag_of(page),
            "Vary": "Accept",
        }
        return answer_with(page, page_headers)

    def _find_page(self, path: str) -> tuple[IndexRoot | None, str]:
        """Return the index of a path and the project, empty for the index's own page."""
        with self._lock:
            roots = tuple(self._roots.values())
        for root in roots:
            if path.rstrip("/") == f"/{root.path}":
                return root, ""
            project = path.removeprefix(f"/{root.path}/").rstrip("/")
            if path.startswith(f"/{root.path}/") and "/" not in project:
                return root, project
        return None, ""


def _wheel_answer(root: IndexRoot, listing: Listing) -> Answer:
    headers = {
        "Content-Type": "application/octet-stream",
        "Cache-Control": root.wheel_cache_control,
        "ETag": f'"{listing.wheel.sha256}"',
        "Last-Modified": _http_date(listing.upload_time),
        **({"Accept-Ranges": "bytes"} if root.has_ranges else {}),
    }
    return answer_with(listing.wheel.path, headers)


def _metadata_answer(root: IndexRoot, listing: Listing) -> Answer:
    if not listing.has_metadata_file:
        return answer_without_body(HTTPStatus.NOT_FOUND)
    headers = {
        "Content-Type": "application/octet-stream",
        "Cache-Control": root.wheel_cache_control,
        "ETag": f'"{listing.wheel.metadata_sha256}"',
    }
    return answer_with(listing.wheel.metadata, headers)


def _http_date(rfc_3339: str) -> str:
    return format_datetime(datetime.fromisoformat(rfc_3339), usegmt=True)
