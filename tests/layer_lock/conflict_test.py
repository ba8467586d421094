"""Conflicts with a base: who wants what, the pin in the way, what would fit, and overrides."""

from pathlib import Path

import pytest

from layers.lock import Override
from tests.index.server import LocalIndex
from tests.index.wheel import WheelSpec
from tests.layer_lock.desk import DATE, TORCH, Desk, add_sdist, make_desk, pure, versions

pytest_plugins = ["tests.index.fixture"]


@pytest.fixture(name="desk")
def _desk(local_index: LocalIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return make_desk(local_index, tmp_path, monkeypatch)


def _refused(desk: Desk, requirements: str, *options: str, env: str = TORCH) -> str:
    desk.write(requirements)
    command = ("lock", "requirements.in", "--env", env, "--exclude-newer", DATE, *options)
    said = desk.run(*command, exit_code=4)
    assert not (desk.folder / "model.lock").exists()
    return said


def test_a_requirement_against_a_pin_is_told_with_its_line(desk: Desk) -> None:
    said = _refused(desk, "# ours\nnumpy<2\n")
    assert "the requirements do not fit g00000/python3.12-torch2.4.1-cu121" in said
    assert "numpy: the base has 2.1.0\n    requirements.in:2 asks for numpy<2\n" in said
    assert "to have numpy 1.26.4 in the layer, on purpose: --override numpy" in said


def test_a_package_against_a_pin_is_told_with_what_leads_to_it(desk: Desk) -> None:
    desk.index.add(pure("app", "1.0", "middle"))
    desk.index.add(pure("middle", "2.0", "numpy<2"))
    said = _refused(desk, "app\n")
    assert "numpy: the base has 2.1.0\n    app → middle 2.0 requires numpy<2\n" in said


def test_other_environments_that_fit_are_named(desk: Desk) -> None:
    desk.index.add(pure("app", "1.0", "numpy<2"))
    said = _refused(desk, "app\n")
    assert "they fit, of g00000: python3.12, python3.11 (3 environments tried)" in said


def test_that_no_environment_fits_is_told(desk: Desk) -> None:
    desk.index.add(WheelSpec("app", "1.0", requires_python=">=4", files={"app.py": b""}))
    said = _refused(desk, "app\n")
    assert "they have no solution, whatever the base has; uv says:" in said
    assert "no other environment fits (3 tried)" in said


def test_another_version_is_brought_on_purpose(desk: Desk) -> None:
    lock = desk.lock("numpy<2\n", "--override", "numpy")
    assert (versions(lock), lock.allowed) == ({"numpy": "1.26.4"}, ("numpy",))
    assert lock.overrides == (Override("numpy", "1.26.4", "2.1.0"),)
    assert "up to date" in desk.run("check", "model.lock")
    assert "unchanged" in desk.run("lock")


def test_packages_of_the_base_that_do_not_accept_an_override_are_a_warning(desk: Desk) -> None:
    desk.index.add(pure("nvidia-cuda-runtime-cu12", "12.4.127"))
    command = ("lock", "requirements.in", "--env", TORCH, "--exclude-newer", DATE, "--override")
    desk.write("nvidia-cuda-runtime-cu12==12.4.127\n")
    said = desk.run(*command, "nvidia-cuda-runtime-cu12")
    assert "packages of the base do not accept nvidia-cuda-runtime-cu12 12.4.127" in said
    assert "nvidia-cuda-runtime-cu12==12.1.105" in said
    desk.write("numpy==1.26.4\n")
    assert "do not accept" not in desk.run(*command, "numpy")


def test_an_override_with_a_version_wins_over_what_packages_require(desk: Desk) -> None:
    desk.index.add(pure("app", "1.0", "numpy>=2"))
    lock = desk.lock("app\n", "--override", "Numpy==1.26.4")
    assert versions(lock) == {"app": "1.0", "numpy": "1.26.4"}


def test_an_override_with_the_version_of_the_base_is_refused(desk: Desk) -> None:
    desk.write("numpy\n")
    said = desk.run("lock", "requirements.in", "--env", TORCH, "--override", "numpy==2.1.0", exit_code=3)
    assert "the base has that version; leave the option out" in said


def test_another_torch_is_a_conflict_until_it_is_named(desk: Desk) -> None:
    desk.index.add(pure("torch", "2.5.0"))
    assert "torch: the base has 2.4.1\n    requirements.in:1 asks for torch==2.5.0" in _refused(
        desk, "torch==2.5.0\n"
    )
    assert versions(desk.lock("torch==2.5.0\n", "--override", "torch")) == {"torch": "2.5.0"}


def test_a_torch_on_a_base_without_one_is_refused_and_one_with_it_is_named(desk: Desk) -> None:
    desk.index.add(pure("app", "1.0", "torch"))
    said = _refused(desk, "app\n", env="3.12")
    assert (
        "torch 2.4.1 would be a second Torch or CUDA: the base has no torch\n    app 1.0 requires torch"
        in said
    )
    assert "they fit, of g00000: python3.12-torch2.4.1-cu121" in said


def test_a_library_of_another_cuda_is_refused_until_it_is_named(desk: Desk) -> None:
    desk.index.add(pure("nvidia-nccl-cu13", "2.1"))
    desk.index.add(pure("nvidia-ml-py", "13.0"))
    desk.index.add(pure("nvidia-nccl-cu12", "2.1"))
    said = _refused(desk, "nvidia-nccl-cu13\n")
    assert (
        "nvidia-nccl-cu13 2.1 would be a second Torch or CUDA: it is of CUDA 13, the base has CUDA 12.1"
        in said
    )
    assert "--override nvidia-nccl-cu13" in said
    lock = desk.lock("nvidia-nccl-cu13\nnvidia-ml-py\nnvidia-nccl-cu12\n", "--override", "nvidia-nccl-cu13")
    assert sorted(versions(lock)) == ["nvidia-ml-py", "nvidia-nccl-cu12", "nvidia-nccl-cu13"]


def test_a_requirement_that_would_fall_back_to_an_old_major_version_is_a_conflict(desk: Desk) -> None:
    desk.index.add(pure("app", "3.0"))
    desk.index.add(pure("app", "6.0", "numpy<2"))
    said = _refused(desk, "app\n")
    assert "numpy: the base has 2.1.0\n    app 6.0 requires numpy<2\n" in said
    assert "app would be 3.0, not 6.0; if that is what you want, write app==3.0" in said
    assert versions(desk.lock("app==3.0\n")) == {"app": "3.0"}


def test_a_requirement_that_would_fall_back_to_a_release_without_a_wheel_is_a_conflict(
    desk: Desk, tmp_path: Path
) -> None:
    add_sdist(desk, tmp_path, "app", "0.8")
    desk.index.add(pure("app", "0.9", "numpy<2"))
    said = _refused(desk, "app\n")
    assert "numpy: the base has 2.1.0\n    app 0.9 requires numpy<2\n" in said
    assert "app would be 0.8, which has no wheel, not 0.9; if that is what you want, write app==0.8" in said
    assert "building" not in said


def test_a_package_that_is_a_little_older_for_the_base_is_a_warning(desk: Desk) -> None:
    desk.index.add(pure("app", "1.0"))
    desk.index.add(pure("app", "1.1", "numpy<2"))
    desk.write("app\n")
    said = desk.run("lock", "requirements.in", "--env", TORCH, "--exclude-newer", DATE)
    assert "warning: app is 1.0, without the pins of the base it would be 1.1" in said


def test_a_project_for_another_python_is_refused(desk: Desk) -> None:
    desk.write('[project]\nname = "x"\nrequires-python = "<3.12"\ndependencies = []\n', "pyproject.toml")
    said = desk.run("lock", "pyproject.toml", "--env", TORCH, exit_code=3)
    assert "requires-python is '<3.12', and g00000/python3.12-torch2.4.1-cu121 has Python 3.12.7" in said


def test_a_hash_that_is_not_the_wheels_is_refused(desk: Desk) -> None:
    desk.index.add(pure("app", "1.0"))
    said = _refused(desk, f"app==1.0 --hash=sha256:{'0' * 64}\n")
    assert "requirements.in:1: the wheel of app for" in said
    assert "which is not among its hashes" in said


def test_an_index_that_does_not_answer_is_told_without_its_password(desk: Desk) -> None:
    desk.write("app\n")
    desk.index.go_down()
    url = desk.index.url()
    with_password = url.replace("://", "://me:hidden-word@")
    options = ("--env", TORCH, "--default-index", with_password)
    said = desk.run("lock", "requirements.in", *options, exit_code=4)
    assert f"error: {url}app/: the index does not answer: " in said
    assert "; check its URL and the network, and run the command again\n" in said
    assert "hidden" not in said


def test_a_package_that_does_not_exist_is_told_without_trying_environments(desk: Desk) -> None:
    said = _refused(desk, "numpy\nno-such-package\n")
    place = "error: requirements.in:2: no-such-package is not on "
    assert said.startswith(place)
    assert said.endswith("; correct the name, or name its index with --index\n")
    assert "tried" not in said
    assert "warning" not in said


@pytest.mark.parametrize(
    ("written", "near"), [("numpi", "numpy"), ("nunpy>=1", "numpy"), ("cv2", "opencv-python")]
)
def test_a_misspelt_package_is_told_with_names_that_are_like_it(desk: Desk, written: str, near: str) -> None:
    assert f"; did you mean {near}" in _refused(desk, f"{written}\n")


def test_an_index_without_packages_that_all_have_is_to_be_checked(desk: Desk) -> None:
    url = f"{desk.index.origin}/nothing/simple/"
    said = _refused(desk, "numpy\n", "--default-index", url, env="3.12")
    assert f"error: requirements.in:1: numpy is not on {url}; check the URL of the index, or" in said


def test_a_package_that_another_one_requires_and_that_does_not_exist_is_told_with_it(desk: Desk) -> None:
    desk.index.add(pure("app", "1.0", "no-such-package"))
    assert "error: no-such-package, which app requires, is not on the index; name its index" in _refused(
        desk, "app\n"
    )


def test_a_version_that_does_not_exist_is_told_with_the_date(desk: Desk) -> None:
    said = _refused(desk, "numpy==99\n")
    known = "error: requirements.in:1: numpy 99 is not on the index as of"
    assert said == f"{known} {DATE}; the base has 2.1.0\n"


def test_a_local_version_that_the_base_has_without_it_is_told(desk: Desk) -> None:
    assert "; the base has 2.4.1, so write torch==2.4.1\n" in _refused(desk, "torch==2.4.1+cu121\n")


@pytest.mark.parametrize(
    ("override", "warning"),
    [
        (
            "no-such-package",
            "--override no-such-package: nothing requires no-such-package; leave the option out",
        ),
        ("six", "--override six: nothing requires six; leave the option out"),
        ("app", "--override app: the base has no app; leave the option out"),
        ("torch", "--override torch: torch 2.4.1 of the base is also the newest that fits"),
    ],
)
def test_an_override_that_changes_nothing_is_a_warning(desk: Desk, override: str, warning: str) -> None:
    desk.index.add(pure("app", "1.0", "torch"))
    desk.write("app\n")
    command = ("lock", "requirements.in", "--env", TORCH, "--exclude-newer", DATE, "--override", override)
    assert f"warning: {warning}\n" in desk.run(*command)


def test_a_conflict_of_a_requirement_with_hashes_is_told_without_them(desk: Desk) -> None:
    hashes = " ".join(f"--hash=sha256:{number:064}" for number in range(9))
    said = _refused(desk, f"numpy==1.26.4 {hashes}\n")
    assert "requirements.in:1 asks for numpy==1.26.4\n" in said
    assert "sha256" not in said


def test_a_version_without_a_wheel_for_the_target_is_not_proposed(desk: Desk, tmp_path: Path) -> None:
    add_sdist(desk, tmp_path, "numpy", "1.19.5")
    platform = "manylinux_2_17_x86_64"
    desk.index.add(WheelSpec("numpy", "1.19.5", "cp38", "cp38", platform, files={"numpy.py": b""}))
    said = _refused(desk, "numpy<1.20\n")
    assert "numpy 1.19.5 has no wheel for Python 3.12 on x86_64, and a layer is made of wheels" in said
    assert "--override" not in said
    assert "no other environment fits" in said
