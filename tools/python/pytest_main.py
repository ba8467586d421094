"""Runs pytest as a test runner of Bazel's test encyclopedia."""

import importlib
import importlib.util
import os
import sys
import zlib
from pathlib import Path

import pytest

# Beside the folder that this is in, also where a test of another workspace uses it.
_CONFIGURATION = Path(__file__).absolute().parents[2] / "pyproject.toml"

# Plugins in wheels of the lock, for tests that have the wheel, imported here from its bytecode. pytest would
# compile all modules of such a package again in each test, and write that into the folder of the wheel,
# which all tests share.
_PLUGINS = ("_hypothesis_pytestplugin",)


class Shard:
    """Selects the tests of one shard, as a pytest plugin, so that `shard_count` works.

    Specification: "Test sharding" in the Bazel test encyclopedia.
    """

    def __init__(self, index: int, total: int) -> None:
        self._index = index
        self._total = total

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Deselect tests of other shards. A test's name decides, so that a new test moves no other."""
        mine = [item for item in items if zlib.crc32(item.nodeid.encode()) % self._total == self._index]
        config.hook.pytest_deselected(items=[item for item in items if item not in mine])
        items[:] = mine


def main(arguments: list[str]) -> int:
    """Run pytest on the files and with the flags in `arguments`.

    Args:
        arguments: Test files, relative to the root of the runfiles, and flags of pytest.

    Returns:
        pytest's exit code. No collected test is a failure (5), except in a shard that has none of the tests.
    """
    options = ["-p", "no:cacheprovider", f"--rootdir={Path.cwd()}", f"--config-file={_CONFIGURATION}"]
    options += ["--disable-plugin-autoload"]
    if xml := os.environ.get("XML_OUTPUT_FILE"):
        options += [f"--junit-xml={xml}", "-o", "junit_family=xunit1"]
    if only := os.environ.get("TESTBRIDGE_TEST_ONLY"):
        options += ["-k", only]
    if temporary := os.environ.get("TEST_TMPDIR"):
        options += [f"--basetemp={temporary}/pytest"]
    if os.environ.get("TESTBRIDGE_TEST_RUNNER_FAIL_FAST") == "1":
        options += ["--exitfirst"]
    plugins: list[object] = [
        importlib.import_module(name) for name in _PLUGINS if importlib.util.find_spec(name)
    ]
    total = int(os.environ.get("TEST_TOTAL_SHARDS", "1"))
    if status := os.environ.get("TEST_SHARD_STATUS_FILE"):
        Path(status).touch()
        plugins.append(Shard(int(os.environ["TEST_SHARD_INDEX"]), total))
    code = int(pytest.main(options + arguments, plugins=plugins))
    if code == pytest.ExitCode.NO_TESTS_COLLECTED and total > 1:
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
