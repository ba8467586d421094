"""The places that the options name."""

import click
import pytest

from image.oci.reference import parse_repository
from tools.mirror.places import Place, parse_place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("index", Place("index", "")),
        ("oci://r.example/team/wheels", Place("registry", "r.example/team/wheels")),
        ("oci+http://r.example/wheels/", Place("registry", "r.example/wheels", plain=True)),
        ("OCI://registry/wheels", Place("registry", "registry/wheels")),
        ("https://m.example/tree/", Place("web", "https://m.example/tree/")),
        ("/srv/mirror", Place("path", "/srv/mirror")),
        ("file:///srv/mirror", Place("path", "/srv/mirror")),
        ("carried.tar", Place("archive", "carried.tar")),
        ("mirror/g3", Place("path", "mirror/g3")),
        ("./v1.2/mirror", Place("path", "./v1.2/mirror")),
        ("file:///srv/carried.tar", Place("archive", "/srv/carried.tar")),
    ],
)
def test_a_place_is_told_by_its_form(text: str, place: Place) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize("text", ["s3://bucket", "file://host/x", "docker://x/y"])
def test_another_scheme_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is neither"):
        parse_place(text)


@pytest.mark.parametrize("text", ["registry.example/team/wheels", "localhost:5000/wheels", "r:5000/wheels"])
def test_a_repository_without_its_scheme_is_not_taken_for_a_folder(text: str) -> None:
    with pytest.raises(
        click.BadParameter, match=f"write oci://{text} for a registry, or ./{text} for a folder"
    ):
        parse_place(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is a variable empty"),
        (" ", "is a variable empty"),
        ("~/mirror", "begins with ~"),
        ("wheels.tar.gz", "an archive is an uncompressed FILE.tar"),
        ("/srv/wheels.TGZ", "an archive is an uncompressed FILE.tar"),
        ("oci://r.example/wheels:v1", "a mirror has its own tags"),
        ("oci://r.example:5000/wheels@sha256:00", "a mirror has its own tags"),
        ("oci://me:secretword@r.example/wheels", "run `docker login`"),
    ],
)
def test_what_is_no_place_is_refused_with_what_to_do(text: str, words: str) -> None:
    with pytest.raises(click.BadParameter, match=words) as caught:
        parse_place(text)
    assert "secretword" not in caught.value.message


def test_after_oci_a_host_needs_no_dot() -> None:
    place = parse_place("oci+http://registry/team/wheels")
    assert str(parse_repository(place.value, is_short=False)) == "registry/team/wheels"
