import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from click.testing import CliRunner

from tests.index.__main__ import main

ROOT = Path(__file__).parents[2]


def test_the_command_serves_until_it_is_told_to_stop() -> None:
    command = [sys.executable, "-u", "-m", "tests.index", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        assert server.stdout is not None
        url = re.search(r"http://\S+", server.stdout.readline())
        assert url is not None
        with urllib.request.urlopen(url.group() + "torch/") as response:  # noqa: S310 (loopback)
            assert b"torch-2.4.1-cp311-cp311-manylinux1_x86_64.whl" in response.read()
        server.send_signal(signal.SIGTERM)
        rest = server.stdout.read()
    assert server.returncode == 0
    assert "/whl/cu118/" in rest


def test_a_port_that_is_taken_is_one_message() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = CliRunner().invoke(main, ["--port", str(port)])
    assert result.exit_code == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use. Give another --port" in result.output
