"""The bill of a model's image, compared with what a scanner reads in its layers and with the locks."""

import hashlib
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from gens.lock import parse_lock as parse_base_lock
from image.debian.lock.lock_file import parse_lock
from image.oci.layout import Layout, read_layout
from layers.lock import LayerLock, read_layer_lock

_STATUS = "var/lib/dpkg/status"
_CODE = "opt/model/"


@pytest.fixture(scope="module")
def layout() -> Layout:
    return read_layout(Path(os.environ["IMAGE"]))


@pytest.fixture(scope="module")
def lock() -> LayerLock:
    return read_layer_lock(Path(os.environ["MODEL_LOCK"]))


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(Path(os.environ["BILL"]).read_text())
    return parsed


@pytest.fixture(scope="module")
def files(layout: Layout) -> dict[str, bytes]:
    """Return dpkg's record, the METADATA of wheels, and the model's files, by name."""
    found: dict[str, bytes] = {}
    for blob in layout.layers:
        with tarfile.open(layout.path(blob), mode="r|gz") as archive:
            for member in archive:
                wanted = member.name == _STATUS or member.name.startswith(_CODE)
                wanted = wanted or member.name.endswith(".dist-info/METADATA")
                content = archive.extractfile(member) if member.isreg() and wanted else None
                if content is not None:
                    found[member.name] = content.read()
    return found


def of_kind(bill: dict[str, Any], prefix: str) -> dict[str, dict[str, Any]]:
    return {found["name"]: found for found in bill["components"] if found["bom-ref"].startswith(prefix)}


def test_the_bill_is_valid_cyclonedx_and_that_of_the_image(layout: Layout, bill: dict[str, Any]) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is None
    assert bill["metadata"]["component"]["version"] == layout.manifest.digest
    layers = [item["value"] for item in bill["metadata"]["component"]["properties"]]
    assert layers == sorted(blob.digest for blob in layout.layers)


def test_the_debian_packages_are_those_of_dpkg_and_of_the_lock(
    bill: dict[str, Any], files: dict[str, bytes]
) -> None:
    listed = {name: found["version"] for name, found in of_kind(bill, "pkg:deb/debian/").items()}
    installed = {}
    for stanza in files[_STATUS].decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and line[0] != " ")
        installed[fields["Package"]] = fields["Version"]
    assert listed == installed
    path = Path(os.environ["LOCK"])
    locked = parse_lock(path.read_text(), path).layers
    assert listed == {item.name: item.version for name in ("system", "build") for item in locked[name]}


def test_the_wheels_are_those_that_are_installed_and_locked(
    bill: dict[str, Any], files: dict[str, bytes], lock: LayerLock
) -> None:
    listed = of_kind(bill, "pkg:pypi/")
    metadata = [text.decode().splitlines() for name, text in files.items() if name.endswith("/METADATA")]
    fields = [dict(line.split(": ", 1) for line in lines if ": " in line) for lines in metadata]
    assert {name: found["version"] for name, found in listed.items()} == {
        one["Name"].lower().replace("_", "-"): one["Version"] for one in fields
    }
    digests = {name: found["hashes"][0]["content"] for name, found in listed.items()}
    assert digests == {wheel.name: wheel.sha256 for wheel in lock.wheels}


def test_the_environment_on_the_node_is_that_of_its_lock(bill: dict[str, Any], lock: LayerLock) -> None:
    folder = Path("gens", lock.generation)
    path = folder / ("aarch64" if lock.machine == "aarch64" else "") / f"{lock.environment}.txt"
    listed = of_kind(bill, "node:pkg:pypi/")
    assert {name: found["hashes"][0]["content"] for name, found in listed.items()} == {
        wheel.name: wheel.sha256 for wheel in parse_base_lock(path.read_text(), path).wheels
    }
    (environment,) = of_kind(bill, "monobase-environment@").values()
    assert environment["version"] == f"{lock.generation}/{lock.environment}"
    places = {item["value"] for item in environment["properties"] if item["name"] == "monobase:place"}
    assert places == {"node"}


def test_each_file_of_the_model_is_listed_with_its_digest(
    bill: dict[str, Any], files: dict[str, bytes]
) -> None:
    (model,) = (found for found in bill["components"] if found["bom-ref"] == "model")
    assert {file["name"]: file["hashes"][0]["content"] for file in model["components"]} == {
        f"/{name}": hashlib.sha256(content).hexdigest()
        for name, content in files.items()
        if name.startswith(_CODE)
    }
