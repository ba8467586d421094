"""The laws of what is shown: any name of a file is one line that everything can carry."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from daemon.prefix.finding import Finding, summarize
from daemon.report.shown_text import json_document, visible
from tests.laws.names import paths


@given(paths() | st.text())
def test_what_is_shown_is_printable_and_utf_8_and_the_same_if_it_was_so(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    shown.encode()
    assert (shown == text) == text.isprintable()
    assert visible(shown) == shown


@given(paths(), st.sampled_from(["", "mode 600, not 644"]))
def test_a_finding_is_one_line_of_utf_8(path: str, detail: str) -> None:
    found = Finding("monobase/g00000/python3.11", path, "extra", detail)
    for line in (str(found), *summarize([found] * 20)):
        assert line.isprintable()
        line.encode()


@given(st.dictionaries(paths(), paths() | st.lists(st.integers() | paths(), max_size=3), max_size=3))
def test_a_document_is_json_whatever_is_in_it(value: dict[str, object]) -> None:
    for indent in (0, 1):
        read = msgspec.json.decode(json_document(value, indent))
        assert {visible(key) for key in read} == {visible(key) for key in value}


def test_names_are_told_apart_by_their_bytes() -> None:
    assert visible("a\udcff\n\x1b[31mü\u2028") == r"a\xff\n\x1b[31mü\u2028"
