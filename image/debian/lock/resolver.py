"""Resolves a list of package names with apt, in a separate folder, from the machine's mirror.

apt checks the mirror's Release files against Debian's keyring. It sees an empty system, without the
packages of this machine.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

from debian.deb822 import Packages

from image.debian.lock.lock_file import Lock, LockedPackage
from image.debian.lock.mirror import Mirrors
from image.errors import ImageError, RegistryError

SUITE = "trixie"
_KEYRINGS = (
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
)


def resolve(
    layers: Mapping[str, Sequence[str]],
    inputs: str,
    mirrors: Mirrors,
    architecture: str = "amd64",
    keyring: Path | None = None,
) -> Lock:
    """Resolve the packages of all layers.

    Args:
        layers: Names by layer, the lowest first.
        inputs: Digest of the list, for the lock.
        mirrors: Debian's mirrors.
        architecture: Debian's name of the packages' architecture; it may be another than this machine's.
        keyring: The keys, one of which must have signed the mirror's Release files; None for Debian's.

    Returns:
        The lock.

    Raises:
        RegistryError: The mirror does not answer, or its signature is wrong.
        ImageError: A package does not exist, or two of them conflict.
    """
    if mirrors.debian is None:
        raise ImageError(
            "apt's configuration names no Debian mirror; name one in DEBIAN_MIRROR (a URL whose folder dists "
            f"holds {SUITE}), and in DEBIAN_SECURITY_MIRROR that of {SUITE}-security"
        )
    with _private_apt(mirrors, architecture, keyring or _debian_keyring()) as apt:
        apt.run("update", "--error-on=any")
        below: set[str] = set()
        wanted: list[str] = []
        found: dict[str, tuple[LockedPackage, ...]] = {}
        for layer, names in layers.items():
            wanted += names
            packages = apt.install(wanted)
            gone = below - {package.name for package in packages}
            if gone:
                raise ImageError(
                    f"layer {layer} removes {', '.join(sorted(gone))}, which a lower layer installs; "
                    "list what replaces it in the lower layer"
                )
            found[layer] = tuple(package for package in packages if package.name not in below)
            below |= {package.name for package in packages}
        return Lock(apt.suites, architecture, apt.date(), inputs, found)


@dataclass(frozen=True, slots=True)
class _Apt:
    root: Path
    suites: tuple[str, ...]

    def run(self, *arguments: str, program: str = "apt-get") -> str:
        environment = {**os.environ, "APT_CONFIG": str(self.root / "apt.conf"), "LC_ALL": "C.UTF-8"}
        try:
            done = subprocess.run(
                [program, *arguments], env=environment, capture_output=True, text=True, check=False
            )
        except FileNotFoundError as error:
            raise ImageError(
                f"{program} is not installed: run this on Debian or Ubuntu, or with ./bazelw"
            ) from error
        if done.returncode != 0:
            said = "\n  ".join(line for line in done.stderr.splitlines() if line.startswith(("E:", "W:")))
            kind = RegistryError if arguments[0] == "update" else ImageError
            raise kind(f"{program} {' '.join(arguments)[:200]} failed:\n  {said or done.stdout[-500:]}")
        return done.stdout

    def install(self, names: Sequence[str]) -> list[LockedPackage]:
        told = self.run("install", "--simulate", "--no-install-recommends", *names)
        # Inst NAME (VERSION Debian:13.5/stable [amd64])
        chosen = [line.split() for line in told.splitlines() if line.startswith("Inst ")]
        asked = [f"{words[1]}={words[2].lstrip('(')}" for words in chosen]
        shown = self.run("show", *asked, program="apt-cache")
        packages = {
            (stanza["Package"], stanza["Version"]): LockedPackage(
                stanza["Package"],
                stanza["Version"],
                stanza["Filename"],
                int(stanza["Size"]),
                stanza["SHA256"],
            )
            for stanza in Packages.iter_paragraphs(shown, use_apt_pkg=False)
        }
        return [packages[words[1], words[2].lstrip("(")] for words in chosen]

    def date(self) -> str:
        # A mirror signs in one file (InRelease) or in two (Release, Release.gpg).
        lines = [
            line
            for path in (self.root / "lists").glob("*Release")
            for line in path.read_text(errors="replace").splitlines()
        ]
        dates = [
            parsedate_to_datetime(line.removeprefix("Date: ")) for line in lines if line.startswith("Date: ")
        ]
        return max(dates).strftime("%Y-%m-%dT%H:%M:%SZ")


def _debian_keyring() -> Path:
    keyring = next((path for path in map(Path, _KEYRINGS) if path.exists()), None)
    if keyring is None:
        raise ImageError(
            "Debian's keyring is not installed: install debian-archive-keyring, or run this with ./bazelw"
        )
    return keyring


@contextmanager
def _private_apt(mirrors: Mirrors, architecture: str, keyring: Path) -> Iterator[_Apt]:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        for name in ("lists/partial", "cache/archives/partial", "etc/parts"):
            (root / name).mkdir(parents=True)
        # apt downloads as the user `_apt` if it exists, who must reach this folder under any umask.
        for path in (root, *root.rglob("*")):
            path.chmod(0o755)
        (root / "status").touch()
        sources = [(mirrors.debian, SUITE), (mirrors.debian, f"{SUITE}-updates")]
        if mirrors.security is not None:
            sources.append((mirrors.security, f"{SUITE}-security"))
        (root / "etc" / "sources.list").write_text(
            "".join(f"deb [signed-by={keyring}] {uri} {suite} main\n" for uri, suite in sources)
        )
        (root / "apt.conf").write_text(
            f'Dir::Etc "{root}/etc"; Dir::Etc::sourceparts "parts"; Dir::Etc::parts "parts";\n'
            f'Dir::State::lists "{root}/lists"; Dir::State::status "{root}/status";\n'
            f'Dir::State "{root}"; Dir::Cache "{root}/cache";\n'
            f'APT::Architecture "{architecture}"; APT::Architectures {{ "{architecture}"; }};\n'
            # A mirror may keep an old state on purpose; apt still checks the signature.
            'Acquire::Check-Valid-Until "false"; Acquire::Languages "none"; Acquire::Retries "3";\n'
        )
        yield _Apt(root, tuple(suite for _, suite in sources))
