"""Calls of kind and of the container engine, and that nothing is left; neither can run in CI."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from tests.cluster.kind import NAME, KindError, find_engine, kind_cluster, run_program


class _Programs:
    """kind and an engine that do as they are told, and note it.

    Attributes:
        clusters: Names of the clusters that there are.
        containers: Names of the containers that there are.
        files: What was written into which node and folder.
        configuration: What the cluster was made from.
        fails: The word of a command that fails.
        calls: The commands.
    """

    def __init__(self) -> None:
        self.clusters: set[str] = set()
        self.containers: set[str] = set()
        self.files: dict[tuple[str, str], str] = {}
        self.configuration: dict[str, object] = {}
        self.fails = ""
        self.calls: list[list[str]] = []

    def __call__(self, command: Sequence[str], text: str) -> str:
        words = list(command)
        self.calls.append(words)
        if self.fails and self.fails in command:
            raise KindError(f"{' '.join(command)} failed with 1")
        if words[:2] == ["kind", "get"]:
            return "\n".join(self.clusters if words[2] == "clusters" else (f"{NAME}-a", f"{NAME}-b"))
        if words[:2] == ["kind", "create"]:
            self.clusters.add(NAME)
            self.configuration = yaml.safe_load(text)
        elif words[:2] == ["kind", "delete"]:
            self.clusters.discard(NAME)
        elif words[1] == "run":
            self.containers.add(words[words.index("--name") + 1])
        elif words[1] == "ps":
            return "\n".join(self.containers)
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


def test_kind_and_the_engine_are_called_as_their_documents_say(tmp_path: Path) -> None:
    # The flags of `kind … --help` (v0.20 to v0.30) and of `docker … --help`, which podman and nerdctl share.
    programs = _Programs()
    with kind_cluster("podman", 1, tmp_path, programs):
        pass
    kubeconfig, registry = str(tmp_path / "kubeconfig"), f"{NAME}-registry"
    folder = "/etc/containerd/certs.d/localhost:40123"
    script = 'mkdir -p "$1" && cat > "$1/hosts.toml"'
    assert programs.calls == [
        ["kind", "get", "clusters"],
        ["podman", "ps", "--all", "--format", "{{.Names}}"],
        ["kind", "create", "cluster", "--name", NAME, "--kubeconfig", kubeconfig, "--wait", "5m",
         "--config", "-"],
        ["podman", "run", "--detach", "--name", registry, "--network", "kind", "--publish", "127.0.0.1::5000",
         "docker.io/library/registry:2"],
        ["podman", "port", registry, "5000/tcp"],
        ["kind", "get", "nodes", "--name", NAME],
        *(
            ["podman", "exec", "--interactive", f"{NAME}-{node}", "sh", "-c", script, "sh", folder]
            for node in "ab"
        ),
        ["kind", "delete", "cluster", "--name", NAME, "--kubeconfig", kubeconfig],
        ["podman", "rm", "--force", "--volumes", registry],
    ]  # fmt: skip
    # kind's own example of a local registry has this patch; newer node images have the setting already.
    assert programs.configuration["containerdConfigPatches"] == [
        '[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n'
    ]


def test_the_registry_goes_also_if_kind_cannot_delete_its_cluster(tmp_path: Path) -> None:
    programs = _Programs()
    with pytest.raises(KindError, match="delete"), kind_cluster("docker", 1, tmp_path, programs):
        programs.fails = "delete"
    assert programs.containers == set()


def test_an_interruption_leaves_neither_cluster_nor_registry(tmp_path: Path) -> None:
    programs = _Programs()
    with pytest.raises(KeyboardInterrupt), kind_cluster("docker", 1, tmp_path, programs):
        raise KeyboardInterrupt
    assert (programs.clusters, programs.containers) == (set(), set())


def test_a_registry_of_an_earlier_run_is_left_as_it_is(tmp_path: Path) -> None:
    programs = _Programs()
    programs.containers = {f"{NAME}-registry"}
    with pytest.raises(KindError, match="docker rm --force"), kind_cluster("docker", 1, tmp_path, programs):
        pass
    assert programs.containers == {f"{NAME}-registry"}


def test_kind_uses_the_engine_that_makes_the_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, engine = tmp_path / "kind", tmp_path / "podman"
    kind.write_text("#!/bin/sh\necho $KIND_EXPERIMENTAL_PROVIDER\n")
    for path in (kind, engine, tmp_path / "docker"):
        path.touch()
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("KIND_EXPERIMENTAL_PROVIDER", raising=False)
    assert run_program(["kind"]).split() == ["docker"] == [find_engine()]
    monkeypatch.setenv("KIND_EXPERIMENTAL_PROVIDER", "podman")
    assert run_program(["kind"]).split() == ["podman"] == [find_engine()]
    monkeypatch.setenv("KIND_EXPERIMENTAL_PROVIDER", "lxc")
    with pytest.raises(KindError, match="KIND_EXPERIMENTAL_PROVIDER=lxc"):
        find_engine()


def test_a_program_that_fails_is_named_with_its_code(tmp_path: Path) -> None:
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(KindError, match="docker ps failed with 3"):
        run_program([str(program), "ps"])


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
    monkeypatch.delenv("KIND_EXPERIMENTAL_PROVIDER", raising=False)
    with pytest.raises(KindError, match="kind is not installed"):
        find_engine()
    (tmp_path / "kind").touch(0o755)
    with pytest.raises(KindError, match="docker, nerdctl, podman"):
        find_engine()
    (tmp_path / "podman").touch(0o755)
    assert find_engine() == "podman"
