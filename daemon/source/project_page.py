"""The page of a project on one of Monobase's indexes (PEP 691)."""

import json

from gens.lock import LockedWheel

CONTENT_TYPE = "application/vnd.pypi.simple.v1+json"


def project_page(wheel: LockedWheel, url: str) -> bytes:
    """Return the page of a project that lists one wheel.

    Args:
        wheel: The wheel.
        url: Where it is served.
    """
    file = {
        "filename": wheel.filename,
        "url": url,
        "hashes": {"sha256": wheel.sha256},
        "size": wheel.size_bytes,
    }
    page = {"meta": {"api-version": "1.1"}, "name": wheel.name, "versions": [wheel.version], "files": [file]}
    return json.dumps(page).encode()
