"""Locks of layers on a local index: only what the base lacks, dated, kept, upgraded and checked offline."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from gens.errors import LockError
from layers.lock import lock_digest
from tests.index.repository import pytorch_root
from tests.index.server import LocalIndex
from tests.layer_lock.desk import DATE, TORCH, Desk, make_desk, pure, versions
from tools.layer.locking import write_lock
from tools.layer.solution import Solution

pytest_plugins = ["tests.index.fixture"]

LATE = "2026-11-20T00:00:00Z"


@pytest.fixture(name="desk")
def _desk(local_index: LocalIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return make_desk(local_index, tmp_path, monkeypatch)


def test_a_layer_has_what_the_base_lacks_at_versions_that_fit_it(desk: Desk) -> None:
    desk.index.add(pure("app", "1.0", "torch", "numpy>=1", "helper"))
    desk.index.add(pure("helper", "3.0"))
    desk.index.add(pure("numpy", "9.0.0"))
    lock = desk.lock("app\n")
    assert versions(lock) == {"app": "1.0", "helper": "3.0"}
    base = desk.workshop.locks / "g00000/python3.12-torch2.4.1-cu121.txt"
    assert (lock.generation, lock.environment, lock.base) == (
        "g00000",
        "python3.12-torch2.4.1-cu121",
        lock_digest(base.read_text()),
    )
    assert (lock.requirements, lock.sources, lock.exclude_newer) == (("app",), ("requirements.in",), DATE)


def test_a_layer_of_nothing_but_the_base_is_empty(desk: Desk) -> None:
    assert desk.lock("torch\nnumpy>=1\n").wheels == ()
    assert "the base has all that is asked for" in desk.run("lock")
    assert desk.lock("# nothing yet\n").wheels == ()
    assert "nothing is asked for" in desk.run("lock")


def test_a_requirement_whose_marker_is_false_is_told_and_not_taken_for_one_of_the_base(desk: Desk) -> None:
    desk.write('numpy\nelsewhere; sys_platform == "win32"\nold>=1; python_version < "3.9"\n')
    for _ in range(2):  # the second time, the lock is unchanged
        said = desk.run("lock", "requirements.in", "--env", TORCH, "--exclude-newer", DATE)
        assert '  left out by its marker: elsewhere; sys_platform == "win32"\n' in said
        assert '  left out by its marker: old>=1; python_version < "3.9"\n' in said
        assert "the base has all that is asked for" in said
    desk.write('elsewhere; sys_platform == "win32"\n')
    said = desk.run("lock", "requirements.in", "--env", TORCH, "--exclude-newer", DATE)
    assert "nothing is asked for\n  left out by its marker: elsewhere" in said
    desk.write("numpy\n")
    assert "marker" not in desk.run("lock", "requirements.in", "--env", TORCH, "--exclude-newer", DATE)


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("app", ""),
        ("aap", "--upgrade-package aap: the lock has no aap"),
        ("NumPy", "--upgrade-package numpy: g00000/python3.12-torch2.4.1-cu121 has it, at a version"),
    ],
)
def test_a_package_to_upgrade_that_the_lock_has_not_is_a_warning(desk: Desk, name: str, warning: str) -> None:
    desk.index.add(pure("app", "1.0", "numpy"))
    desk.lock("app\n")
    said = desk.run("lock", "-P", name, "--exclude-newer", DATE)
    assert warning in said
    assert ("warning" in said) == bool(warning)


def test_the_summary_says_what_the_layer_adds_and_what_the_base_has(desk: Desk) -> None:
    desk.index.add(pure("app", "1.0", "torch"))
    desk.write("app\n")
    said = desk.run("lock", "requirements.in", "--env", "3.12-torch2.4.1")
    assert "on g00000/python3.12-torch2.4.1-cu121: 1 package, " in said
    assert "of the base: 3 packages" in said


def test_the_same_order_again_changes_nothing_and_asks_no_index(desk: Desk) -> None:
    desk.index.add(pure("app", "1.0"))
    desk.lock("app\n")
    before = (desk.folder / "model.lock").read_bytes()
    desk.index.add(pure("app", "2.0"))
    desk.index.go_down()
    assert "unchanged" in desk.run("lock", "requirements.in")
    assert "unchanged" in desk.run("lock")
    assert (desk.folder / "model.lock").read_bytes() == before


def test_versions_and_date_are_kept_when_a_requirement_is_added(desk: Desk) -> None:
    for name in ("app", "other"):
        desk.index.add(pure(name, "1.0"))
    desk.lock("app\n")
    desk.index.add(pure("app", "1.1"))
    desk.write("app\nother\n")
    desk.run("lock")
    assert (versions(desk.read()), desk.read().exclude_newer) == ({"app": "1.0", "other": "1.0"}, DATE)


def test_one_package_or_all_are_upgraded_on_request(desk: Desk) -> None:
    for name in ("app", "other"):
        desk.index.add(pure(name, "1.0"))
    desk.lock("app\nother\n")
    for name in ("app", "other"):
        desk.index.add(pure(name, "2.0"), upload_time=LATE)
    desk.run("lock", "--upgrade-package", "app", "--exclude-newer", LATE)
    assert versions(desk.read()) == {"app": "1.0", "other": "1.0"}
    desk.run("lock", "--upgrade-package", "App")
    assert versions(desk.read()) == {"app": "2.0", "other": "1.0"}
    desk.run("lock", "--upgrade")
    assert versions(desk.read()) == {"app": "2.0", "other": "2.0"}


def test_a_lock_that_belongs_to_everything_is_up_to_date(desk: Desk) -> None:
    desk.index.add(pure("app", "1.0"))
    desk.lock("app\n")
    desk.index.go_down()
    assert "up to date" in desk.run("check", "model.lock")
    assert "up to date" in desk.run("lock", "requirements.in", "--check")


def test_a_check_says_which_requirement_has_changed(desk: Desk) -> None:
    desk.index.add(pure("app", "1.0"))
    desk.lock("app\n")
    desk.write("app<2\n")
    said = desk.run("check", "model.lock", exit_code=1)
    assert "requirement 'app<2': the lock does not have it" in said
    assert "requirement 'app': only the lock has it" in said


def test_a_check_says_that_the_base_has_changed(desk: Desk) -> None:
    desk.index.add(pure("app", "1.0"))
    desk.lock("app\n")
    base = desk.workshop.locks / "g00000/python3.12-torch2.4.1-cu121.txt"
    base.write_text(base.read_text().replace("uv 0", "uv 1"))
    assert "base: the lock was made for sha256:" in desk.run("check", "model.lock", exit_code=1)


def test_a_check_says_that_the_generation_is_gone(desk: Desk) -> None:
    desk.index.add(pure("app", "1.0"))
    desk.lock("app\n")
    definition = desk.workshop.definitions / "g00000.json"
    definition.write_text(definition.read_text().replace('"id": 0', '"id": 7'))
    definition.rename(definition.with_name("g00007.json"))
    assert "its base does not exist: there is no generation 0" in desk.run("check", "model.lock", exit_code=1)


def test_a_check_says_that_a_lock_is_for_another_environment(desk: Desk) -> None:
    desk.index.add(pure("app", "1.0"))
    desk.lock("app\n")
    said = desk.run("check", "model.lock", "--env", "3.11-torch2.4.1", exit_code=1)
    assert "the lock is for python3.12-torch2.4.1-cu121, not for python3.11-torch2.4.1-cu121" in said


def test_a_check_says_that_the_header_was_edited(desk: Desk) -> None:
    desk.index.add(pure("app", "1.0"))
    desk.lock("app\n")
    path = desk.folder / "model.lock"
    path.write_text(path.read_text().replace(DATE, LATE))
    assert "the header of" in desk.run("check", "model.lock", exit_code=1)


def test_credentials_of_an_index_are_not_in_the_lock(desk: Desk) -> None:
    desk.index.add(pure("app", "1.0"))
    with_password = desk.index.url().replace("://", "://me:hidden@")
    lock = desk.lock("app\n", "--default-index", with_password)
    assert lock.index_url == desk.index.url()
    assert "hidden" not in (desk.folder / "model.lock").read_text()


def test_an_index_of_ones_own_without_upload_times_serves_its_packages(desk: Desk) -> None:
    root = desk.index.add_root(pytorch_root("cu118"))
    desk.index.add(pure("corp", "1.0", "helper"), root)
    desk.index.add(pure("helper", "1.0"))
    desk.index.add(pure("corp", "9.0"))
    lock = desk.lock("corp\n", "--index", desk.index.url(root))
    assert versions(lock) == {"corp": "1.0", "helper": "1.0"}
    assert lock.extra_index_urls == (desk.index.url(root),)
    assert "up to date" in desk.run("check", "model.lock")


def test_paths_are_relative_to_the_lock_wherever_it_lies(desk: Desk) -> None:
    desk.index.add(pure("app", "1.0"))
    desk.write("app\n", "models/requirements.in")
    desk.run("lock", "models/requirements.in", "--env", "3.12", "-o", "locks/a.lock")
    assert "# source: ../models/requirements.in\n" in (desk.folder / "locks/a.lock").read_text()
    assert "up to date" in desk.run("check", "locks/a.lock")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lock",), "name a file of requirements"),
        (("lock", "requirements.in"), "name an environment with --env"),
        (("lock", "requirements.in", "--env", "3.12", "--extra", "x"), "belong to a pyproject.toml"),
        (("lock", "requirements.in", "--env", "3.12", "--override", "a b"), "neither NAME nor NAME==VERSION"),
        (("lock", "requirements.in", "--env", "3.12", "--exclude-newer", "soon"), "'soon' is neither"),
        (("lock", "a.in", "-P", "app==1.0"), "--upgrade-package: 'app==1.0' is not the NAME"),
        (("lock", "a.in", "-P", "-app"), "--upgrade-package: '-app' is not the NAME"),
        (("lock", "a.in", "-P", ""), "--upgrade-package: '' is not the NAME"),
        (
            ("lock", "requirements.in", "--env", "3.12", "--index", "corp"),
            "--index 'corp': it does not",
        ),
        (
            ("lock", "a.in", "--default-index", "x.example/simple"),
            "--default-index 'x.example/simple':",
        ),
        (("lock", "a.in", "--index", "https:///simple"), "it names no host"),
        (("lock", "a.in", "--index", "https://me:pa/ss@x.example/"), "--index 'https://x.example/': what"),
        (
            ("lock", "a.in", "--index", "https://a.example https://b.example"),
            "repeat the option for each",
        ),
    ],
)
def test_wrong_usage_is_told(desk: Desk, arguments: tuple[str, ...], message: str) -> None:
    desk.write("app\n")
    assert message in desk.run(*arguments, exit_code=2)


def test_a_package_without_a_final_release_is_no_reason_to_fall_back(desk: Desk) -> None:
    desk.index.add(pure("app", "1.0"))
    desk.index.add(pure("app", "1.1", "exporter>=0.5b1"))
    desk.index.add(pure("exporter", "0.66b2"))
    assert versions(desk.lock("app\n")) == {"app": "1.1", "exporter": "0.66b2"}


def test_a_package_with_final_releases_is_taken_without_pre_releases(desk: Desk) -> None:
    desk.index.add(pure("app", "1.0"))
    desk.index.add(pure("app", "2.0a1"))
    assert versions(desk.lock("app\n")) == {"app": "1.0"}
    desk.index.add(pure("other", "1.0", "app>=2.0a1"))
    assert versions(desk.lock("other\n")) == {"app": "2.0a1", "other": "1.0"}


def test_the_index_of_a_package_that_the_base_has_is_not_in_the_lock(desk: Desk) -> None:
    root = desk.index.add_root(pytorch_root("cu118"))
    desk.index.add(pure("corp", "1.0"), root)
    project = (
        '[project]\nname = "x"\ndependencies = ["torch", "corp"]\n[tool.uv.sources]\n'
        'torch = {{index = "build"}}\ncorp = {{index = "corp"}}\n'
        '[[tool.uv.index]]\nname = "build"\nurl = "https://unused.example/whl"\nexplicit = true\n'
        '[[tool.uv.index]]\nname = "corp"\nurl = "{}"\nexplicit = true\n'
    )
    desk.write(project.format(desk.index.url(root)), "pyproject.toml")
    desk.run("lock", "pyproject.toml", "--env", "3.12-torch2.4.1", "--exclude-newer", DATE)
    lock = desk.read()
    assert (versions(lock), lock.extra_index_urls) == ({"corp": "1.0"}, (desk.index.url(root),))
    assert "up to date" in desk.run("check", "model.lock")


def test_a_folder_means_its_project(desk: Desk) -> None:
    desk.index.add(pure("app", "1.0"))
    desk.write('[project]\nname = "x"\ndependencies = ["app"]\n', "svc/pyproject.toml")
    desk.run("lock", "svc", "--env", "3.12", "--exclude-newer", DATE)
    assert (versions(desk.read()), desk.read().sources) == ({"app": "1.0"}, ("svc/pyproject.toml",))


def test_a_missing_file_of_requirements_is_named(desk: Desk) -> None:
    said = desk.run("lock", "gone.in", "--env", "3.12", exit_code=3)
    assert said == "error: gone.in: cannot be read: No such file or directory\n"


@pytest.mark.parametrize("content", [b"torch\n", b"# generation: g00002\n", b"\xff\xfe"])
def test_a_file_that_is_not_a_layer_lock_is_not_overwritten(desk: Desk, content: bytes) -> None:
    desk.write("numpy\n")
    path = desk.folder / "model.lock"
    path.write_bytes(content)
    said = desk.run("lock", "requirements.in", "--env", "3.12", exit_code=3)
    assert "it is not overwritten: name another file with -o" in said
    assert path.read_bytes() == content


def test_a_pipe_is_no_lock(desk: Desk) -> None:
    desk.write("numpy\n")
    os.mkfifo(desk.folder / "model.lock")
    said = desk.run("lock", "requirements.in", "--env", "3.12", exit_code=3)
    assert "model.lock: is not a file; name a file for the lock with -o" in said


def test_a_damaged_lock_is_replaced_with_a_warning(desk: Desk) -> None:
    lock = desk.lock("numpy\n")
    path = desk.folder / "model.lock"
    path.write_text(path.read_text() + "x")
    assert "warning: the existing lock is not used" in desk.run(
        "lock", "requirements.in", "--env", TORCH, "--exclude-newer", DATE
    )
    assert desk.read() == lock


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# layer: 1\n", "a.in: is a layer lock; name it with -o"),
        ("# generation: g00002\n", "a.in: is the lock of an environment; name the environment with --env"),
        ("\0", "a.in: is not text"),
        ("--index-url corp\n", "a.in:1: --index-url 'corp': it does not begin with https://"),
    ],
)
def test_a_file_that_has_no_requirements_is_told(desk: Desk, text: str, message: str) -> None:
    desk.write(text, "a.in")
    assert message in desk.run("lock", "a.in", "--env", "3.12", exit_code=3)


def test_a_folder_without_a_project_is_told(desk: Desk) -> None:
    (desk.folder / "code").mkdir()
    assert "has no pyproject.toml; name a file of requirements" in desk.run(
        "lock", "code", "--env", "3.12", exit_code=3
    )


def test_a_lock_is_made_again_with_its_files_of_constraints_and_its_indexes(desk: Desk) -> None:
    root = desk.index.add_root(pytorch_root("cu118"))
    desk.index.add(pure("corp", "1.0"), root)
    for version in ("1.0", "2.0"):
        desk.index.add(pure("app", version))
    desk.write("app<2\n", "limits/constraints.txt")
    url = desk.index.url(root)
    options = ("-c", "limits/constraints.txt", "--index", url.replace("://", "://me:hidden-word@"))
    lock = desk.lock("app\ncorp\n", *options)
    assert versions(lock) == {"app": "1.0", "corp": "1.0"}
    assert lock.options == ("-c limits/constraints.txt", f"--index {url}")
    assert "unchanged" in desk.run("lock")
    assert "up to date" in desk.run("check", "model.lock")
    assert "up to date" in desk.run("check", "model.lock", "requirements.in")
    desk.run("lock", "--upgrade", "--exclude-newer", DATE)
    assert desk.read() == lock


def test_an_index_of_the_files_is_asked_again_with_its_password(desk: Desk) -> None:
    desk.index.add(pure("app", "1.0"))
    with_password = desk.index.url().replace("://", "://me:hidden-word@")
    lock = desk.lock(f"--index-url {with_password}\napp\n")
    assert (lock.index_url, lock.options) == (desk.index.url(), ())
    desk.write(f"--index-url {with_password}\napp<2\n")
    desk.run("lock")
    assert desk.read().requirements == ("app<2",)


def test_the_index_of_a_build_of_torch_is_not_asked_for_all_else_at_the_second_time(desk: Desk) -> None:
    root = desk.index.add_root(pytorch_root("cu118"))
    desk.index.add(pure("app", "1.0"))
    desk.index.add(pure("app", "9.0"), root)
    desk.index.add(pure("corp", "1.0"), root)
    project = (
        '[project]\nname = "x"\ndependencies = ["app", "corp"]\n'
        '[tool.uv.sources]\ncorp = {{index = "corp"}}\n'
        '[[tool.uv.index]]\nname = "corp"\nurl = "{}"\nexplicit = true\n'
    )
    desk.write(project.format(desk.index.url(root)), "pyproject.toml")
    desk.run("lock", "pyproject.toml", "--env", "3.12", "--exclude-newer", DATE)
    desk.run("lock", "--upgrade", "--exclude-newer", DATE)
    assert versions(desk.read()) == {"app": "1.0", "corp": "1.0"}


def test_a_variable_of_an_index_is_not_in_the_lock_and_has_its_value_at_the_next_run(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.index.add(pure("app", "1.0"))
    host, _, path = desk.index.url().removeprefix("http://").partition("/")
    monkeypatch.setenv("PATH_OF_INDEX", path)
    url = f"http://{host}/${{PATH_OF_INDEX}}"
    desk.lock(f"--index-url {url}\napp\n")
    assert f"--index-url {url}\n" in (desk.folder / "model.lock").read_text()
    desk.run("lock", "-P", "app")
    assert versions(desk.read()) == {"app": "1.0"}


def test_two_locks_of_one_file_at_the_same_time_leave_a_whole_one(desk: Desk) -> None:
    base = desk.lock("numpy\n")
    path = desk.folder / "model.lock"
    others = [replace(base, requirements=(f"numpy>={number}",)) for number in range(40)]
    empty = Solution((), (), (), (), (), own_index=False, warnings=())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda lock: write_lock(path, lock, empty), others))
    assert desk.read() in others
    assert sorted(file.name for file in desk.folder.iterdir()) == ["model.lock", "requirements.in"]


def test_a_disk_that_is_full_leaves_the_old_lock_and_nothing_else(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = desk.lock("numpy\n")
    empty = Solution((), (), (), (), (), own_index=False, warnings=())
    write = Path.write_bytes

    def fill(path: Path, content: bytes) -> int:
        write(path, content[:10])
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fill)
        with pytest.raises(LockError, match=r"model\.lock: cannot be written: No space left on device"):
            write_lock(desk.folder / "model.lock", replace(before, requirements=("torch",)), empty)
    assert desk.read() == before
    assert sorted(file.name for file in desk.folder.iterdir()) == ["model.lock", "requirements.in"]


def test_a_kill_while_the_lock_is_written_leaves_the_old_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = desk.lock("numpy\n")
    empty = Solution((), (), (), (), (), own_index=False, warnings=())

    def killed(_path: Path, _target: Path) -> Path:
        raise KeyboardInterrupt

    after = replace(before, requirements=("torch",))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            write_lock(desk.folder / "model.lock", after, empty)
    assert desk.read() == before
    desk.lock("torch\n")
    assert sorted(file.name for file in desk.folder.iterdir()) == ["model.lock", "requirements.in"]
