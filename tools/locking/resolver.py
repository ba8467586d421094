"""Resolves the inputs of one target with uv: `uv pip compile` for any Python and platform, wheels only."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.tags import Tag

from gens.errors import DefinitionError, ResolutionError
from gens.generation import Inputs
from gens.lock import LockedWheel
from tools.locking.pylock import PylockPackage, parse_pylock
from tools.locking.target_tags import best_wheel, target_tags
from tools.locking.uv_program import Resolver

_HEAD_TIMEOUT_S = 60
_CONSTRAINTS = "constraints.txt"
# uv's hint at a pre-release that a package requires; the constraint in it admits that one.
PRERELEASE = re.compile(r"`([\w.-]+)` was requested with a pre-release marker \(e\.g\., ([^)]+)\)")

# Without a Cache-Control from the index, each resolution requests the same thirty pages again, which takes
# 0.45 s instead of 0.05 s. Ten minutes is the value of the public index.
FRESH = "max-age=600"


class UnsatisfiableError(ResolutionError):
    """The index answered, and the requirements have no solution."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """The result of one resolution.

    Attributes:
        wheels: The wheels, sorted by name.
        warnings: Warnings of uv, such as a yanked release.
        conflicts: Of a stack: wheels of its base that it cannot have, by name.
    """

    wheels: tuple[LockedWheel, ...]
    warnings: tuple[str, ...]
    conflicts: tuple[LockedWheel, ...] = ()


def resolve(resolver: Resolver, inputs: Inputs) -> Resolution:
    """Resolve one target.

    It takes no pre-release, which may be a placeholder such as 0.0.0a0, unless a package requires one by its
    version: vLLM needs opentelemetry-semantic-conventions 0.66b2, which never had a final release.

    Args:
        resolver: The uv to ask.
        inputs: All that decides the resolution.

    Returns:
        The wheels, each with its hash and size.

    Raises:
        UnsatisfiableError: The requirements have no solution; the message is uv's reason.
        ResolutionError: An index did not answer, or left out a digest or size.
    """
    named: dict[str, str] = {}
    while True:
        with_named = replace(inputs, constraints=(*inputs.constraints, *named.values()))
        try:
            return _resolve_once(resolver, with_named)
        except UnsatisfiableError as error:
            new = dict(PRERELEASE.findall(str(error)))
            if new.keys() <= named.keys():
                raise
            named |= new


def _resolve_once(resolver: Resolver, inputs: Inputs) -> Resolution:
    with tempfile.TemporaryDirectory(prefix="monobase-update-") as folder:
        Path(folder, "pyproject.toml").write_text(_project(inputs, resolver.default_index), encoding="utf-8")
        Path(folder, _CONSTRAINTS).write_text("\n".join(inputs.constraints), encoding="utf-8")
        process = subprocess.run(
            [resolver.program, *_arguments(inputs)],
            cwd=folder,
            env=dict(resolver.environment),
            capture_output=True,
            text=True,
            check=False,
        )
    message = process.stderr.strip()
    if process.returncode != 0:
        if "No solution found" in message:
            raise UnsatisfiableError(message)
        raise ResolutionError(message or f"uv exited with {process.returncode} and said nothing")
    tags = target_tags(inputs.python, inputs.platform)
    return Resolution(
        wheels=tuple(locked_wheel(package, tags) for package in parse_pylock(process.stdout)),
        warnings=tuple(line for line in message.splitlines() if line.startswith("warning: ")),
    )


def check_pythons(resolver: Resolver, versions: Sequence[str]) -> None:
    """Check that uv can install each of some Pythons on a node.

    Args:
        resolver: The uv to run; it answers from its built-in list.
        versions: Full versions.

    Raises:
        DefinitionError: uv does not know a version; the message lists the known ones of its minor version.
    """
    listing = subprocess.run(
        [
            resolver.program,
            "python",
            "list",
            "--all-versions",
            "--only-downloads",
            "--output-format=json",
            "--offline",
        ],
        env=dict(resolver.environment),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    known = [item["version"] for item in json.loads(listing) if item["implementation"] == "cpython"]
    for version in versions:
        if version not in known:
            minor = version.rpartition(".")[0]
            others = sorted({other for other in known if other.startswith(f"{minor}.")}, key=_patch)
            raise DefinitionError(
                f"python: {resolver.name} cannot install {version};"
                f" allowed: {', '.join(others) or 'none of ' + minor}"
            )


def _patch(version: str) -> tuple[int, str]:
    patch = version.rpartition(".")[2]
    return (int(patch), "") if patch.isdigit() else (-1, patch)


def _arguments(inputs: Inputs) -> Iterator[str]:
    yield from (
        "pip",
        "compile",
        "pyproject.toml",
        "--format=pylock.toml",
        "--no-header",
        "--no-annotate",
    )
    # Requirements come from the metadata of wheels, so no interpreter of the target's version is needed. With
    # this one named, uv does not search the PATH for another, which takes seconds if it finds shims.
    yield from ("--python", sys.executable, "--python-version", inputs.python)
    yield from ("--python-platform", inputs.platform, "--only-binary=:all:")
    # Explicit, as the configuration of a machine may differ.
    yield from (
        "--resolution=highest",
        "--prerelease=explicit",
        "--index-strategy=first-index",
    )
    yield from ("--exclude-newer", inputs.exclude_newer)
    for package in inputs.index_packages:
        yield from ("--exclude-newer-package", f"{package}=false")
    if inputs.no_deps:
        yield "--no-deps"
    if inputs.constraints:
        yield f"--constraints={_CONSTRAINTS}"


def _project(inputs: Inputs, default_index: str | None) -> str:
    """Return the TOML of the project that uv compiles; strings and lists are written as JSON."""
    lines = [
        "[project]",
        'name = "monobase"',
        'version = "0"',
        f"requires-python = {json.dumps('==' + inputs.python)}",
        f"dependencies = {json.dumps(inputs.requirements)}",
        # This table stops uv from looking for settings in the parent folders. It holds no constraint: with
        # UV_NO_CONFIG or UV_CONFIG_FILE set, uv reads only the sources and their indexes from it.
        "[tool.uv]",
    ]
    if default_index is not None:
        lines += ["[[tool.uv.index]]", f"url = {json.dumps(default_index)}", "default = true"]
        lines.append(f"cache-control = {{ api = {json.dumps(FRESH)}, files = {json.dumps(FRESH)} }}")
    if inputs.index_url is not None:
        # Explicit: other packages of that index do not replace those of the default index.
        lines += [
            "[[tool.uv.index]]",
            'name = "build"',
            f"url = {json.dumps(inputs.index_url)}",
            "explicit = true",
        ]
        lines += [
            "[tool.uv.sources]",
            *(f'{package} = {{ index = "build" }}' for package in inputs.index_packages),
        ]
    return "\n".join(lines) + "\n"


def locked_wheel(package: PylockPackage, tags: tuple[Tag, ...]) -> LockedWheel:
    """Return the wheel of a package that an installer would choose, with its digest and size.

    Args:
        package: The package, as uv resolved it.
        tags: Tags of the target, best first.

    Raises:
        ResolutionError: The index states no digest, or the size cannot be had.
    """
    chosen = best_wheel([wheel.filename for wheel in package.wheels], tags)
    wheel = next(wheel for wheel in package.wheels if wheel.filename == chosen)
    if wheel.sha256 is None:
        raise ResolutionError(
            f"{wheel.url}: the index states no SHA-256; a wheel without one cannot be locked"
        )
    size_bytes = _content_length(wheel.url) if wheel.size_bytes is None else wheel.size_bytes
    return LockedWheel(package.name, package.version, wheel.sha256, wheel.filename, size_bytes)


def _content_length(url: str) -> int:
    """Request the size of a wheel: an index without JSON pages (PEP 691), like PyTorch's, omits it."""
    # Imported here: most indexes state sizes, and it takes a fifth of the time of all imports.
    import urllib.request  # noqa: PLC0415

    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 (the URL is one that uv has just used)
    try:
        with urllib.request.urlopen(request, timeout=_HEAD_TIMEOUT_S) as answer:  # noqa: S310
            return int(answer.headers["Content-Length"])
    except (OSError, TypeError, ValueError) as error:
        raise ResolutionError(f"{url}: its size cannot be had: {error}") from error
