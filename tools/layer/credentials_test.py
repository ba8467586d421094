"""A lock and a message show no credential of a URL."""

import pytest

from tools.layer.credentials import without_credentials


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:secret@host.example/x.git@main", "https://host.example/x.git@main"),
        ("https://me:pass@word@host.example/x", "https://host.example/x"),
        ("https://host.example/x@1?y=me@z", "https://host.example/x@1?***"),
        ("https://me:pass#wo?rd@host.example/x and https://a@b", "https://host.example/x and https://b"),
        ("ssh://git@host.example/x", "ssh://git@host.example/x"),
        ("git+ssh://git:secret@host.example/x.git@v1", "git+ssh://git@host.example/x.git@v1"),
        ("https://me:pa/ss@host.example/x", "https://host.example/x"),
        ("https://host.example:8443/x.git@main", "https://host.example:8443/x.git@main"),
        (
            "https://h.example/x?token=secret&ref=a#sha256=00",
            "https://h.example/x?***#sha256=00",
        ),
        ("me:secret@host.example/simple", "***@host.example/simple"),
        ("x @ htps:/me:secret@host.example/x", "x @ htps:/***@host.example/x"),
        ("a.in:2: git@host.example:x.git", "a.in:2: git@host.example:x.git"),
        ("https://h.example/x?secret#token=secret", "https://h.example/x?***#***"),
    ],
)
def test_no_part_of_a_password_is_shown(text: str, shown: str) -> None:
    assert without_credentials(text) == shown
