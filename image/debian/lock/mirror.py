"""Finds Debian's mirrors: from variables, the machine's apt configuration, or debootstrap's default.

As a program it prints JSON for `debian.bzl`, which can use Python's standard library only.
"""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

_SUITES = r"(?:oldoldstable|oldstable|stable|testing|unstable|sid|bullseye|bookworm|trixie|forky|duke)"
# 'URI/dists/trixie-security/InRelease' FILE SIZE HASH
_TARGET = re.compile(rf"'(?P<uri>[^' ]+?)/+dists/{_SUITES}(?P<kind>-security|-updates)?/InRelease'")
# If apt has no Debian mirror, as on Ubuntu, the scripts of debootstrap name a default.
_SCRIPT = Path("/usr/share/debootstrap/scripts/sid")
_DEFAULT = re.compile(r"^default_mirror (?P<uri>\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mirrors:
    """The mirrors of Debian's archives.

    Attributes:
        debian: URL of the folder that holds `dists` and `pool`; None if none was found.
        security: The same for the security archive.
        snapshot: URL of a snapshot service, below which `debian/DATE` and `debian-security/DATE` are the
            archives of a date; None if none is named.
    """

    debian: str | None
    security: str | None
    snapshot: str | None = None


def find_mirrors(variables: Mapping[str, str]) -> Mirrors:
    """Return the mirrors.

    Args:
        variables: Environment variables, of which `DEBIAN_MIRROR`, `DEBIAN_SECURITY_MIRROR` and
            `DEBIAN_SNAPSHOT` are read.

    Returns:
        The mirrors.
    """
    debian = variables.get("DEBIAN_MIRROR", "").rstrip("/") or None
    security = variables.get("DEBIAN_SECURITY_MIRROR", "").rstrip("/") or None
    snapshot = variables.get("DEBIAN_SNAPSHOT", "").rstrip("/") or None
    known = Mirrors(debian, security, snapshot)
    found = known if debian and security else find_in_apt(_print_uris(), known)
    return found if found.debian else replace(found, debian=_default_of_debootstrap())


def find_in_apt(uris: str, known: Mirrors = Mirrors(None, None)) -> Mirrors:
    """Return the mirrors in the output of `apt-get --print-uris update`.

    Args:
        uris: The output; repositories that are not Debian's are ignored.
        known: Mirrors that are known already; they are returned unchanged.

    Returns:
        The mirrors.
    """
    by_kind: dict[str | None, str] = {}
    for line in uris.splitlines():
        found = _TARGET.match(line)
        if found is not None:
            by_kind.setdefault(found["kind"], found["uri"])
    # A vendor's repository may use Debian's names of suites, but has no suite for Debian's updates.
    debian = known.debian or by_kind.get("-updates") or by_kind.get(None)
    return replace(known, debian=debian, security=known.security or by_kind.get("-security"))


def _print_uris() -> str:
    command = ["apt-get", "--print-uris", "update"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""  # no apt: only variables can name a mirror


def _default_of_debootstrap() -> str | None:
    try:
        found = _DEFAULT.search(_SCRIPT.read_text())
    except OSError:
        return None
    return found["uri"].rstrip("/") if found is not None else None


if __name__ == "__main__":
    print(json.dumps(asdict(find_mirrors(os.environ))))
