"""A node of the benchmark: a podman with storage of its own, and a prefix."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click

from daemon.prefix.usage import disk_bytes
from gens.generation import generation_directory_name
from tests.images.engine import Engine, engine
from tests.registry.local_registry import free_port

PREFIX = "/srv/r8/monobase"
PATIENCE_S = 3600.0
IMPORT = "import time, torch; print(time.monotonic(), torch.__version__, flush=True)"
_POLL_S = 0.02
_DAEMON = "daemon"


@dataclass(frozen=True, slots=True)
class Node:
    """The node.

    Attributes:
        podman: Its container engine.
        prefix: The folder that the containers have as `/srv/r8/monobase`.
        daemon_variables: Variables of each daemon.
        images: The names of pulled images, by what was pulled.
    """

    podman: Engine
    prefix: Path
    daemon_variables: Mapping[str, str]
    images: dict[str, str] = field(default_factory=dict)

    def pull(self, source: str) -> None:
        """Pull an image."""
        done = self.podman.run("pull", "--quiet", "--tls-verify=false", source, patience_s=PATIENCE_S)
        self.images[source] = done.stdout.split()[-1]

    def start_daemon(self, source: str, variables: Mapping[str, str]) -> None:
        """Start the daemon of a pulled image as its manifest does, in the background."""
        self.podman.run("run", "--detach", "--name", _DAEMON, *self._daemon(source, variables))

    def stop_daemon(self) -> str:
        """End the daemon, and return its log."""
        log = self.podman.run("logs", _DAEMON).stderr
        self.podman.run("rm", "--force", "--time", "10", _DAEMON)
        return log

    def install(self, source: str, variables: Mapping[str, str]) -> None:
        """Install what a node has before the measurement."""
        self.podman.run("run", "--rm", *self._daemon(source, variables), "install", patience_s=PATIENCE_S)

    def wait_until_listed(self, generation_id: int, name: str) -> None:
        """Wait until the daemon has listed an environment as one that the node holds, or will hold.

        Before that, a model does not wait for it but ends, and a kubelet starts it again and again.
        """
        path = self.prefix / "monobase" / generation_directory_name(generation_id) / "environments"
        end_s = time.monotonic() + PATIENCE_S
        while not _lists(path, name):
            if time.monotonic() > end_s or not self._daemon_runs():
                raise click.ClickException(f"{path}: {name} is not listed\n{self.stop_daemon()}")
            time.sleep(_POLL_S)

    def import_in_model(self, source: str, variables: Mapping[str, str]) -> float:
        """Start a model in the runtime's image; return when it had imported torch, by the monotonic clock."""
        options = (
            "--network", "none", "--read-only", "--cap-drop=all", "--user", "1000:1000",
            "--mount=type=tmpfs,destination=/tmp", f"--volume={self.prefix}:{PREFIX}:ro",
        )  # fmt: skip
        return self.import_in(source, ["python", "-c", IMPORT], *options, *_as_options(variables))

    def import_in(self, source: str, command: Sequence[str], *options: str) -> float:
        """Run a command in a pulled image that prints when it had imported torch; return that."""
        done = self.podman.run(
            "run", "--rm", "--pull=never", *options, self.images[source], *command,
            patience_s=PATIENCE_S, code=None,
        )  # fmt: skip
        if done.returncode != 0:
            log = self.podman.run("logs", _DAEMON, code=None)
            raise click.ClickException(f"{source}: {done.stdout}{done.stderr}\n{log.stdout}{log.stderr}")
        return float(done.stdout.split()[0])

    def disk_bytes(self) -> int:
        """Return the bytes that images, containers and the prefix take on the disk, each inode once."""
        return disk_bytes(self.podman.directory / "root") + disk_bytes(self.prefix)

    def _daemon(self, source: str, variables: Mapping[str, str]) -> tuple[str, ...]:
        settings = {
            "MONOBASE_LISTEN": f"127.0.0.1:{free_port()}", "MONOBASE_LOG_FORMAT": "json",
            **self.daemon_variables, **variables,
        }  # fmt: skip
        return (
            "--pull=never", "--network", "host", "--read-only", "--cap-drop=all",
            "--mount=type=tmpfs,destination=/tmp", f"--volume={self.prefix}:{PREFIX}",
            *_as_options(settings), self.images[source],
        )  # fmt: skip

    def _daemon_runs(self) -> bool:
        done = self.podman.run("inspect", "--format", "{{.State.Running}}", _DAEMON, code=None)
        return done.stdout.strip() == "true"


@contextmanager
def new_node(daemon_variables: Mapping[str, str]) -> Iterator[Node]:
    """Make a node that has nothing, until the end of the block."""
    with engine() as podman:
        prefix = podman.directory / "node"
        prefix.mkdir()
        yield Node(podman, prefix, daemon_variables)


def stages_of(log: str) -> dict[str, float]:
    """Return the seconds of each stage of the installs that a daemon's log has."""
    found: dict[str, float] = {}
    for line in log.splitlines():
        if line.startswith("{") and "stage" in (entry := json.loads(line)):
            found[entry["stage"]] = found.get(entry["stage"], 0) + entry["seconds"]
    return {name: seconds for name, seconds in found.items() if seconds >= 0.05}


def _lists(path: Path, name: str) -> bool:
    lines = path.read_text().splitlines() if path.exists() else []
    return any(line.startswith(f"environment {name} ") for line in lines) and f"left-out {name}" not in lines


def _as_options(variables: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"--env={name}={value}" for name, value in variables.items())
