import io

from gens.progress import Bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_is_drawn_where_no_terminal_is() -> None:
    stream = io.StringIO()
    with Bar("push", 10, unit="bytes", stream=stream) as bar:
        bar.advance(4)
        bar.print("a [line]")
    assert not bar.on_terminal
    assert (bar.done, stream.getvalue()) == (4, "a [line]\n")


def test_a_terminal_shows_title_count_and_note() -> None:
    stream = Terminal()
    with Bar("resolving", 3, stream=stream) as bar:
        bar.advance(note="g00001/[cuda12.4]")
        bar.advance(note="g00001/python3.11")
    shown = stream.getvalue()
    assert "resolving" in shown
    assert "2/3" in shown
    assert "g00001/python3.11" in shown


def test_a_terminal_shows_bytes_with_their_unit() -> None:
    stream = Terminal()
    with Bar("fetch", unit="bytes", stream=stream) as bar:
        bar.total = 2_000_000
        bar.advance(1_500_000)
    assert "1.5/2.0 MB" in stream.getvalue()


def test_a_line_above_the_bar_is_printed_as_it_is() -> None:
    stream = Terminal()
    with Bar("fetch", 2, stream=stream) as bar:
        bar.print("[3/4] a line of [red]words[/red]" + " that is long" * 20)
    assert "[3/4] a line of [red]words[/red]" + " that is long" * 20 + "\n" in stream.getvalue()
