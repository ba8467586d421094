"""The proxy that the machine's variables name."""

from pathlib import Path

import pytest

from daemon.download_limit.upstream_proxy import UpstreamProxy, check_configuration, read_upstream_proxies
from daemon.errors import ProxyError

_ONE = UpstreamProxy("one.example", 3128)
_TWO = UpstreamProxy("two.example", 443, tls=True, authorization="Basic bWU6YSBi")


@pytest.mark.parametrize(
    ("variables", "http", "https"),
    [
        ({}, None, None),
        ({"HTTP_PROXY": ""}, None, None),
        ({"HTTP_PROXY": "http://one.example:3128"}, _ONE, None),
        ({"https_proxy": "one.example:3128"}, None, _ONE),
        ({"ALL_PROXY": "http://one.example:3128/"}, _ONE, _ONE),
        ({"all_proxy": "http://one.example:3128", "HTTPS_PROXY": "https://me:a%20b@two.example"}, _ONE, _TWO),
        ({"HTTP_PROXY": "http://one.example:3128", "http_proxy": "http://other.example"}, _ONE, None),
        ({"HTTP_PROXY": "", "http_proxy": "http://one.example:3128"}, None, None),
        ({"HTTP_PROXY": " ", "ALL_PROXY": "http://one.example:3128"}, _ONE, _ONE),
        ({"REQUEST_METHOD": "GET", "HTTP_PROXY": "http://one.example:3128"}, None, None),
    ],
)
def test_each_scheme_has_the_proxy_that_uv_would_use(
    variables: dict[str, str], http: UpstreamProxy | None, https: UpstreamProxy | None
) -> None:
    proxies = read_upstream_proxies(variables)
    assert proxies.find("http", "index.example") == http
    assert proxies.find("https", "index.example") == https


@pytest.mark.parametrize(
    ("exceptions", "host", "direct"),
    [
        ("index.example", "index.example", True),
        ("index.example", "sub.INDEX.example", True),
        (".index.example", "index.example", True),
        ("*.index.example", "sub.index.example", False),
        ("index.example", "myindex.example", False),
        ("other.example , index.example", "index.example", True),
        ("*", "index.example", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("fd00::/8", "fd12::1", True),
        ("[::1]", "::1", False),
        ("*", "127.0.0.1", False),
        ("10.0.0.0/255.0.0.0", "10.1.2.3", False),
        ("index.example", "10.1.2.3", False),
        ("", "index.example", False),
    ],
)
def test_a_host_that_no_proxy_names_is_reached_directly(exceptions: str, host: str, direct: bool) -> None:
    proxies = read_upstream_proxies({"ALL_PROXY": "http://one.example:3128", "NO_PROXY": exceptions})
    assert (proxies.find("https", host) is None) == direct


@pytest.mark.parametrize("url", ["socks5://user:secret@one.example:1080", "http://", "http://one.example:x"])
def test_a_proxy_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ProxyError, match="ALL_PROXY") as caught:
        read_upstream_proxies({"ALL_PROXY": url})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("way", ["UV_CONFIG_FILE", "XDG_CONFIG_HOME", "HOME", "XDG_CONFIG_DIRS"])
def test_a_proxy_of_uvs_own_configuration_is_refused_with_its_file(tmp_path: Path, way: str) -> None:
    path = tmp_path / (".config/uv/uv.toml" if way == "HOME" else "uv/uv.toml")
    path.parent.mkdir(parents=True)
    path.write_text('https-proxy = "http://one.example:3128"\n')
    variables = {way: str(path if way == "UV_CONFIG_FILE" else tmp_path)}
    with pytest.raises(ProxyError, match="name the proxy by HTTPS_PROXY") as caught:
        check_configuration(variables)
    assert str(path) in str(caught.value)
    check_configuration(variables | {"UV_NO_CONFIG": "1"})


def test_a_configuration_without_a_proxy_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "uv.toml"
    check_configuration({"UV_CONFIG_FILE": str(path)})
    path.write_text("[[index]]\n")
    check_configuration({"UV_CONFIG_FILE": str(path)})
    path.write_text("no toml")
    check_configuration({"UV_CONFIG_FILE": str(path)})
