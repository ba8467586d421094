from pathlib import Path

import pytest

from runtime.sample_prefix import SITE_PACKAGES, SamplePrefix
from runtime.user_venv.mark import is_prepared
from runtime.user_venv.preparation import prepare
from runtime.user_venv.sample_venv import assert_whole, make_venv, python_of, uv_pip

pytest_plugins = ["runtime.fixtures"]


def test_what_a_sync_has_removed_is_there_again_at_the_next_start(
    prefix: SamplePrefix, base: Path, tmp_path: Path, venv: Path
) -> None:
    prepare(venv, base)
    (tmp_path / "requirements.txt").write_text("shared==2.0\n")

    uv_pip(prefix, venv, "sync", str(tmp_path / "requirements.txt"))

    assert not is_prepared(venv, base)
    assert not (venv / "bin" / "tool").exists()
    prepare(venv, base)
    assert is_prepared(venv, base)
    assert python_of(venv).stdout == f"2.0 2.4.1 {venv}\n"
    uv_pip(prefix, venv, "install", "mine")  # needs torch
    assert not (venv / SITE_PACKAGES / "torch").exists()


def test_what_is_right_stays_in_its_place_for_who_runs_with_it(
    prefix: SamplePrefix, base: Path, venv: Path
) -> None:
    def places() -> list[int]:
        kept = [*sorted((venv / SITE_PACKAGES).glob("[tp]*.dist-info")), venv / "bin/tool", venv / "bin/pip"]
        return [path.stat().st_ino for path in kept]

    prepare(venv, base)
    before = places()
    uv_pip(prefix, venv, "uninstall", "shared")

    prepare(venv, base)

    assert places() == before
    assert_whole(venv, base)


def test_a_copy_beside_the_users_own_package_goes(base: Path, venv: Path) -> None:
    prepare(venv, base)
    own = venv / SITE_PACKAGES / "shared-2.0.dist-info"
    own.mkdir()
    (own / "METADATA").write_text("Metadata-Version: 2.1\nName: shared\nVersion: 2.0\n")
    (venv / ".monobase").unlink()

    prepare(venv, base)

    assert [path.name for path in (venv / SITE_PACKAGES).glob("shared-*")] == ["shared-2.0.dist-info"]


@pytest.mark.parametrize("arguments", [("uninstall", "torch"), ("install", "shared==2.0")])
def test_a_single_package_that_goes_is_noticed_too(
    prefix: SamplePrefix, base: Path, venv: Path, arguments: tuple[str, ...]
) -> None:
    prepare(venv, base)

    uv_pip(prefix, venv, *arguments)

    assert not is_prepared(venv, base)
    prepare(venv, base)
    assert is_prepared(venv, base)


def test_the_metadata_of_the_base_is_back_when_the_users_package_has_gone(
    prefix: SamplePrefix, base: Path, venv: Path
) -> None:
    prepare(venv, base)
    uv_pip(prefix, venv, "install", "shared==2.0")
    prepare(venv, base)
    assert is_prepared(venv, base)

    uv_pip(prefix, venv, "uninstall", "shared")

    assert not is_prepared(venv, base)
    prepare(venv, base)
    assert_whole(venv, base)


@pytest.mark.parametrize("name", ["stranger-1.0.dist-info", "torch.egg-info", "odd.dist-info", "x.egg-link"])
def test_metadata_of_the_user_in_any_state_is_no_hindrance(base: Path, venv: Path, name: str) -> None:
    make_venv(venv)
    (venv / SITE_PACKAGES / name).mkdir()
    (venv / SITE_PACKAGES / name / "entry_points.txt").write_bytes(b"[console_scripts\n\xff = :")

    prepare(venv, base)

    assert is_prepared(venv, base)
    assert (venv / SITE_PACKAGES / name / "entry_points.txt").exists()
