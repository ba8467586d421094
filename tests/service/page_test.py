"""The status page in a real browser: Debian's Chromium, which the toolbox brings."""

import re
from pathlib import Path

import pytest

from tests.node.node import Node
from tests.service.browser import BROWSERS, browse, find_browser
from tests.synthetic.catalog import cells, environment_cell

pytest_plugins = ["tests.service.fixture"]

_MEASURE = "<script>document.title = document.documentElement.scrollWidth + 'px'</script></body>"
_TOOLBOX = Path("/var/lib/monobase/cacerts")  # tools/toolbox/run makes it


@pytest.fixture
def chromium() -> str:
    found = find_browser()
    if found is None and _TOOLBOX.exists():
        pytest.fail(f"the toolbox should bring a browser, and none of {', '.join(BROWSERS)} is on the PATH")
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is on the PATH")
    return found


def _with_a_failure(node: Node) -> None:
    alpha, beta = node.wheel("alpha"), node.wheel("beta")
    failing = [environment_cell([beta], torch="2.6.0")]
    node.define_all({0: cells(alpha, torch=("2.3.1", "2.4.1")), 1: cells(alpha, torch=("2.5.1",)) + failing})
    node.index.repository.lose(beta.filename)


def test_a_browser_shows_the_grid(node: Node, chromium: str) -> None:
    _with_a_failure(node)
    with node.daemon() as daemon:
        daemon.wait_until(lambda: 'class="s-failed"' in daemon.get("/")[1] and "g00000" in daemon.get("/")[1])
        daemon.wait_until(lambda: daemon.get("/")[1].count('class="s-ready"') == 5)
        picture = node.directory / "page.png"
        url = f"http://127.0.0.1:{daemon.port}/"
        browse(chromium, node.directory, "--window-size=1200,900", f"--screenshot={picture}", url)
        assert picture.read_bytes().startswith(b"\x89PNG")
        document = browse(chromium, node.directory, "--dump-dom", url)
    assert document.count("<li class=") == 6
    assert "torch2.6.0-cpu" in document
    assert "<title>monobase: not ready</title>" in document


@pytest.mark.parametrize("width", [360, 390])
def test_nothing_is_wider_than_a_phone(node: Node, chromium: str, width: int) -> None:
    _with_a_failure(node)
    with node.daemon() as daemon:
        daemon.wait_until(lambda: 'class="s-failed"' in daemon.get("/")[1])
        daemon.wait_until(lambda: "by sharing" in daemon.get("/")[1] or "saved" in daemon.get("/")[1])
        page = daemon.get("/")[1].replace("</body>", _MEASURE)
    file = node.directory / "page.html"
    file.write_text(page)
    frame = node.directory / "frame.html"
    frame.write_text(
        f"<iframe id=phone src=page.html width={width} height=900></iframe>"
        "<script>onload = () => { const inner = document.getElementById('phone').contentDocument;"
        "document.title = inner.title }</script>"
    )
    document = browse(
        chromium,
        node.directory,
        "--allow-file-access-from-files",
        "--dump-dom",
        frame.as_uri(),
    )
    found = re.search(r"<title>(\d+)px</title>", document)
    assert found is not None, document
    assert int(found[1]) <= width
