"""Verification of fake prefixes, in each state that a generation can have."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.prefix.finding import Finding
from daemon.prefix.prefix import Prefix
from daemon.prefix.tree_check import Digests, verify_tree
from daemon.upkeep import verify as module
from daemon.upkeep.verify import needs_a_person, verify
from tests.fake_prefix.fake_prefix import INTERPRETER, SITE_PACKAGES, FakePrefix
from tests.faults.harm import HARMS, harm
from tests.synthetic.catalog import environment_cell

_CUDNN = "cudnn-9.1.0.70-cuda12"


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.install(0)
    return fake


def _found(fake: FakePrefix, *, stores: bool = False) -> list[str]:
    found = verify(fake.prefix, fake.prefix.installed_generations(), 1, stores=stores).findings
    return [str(finding).replace(f"/{fake.environment}", "/ENV", 1) for finding in found]


def _module(fake: FakePrefix, number: int = 0) -> Path:
    return fake.tree(number) / SITE_PACKAGES / "alpha" / "__init__.py"


def test_a_sealed_generation_is_found_whole_and_counted(fake: FakePrefix) -> None:
    seen: list[str] = []
    result = verify(fake.prefix, ["g00000"], 1, seen.append)
    assert result.findings == []
    assert (result.trees, result.interpreters) == (2, 1)
    listed = [path for path in (fake.tree(0), fake.tree(0, fake.toolkit)) for path in path.rglob("*")]
    files = [path for path in (*listed, *fake.interpreter.rglob("*")) if path.is_symlink() or path.is_file()]
    assert result.files == len(files) - 2  # the manifests
    assert result.read_bytes > 0
    assert sorted(seen) == sorted(
        [f"monobase/g00000/{fake.environment}", f"cuda/{_CUDNN}", f"uv/python/{INTERPRETER}"]
    )


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    assert verify(Prefix(tmp_path / "nowhere"), ["g00000"], 1, stores=True).findings == []


def test_trees_that_generations_share_are_looked_at_once_and_told_once(fake: FakePrefix) -> None:
    fake.install(1)
    (fake.tree(0, fake.toolkit) / "include" / "cudnn.h").unlink()
    (fake.interpreter / "bin" / "extra").write_text("")
    result = verify(fake.prefix, ["g00000", "g00001"], 1)
    assert (result.trees, result.interpreters) == (3, 1)
    assert sorted(map(str, result.findings)) == [
        f"extra: uv/python/{INTERPRETER}/bin/extra",
        f"missing: cuda/{_CUDNN}/include/cudnn.h",
    ]


@pytest.mark.parametrize("way", HARMS)
def test_any_harm_to_a_file_is_one_finding(fake: FakePrefix, way: str) -> None:
    harm(_module(fake), way)
    (found,) = _found(fake)
    kind = {"gone": "missing", "extra": "extra"}.get(way, "changed")
    path = "stray" if way == "extra" else "__init__.py"
    assert found.startswith(f"{kind}: monobase/g00000/ENV/{SITE_PACKAGES}/alpha/{path}")


def test_a_partial_generation_is_checked_as_far_as_it_is_there(fake: FakePrefix) -> None:
    fake.define(1)
    fake.publish(1, fake.environment)
    assert _found(fake) == []
    _module(fake, 1).unlink()
    assert _found(fake) == [f"missing: monobase/g00001/ENV/{SITE_PACKAGES}/alpha/__init__.py"]


def test_what_is_staged_or_retired_is_not_looked_at(fake: FakePrefix) -> None:
    fake.define(1)
    _ = (fake.stage(1, fake.environment) / "pyvenv.cfg").write_text("damaged")
    fake.retire(0)
    assert verify(fake.prefix, ["g00000", "g00001"], 1).findings == []


def test_a_generation_that_goes_while_it_is_looked_at_is_not_damaged(fake: FakePrefix) -> None:
    result = verify(
        fake.prefix, ["g00000"], 1, lambda _: shutil.rmtree(fake.prefix.generation("g00000"), True)
    )
    assert result.findings == []


def test_a_tree_that_is_replaced_while_it_is_looked_at_is_not_damaged(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = fake.prefix.toolkits / _CUDNN
    (tree / "include" / "cudnn.h").unlink()

    def replaced(prefix: Prefix, place: Path, digests: Digests, findings: list[Finding]) -> int:
        count = verify_tree(prefix, place, digests, findings)
        if place == tree:
            shutil.copytree(tree, tree.with_name("new"), symlinks=True)
            tree.rename(tree.with_name("old"))
            tree.with_name("new").rename(tree)
        return count

    monkeypatch.setattr(module, "verify_tree", replaced)
    assert verify(fake.prefix, ["g00000"], 1).findings == []


def test_a_generation_of_a_newer_format_is_newer_not_damaged(fake: FakePrefix) -> None:
    fake.make_newer(0)
    fake.make_tree_newer(fake.tree(0))
    found = verify(fake.prefix, ["g00000"], 1).findings
    assert {finding.kind for finding in found} == {"newer"}
    assert [finding.path for finding in found] == [".done", ""]


def test_a_manifest_of_a_newer_format_in_a_sealed_generation_is_newer(fake: FakePrefix) -> None:
    fake.make_tree_newer(fake.tree(0, fake.toolkit))
    assert {finding.kind for finding in verify(fake.prefix, ["g00000"], 1).findings} == {"newer"}


# --- the folder of a generation ---


def _no_folder(fake: FakePrefix) -> None:
    shutil.rmtree(fake.prefix.generation("g00000"))
    fake.prefix.generation("g00000").write_text("")


def _open_folder(fake: FakePrefix) -> None:
    fake.prefix.generation("g00000").chmod(0o777)


def _no_list(fake: FakePrefix) -> None:
    fake.prefix.sealed_mark("g00000").unlink()
    fake.prefix.environments_file("g00000").write_text("junk")


def _list_is_a_folder(fake: FakePrefix) -> None:
    fake.prefix.sealed_mark("g00000").unlink()
    fake.prefix.environments_file("g00000").unlink()
    fake.prefix.environments_file("g00000").mkdir()


def _other_list(fake: FakePrefix) -> None:
    fake.list_targets(0, sealed=False)


def _lost_list(fake: FakePrefix) -> None:
    fake.prefix.environments_file("g00000").unlink()


def _damaged_mark(fake: FakePrefix) -> None:
    fake.prefix.sealed_mark("g00000").write_text("{")


def _mark_to_nowhere(fake: FakePrefix) -> None:
    fake.prefix.sealed_mark("g00000").unlink()
    fake.prefix.sealed_mark("g00000").symlink_to("nowhere")


def _file_for_environment(fake: FakePrefix) -> None:
    tree = fake.tree(0)
    shutil.rmtree(tree)
    tree.write_text("")


def _lost_environment(fake: FakePrefix) -> None:
    shutil.rmtree(fake.tree(0))


def _link_for_environment(fake: FakePrefix) -> None:
    tree = fake.tree(0)
    tree.rename(tree.parent.parent / ".away")
    tree.symlink_to("/etc")


def _stray_file(fake: FakePrefix) -> None:
    (fake.prefix.generation("g00000") / "notes").write_text("")


def _stray_link(fake: FakePrefix) -> None:
    (fake.prefix.generation("g00000") / "link").symlink_to("../../cuda/")


def _stray_toolkit_link(fake: FakePrefix) -> None:
    (fake.prefix.generation("g00000") / "cuda99").symlink_to("../../cuda/cuda-99")


def _stray_folder(fake: FakePrefix) -> None:
    (fake.prefix.generation("g00000") / "lost+found").mkdir()


def _folder_for_link(fake: FakePrefix) -> None:
    link = fake.prefix.generation("g00000") / fake.toolkit
    link.unlink()
    link.mkdir()


def _lost_link(fake: FakePrefix) -> None:
    (fake.prefix.generation("g00000") / fake.toolkit).unlink()


def _link_to_nowhere(fake: FakePrefix) -> None:
    shutil.rmtree(fake.prefix.toolkits / _CUDNN)


_DONE = "changed: monobase/g00000/environments: does not have sha256:"
_LINK = f"changed: monobase/g00000/cudnn9-cuda12: links elsewhere than to ../../cuda/{_CUDNN}"


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (_no_folder, ["unreadable: monobase/g00000: Not a directory"]),
        (_open_folder, ["changed: monobase/g00000/.: a folder of mode 777, not 755"]),
        (_no_list, ["changed: monobase/g00000/environments: is not a list of environments"]),
        (_list_is_a_folder, ["changed: monobase/g00000/environments: is not a list of environments"]),
        (_other_list, [_DONE]),
        (_lost_list, ["missing: monobase/g00000/environments"]),
        (_damaged_mark, ["unreadable: monobase/g00000/.done: "]),
        (_mark_to_nowhere, ["unreadable: monobase/g00000/.done: a broken link"]),
        (_lost_environment, ["missing: monobase/g00000/ENV/.manifest"]),
        (
            _file_for_environment,
            [
                "missing: monobase/g00000/ENV/.manifest",
                "changed: monobase/g00000/ENV: is a file, not a folder",
            ],
        ),
        (
            _link_for_environment,
            [
                "missing: monobase/g00000/ENV/.manifest",
                "changed: monobase/g00000/ENV: links to /etc, which is not a toolkit of the prefix",
            ],
        ),
        (_stray_file, ["extra: monobase/g00000/notes"]),
        (
            _stray_link,
            ["extra: monobase/g00000/link: links to ../../cuda/, which is not a toolkit"],
        ),
        (_stray_toolkit_link, ["extra: monobase/g00000/cuda99: a broken link"]),
        (_stray_folder, ["extra: monobase/g00000/lost+found: a folder that no install made; "]),
        (_folder_for_link, [_LINK, "changed: monobase/g00000/cudnn9-cuda12: is a folder, not a link"]),
        (_lost_link, [_LINK]),
        (
            _link_to_nowhere,
            [
                "missing: monobase/g00000/cudnn9-cuda12/.manifest",
                "missing: monobase/g00000/cudnn9-cuda12: a broken link",
            ],
        ),
    ],
)
def test_what_is_wrong_in_the_folder_of_a_generation_is_named(
    fake: FakePrefix, damage: Callable[[FakePrefix], None], expected: list[str]
) -> None:
    damage(fake)
    found = _found(fake) if damage is not _no_folder else _of_a_file(fake)
    assert len(found) == len(expected), found
    assert all(text.startswith(start) for text, start in zip(found, expected, strict=True)), found


def _of_a_file(fake: FakePrefix) -> list[str]:
    return [str(finding) for finding in verify(fake.prefix, ["g00000"], 1).findings]


def test_only_a_folder_among_environments_needs_a_person(fake: FakePrefix) -> None:
    _stray_folder(fake)
    _stray_file(fake)
    found = verify(fake.prefix, ["g00000"], 1).findings
    assert [finding.path for finding in found if needs_a_person(finding)] == ["lost+found"]


def test_a_folder_that_is_named_like_an_environment_is_damaged_not_strange(fake: FakePrefix) -> None:
    (fake.prefix.generation("g00000") / "python3.9").mkdir()
    (found,) = _found(fake)
    assert found.startswith("unreadable: monobase/g00000/python3.9: ")


def test_an_environment_whose_program_leads_elsewhere_is_checked_with_the_interpreter_of_its_manifest(
    fake: FakePrefix,
) -> None:
    program = fake.tree(0) / "bin" / "python"
    program.unlink()
    program.symlink_to("/bin/sh")
    (fake.interpreter / "bin" / "extra").write_text("")
    changed, extra = _found(fake)
    assert changed.startswith("changed: monobase/g00000/ENV/bin/python: links to /bin/sh, not to ")
    assert extra == f"extra: uv/python/{INTERPRETER}/bin/extra"


# --- what belongs to no generation ---


def test_stores_and_unused_toolkits_are_checked_only_when_asked_for(fake: FakePrefix) -> None:
    shutil.rmtree(fake.prefix.generation("g00000"))
    fake.prefix.latest.unlink()
    (fake.prefix.toolkits / _CUDNN / "include" / "cudnn.h").unlink()
    (fake.prefix.toolkits / "link").symlink_to(_CUDNN)
    (fake.prefix.wheels / "stray").write_text("")
    assert _found(fake) == []
    assert _found(fake, stores=True) == [
        f"missing: cuda/{_CUDNN}/include/cudnn.h", "extra: cuda/link", "extra: wheels/stray",
    ]  # fmt: skip


def test_a_toolkit_that_a_generation_uses_is_not_checked_again_with_the_stores(fake: FakePrefix) -> None:
    assert verify(fake.prefix, ["g00000"], 1, stores=True).trees == 2


def test_a_manifest_that_was_damaged_says_nothing_of_the_tree(fake: FakePrefix) -> None:
    (fake.tree(0) / ".manifest").write_bytes(b"junk")
    fake.install(1, environment_cell([fake.wheel("beta")]))
    found = _found(fake)
    assert [text.partition(":")[0] for text in found] == ["changed", "unreadable"]
    assert all("g00000" in text for text in found)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_that_somebody_else_owns_is_changed(fake: FakePrefix) -> None:
    os.chown(_module(fake), 65534, 65534)
    (found,) = _found(fake)
    assert "is owned by the user 65534" in found
