"""Requirements that are on no index as wheels: built, kept beside the lock, the same bytes each time."""

import subprocess
import tarfile
from pathlib import Path

import pytest

from gens.lock import LockedWheel
from tests.index.server import LocalIndex
from tests.index.wheel import Wheel, WheelSpec, write_wheel
from tests.layer_lock.desk import DATE, TORCH, Desk, make_desk, pure, versions
from tools.layer.source_digest import file_digest

pytest_plugins = ["tests.index.fixture"]

# A backend of the project's own, as the index has none. Each build is of another moment and order.
BACKEND = """\
import os
import random
import time
import zipfile

NAME, VERSION, TAG = "{name}", "{version}", "{tag}"
METADATA = f"Metadata-Version: 2.1\\nName: {{NAME}}\\nVersion: {{VERSION}}\\nRequires-Dist: helper\\n"

WHEEL = f"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: {{TAG}}\\n"


def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = f"{{NAME}}-{{VERSION}}-{{TAG}}.whl"
    members = {{
        f"{{NAME}}.py": open(f"{{NAME}}.py").read(),
        f"{{NAME}}-{{VERSION}}.dist-info/METADATA": METADATA,
        f"{{NAME}}-{{VERSION}}.dist-info/WHEEL": WHEEL,
        f"{{NAME}}-{{VERSION}}.dist-info/RECORD": "",
    }}
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        for member in random.sample(sorted(members), len(members)):
            moment = time.gmtime(random.randrange(10**9, 2 * 10**9))
            wheel.writestr(zipfile.ZipInfo(member, moment[:6]), members[member])
    os.makedirs("build", exist_ok=True)
    return name
"""


@pytest.fixture(name="desk")
def _desk(local_index: LocalIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = make_desk(local_index, tmp_path, monkeypatch)
    desk.index.add(pure("helper", "3.0"))
    return desk


def _project(folder: Path, name: str, version: str = "1.0", tag: str = "py3-none-any") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "backend.py").write_text(BACKEND.format(name=name, version=version, tag=tag))
    (folder / f"{name}.py").write_text("x = 1\n")
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        f'[project]\nname = "{name}"\nversion = "{version}"\ndependencies = ["helper"]\n'
    )


