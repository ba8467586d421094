"""Asks uv for one resolution: requirements with constraints, for any Python and platform.

Wheels are preferred; a package that has none is resolved by its source distribution, to be built.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.utils import canonicalize_name

from gens.errors import ResolutionError
from gens.lock import LockedWheel
from tools.layer.credentials import safe_text
from tools.layer.question import Question
from tools.locking.pylock import PylockPackage, PylockWheel, file_of
from tools.locking.resolver import FRESH, PRERELEASE, UnsatisfiableError, locked_wheel
from tools.locking.target_tags import target_tags
from tools.locking.uv_program import Resolver

_NO_WHEEL = re.compile(r"Wheels are required for `([\w.-]+)`")
_UNDATED = re.compile(r"`([^`/]+)` is missing an upload date")
_FAILED = re.compile(r"(?:error|cause): Failed to fetch: `?(?P<url>[^\s`]+)`?")
_DENIED = re.compile(r"\b(401 Unauthorized|403 Forbidden)\b")
_OUTPUT = "pylock.toml"
# A release of years ago has wheels for the Pythons of its time.
_PYTHONS = tuple(f"3.{minor}.99" for minor in range(14, 5, -1))


@dataclass(frozen=True, slots=True)
class Answer:
    """The solution of a question.

    Attributes:
        packages: Wheels of indexes, as uv names them, by name.
        sdists: Source distributions of packages to be built, by name, with their versions.
        local: Local wheels, by name: version and path.
        warnings: Warnings of uv.
    """

    packages: Mapping[str, PylockPackage]
    sdists: Mapping[str, tuple[str, PylockWheel]]
    local: Mapping[str, tuple[str, Path]]
    warnings: tuple[str, ...] = ()

    @property
    def versions(self) -> dict[str, str]:
        """Version of each package, by name."""
        found = {name: package.version for name, package in self.packages.items()}
        found |= {name: version for name, (version, _) in self.sdists.items()}
        return found | {name: version for name, (version, _) in self.local.items()}


def ask(resolver: Resolver, question: Question) -> Answer:
    """Resolve a question with uv.

    It takes no pre-release unless a package has nothing else, or one is required by its version. Packages
    that have wheels are not resolved by their source distributions. The time bound does not apply to packages
    whose index states no upload times, which uv would leave out: the warnings name them.

    Args:
        resolver: The uv to ask.
        question: The question.

    Returns:
        The solution, without the wheels that are to be built.

    Raises:
        UnsatisfiableError: There is no solution; the message is uv's reason.
        ResolutionError: An index did not answer, or a source cannot be read.
    """
    last, (text, said) = _ask(resolver, question, "--format=pylock.toml", "--no-annotate")
    warnings = [line for line in safe_text(said).splitlines() if line.startswith("warning: ")]
    answer = _answer(text, ())
    warnings += [
        f"the index of {name} states no upload times, so that the date does not bound it"
        for name in last.undated
        if name not in question.undated and name in answer.versions
    ]
    return replace(answer, warnings=tuple(warnings))


def ask_versions(resolver: Resolver, question: Question) -> dict[str, str]:
    """Resolve a question as `ask` does, for the versions only, which takes less time.

    Args:
        resolver: The uv to ask.
        question: The question.

    Returns:
        Versions by name; without local wheels.

    Raises:
        UnsatisfiableError: There is no solution; the message is uv's reason.
        ResolutionError: An index did not answer, or a source cannot be read.
    """
    _, (text, _) = _ask(resolver, question, "--format=requirements.txt", "--no-annotate")
    pins = (line.partition(" ")[0].partition("==") for line in text.splitlines())
    return {canonicalize_name(name.partition("[")[0]): version for name, equals, version in pins if equals}


def _ask(resolver: Resolver, question: Question, *options: str) -> tuple[Question, tuple[str, str]]:
    """Return the question as it was answered, with the output of uv and what it said."""
    first: UnsatisfiableError | None = None
    while True:
        try:
            return question, _ask_once(resolver, question, *options)
        except UnsatisfiableError as error:
            first = first or error
            named = [pin for _, pin in PRERELEASE.findall(str(error))]
            without_wheels = _NO_WHEEL.findall(str(error)) if question.may_build else []
            files = _UNDATED.findall(str(error))
            more = replace(
                question,
                undated=tuple(dict.fromkeys((*question.undated, *map(_package, files)))),
                constraints=tuple(dict.fromkeys((*question.constraints, *named))),
                build=tuple(dict.fromkeys((*question.build, *map(canonicalize_name, without_wheels)))),
            )
            if more == question:
                raise
            question = more
        except ResolutionError as error:
            if first is None or "Failed to build" not in str(error):
                raise
            # As newer ones do not fit, uv tried releases of years ago, which have no wheels.
            raise first from error


def ask_parents(resolver: Resolver, question: Question) -> dict[str, tuple[str, ...]]:
    """Return the packages of a solution that require each of its packages.

    Args:
        resolver: The uv to ask; it has just answered the question, and has all metadata in its cache.
        question: The question.

    Returns:
        Names of packages by name; a package that only the author asks for has none.
    """
    try:
        _, (text, _) = _ask(resolver, question, "--format=requirements.txt", "--annotation-style=line")
    except ResolutionError:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        pin, _, via = line.partition("# via ")
        package = re.split(r"[=\[ ]", pin, maxsplit=1)[0]
        names = (parent.strip() for parent in via.split(","))
        found[canonicalize_name(package)] = tuple(
            canonicalize_name(parent) for parent in names if re.fullmatch(r"[A-Za-z0-9._-]+", parent)
        )
    return found


def has_wheels_elsewhere(resolver: Resolver, question: Question, name: str, version: str) -> bool:
    """Return whether a release that has no wheel for a Python has one for another.

    Such a release is meant to be used as a wheel; its source distribution rarely builds.

    Args:
        resolver: The uv to ask.
        question: The question of the target.
        name: Name of the package.
        version: Its version.
    """
    release = _release(question, name, version)
    return any(_resolves(resolver, replace(release, python=python)) for python in _PYTHONS)


def has_wheel(resolver: Resolver, question: Question, name: str, version: str) -> bool:
    """Return whether a release has a wheel for a target.

    Args:
        resolver: The uv to ask.
        question: The question of the target.
        name: Name of the package.
        version: Its version.
    """
    return _resolves(resolver, _release(question, name, version))


def _release(question: Question, name: str, version: str) -> Question:
    """Return the question for the wheel of one release."""
    return replace(
        question,
        requirements=(f"{name}=={version}",),
        constraints=(),
        overrides=(),
        preferred=(),
        build=(),
        package_indexes=tuple(pair for pair in question.package_indexes if pair[0] == name),
        may_build=False,
        no_deps=True,
    )


def _resolves(resolver: Resolver, question: Question) -> bool:
    try:
        ask_versions(resolver, question)
    except ResolutionError:
        return False
    return True


def _package(filename: str) -> str:
    """Return the name of the package in the name of a wheel or a source distribution."""
    is_wheel = filename.endswith(".whl")
    return canonicalize_name(filename.partition("-")[0] if is_wheel else filename.rpartition("-")[0])


def choose(answer: Answer, names: Iterable[str], question: Question) -> Iterator[LockedWheel]:
    """Yield the wheels of packages of an index that an installer would choose for the target.

    Args:
        answer: The solution.
        names: Names of packages of an index.
        question: The question of the solution.

    Raises:
        ResolutionError: An index states no digest, or a size cannot be had.
    """
    tags = target_tags(question.python, question.platform)
    for name in names:
        yield locked_wheel(answer.packages[name], tags)


def _ask_once(resolver: Resolver, question: Question, *options: str) -> tuple[str, str]:
    with tempfile.TemporaryDirectory(prefix="monobase-layer-") as name:
        # uv reads preferences from the output only if it has the format of its name.
        output = Path(name, _OUTPUT if "--format=pylock.toml" in options else "requirements.txt")
        if question.preferred:
            output.write_text(_preferences(question, output.name), encoding="utf-8")
        process = _run(resolver, question, Path(name), output.name, *options)
        message = process.stderr.strip()
        if process.returncode == 0:
            return output.read_text(encoding="utf-8"), message
    message = safe_text(message.replace(f"{name}/", ""))
    if "No solution found" in message:
        raise UnsatisfiableError(message)
    raise ResolutionError(_one_line(message) or f"uv exited with {process.returncode} and said nothing")


def _one_line(message: str) -> str:
    """Return what uv says of an index that does not answer as one line; all else as it is."""
    found = _FAILED.search(message)
    if found is None:
        return message.removeprefix("error: ")
    reason = message.rpartition("cause: ")[2].strip()
    remedy = "check its URL and the network, and run the command again"
    if _DENIED.search(message):
        remedy = "give a user and password in its URL, in ~/.netrc or by UV_INDEX_NAME_USERNAME and _PASSWORD"
    return f"{found['url']}: the index does not answer: {reason}; {remedy}"


def _run(
    resolver: Resolver, question: Question, folder: Path, output: str, *options: str
) -> subprocess.CompletedProcess[str]:
    (folder / "pyproject.toml").write_text(_project(question, resolver), encoding="utf-8")
    (folder / "constraints.txt").write_text("\n".join(question.constraints), encoding="utf-8")
    (folder / "overrides.txt").write_text("\n".join(question.overrides), encoding="utf-8")
    return subprocess.run(
        [resolver.program, *_arguments(question), f"--output-file={output}", *options],
        cwd=folder,
        env=dict(resolver.environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


def _arguments(question: Question) -> Iterator[str]:
    yield from ("pip", "compile", "pyproject.toml", "--no-header", "--no-progress")
    yield from ("--python", sys.executable, "--python-version", question.python)
    yield from ("--python-platform", question.platform)
    # With `explicit`, as for generations, ray[serve] falls back to an old release: newer ones require a
    # package that never had a final one.
    yield from (
        "--resolution=highest",
        "--prerelease=if-necessary",
        "--index-strategy=first-index",
    )
    yield from ("--exclude-newer", question.exclude_newer)
    yield "--only-binary=:all:"
    for name in question.build:
        yield f"--no-binary={name}"
    for name, date in question.dated:
        if name not in question.undated:
            yield from ("--exclude-newer-package", f"{name}={date}")
    for name in question.undated:
        yield from ("--exclude-newer-package", f"{name}=false")
    if question.constraints:
        yield "--constraints=constraints.txt"
    if question.no_deps:
        yield "--no-deps"
    if question.overrides:
        yield "--overrides=overrides.txt"


def _project(question: Question, resolver: Resolver) -> str:
    """Return the TOML of the project that uv compiles; strings and lists are written as JSON."""
    lines = [
        "[project]",
        'name = "monobase"',
        'version = "0"',
        f"requires-python = {json.dumps('==' + question.python)}",
        f"dependencies = {json.dumps(question.requirements)}",
        # This table stops uv from looking for settings in the parent folders.
        "[tool.uv]",
    ]
    if resolver.default_index is not None:
        lines += ["[[tool.uv.index]]", f"url = {json.dumps(resolver.default_index)}", "default = true"]
        lines.append(f"cache-control = {{ api = {json.dumps(FRESH)}, files = {json.dumps(FRESH)} }}")
    names: dict[str, str] = {}
    for _, url in question.package_indexes:
        if url not in names:
            names[url] = f"package-index-{len(names)}"
            lines += [
                "[[tool.uv.index]]",
                f"name = {json.dumps(names[url])}",
                f"url = {json.dumps(url)}",
                "explicit = true",
            ]
    if names:
        lines.append("[tool.uv.sources]")
        lines += [
            f"{json.dumps(package)} = {{ index = {json.dumps(names[url])} }}"
            for package, url in dict(question.package_indexes).items()
        ]
    return "\n".join(lines) + "\n"


def _preferences(question: Question, name: str) -> str:
    """Return a file of a name from which uv keeps the versions that fit."""
    if name != _OUTPUT:
        return "".join(f"{package}=={version}\n" for package, version in question.preferred)
    lines = ['lock-version = "1.0"', 'created-by = "uv"']
    for name, version in question.preferred:
        lines += ["[[packages]]", f"name = {json.dumps(name)}", f"version = {json.dumps(version)}"]
    return "\n".join(lines) + "\n"


def _answer(text: str, warnings: tuple[str, ...]) -> Answer:
    packages: dict[str, PylockPackage] = {}
    sdists: dict[str, tuple[str, PylockWheel]] = {}
    local: dict[str, tuple[str, Path]] = {}
    for entry in tomllib.loads(text).get("packages", []):
        name, version = canonicalize_name(entry["name"]), str(entry.get("version"))
        if "wheels" in entry and all("url" in wheel for wheel in entry["wheels"]):
            files = tuple(file_of(wheel) for wheel in entry["wheels"])
            packages[name] = PylockPackage(name, version, files)
        elif "url" in entry.get("sdist", {}):
            sdists[name] = (version, file_of(entry["sdist"]))
        elif "path" in entry.get("archive", {}):
            local[name] = (version, Path(entry["archive"]["path"]))
        else:
            kinds = " and ".join(
                kind for kind in ("vcs", "directory", "archive", "sdist", "wheels") if kind in entry
            )
            raise ResolutionError(
                f"{name} {version} resolved to a {kinds or 'nothing'} that another package names; add it to "
                "the requirements"
            )
    return Answer(packages, sdists, local, warnings)
