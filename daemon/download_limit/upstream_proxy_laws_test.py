"""The law of the machine's proxy: it is used for a host exactly if uv itself uses it."""

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemon.download_limit.upstream_proxy import read_upstream_proxies
from tests.index.client import uv_binary
from tests.laws import examples

_HOSTS = ("localhost", "a.b.invalid", "127.0.0.1", "127.9.9.9", "::1")
_ENTRIES = (
    "localhost", "LocalHost", ".localhost", "ocalhost", "*", "*.b.invalid", "b.invalid", ".b.invalid",
    "invalid",
    "a.b.invalid.", ".", "..invalid", "*b.invalid", "http://localhost", "localhost:1", "", "127", ".0.0.1",
    "127.0.0.1", "127.0.0.0/8", "127.9.9.9/31", "127.0.0.1/33", "127.0.0.0/255.0.0.0", "127.0.0.1:1", "0/0",
    "127.0.0.0/0.255.255.255", "0.0.0.0/0", "127.0.0.01", "::1", "[::1]", "::/0", "[::]/0",
    "::ffff:127.0.0.1", "fe80::1%lo",
)  # fmt: skip
_EXCEPTIONS = st.lists(st.sampled_from(_ENTRIES), max_size=3).flatmap(
    lambda entries: st.sampled_from([",", ", ", " , ", " "]).map(lambda separator: separator.join(entries))
)
_SETS_OF_VARIABLES = st.fixed_dictionaries(
    {},
    optional={
        "HTTP_PROXY": st.sampled_from(["", "PROXY", " "]),
        "http_proxy": st.sampled_from(["", "PROXY"]),
        "ALL_PROXY": st.sampled_from(["", "PROXY"]),
        "all_proxy": st.just("PROXY"),
        "HTTPS_PROXY": st.just("PROXY"),
        "NO_PROXY": st.sampled_from(["", "localhost", "other.invalid"]),
        "no_proxy": st.sampled_from(["", "localhost"]),
        "REQUEST_METHOD": st.just("GET"),
    },
)


class _Recorder(http.server.BaseHTTPRequestHandler):
    """A proxy that only notes that it was asked."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


class Machine:
    """A machine with a proxy, on which uv is run."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.asked: list[str] = []
        handler = type("Handler", (_Recorder,), {"asked": self.asked})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.proxy = f"http://127.0.0.1:{self.server.server_port}"

    def uv_asks_the_proxy(self, host: str, variables: dict[str, str]) -> bool:
        """Return whether uv asks the proxy for a package, and not the port, where no server listens."""
        self.asked.clear()
        target = self._directory / "target"
        place = f"[{host}]" if ":" in host else host
        subprocess.run(
            [
                uv_binary(), "pip", "install", "--no-cache", "--target", target, "--python", sys.executable,
                "--index-url", f"http://{place}:1/simple/", "alpha",
            ],
            check=False, capture_output=True, timeout=60,
            env={
                "PATH": os.environ["PATH"], "HOME": str(self._directory), "UV_NO_CONFIG": "1",
                "UV_HTTP_RETRIES": "0", "UV_HTTP_TIMEOUT": "5", "UV_PYTHON_DOWNLOADS": "never", **variables,
            },
        )  # fmt: skip
        return bool(self.asked)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    machine = Machine(tmp_path_factory.mktemp("machine"))
    thread = threading.Thread(target=machine.server.serve_forever)
    thread.start()
    yield machine
    machine.server.shutdown()
    machine.server.server_close()
    thread.join()


def _check(machine: Machine, host: str, variables: dict[str, str]) -> None:
    ours = read_upstream_proxies(variables).find("http", host) is not None
    assert ours == machine.uv_asks_the_proxy(host, variables)


# What was found to be otherwise than in curl; each try takes uv a tenth of a second.
@examples(25)
@given(st.sampled_from(_HOSTS), _EXCEPTIONS)
@example("127.0.0.1", "*")
@example("localhost", "*")
@example("a.b.invalid", "*.b.invalid")
@example("::1", "[::1]")
@example("127.0.0.1", "127.0.0.0/255.0.0.0")
@example("127.0.0.1", "other.invalid , 127.0.0.0/8")
def test_no_proxy_covers_the_hosts_that_it_covers_for_uv(
    machine: Machine, host: str, exceptions: str
) -> None:
    _check(machine, host, {"HTTP_PROXY": machine.proxy, "NO_PROXY": exceptions})


@examples(15)
@given(_SETS_OF_VARIABLES)
@example({"HTTP_PROXY": "", "http_proxy": "PROXY"})
@example({"HTTP_PROXY": "PROXY", "NO_PROXY": "", "no_proxy": "localhost"})
@example({"HTTP_PROXY": "", "ALL_PROXY": "PROXY"})
@example({"HTTP_PROXY": "PROXY", "REQUEST_METHOD": "GET"})
def test_the_variables_are_read_in_the_order_in_which_uv_reads_them(
    machine: Machine, variables: dict[str, str]
) -> None:
    _check(
        machine,
        "localhost",
        {name: value.replace("PROXY", machine.proxy) for name, value in variables.items()},
    )
