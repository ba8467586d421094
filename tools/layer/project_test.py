"""Projects: dependencies, extras, groups, sources and indexes of a `pyproject.toml`, and those of scripts."""

from pathlib import Path

import pytest

from tools.layer.errors import RequirementsError
from tools.layer.project import read_project, read_script
from tools.layer.request import Request

PROJECT = """\
[project]
name = "mine"
requires-python = ">=3.11"
dependencies = ["six>1", "torch", "lib"]
[project.optional-dependencies]
serve = ["fastapi", "mine[metrics]"]
metrics = ["prometheus-client"]
[dependency-groups]
gpu = ["bitsandbytes", {include-group = "base"}]
base = ["click"]
loop = [{include-group = "loop"}]
[tool.uv]
constraint-dependencies = ["idna<4"]
[tool.uv.sources]
Torch = {index = "pytorch"}
lib = {git = "https://git.example/lib", tag = "v1", subdirectory = "py"}
[[tool.uv.index]]
name = "pytorch"
url = "https://download.pytorch.org/whl/cu130"
explicit = true
[[tool.uv.index]]
url = "https://corp.example/simple"
"""


def _read(folder: Path, text: str, extras: tuple[str, ...] = (), groups: tuple[str, ...] = ()) -> Request:
    path = folder / "pyproject.toml"
    path.write_text(text)
    return read_project(path, folder, extras, groups)


def _names(request: Request) -> list[str | None]:
    return [requirement.name for requirement in request.requirements]


def test_dependencies_sources_and_indexes_are_read(tmp_path: Path) -> None:
    request = _read(tmp_path, PROJECT)
    assert _names(request) == ["six", "torch", "lib"]
    assert request.requirements[2].text == "lib @ git+https://git.example/lib@v1#subdirectory=py"
    assert request.package_indexes == (("torch", "https://download.pytorch.org/whl/cu130"),)
    assert request.extra_index_urls == ("https://corp.example/simple",)
    assert request.requires_python == (">=3.11",)
    assert [one.text for one in request.constraints] == ["idna<4"]


def test_extras_may_name_other_extras_of_the_project(tmp_path: Path) -> None:
    request = _read(tmp_path, PROJECT, extras=("serve",))
    assert _names(request)[3:] == ["fastapi", "prometheus-client"]
    assert request.requirements[3].place == "pyproject.toml [extra serve]"


def test_groups_may_include_groups(tmp_path: Path) -> None:
    assert _names(_read(tmp_path, PROJECT, groups=("gpu",)))[3:] == ["bitsandbytes", "click"]


@pytest.mark.parametrize(
    ("text", "extras", "groups", "message"),
    [
        (PROJECT, ("other",), (), r"pyproject.toml: has no extra 'other'; it has serve, metrics"),
        (PROJECT, (), ("other",), r"has no dependency group 'other'; it has gpu, base, loop"),
        (PROJECT, (), ("loop",), r"\[group loop\]: includes itself through loop"),
        ("[project]\nname = 'x'\ndynamic = ['dependencies']\n", (), (), "its dependencies are dynamic"),
        ("[tool.poetry]\nname = 'x'\n", (), (), "is a project of Poetry .*poetry export"),
        ("[build-system]\n", (), (), r"has no \[project\] table"),
        ("[project\n", (), (), "pyproject.toml: is not TOML"),
        (
            "[project]\nname='x'\ndependencies=['six =']\n",
            (),
            (),
            r"\[project.dependencies\]: 'six =' is not",
        ),
        (
            "[project]\nname='x'\ndependencies=['y']\n[tool.uv.sources]\ny={workspace=true}\n",
            (),
            (),
            "y is a member of a uv workspace",
        ),
        (
            "[project]\nname='x'\ndependencies=['y']\n[tool.uv.sources]\ny={index='gone'}\n",
            (),
            (),
            "y names the index 'gone'",
        ),
    ],
)
def test_what_cannot_be_locked_is_refused_with_what_to_do(
    tmp_path: Path, text: str, extras: tuple[str, ...], groups: tuple[str, ...], message: str
) -> None:
    with pytest.raises(RequirementsError, match=message):
        _read(tmp_path, text, extras, groups)


def test_a_script_with_inline_metadata_has_requirements(tmp_path: Path) -> None:
    path = tmp_path / "serve.py"
    path.write_text(
        '#!/usr/bin/env python\n# /// script\n# requires-python = ">=3.12"\n# dependencies = ["six"]\n# ///\n'
    )
    request = read_script(path, tmp_path)
    assert (_names(request), request.requires_python) == (["six"], (">=3.12",))


def test_a_script_without_metadata_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "serve.py"
    path.write_text("print()\n")
    with pytest.raises(RequirementsError, match=r"serve\.py: has no `# /// script` block"):
        read_script(path, tmp_path)
