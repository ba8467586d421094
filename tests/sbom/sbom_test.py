"""The bills of the real images, compared with what a scanner reads in their layers and with the locks."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from image.debian.lock.lock_file import parse_lock
from image.oci.layout import Layout, read_layout

_STATUS = "var/lib/dpkg/status"


@pytest.fixture(scope="module")
def layout() -> Layout:
    return read_layout(Path(os.environ["IMAGE"]))


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(Path(os.environ["SBOM"]).read_text())
    return parsed


@pytest.fixture(scope="module")
def files(layout: Layout) -> dict[str, bytes]:
    """Return files of the image by name: those outside of Debian's packages, and dpkg's database."""
    found: dict[str, bytes] = {}
    for blob in layout.layers:
        with tarfile.open(layout.path(blob), mode="r|gz") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() and _is_wanted(member.name) else None
                if content is not None:
                    found[member.name] = content.read()
    return found


def _is_wanted(name: str) -> bool:
    # Debian leaves /usr/local/bin to others: to launchers, or to the commands of the daemon's wheels.
    is_launcher = name.startswith("usr/local/bin/") and "python" not in os.environ["LAYERS"].split()
    return name == _STATUS or "/monobase" in f"/{name}" or ".dist-info/" in name or is_launcher


def installed(files: dict[str, bytes]) -> dict[str, str]:
    """Read dpkg's record as a scanner does: name and version of each stanza."""
    versions = {}
    for stanza in files[_STATUS].decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and line[0] != " ")
        versions[fields["Package"]] = fields["Version"]
    return versions


def of_kind(bill: dict[str, Any], prefix: str) -> dict[str, dict[str, Any]]:
    return {found["name"]: found for found in bill["components"] if found.get("purl", "").startswith(prefix)}


def test_the_bill_is_valid_cyclonedx(bill: dict[str, Any]) -> None:
    assert bill["specVersion"] == "1.6"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is None


def test_the_bill_is_that_of_the_image(layout: Layout, bill: dict[str, Any]) -> None:
    assert bill["metadata"]["component"]["version"] == layout.manifest.digest


def test_the_bill_and_the_record_of_dpkg_agree_name_by_name_and_version_by_version(
    bill: dict[str, Any], files: dict[str, bytes]
) -> None:
    listed = {name: found["version"] for name, found in of_kind(bill, "pkg:deb/debian/").items()}
    assert listed == installed(files)
    assert len(listed) > 100


def test_the_packages_are_those_that_the_lock_has_for_the_layers_of_the_image(bill: dict[str, Any]) -> None:
    path = Path(os.environ["LOCK"])
    lock = parse_lock(path.read_text(), path)
    locked = {
        package.name: (package.version, package.sha256)
        for name in os.environ["LAYERS"].split()
        for package in lock.layers[name]
    }
    listed = {
        name: (found["version"], found["hashes"][0]["content"])
        for name, found in of_kind(bill, "pkg:deb/debian/").items()
    }
    assert listed == locked


def test_each_package_has_licences(bill: dict[str, Any]) -> None:
    assert [name for name, found in of_kind(bill, "pkg:").items() if not found.get("licenses")] == []


def test_the_wheels_are_those_that_are_installed(bill: dict[str, Any], files: dict[str, bytes]) -> None:
    metadata = [content.decode() for name, content in files.items() if name.endswith(".dist-info/METADATA")]
    versions = {
        text.split("\nName: ")[1].split("\n")[0].lower().replace("_", "-"): text.split("\nVersion: ")[
            1
        ].split("\n")[0]
        for text in metadata
    }
    assert {name: found["version"] for name, found in of_kind(bill, "pkg:pypi/").items()} == versions
    assert ("uv" in versions) == ("python" in os.environ["LAYERS"].split())


def test_each_file_of_ours_is_listed_once(bill: dict[str, Any], files: dict[str, bytes]) -> None:
    listed = [file["name"] for found in bill["components"] for file in found.get("components", ())]
    ours = [f"/{name}" for name in files if name != _STATUS and ".dist-info/" not in name]
    assert sorted(listed) == sorted(ours)
    assert "/opt/monobase/exec" in ours or "/usr/local/bin/monobase" in ours


def test_making_the_bill_again_gives_the_same_bytes(tmp_path: Path) -> None:
    output = tmp_path / "again.json"
    subprocess.run(
        [
            sys.executable, "-m", "image.sbom.make_sbom", "--image", os.environ["IMAGE"],
            "--lock", os.environ["LOCK"], "--output", output, *os.environ["WHEELS"].split(),
        ],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"},
        check=True,
    )  # fmt: skip
    assert output.read_bytes() == Path(os.environ["SBOM"]).read_bytes()
