"""Where Debian's archive is: what variables name, or else the machine's apt configuration.

As a program it answers with JSON, for `debian.bzl`; so it needs nothing but Python's own library.
"""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass

_SUITES = r"(?:oldoldstable|oldstable|stable|testing|unstable|sid|bullseye|bookworm|trixie|forky|duke)"
# 'URI/dists/trixie-security/InRelease' FILE SIZE HASH
_TARGET = re.compile(rf"'(?P<uri>[^' ]+?)/+dists/{_SUITES}(?P<kind>-security)?/InRelease'")


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
    return find_in_apt(_print_uris(), Mirrors(debian, security))


def find_in_apt(uris: str, known: Mirrors = Mirrors(None, None)) -> Mirrors:
    """Find the mirrors in what `apt-get --print-uris update` prints.

    Args:
        uris: Its lines; repositories that are not Debian's are passed over.
        known: Mirrors that are known already, and are kept.

    Returns:
        The mirrors.
    """
    debian, security = known.debian, known.security
    for line in uris.splitlines():
        found = _TARGET.match(line)
        if found is None:
            continue
        if found["kind"]:
            security = security or found["uri"]
        else:
            debian = debian or found["uri"]
    return Mirrors(debian, security)


def _print_uris() -> str:
    command = ["apt-get", "--print-uris", "update"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    print(json.dumps(asdict(find_mirrors(os.environ))))
