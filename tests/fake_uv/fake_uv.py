"""A fake uv that makes environments of a fake prefix's wheels, and fails where a test asks for it.

uv = FakeUv(fake)
uv.serve(fake.wheel("alpha", cached=False))          # its index has this wheel
uv.refuse(beta, WheelContentError("another hash"))   # a call that requests beta fetches nothing
uv.after["venv"] = lambda tree: ...                  # something else happens to the tree as well
"""

import hashlib
import os
import re
import shutil
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from daemon.errors import IndexAccessError
from daemon.install.wanted import Wanted
from daemon.interpreters.running_interpreter import Interpreter
from daemon.prefix.inventory import WRITTEN_BY_INSTALLERS
from daemon.uv.program import Uv, UvOutput
from gens.errors import MonobaseError
from tests.fake_prefix.fake_prefix import CACHE_TAG, FakePrefix
from tests.index.wheel import Wheel
from tests.synthetic.catalog import PYTHON, PYTHON_FULL

_REQUIREMENT = re.compile(r"(?P<name>[^=]+)==\S+ --hash=sha256:(?P<sha256>[0-9a-f]{64})")
_PROBE = "monobase-probe"


class FakeUv(Uv):
    """uv on a fake prefix.

    Attributes:
        calls: The command lines of all calls.
        asked: Names of the packages that each call for a download asked the index for.
        after: Called with the folder that was made, after `venv`, `install` or `unpack`; for `unpack`, before
            the cache has it.
        before_install: Called with the variables of an installation from the cache, before it.
        before_refresh: Called before a call that asks the index again for its pages.
        reports_bytes: Whether it reports what it receives, which not every kernel counts.
    """

    def __init__(self, fake: FakePrefix, *, link_mode: str = "hardlink") -> None:
        program = fake.directory / "uv"
        program.touch()
        super().__init__(program, fake.prefix, link_mode=link_mode)
        self.reports_bytes = True
        self.calls: list[list[str]] = []
        self.asked: list[list[str]] = []
        self.after: dict[str, Callable[[Path], object]] = {}
        self.before_install: Callable[[Mapping[str, str]], object] = dict
        self.before_refresh: Callable[[], object] = dict
        self._fake = fake
        self._served: dict[str, Wheel] = {}
        self._refused: dict[str, MonobaseError] = {}
        self._late: dict[str, MonobaseError] = {}
        self._unkept: set[str] = set()
        self._unsafe: dict[str, str] = {}

    # --- the index ---

    def serve(self, *wheels: Wheel) -> None:
        """Add wheels to the index."""
        for wheel in wheels:
            self._served[wheel.sha256] = wheel
            self._refused.pop(wheel.sha256, None)

    def refuse(self, wheel: Wheel, error: MonobaseError) -> None:
        """Make each call fail that requests a wheel."""
        self._refused[wheel.sha256] = error

    def fail_after(self, wheel: Wheel, error: MonobaseError) -> None:
        """Make each call fail that requests a wheel, after all of its wheels have arrived."""
        self._late[wheel.sha256] = error

    def keep_nothing_of(self, wheel: Wheel) -> None:
        """Make uv install a wheel without caching it, as with `Cache-Control: no-store`."""
        self._unkept.add(wheel.sha256)

    def leave_out(self, wheel: Wheel, member: str) -> None:
        """Make uv warn that it skipped a member whose path lies outside the wheel's folder."""
        self._unsafe[wheel.sha256] = member

    # --- as the daemon calls it ---

    def run(
        self,
        *arguments: str | Path,
        variables: Mapping[str, str] | None = None,
        configuration: str | None = None,
    ) -> UvOutput:
        """Make a virtual environment, install from the cache, or show where the cache keeps an index."""
        words = self._read_words(arguments)
        cache = Path((variables or {}).get("UV_CACHE_DIR", self.prefix.uv_cache))
        if words[:2] == ["python", "find"]:
            raise IndexAccessError("no interpreter of the system")
        if words[0] == "venv":
            self._make_venv(Path(words[-1]), Path(_option(words, "--python")))
        elif cache != self.prefix.uv_cache:
            self._keep_probe(cache, configuration or "")
        else:
            self.before_install(variables or {})
            self._install(words)
        return UvOutput("", "")

    def reach(
        self,
        *arguments: str | Path,
        index_url: str | None = None,  # noqa: ARG002 (as uv's)
        variables: Mapping[str, str] | None = None,  # noqa: ARG002 (as uv's)
        log: Path | None = None,
        received: Callable[[int], None] | None = None,
    ) -> UvOutput:
        """Download wheels into the cache, or install from a folder's wheels that are in the cache."""
        words = self._read_words(arguments)
        if "--offline" in words:
            self._install(words)
            return UvOutput("", "")
        wanted = _requirements(words)
        self.asked.append(sorted(wanted.values()))
        if "--refresh-package" in words:
            self.before_refresh()
        _raise_for(wanted, self._refused)
        if received is not None and self.reports_bytes:
            received(sum(self._served[sha256].size_bytes for sha256 in wanted if sha256 in self._served))
        for sha256, name in wanted.items():
            if sha256 not in self._served:
                raise IndexAccessError(f"no {name} on the index")
            if sha256 not in self._unkept:
                self._fake.unpack(self._served[sha256], self.after.get("unpack", bool))
            if sha256 in self._unsafe and log is not None:
                with log.open("a") as file:
                    file.write(f"WARN Skipping unsafe file name: {self._unsafe[sha256]}\n")
        _raise_for(wanted, self._late)
        return UvOutput("", "")

    # --- what it does ---

    def _read_words(self, arguments: tuple[str | Path, ...]) -> list[str]:
        words = [str(word) for word in arguments]
        self.calls.append(words)
        return words

    def _make_venv(self, tree: Path, python: Path) -> None:
        packages = tree / "lib" / f"python{PYTHON}" / "site-packages"
        packages.mkdir(parents=True)
        (tree / "bin").mkdir()
        (tree / "bin/python").symlink_to(python)
        (tree / "bin/python3").symlink_to("python")
        (tree / "bin/activate").write_text("# activates\n")
        (tree / "pyvenv.cfg").write_text(
            f"home = {python.parent}\nversion_info = {PYTHON}\nrelocatable = true\n"
        )
        (packages / "_virtualenv.py").write_text("# of uv\n")
        self.after.get("venv", bool)(tree)

    def _install(self, words: list[str]) -> None:
        tree = Path(_option(words, "--python")).parent.parent
        for sha256, name in _requirements(words).items():
            archive = self.prefix.uv_cache / "archive-v0" / sha256[:20]
            if not archive.is_dir():
                raise IndexAccessError(f"no {name} in the cache")
            _spread(archive, tree, name, copy=self.link_mode == "copy")
        (tree / ".lock").touch()
        self.after.get("install", bool)(tree)

    def _keep_probe(self, cache: Path, configuration: str) -> None:
        url = tomllib.loads(configuration)["index"][0]["url"]
        folder = cache / "wheels-v8" / "index" / hashlib.sha256(url.encode()).hexdigest()[:16] / _PROBE
        folder.mkdir(parents=True)
        (folder / "1-py3-none-any.http").touch()


