"""A node of a cluster: podman plays the manifests that a cluster would get."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from image.oci.layout import Layout
from tests.images.engine import Engine, engine
from tests.registry.local_registry import LocalRegistry, free_port, local_registry
from tests.registry.push_process import Pusher
from tools.deploy.base import Image, Manifest, pinned, read_base
from tools.deploy.rendering import render, to_yaml

PREFIX = "/srv/r8/monobase"
# The bases that are checked in, and the containers that podman makes of them.
DAEMON_BASE = Path("daemon/kubernetes/base")
MODEL_BASE = Path("runtime/kubernetes/model")
DAEMON = "monobase-daemon-pod-daemon"
MODEL = "model-model"
_TEAM = "team"
_PATIENCE_S = 240.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """The node.

    Attributes:
        engine: What runs its pods.
        registry: Where their images come from.
        directory: For its files.
        port: Where its daemon listens.
        patience_s: How long something may take before the test fails, in seconds.
    """

    engine: Engine
    registry: LocalRegistry
    directory: Path
    port: int
    patience_s: float = _PATIENCE_S

    @property
    def prefix(self) -> Path:
        """The folder of the node that holds everything, in place of `/srv/r8/monobase`."""
        return self.directory / "prefix"

    def push(self, layout: Layout, name: str, tag: str) -> str:
        """Push an image like `bazel run //daemon:push`; return its report of the bytes."""
        home = self.directory / "home"
        home.mkdir(exist_ok=True)
        done = Pusher(home, {}).push(
            layout.directory, f"{self.registry.host}/{_TEAM}/{name}", "--tag", tag, "--jobs", "2"
        )
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return done.stderr

    def manifests(
        self, base: Path, name: str, layout: Layout, variables: Mapping[str, str]
    ) -> list[Manifest]:
        """Return the manifests of a checked-in base, as `bazel run …:render` prints them.

        Args:
            base: Its folder.
            name: The image that it names.
            layout: The image, which was pushed.
            variables: Environment variables, as of `--env`.

        Returns:
            The objects.
        """
        folder = self.directory / "bases" / f"{name}-{layout.manifest.digest[7:19]}"
        if not folder.exists():
            folder.mkdir(parents=True)
            for file in base.glob("*.yaml"):
                text = file.read_text()
                if file.name == "kustomization.yaml":
                    text = pinned(text, [Image(name, layout.manifest.digest)])
                (folder / file.name).write_text(text)
        return render(read_base(folder).in_registry(f"{self.registry.host}/{_TEAM}"), None, variables)

    def play(self, manifests: list[Manifest]) -> None:
        """Run manifests on the node, with another folder of the node in them."""
        text = self._text(manifests)
        self.engine.run("kube", "play", "--network", "host", "--tls-verify=false", "-", stdin=text)

    def stop(self, manifests: list[Manifest]) -> None:
        """End what manifests made run, as a kubelet does."""
        self.engine.run("kube", "down", "-", stdin=self._text(manifests))

    def terminate(self, container: str) -> int:
        """Send SIGTERM to a container, and return its exit code; 137 if it had to be killed."""
        self.engine.run("stop", container)
        return int(self.engine.run("inspect", "--format", "{{.State.ExitCode}}", container).stdout)

    def ready(self) -> bool:
        """Ask the daemon's readiness endpoint as a kubelet does."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=10) as answer:
                return bool(answer.status == 200)
        except (urllib.error.HTTPError, OSError):
            return False

    def readiness(self) -> dict[str, object]:
        """Return the answer of `/readyz`, ready or not; an empty one before the daemon answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=10) as answer:
                found: dict[str, object] = json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                found = json.load(error)
        except OSError:
            return {}
        return found

    def wait(self, what: Callable[[], bool], container: str = DAEMON) -> None:
        """Wait until something holds; fail with the log of a container when it never does."""
        end = time.monotonic() + self.patience_s
        while not what():
            if time.monotonic() > end or "Traceback" in self.logs(container):
                raise AssertionError(f"never came:\n{self.logs(container)}")
            time.sleep(0.5)

    def _text(self, manifests: list[Manifest]) -> str:
        return to_yaml(manifests).replace(PREFIX, str(self.prefix))

    def logs(self, container: str) -> str:
        """Return the log of a container."""
        done = self.engine.run("logs", container, code=None)
        return done.stdout + done.stderr


@contextmanager
def node_of_a_cluster(directory: Path, patience_s: float = _PATIENCE_S) -> Iterator[Cluster]:
    """Make a node, with a podman and a registry of its own; skip the test where there is none.

    Args:
        directory: For the registry's files.
        patience_s: How long something may take before the test fails, in seconds.

    Yields:
        The node.
    """
    with engine() as podman, local_registry(directory / "registry") as registry:
        node = podman.directory / "node"
        node.mkdir()
        yield Cluster(podman, registry, node, free_port(), patience_s)


def secret(name: str, values: Mapping[str, str]) -> Manifest:
    """Make a Secret, as `kubectl create secret generic` does."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": dict(values)}


def pod_of(manifests: list[Manifest]) -> Manifest:
    """Return the pod among manifests."""
    return next(manifest for manifest in manifests if manifest["kind"] == "Pod")
