"""No spelling of a password is shown."""

import base64
from urllib.parse import quote

import pytest

from gens.redaction import learn, learn_variables, redact

_PASSWORDS = [
    "pa/ss-w0rd",
    "p@ss-w0rd",
    "pa:ss-w0rd",
    "pa#ss-w0rd",
    "pa?ss-w0rd",
    "pä ss%w0rd",
    'pa"ss\\w0rd',
    "//@@w0rd",
]


@pytest.mark.parametrize("password", _PASSWORDS)
def test_a_password_that_was_learnt_is_found_in_every_spelling(password: str) -> None:
    learn(f"https://me:{quote(password, safe='')}@index.example/simple/")
    spellings = [
        password,
        quote(password),
        quote(password, safe=""),
        quote(password, safe="").lower(),
        password.replace("s", "%73"),
        password.replace('"', '\\"'),
        f"https://me:{password}@index.example/simple/alpha/",
        f"Basic {base64.b64encode(f'me:{password}'.encode()).decode()}",
    ]
    for spelling in spellings:
        shown = redact(f"error: failed at {spelling}: x")
        assert "w0rd" not in shown
        assert base64.b64encode(f"me:{password}".encode()).decode() not in shown
        assert shown.endswith(": x")


@pytest.mark.parametrize("password", [*_PASSWORDS, "12/34secret", "1"])
def test_one_that_nobody_learnt_is_not_shown_within_its_url(password: str) -> None:
    shown = redact(f"failed to fetch `http://user:{password.replace(' ', '+')}@host/simple/`, tried again")
    assert "pa" not in shown.partition("fetch")[2].partition("tried")[0]
    assert "34secret" not in shown
    assert ":1@" not in shown
    assert "host/simple/" in shown
    assert shown.endswith(", tried again")


def test_a_raw_slash_is_no_end_of_what_is_learnt() -> None:
    learn("http://user:other-pa/ss@host/simple")
    assert "other-pa" not in redact("port other-pa of user:other-pa is none")


def test_an_url_is_clear_without_what_stands_before_its_at() -> None:
    assert redact("see https://user:x@index.example/simple/ now") == "see https://index.example/simple/ now"
    assert redact("see https://index.example/simple/ or me@x.example") == (
        "see https://index.example/simple/ or me@x.example"
    )


def test_where_it_may_be_a_path_it_is_said_that_something_is_left_out() -> None:
    assert redact("https://pkgs.example/org/feed@Local/simple/") == "https://***@Local/simple/"


def test_variables_are_learnt_by_their_names_and_by_their_urls() -> None:
    learn_variables(
        {
            "UV_INDEX_CORP_PASSWORD": "of-a-variable",
            "HTTPS_PROXY": "http://me:of-a-proxy@proxy.example:3128",
            "UV_INDEX": "corp=https://me:of-a-list@a.example/ https://b.example/",
            "EDITOR": "of-an-editor",
        }
    )
    shown = redact("of-a-variable of-a-proxy of-a-list of-an-editor")
    assert shown == "*** *** *** of-an-editor"


def test_a_short_one_does_not_spoil_all_other_words() -> None:
    learn("https://me:a@index.example/")
    assert redact("a failure at a page") == "a failure at a page"
