"""Which packages a list of names needs: answered by apt, in a folder of its own, from the machine's mirror.

apt checks the mirror's Release files against Debian's keyring. Nothing of the machine's own packages counts:
apt sees an empty system.
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
ARCHITECTURE = "amd64"
_KEYRINGS = (
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
)


def resolve(
    layers: Mapping[str, Sequence[str]],
    inputs: str,
    mirrors: Mirrors,
    keyring: Path | None = None,
) -> Lock:
    """Resolve the packages of all layers.

    Args:
        layers: Names by layer, the lowest first.
        inputs: Digest of the list, for the lock.
        mirrors: Where Debian's archive is.
        keyring: The keys that one of must have signed the mirror's Release files; Debian's when None.

    Returns:
        The lock.

    Raises:
        RegistryError: The mirror does not answer, or its signature is wrong.
        ImageError: A name cannot be had, or two contradict each other.
    """
    if mirrors.debian is None:
        raise ImageError(
            "apt's configuration names no Debian mirror; name one in DEBIAN_MIRROR (a URL whose folder dists "
            f"holds {SUITE}), and in DEBIAN_SECURITY_MIRROR that of {SUITE}-security"
        )
    with _private_apt(mirrors.debian, mirrors.security, keyring or _debian_keyring()) as apt:
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
                    f"layer {layer} takes {', '.join(sorted(gone))} away, which a lower layer holds; "
                    "name what it needs instead in the lower layer"
                )
            found[layer] = tuple(package for package in packages if package.name not in below)
            below |= {package.name for package in packages}
        return Lock(apt.suites, ARCHITECTURE, apt.date(), inputs, found)


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
                f"{program} is not here: run this on a Debian or Ubuntu, or with ./bazelw"
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
        # Signed in one file (InRelease) or in two (Release, Release.gpg), as the mirror has it.
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
            "Debian's keyring is not here: install debian-archive-keyring, or run this with ./bazelw"
        )
    return keyring


@contextmanager
def _private_apt(debian: str, security: str | None, keyring: Path) -> Iterator[_Apt]:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        for name in ("lists/partial", "cache/archives/partial", "etc/parts"):
            (root / name).mkdir(parents=True)
        # apt fetches as a user of its own where there is one, who has to get here under any umask.
        for path in (root, *root.rglob("*")):
            path.chmod(0o755)
        (root / "status").touch()
        sources = [(debian, SUITE), (debian, f"{SUITE}-updates")]
        if security is not None:
            sources.append((security, f"{SUITE}-security"))
        (root / "etc" / "sources.list").write_text(
            "".join(f"deb [signed-by={keyring}] {uri} {suite} main\n" for uri, suite in sources)
        )
        (root / "apt.conf").write_text(
            f'Dir::Etc "{root}/etc"; Dir::Etc::sourceparts "parts"; Dir::Etc::parts "parts";\n'
            f'Dir::State::lists "{root}/lists"; Dir::State::status "{root}/status";\n'
            f'Dir::State "{root}"; Dir::Cache "{root}/cache";\n'
            f'APT::Architecture "{ARCHITECTURE}"; APT::Architectures {{ "{ARCHITECTURE}"; }};\n'
            # A mirror may keep an old state on purpose; the signature is checked all the same.
            'Acquire::Check-Valid-Until "false"; Acquire::Languages "none"; Acquire::Retries "3";\n'
        )
        yield _Apt(root, tuple(suite for _, suite in sources))
