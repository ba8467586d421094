"""Indexes and the ways to reach them pass from the machine's configuration of uv; nothing else does."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import UvConfigurationError
from daemon.uv.configuration import read_uv_configuration

_INDEX = "https://index.example/simple"
_FOREIGN = """
compile-bytecode = true
exclude-newer = "2020-01-01T00:00:00Z"
no-binary-package = ["alpha"]
no-index = true
no-cache = true
offline = true
cache-dir = "/elsewhere"
link-mode = "symlink"
override-dependencies = ["alpha==9"]
constraint-dependencies = ["alpha==9"]
exclude-dependencies = ["alpha"]
python-preference = "only-system"
python-downloads = "never"
required-version = ">=99"
prerelease = "allow"
torch-backend = "cpu"
preview = true
made-up-by-a-later-uv = { any = "thing" }

[pip]
target = "/elsewhere"
prefix = "/elsewhere"
system = true
break-system-packages = true
require-hashes = false
no-deps = false
python = "3.9"
no-binary = [":all:"]

[audit]
malware-check = true
"""


def _read(tmp_path: Path, text: str, **variables: str) -> dict[str, Any]:
    path = tmp_path / "uv.toml"
    path.write_text(text)
    known = read_uv_configuration({"UV_CONFIG_FILE": str(path)} | variables)
    return tomllib.loads(known.text(known.for_default_index(None)))


def test_what_is_of_no_index_does_not_pass(tmp_path: Path) -> None:
    assert _read(tmp_path, _FOREIGN) == {}


def test_where_the_index_is_and_how_it_is_reached_passes(tmp_path: Path) -> None:
    reached: dict[str, Any] = {
        "allow-insecure-host": ["index.example"],
        "concurrent-downloads": 3,
        "concurrent-installs": 2,
        "find-links": ["https://links.example/"],
        "http-proxy": "http://proxy.example",
        "https-proxy": "http://proxy.example",
        "index-strategy": "unsafe-best-match",
        "keyring-provider": "subprocess",
        "native-tls": True,
        "no-proxy": ["local.example"],
        "pypy-install-mirror": "https://pypy.example",
        "python-downloads-json-url": "https://json.example",
        "python-install-mirror": "https://python.example",
        "system-certs": True,
    }
    lines = [
        f"{name} = {str(value).lower() if value is True else repr(value)}" for name, value in reached.items()
    ]
    found = _read(tmp_path, "\n".join(lines) + _FOREIGN)
    assert found == reached


def test_an_index_passes_with_what_is_its_own_and_is_cached_whatever_it_says(tmp_path: Path) -> None:
    text = f"""
[[index]]
name = "corp"
url = "{_INDEX}"
default = true
format = "simple"
authenticate = "always"
ignore-error-codes = [403]
exclude-newer = "7 days"
publish-url = "https://upload.example"
cache-control = {{ files = "no-store" }}

[[index]]
url = "https://pinned.example"
explicit = true
"""
    (index,) = _read(tmp_path, text)["index"]
    assert "immutable" in index.pop("cache-control")["files"]
    assert index == {
        "name": "corp", "url": _INDEX, "default": True, "format": "simple", "authenticate": "always",
        "ignore-error-codes": [403],
    }  # fmt: skip


def _urls(found: dict[str, Any]) -> list[tuple[str, bool]]:
    return [(index["url"], index.get("default", False)) for index in found["index"]]


def test_variables_come_before_files_and_the_first_default_counts(tmp_path: Path) -> None:
    text = """
index-url = "https://file.example"
extra-index-url = ["https://extra.example"]
[pip]
extra-index-url = ["https://pip.example"]
"""
    variables = {"UV_INDEX": "corp=https://a.example https://b.example", "UV_DEFAULT_INDEX": _INDEX}
    assert _urls(_read(tmp_path, text, **variables)) == [
        ("https://a.example", False), ("https://b.example", False), (_INDEX, True),
        ("https://pip.example", False), ("https://extra.example", False),
    ]  # fmt: skip
    assert ("https://file.example", True) in _urls(_read(tmp_path, text))
    assert _read(tmp_path, text, **variables)["index"][0]["name"] == "corp"


def test_a_flag_takes_the_place_of_the_default_index_and_a_build_has_its_own_alone(tmp_path: Path) -> None:
    path = tmp_path / "uv.toml"
    path.write_text(
        f'[[index]]\nurl = "https://extra.example"\n[[index]]\nname = "build"\nurl = "https://me:pw@build.example/cu"\n'
        f'[[index]]\nurl = "{_INDEX}"\ndefault = true\n'
    )
    known = read_uv_configuration({"UV_CONFIG_FILE": str(path)})
    flag = tomllib.loads(known.text(known.for_default_index("https://flag.example")))
    assert [url for url, default in _urls(flag) if default] == ["https://flag.example"]
    assert _INDEX not in dict(_urls(flag))
    (build,) = tomllib.loads(known.text(known.for_build_index("https://build.example/cu/")))["index"]
    assert (build["name"], build["url"], build["default"]) == (
        "build",
        "https://me:pw@build.example/cu",
        True,
    )


def test_the_users_file_comes_before_the_systems(tmp_path: Path) -> None:
    user, system = tmp_path / "home" / ".config", tmp_path / "xdg"
    for directory, name in ((user, "user"), (system, "system")):
        (directory / "uv").mkdir(parents=True)
        (directory / "uv" / "uv.toml").write_text(
            f'keyring-provider = "{name}"\nextra-index-url = ["https://{name}.example"]\n'
        )
    variables = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": str(system)}
    known = read_uv_configuration(variables)
    assert known.settings["keyring-provider"] == "user"
    assert [index["url"] for index in known.indexes] == ["https://user.example", "https://system.example"]
    assert known.sources == (str(user / "uv" / "uv.toml"), str(system / "uv" / "uv.toml"))
    assert read_uv_configuration(variables | {"UV_NO_CONFIG": "1"}).indexes == ()
    assert len(read_uv_configuration(variables | {"UV_NO_SYSTEM_CONFIG": "1"}).indexes) == 1


def test_a_folder_of_wheels_is_where_its_file_says(tmp_path: Path) -> None:
    found = _read(tmp_path, 'find-links = ["wheels"]\n[[index]]\nurl = "../index"\n')
    assert found["find-links"] == [str(tmp_path / "wheels")]
    assert found["index"][0]["url"] == str(tmp_path.parent / "index")


@pytest.mark.parametrize(
    "text",
    ["[[index]", 'index = "x"', "[[index]]\nname = 'x'", "index-url = 3", "concurrent-downloads = 'many'",
     "native-tls = 'yes'", "find-links = [3]", "pip = 3", "concurrent-downloads = true"],
)  # fmt: skip
def test_a_malformed_file_is_named_once_and_with_what_to_do(tmp_path: Path, text: str) -> None:
    with pytest.raises(UvConfigurationError, match="is malformed") as caught:
        _read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'uv.toml'}: ")
    assert "UV_NO_CONFIG=1" in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_named_file_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UvConfigurationError, match="No such file"):
        read_uv_configuration({"UV_CONFIG_FILE": str(tmp_path / "uv.toml")})
