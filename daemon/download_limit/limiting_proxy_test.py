"""The proxy that limits the rate of downloads, with a local index."""

import http.client
import os
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from daemon.download_limit.limiting_proxy import LimitingProxy, limit_downloads
from daemon.download_limit.proxy_variables import proxy_variables
from daemon.download_limit.rate_limit import RateLimit
from daemon.download_limit.upstream_proxy import UpstreamProxies
from daemon.errors import ProxyError
from daemon.prefix.prefix import Prefix
from daemon.uv.program import Uv
from tests.index.client import uv_binary, uv_environment
from tests.index.duration import check_duration
from tests.index.fault import reset, truncate
from tests.index.server import LocalIndex
from tests.index.tls_front import TlsFront
from tests.index.wheel import Wheel, WheelSpec
from tests.synthetic.catalog import PYTHON_FULL

pytest_plugins = ["tests.index.fixture"]

_UNLIMITED = 1_000_000_000
_SLOW = 200_000


@contextmanager
def proxy(
    rate: int = _UNLIMITED, variables: dict[str, str] | None = None, said: list[str] | None = None
) -> Iterator[str]:
    with limit_downloads(rate, variables or {}, said.append if said is not None else print) as url:
        assert url is not None
        yield url


def wheel(index: LocalIndex, name: str = "alpha", size_bytes: int = 400_000) -> Wheel:
    return index.add(WheelSpec(name, "1.0", files={f"{name}/data.bin": os.urandom(size_bytes)}))


def path_of(item: Wheel) -> str:
    return f"/packages/{item.sha256}/{item.filename}"


