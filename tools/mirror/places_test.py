"""The places that the options name."""

import click
import pytest

from tools.mirror.places import Place, parse_place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("index", Place("index", "")),
        ("oci://r.example/team/wheels", Place("registry", "r.example/team/wheels")),
        ("oci+http://r.example/wheels/", Place("registry", "r.example/wheels", plain=True)),
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
