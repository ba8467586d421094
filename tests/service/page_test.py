"""The status page in a real browser: Debian's Chromium, which the toolbox brings."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.node import Node
from tests.node.running_daemon import Daemon
from tests.service.browser import BROWSERS, BrowserPage, find_browser, open_browser
from tests.synthetic.catalog import PYTHON, cells, environment_cell

pytest_plugins = ["tests.service.fixture"]

_TOOLBOX = Path("/var/lib/monobase/cacerts")  # tools/toolbox/run makes it


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[BrowserPage]:
    found = find_browser()
    if found is None and _TOOLBOX.exists():
        pytest.fail(f"the toolbox should bring a browser, and none of {', '.join(BROWSERS)} is on the PATH")
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is on the PATH")
    with open_browser(found, tmp_path) as page:
        yield page


def _with_a_failure(node: Node) -> None:
    """Define two generations; an environment of one cannot be installed, as the index lost its wheel beta."""
    alpha, beta = node.wheel("alpha"), node.wheel("beta")
    failing = [environment_cell([beta], torch="2.6.0")]
    node.define_all({0: cells(alpha, torch=("2.3.1", "2.4.1")), 1: cells(alpha, torch=("2.5.1",)) + failing})
    node.index.repository.lose(beta.filename)


def _wait_for_the_failure(daemon: Daemon) -> None:
    daemon.wait_until(lambda: "<td class=failed" in daemon.get("/")[1])
    daemon.wait_until(lambda: daemon.get("/")[1].count("<td class=ready") == 5)
    daemon.wait_until(lambda: "by sharing" in daemon.get("/")[1])


def _url(daemon: Daemon) -> str:
    return f"http://127.0.0.1:{daemon.port}/"


def _count(selector: str) -> str:
    return f"document.querySelectorAll({selector!r}).length"


def test_a_browser_shows_the_grid_and_complains_of_nothing(node: Node, browser: BrowserPage) -> None:
    _with_a_failure(node)
    with node.daemon() as daemon:
        _wait_for_the_failure(daemon)
        browser.open(_url(daemon))
        assert browser.evaluate("document.title") == "monobase: not ready"
        assert browser.evaluate(_count("td.ready")) == 5
        failed = browser.evaluate("document.querySelector('td.failed').title")
        assert failed == f"python{PYTHON}-torch2.6.0-cpu: failed"
        colour = "getComputedStyle(document.querySelector('td.ready')).backgroundColor"
        assert browser.evaluate(colour) == "rgb(215, 240, 222)"
        browser.prefer("dark")
        assert browser.evaluate(colour) == "rgb(18, 54, 31)"
        picture = node.directory / "page.png"
        browser.photograph(picture)
        assert picture.read_bytes().startswith(b"\x89PNG")
    assert browser.problems == []


@pytest.mark.parametrize("width", [320, 360, 390])
def test_nothing_is_wider_than_a_phone(node: Node, browser: BrowserPage, width: int) -> None:
    _with_a_failure(node)
    with node.daemon() as daemon:
        _wait_for_the_failure(daemon)
        browser.resize(width, 800)
        browser.open(_url(daemon))
        assert browser.evaluate("document.documentElement.scrollWidth") == width
        assert browser.evaluate("innerWidth") == width


def test_the_page_changes_while_it_is_open(node: Node, browser: BrowserPage) -> None:
    _with_a_failure(node)
    with node.daemon() as daemon:
        _wait_for_the_failure(daemon)
        browser.open(_url(daemon))
        browser.evaluate("window.stays = true")
        node.wheel("beta")  # the same bytes
        browser.wait_until(_count("td.ready") + " === 6")
        browser.wait_until("document.title === 'monobase: ready'")
        assert browser.evaluate(_count("td.failed")) == 0
        assert browser.evaluate("window.stays") is True
        assert browser.loads == 1


def test_a_daemon_that_is_gone_is_told_of(node: Node, browser: BrowserPage) -> None:
    _with_a_failure(node)
    with node.daemon() as daemon:
        _wait_for_the_failure(daemon)
        browser.open(_url(daemon))
        daemon.end()
    browser.wait_until("document.getElementById('stale').textContent.startsWith('No answer from the daemon')")
    assert browser.evaluate(_count("td.ready")) == 5


def test_the_page_reloads_itself_without_a_script(node: Node, browser: BrowserPage) -> None:
    _with_a_failure(node)
    with node.daemon() as daemon:
        _wait_for_the_failure(daemon)
        browser.call("Emulation.setScriptExecutionDisabled", value=True)
        browser.open(_url(daemon))
        browser.wait_until(lambda: browser.loads > 1)


def test_markup_that_got_into_the_page_would_not_run(node: Node, browser: BrowserPage) -> None:
    _with_a_failure(node)
    with node.daemon() as daemon:
        _wait_for_the_failure(daemon)
        browser.open(_url(daemon))
        planted = '<img src="data:," onerror="window.ran = true"><p id=planted></p>'
        browser.evaluate(f"document.body.insertAdjacentHTML('beforeend', '{planted}')")
        browser.wait_until(lambda: len(browser.problems) > 0)
        assert "Content Security Policy" in browser.problems[0]
        assert browser.evaluate("document.getElementById('planted') !== null")
        assert browser.evaluate("window.ran === undefined")