def _repository(folder: Path, name: str) -> str:
    _project(folder, name)
    for arguments in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "--all"),
        ("-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "--quiet", "--message=one"),
    ):
        subprocess.run(["git", "-C", str(folder), *arguments], check=True)  # noqa: S607
    return subprocess.run(
        ["git", "-C", str(folder), "rev-parse", "HEAD"],  # noqa: S607
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def _wheel(desk: Desk, name: str) -> LockedWheel:
    return next(wheel for wheel in desk.read().wheels if wheel.name == name)


def _files(desk: Desk) -> dict[str, str]:
    folder = desk.folder / "model.wheels"
    return {path.name: file_digest(path) for path in folder.iterdir()} if folder.exists() else {}


def test_a_project_by_path_is_built_with_what_it_requires(desk: Desk) -> None:
    _project(desk.folder / "mine", "mine")
    lock = desk.lock("./mine\n")
    assert versions(lock) == {"helper": "3.0", "mine": "1.0"}
    assert [(one.name, one.source.partition(" ")[0]) for one in lock.built] == [("mine", "./mine")]
    wheel = _wheel(desk, "mine")
    assert _files(desk) == {wheel.filename: wheel.sha256}
    assert "up to date" in desk.run("check", "model.lock")


def test_a_project_that_is_named_more_than_once_is_built_once(desk: Desk) -> None:
    _project(desk.folder / "mine", "mine")
    desk.write("./mine\n", "other.in")
    desk.write("./mine\n-r other.in\nmine @ ./mine\n")
    said = desk.run("lock", "requirements.in", "--env", TORCH, "--exclude-newer", DATE)
    assert said.count("building ") == 1
    assert [built.name for built in desk.read().built] == ["mine"]


def test_a_build_leaves_nothing_in_the_sources(desk: Desk) -> None:
    _project(desk.folder / "mine", "mine")
    before = sorted(path.name for path in (desk.folder / "mine").iterdir())
    desk.lock("./mine\n")
    assert sorted(path.name for path in (desk.folder / "mine").iterdir()) == before


def test_the_same_source_is_the_same_bytes(desk: Desk) -> None:
    _project(desk.folder / "mine", "mine")
    desk.lock("./mine\n")
    first = _files(desk)
    desk.run("lock", "--upgrade", "--exclude-newer", DATE)
    assert _files(desk) == first


def test_a_changed_source_is_told_and_built_again_with_the_others_kept(desk: Desk) -> None:
    for name in ("mine", "other"):
        _project(desk.folder / name, name)
    desk.lock("./mine\n./other\n")
    before = _files(desk)
    (desk.folder / "mine/mine.py").write_text("x = 2\n")
    assert "requirements.in:1: ./mine has changed" in desk.run("check", "model.lock", exit_code=1)
    said = desk.run("lock")
    assert "building requirements.in:1: ./mine" in said
    assert "building requirements.in:2" not in said
    after = _files(desk)
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == {"mine-1.0-py3-none-any.whl"}


def test_what_tools_write_into_a_source_is_no_change(desk: Desk) -> None:
    _project(desk.folder / "mine", "mine")
    desk.lock("./mine\n")
    (desk.folder / "mine/__pycache__").mkdir()
    (desk.folder / "mine/__pycache__/mine.cpython-312.pyc").write_bytes(b"")
    (desk.folder / "mine/mine.egg-info").mkdir()
    assert "up to date" in desk.run("check", "model.lock")


def test_a_branch_of_git_stays_at_its_commit_until_an_upgrade(desk: Desk) -> None:
    repository = desk.folder / "repository"
    first = _repository(repository, "mine")
    url = f"git+{repository.as_uri()}"
    lock = desk.lock(f"mine @ {url}@main\n")
    assert [one.source for one in lock.built] == [f"{url}@{first}"]
    (repository / "more.py").write_text("")
    second = _repository(repository, "mine")
    assert second != first
    desk.index.add(pure("other", "1.0"))
    desk.write(f"mine @ {url}@main\nother\n")
    desk.run("lock")
    assert [one.source for one in desk.read().built] == [f"{url}@{first}"]
    desk.run("lock", "--upgrade")
    assert [one.source for one in desk.read().built] == [f"{url}@{second}"]


def test_a_wheel_by_path_is_kept_as_it_is(desk: Desk) -> None:
    wheel = write_wheel(pure("mine", "2.0"), desk.folder / "wheels")
    lock = desk.lock(f"./wheels/{wheel.filename}\n")
    assert versions(lock) == {"mine": "2.0"}
    assert _files(desk) == {wheel.filename: wheel.sha256}


def test_a_wheel_by_url_is_kept_beside_the_lock(desk: Desk) -> None:
    wheel = desk.index.add(pure("mine", "2.0"))
    url = f"{desk.index.origin}/packages/{wheel.sha256}/{wheel.filename}"
    lock = desk.lock(f"mine @ {url}\n")
    assert _files(desk) == {wheel.filename: wheel.sha256}
    assert [one.source for one in lock.built] == [f"{url} sha256:{wheel.sha256}"]


def test_a_package_without_wheels_is_built_from_its_source_distribution(desk: Desk, tmp_path: Path) -> None:
    _add_sdist(desk, tmp_path / "sdist")
    lock = desk.lock("mine\n")
    assert versions(lock) == {"helper": "3.0", "mine": "1.0"}
    assert [one.source.partition(" ")[0] for one in lock.built] == ["mine-1.0.tar.gz"]
    assert list(_files(desk)) == ["mine-1.0-py3-none-any.whl"]


def test_a_package_without_wheels_is_refused_where_nothing_may_be_built(desk: Desk, tmp_path: Path) -> None:
    _add_sdist(desk, tmp_path / "sdist")
    desk.write("mine\n")
    said = desk.run("lock", "requirements.in", "--env", TORCH, "--no-build", exit_code=4)
    assert "building from source is disabled" in said


def test_wheels_that_are_no_longer_needed_go(desk: Desk) -> None:
    _project(desk.folder / "mine", "mine")
    desk.lock("./mine\n")
    desk.write("helper\n")
    desk.run("lock")
    assert not (desk.folder / "model.wheels").exists()


def test_a_missing_wheel_is_told_and_built_again(desk: Desk) -> None:
    _project(desk.folder / "mine", "mine")
    desk.lock("./mine\n")
    (desk.folder / "model.wheels/mine-1.0-py3-none-any.whl").unlink()
    assert "mine-1.0-py3-none-any.whl: is missing; it was built from ./mine" in desk.run(
        "check", "model.lock", exit_code=1
    )
    desk.run("lock")
    assert "up to date" in desk.run("check", "model.lock")


def test_a_wheel_for_another_python_is_refused_with_what_to_do(desk: Desk) -> None:
    _project(desk.folder / "mine", "mine", tag="cp27-cp27m-linux_x86_64")
    desk.write("./mine\n")
    said = desk.run("lock", "requirements.in", "--env", TORCH, exit_code=7)
    assert "mine-1.0-cp27-cp27m-linux_x86_64.whl does not run on Python 3.12" in said


def test_a_project_that_does_not_build_is_told_with_what_the_build_said(desk: Desk) -> None:
    _project(desk.folder / "mine", "mine")
    (desk.folder / "mine/backend.py").write_text("raise RuntimeError('no compiler here')\n")
    desk.write("./mine\n")
    said = desk.run("lock", "requirements.in", "--env", TORCH, exit_code=7)
    assert "requirements.in:1: ./mine: does not build to a wheel" in said
    assert "no compiler here" in said


def test_a_wheel_by_path_that_is_no_wheel_is_named(desk: Desk) -> None:
    desk.write("not a zip", "bad-1.0-py3-none-any.whl")
    desk.write("./bad-1.0-py3-none-any.whl\n")
    said = desk.run("lock", "requirements.in", "--env", TORCH, exit_code=7)
    assert "./bad-1.0-py3-none-any.whl: bad-1.0-py3-none-any.whl is damaged: it is not a zip file" in said


def test_a_build_that_prints_without_end_of_line_is_told_at_once(desk: Desk) -> None:
    _project(desk.folder / "mine", "mine")
    (desk.folder / "mine/backend.py").write_text(
        "print('x' * 1_000_000)\nraise RuntimeError('no compiler')\n"
    )
    desk.write("./mine\n")
    said = desk.run("lock", "requirements.in", "--env", TORCH, exit_code=7)
    assert "    [a long word]\n" in said
    assert "RuntimeError: no compiler" in said
    assert len(said) < 10_000


def test_a_project_of_another_name_is_refused(desk: Desk) -> None:
    _project(desk.folder / "mine", "mine")
    desk.write("yours @ ./mine\n")
    said = desk.run("lock", "requirements.in", "--env", TORCH, exit_code=7)
    assert "is the package mine, not yours; correct the name" in said


def test_a_marker_that_is_false_on_the_base_builds_nothing(desk: Desk) -> None:
    _project(desk.folder / "mine", "mine")
    lock = desk.lock("mine @ ./mine ; sys_platform == 'win32'\nhelper\n")
    assert versions(lock) == {"helper": "3.0"}
    assert "up to date" in desk.run("check", "model.lock")


def test_an_editable_requirement_is_built_to_a_wheel(desk: Desk) -> None:
    _project(desk.folder / "mine", "mine")
    lock = desk.lock("-e ./mine\n")
    assert (versions(lock), lock.requirements) == ({"helper": "3.0", "mine": "1.0"}, ("./mine",))


def test_a_wheel_by_url_with_another_hash_is_refused(desk: Desk) -> None:
    wheel = desk.index.add(pure("other", "1.0"))
    url = f"{desk.index.origin}/packages/{wheel.sha256}/{wheel.filename}"
    desk.write(f"other @ {url}#sha256={'0' * 64}\n")
    said = desk.run("lock", "requirements.in", "--env", TORCH, exit_code=7)
    assert f"expected sha256:{'0' * 64}, found sha256:{wheel.sha256}" in said
    assert said.count(url) == 2  # once while it is downloaded


def _add_sdist(desk: Desk, folder: Path) -> None:
    """Serve a source distribution of `mine`, which has no wheel."""
    _project(folder / "mine-1.0", "mine")
    (folder / "mine-1.0/PKG-INFO").write_text(
        "Metadata-Version: 2.2\nName: mine\nVersion: 1.0\nRequires-Dist: helper\n"
    )
    path = folder / "mine-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder / "mine-1.0", "mine-1.0")
    metadata = (folder / "mine-1.0/PKG-INFO").read_bytes()
    desk.index.add(Wheel(WheelSpec("mine", "1.0"), path, path.stat().st_size, file_digest(path), metadata))


def test_a_yanked_release_is_a_warning(desk: Desk) -> None:
    desk.index.add(pure("mine", "2.0"), yanked="broken")
    desk.write("mine==2.0\n")
    said = desk.run("lock", "requirements.in", "--env", TORCH, "--exclude-newer", DATE)
    assert 'warning: `mine==2.0` is yanked (reason: "broken")' in said


def test_an_extra_that_a_package_of_the_base_lacks_is_a_warning(desk: Desk) -> None:
    desk.write("torch[no-such-extra]\n")
    said = desk.run("lock", "requirements.in", "--env", TORCH, "--exclude-newer", DATE)
    assert "warning: The package `torch==2.4.1` does not have an extra named `no-such-extra`" in said
    assert desk.read().wheels == ()
