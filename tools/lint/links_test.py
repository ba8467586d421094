"""Tests of the check of links and labels in documents."""

from pathlib import Path

import pytest

from tools.lint.links import anchors, broken


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/BUILD.bazel").write_text('py_binary(name = "serve")\nlock(name = "requirements")\n')
    (tmp_path / "app/lock_test.py").write_text("")
    (tmp_path / "app/README.md").write_text(
        "# App\n\n## What `serve` does, and why\n\n```sh\n# not a heading\n```\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def messages(text: str) -> list[str]:
    Path("GUIDE.md").write_text(text)
    return list(broken(Path("GUIDE.md")))


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    "text",
    [
        "[app](app/README.md)", "[why](app/README.md#what-serve-does-and-why)", "[web](https://example.org/x)",
        "`//app:serve`", "`//app`", "`//app/...`", "`//app:all`", "`//app:requirements.update`",
        "`//app:lock_test`", "`//app:lock_test.py`", "`//app:serve_arm64`", "https://example.org//app:nothing",
    ],
)  # fmt: skip
def test_what_leads_somewhere_is_let_pass(text: str) -> None:
    assert messages(text) == []


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[app](app/GONE.md)", "app/GONE.md does not exist"),
        ("[why](app/README.md#not-a-heading)", "has no heading #not-a-heading"),
        ("[here](#nowhere)", "GUIDE.md has no heading #nowhere"),
        ("`//gone:serve`", "//gone:serve is not a target"),
        ("`//app:gone`", "//app:gone is not a target"),
        ("`//app:gone_arm64`", "//app:gone_arm64 is not a target"),
        ("`//app:serve_riscv64`", "//app:serve_riscv64 is not a target"),
        ("`//gone/...`", "//gone/... is not a target"),
    ],
)
def test_what_leads_nowhere_is_named_with_its_line(text: str, message: str) -> None:
    (found,) = messages(f"\n\n{text}\n")

    assert found.startswith("GUIDE.md:3: ")
    assert message in found


@pytest.mark.usefixtures("tree")
def test_a_comment_in_a_code_block_is_no_heading() -> None:
    assert anchors(Path("app/README.md")) == {"app", "what-serve-does-and-why"}
