"""Provides uv's managed interpreters: uv says where an archive is, and whether it is the right one."""

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec
import uv

from gens.errors import MonobaseError
from gens.mirror_shape import InterpreterConfig, archive_type, interpreter_path
from image.errors import TransientError
from image.registry.patience import persist
from tools.mirror.blob_part import BlobPart
from tools.mirror.durable_file import locked_file
from tools.mirror.errors import InterpreterError
from tools.mirror.receive import Supply
from tools.mirror.spool import Spool
from tools.mirror.wanted import Item
from tools.mirror.web import Web, shown

# uv replaces the beginning of a URL by its mirror: so it says which part of the URL a mirror needs.
_MARK = "http://mirror.invalid"
_LIST_VARIABLE = "UV_PYTHON_DOWNLOADS_JSON_URL"
_MIRROR_VARIABLE = "UV_PYTHON_INSTALL_MIRROR"
_REMEDY = (
    f"name a mirror in {_MIRROR_VARIABLE}, or another mirror with --from; or leave interpreters out with "
    "--no-interpreters"
)


@dataclass(frozen=True, slots=True)
class Download:
    """An interpreter that uv can install.

    Attributes:
        key: Its key in uv, such as `cpython-3.12.12-linux-x86_64-gnu`.
        path: Path of its archive below a mirror, without percent-encoding.
        url: Where uv downloads it from on this machine.
    """

    key: str
    path: str
    url: str


class _Listed(msgspec.Struct):
    key: str
    url: str | None = None


def interpreter_key(version: str, machine: str) -> str:
    """Return the key of the interpreter that the daemon installs for a version on a machine."""
    return f"cpython-{version}-linux-{machine}-gnu"


def find_downloads(
    pythons: Iterable[tuple[str, str]], environment: Mapping[str, str] = os.environ
) -> tuple[dict[str, Download], dict[str, MonobaseError]]:
    """Ask uv for the archives of interpreters.

    Args:
        pythons: Version and machine of each.
        environment: Environment variables of the caller, which may name mirrors and a list of downloads.

    Returns:
        The downloads by their keys, and why others cannot be installed.

    Raises:
        InterpreterError: uv does not answer, for example as the list of downloads cannot be read.
    """
    marked = _list({**environment, _MIRROR_VARIABLE: _MARK})
    urls = _list(environment)
    found: dict[str, Download] = {}
    failures: dict[str, MonobaseError] = {}
    for version, machine in pythons:
        key = interpreter_key(version, machine)
        url = marked.get(key)
        if url is None or key not in urls:
            failures[key] = InterpreterError(
                f"{key}: this uv cannot install it; update uv (tools/python/requirements.in), or name a list "
                f"that has it in {_LIST_VARIABLE}"
            )
            continue
        # A list of one's own may have archives anywhere: then the last folder stands for the release.
        path = url.removeprefix(f"{_MARK}/") if url.startswith(f"{_MARK}/") else _last_two(url)
        found[key] = Download(key, unquote(path), urls[key])
    return found, failures


