"""The registry of a test is the one that it started, whoever took its port meanwhile."""

import socket
from pathlib import Path

import pytest

from tests.registry import local_registry as module
from tests.registry.local_registry import free_port, local_registry


def test_a_port_that_somebody_took_meanwhile_is_given_up_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        ports = [taken.getsockname()[1]]
        monkeypatch.setattr(module, "free_port", lambda: ports.pop() if ports else free_port())
        with local_registry(tmp_path / "registry") as registry:
            assert not ports
            assert registry.port != taken.getsockname()[1]


def test_a_registry_that_cannot_start_says_why(tmp_path: Path) -> None:
    wrong = {"realm": "https://x", "service": "x", "issuer": "x", "rootcertbundle": str(tmp_path / "absent")}
    with (
        pytest.raises(AssertionError, match=r"does not start: (?s:.)*absent"),
        local_registry(tmp_path / "registry", token=wrong),
    ):
        pass
