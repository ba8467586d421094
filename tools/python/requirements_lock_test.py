"""Offline tests of the Python lock. What only the index can say, `requirements_test` asks it."""

import re
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

FOLDER = Path("tools/python")
LOCK = (FOLDER / "requirements.txt").read_text()
PINS = {
    canonicalize_name(match[1]): (Version(match[2]), match[3])
    for match in re.finditer(r"^([\w.-]+)==(\S+)((?: \\\n    --hash=\S+)*)", LOCK, re.MULTILINE)
}


def test_every_requirement_is_pinned_to_a_version_that_it_allows() -> None:
    lines = (
        re.sub(r"#.*", "", line).strip() for line in (FOLDER / "requirements.in").read_text().splitlines()
    )
    wanted = [Requirement(line) for line in lines if line]
    assert wanted
    for requirement in wanted:
        version, _ = PINS[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version, prereleases=True), requirement


def test_every_pin_has_a_hash() -> None:
    assert not [name for name, (_, hashes) in PINS.items() if "--hash=sha256:" not in hashes]


def test_nothing_but_pins_hashes_and_comments_stands_in_the_lock() -> None:
    strange = [
        line
        for line in LOCK.splitlines()
        if line and not re.match(r"#|    #|    --hash=sha256:[0-9a-f]{64}( \\)?$|[\w.-]+==\S+ \\$", line)
    ]
    assert not strange
