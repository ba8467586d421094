"""The pages of a tree: what pypi-simple reads from them, whatever the order of the files."""

import pypi_simple

from tools.mirror.pages import is_own_page, project_page, root_page

FILES = [("b" * 64, "torch-2.4.1+cpu-py3-none-any.whl"), ("a" * 64, "torch-1!2.0-py3-none-any.whl")]


def test_a_page_links_each_wheel_by_its_digest() -> None:
    content = project_page("torch", FILES)
    assert content == project_page("torch", reversed(FILES))
    page = pypi_simple.ProjectPage.from_html("torch", content, "https://x.example/m/simple/torch/")
    found = {(package.filename, package.url, package.digests["sha256"]) for package in page.packages}
    assert found == {
        (name, f"https://x.example/m/files/{sha256}/{name.replace('+', '%2B').replace('!', '%21')}", sha256)
        for sha256, name in FILES
    }


def test_the_root_lists_the_packages() -> None:
    page = pypi_simple.IndexPage.from_html(root_page(["b", "a"]))
    assert page.projects == ["a", "b"]


def test_a_page_of_somebody_else_is_told_apart() -> None:
    assert is_own_page(root_page([]))
    assert not is_own_page(b"<html></html>")
