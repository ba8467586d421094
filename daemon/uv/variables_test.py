"""uv gets the machine's variables, but none that would change which Python runs or what is written where."""

import pytest

from daemon.uv.variables import is_true, passed_on


@pytest.mark.parametrize("name", ["HOME", "PATH", "HTTPS_PROXY", "no_proxy", "SSL_CERT_FILE", "LANG"])
@pytest.mark.parametrize("reaching", [True, False])
def test_variables_of_the_machine_pass(name: str, reaching: bool) -> None:
    assert passed_on({name: "x"}, reaching=reaching) == {name: "x"}


@pytest.mark.parametrize(
    "name",
    [
        "UV", "UV_CACHE_DIR", "UV_VENV_SEED", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_LINK_MODE",
        "PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__", "VIRTUAL_ENV", "CONDA_PREFIX", "PIP_INDEX_URL",
        "RUST_LOG", "TRACING_DURATIONS_FILE", "PYC_INVALIDATION_MODE", "FORCE_COLOR", "CLICOLOR_FORCE",
        "COLUMNS", "UV_INDEX_PRIVATE_URL", "MONOBASE_SOURCES",
    ],
)  # fmt: skip
@pytest.mark.parametrize("reaching", [True, False])
def test_what_would_change_an_install_does_not_pass(name: str, reaching: bool) -> None:
    assert passed_on({name: "x"}, reaching=reaching) == {}


@pytest.mark.parametrize(
    "name",
    ["UV_HTTP_TIMEOUT", "UV_INSECURE_HOST", "UV_PYTHON_INSTALL_MIRROR", "UV_INDEX_PRIVATE_PASSWORD"],
)
def test_how_an_index_is_reached_passes_only_to_a_call_that_reaches_one(name: str) -> None:
    assert passed_on({name: "x"}, reaching=True) == {name: "x"}
    assert passed_on({name: "x"}, reaching=False) == {}
    assert passed_on({name: ""}, reaching=True) == {}


@pytest.mark.parametrize("value", ["1", "true", " YES ", "on", "y", "t"])
def test_a_switch_is_on_as_uv_understands_it(value: str) -> None:
    assert is_true(value)


@pytest.mark.parametrize("value", [None, "", "0", "false", "off", "2"])
def test_other_values_leave_a_switch_off(value: str | None) -> None:
    assert not is_true(value)


def test_of_uvs_variables_only_those_pass_that_reach_an_index() -> None:
    reaching = {
        "UV_HTTP_TIMEOUT": "5", "UV_HTTP_RETRIES": "1", "UV_INDEX_CORP_PASSWORD": "x",
        "UV_INDEX_CORP_USERNAME": "x",
        "UV_INSECURE_HOST": "x", "UV_PYTHON_INSTALL_MIRROR": "x", "UV_SYSTEM_CERTS": "1",
    }  # fmt: skip
    others = {
        "SSL_CERT_FILE": "x", "HTTPS_PROXY": "x", "NETRC": "x", "HOME": "x", "PATH": "x", "AWS_PROFILE": "x",
    }  # fmt: skip
    foreign = dict.fromkeys(
        (
            "UV_VENV_SEED", "UV_VENV_CLEAR", "UV_VENV_RELOCATABLE", "UV_COMPILE_BYTECODE", "UV_EXCLUDE_NEWER",
            "UV_NO_BINARY_PACKAGE", "UV_LINK_MODE", "UV_NO_INDEX", "UV_PYTHON_PREFERENCE", "UV_TORCH_BACKEND",
            "UV_PRERELEASE", "UV_PROJECT_ENVIRONMENT", "UV_CACHE_DIR", "UV_NO_CACHE", "UV_OFFLINE",
            "UV_EXCLUDE", "UV_REQUIRE_HASHES", "UV_MALWARE_CHECK", "UV_PREVIEW", "UV_PYTHON_CACHE_DIR",
            "UV_WORKING_DIR",
            "UV_INSECURE_NO_ZIP_VALIDATION", "UV_SKIP_WHEEL_FILENAME_CHECK", "UV_ENV_FILE", "UV_LIBC", "UV",
            "UV_MADE_UP_BY_A_LATER_UV", "UV_INDEX", "UV_DEFAULT_INDEX", "UV_CONFIG_FILE", "VIRTUAL_ENV",
            "PYTHONPATH", "PYTHONHOME", "CONDA_PREFIX", "_CONDA_ROOT", "PIP_TARGET", "RUST_LOG",
            "FORCE_COLOR",
            "CLICOLOR_FORCE", "__PYVENV_LAUNCHER__", "TRACING_DURATIONS_FILE",
        ),
        "1",
    )  # fmt: skip
    assert passed_on(reaching | others | foreign, reaching=True) == reaching | others
    assert passed_on(reaching | others | foreign, reaching=False) == others
