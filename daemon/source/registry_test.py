"""The way to a registry: TLS, or plain HTTP."""

from typing import cast

from daemon.source.failure import SourceFailure
from daemon.source.http_client import HttpAnswer
from daemon.source.location import parse_location
from daemon.source.registry import RegistryHost


class _Answer:
    status = 200


def test_a_request_that_another_one_has_overtaken_goes_on_without_tls_as_well() -> None:
    host = RegistryHost(parse_location("oci://localhost:5000/wheels"))
    answer = cast("HttpAnswer", _Answer())
    asked: list[str] = []

    def refuse_tls(base: str) -> HttpAnswer:
        asked.append(base)
        if base.startswith("https:"):
            raise SourceFailure("unreachable", "does not speak TLS")
        return answer

    def overtaken(base: str) -> HttpAnswer:
        if base.startswith("https:"):
            host.ask(refuse_tls)  # finds out, while this request has no answer yet
        return refuse_tls(base)

    assert host.ask(overtaken) is answer
    assert asked == ["https://localhost:5000", "http://localhost:5000"] * 2
    assert host.base == "http://localhost:5000"
