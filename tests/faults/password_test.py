"""The password of an index: nowhere on a page, in a log, in a file that models see, or on a command line."""

import contextlib
import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.index.fault import status
from tests.index.server import LocalIndex
from tests.node.node import PATIENT, Node, make_node
from tests.synthetic.catalog import environment_cell

pytest_plugins = ["tests.index.fixture"]

_PASSWORDS = [
    "pa/55w0rd", "55w0rd", "pa%2F55w0rd", "pa@55w0rd", "pa:55w0rd", "12/55w0rd", "pa#55w0rd", "pa?55w0rd",
]  # fmt: skip
_WAYS = ["file", "flag", "extra"]
_TELLTALE = "55w0rd"


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    node = make_node(local_index, tmp_path)
    node.define(environment_cell([node.wheel()]))
    return node


def _url(node: Node, password: str) -> str:
    return node.index.url().replace("://", f"://user:{password}@")


def _command_lines_with_it() -> Iterator[Path]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended
            if _TELLTALE.encode() in path.read_bytes():
                yield path


def _files_with_it(directory: Path) -> list[Path]:
    found = []
    for parent, _, names in os.walk(directory):
        for path in (Path(parent, name) for name in names):
            with contextlib.suppress(OSError):  # it has gone meanwhile
                if path.is_file() and not path.is_symlink() and _TELLTALE.encode() in path.read_bytes():
                    found.append(path)
    return found


@pytest.mark.parametrize(
    ("password", "way"),
    [*((password, "variable") for password in _PASSWORDS), *((_PASSWORDS[0], way) for way in _WAYS)],
)
def test_an_install_that_fails_does_not_show_it(node: Node, password: str, way: str) -> None:
    url = _url(node, password)
    arguments = ["--index-url", url] if way == "flag" else []
    path = node.directory / "uv.toml"
    path.write_text(f"[[index]]\nurl = {json.dumps(url)}\ndefault = true\n" if way == "file" else "")
    variables = {"UV_HTTP_RETRIES": "0", "UV_CONFIG_FILE": str(path)}
    variables |= {"variable": {"UV_DEFAULT_INDEX": url}, "file": {"UV_DEFAULT_INDEX": ""}}.get(way, {})
    variables |= {"UV_EXTRA_INDEX_URL": url} if way == "extra" else {}
    with node.index.fault(status("*", code=403, times=None)):
        said = node.install(*arguments, code=4, variables=variables)
    assert _TELLTALE not in said
    assert "pa/" not in said
    assert _files_with_it(node.root) == []
    assert [path for path in _files_with_it(node.directory) if path.name != "uv.toml"] == []


def test_it_is_in_no_file_and_on_no_command_line_while_uv_runs(node: Node, tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    url, over = _url(node, _TELLTALE), threading.Event()
    seen: list[str] = []

    def look() -> None:
        seen.extend(map(str, _command_lines_with_it()))
        for place in (node.root, folder):
            seen.extend(map(str, _files_with_it(place)))

    def watch() -> None:
        with node.index.gate("*.whl") as gate:
            while not over.wait(0.05):
                look()
                if gate.is_reached():
                    look()
                    looked.set()
                    gate.open()

    looked = threading.Event()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        node.install(variables={"UV_DEFAULT_INDEX": url, "TMPDIR": str(folder), **PATIENT})
    finally:
        over.set()
        watcher.join()
    assert looked.is_set()
    assert seen == []
    assert list(folder.iterdir()) == []
    assert node.is_sealed()


@pytest.mark.parametrize("password", ["pa/55w0rd", "12/55w0rd"])
def test_neither_page_nor_log_nor_file_of_the_service_shows_it(node: Node, password: str) -> None:
    variables = {"UV_DEFAULT_INDEX": _url(node, password), "UV_HTTP_RETRIES": "0"}
    log = node.directory / "log"
    with log.open("wb") as said, node.index.fault(status("*", code=403, times=None)):
        process = node.spawn(
            "run", "--listen", "127.0.0.1:0", "--log-format", "json", "--check-interval", "0.1",
            "--retry-delay", "0.2", said=said, variables=variables, before=(),
        )  # fmt: skip
        try:
            port = _wait(log, lambda entry: str(entry.get("address", "")).rpartition(":")[2])
            _wait(log, lambda entry: "x" if "trying again" in json.dumps(entry) else "")
            for page in ("/", "/readyz", "/readyz?format=text", "/metrics"):
                assert _TELLTALE not in _get(int(port), page), page
            text = log.read_text()
        finally:
            process.kill()
            process.wait()
    assert _TELLTALE not in text
    assert _files_with_it(node.root) == []


def _get(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=120) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()


def _wait(log: Path, find: Callable[[dict[str, Any]], str]) -> str:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for line in log.read_text().splitlines():
            found = find(json.loads(line)) if line.startswith("{") else ""
            if found:
                return str(found)
        time.sleep(0.05)
    raise AssertionError(f"never came:\n{log.read_text()}")
