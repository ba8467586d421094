"""Installs from sources: the daemon as a process, with real uv."""

import base64
import json
from pathlib import Path

import pytest

from gens.mirror_shape import file_path
from tests.index.client import uv_binary
from tests.index.server import LocalIndex
from tests.index.wheel import Damage
from tests.node.node import SITE, Node, make_node
from tests.registry.local_registry import PASSWORD, USER, local_registry
from tests.source.mirror import BASIC, push_blob, web_tree, write_tree
from tests.synthetic.catalog import environment_cell

pytest_plugins = ["tests.index.fixture"]


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    return make_node(local_index, tmp_path)


def test_a_generation_is_installed_from_a_folder_and_the_index_is_not_asked(
    node: Node, tmp_path: Path
) -> None:
    alpha, beta = node.wheel(size_bytes=700_000), node.wheel("beta")
    node.define(environment_cell([alpha, beta]))
    tree = write_tree(tmp_path / "mirror", [alpha, beta])
    node.install("--source", f"file://{tree}")
    assert (node.environment() / SITE / "alpha/data.bin").stat().st_size == 700_000
    assert node.is_sealed()
    assert node.index.log.requests() == ()
    assert node.differences() == []


def test_a_generation_is_installed_from_a_registry_that_requires_a_login(node: Node, tmp_path: Path) -> None:
    alpha, beta = node.wheel(size_bytes=700_000), node.wheel("beta")
    node.define(environment_cell([alpha, beta]))
    (tmp_path / "docker").mkdir()
    with local_registry(
        tmp_path / "registry", htpasswd=True, authorization={"Authorization": BASIC}
    ) as registry:
        for wheel in (alpha, beta):
            push_blob(registry, "team/wheels", wheel.path.read_bytes())
        login = {"auths": {registry.host: {"username": USER, "password": PASSWORD}}}
        (tmp_path / "docker/config.json").write_text(json.dumps(login))
        said = node.install(
            "--source", f"oci://{registry.host}/team/wheels",
            variables={"DOCKER_CONFIG": str(tmp_path / "docker")},
        )  # fmt: skip
    assert node.is_sealed()
    assert node.index.log.requests() == ()
    assert PASSWORD not in said


def test_a_generation_is_installed_from_a_web_server(node: Node, tmp_path: Path) -> None:
    alpha = node.wheel(size_bytes=700_000)
    node.define(environment_cell([alpha]))
    with web_tree(write_tree(tmp_path / "mirror", [alpha])) as tree:
        node.install("--source", tree.url)
        assert tree.sent_bytes == alpha.size_bytes
    assert node.is_sealed()


@pytest.mark.parametrize("with_others", [True, False], ids=["among others", "alone"])
@pytest.mark.parametrize("wrong_byte", [-1, 2, 100, 1_000_000], ids=["last", "signature", "early", "middle"])
def test_a_wrong_wheel_is_healed_from_the_next_source_by_one_more_copy(
    node: Node, tmp_path: Path, wrong_byte: int, with_others: bool
) -> None:
    alpha, beta = node.wheel(size_bytes=3_000_000), node.wheel("beta", size_bytes=1000)
    node.define(environment_cell([alpha, beta] if with_others else [alpha]))
    root = write_tree(tmp_path / "mirror", [alpha, beta])
    with web_tree(root) as bad, web_tree(root) as good:
        bad.wrong.add(f"/{file_path(alpha.sha256, alpha.filename)}")
        bad.wrong_byte = wrong_byte
        said = node.install("--source", bad.url, "--source", good.url)
        assert good.sent_bytes == alpha.size_bytes
        # uv drops what is on its way when it cannot unpack one: the small one may be asked for again.
        assert alpha.size_bytes <= bad.sent_bytes <= alpha.size_bytes + 2 * beta.size_bytes
    assert f"{bad.url}: {alpha.filename}: sent another file" in said
    assert node.is_sealed()
    assert node.differences() == []


@pytest.mark.parametrize(
    "damage",
    [Damage(without_record=True), Damage(truncated_to_bytes=300)],
    ids=["no RECORD", "half an archive"],
)
def test_a_wheel_that_is_none_is_not_blamed_on_a_source_that_sends_what_its_lock_names(
    node: Node, tmp_path: Path, damage: Damage
) -> None:
    alpha, broken = node.wheel(), node.wheel("broken", size_bytes=1000, damage=damage)
    node.define(environment_cell([alpha, broken]))
    root = write_tree(tmp_path / "mirror", [alpha, broken])
    with web_tree(root) as first, web_tree(root) as second:
        said = node.install("--source", first.url, "--source", second.url, code=7)
        assert second.asked == []
    assert "broken" in said
    assert "sent another file" not in said
    assert not node.is_sealed()


def test_what_a_source_lacks_comes_from_the_index(node: Node, tmp_path: Path) -> None:
    alpha, beta = node.wheel(size_bytes=3_000_000), node.wheel("beta")
    node.define(environment_cell([alpha, beta]))
    with web_tree(write_tree(tmp_path / "mirror", [alpha])) as tree:
        tree.bytes_per_s = 10_000_000
        said = node.install("--source", tree.url, "--source", "index")
        assert tree.sent_bytes == alpha.size_bytes  # it was not dropped when the other one was not found
    assert node.index.log.wheel_downloads() == {beta.filename: 1}
    assert f"from 3.0 MB of {tree.url}" in said
    assert node.is_sealed()


