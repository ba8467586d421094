"""Where Debian's archive is: what variables name, or the machine's apt configuration, or debootstrap.

As a program it answers with JSON, for `debian.bzl`; so it needs nothing but Python's own library.
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
# Where apt knows no Debian, as on Ubuntu, debootstrap may: its scripts have a default.
_SCRIPT = Path("/usr/share/debootstrap/scripts/sid")
_DEFAULT = re.compile(r"^default_mirror (?P<uri>\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Where Debian's archive is.

    Attributes:
        debian: URL of the folder that holds `dists` and `pool`; None when nothing names one.
        security: The same of the security archive.
    """

    debian: str | None
    security: str | None


def find_mirrors(variables: Mapping[str, str]) -> Mirrors:
    """Find the mirrors.

    Args:
        variables: Environment variables; `DEBIAN_MIRROR` and `DEBIAN_SECURITY_MIRROR` count.

    Returns:
        The mirrors.
    """
    debian = variables.get("DEBIAN_MIRROR", "").rstrip("/") or None
    security = variables.get("DEBIAN_SECURITY_MIRROR", "").rstrip("/") or None
    known = Mirrors(debian, security)
    found = known if debian and security else find_in_apt(_print_uris(), known)
    return found if found.debian else replace(found, debian=_default_of_debootstrap())


def find_in_apt(uris: str, known: Mirrors = Mirrors(None, None)) -> Mirrors:
    """Find the mirrors in what `apt-get --print-uris update` prints.

    Args:
        uris: Its lines; repositories that are not Debian's are passed over.
        known: Mirrors that are known already, and are kept.

    Returns:
        The mirrors.
    """
    by_kind: dict[str | None, str] = {}
    for line in uris.splitlines():
        found = _TARGET.match(line)
        if found is not None:
            by_kind.setdefault(found["kind"], found["uri"])
    # A vendor's repository may have suites of Debian's names, but none for Debian's updates.
    debian = known.debian or by_kind.get("-updates") or by_kind.get(None)
    return Mirrors(debian, known.security or by_kind.get("-security"))


def _print_uris() -> str:
    command = ["apt-get", "--print-uris", "update"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""  # no apt here: variables are the only way


def _default_of_debootstrap() -> str | None:
    try:
        found = _DEFAULT.search(_SCRIPT.read_text())
    except OSError:
        return None
    return found["uri"].rstrip("/") if found is not None else None


if __name__ == "__main__":
    print(json.dumps(asdict(find_mirrors(os.environ))))