def _raise_for(wanted: Iterable[str], errors: Mapping[str, MonobaseError]) -> None:
    error = next((errors[sha256] for sha256 in wanted if sha256 in errors), None)
    if error is not None:
        raise error


def _option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


def _requirements(words: list[str]) -> dict[str, str]:
    found = _REQUIREMENT.finditer(Path(_option(words, "-r")).read_text())
    return {item["sha256"]: item["name"].strip() for item in found}


def _spread(archive: Path, tree: Path, name: str, *, copy: bool) -> None:
    """Install an unpacked wheel according to the binary distribution format."""
    packages = tree / "lib" / f"python{PYTHON}" / "site-packages"
    schemes = {
        "data": tree,
        "headers": tree / f"include/site/python{PYTHON}/{name}",
        "platlib": packages,
        "purelib": packages,
        "scripts": tree / "bin",
    }
    information = next(archive.glob("*.dist-info"))
    data = information.with_suffix(".data")
    for source in (path for path in archive.rglob("*") if path.is_file()):
        if source.parent == information and source.name in WRITTEN_BY_INSTALLERS:
            continue
        target = packages / source.relative_to(archive)
        if source.is_relative_to(data):
            scheme, *rest = source.relative_to(data).parts
            target = schemes[scheme].joinpath(*rest)
        _put(source, target, copy=copy)
    for command, reference in _commands(information).items():
        module, _, function = reference.partition(":")
        (tree / "bin" / command).write_text(f"#!/bin/sh\nfrom {module} import {function}\n{function}()\n")
    installed = packages / information.name
    (installed / "INSTALLER").write_text("uv")
    (installed / "RECORD").write_text(f"{information.name}/INSTALLER,,\n")


def _put(source: Path, target: Path, *, copy: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    content = source.read_bytes()
    if content.startswith(b"#!python"):
        target.write_bytes(b"#!/bin/sh\n" + content.partition(b"\n")[2])
    elif copy:
        shutil.copy2(source, target)
    elif not target.exists():
        os.link(source, target)


def _commands(information: Path) -> dict[str, str]:
    path = information / "entry_points.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = [line.partition(" = ") for line in lines if " = " in line]
    return {command: reference for command, _, reference in pairs}


def fake_interpreter(fake: FakePrefix) -> Interpreter:
    """Return the managed interpreter of a fake prefix."""
    return Interpreter(fake.interpreter / f"bin/python{PYTHON}", PYTHON_FULL, CACHE_TAG, managed=True)


def wanted_tree(fake: FakePrefix, number: int, name: str | None = None) -> Wanted:
    """Return an environment or toolkit of a generation, as a plan wants it; by default, the first."""
    generation = fake.generation(number)
    target = generation.target(name or fake.environment)
    return Wanted(generation, target, fake.catalog.lock(generation, target))
