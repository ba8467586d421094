"""Settings of the machine's uv: how to reach an index counts, everything else is the installer's own."""

import os
import stat
from pathlib import Path

import pytest

from daemon.install.options import InstallOptions
from daemon.install.pipeline import install
from daemon.prefix.prefix import Prefix
from daemon.report.progress import Reporter
from daemon.uv.program import Downloads, find_uv
from gens.catalog import load_catalog
from tests.index.server import LocalIndex
from tests.index.wheel import Wheel
from tests.node.node import SITE, Node, make_node
from tests.synthetic.catalog import environment_cell

pytest_plugins = ["tests.index.fixture"]

_VARIABLES = {
    "UV_VENV_SEED": "1",
    "UV_VENV_CLEAR": "1",
    "UV_COMPILE_BYTECODE": "1",
    "UV_EXCLUDE_NEWER": "2020-01-01T00:00:00Z",
    "UV_NO_BINARY": "1",
    "UV_NO_BINARY_PACKAGE": "alpha",
    "UV_ONLY_BINARY": "x",
    "UV_LINK_MODE": "symlink",
    "UV_NO_INDEX": "1",
    "UV_OFFLINE": "1",
    "UV_NO_CACHE": "1",
    "UV_REQUIRE_HASHES": "0",
    "UV_NO_VERIFY_HASHES": "1",
    "UV_EXCLUDE": "/nonexistent",
    "UV_CONSTRAINT": "/nonexistent",
    "UV_OVERRIDE": "/nonexistent",
    "UV_ENV_FILE": "/nonexistent",
    "UV_PYTHON": "3.8",
    "UV_PYTHON_PREFERENCE": "only-managed",
    "UV_MANAGED_PYTHON": "1",
    "UV_PYTHON_SEARCH_PATH": "/nonexistent",
    "UV_SYSTEM_PYTHON": "1",
    "UV_BREAK_SYSTEM_PACKAGES": "1",
    "UV_TORCH_BACKEND": "cu118",
    "UV_PRERELEASE": "disallow",
    "UV_RESOLUTION": "lowest",
    "UV_MALWARE_CHECK": "1",
    "UV_PREVIEW": "1",
    "UV_SHOW_RESOLUTION": "1",
    "UV_PROJECT": "/nonexistent",
    "UV_WORKING_DIR": "/nonexistent",
    "UV_INSECURE_NO_ZIP_VALIDATION": "1",
    "UV_LOG_CONTEXT": "1",
    "RUST_LOG": "trace",
    "RUST_BACKTRACE": "full",
    "FORCE_COLOR": "1",
    "CLICOLOR_FORCE": "1",
    "PIP_TARGET": "/nonexistent",
    "CONDA_PREFIX": "/nonexistent",
    "VIRTUAL_ENV": "/nonexistent",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_ELSEWHERE = (
    "UV_CACHE_DIR", "UV_PYTHON_INSTALL_DIR", "UV_PYTHON_BIN_DIR", "UV_PYTHON_CACHE_DIR", "UV_TOOL_DIR",
    "UV_TOOL_BIN_DIR", "UV_PROJECT_ENVIRONMENT", "TRACING_DURATIONS_FILE",
)  # fmt: skip
_FILE = """
compile-bytecode = true
exclude-newer = "2020-01-01T00:00:00Z"
no-binary-package = ["alpha"]
override-dependencies = ["alpha==9"]
constraint-dependencies = ["alpha==9"]
link-mode = "symlink"
offline = true
no-cache = true
cache-dir = "ELSEWHERE/cache"
python-preference = "only-managed"
required-version = ">=99"
no-index = true
reinstall = true
prerelease = "disallow"
unknown-to-every-uv = 1

[pip]
target = "ELSEWHERE/target"
prefix = "ELSEWHERE/prefix"
system = true
python = "3.8"
no-deps = false
require-hashes = false
verify-hashes = false
generate-hashes = true
extra = ["all"]
output-file = "ELSEWHERE/output"
torch-backend = "cu118"
"""


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    return make_node(local_index, tmp_path)


@pytest.fixture
def alpha(node: Node) -> Wheel:
    wheel = node.wheel(requires_dist=("beta",), console_scripts={"alpha-tool": "alpha:main"})
    node.wheel("beta")
    node.define(environment_cell([wheel]), environment_cell([wheel], "2.4.1"))
    return wheel


def _machine(node: Node, text: str, way: str) -> dict[str, str]:
    """Write a `uv.toml` where the machine may have one, and return the variables that lead to it."""
    path = node.directory / ".config/uv/uv.toml" if way == "HOME" else node.directory / "etc/uv/uv.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace("ELSEWHERE", str(node.directory / "elsewhere")))
    lead = {"HOME": node.directory, "UV_CONFIG_FILE": path}.get(way, path.parent.parent)
    return {"UV_NO_CONFIG": "", way: str(lead)}


def _tree(prefix: Prefix) -> dict[str, tuple[int, int]]:
    """Return mode and size of each file of the generations, and the link count of shared ones."""
    found = {}
    for path in sorted(prefix.generations.rglob("*")):
        if path.name in {"pyvenv.cfg", ".manifest", ".done"} or path.name.startswith(".lock"):
            continue  # with paths and times of their own
        status = path.lstat()
        links = status.st_nlink if stat.S_ISREG(status.st_mode) else 0
        found[str(path.relative_to(prefix.generations))] = (status.st_mode, links)
    return found


@pytest.mark.usefixtures("alpha")
@pytest.mark.parametrize("way", ["UV_CONFIG_FILE", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "HOME"])
def test_no_setting_of_the_machine_changes_what_stands_there(node: Node, way: str) -> None:
    node.install()
    other = node.with_prefix(node.directory / "other")
    elsewhere = {name: str(node.directory / "elsewhere" / name) for name in _ELSEWHERE}
    (node.directory / "uv.toml").write_text("[pip]\ntarget = 'elsewhere'\n")  # above both prefixes
    variables = _VARIABLES | elsewhere | _machine(node, _FILE, way)
    before = {path for path in node.directory.rglob("*") if not path.is_relative_to(other.root)}
    other.install(variables=variables)
    assert _tree(other.prefix) == _tree(node.prefix)
    after = {path for path in node.directory.rglob("*") if not path.is_relative_to(other.root)}
    assert after == before
    path = other.environment() / SITE / "alpha" / "__init__.py"
    path.unlink()
    assert "alpha" in other.run("verify", code=1, variables=variables).stdout
    other.run("verify", "--repair", variables=variables)
    assert _tree(other.prefix) == _tree(node.prefix)
    assert set(node.index.log.wheel_downloads().values()) == {2}
    other.verify()


def test_an_index_of_the_machines_file_is_used(node: Node, alpha: Wheel) -> None:
    variables = _machine(node, f'[[index]]\nurl = "{node.index.url()}"\ndefault = true\n', "HOME")
    node.install(variables=variables | {"UV_DEFAULT_INDEX": ""})
    assert node.index.log.wheel_downloads() == {alpha.filename: 1}


@pytest.mark.usefixtures("alpha")
def test_a_malformed_file_is_one_message_with_its_path(node: Node) -> None:
    variables = _machine(node, "[[index]\n", "HOME")
    said = node.install(code=3, variables=variables)
    path = node.directory / ".config/uv/uv.toml"
    assert f"{path}: uv's configuration is malformed" in said
    assert "Traceback" not in said
    assert not node.environment().exists()
    path.write_text('index-strategy = "no such"\n')
    said = node.install(code=3, variables=variables)
    assert str(path) in said
    assert "unknown variant" in said
    path.write_text("")
    node.install(variables=variables)


def test_what_is_held_already_needs_no_configuration(node: Node, alpha: Wheel) -> None:
    node.install()
    node.define(environment_cell([alpha], "2.5.1"), generation=1)
    node.install(variables=_machine(node, "[[index]\n", "HOME"))
    assert node.is_sealed("g00001")


@pytest.mark.usefixtures("alpha")
def test_a_setting_among_the_variables_that_uv_refuses_is_told_as_one(node: Node) -> None:
    said = node.install(code=3, variables={"UV_HTTP_TIMEOUT": "soon"})
    assert "UV_HTTP_TIMEOUT" in said
    assert "soon" in said


@pytest.mark.usefixtures("alpha")
def test_the_process_keeps_its_own_environment(node: Node) -> None:
    before = dict(os.environ)
    options = InstallOptions(
        index_url=node.index.url(), downloads=False, uv_downloads=Downloads(3, "https://mirror.example")
    )
    result = install(node.prefix, load_catalog(node.gens), find_uv(None), options, Reporter(quiet=True))
    assert result.failures == {}
    assert dict(os.environ) == before
