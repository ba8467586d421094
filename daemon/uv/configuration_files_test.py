"""The configuration files that uv would read, and their order."""

import os
from pathlib import Path

import pytest

from daemon.errors import UvConfigurationError
from daemon.uv.configuration_files import configuration_files, malformed, read_files
from gens.redaction import redact


def _write(directory: Path, text: str = "") -> Path:
    path = directory / "uv" / "uv.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_the_users_file_is_before_the_first_one_of_the_system(tmp_path: Path) -> None:
    user, other = _write(tmp_path / "user"), _write(tmp_path / "home/.config")
    system = _write(tmp_path / "system")
    _write(tmp_path / "later")
    variables = {
        "HOME": str(tmp_path / "home"),
        "XDG_CONFIG_DIRS": f":{tmp_path / 'none'}:{system.parents[1]}:{tmp_path / 'later'}",
    }
    assert configuration_files(variables | {"XDG_CONFIG_HOME": str(tmp_path / "user")}) == [user, system]
    # A relative folder does not count (XDG Base Directory Specification).
    assert configuration_files(variables | {"XDG_CONFIG_HOME": "user"}) == [other, system]
    assert configuration_files(variables | {"UV_NO_SYSTEM_CONFIG": "true"}) == [other]


def test_a_named_file_is_the_only_one_and_need_not_exist(tmp_path: Path) -> None:
    _write(tmp_path / "user")
    named = tmp_path / "named.toml"
    variables = {"XDG_CONFIG_HOME": str(tmp_path / "user"), "UV_CONFIG_FILE": str(named)}
    assert configuration_files(variables | {"UV_NO_CONFIG": "1"}) == [named]
    with pytest.raises(UvConfigurationError, match=r"named\.toml: .*cannot be read: No such file"):
        read_files(variables)


def test_without_configuration_no_file_is_read(tmp_path: Path) -> None:
    _write(tmp_path / "user", "[")
    assert read_files({"XDG_CONFIG_HOME": str(tmp_path / "user"), "UV_NO_CONFIG": "1"}) == []


def test_a_folder_that_is_not_there_has_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for directory in (tmp_path / "none", tmp_path / "file"):
        variables = {"XDG_CONFIG_HOME": str(directory), "UV_NO_SYSTEM_CONFIG": "1"}
        assert configuration_files(variables) == []
    assert configuration_files({"UV_NO_SYSTEM_CONFIG": "1"}) == []


@pytest.mark.parametrize("content", [b"index = [", b"\xff = 1"])
def test_a_file_that_is_no_toml_is_malformed(tmp_path: Path, content: bytes) -> None:
    path = _write(tmp_path / "user")
    path.write_bytes(content)
    with pytest.raises(
        UvConfigurationError, match=r"is malformed: .*; correct the file, or set UV_NO_CONFIG=1"
    ):
        read_files({"XDG_CONFIG_HOME": str(tmp_path / "user"), "UV_NO_SYSTEM_CONFIG": "1"})


def test_a_file_that_is_a_folder_cannot_be_read(tmp_path: Path) -> None:
    path = _write(tmp_path / "user")
    path.unlink()
    path.mkdir()
    with pytest.raises(UvConfigurationError, match=os.strerror(21)):
        read_files({"XDG_CONFIG_HOME": str(tmp_path / "user"), "UV_NO_SYSTEM_CONFIG": "1"})


def test_the_passwords_of_all_urls_in_a_file_are_redacted_from_then_on(tmp_path: Path) -> None:
    _write(tmp_path / "user", '[[index]]\nurl = "https://me:verysecret@index.example"\nage = 1\n')
    read_files({"XDG_CONFIG_HOME": str(tmp_path / "user"), "UV_NO_SYSTEM_CONFIG": "1"})
    assert "verysecret" not in redact("it said verysecret")


def test_a_setting_of_a_wrong_form_is_named_with_its_file() -> None:
    assert str(malformed(Path("/etc/uv/uv.toml"), "pip", "is not a table")) == (
        "/etc/uv/uv.toml: uv's configuration is malformed: `pip` is not a table; "
        "correct the file, or set UV_NO_CONFIG=1"
    )
