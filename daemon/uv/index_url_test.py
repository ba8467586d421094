"""URLs of indexes, some with a password."""

import pytest

from daemon.errors import IndexAccessError
from daemon.uv.index_url import check_url, without_user_info


@pytest.mark.parametrize(
    "url", ["http://user:pa/ss@host/simple", "http://user:1#ss@host/", "http://u:1?s@host/"]
)
def test_a_password_that_ends_the_host_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(IndexAccessError, match="%2F") as caught:
        check_url(url)
    assert "ss@" not in str(caught.value)
    assert "pa" not in str(caught.value).replace("password", "")


@pytest.mark.parametrize(
    "url",
    ["https://pkgs.example/org/feed@Local/simple/", "https://me:pat@pkgs.example/org/feed@Local/", "http://[::1]:8080/",
     "https://me:p%2Fw@host:8080/simple", "/srv/wheels", "file:///srv/wheels@1"],
)  # fmt: skip
def test_an_url_that_is_one_is_not_refused(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://me:pw@index.example/simple/", "https://index.example/simple"),
        ("https://me@index.example", "https://index.example"),
        ("https://index.example/org/feed@Local", "https://index.example/org/feed@Local"),
        ("/srv/wheels/", "/srv/wheels"),
    ],
)
def test_a_url_without_its_user_is_the_same_for_all_users(url: str, plain: str) -> None:
    assert without_user_info(url) == plain
