"""Requirements files: what pip and uv accept is read, and what a layer cannot have is refused by its line."""

from pathlib import Path

import pytest

from tools.layer.errors import RequirementsError
from tools.layer.request import Request
from tools.layer.requirements_file import read_requirements_file

DIGEST = "a" * 64


def _read(folder: Path, text: str) -> Request:
    path = folder / "requirements.in"
    path.write_text(text)
    return read_requirements_file(path, folder)


def _texts(request: Request) -> list[str]:
    return [requirement.text for requirement in request.requirements]


def test_requirements_are_read_in_their_normal_form_with_their_lines(tmp_path: Path) -> None:
    request = _read(
        tmp_path, "# for the API\nFastAPI >=0.100 # new\n\nuvicorn[standard];python_version>'3.8'\n"
    )
    assert _texts(request) == ["FastAPI>=0.100", 'uvicorn[standard]; python_version > "3.8"']
    assert [requirement.place for requirement in request.requirements] == [
        "requirements.in:2",
        "requirements.in:4",
    ]
    assert request.requirements[1].extras == ("standard",)
    assert request.requirements[0].name == "fastapi"


def test_hashes_on_continued_lines_belong_to_their_requirement(tmp_path: Path) -> None:
    request = _read(tmp_path, f"idna==3.7 \\\n    --hash=sha256:{DIGEST} \\\n    --hash=sha512:12\nsix\n")
    assert request.requirements[0].hashes == (DIGEST,)
    assert request.requirements[0].pep508 == "idna==3.7"
    assert _texts(request) == [f"idna==3.7 --hash=sha256:{DIGEST}", "six"]


def test_included_files_and_constraints_are_relative_to_their_file(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/more.txt").write_text("six\n-c bounds.txt\n")
    (tmp_path / "sub/bounds.txt").write_text("click<9\n")
    request = _read(tmp_path, "-r sub/more.txt\n--requirement=sub/more.txt\nidna\n")
    assert _texts(request) == ["six", "six", "idna"]
    assert [one.text for one in request.constraints] == ["click<9", "click<9"]
    assert request.requirements[0].place == "sub/more.txt:1"


def test_indexes_are_kept_with_the_values_of_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    request = _read(
        tmp_path,
        "-i https://index.example/simple\n--extra-index-url https://me:${TOKEN}@other.example/simple\n",
    )
    assert request.index_url == "https://index.example/simple"
    assert request.extra_index_urls == ("https://me:secret@other.example/simple",)


def test_paths_are_written_relative_to_the_lock(tmp_path: Path) -> None:
    for name in ("libs/mine", "locks"):
        (tmp_path / name).mkdir(parents=True)
    path = tmp_path / "requirements.in"
    path.write_text("-e ./libs/mine[fast]\nother @ libs/mine ; python_version > '3'\n")
    request = read_requirements_file(path, tmp_path / "locks")
    assert _texts(request) == ["../libs/mine[fast]", 'other @ ../libs/mine ; python_version > "3"']
    first, second = request.requirements
    assert (first.name, first.extras, second.name) == (None, ("fast",), "other")
    assert first.source is not None
    assert (first.source.kind, first.source.location) == ("path", str(tmp_path / "libs/mine"))


def test_git_requirements_have_revision_and_folder(tmp_path: Path) -> None:
    request = _read(
        tmp_path,
        "git+https://me:pw@git.example/org/mine.git@v1.2#egg=mine&subdirectory=py\n"
        "two @ git+ssh://git@git.example/org/two\n",
    )
    first, second = request.requirements
    assert first.source is not None
    assert second.source is not None
    assert (first.source.location, first.source.revision, first.source.subdirectory, first.name) == (
        "https://me:pw@git.example/org/mine.git",
        "v1.2",
        "py",
        "mine",
    )
    assert "pw" not in first.text
    assert (second.source.location, second.source.revision) == ("ssh://git@git.example/org/two", None)


def test_a_wheel_by_url_has_its_name_and_digest(tmp_path: Path) -> None:
    (requirement,) = _read(
        tmp_path, f"https://files.example/flash_attn-2.8.3-cp312-cp312-linux_x86_64.whl#sha256={DIGEST}\n"
    ).requirements
    assert requirement.name == "flash-attn"
    assert requirement.source is not None
    assert requirement.source.sha256 == DIGEST


def test_no_binary_asks_for_a_build(tmp_path: Path) -> None:
    assert _read(tmp_path, "--no-binary Six\nsix\n").build == ("six",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("six\nidna = 3\n", r"requirements.in:2: 'idna = 3' is not a requirement"),
        (
            "--find-links ./x\n",
            r"requirements.in:1: --find-links has no meaning for a layer; name the wheels",
        ),
        ("--pre\n", r"--pre has no meaning for a layer; name the pre-release by its version"),
        ("--frobnicate x\n", r"--frobnicate has no meaning for a layer; remove it"),
        ("./missing\n", r"requirements.in:1: .*/missing does not exist; paths are relative to the file"),
        ("-r missing.txt\n", r"missing.txt: cannot be read"),
        ("-r requirements.in\n", r"includes itself"),
        ("-r ../{folder}/requirements.in\n", r"requirements.in: includes itself"),
        ("-r a\0b\n", r"is not text"),
        ("-r\n", r"requirements.in:1: --requirement has no value"),
        ("-r https://x.invalid/r.txt\n", r"requirements.in:1: --requirement names a URL; download the file"),
        ("six\n-i\n", r"requirements.in:2: --index-url has no value"),
        ("~no-such-user-anywhere/x\n", r"requirements.in:1: '~no-such-user-anywhere/x' is not a URL or path"),
        ("x @ https://me:secret@[bad/x.whl\n", r"requirements.in:1: 'https://\[bad/x.whl' is not a URL"),
        ("x @ git+--upload-pack=./y\n", r"is not a URL or path: it begins like an option"),
        ("--index-url https://${NOT_SET_ANYWHERE}@x.example\n", r"the variable NOT_SET_ANYWHERE is not set"),
        ("six --hash=md5:1\n", r"no --hash=sha256:… among the hashes"),
        ("six --config-settings=a\n", r"--config-settings=a is not supported"),
        ("x @ git+https://git.example/x@--upload-pack=y\n", r"is not a branch, tag or commit"),
        ("six; python_version >\n", r"is not a requirement"),
    ],
)
def test_another_line_is_refused_by_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RequirementsError, match=message):
        _read(tmp_path, text.replace("{folder}", tmp_path.name))


def test_constraints_have_no_extras_and_no_places(tmp_path: Path) -> None:
    path = tmp_path / "constraints.txt"
    path.write_text("six[x]<2\n")
    with pytest.raises(RequirementsError, match=r"constraints\.txt:1: a constraint is a name with versions"):
        read_requirements_file(path, tmp_path, constraints=True)