class InterpreterSupply:
    """Receives the archives of interpreters, and has uv compare them with its own list.

    Attributes:
        patience: Makes the limit of retries of one archive.
    """

    def __init__(
        self, supply: Supply, web: Web, spool: Spool, environment: Mapping[str, str] = os.environ
    ) -> None:
        """Use sources, and uv's own servers.

        Args:
            supply: The sources, of which some are mirrors.
            web: The connections to where uv downloads from.
            spool: Where archives wait.
            environment: Environment variables for uv.
        """
        self.patience = supply.patience
        self._supply = supply
        self._web = web
        self._spool = spool
        self._environment = environment
        self._offered: dict[str, InterpreterConfig] | None = None
        self._silent_hosts: set[str] = set()

    @contextmanager
    def received(self, download: Download) -> Iterator[tuple[InterpreterConfig, Path]]:
        """Receive an archive, from a mirror among the sources or from where uv downloads it.

        Args:
            download: The interpreter.

        Yields:
            Its digest and size, and the path of its archive, which is removed afterwards.

        Raises:
            InterpreterError: No place has it, or uv refuses it.
            MirrorError: Its path does not fit a mirror.
        """
        archive_type(download.path)
        interpreter_path(download.path)
        offered = self._offers().get(download.key)
        if offered is not None and offered.path == download.path:
            with self._spool.borrowed(item_of(offered), self._supply) as path:
                self._check(download, offered, path)
                yield offered, path
            return
        with self._downloaded(download) as (config, path):
            yield config, path

    def _offers(self) -> dict[str, InterpreterConfig]:
        if self._offered is None:
            found: dict[str, InterpreterConfig] = {}
            for source in reversed(self._supply.sources):
                try:
                    found |= persist(source.interpreters, self.patience())
                except MonobaseError as error:
                    raise InterpreterError(
                        f"{source.name}: its interpreters cannot be read: {error}"
                    ) from error
            self._offered = found
        return self._offered

    @contextmanager
    def _downloaded(self, download: Download) -> Iterator[tuple[InterpreterConfig, Path]]:
        if urlsplit(download.url).netloc in self._silent_hosts:
            # Each would wait as long for the same host.
            raise InterpreterError(
                f"{download.key}: {shown(download.url)}: not tried, as its host failed before; {_REMEDY}"
            )
        # Archives of two versions may have the same name.
        path = self._spool.directory / hashlib.sha256(download.path.encode()).hexdigest()
        with locked_file(path, lambda: None) as file:
            part = BlobPart(file, path)
            self._read(download, part)
            part.sync()
            config = InterpreterConfig(download.key, download.path, part.sha256, part.received_bytes)
            try:
                self._check(download, config, path)
                yield config, path
            finally:
                path.unlink(missing_ok=True)

    def _read(self, download: Download, part: BlobPart) -> None:
        """Read an archive whose size and digest nobody has said."""
        patience = self._supply.patience()
        while True:
            before = part.received_bytes
            try:
                with self._web.open(download.url, part.received_bytes) as stream:
                    if stream.start != part.received_bytes:
                        part.restart()
                    for block in stream.blocks:
                        part.write(block)
            except TransientError as error:
                if part.received_bytes > before:
                    patience.progress()
                try:
                    patience.bear(error)
                except TransientError as last:
                    self._silent_hosts.add(urlsplit(download.url).netloc)
                    raise InterpreterError(f"{download.key}: {last}; {_REMEDY}") from last
            except MonobaseError as error:
                if not before:
                    raise InterpreterError(f"{download.key}: {error}; {_REMEDY}") from error
                part.restart()  # a server answers 416 if a killed run had left the whole archive
            else:
                return

    def _check(self, download: Download, config: InterpreterConfig, path: Path) -> None:
        """Have an archive compared with what uv expects.

        Raises:
            InterpreterError: It is another one.
        """
        listed = self._environment.get(_LIST_VARIABLE)
        if listed:
            expected = self._listed_digest(listed, download)
            if expected not in {"", config.sha256}:
                raise InterpreterError(
                    f"{download.key}: {shown(download.url)} is another archive than {shown(listed)} lists: "
                    f"expected sha256:{expected}, found sha256:{config.sha256}; {_REMEDY}"
                )
            return
        with tempfile.TemporaryDirectory(dir=self._spool.directory) as scratch:
            link = Path(scratch, "mirror", download.path)
            link.parent.mkdir(parents=True)
            link.symlink_to(path.resolve())
            done = _uv(
                ["python", "install", "--no-bin", "--install-dir", f"{scratch}/pythons", download.key],
                {**self._environment, _MIRROR_VARIABLE: Path(scratch, "mirror").as_uri()},
            )
        if done.returncode != 0:
            raise InterpreterError(
                f"{download.key}: uv refuses the archive from {shown(download.url)}: {_said(done)}; {_REMEDY}"
            )

    def _listed_digest(self, listed: str, download: Download) -> str:
        """Return the digest of an archive in a list of downloads; empty if the list has none."""
        try:
            if urlsplit(listed).scheme in {"http", "https"}:
                content, _ = self._web.read(listed)
            else:
                content = Path(unquote(urlsplit(listed).path)).read_bytes()
            return str(json.loads(content)[download.key].get("sha256") or "")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InterpreterError(f"{shown(listed)}: cannot be read as uv's list: {error}") from error


def item_of(config: InterpreterConfig) -> Item:
    """Return the file of an interpreter."""
    return Item(
        config.filename, config.sha256, config.size_bytes, interpreter_path(config.path), users=(config.tag,)
    )


def _list(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the URLs of all interpreters that uv can install, by their keys."""
    options = ("--only-downloads", "--all-versions", "--all-platforms", "--all-arches")
    done = _uv(["python", "list", *options, "--output-format", "json", "--show-urls"], environment)
    try:
        if done.returncode != 0:
            raise ValueError(_said(done))
        listed = msgspec.json.decode(done.stdout, type=list[_Listed])
    except (ValueError, msgspec.MsgspecError) as error:
        raise InterpreterError(
            f"uv does not list its interpreters: {error}; correct {_LIST_VARIABLE}, or leave them out with "
            "--no-interpreters"
        ) from error
    return {entry.key: entry.url for entry in listed if entry.url is not None}


def _uv(arguments: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    # `manual`: a machine that forbids downloads to uv still mirrors them. `/`: no project's configuration.
    return subprocess.run(
        [uv.find_uv_bin(), *arguments],
        cwd="/",
        env={**environment, "UV_PYTHON_DOWNLOADS": "manual", "UV_NO_PROGRESS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def _said(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return "; ".join(line.removeprefix("error: ").removeprefix("cause: ") for line in lines[-4:])


def _last_two(url: str) -> str:
    return "/".join(urlsplit(url).path.split("/")[-2:])
