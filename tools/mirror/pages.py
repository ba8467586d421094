"""Writes the pages of a tree (PEP 503, Simple repository API 1.0), which uv and pip install from."""

import html
from collections.abc import Iterable
from urllib.parse import quote

from gens.mirror_shape import FILES

_MARK = '<meta name="generator" content="monobase mirror">'


def project_page(name: str, files: Iterable[tuple[str, str]]) -> bytes:
    """Return the page of a package.

    Args:
        name: Its normalized name.
        files: Digest and file name of each wheel, in any order.
    """
    links = (
        f'<a href="../../{FILES}/{sha256}/{quote(filename)}#sha256={sha256}">{html.escape(filename)}</a><br>'
        for sha256, filename in sorted(files, key=lambda file: (file[1], file[0]))
    )
    return _page(name, links)


def root_page(names: Iterable[str]) -> bytes:
    """Return the page of all packages.

    Args:
        names: Their normalized names, in any order.
    """
    return _page("simple", (f'<a href="{name}/">{name}</a><br>' for name in sorted(names)))


def is_own_page(content: bytes) -> bool:
    """Return whether a page was written by this module."""
    return _MARK.encode() in content


def _page(title: str, lines: Iterable[str]) -> bytes:
    head = (
        "<!DOCTYPE html>",
        "<html>",
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="pypi:repository-version" content="1.0">',
        _MARK,
        f"<title>{html.escape(title)}</title>",
        "</head>",
        "<body>",
    )
    return "\n".join([*head, *lines, "</body>", "</html>", ""]).encode()
