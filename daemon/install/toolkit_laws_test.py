"""The laws of toolkits: whatever wheels hold, files and links are one tree, and each link leads to a file."""

import posixpath
import re

from hypothesis import example, given
from hypothesis import strategies as st

from daemon.install.toolkit_layout import toolkit_links, toolkit_path

_WORDS = (
    "include", "lib", "lib64", "bin", "nvvm", "targets", "x86_64-linux", "cuda.h", "libnvvm.so",
    "libnvvm.so.4", "liba.so", "liba.so.9", "liba.so.12", "liba.so.12.4", "liba.so.9.1.0", "libb.so.1",
    "__init__.py", "a b",
)  # fmt: skip
_VERSIONED = re.compile(r"(?P<stem>.+\.so)\.(?P<version>[0-9]+(?:\.[0-9]+)*)")
_PRODUCTS = st.sampled_from(["cuda", "cudnn"])
_COMPONENT_PATHS = st.lists(st.sampled_from(_WORDS), min_size=1, max_size=4).map(
    lambda words: f"nvidia/part/{'/'.join(words)}"
)


def _is_one_tree(paths: set[str]) -> bool:
    return not any(parent in paths for path in paths for parent in _parents(path))


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


@st.composite
def _toolkits(draw: st.DrawFn) -> tuple[set[str], str]:
    product = draw(_PRODUCTS)
    held: set[str] = set()
    for path in draw(st.lists(_COMPONENT_PATHS, max_size=12)):
        placed = toolkit_path("nvidia-part", path, product)
        if placed is not None and _is_one_tree(held | {placed}):
            held.add(placed)
    return held, product


@given(_toolkits())
@example(({"targets/x86_64-linux/include/cuda.h", "include/cuda.h"}, "cuda"))
@example(({"lib64/liba.so.9", "lib64/liba.so/cuda.h"}, "cuda"))
@example(({"nvvm/lib64", "lib64/libnvvm.so.4"}, "cuda"))
def test_files_and_links_are_one_tree(toolkit: tuple[set[str], str]) -> None:
    held, product = toolkit
    links = {link.path for link in toolkit_links(held, product)}
    assert links.isdisjoint(held)
    assert _is_one_tree(held | links)


@given(_toolkits())
def test_each_link_leads_to_a_file_or_a_folder_of_the_toolkit(toolkit: tuple[set[str], str]) -> None:
    held, product = toolkit
    there = held | {parent for path in held for parent in _parents(path)}
    for link in toolkit_links(held, product):
        assert posixpath.normpath(posixpath.join(posixpath.dirname(link.path), link.target)) in there


@given(_toolkits())
@example(({"lib64/liba.so.9", "lib64/liba.so.12"}, "cuda"))
def test_the_name_for_linkers_leads_to_the_highest_version(toolkit: tuple[set[str], str]) -> None:
    held, product = toolkit
    versions: dict[str, list[list[int]]] = {}
    for path in held:
        found = _VERSIONED.fullmatch(path)
        if found is not None and posixpath.dirname(found["stem"]) == posixpath.dirname(path):
            versions.setdefault(found["stem"], []).append([int(part) for part in found["version"].split(".")])
    links = {link.path: link.target for link in toolkit_links(held, product)}
    taken = held | {parent for path in held for parent in _parents(path)}
    for stem, numbers in versions.items():
        if stem in taken:
            assert stem not in links
            continue
        assert links[stem] == f"{posixpath.basename(stem)}.{'.'.join(map(str, max(numbers)))}"


@given(_COMPONENT_PATHS, _PRODUCTS)
def test_a_file_stands_nowhere_or_below_the_toolkit(path: str, product: str) -> None:
    placed = toolkit_path("nvidia-part", path, product)
    if placed is not None:
        assert posixpath.normpath(placed) == placed
        assert not placed.startswith(("/", "..", "lib/") if product == "cuda" else ("/", ".."))
        assert posixpath.basename(placed) == posixpath.basename(path)
