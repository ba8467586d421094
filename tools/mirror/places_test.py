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
        ("file:///srv/carried.tar", Place("archive", "/srv/carried.tar")),
    ],
)
def test_a_place_is_told_by_its_form(text: str, place: Place) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize("text", ["s3://bucket", "file://host/x", "docker://x/y"])
def test_another_scheme_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is neither"):
        parse_place(text)
