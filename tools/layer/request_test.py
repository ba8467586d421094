"""Requests of authors: what a lock and a message show of them."""

import pytest

from tools.layer.request import without_credentials


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:secret@host.example/x.git@main", "https://host.example/x.git@main"),
        ("https://me:pass@word@host.example/x", "https://host.example/x"),
        ("https://host.example/x@1?y=me@z", "https://host.example/x@1?y=me@z"),
        ("https://me:pass#wo?rd@host.example/x and https://a@b", "https://host.example/x and https://b"),
        ("ssh://git@host.example/x", "ssh://git@host.example/x"),
    ],
)
def test_no_part_of_a_password_is_shown(text: str, shown: str) -> None:
    assert without_credentials(text) == shown
