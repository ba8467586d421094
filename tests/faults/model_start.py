"""First starts of a model with a venv of its own on the base, killed while the venv is being prepared."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from runtime.sample_prefix import PYTHON, SITE_PACKAGES, SamplePrefix, make_sample_prefix
from runtime.shells import EXEC, SYSTEM_PATH
from tests.faults.system_calls import CHANGES, count_by_thread, everything

VENVS = ("absent", "empty", "of the image")
_TIMEOUT_S = 120.0
_CALLS = f"{CHANGES},openat,write,copy_file_range,execve,chmod"
_ASK = "import shared, torch, sys; print(shared.__version__, torch.__version__, sys.prefix)"


class ModelStarts:
    """The state that all cycles share: a prefix, and venvs before and after the first start."""

    def __init__(self, directory: Path) -> None:
        """Make it all below a folder of its own."""
        (directory / "wheels").mkdir(parents=True)
        self.prefix: SamplePrefix = make_sample_prefix(directory / "a prefix", directory / "wheels")
        self.directory = directory
        image = directory / "of the image"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", image], check=True)
        (image / SITE_PACKAGES / "shared.py").write_text("__version__ = '2.0'\n")
        (directory / "empty").mkdir()
        self.prepared: dict[str, frozenset[str]] = {}
        self.seconds = 0.0
        self.calls: dict[str, Counter[str]] = {}
        for name in VENVS:
            cycle = ModelStart(self, directory / f"prepared {name}", random.Random(0), name)  # noqa: S311
            began = time.monotonic()
            cycle.check_that_it_starts(cycle.start())
            self.seconds = max(self.seconds, time.monotonic() - began)
            if cycle.violations:
                raise AssertionError("\n".join(cycle.violations))
            self.prepared[name] = cycle.names()
            cycle.remove()
            cycle = ModelStart(self, directory / f"traced {name}", random.Random(0), name)  # noqa: S311
            trace = directory / "trace"
            cycle.check_that_it_starts(cycle.start(everything("-e", f"trace={_CALLS}", "-o", str(trace))))
            self.calls[name] = Counter()
            for (_, call), number in count_by_thread(trace).items():
                self.calls[name][call] = max(self.calls[name][call], number)
            cycle.remove()

    def cycle(self, directory: Path, chance: random.Random) -> "ModelStart":
        """Return a model that has not started yet."""
        return ModelStart(self, directory, chance, chance.choice(VENVS))


class ModelStart:
    """One model with one venv."""

    def __init__(self, starts: ModelStarts, directory: Path, chance: random.Random, name: str) -> None:
        """Make the venv as it is in the image."""
        self._starts = starts
        self._directory = directory
        self._chance = chance
        self._name = name
        self._venv = directory / "venv"
        self.story = [f"a venv {name}"]
        self.violations: list[str] = []
        directory.mkdir()
        if name != "absent":
            shutil.copytree(starts.directory / name, self._venv, symlinks=True)

    def run(self) -> tuple[list[str], bool, list[str]]:
        """Kill the first start, start it again, and look at the venv.

        Returns:
            What was done; whether the kill reached the start; what should not be.
        """
        killed = self._kill()
        second = self.start()
        third = self.start() if self._chance.random() < 0.5 else None
        self.check_that_it_starts(second)
        if third is not None:
            self.story.append("two at once")
            self.check_that_it_starts(third)
        expected, found = self._starts.prepared[self._name], self.names()
        self.violations += [
            f"{name} is {'not ' if name in expected else ''}in the venv" for name in sorted(expected ^ found)
        ]
        if not self.violations:
            self.remove()
        return self.story, killed, self.violations

    def start(self, before: Sequence[str] = ()) -> "subprocess.Popen[str]":
        """Start the model in a process group of its own."""
        return subprocess.Popen(
            [*before, str(EXEC), "python", "-c", _ASK],
            env={
                "PATH": SYSTEM_PATH, "HOME": str(self._directory), "PYTHON_VERSION": PYTHON,
                "MONOBASE_PREFIX": str(self._starts.prefix.root), "TORCH_VERSION": "2.4.1",
                "MONOBASE_USER_VENV": str(self._venv), "PYTHONDONTWRITEBYTECODE": "1",
            },
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip

    def check_that_it_starts(self, process: "subprocess.Popen[str]") -> None:
        """Wait for a start to end, and look at what the model saw."""
        try:
            said, told = process.communicate(timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, told = process.communicate()
            self.violations.append("a start never ended")
        own = "2.0" if self._name == "of the image" else "1.0"
        if (process.returncode, said) != (0, f"{own} 2.4.1 {self._venv}\n"):
            self.violations.append(
                f"a start ended with {process.returncode}, said {said!r} and {told[-500:]!r}"
            )

    def names(self) -> frozenset[str]:
        """Return everything in the virtual environment and beside it."""
        return frozenset(
            str(path.relative_to(self._directory))
            for path in self._directory.rglob("*")
            if "__pycache__" not in path.parts
        )

    def remove(self) -> None:
        """Leave nothing."""
        shutil.rmtree(self._directory)

    def _kill(self) -> bool:
        chance = self._chance
        way = chance.choice(("group", "main", "call", "call"))
        before: list[str] = []
        after_s: float = chance.uniform(0.0, self._starts.seconds)
        told = f"after {after_s:.2f} s"
        if way == "call":
            name, most = chance.choice(sorted(self._starts.calls[self._name].items()))
            nth = chance.randint(1, most)
            inject = f"inject={name}:signal=KILL:when={nth}"
            # Without --seccomp-bpf, with which strace does not count the calls of a process that it followed.
            before = ["strace", "-f", "--quiet=all", "-e", f"trace={name}", "-e", inject, "-o", os.devnull]
            told, after_s = f"{name} {nth} of {most}", _TIMEOUT_S
        self.story.append(f"kill of the {way} {told}")
        process = self.start(before)
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL) if way == "group" else process.kill()
            process.wait()
            killed = True
        else:
            killed = process.returncode != 0
        if way != "main":  # what it started may go on beside the next start
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        self.story.append(f"ended with {process.returncode}")
        return killed
