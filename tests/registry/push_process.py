"""Pushes as a user does: a process of its own, with a home that holds nothing of the machine's."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Pusher:
    """A user who pushes.

    Attributes:
        home: Their home.
        variables: Environment beside it.
    """

    home: Path
    variables: Mapping[str, str]

    def command(self, layout: Path, repository: str, *arguments: str) -> list[str]:
        """Return the command line of a push."""
        return [
            sys.executable,
            "-m",
            "image.registry.push_main",
            str(layout),
            "--repository",
            repository,
            *arguments,
        ]

    def environment(self) -> dict[str, str]:
        """Return the environment of a push."""
        path = f"{self.home}/bin{os.pathsep}{os.environ['PATH']}"
        return {
            "HOME": str(self.home),
            "PATH": path,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONDONTWRITEBYTECODE": "1",
            **self.variables,
        }

    def push(
        self, layout: Path, repository: str, *arguments: str, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Push and wait for the end."""
        return subprocess.run(
            self.command(layout, repository, *arguments),
            env={**self.environment(), **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self, layout: Path, repository: str, *arguments: str) -> subprocess.Popen[str]:
        """Push without waiting."""
        return subprocess.Popen(
            self.command(layout, repository, *arguments),
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def write_docker_config(self, config: Mapping[str, object]) -> Path:
        """Write Docker's configuration, and return its path."""
        path = self.home / ".docker" / "config.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(config))
        return path

    def write_helper(self, name: str, script: str) -> None:
        """Put a credential helper on the PATH."""
        path = self.home / "bin" / f"docker-credential-{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
