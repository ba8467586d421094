"""The challenges of registries."""

import pytest

from gens.registry_challenge import Challenge, parse_challenges

_BEARER = Challenge("bearer", {"realm": "https://auth.example/token", "service": "s"})


@pytest.mark.parametrize(
    "text",
    [
        'Bearer realm="https://auth.example/token",service="s"',
        'BEARER Realm="https://auth.example/token", SERVICE="s"',
        'Bearer realm = "https://auth.example/token" , service = "s"',
        "Bearer realm=https://auth.example/token,service=s",
        'Bearer realm="https://auth.example\\/token",service="s",service="t"',
    ],
)
def test_a_challenge_is_read_in_every_spelling(text: str) -> None:
    assert parse_challenges(text) == (_BEARER,)


def test_several_challenges_are_read_in_their_order() -> None:
    bearer = 'Bearer realm="https://auth.example/token",service="s"'
    basic = Challenge("basic", {"realm": "r"})
    assert parse_challenges(f'Basic realm="r", {bearer}') == (basic, _BEARER)
    assert parse_challenges(f'{bearer}, Basic realm="r"') == (_BEARER, basic)
    assert parse_challenges(f"Negotiate, {bearer}") == (Challenge("negotiate"), _BEARER)
    assert parse_challenges(f"Negotiate YII/+w==, {bearer}") == (Challenge("negotiate"), _BEARER)
    assert parse_challenges("Basic") == (Challenge("basic"),)


@pytest.mark.parametrize("text", ["", " , ", '"', "=", 'Bearer realm="https://never.ends', "\x00"])
def test_what_is_no_challenge_gives_no_realm(text: str) -> None:
    assert not any("realm" in challenge.parameters for challenge in parse_challenges(text))


def test_a_comma_within_quotes_ends_nothing() -> None:
    (found,) = parse_challenges('Bearer realm="https://a/t",scope="repository:a:pull,push"')
    assert found.parameters["scope"] == "repository:a:pull,push"
