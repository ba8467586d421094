import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.validation.json import JsonStrictValidator

from image.debian.lock.lock_file import Lock, LockedPackage
from image.errors import ImageError
from image.sbom.bill import SCHEMA_VERSION, format_bill, make_bill
from image.sbom.contents import read_contents
from image.sbom.node_environment import NodeEnvironment, NodePackage
from image.sbom.sample_image import DAEMON, sample_layers, write_image

VERSIONS = {"libc6": "2.41-12+deb13u5", "bsdutils": "1:2.41.5-0+deb13u1", "g++": "4:14.2.0-1"}
WHEELS = {("sample-wheel", "1.0"): "c" * 64, ("needed-wheel", "2.0"): "d" * 64}
LIBC = "pkg:deb/debian/libc6@2.41-12%2Bdeb13u5?arch=amd64&distro=debian-13&upstream=glibc"


def lock(versions: dict[str, str]) -> Lock:
    packages = tuple(
        LockedPackage(name, version, f"pool/{name}.deb", 1, f"{number:064x}")
        for number, (name, version) in enumerate(versions.items())
    )
    return Lock(("trixie",), "amd64", "2026-11-22T02:09:05Z", "sha256:", {"system": packages})


def bill_text(directory: Path, layers: list[dict[str, bytes | str]]) -> str:
    return format_bill(make_bill(read_contents(write_image(directory, layers)), lock(VERSIONS), WHEELS))


