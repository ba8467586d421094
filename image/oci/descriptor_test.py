import hashlib
from pathlib import Path
from typing import Any

import pytest

from image.errors import ImageError
from image.oci.descriptor import CONFIG, Descriptor, descriptor_of, parse_descriptor

PATH = Path("index.json")
DIGEST = f"sha256:{'a' * 64}"


def test_a_blob_is_described_by_its_content() -> None:
    content = b"{}"
    assert descriptor_of(CONFIG, content) == Descriptor(
        CONFIG, f"sha256:{hashlib.sha256(content).hexdigest()}", 2
    )


@pytest.mark.parametrize("annotations", [{}, {"org.opencontainers.image.ref.name": "latest"}])
def test_a_descriptor_is_read_as_it_was_written(annotations: dict[str, str]) -> None:
    descriptor = Descriptor(CONFIG, DIGEST, 7, annotations)
    assert parse_descriptor(descriptor.to_json(), PATH) == descriptor


def test_no_annotations_are_left_out() -> None:
    assert Descriptor(CONFIG, DIGEST, 7).to_json() == {"mediaType": CONFIG, "digest": DIGEST, "size": 7}


def test_what_the_specification_adds_is_passed_over() -> None:
    found = Descriptor(CONFIG, DIGEST, 7).to_json() | {"urls": [], "artifactType": "x"}
    assert parse_descriptor(found, PATH).digest == DIGEST


@pytest.mark.parametrize(
    "wrong",
    [
        {"digest": "sha256:../../../etc/passwd"},
        {"digest": f"sha256:{'A' * 64}"},
        {"digest": f"sha512:{'a' * 128}"},
        {"digest": None},
        {"size": "7"},
        {"mediaType": 1},
    ],
)
def test_a_malformed_descriptor_is_refused_with_the_file(wrong: dict[str, Any]) -> None:
    with pytest.raises(ImageError, match=r"^index\.json: .* is not a descriptor: it needs mediaType, digest"):
        parse_descriptor(Descriptor(CONFIG, DIGEST, 7).to_json() | wrong, PATH)


@pytest.mark.parametrize("found", [None, [], "sha256:", {}])
def test_what_is_no_object_is_refused(found: object) -> None:
    with pytest.raises(ImageError, match=r"^index\.json: "):
        parse_descriptor(found, PATH)
