"""Calls of kind and of the container engine, and that nothing is left; neither can run in CI."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from tests.cluster.kind import NAME, KindError, find_engine, kind_cluster


class _Programs:
    """kind and an engine that do as they are told, and note it.

    Attributes:
        clusters: Names of the clusters that there are.
        containers: Names of the containers that there are.
        files: What was written into which node and folder.
        configuration: What the cluster was made from.
        fails: The word of a command that fails.
    """

    def __init__(self) -> None:
        self.clusters: set[str] = set()
        self.containers: set[str] = set()
        self.files: dict[tuple[str, str], str] = {}
        self.configuration: dict[str, object] = {}
        self.fails = ""

    def __call__(self, command: Sequence[str], text: str) -> str:
        if self.fails and self.fails in command:
            raise KindError(f"{' '.join(command)} failed with 1")
        words = list(command)
        if words[:2] == ["kind", "get"]:
            return "\n".join(self.clusters if words[2] == "clusters" else (f"{NAME}-a", f"{NAME}-b"))
        if words[:2] == ["kind", "create"]:
            self.clusters.add(NAME)
            self.configuration = yaml.safe_load(text)
        elif words[:2] == ["kind", "delete"]:
            self.clusters.discard(NAME)
        elif words[1] == "run":
            self.containers.add(words[words.index("--name") + 1])
        elif words[1] == "port":
            return "127.0.0.1:40123\n"
        elif words[1] == "exec":
            self.files[words[3], words[-1]] = text
        elif words[1] == "rm":
            self.containers.discard(words[-1])
        return ""


def test_each_node_pulls_from_the_registry_that_this_machine_pushes_to(tmp_path: Path) -> None:
    programs = _Programs()
    with kind_cluster("docker", 2, tmp_path, programs) as (kubeconfig, registry):
        assert (kubeconfig, registry) == (tmp_path / "kubeconfig", "localhost:40123")
        assert programs.files == {
            (f"{NAME}-{node}", "/etc/containerd/certs.d/localhost:40123"): f'[host."http://{name}:5000"]\n'
            for node in "ab"
            for name in programs.containers
        }
        assert [node["role"] for node in programs.configuration["nodes"]] == [  # type: ignore[attr-defined]
            "control-plane", "worker", "worker"
        ]  # fmt: skip
    assert (programs.clusters, programs.containers) == (set(), set())


@pytest.mark.parametrize("word", ["create", "run", "port", "exec"])
def test_nothing_is_left_of_a_cluster_that_cannot_be_made(tmp_path: Path, word: str) -> None:
    programs = _Programs()
    programs.fails = word
    with pytest.raises(KindError, match=word), kind_cluster("podman", 1, tmp_path, programs):
        pass
    assert (programs.clusters, programs.containers) == (set(), set())


def test_a_cluster_of_an_earlier_run_is_left_as_it_is(tmp_path: Path) -> None:
    programs = _Programs()
    programs.clusters = {NAME}
    with (
        pytest.raises(KindError, match="kind delete cluster --name"),
        kind_cluster("x", 1, tmp_path, programs),
    ):
        pass
    assert programs.clusters == {NAME}


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KindError, match="kind is not installed"):
        find_engine()
    (tmp_path / "kind").touch(0o755)
    with pytest.raises(KindError, match="docker and podman"):
        find_engine()
    (tmp_path / "podman").touch(0o755)
    assert find_engine() == "podman"
