"""The page of all generations."""

import re
from html.parser import HTMLParser

import pytest

from gens.generation import Environment, Generation, Inputs, Toolkit
from tools.overview.page import lock_link, overview_page
from tools.overview.sharing import GenerationBytes, PlatformBytes, TargetBytes

_X86 = "x86_64-manylinux_2_28"
_BOUND = "2026-11-01T00:00:00Z"
_VOID = {"meta", "br"}


def _inputs(*requirements: str) -> Inputs:
    return Inputs("3.11.1", _X86, _BOUND, requirements)


def _found(number: int = 1, packages: tuple[str, ...] = ("pip",)) -> GenerationBytes:
    cells = (
        Environment("3.11", "3.11.1", _inputs()),
        Environment("3.11", "3.11.1", _inputs("torchvision==0.19.1"), "2.4.1", "cu121", "12.1"),
    )
    toolkit = Toolkit("cuda", "12.1", "12.1.1", _inputs())
    pythons = {"3.11": "3.11.1", "3.12": "3.12.1"}
    generation = Generation(number, _X86, _BOUND, pythons, cells, (toolkit,), packages=packages)
    sizes = (TargetBytes(cells[0], 6_000_000, 0), TargetBytes(cells[1], 4_000_000_000, 1_000_000_000))
    platform = PlatformBytes(
        _X86, (*sizes, TargetBytes(toolkit, 7000, 7000)), 9, 4_100_000_000, 8_200_000_000, 5
    )
    return GenerationBytes(generation, (platform,), 9, 4_100_000_000)


def _with_stacks() -> GenerationBytes:
    arm = Inputs("3.11.1", "aarch64-manylinux_2_34", _BOUND, ())
    cells = (
        Environment("3.11", "3.11.1", _inputs(), "2.4.1", "cu121", "12.1", "vllm", "0.33.0"),
        Environment("3.11", "3.11.1", arm, None, None, "13.0", "jax", "0.12.0"),
    )
    generation = Generation(
        3, _X86, _BOUND, {"3.11": "3.11.1"}, cells, further_platforms=("aarch64-manylinux_2_34",)
    )
    vllm = TargetBytes(cells[0], 5_000_000_000, 1_000_000, ("numpy==2.5.0", "setuptools==81.0.0"))
    jax = TargetBytes(cells[1], 3_000_000_000, 0)
    platforms = (
        PlatformBytes(_X86, (vllm,), 2, 5, 5, 5),
        PlatformBytes("aarch64-manylinux_2_34", (jax,), 2, 5, 5, 5),
    )
    return GenerationBytes(generation, platforms, 2, 5)


def _page(*found: GenerationBytes) -> str:
    return overview_page(found or [_found()], lock_link("../gens"))


class _Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_each_element_is_closed_where_it_was_opened() -> None:
    balance = _Balance()
    balance.feed(_page(_found(1), _found(2)))
    assert balance.open == []


def test_a_cell_has_the_size_what_is_added_and_the_lock() -> None:
    page = _page()
    assert '<a href="../gens/g00001/python3.11-torch2.4.1-cu121.txt"' in page
    assert ">4.0 GB</a><small>adds 1.0 GB</small>" in page
    assert "width:25%" in page


def test_a_python_without_an_environment_says_none() -> None:
    (row,) = re.findall(r'<tr><th scope="row">2\.4\.1 <small>cu121</small></th>(.*)</tr>', _page())
    assert row.count("<td>") == 5
    assert row.count(">none<") == 2  # Python 3.12, and torchaudio
    assert "<td>0.19.1</td>" in row


def test_each_row_names_the_oldest_driver_of_its_cuda() -> None:
    page = _page(_found(), _with_stacks())
    assert re.search(r">2\.4\.1 <small>cu121</small></th><td>525\.60\.13</td>", page)
    assert re.search(r">Python only</th><td><span class=\"none\">none</span></td>", page)
    assert re.search(r">cuda12\.1</th><td>525\.60\.13</td><td>12\.1\.1</td>", page)
    assert re.search(r">jax <small>0\.12\.0</small></th><td>.*?</td><td>580\.65\.06</td>", page)


def test_the_newest_generation_stands_first() -> None:
    page = _page(_found(1), _found(2))
    assert page.index('<section id="g00002"') < page.index('<section id="g00001"')
    assert '<a href="#g00001">g00001</a>' in page


def test_a_stack_is_a_row_with_its_torch_and_what_differs_from_its_base() -> None:
    page = _page(_with_stacks())
    (row,) = re.findall(r'<tr><th scope="row">vllm <small>0\.33\.0</small></th>(.*)</tr>', page)
    assert "<td>2.4.1 <small>cu121</small></td>" in row
    assert ">5.0 GB</a><small>adds 1.0 MB</small>" in row
    assert '<span class="list">numpy, setuptools</span>' in row


def test_each_platform_has_its_own_tables_and_locks() -> None:
    page = _page(_with_stacks())
    assert page.count("<h3>g00003 on ") == 2
    assert 'href="../gens/g00003/aarch64/python3.11-jax0.12.0.txt"' in page
    assert 'href="../gens/g00003/python3.11-vllm0.33.0.txt"' in page
    assert "Environments, by Torch" not in page  # it has stacks only


def test_each_table_has_a_caption_and_headers_with_a_scope() -> None:
    page = _page()
    tables = page.count("<table>")
    assert tables == page.count("<caption>") == page.count('role="region" tabindex="0" aria-label=') == 3
    assert page.count("<th ") == page.count('scope="row"') + page.count('scope="col"')


@pytest.mark.parametrize("found", [_found(), _with_stacks()])
def test_each_row_has_a_cell_for_each_column(found: GenerationBytes) -> None:
    for table in re.findall(r"<table>.*?</table>", _page(found), re.DOTALL):
        head, *rows = table.split("<tr>")[1:]
        assert {row.count("<td>") + row.count("<th ") for row in rows} == {head.count("<th ")}


def test_the_page_loads_nothing() -> None:
    page = _page()
    assert "default-src 'none'" in page
    assert re.search(r"src=|url\(|@import|<script|<link|https?:", page) is None


@pytest.mark.parametrize("planted", ["<script>alert(1)</script>", '"><img src=x>'])
def test_no_name_is_markup(planted: str) -> None:
    assert planted not in _page(_found(packages=(planted,)))


def _luminance(colour: str) -> float:
    digits = colour if len(colour) == 6 else "".join(digit * 2 for digit in colour)
    parts = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("background", ["back", "head"])
@pytest.mark.parametrize("text", ["text", "dim", "link"])
def test_text_contrasts_with_its_background(scheme: str, background: str, text: str) -> None:
    light, dark = _page().split("@media (prefers-color-scheme: dark)")[:2]
    colours = dict(
        re.findall(r"--(\w+): #([0-9a-f]{3,6})", light if scheme == "light" else dark.split("} }")[0])
    )
    one, other = sorted([_luminance(colours[background]), _luminance(colours[text])])
    assert (other + 0.05) / (one + 0.05) >= 4.5  # WCAG 2.2, 1.4.3
