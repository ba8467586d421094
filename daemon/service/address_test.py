"""The address of the service."""

import pytest

from daemon.errors import ListenError
from daemon.service.address import Address, listen, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("0.0.0.0:8080", "0.0.0.0", 8080),  # noqa: S104 (what is read, not where a test listens)
        (":80", "", 80),
        ("localhost:0", "localhost", 0),
        ("[::1]:8080", "::1", 8080),
    ],
)
def test_an_address_has_a_host_and_a_port(text: str, host: str, port: int) -> None:
    assert parse_address(text) == Address(host, port)


@pytest.mark.parametrize("text", ["", "8080", "localhost", "::1:80", "host:65536", "host:-1", "host:80/x"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        parse_address(text)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "a..b", "x" * 300])
def test_an_address_that_is_not_of_this_machine_is_named(host: str) -> None:
    with pytest.raises(ListenError, match=f"--listen {host}:0: .*; give an address of this machine"):
        listen(Address(host, 0))


def test_an_address_that_something_else_listens_at_is_named() -> None:
    with listen(Address("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(ListenError, match=f"--listen 127.0.0.1:{port}: Address already in use .*; give"):
            listen(Address("127.0.0.1", port))
