"""A Debian archive on loopback: Packages and signed Release files of small packages, served over HTTP.

Its key is made here, for this archive alone.
"""

import hashlib
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.debian.deb import Deb

DATE = "Sat, 14 Nov 2026 10:05:11 UTC"
SUITES = ("trixie", "trixie-updates")
ARCHITECTURES = ("amd64", "arm64")


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as in http.server)
        del format, args


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key of a test.

    Attributes:
        home: gpg's folder.
        keyring: The public key, as apt's `signed-by` takes it.
    """

    home: Path
    keyring: Path

    def sign(self, text: str) -> str:
        """Sign a text in clear."""
        return _gpg(self.home, "--clearsign", stdin=text)


@dataclass(slots=True)
class DebianArchive:
    """An archive.

    Attributes:
        root: Its folder, which holds `dists` and `pool`.
        key: What its Release files are signed with.
        packages: What each suite has.
    """

    root: Path
    key: SigningKey
    packages: dict[str, tuple[Deb, ...]] = field(default_factory=dict)

    def publish(
        self, packages: Sequence[Deb], suite: str = "trixie", date: str = DATE, key: SigningKey | None = None
    ) -> None:
        """Write a suite again.

        Args:
            packages: What it has; those that are not for all architectures are there for each.
            suite: Its name.
            date: The date of its Release file.
            key: What signs it; the archive's own key when None.
        """
        self.packages[suite] = tuple(packages)
        folder = self.root / "dists" / suite
        release = (
            f"Origin: Debian\nLabel: Debian\nSuite: {suite}\nCodename: {suite}\nDate: {date}\n"
            f"Architectures: {' '.join(ARCHITECTURES)}\nComponents: main\nSHA256:\n"
        )
        for architecture in ARCHITECTURES:
            name = f"main/binary-{architecture}/Packages"
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            content = "\n".join(self._stanza(_for(package, architecture)) for package in packages).encode()
            (folder / name).write_bytes(content)
            release += f" {hashlib.sha256(content).hexdigest()} {len(content)} {name}\n"
        (folder / "InRelease").write_text((key or self.key).sign(release))

    def _stanza(self, package: Deb) -> str:
        name = f"{package.name}_{package.version}_{package.architecture}.deb"
        place = f"pool/main/{package.name[0]}/{package.name}/{name}"
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        content = package.write(path.parent).rename(path).read_bytes()
        return package.control + (
            f"Filename: {place}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
        )


def _for(package: Deb, architecture: str) -> Deb:
    return package if package.architecture == "all" else replace(package, architecture=architecture)


@contextmanager
def signing_key() -> Iterator[SigningKey]:
    """Make a key; its folder is gone at the end."""
    # gpg's sockets need a short path, which the folders of Bazel's tests are not.
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="gpg") as directory:
        home = Path(directory)
        options = ("--passphrase", "", "--quick-generate-key", "test@example.org", "ed25519", "sign", "never")
        _gpg(home, *options)
        (home / "keyring.asc").write_text(_gpg(home, "--export"))
        home.chmod(0o755)  # apt's own user reads the keyring
        (home / "keyring.asc").chmod(0o644)
        try:
            yield SigningKey(home, home / "keyring.asc")
        finally:
            stop = ["gpgconf", "--homedir", str(home), "--kill", "all"]
            subprocess.run(stop, check=False, capture_output=True)


@contextmanager
def debian_archive(root: Path, key: SigningKey) -> Iterator[tuple[DebianArchive, str]]:
    """Serve an archive that has no packages yet.

    Args:
        root: Its folder.
        key: What signs it.

    Yields:
        The archive, and its URL.
    """
    archive = DebianArchive(root, key)
    for suite in SUITES:
        archive.publish([], suite)
    with serve_folder(root) as url:
        yield archive, url


@contextmanager
def serve_folder(root: Path) -> Iterator[str]:
    """Serve a folder over HTTP on loopback, and yield its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _gpg(home: Path, *arguments: str, stdin: str | None = None) -> str:
    command = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--armor", "--pinentry-mode", "loopback"]
    done = subprocess.run([*command, *arguments], input=stdin, text=True, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"gpg {arguments[0]} failed: {done.stderr}")
    return done.stdout