def test_without_the_index_among_the_sources_it_is_never_asked(node: Node, tmp_path: Path) -> None:
    alpha, beta = node.wheel(), node.wheel("beta")
    node.define(environment_cell([alpha]), environment_cell([beta], torch="2.4.1"))
    tree = write_tree(tmp_path / "mirror", [alpha])
    said = node.install("--source", f"file://{tree}", code=4)
    assert f"{beta.filename}: no source sends it: file://{tree}: files/{beta.sha256}" in said
    assert "mirror this generation there" in said
    assert node.index.log.requests() == ()
    assert node.environment().exists()


def test_a_denied_source_has_a_code_of_its_own_and_one_message(node: Node, tmp_path: Path) -> None:
    wheels = [node.wheel(name) for name in ("alpha", "beta", "gamma")]
    node.define(environment_cell(wheels))
    with web_tree(write_tree(tmp_path / "mirror", wheels)) as tree:
        tree.authorization = BASIC
        said = node.install("--source", tree.url, code=9)
        assert len(tree.asked) == len({path for path, _ in tree.asked})
        url = tree.url.replace("//", f"//{USER}:{PASSWORD.replace(' ', '%20')}@")
        assert said.count(f"warning: {tree.url}") == 1
        assert "answers 401" in said
        assert "write credentials into the URL or netrc" in said
        said = node.install("--source", url)
        assert PASSWORD not in said
        assert PASSWORD.replace(" ", "%20") not in said
    assert node.is_sealed()


def test_no_process_and_no_file_gets_the_password_of_a_source(node: Node, tmp_path: Path) -> None:
    alpha, beta = node.wheel(), node.wheel("beta")
    node.define(environment_cell([alpha, beta]))
    seen, program = tmp_path / "seen", tmp_path / "uv"
    program.write_text(f'#!/bin/sh\n{{ env; echo "$@"; }} >> {seen}\nexec {uv_binary()} "$@"\n')
    program.chmod(0o755)
    with web_tree(write_tree(tmp_path / "mirror", [alpha])) as tree:
        tree.authorization = "Basic " + base64.b64encode(b"ada:secretword").decode()
        url = tree.url.replace("//", "//ada:secretword@")
        said = node.install("--uv", str(program), variables={"MONOBASE_SOURCES": url}, code=4)
    texts = [said, seen.read_text(errors="replace")]
    texts += [path.read_text(errors="replace") for path in node.root.rglob("*") if path.is_file()]
    assert "HOME=" in texts[1]
    assert not any("secretword" in text or tree.authorization in text for text in texts)


def test_a_prefix_that_is_full_stays_full_when_the_source_changes(node: Node, tmp_path: Path) -> None:
    alpha, beta = node.wheel(), node.wheel("beta")
    node.define(environment_cell([alpha, beta]))
    node.install()
    node.define(environment_cell([alpha, beta]), environment_cell([beta], torch="2.4.1"), generation=1)
    node.index.log.clear()
    root = write_tree(tmp_path / "mirror", [alpha, beta])
    with web_tree(root) as tree:
        node.install("--source", tree.url)
        assert tree.asked == []
        node.define(environment_cell([alpha], torch="2.3.1"), generation=2)
        node.install("--source", f"file://{tmp_path}/nowhere")
        node.define(environment_cell([beta], torch="2.3.1"), generation=3)
        node.install()
    assert all(node.is_sealed(f"g0000{number}") for number in range(4))
    assert node.index.log.wheel_attempts() == {}


def test_what_a_source_brought_is_not_fetched_from_the_index_or_another_source(
    node: Node, tmp_path: Path
) -> None:
    alpha = node.wheel()
    node.define(environment_cell([alpha]))
    node.install("--source", f"file://{write_tree(tmp_path / 'mirror', [alpha])}")
    node.define(environment_cell([alpha], torch="2.3.1"), generation=1)
    node.install("--source", f"file://{tmp_path}/nowhere")
    node.define(environment_cell([alpha], torch="2.4.1"), generation=2)
    node.install()
    assert all(node.is_sealed(f"g0000{number}") for number in range(3))
    assert node.index.log.wheel_attempts() == {}


def test_a_registry_that_is_down_is_named_and_the_next_source_serves(node: Node, tmp_path: Path) -> None:
    alpha, beta = node.wheel(), node.wheel("beta")
    node.define(environment_cell([alpha, beta]))
    tree = write_tree(tmp_path / "mirror", [alpha, beta])
    down = "oci://127.0.0.1:9/team/wheels"
    said = node.install("--source", down, "--source", f"file://{tree}")
    assert said.count(f"warning: {down}: 127.0.0.1:9 cannot be reached: Connection refused") == 1
    assert node.is_sealed()


def test_a_slow_source_is_left_for_the_next_one(node: Node, tmp_path: Path) -> None:
    alpha = node.wheel(size_bytes=1_000_000)
    node.define(environment_cell([alpha]))
    root = write_tree(tmp_path / "mirror", [alpha])
    with web_tree(root) as slow, web_tree(root) as good:
        slow.bytes_per_s = 20_000
        rate = ("--min-download-rate", "100k", "--min-download-window", "1")
        said = node.install("--source", slow.url, "--source", good.url, *rate)
        assert f"{slow.url}: is too slow: it sent" in said
        (asked,) = good.asked
        # It goes on where the slow one was left.
        assert asked[1].startswith("bytes=")
        assert slow.sent_bytes < alpha.size_bytes
    assert node.is_sealed()
