"""The laws of `--listen`: an address is read as it is written, and any other text is refused as itself."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemon.service.address import Address, parse_address

_HOSTS = st.sampled_from(["", "0.0.0.0", "localhost", "node-1.example", "::", "::1", "fe80::1%eth0"])  # noqa: S104


@given(_HOSTS, st.integers(0, 65535))
def test_an_address_is_read_as_it_is_written(host: str, port: int) -> None:
    written = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    assert parse_address(written) == Address(host, port)


@given(
    st.text() | st.text("a.:[]%0é-\udcff ", max_size=9) | st.builds("{}:{}".format, st.text(), st.integers())
)
@example("é..:0")
@example(":65536")
@example(":٣")
def test_any_text_is_an_address_that_the_system_can_be_asked_for_or_is_refused(text: str) -> None:
    try:
        address = parse_address(text)
    except ValueError as error:
        refusal = str(error)
    else:
        assert address.host.isascii()
        assert not any(sign.isspace() for sign in address.host)
        assert 0 <= address.port <= 65535
        return
    assert refusal.startswith(repr(text))


@pytest.mark.parametrize("text", ["", "8080", "host", "host:", "[::1]", "::1:80", "a b:80", "[::1]:123456"])
def test_what_lacks_something_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT"):
        parse_address(text)