def components(bill: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {component["name"]: component for component in bill["components"]}


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(bill_text(tmp_path_factory.mktemp("bill") / "image", sample_layers()))
    return parsed


def test_the_bill_is_valid_cyclonedx(bill: dict[str, Any]) -> None:
    assert JsonStrictValidator(SCHEMA_VERSION).validate_str(json.dumps(bill)) is None


def test_the_validator_does_refuse_a_bill_that_is_not(bill: dict[str, Any]) -> None:
    wrong = bill | {
        "components": [{"type": "library", "name": "a", "licenses": [{"license": {"id": "Expat"}}]}]
    }
    assert JsonStrictValidator(SCHEMA_VERSION).validate_str(json.dumps(wrong)) is not None


def test_the_same_image_gives_the_same_bytes_and_another_one_another_number(tmp_path: Path) -> None:
    texts = [bill_text(tmp_path / name, sample_layers()) for name in ("a", "b")]
    changed = sample_layers()
    changed[-1] = {DAEMON: b"print(1)\n"}
    other = bill_text(tmp_path / "c", changed)
    assert texts[0] == texts[1]
    assert json.loads(texts[0])["serialNumber"] != json.loads(other)["serialNumber"]


def test_the_bill_is_of_the_image_by_its_digest_and_of_its_date(bill: dict[str, Any]) -> None:
    subject = bill["metadata"]["component"]
    assert subject["type"] == "container"
    assert subject["purl"] == f"pkg:oci/sample@{subject['version']}?arch=arm64"
    assert subject["version"] == f"sha256:{subject['hashes'][0]['content']}"
    assert bill["metadata"]["timestamp"] == "2026-11-22T02:09:05+00:00"


def test_a_package_has_its_url_the_digest_of_its_file_its_licences_and_the_layer_that_brought_it(
    bill: dict[str, Any],
) -> None:
    found = components(bill)
    assert found["libc6"]["purl"] == LIBC
    assert found["libc6"]["hashes"] == [{"alg": "SHA-256", "content": f"{0:064x}"}]
    assert [entry["license"]["name"] for entry in found["libc6"]["licenses"]] == [
        "LGPL-2.1",
        "see /usr/share/doc/libc6/copyright",
    ]
    assert found["bsdutils"]["licenses"] == [
        {"acknowledgement": "declared", "expression": "(GPL-2.0-or-later OR Artistic-1.0) AND MIT"}
    ]
    # Its folder of documents is a link to that of another package.
    assert found["g++"]["licenses"][0]["license"]["name"] == "LGPL-2.1"
    assert found["libc6"]["properties"] == found["bsdutils"]["properties"] != found["g++"]["properties"]
    assert "gone" not in found


def test_a_wheel_has_the_digest_of_its_file_and_what_it_says_of_its_licence(bill: dict[str, Any]) -> None:
    found = components(bill)
    assert found["sample-wheel"]["hashes"] == [{"alg": "SHA-256", "content": "c" * 64}]
    assert found["sample-wheel"]["licenses"][0]["expression"] == "MIT OR Apache-2.0"
    assert found["needed-wheel"]["licenses"][0]["license"]["id"] == "MIT"


def test_the_graph_goes_from_the_image_to_all_that_is_in_it(bill: dict[str, Any]) -> None:
    edges = {edge["ref"]: edge.get("dependsOn", []) for edge in bill["dependencies"]}
    assert edges[bill["metadata"]["component"]["bom-ref"]] == ["debian-13", "monobase"]
    assert edges["monobase"] == ["monobase-generation@g00000", "pkg:pypi/sample-wheel@1.0"]
    assert edges["pkg:pypi/sample-wheel@1.0"] == ["pkg:pypi/needed-wheel@2.0"]
    assert LIBC in edges["debian-13"]
    reached, todo = set(), [bill["metadata"]["component"]["bom-ref"]]
    while todo:
        reference = todo.pop()
        if reference not in reached:
            reached.add(reference)
            todo += edges[reference]
    assert {component["bom-ref"] for component in bill["components"]} < reached


def test_each_file_of_ours_is_listed_and_a_generation_holds_its_own(bill: dict[str, Any]) -> None:
    found = components(bill)
    assert [file["name"] for file in found["monobase"]["components"]] == [
        f"/{DAEMON}",
        "/opt/monobase/gens/catalog.py",
    ]
    assert found["monobase-generation"]["version"] == "g00000"
    assert [file["name"] for file in found["monobase-generation"]["components"]] == [
        "/opt/monobase/gens/g00000.json",
        "/opt/monobase/gens/g00000/python3.11.txt",
    ]


NODE = NodeEnvironment(
    "g00003",
    "python3.12",
    "e" * 64,
    (
        NodePackage("torch", "2.13.0", "f" * 64),
        NodePackage("sample-wheel", "1.0", "a" * 64),
        NodePackage("needed-wheel", "1.5", "b" * 64),
    ),
    frozenset({"needed-wheel"}),
)


@pytest.fixture(scope="module")
def model_bill(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The bill of a model: the sample without its wheels as the base, then its wheels, then its code."""
    folder = tmp_path_factory.mktemp("model")
    layers = sample_layers()
    wheels = layers.pop(2)
    base = write_image(folder / "base", layers)
    image = write_image(folder / "image", [*layers, wheels, {"opt/model/server.py": b"print()\n"}])
    bill = make_bill(read_contents(image, base), lock(VERSIONS), WHEELS, NODE)
    assert JsonStrictValidator(SCHEMA_VERSION).validate_str(format_bill(bill)) is None
    parsed: dict[str, Any] = json.loads(format_bill(bill))
    return parsed


def test_the_files_of_a_model_are_not_monobase_s(model_bill: dict[str, Any]) -> None:
    found = components(model_bill)
    assert [file["name"] for file in found["sample"]["components"]] == ["/opt/model/server.py"]
    assert found["sample"]["version"] == found["sample"]["properties"][0]["value"]
    assert f"/{DAEMON}" in [file["name"] for file in found["monobase"]["components"]]


def test_the_bill_of_a_model_has_the_packages_of_its_environment_on_the_node(
    model_bill: dict[str, Any],
) -> None:
    on_node = {
        entry["bom-ref"]: entry
        for entry in model_bill["components"]
        if {"name": "monobase:place", "value": "node"} in entry.get("properties", [])
    }
    assert set(on_node) == {
        "monobase-environment@g00003/python3.12",
        "node:pkg:pypi/torch@2.13.0",
        "node:pkg:pypi/sample-wheel@1.0",
        "node:pkg:pypi/needed-wheel@1.5",
    }
    torch = on_node["node:pkg:pypi/torch@2.13.0"]
    assert (torch["purl"], torch["hashes"][0]["content"]) == ("pkg:pypi/torch@2.13.0", "f" * 64)
    assert on_node["monobase-environment@g00003/python3.12"]["hashes"][0]["content"] == "e" * 64
    scopes = {reference: entry.get("scope") for reference, entry in on_node.items()}
    assert [reference for reference, scope in scopes.items() if scope] == ["node:pkg:pypi/needed-wheel@1.5"]
    assert scopes["node:pkg:pypi/needed-wheel@1.5"] == "excluded"


def test_a_model_depends_on_its_wheels_and_on_its_environment(model_bill: dict[str, Any]) -> None:
    edges = {edge["ref"]: edge.get("dependsOn", []) for edge in model_bill["dependencies"]}
    assert edges[model_bill["metadata"]["component"]["bom-ref"]] == ["debian-13", "model", "monobase"]
    assert edges["model"] == ["monobase-environment@g00003/python3.12", "pkg:pypi/sample-wheel@1.0"]
    assert edges["monobase"] == ["monobase-generation@g00000"]
    assert edges["monobase-environment@g00003/python3.12"] == [
        "node:pkg:pypi/needed-wheel@1.5",
        "node:pkg:pypi/sample-wheel@1.0",
        "node:pkg:pypi/torch@2.13.0",
    ]


def test_an_image_that_is_not_on_top_of_its_base_is_refused(tmp_path: Path) -> None:
    image = write_image(tmp_path / "image", sample_layers())
    base = write_image(tmp_path / "base", sample_layers()[1:])
    with pytest.raises(ImageError, match="does not begin with the layers of"):
        read_contents(image, base)


def test_a_package_that_is_not_locked_is_an_error_that_names_it(tmp_path: Path) -> None:
    contents = read_contents(write_image(tmp_path / "image", sample_layers()))
    with pytest.raises(ImageError, match=r"g\+\+ 4:14\.2\.0-1 in it is not locked"):
        make_bill(contents, lock(VERSIONS | {"g++": "4:14.2.0-2"}), WHEELS)


def test_a_wheel_that_is_not_given_is_an_error_that_names_it(tmp_path: Path) -> None:
    contents = read_contents(write_image(tmp_path / "image", sample_layers()))
    with pytest.raises(ImageError, match=r"needed-wheel 2\.0 in it is not among the wheels"):
        make_bill(contents, lock(VERSIONS), {("sample-wheel", "1.0"): "c" * 64})


def test_a_package_without_a_copyright_file_is_an_error(tmp_path: Path) -> None:
    layers = sample_layers()
    del layers[0]["usr/share/doc/bsdutils/copyright"]
    with pytest.raises(ImageError, match="bsdutils has no /usr/share/doc/bsdutils/copyright"):
        read_contents(write_image(tmp_path / "image", layers))
