"""Only `daemon/prefix` and `daemon/host` list, link, rename or remove what is on the prefix."""

from pathlib import Path

import pytest

from tests.prefix_owner.trespass import Trespass, trespasses

_ROOT = Path(__file__).parents[2]
_OWNERS = ("daemon/prefix/", "daemon/host/")
# Exceptions of each module, with reasons. Remove those that are no longer used: the last test reports them.
_ALLOWED = {
    "daemon/uv/cache.py": (
        "the inside of uv's own cache, whose layout is uv's",
        {".glob", ".iterdir", ".rename", ".rglob", ".symlink_to", ".unlink", "shutil.rmtree"},
    ),
    "daemon/uv/call_log.py": (
        "the logs of uv's calls, beside its cache",
        {".iterdir", ".mkdir", ".touch", ".unlink"},
    ),
    "daemon/uv/received_bytes.py": ("/proc", {"os.readlink", "os.scandir"}),
    "daemon/install/link_check.py": ("compares the staged tree that uv made", {"os.readlink", "walk_files"}),
    "daemon/install/cache_folders.py": ("a uv cache of its own, in a private folder", {".glob"}),
    "daemon/install/wheel_install.py": ("the metadata that uv wrote into a staged tree", {".glob"}),
    "daemon/install/pipeline.py": ("names the link in a message", {"prefix.latest"}),
    "daemon/interpreters/interpreter_tree.py": ("the staged interpreter that uv made", {"walk_files"}),
    "daemon/upkeep/compile_cache.py": (
        "the compile caches, outside of the prefix",
        {".mkdir", "os.listdir", "os.rename", "os.rmdir", "shutil.rmtree"},
    ),
    "daemon/cli/shell_layer.py": ("layers in the user's cache, outside of the prefix", {".mkdir"}),
    "daemon/service/feature_file.py": ("node-feature-discovery's folder", {"write_if_changed"}),
}


def _found() -> list[Trespass]:
    modules = sorted(path for path in (_ROOT / "daemon").rglob("*.py") if not path.name.endswith("_test.py"))
    assert len(modules) > 80
    return [
        found
        for path in modules
        for found in trespasses(path.read_text(), str(path.relative_to(_ROOT)))
        if not found.module.startswith(_OWNERS)
    ]


def test_no_module_but_the_owners_touches_the_prefix() -> None:
    beyond = [item for item in _found() if item.what not in _ALLOWED.get(item.module, ("", set()))[1]]
    assert not beyond, "use or add an operation of daemon/prefix:\n" + "\n".join(map(str, beyond))


def test_nothing_is_allowed_that_nobody_does() -> None:
    done = {(item.module, item.what) for item in _found()}
    allowed = {(module, what) for module, (_, names) in _ALLOWED.items() for what in names}
    assert allowed - done == set()


@pytest.mark.parametrize(
    ("planted", "what"),
    [
        ("for entry in os.scandir(prefix.generations): pass", "os.scandir"),
        ("import os\nos.rename(staged, final)", "os.rename"),
        ("from os import link", "os.link"),
        ("prefix.latest.readlink()", ".readlink"),
        ("name = prefix.latest.name", "prefix.latest"),
        ("json.loads(self._prefix.sealed_mark(name).read_bytes())", "prefix.sealed_mark"),
        ("staged.rename(final)", ".rename"),
        ("list((prefix.generation(name)).glob('*'))", ".glob"),
        ("path = self.prefix.generation(name) / target.name", "a path below the prefix"),
        ("path = writer.prefix.root / label", "a path below the prefix"),
        ("path = directory / '.done'", "the name '.done'"),
        ("(tree / '.manifest').exists()", "the name '.manifest'"),
        ("shutil.rmtree(prefix.staging)", "shutil.rmtree"),
        ("from daemon.host.tree_walk import walk_tree", "walk_tree"),
        ("from daemon.host.durability import sync_directory, write_symlink", "write_symlink"),
    ],
)
def test_a_planted_trespass_is_found(planted: str, what: str) -> None:
    assert what in [item.what for item in trespasses(planted, "daemon/service/planted.py")]


@pytest.mark.parametrize(
    "harmless",
    [
        "text.replace('a', 'b')",
        "path = prefix.target(name, target.name)",
        "share = free_bytes / total_bytes",
        "from daemon.prefix.latest import latest_name",
        "readiness.latest or None",
        "from daemon.host.durability import sync_directory",
    ],
)
def test_what_does_not_touch_the_prefix_is_not_found(harmless: str) -> None:
    assert trespasses(harmless, "daemon/service/planted.py") == []
