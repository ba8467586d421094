"""A lock and a message show no credential of a URL."""

import pytest

from tools.layer.credentials import safe_text, without_credentials


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


@pytest.mark.parametrize("unit", ["x", "a.b-", "a:", "a@", "a://", "a://b:c", "/", "a://b:c@", "?", "%40"])
def test_a_long_word_of_a_build_costs_no_more_than_its_length(unit: str) -> None:
    """A quadratic pattern would take hours; a part of the word could be a part of a password."""
    text = f"before {unit * 1_000_000}https://me:pa55w0rd@host/ after"
    assert safe_text(text) == "before [a long word] after"


def test_words_that_are_not_long_are_shown() -> None:
    word = "x" * 3999
    assert safe_text(f"{word} https://me:pa55w0rd@host/") == f"{word} https://host/"
