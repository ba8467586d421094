import pytest

from image.errors import ImageError
from image.sbom.installed_wheel import parse_wheel, wheel_url
from image.sbom.sample_image import LIBRARY, METADATA

PATH = f"{LIBRARY}/sample_wheel-1.0.dist-info/METADATA"


def test_a_wheel_is_named_by_its_normalized_name_and_version() -> None:
    assert wheel_url(parse_wheel(PATH, METADATA.encode())).to_string() == "pkg:pypi/sample-wheel@1.0"


def test_what_only_extras_or_other_pythons_need_is_not_needed() -> None:
    text = (
        METADATA
        + 'Requires-Dist: colorama; extra == "colours"\nRequires-Dist: old; python_version < "3.13"\n'
    )
    assert parse_wheel(PATH, text.encode()).needs == ("needed-wheel",)


@pytest.mark.parametrize(
    ("fields", "licences"),
    [
        ("License-Expression: MIT OR Apache-2.0\nLicense: BSD\n", ["MIT OR Apache-2.0"]),
        ("License: BSD-3-Clause\nClassifier: License :: OSI Approved :: MIT License\n", ["BSD-3-Clause"]),
        ("License: All the words of it\nClassifier: License :: OSI Approved :: MIT License\n", ["MIT"]),
        ("Classifier: License :: OSI Approved :: Apache Software License\n", ["Apache Software License"]),
        ("Classifier: Topic :: Software\n", []),
    ],
)
def test_the_licence_is_the_expression_or_a_name_or_what_it_is_classified_as(
    fields: str, licences: list[str]
) -> None:
    text = f"Metadata-Version: 2.4\nName: a\nVersion: 1\n{fields}"
    assert [licence.text for licence in parse_wheel(PATH, text.encode()).licences] == licences


def test_metadata_without_a_version_is_an_error() -> None:
    with pytest.raises(ImageError, match="Name or Version is missing"):
        parse_wheel(PATH, b"Metadata-Version: 2.4\nName: a\n")
