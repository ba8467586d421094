"""The variables that make uv use a proxy."""

from daemon.download_limit.proxy_variables import proxy_variables


def test_the_variables_of_a_proxy_exempt_no_host() -> None:
    assert proxy_variables("http://127.0.0.1:1") == {
        "HTTP_PROXY": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1",
        "ALL_PROXY": "http://127.0.0.1:1",
        "http_proxy": None, "https_proxy": None, "all_proxy": None, "NO_PROXY": None, "no_proxy": None,
    }  # fmt: skip
