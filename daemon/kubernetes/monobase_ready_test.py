"""Tests the custom plugin of Node Problem Detector, with answers of all kinds.

`tests/service/node_condition_test.py` runs it beside a real daemon.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.service.feature_file import features_text
from daemon.upkeep.readiness import GenerationReadiness, Readiness, readiness_text

COMPONENT = Path(__file__).parent / "components" / "node-problem-detector"
SCRIPT = COMPONENT / "monobase-ready"
FALSE, TRUE, UNKNOWN = 0, 1, 2
_LONG_S = 600
_PROGRAMS = ("bash", "timeout", "head", "tr", "cat")
_READY = Readiness(True, (), "g00003", (GenerationReadiness("g00003", True, True, "", ()),))
_NOT_READY = Readiness(
    False, ("g00003: 2 of 5 ready; missing: a (missing)", "latest: names g00002"), "g00002", ()
)


def _shells() -> list[tuple[str, ...]]:
    known = [("dash",), ("bash", "--posix"), ("busybox", "sh")]
    return [shell for shell in known if shutil.which(shell[0])]


@pytest.fixture(params=["bash", "curl"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A PATH with one of the two clients."""
    directory = tmp_path / "bin"
    directory.mkdir()
    names = _PROGRAMS if request.param == "bash" else ("curl", "head", "tr")
    for name in names:
        program = shutil.which(name)
        if program is None:
            pytest.skip(f"{name} is not installed here")
        (directory / name).symlink_to(program)
    return str(directory)


def _run(
    argument: str | Path,
    path: str = os.defpath,
    shell: tuple[str, ...] = ("sh",),
    *,
    waits_s: int | None = _LONG_S,
    **variables: str,
) -> tuple[int, str]:
    """Run the script; with `waits_s`, it waits longer than as it is, as a busy machine may answer late."""
    program = shutil.which(shell[0])
    assert program is not None
    script = SCRIPT.read_text()
    if waits_s is not None:
        script = re.sub(r"^TIMEOUT_S=.*$", f"TIMEOUT_S={waits_s}", script, count=1, flags=re.MULTILINE)
    done = subprocess.run(
        [program, *shell[1:], "-c", script, str(SCRIPT), str(argument)],
        env={"PATH": path, **variables},
        capture_output=True,
        timeout=_LONG_S,
        check=False,
    )
    assert done.stderr == b""
    text = done.stdout.decode("ascii")
    assert text.endswith("\n")
    assert text.count("\n") == 1
    assert len(text.rstrip("\n")) <= _monitor()["pluginConfig"]["max_output_length"]
    return done.returncode, text.rstrip("\n")


def _monitor() -> dict[str, dict[str, int]]:
    monitor: dict[str, dict[str, int]] = json.loads((COMPONENT / "monobase-monitor.json").read_text())
    return monitor


@contextmanager
def _server(answer: bytes, *, stay: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """Answer one request with some bytes, and close the connection unless `stay`; yield URL and requests."""
    requests: list[bytes] = []
    ended = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            request = b""
            # bash sends each line by itself, and an answer before the last one would reset the connection.
            while not request.endswith(b"\r\n\r\n"):
                received = connection.recv(4096)
                if not received:
                    return  # the script has ended
                request += received
            requests.append(request)
            try:
                connection.sendall(answer)
            except OSError:
                return  # the script had enough
            if stay:
                ended.wait(_LONG_S)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/readyz", requests
        ended.set()
        thread.join(_LONG_S)


def _answer(status: str, body: str | bytes) -> bytes:
    content = body.encode() if isinstance(body, str) else body
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


@pytest.mark.parametrize("shell", _shells(), ids=lambda shell: shell[0])
def test_each_word_of_the_daemon_is_a_status_in_each_shell(path: str, shell: tuple[str, ...]) -> None:
    with _server(_answer("200 OK", readiness_text(_READY))) as (url, requests):
        assert _run(url, path, shell) == (TRUE, "ready: g00003, latest g00003")
    assert requests[0].startswith(b"GET /readyz HTTP/1.1\r\n")
    assert b"\r\nAccept: text/plain\r\n" in requests[0]
    assert f"\r\nHost: {url.split('/')[2]}\r\n".encode() in requests[0]
    with _server(_answer("503 Service Unavailable", readiness_text(_NOT_READY))) as (url, _):
        assert _run(url, path, shell) == (FALSE, "not ready: g00003: 2 of 5 ready; missing: a (missing)")
    with _server(_answer("503 Service Unavailable", "/srv: cannot be read\n")) as (url, _):
        assert _run(url, path, shell) == (
            UNKNOWN,
            f"{url}: not an answer of the daemon: 503 /srv: cannot be read",
        )


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n",
        b"\x00\xff\x00",
        b"ready: g00003\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        _answer("200 OK", ""),
        _answer("200 OK", "ok\n"),
        _answer("200 OK", "not ready\n"),
        _answer("200 OK", '{"ready": true}\n'),
        _answer("200 OK", "\nready: g00003, latest g00003\n"),
        _answer("404 Not Found", "ready: g00003, latest g00003\n"),
        _answer("503 Service Unavailable", "ready: g00003, latest g00003\n"),
        _answer("503 Service Unavailable", "not ready, nor anything else\n"),
        _answer("302 Found\r\nLocation: http://127.0.0.1:9/", ""),
        _answer("200 OK", b"\xf0\x9f\x98\x80" * 2000),
        b"HTTP/1.1 200 OK\r\n" + b"X-Much: " + b"a" * 100_000,
    ],
    ids=lambda answer: repr(answer[:24] + answer[-24:]),
)
def test_what_is_not_an_answer_of_the_daemon_is_unknown(path: str, answer: bytes) -> None:
    with _server(answer) as (url, _):
        code, message = _run(url, path)
    assert code == UNKNOWN
    assert message.startswith(f"{url}: ")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n\r\nno end"])
