"""The limit of `--max-download-rate`, end to end."""

import socket
import time

import pytest

from daemon.download_limit.rate_limit import RateLimit
from tests.index.duration import check_duration
from tests.index.fault import reset
from tests.node.node import Node
from tests.synthetic.catalog import cells

pytest_plugins = ["tests.service.fixture"]

_RATE = 200_000
_WHEEL_BYTES = 1_000_000


def _check_duration(began: float) -> None:
    check_duration(time.monotonic() - began, _WHEEL_BYTES, _RATE, RateLimit(_RATE).burst_bytes)


def test_an_install_takes_as_long_as_its_rate_says(node: Node) -> None:
    node.define_all(
        {0: cells(*[node.wheel(name, size_bytes=_WHEEL_BYTES // 2) for name in ("alpha", "beta")])}
    )
    began = time.monotonic()
    node.run("install", "--max-download-rate", "200k")
    _check_duration(began)
    node.run("verify")


def test_the_daemon_keeps_to_the_rate_of_its_variable_through_faults(node: Node) -> None:
    alpha = node.wheel("alpha", size_bytes=_WHEEL_BYTES)
    node.define_all({0: cells(alpha)})
    began = time.monotonic()
    # Bytes sent before the fault count as well.
    with (
        node.index.fault(reset("*.whl", after_bytes=_WHEEL_BYTES // 2)),
        node.daemon(variables={"MONOBASE_MAX_DOWNLOAD_RATE": "200k"}) as daemon,
    ):
        daemon.wait_ready()
        _check_duration(began)
    assert node.index.log.wheel_attempts()[alpha.filename] == 2
    node.run("verify")


def test_an_index_that_comes_back_is_enough_with_a_limit_too(node: Node) -> None:
    wheels = [node.wheel(name) for name in ("alpha", "beta", "gamma")]
    node.define_all({0: cells(*wheels)})
    with node.index.down(), node.daemon("--max-download-rate", "50M") as daemon:
        daemon.wait_until(lambda: daemon.said("trying again"))
        assert daemon.said("the index cannot be reached")
        node.index.go_up()
        daemon.wait_ready()
    assert node.index.log.wheel_downloads() == {wheel.filename: 1 for wheel in wheels}


def test_sigterm_ends_a_daemon_that_waits_for_its_rate_and_the_next_goes_on(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha", size_bytes=6_000_000))})
    with node.daemon("--max-download-rate", "10k") as daemon:  # ten minutes
        daemon.wait_until(lambda: any(request.is_wheel for request in node.index.log.requests()))
        daemon.end()
        assert daemon.process.returncode == 0
    with node.daemon() as daemon:
        daemon.wait_ready()
    node.run("verify")


def test_a_repair_keeps_to_the_rate(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha", size_bytes=_WHEEL_BYTES))})
    node.run("install")
    data = next(node.environment().rglob("data.bin"))
    content = data.read_bytes()
    data.write_bytes(bytes(len(content)))  # all its links: the cache has it no more
    began = time.monotonic()
    node.run("verify", "--repair", "--max-download-rate", "200k")
    _check_duration(began)
    assert data.read_bytes() == content


@pytest.mark.parametrize("command", ["run", "install"])
@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (["--max-download-rate", "fast"], {}, "such as 50M"),
        (["--max-download-rate", "9k"], {}, "less than 10k"),
        ([], {"MONOBASE_MAX_DOWNLOAD_RATE": "50MiB"}, "such as 50M"),
        (["--max-download-rate", "50M"], {"ALL_PROXY": "socks5://u:secret@one.example"}, "ALL_PROXY"),
    ],
)
def test_a_limit_that_cannot_be_kept_is_refused(
    node: Node, command: str, arguments: list[str], variables: dict[str, str], said: str
) -> None:
    node.define_all({0: cells(node.wheel("alpha"))})
    done = node.run(command, *arguments, code=2, variables=variables)
    assert said in done.stderr
    assert "secret" not in done.stderr
    assert not node.prefix.root.exists()


def test_the_machines_proxy_is_gone_through_unless_no_proxy_names_the_host(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"))})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = f"http://127.0.0.1:{listener.getsockname()[1]}"
    variables = {"HTTP_PROXY": nobody, "NO_PROXY": "", "no_proxy": ""}
    install = ("install", "--max-download-rate", "50M")
    assert "502 Bad Gateway" in node.run(*install, code=4, variables=variables).stderr
    assert node.index.log.requests() == ()
    node.run(*install, variables=variables | {"NO_PROXY": "127.0.0.0/8"})