def authorization(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    return {
        "Proxy-Authorization": f"Basic {b64encode(f'{parts.username}:{parts.password}'.encode()).decode()}"
    }


def connection(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", urlsplit(url).port, timeout=60)


def get(url: str, target: str, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
    """Request a URL from the proxy."""
    asked = connection(url)
    asked.request("GET", target, headers=authorization(url) if headers is None else headers)
    return asked.getresponse()


def tunnel(url: str, port: int, headers: dict[str, str] | None = None) -> str:
    """Request a tunnel to a port of loopback, and return the first line of the answer."""
    lines = [
        f"{name}: {value}" for name, value in (authorization(url) if headers is None else headers).items()
    ]
    with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=60) as asked:
        asked.sendall("\r\n".join([f"CONNECT 127.0.0.1:{port} HTTP/1.1", *lines, "", ""]).encode())
        with asked.makefile("r") as answer:
            return answer.readline()


def _check_duration(took_s: float, size_bytes: int) -> None:
    check_duration(took_s, size_bytes, _SLOW, RateLimit(_SLOW).burst_bytes)


def test_a_file_comes_whole_and_at_the_rate(local_index: LocalIndex) -> None:
    item = wheel(local_index)
    with proxy(_SLOW) as url:
        began = time.monotonic()
        body = get(url, local_index.origin + path_of(item)).read()
        took_s = time.monotonic() - began
    assert body == item.path.read_bytes()
    _check_duration(took_s, len(body))


def test_downloads_at_once_share_the_rate(local_index: LocalIndex) -> None:
    items = [wheel(local_index, name, 100_000) for name in ("alpha", "beta", "gamma", "delta")]
    with proxy(_SLOW) as url, ThreadPoolExecutor(len(items)) as pool:
        began = time.monotonic()
        bodies = list(pool.map(lambda item: get(url, local_index.origin + path_of(item)).read(), items))
        took_s = time.monotonic() - began
    assert bodies == [item.path.read_bytes() for item in items]
    _check_duration(took_s, sum(map(len, bodies)))


def test_two_uvs_at_once_share_the_rate_and_check_their_digests(
    local_index: LocalIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [wheel(local_index, name, 300_000) for name in ("alpha", "beta")]
    # NO_PROXY names the index: what the machine says is not for this proxy.
    for name, value in uv_environment(local_index, tmp_path).items():
        monkeypatch.setenv(name, value)
    prefix = Prefix(tmp_path / "prefix")
    prefix.make_directories()
    with proxy(_SLOW) as url, ThreadPoolExecutor(2) as pool:
        uv = Uv(Path(uv_binary()), prefix, local_index.url(), proxy_variables=proxy_variables(url))
        began = time.monotonic()
        for done in [pool.submit(_install, uv, item, tmp_path / item.spec.name) for item in items]:
            done.result()
        took_s = time.monotonic() - began
    total = sum(item.path.stat().st_size for item in items)
    _check_duration(took_s, total)
    for item in items:
        content = (tmp_path / item.spec.name / item.spec.name / "data.bin").read_bytes()
        assert content == item.spec.files[f"{item.spec.name}/data.bin"]


def _install(uv: Uv, item: Wheel, target: Path) -> None:
    requirements = target.with_suffix(".txt")
    requirements.write_text(f"{item.spec.name}==1.0 --hash=sha256:{item.sha256}\n")
    uv.reach(
        *("pip", "install", "--target", target, "--python", PYTHON_FULL.rpartition(".")[0]),
        *("--no-deps", "--require-hashes", "-r", requirements),
    )


def test_uv_goes_through_a_tunnel_to_an_index_with_tls(
    local_index: LocalIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = wheel(local_index)
    with TlsFront(local_index.port, tmp_path) as front, proxy(_SLOW) as url:
        variables = uv_environment(local_index, tmp_path) | {"SSL_CERT_FILE": str(front.certificate)}
        for name, value in (variables | {"UV_DEFAULT_INDEX": front.url}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("SSL_CERT_DIR", raising=False)
        prefix = Prefix(tmp_path / "prefix")
        prefix.make_directories()
        began = time.monotonic()
        _install(
            Uv(Path(uv_binary()), prefix, proxy_variables=proxy_variables(url)), item, tmp_path / "alpha"
        )
        took_s = time.monotonic() - began
    _check_duration(took_s, item.path.stat().st_size)
    assert (tmp_path / "alpha" / "alpha" / "data.bin").exists()
    assert local_index.log.wheel_downloads() == {item.filename: 1}


def test_a_tunnel_is_between_the_two_ends_only(local_index: LocalIndex, tmp_path: Path) -> None:
    item = wheel(local_index)
    with TlsFront(local_index.port, tmp_path) as front, proxy() as url:
        trust = ssl.create_default_context(cafile=front.certificate)
        asked = http.client.HTTPSConnection("127.0.0.1", urlsplit(url).port, timeout=60, context=trust)
        asked.set_tunnel("127.0.0.1", front.port, authorization(url))
        for _ in range(2):  # a tunnel stays open for what is asked next
            asked.request("GET", path_of(item))
            assert asked.getresponse().read() == item.path.read_bytes()
        asked.close()


@pytest.mark.parametrize("headers", [{}, {"Proxy-Authorization": "Basic bW9ub2Jhc2U6Z3Vlc3M="}])
def test_a_client_without_the_password_is_not_served(
    local_index: LocalIndex, headers: dict[str, str]
) -> None:
    item = wheel(local_index)
    with proxy() as url:
        assert get(url, local_index.origin + path_of(item), headers).status == 407
        assert " 407 " in tunnel(url, local_index.port, headers)
    assert local_index.log.requests() == ()


def test_the_password_and_the_callers_headers_of_the_connection_are_not_passed_on() -> None:
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as origin, proxy() as url:

        def answer() -> None:
            accepted, _ = origin.accept()
            with accepted:
                received.append(accepted.recv(10_000))
                accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok")
                accepted.recv(1)  # it keeps its side open

        thread = threading.Thread(target=answer)
        thread.start()
        port = origin.getsockname()[1]
        response = get(
            url, f"http://127.0.0.1:{port}?page=2", {**authorization(url), "Connection": "keep-alive"}
        )
        assert response.read() == b"ok"
        # The next request may be for another host: clients must not send it here.
        assert response.headers.get_all("Connection") == ["close"]
        response.close()
        thread.join()
    lines = received[0].decode().splitlines()
    assert lines[0] == "GET /?page=2 HTTP/1.1"
    assert f"Host: 127.0.0.1:{port}" in lines
    assert [line for line in lines if line.lower().startswith(("proxy-", "connection"))] == [
        "Connection: close"
    ]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_machines_own_proxy_is_used_unless_no_proxy_names_the_host(
    local_index: LocalIndex, tmp_path: Path, scheme: str
) -> None:
    item = wheel(local_index)
    upstream = LimitingProxy(RateLimit(_SLOW), UpstreamProxies({}))
    with TlsFront(local_index.port, tmp_path) as front:

        def ask(url: str) -> bytes:
            if scheme == "http":
                return get(url, local_index.origin + path_of(item)).read()
            trust = ssl.create_default_context(cafile=front.certificate)
            asked = http.client.HTTPSConnection("127.0.0.1", urlsplit(url).port, timeout=60, context=trust)
            asked.set_tunnel("127.0.0.1", front.port, authorization(url))
            with closing(asked):
                asked.request("GET", path_of(item))
                return asked.getresponse().read()

        with upstream as upstream_url, proxy(variables={f"{scheme.upper()}_PROXY": upstream_url}) as url:
            began = time.monotonic()
            assert ask(url) == item.path.read_bytes()
            # It is the upstream that is slow.
            _check_duration(time.monotonic() - began, item.path.stat().st_size)
        wrong = upstream_url.replace("monobase:", "somebody:")
        with proxy(variables={"ALL_PROXY": upstream_url}) as url:  # it has stopped
            assert get(url, local_index.url()).status == 502
            assert " 502 " in tunnel(url, front.port)
        with proxy(variables={"ALL_PROXY": wrong, "NO_PROXY": "127.0.0.1"}) as url:
            assert ask(url) == item.path.read_bytes()


def test_a_proxy_of_the_machine_may_speak_tls(
    local_index: LocalIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = wheel(local_index)
    upstream = LimitingProxy(RateLimit(_UNLIMITED), UpstreamProxies({}))
    with upstream as upstream_url, TlsFront(urlsplit(upstream_url).port or 0, tmp_path) as front:
        monkeypatch.setenv("SSL_CERT_FILE", str(front.certificate))
        monkeypatch.delenv("SSL_CERT_DIR", raising=False)
        place = f"{urlsplit(upstream_url).username}:{urlsplit(upstream_url).password}@127.0.0.1:{front.port}"
        with proxy(variables={"ALL_PROXY": f"https://{place}"}) as url:
            assert get(url, local_index.origin + path_of(item)).read() == item.path.read_bytes()
            asked = connection(url)
            asked.set_tunnel("127.0.0.1", local_index.port, authorization(url))
            with closing(asked):
                asked.request("GET", path_of(item))
                assert asked.getresponse().read() == item.path.read_bytes()


def test_a_password_that_the_upstream_refuses_is_reported(local_index: LocalIndex) -> None:
    upstream = LimitingProxy(RateLimit(_UNLIMITED), UpstreamProxies({}))
    with upstream as upstream_url:
        wrong = upstream_url.replace("monobase:", "somebody:")
        with proxy(variables={"ALL_PROXY": wrong}) as url:
            assert get(url, local_index.url()).status == 407
            assert " 407 " in tunnel(url, local_index.port)


def test_a_fault_of_the_index_is_one_for_the_client(local_index: LocalIndex) -> None:
    item = wheel(local_index)
    target = local_index.origin + path_of(item)
    with proxy() as url:
        with (
            local_index.fault(truncate("*.whl", after_bytes=1_000)),
            pytest.raises(http.client.IncompleteRead),
        ):
            get(url, target).read()
        with (
            local_index.fault(reset("*.whl", after_bytes=1_000)),
            pytest.raises((OSError, http.client.IncompleteRead)),
        ):
            get(url, target).read()
        with local_index.fault(reset("*.whl")), pytest.raises((OSError, http.client.HTTPException)):
            get(url, target)
        assert get(url, target).read() == item.path.read_bytes()


def test_a_host_that_does_not_answer_is_a_bad_gateway_and_is_reported_once_with_the_reason(
    local_index: LocalIndex,
) -> None:
    said: list[str] = []
    with proxy(said=said) as url, local_index.down():
        assert get(url, local_index.url()).status == 502
        assert " 502 " in tunnel(url, local_index.port)
    assert said == [f"127.0.0.1:{local_index.port} cannot be reached: Connection refused"]


@pytest.mark.parametrize(
    "target", ["/simple/", "ftp://127.0.0.1/x", "https://127.0.0.1/x", "http://", "http://h:x/"]
)
def test_a_request_that_no_proxy_can_serve_is_refused(target: str) -> None:
    with proxy() as url:
        assert get(url, target).status == 400


def test_a_url_that_cannot_be_parsed_is_refused() -> None:
    with proxy() as url:
        assert get(url, "http://[h/", {**authorization(url), "Host": "h"}).status == 400


def test_stopping_breaks_off_what_is_under_way(local_index: LocalIndex) -> None:
    item = wheel(local_index)
    with LimitingProxy(RateLimit(10_000), UpstreamProxies({})) as url:
        response = get(url, local_index.origin + path_of(item))
        response.read(100)
    with pytest.raises((OSError, http.client.IncompleteRead)):
        response.read()


def test_connections_leave_no_descriptor_behind(local_index: LocalIndex, tmp_path: Path) -> None:
    item = wheel(local_index, size_bytes=1_000)
    target = local_index.origin + path_of(item)
    with proxy() as url, TlsFront(local_index.port, tmp_path) as front:
        trust = ssl.create_default_context(cafile=front.certificate)

        def ask() -> None:
            get(url, target).read()
            asked = http.client.HTTPSConnection("127.0.0.1", urlsplit(url).port, timeout=60, context=trust)
            asked.set_tunnel("127.0.0.1", front.port, authorization(url))
            with closing(asked):
                asked.request("GET", path_of(item))
                asked.getresponse().read(10)  # and goes away in the middle

        ask()
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (a number is all that is wanted)
        for _ in range(50):
            ask()
        end = time.monotonic() + 60
        while len(os.listdir("/proc/self/fd")) > before and time.monotonic() < end:  # noqa: PTH208
            time.sleep(0.05)
        assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208


def test_without_a_limit_there_is_no_proxy() -> None:
    with limit_downloads(None, {"ALL_PROXY": "socks5://one.example"}, print) as url:
        assert url is None
    with pytest.raises(ProxyError, match="socks5"):
        limit_downloads(1_000_000, {"ALL_PROXY": "socks5://one.example"}, print)
