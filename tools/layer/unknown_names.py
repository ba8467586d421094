"""Tells of packages and versions that no index has, and of names that are like theirs."""

import re
from collections.abc import Iterator, Set
from difflib import get_close_matches

from packaging.utils import canonicalize_name

from gens.catalog import Catalog
from tools.layer.base import Base
from tools.layer.order import index_names
from tools.layer.question import Question
from tools.layer.request import Request

_NOT_FOUND = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*) was not found in the package registry")
_NOT_CACHED = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*) was not found in the cache")
_NO_VERSION = re.compile(r"there is no version of ([\w.-]+)==(\S+?) and monobase(?:==0)? depends on")
_WANTED = re.compile(
    r"(?P<parent>[A-Za-z0-9][\w.-]*)(?:==(?P<version>[^\s,]+))? depends? on (?P<name>[\w.-]+)"
)
_PIN = re.compile(r"(?m)^([a-z0-9][a-z0-9-]*)==")
_LEAST_LIKENESS = 0.75
# Modules whose package has another name, and that are no package themselves.
_PACKAGES = {
    "cv2": "opencv-python-headless",
    "pil": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def unknown_lines(
    catalog: Catalog, base: Base, request: Request, question: Question, said: str
) -> Iterator[str]:
    """Yield a line for each requirement that no index has.

    Args:
        catalog: All generations; the names in their locks are proposed.
        base: The base.
        request: What is asked for.
        question: The question that has no solution.
        said: The reason of uv why there is no solution.
    """
    unknown = {canonicalize_name(name.rstrip(".")) for name in _NOT_FOUND.findall(said)}
    asked = {one.name: one.place for one in request.requirements if one.name is not None}
    where = _indexes(request)
    for name, version in _NO_VERSION.findall(said):
        if name in asked:
            remedy = _of_base(base, name, version)
            yield f"{asked[name]}: {name} {version} is not on {where} as of {question.exclude_newer}{remedy}"
    for name in dict.fromkeys(_NOT_CACHED.findall(said)):
        place = asked.get(canonicalize_name(name), "a package")
        yield f"{place}: {name} is not in uv's cache, and UV_OFFLINE disables the network; unset it"
    if not unknown:
        return
    known = _known_names(catalog) | asked.keys() - unknown
    for name in sorted(unknown):
        if name in asked:
            yield f"{asked[name]}: {name} is not on {where}; {_remedy(name, known)}"
        elif unknown.isdisjoint(asked):
            # Else this package may be one of an old release that uv tried for lack of another.
            parent = _parent(name, said)
            yield f"{name}, which {parent} requires, is not on {where}; name its index with --index"


def _of_base(base: Base, name: str, version: str) -> str:
    """Return what to write for the version of a base, which may differ in a local part such as `+cu130`."""
    if name not in base.wheels:
        return ""
    own = base.wheels[name].version
    is_same = own.partition("+")[0] == version.partition("+")[0]
    return f"; the base has {own}" + (f", so write {name}=={own}" if is_same else "")


def _parent(name: str, said: str) -> str:
    for found in _WANTED.finditer(said):
        if canonicalize_name(found["name"].rstrip(".")) == name:
            return f"{found['parent']} {found['version']}" if found["version"] else found["parent"]
    return "a package"


def _indexes(request: Request) -> str:
    index_url, others = index_names(request)
    if index_url is None and not others:
        return "the index"
    return f"any of {', '.join((*others, index_url or 'the default index'))}" if others else str(index_url)


def _remedy(name: str, known: Set[str]) -> str:
    if name in known:
        return "check the URL of the index, or name another one with --index"
    alike = get_close_matches(name, sorted(known), cutoff=_LEAST_LIKENESS)
    near = _PACKAGES.get(name) or " or ".join(alike)
    return f"did you mean {near}?" if near else "correct the name, or name its index with --index"


def _known_names(catalog: Catalog) -> set[str]:
    """Return the names of all packages of all generations, read from their locks."""
    found: set[str] = set()
    for generation in catalog.generations:
        for path in (catalog.locks_directory / generation.directory_name).glob("*.txt"):
            found.update(_PIN.findall(path.read_text(encoding="utf-8", errors="replace")))
    return found
