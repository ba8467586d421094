import io
import json

import pytest

from daemon.report.progress import Reporter


def test_a_stage_is_one_line_with_its_facts_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    with Reporter(stream).stage("fetch", 100, unit="bytes") as stage:
        stage.advance(100)
        stage.facts.update(wheels=3, fetched_bytes=2_500_000)
    assert stream.getvalue().startswith("fetch    3 wheels, 2.5 MB fetched, 0.0")
    assert stream.getvalue().count("\n") == 1


def test_machines_get_an_object_a_line() -> None:
    stream = io.StringIO()
    reporter = Reporter(stream, "json")
    reporter.warning("look", target="g00000/x")
    with reporter.stage("link") as stage:
        stage.facts["environments"] = 2
    warning, line = (json.loads(text) for text in stream.getvalue().splitlines())
    assert (warning["level"], warning["message"], warning["target"]) == ("warning", "look", "g00000/x")
    assert (line["stage"], line["environments"]) == ("link", 2)


def test_a_sentence_that_says_all_keeps_its_facts_for_machines() -> None:
    for log_format, expected in (("text", "gone: x, 1.5 kB\n"), ("json", '"level": "info"')):
        stream = io.StringIO()
        Reporter(stream, "json" if log_format == "json" else "text").tell("gone: x, 1.5 kB", size_bytes=1_500)
        assert expected in stream.getvalue()
        assert ("1500" in stream.getvalue()) == (log_format == "json")
    Reporter(stream := io.StringIO(), quiet=True).tell("nothing")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("name", ["target", "subject"])
def test_an_error_names_what_it_is_about_first_and_ends_with_what_to_do(name: str) -> None:
    stream = io.StringIO()
    Reporter(stream).error("it failed\n  cause: a host\ndo that", **{name: "g00000/x"}, kind="index")
    assert stream.getvalue() == "error: g00000/x: it failed\n  cause: a host\ndo that\n"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar() -> None:
    stream = _Terminal()
    reporter = Reporter(stream)
    with reporter.stage("fetch", 100, unit="bytes") as stage:
        stage.advance(60)
        reporter.warning("a line stands [above] the bar")
    assert "fetch" in stream.getvalue()
    assert "warning: a line stands [above] the bar\n" in stream.getvalue()
    assert "\x1b[" in stream.getvalue()


def test_quiet_keeps_warnings() -> None:
    stream = io.StringIO()
    reporter = Reporter(stream, quiet=True)
    reporter.info("nothing")
    with reporter.stage("plan"):
        pass
    reporter.warning("look")
    assert stream.getvalue() == "warning: look\n"