def test_a_daemon_that_hangs_is_unknown_before_the_detector_ends_the_plugin(path: str, answer: bytes) -> None:
    with _server(answer, stay=True) as (url, _):
        assert _run(url, path, waits_s=None)[0] == UNKNOWN
    script = SCRIPT.read_text()
    seconds = int(script.partition("\nTIMEOUT_S=")[2].split()[0])
    assert seconds < int(str(_monitor()["pluginConfig"]["timeout"]).removesuffix("s"))


def test_an_address_at_which_nothing_listens_is_unknown(path: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    code, message = _run(f"http://127.0.0.1:{port}/readyz", path)
    assert (code, "no answer within" in message) == (UNKNOWN, True)
    assert _run("http://name.invalid/readyz", path, waits_s=None)[0] == UNKNOWN


def test_a_proxy_is_not_asked(path: str) -> None:
    with _server(_answer("200 OK", readiness_text(_READY))) as (url, _):
        proxy = "http://127.0.0.1:9"
        assert _run(url, path, http_proxy=proxy, HTTP_PROXY=proxy, ALL_PROXY=proxy)[0] == TRUE


def test_an_image_without_a_client_is_unknown_and_says_so(tmp_path: Path) -> None:
    for name in ("head", "tr"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    code, message = _run("http://127.0.0.1:9/readyz", str(tmp_path))
    assert (code, "neither curl nor bash" in message) == (UNKNOWN, True)
    (tmp_path / "head").unlink()
    code, message = _run("http://127.0.0.1:9/readyz", str(tmp_path))
    assert (code, "no answer" in message) == (UNKNOWN, True)


@pytest.mark.parametrize("shell", _shells(), ids=lambda shell: shell[0])
def test_the_features_file_is_read_without_any_program(tmp_path: Path, shell: tuple[str, ...]) -> None:
    features = tmp_path / "monobase"
    nothing = str(tmp_path / "none")
    assert _run(features, nothing, shell)[0] == UNKNOWN
    features.write_text(features_text(_READY))
    assert _run(features, nothing, shell) == (TRUE, "ready: latest g00003")
    features.write_text(features_text(_NOT_READY))
    assert _run(features, nothing, shell) == (FALSE, "not ready: latest g00002")
    for text in ("", "feature.node.kubernetes.io/monobase-latest=g00001\n", "x" * 10_000):
        features.write_text(text)
        assert _run(features, nothing, shell)[0] == UNKNOWN
    features.unlink()
    os.mkfifo(features)
    assert _run(features, nothing, shell)[0] == UNKNOWN


@pytest.mark.parametrize("argument", ["", "readyz", "https://daemon:8080/readyz", "http://"])
def test_an_argument_that_names_neither_is_unknown(argument: str) -> None:
    assert _run(argument)[0] == UNKNOWN


def test_a_script_that_is_missing_or_cut_short_is_not_ready(tmp_path: Path) -> None:
    # What `sh FILE` ends with by itself must not be 1, the detector's word for ready.
    lines = SCRIPT.read_text().splitlines(keepends=True)
    url = "http://127.0.0.1:9/readyz"
    for shell in _shells():
        missing = subprocess.run([*shell, str(tmp_path / "none"), url], capture_output=True, check=False)
        assert missing.returncode != TRUE
        for count in range(len(lines)):
            (tmp_path / "cut").write_text("".join(lines[:count]))
            cut = subprocess.run(
                [*shell, str(tmp_path / "cut"), url],
                env={"PATH": os.defpath},
                capture_output=True,
                check=False,
            )
            assert cut.returncode != TRUE, count
