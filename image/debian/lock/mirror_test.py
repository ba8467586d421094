import json
import subprocess
import sys
from pathlib import Path

import pytest

from image.debian.lock import mirror
from image.debian.lock.mirror import Mirrors, find_in_apt, find_mirrors

MAIN = (
    "'http://mirror.example/debian/dists/trixie/InRelease' mirror.example_debian_dists_trixie_InRelease 0 \n"
)
UPDATES = "'http://other.example/debian/dists/trixie-updates/InRelease' x 0 \n"
SECURITY = "'http://security.example/dists/bookworm-security/InRelease' x 0 \n"
UBUNTU = """\
'http://ubuntu.example/ubuntu/dists/noble/InRelease' x 0
'http://ubuntu.example/ubuntu/dists/noble-security/InRelease' x 0
"""
VENDOR = "'https://download.example/linux/debian/dists/nodistro/InRelease' x 0 \n"


def apt_that_prints(folder: Path, text: str) -> None:
    script = folder / "apt-get"
    script.write_text(f"#!/bin/sh\n[ \"$*\" = '--print-uris update' ] && cat <<'END'\n{text}END\n")
    script.chmod(0o755)


def test_the_archive_of_any_release_of_debian_will_do() -> None:
    assert find_in_apt(MAIN + SECURITY) == Mirrors("http://mirror.example/debian", "http://security.example")


def test_repositories_that_are_not_debian_s_are_passed_over() -> None:
    assert find_in_apt(UBUNTU + VENDOR) == Mirrors(None, None)


def test_a_vendor_with_suites_of_debian_s_names_is_not_taken_for_debian() -> None:
    vendor = "'https://download.example/linux/debian/dists/trixie/InRelease' x 0 \n"
    assert find_in_apt(vendor + MAIN + UPDATES).debian == "http://other.example/debian"


def test_where_apt_knows_no_debian_debootstrap_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt_that_prints(tmp_path, UBUNTU)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    script = tmp_path / "sid"
    monkeypatch.setattr(mirror, "_SCRIPT", script)
    assert find_mirrors({}) == Mirrors(None, None)
    script.write_text("mirror_style release\ndefault_mirror http://debian.example/debian/\n")
    assert find_mirrors({}) == Mirrors("http://debian.example/debian", None)


def test_the_first_mirror_counts() -> None:
    other = MAIN.replace("mirror.example/debian", "second.example")
    assert find_in_apt(MAIN + other).debian == "http://mirror.example/debian"
    assert find_in_apt(other + MAIN).debian == "http://second.example"


def test_a_folder_is_a_mirror_as_well_and_slashes_do_not_double() -> None:
    assert find_in_apt("'file:/srv/mirror//dists/sid/InRelease' x 0 \n").debian == "file:/srv/mirror"


def test_variables_stand_above_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt_that_prints(tmp_path, MAIN + SECURITY)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert find_mirrors({}) == Mirrors("http://mirror.example/debian", "http://security.example")
    assert find_mirrors({"DEBIAN_MIRROR": "http://mine/"}) == Mirrors(
        "http://mine", "http://security.example"
    )
    assert find_mirrors({"DEBIAN_MIRROR": "", "DEBIAN_SECURITY_MIRROR": "http://s"}) == Mirrors(
        "http://mirror.example/debian", "http://s"
    )


def test_a_snapshot_service_is_what_a_variable_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt_that_prints(tmp_path, MAIN)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = find_mirrors({"DEBIAN_SNAPSHOT": "http://snapshot.example/archive/"})
    assert found == Mirrors("http://mirror.example/debian", None, "http://snapshot.example/archive")


def test_without_apt_there_are_the_variables_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(mirror, "_SCRIPT", tmp_path / "sid")
    assert find_mirrors({}) == Mirrors(None, None)
    assert find_mirrors({"DEBIAN_MIRROR": "file:///m"}) == Mirrors("file:///m", None)
    (tmp_path / "apt-get").write_text("not a program")
    assert find_mirrors({}) == Mirrors(None, None)


def test_the_repository_rule_reads_json_from_the_module_alone(tmp_path: Path) -> None:
    apt_that_prints(tmp_path, MAIN)
    done = subprocess.run(
        [sys.executable, "-I", mirror.__file__],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        check=True,
        cwd=tmp_path,
    )
    assert json.loads(done.stdout) == {
        "debian": "http://mirror.example/debian",
        "security": None,
        "snapshot": None,
    }
