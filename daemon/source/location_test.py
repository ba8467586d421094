"""The locations of sources."""

import pytest

from daemon.source.location import Location, parse_location


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("index", Location("index", "index")),
        ("file:///mnt/mirror/", Location("file", "file:///mnt/mirror", "/mnt/mirror")),
        ("file:///a%20b", Location("file", "file:///a b", "/a b")),
        ("https://m.example/a", Location("http", "https://m.example/a/", "https://m.example/a/")),
        (
            "http://me:s%40cret@m.example:81/",
            Location("http", "http://m.example:81/", "http://m.example:81/", user="me", password="s@cret"),
        ),
        (
            "oci://r.example/team/wheels",
            Location("oci", "oci://r.example/team/wheels", "https://r.example", "team/wheels"),
        ),
        (
            "oci://localhost:5000/w",
            Location("oci", "oci://localhost:5000/w", "https://localhost:5000", "w", may_be_plain=True),
        ),
        ("HTTPS://M.example/p\u00e4", Location("http", "https://m.example/p%C3%A4/", "https://m.example/p%C3%A4/")),
        ("https://m.example/a%20b~c", Location("http", "https://m.example/a%20b~c/", "https://m.example/a%20b~c/")),
        ("oci+http://r.example/w", Location("oci", "oci+http://r.example/w", "http://r.example", "w")),
        (
            "oci://docker.io/me/w",
            Location("oci", "oci://registry-1.docker.io/me/w", "https://registry-1.docker.io", "me/w"),
        ),
        (
            "oci://[::1]:5000/w",
            Location("oci", "oci://[::1]:5000/w", "https://[::1]:5000", "w", may_be_plain=True),
        ),
    ],
)  # fmt: skip
def test_a_location_is_read(text: str, expected: Location) -> None:
    assert parse_location(text) == expected


def test_both_names_of_docker_hub_are_one() -> None:
    assert parse_location("oci://index.docker.io/me/w") == parse_location("oci://docker.io/me/w")


def test_docker_hub_has_another_name_in_dockers_configuration() -> None:
    assert parse_location("oci://docker.io/me/w").credentials_key == "https://index.docker.io/v1/"
    assert parse_location("oci://r.example:5000/w").credentials_key == "r.example:5000"


@pytest.mark.parametrize(
    "text",
    [
        "", "mirror", "ftp://m.example/", "oci://r.example", "oci://r.example/Team", "oci://r.example/w:tag",
        "https://", "https://m.example:99999/", "https://m.example/?a=b", "file://host/folder",
        "file:relative", "https://m.example/a b", "oci:///w", "https://m.example/a@b",
        "https://a..b/", f"https://{'a' * 64}.example/", "https://m\\x/", "https://m<x/",
    ],
)  # fmt: skip
def test_what_is_no_source_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"source|has|names|is not"):
        parse_location(text)


@pytest.mark.parametrize("end", [":v1", "@sha256:" + "0" * 64, ":v1@sha256:" + "0" * 64])
def test_a_tag_or_a_digest_is_to_be_left_out(end: str) -> None:
    with pytest.raises(ValueError, match="has a tag or a digest; leave it out"):
        parse_location(f"oci://r.example:5000/team/w{end}")


def test_a_refused_location_shows_no_password() -> None:
    with pytest.raises(ValueError, match=r"\*\*\*|r.example") as caught:
        parse_location("oci://me:secretword@r.example/UPPER")
    assert "secretword" not in str(caught.value)
