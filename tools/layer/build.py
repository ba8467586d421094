"""Makes wheels of requirements that are on no index: from Git, a path, a URL or a source distribution."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from gens.errors import ResolutionError
from tools.layer.credentials import safe_text, without_credentials
from tools.layer.errors import BuildError
from tools.layer.request import Source, is_archive
from tools.layer.source_digest import file_digest, path_label
from tools.layer.wheel_file import check_tags, normalize
from tools.locking.uv_program import Resolver

_TIMEOUT_S = 60
_SHOWN_LINES = 40
_CHUNK_BYTES = 1 << 20
# Without it, a server may compress what the digest is of.
_AS_IT_IS = {"Accept-Encoding": "identity"}
# Of the copy that is built: the version of some projects comes from Git.
_NOT_COPIED = shutil.ignore_patterns(
    ".venv", "venv", ".tox", ".nox", "__pycache__", "*_cache", "build", "dist", "*.egg-info"
)
# The earliest date of a member of a wheel.
_EPOCH = "315532800"


@dataclass(frozen=True, slots=True)
class Builder:
    """Makes wheels for one target.

    Attributes:
        resolver: The uv that builds.
        python: Full version of the target's interpreter.
        platform: Platform in uv's words.
        exclude_newer: Time bound of the build's own requirements.
        lock_folder: Folder that paths in the lock are relative to.
        folder: An empty folder, for the wheels and all else.
        say: Called with what is done.
    """

    resolver: Resolver
    python: str
    platform: str
    exclude_newer: str
    lock_folder: Path
    folder: Path
    say: Callable[[str], None]

    def make(self, source: Source, what: str) -> tuple[Path, str]:
        """Make the wheel of a source.

        Args:
            source: The source.
            what: What asks for it, for messages.

        Returns:
            The wheel, and the source in the words of a lock.

        Raises:
            BuildError: It cannot be fetched or built, or the wheel does not run on the target.
            ResolutionError: A server did not answer.
        """
        if source.kind == "git":
            return self._from_git(source, what)
        if source.kind == "url":
            return self._from_url(source, what)
        return self._from_path(source, what)

    def make_from_sdist(self, url: str, filename: str, sha256: str | None, what: str) -> tuple[Path, str]:
        """Make the wheel of a source distribution of an index.

        Args:
            url: URL of the source distribution.
            filename: Its file name.
            sha256: Its digest, or None if the index states none.
            what: What asks for it, for messages.

        Returns:
            The wheel, and the source in the words of a lock.

        Raises:
            BuildError: It cannot be built, or the wheel does not run on the target.
            ResolutionError: The index did not answer.
        """
        path = self._download(url, filename, sha256, what)
        try:
            wheel = self._build(path, what)
        except BuildError as error:
            minor = ".".join(self.python.split(".")[:2])
            raise BuildError(
                f"{what} has no wheel for Python {minor} on {self.platform}, and its source distribution "
                f"does not build here; ask for a version with a wheel, or name another environment\n{error}"
            ) from error
        return wheel, f"{filename} sha256:{file_digest(path)}"

    def _from_path(self, source: Source, what: str) -> tuple[Path, str]:
        path = Path(source.location)
        label = path_label(path, self.lock_folder)
        if path.suffix == ".whl":
            return self._taken(path, what), label
        if path.is_file():
            return self._build(path, what), label
        copy = self._place() / path.name
        shutil.copytree(path, copy, symlinks=True, ignore=_NOT_COPIED)
        return self._build(copy / (source.subdirectory or ""), what), label

    def _from_url(self, source: Source, what: str) -> tuple[Path, str]:
        filename = unquote(urlsplit(source.location).path.rpartition("/")[2])
        if not filename.endswith(".whl") and not is_archive(filename):
            raise BuildError(
                f"{what}: is neither a wheel nor a source distribution; for a repository write git+https://…"
            )
        path = self._download(source.location, filename, source.sha256, what)
        label = f"{without_credentials(source.location)} sha256:{file_digest(path)}"
        if path.suffix == ".whl":
            return self._taken(path, what), label
        return self._build(path, what), label

    def _from_git(self, source: Source, what: str) -> tuple[Path, str]:
        clone = self._place() / "source"
        self.say(f"cloning {without_credentials(source.location)}")
        self._git(what, "clone", "--quiet", source.location, str(clone))
        if source.revision is not None:
            self._git(what, "-C", str(clone), "checkout", "--quiet", source.revision)
        self._git(what, "-C", str(clone), "submodule", "--quiet", "update", "--init", "--recursive")
        commit = self._git(what, "-C", str(clone), "rev-parse", "HEAD").strip()
        within = f"#subdirectory={source.subdirectory}" if source.subdirectory else ""
        label = f"git+{without_credentials(source.location)}@{commit}{within}"
        return self._build(clone / (source.subdirectory or ""), what), label

    def _git(self, what: str, *arguments: str) -> str:
        try:
            process = subprocess.run(
                ["git", *arguments],  # noqa: S607 (the author's own, from the PATH)
                env=os.environ | {"GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1"},
                capture_output=True,
                text=True,
                check=False,
            )
        except OSError as error:
            raise BuildError(f"{what}: git cannot be run: {error}; install git") from error
        if process.returncode != 0:
            said = process.stderr.strip()
            raise BuildError(f"{what}: git failed: {said}")
        return process.stdout

    def _download(self, url: str, filename: str, sha256: str | None, what: str) -> Path:
        shown = without_credentials(url)
        # The server of an index chooses the name, and `%2F` of a URL is a slash here.
        if "/" in filename or not filename.isprintable():
            raise BuildError(
                f"{what}: {shown}: {filename!r} is not the name of a file; name another URL or index"
            )
        path = self._place() / filename
        self.say(f"downloading {shown}")
        # Imported here: most locks download nothing, and it takes a fifth of the time of all imports.
        import requests  # noqa: PLC0415

        try:
            # It sends the user and password of a URL, or those of .netrc.
            with (
                requests.get(url, stream=True, timeout=_TIMEOUT_S, headers=_AS_IT_IS) as answer,
                path.open("wb") as file,
            ):
                answer.raise_for_status()
                for chunk in answer.iter_content(_CHUNK_BYTES):
                    file.write(chunk)
        except (OSError, requests.RequestException) as error:
            reason = safe_text(str(error).partition(" for url: ")[0])
            raise ResolutionError(f"{_with_url(what, shown)}: cannot be downloaded: {reason}") from error
        found = file_digest(path)
        if sha256 not in (None, found):
            raise BuildError(f"{_with_url(what, shown)}: expected sha256:{sha256}, found sha256:{found}")
        return path

    def _taken(self, path: Path, what: str) -> Path:
        check_tags(path, self.python, self.platform, what)
        copy = self._place() / path.name
        shutil.copyfile(path, copy)
        return copy

    def _build(self, source: Path, what: str) -> Path:
        out = self._place()
        self.say(f"building {what}")
        environment = dict(self.resolver.environment)
        if self.resolver.default_index is not None:
            environment["UV_DEFAULT_INDEX"] = self.resolver.default_index
        environment |= {
            "SOURCE_DATE_EPOCH": _EPOCH,
            "PYTHONHASHSEED": "0",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }
        command = [
            self.resolver.program,
            "build",
            "--wheel",
            "--no-progress",
            "--out-dir",
            str(out),
        ]
        command += ["--python", self._interpreter(), "--exclude-newer", self.exclude_newer, str(source)]
        process = subprocess.run(
            command, cwd=out, env=environment, capture_output=True, text=True, check=False, umask=0o022
        )
        wheels = list(out.glob("*.whl"))
        if process.returncode != 0 or len(wheels) != 1:
            lines = [*process.stdout.splitlines(), *process.stderr.splitlines()][-_SHOWN_LINES:]
            said = "\n".join(f"    {line}" for line in lines if line.strip()).replace(str(source), "SOURCE")
            raise BuildError(f"{what}: does not build to a wheel; uv says:\n{said}")
        check_tags(wheels[0], self.python, self.platform, what)
        normalize(wheels[0])
        return wheels[0]

    def _interpreter(self) -> str:
        """Return a Python of the target's minor version, or this one, which can build pure wheels."""
        minor = ".".join(self.python.split(".")[:2])
        process = subprocess.run(
            [self.resolver.program, "python", "find", "--no-project", minor],
            cwd=self.folder,
            env=dict(self.resolver.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        return process.stdout.strip() if process.returncode == 0 else sys.executable

    def _place(self) -> Path:
        """Return a new empty folder."""
        number = sum(1 for _ in self.folder.iterdir())
        place = self.folder / str(number)
        place.mkdir()
        return place


def _with_url(what: str, url: str) -> str:
    """Return what asks for a file, with the URL of the file if it does not name it."""
    return what if url in what else f"{what}: {url}"
