import pytest

from image.sbom.licence import Licence, licence_of, licence_of_debian


@pytest.mark.parametrize(
    ("synopsis", "expression"),
    [
        ("Expat", "MIT"),
        ("GPL-2", "GPL-2.0-only"),
        ("GPL-2+", "GPL-2.0-or-later"),
        ("GPL-2.0+", "GPL-2.0-or-later"),
        ("LGPL-2.1+", "LGPL-2.1-or-later"),
        ("AGPL-3", "AGPL-3.0-only"),
        ("GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"),
        ("GFDL-1.2", "GFDL-1.2-only"),
        ("BSD-3-clause", "BSD-3-Clause"),
        ("zlib", "Zlib"),
        ("GPL-1+ or Artistic", "GPL-1.0-or-later OR Artistic-1.0"),
        ("Expat or\n ISC", "MIT OR ISC"),
    ],
)
def test_a_short_name_of_debian_becomes_what_spdx_calls_it(synopsis: str, expression: str) -> None:
    assert licence_of_debian(synopsis) == Licence(expression, is_spdx=True)


def test_and_binds_closer_than_or_and_a_comma_divides_what_would_bind_closer() -> None:
    assert licence_of_debian("ISC or Expat and Zlib").text == "ISC OR (MIT AND Zlib)"
    assert licence_of_debian("ISC or Expat, and Zlib").text == "(ISC OR MIT) AND Zlib"


@pytest.mark.parametrize(
    "synopsis",
    [
        "public-domain",
        "GPL",
        "GPL-3+ with Bison exception",
        "Expat and Sundry",
        "GPL-9",
        "ISC, or Expat, and Zlib",
    ],
)
def test_what_spdx_has_no_name_for_stays_as_debian_calls_it(synopsis: str) -> None:
    assert licence_of_debian(synopsis) == Licence(synopsis, is_spdx=False)


def test_an_expression_of_a_wheel_is_taken_as_it_is_and_a_text_is_a_name() -> None:
    assert licence_of("mit") == Licence("MIT", is_spdx=True)
    assert licence_of("MIT OR Apache-2.0") == Licence("MIT OR Apache-2.0", is_spdx=True)
    assert licence_of("Apache Software License") == Licence("Apache Software License", is_spdx=False)
