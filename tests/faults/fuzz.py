"""Random kills of all commands on small prefixes, each followed by another command and by the invariants.

A cycle is decided by the seed and its number alone: it starts from a copy of a prepared prefix, so that one
that found something can be run again by itself.
"""

import fcntl
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from daemon.prefix.prefix import Prefix
from tests.faults.harm import HARMS, harm, harmable
from tests.faults.model_start import ModelStarts
from tests.faults.system_calls import CHANGES, count_by_thread, installer_only
from tests.faults.tree import Reference, incomplete, leftovers, take_reference, tree_paths
from tests.index.server import LocalIndex
from tests.node.node import PLAIN, Node, make_node
from tests.node.small_generation import define_small_generation
from tests.synthetic.catalog import environment_cell, toolkit_cell

COMMANDS = ("install", "prune", "repair", "clean", "run", "exec")
_NEWEST = 2
_NEXT = ("install", "prune", "repair", "run")
_POINT = re.compile(r'fault_point\("([a-z :]+)"\)')
# A repair also adds bytecode under its own digest, beside the bytecode of the install.
_RIGHT_CONTENT = re.compile(r"files/../([0-9a-f]{64}): is file 644 \d+ \1, not None")
_TIMEOUT_S = 120.0
_SERVICE = (
    "--listen", "off", "--check-interval", "0.1", "--scan-interval", "0.3", "--retry-delay", "0.2",
    "--max-retry-delay", "0.5",
)  # fmt: skip
_ALL = "all"
_TEMPLATES = {
    "install": ("none", "one"),
    "prune": (_ALL,),
    "repair": (_ALL, "one"),
    "clean": (_ALL, "one"),
    "run": ("none", "one", _ALL),
}
_ROOT = Path(__file__).parent.parent.parent


@dataclass(slots=True)
class Outcome:
    """The result of one cycle.

    Attributes:
        command: The command that was to be killed.
        story: What was done, step by step.
        killed: Whether a kill reached it before it ended by itself.
        violations: What should not be.
    """

    command: str
    story: list[str] = field(default_factory=list)
    killed: bool = False
    violations: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class World:
    """The state that all cycles share.

    Attributes:
        node: A node whose generations are defined.
        directory: Where the prefixes of the cycles go.
        templates: Prepared prefixes by the number of generations on them: 0, 1 and `all`.
        reference: What an install of all generations makes.
        names: What stands at the top of a prefix.
        calls: How often each system call is made at most by a thread of each command.
        seconds: How long each command takes.
        points: Where the daemon can be told to end itself.
        starts: How models are started.
    """

    node: Node
    directory: Path
    templates: dict[str, Path]
    reference: Reference
    names: frozenset[str]
    calls: dict[str, Counter[str]]
    seconds: dict[str, float]
    points: tuple[str, ...]
    starts: ModelStarts


def make_world(index: LocalIndex, directory: Path) -> World:
    """Install the templates, and learn what each command does and how long it takes.

    Args:
        index: Where from.
        directory: A folder of the fuzzing's own.
    """
    node = make_node(index, directory)
    _define_generations(node)
    templates = {"none": directory / "none", "one": directory / "one", _ALL: directory / _ALL}
    templates["none"].mkdir()
    node.with_prefix(templates["one"]).install("--max-gen-id", "0")
    node.with_prefix(templates[_ALL]).install()
    full = Prefix(templates[_ALL])
    reference = take_reference(full)
    names = frozenset(
        str(path.relative_to(full.root)) for path in (*full.root.glob("*"), *full.root.glob("uv/*"))
    )
    points = tuple(
        sorted(
            {point for path in (_ROOT / "daemon").rglob("*.py") for point in _POINT.findall(path.read_text())}
        )
    )
    starts = ModelStarts(directory / "model")
    world = World(node, directory, templates, reference, names, {}, {}, points, starts)
    for command in COMMANDS[:-1]:
        _calibrate(world, command)
    return world


def _define_generations(node: Node) -> None:
    define_small_generation(node)
    alpha, beta, torch = (
        node.wheel(name, "3.0", files={f"{name}/__init__.py": b"x = 3\n", f"{name}/part.py": b"y = 1\n"})
        for name in ("alpha", "beta", "torch")
    )
    cublas = node.wheel(
        "nvidia-cublas-cu12", "12.6.1.4", files={"nvidia/cublas/lib/libcublas.so.12": b"\x7fELF"}
    )
    node.define(
        environment_cell([alpha, beta]), environment_cell([alpha, torch, cublas], "2.6.0", "cu124"),
        toolkit_cell([cublas], "12.6.1"), generation=1,
    )  # fmt: skip
    node.define(environment_cell([beta]), environment_cell([alpha, beta, torch], "2.6.0"), generation=_NEWEST)


def _calibrate(world: World, command: str) -> None:
    chance = random.Random(0)  # noqa: S311 (cases of a test)
    cycle = _Cycle(world, chance, Outcome(command), world.directory / f"calibrating-{command}")
    try:
        arguments, service = cycle.prepare(command)
        trace = cycle.directory / "trace"
        began = time.monotonic()
        process = cycle.start(arguments)
        cycle.end_by_itself(process, service=service)
        world.seconds[command] = time.monotonic() - began
        cycle.restore()
        arguments, service = cycle.prepare(command)
        process = cycle.start(arguments, installer_only("-e", f"trace={CHANGES}", "-o", str(trace)))
        cycle.end_by_itself(process, service=service)
        most: Counter[str] = Counter()
        for (_, name), count in count_by_thread(trace).items():
            most[name] = max(most[name], count)
        world.calls[command] = most
    finally:
        cycle.remove()


def run_cycle(world: World, seed: str, number: int, commands: Sequence[str] = COMMANDS) -> Outcome:
    """Kill one command once, and look at what comes of it.

    Args:
        world: What all cycles share.
        seed: Decides everything, with the number.
        number: Of the cycle.
        commands: The commands to choose from.
    """
    chance = random.Random(f"{seed}/{number}")  # noqa: S311 (cases of a test)
    command = commands[number % len(commands)]
    outcome = Outcome(command)
    if command == "exec":
        starts = world.starts.cycle(world.directory / f"cycle{number}", chance)
        outcome.story, outcome.killed, outcome.violations = starts.run()
        return outcome
    cycle = _Cycle(world, chance, outcome, world.directory / f"cycle{number}")
    try:
        cycle.run()
    except Exception as error:
        outcome.violations.append(f"{type(error).__name__}: {error}")
    finally:
        if not outcome.violations:
            cycle.remove()
    return outcome


class _Cycle:
    """One prefix, one kill."""

    def __init__(self, world: World, chance: random.Random, outcome: Outcome, directory: Path) -> None:
        self.world = world
        self.directory = directory
        self._chance = chance
        self._outcome = outcome
        self._known: set[str] = set()
        self._log = directory / "log"
        directory.mkdir()
        self.node = world.node.with_prefix(directory / "prefix")

    def run(self) -> None:
        """Do it all."""
        arguments, service = self.prepare(self._outcome.command)
        with self._lease():
            self._kill(arguments, service=service)
            self._check("after the kill")
            following = self._chance.choice((self._outcome.command, *_NEXT))
            if following == "clean":
                following = "run"
            self._follow(following)
            if following != "install":
                self._follow("install")
            self._check_the_end()

    def prepare(self, command: str) -> tuple[list[str], bool]:
        """Make a prefix in which a command has work; return its arguments, and whether it keeps running."""
        self._template = self._chance.choice(_TEMPLATES[command])
        self.restore()
        self._say(f"on {self._template}")
        if command == "repair":
            for _ in range(self._chance.randint(1, 3)):
                self._harm()
            self._known = {_place(line) for line in incomplete(self.node.prefix, self.world.reference)}
        return self._arguments(command)

    def restore(self) -> None:
        """Make the prefix again from its template."""
        shutil.rmtree(self.node.root, ignore_errors=True)
        subprocess.run(
            ["/bin/cp", "-a", "--reflink=auto", self.world.templates[self._template], self.node.root],
            check=True,
        )

    def remove(self) -> None:
        """Leave nothing."""
        shutil.rmtree(self.directory)

    def _arguments(self, command: str) -> tuple[list[str], bool]:
        jobs = ["--jobs", str(self._chance.randint(1, 3))]
        oldest = self._chance.randint(1, _NEWEST)
        if command == "install":
            newest = self._chance.choice([[], [], ["--max-gen-id", str(self._chance.randint(0, _NEWEST))]])
            return ["install", *jobs, *newest], False
        if command == "prune":
            return ["prune", "--min-gen-id", str(oldest)], False
        if command == "repair":
            return ["verify", "--repair", *jobs], False
        if command == "clean":
            return ["run", *_SERVICE, *jobs, "--clean-uv-cache"], True
        prune = self._chance.choice([[], ["--min-gen-id", str(oldest), "--prune-old-gen"]])
        return ["run", *_SERVICE, *jobs, *prune], True

    def start(
        self,
        arguments: Sequence[str],
        before: Sequence[str] = (),
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> "subprocess.Popen[bytes]":
        """Start a command in its own process group; its output goes to the log of the cycle."""
        with self._log.open("ab") as log:
            log.write(f"--- {' '.join(arguments)}\n".encode())
            log.flush()
            self._started_at = log.tell()
            return self.node.spawn(*arguments, before=before, variables=variables, said=log)

    def end_by_itself(self, process: "subprocess.Popen[bytes]", *, service: bool) -> int:
        """Wait until a command ends, or until a service has nothing to do, and end it."""
        try:
            if service:
                self._wait_until_ready(process, self._started_at)
                os.killpg(process.pid, signal.SIGTERM)  # strace alone would keep it from the command
            return process.wait(_TIMEOUT_S)
        finally:
            _end(process)

    def _wait_until_ready(self, process: "subprocess.Popen[bytes]", said_before: int) -> None:
        end = time.monotonic() + _TIMEOUT_S
        while time.monotonic() < end and process.poll() is None:
            if re.search(rb"^ready ", self._log.read_bytes()[said_before:], re.MULTILINE):
                return
            time.sleep(0.05)

    def _kill(self, arguments: list[str], *, service: bool) -> None:
        command, chance = self._outcome.command, self._chance
        way = chance.choices(("group", "main", "child", "call", "point"), (30, 20, 10, 25, 15))[0]
        before: list[str] = []
        variables: dict[str, str] = {}
        after_s = chance.uniform(0.2, 1.0) * self.world.seconds[command] * (1.5 if service else 1.0)
        limit_s: float | None = after_s
        told = f"after {after_s:.2f} s"
        if way == "call":
            name, most = chance.choice(sorted(self.world.calls[command].items()))
            nth = chance.randint(1, most)
            before = installer_only(
                "-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={nth}", "-o", os.devnull
            )
            told = f"{name} {nth} of {most}"
        elif way == "point":
            variables = {"MONOBASE_FAULT_AT": chance.choice(self.world.points)}
            told = variables["MONOBASE_FAULT_AT"]
        if way in {"call", "point"}:
            limit_s = self.world.seconds[command] * 3 if service else None
        self._say(f"{' '.join(arguments)}; kill of the {way} {told}")
        process = self.start(arguments, before, variables)
        try:
            code: int | None = process.wait(limit_s if limit_s is not None else _TIMEOUT_S)
        except subprocess.TimeoutExpired:
            code = None
        if code is None:
            self._outcome.killed = _kill_in_one_way(process, way, chance)
            if way == "child":
                code = self._after_the_child(process, service=service)
            elif way == "main":
                process.wait()
        else:
            self._outcome.killed = code in {-signal.SIGKILL, 128 + signal.SIGKILL}
        if way != "main":  # what it started may go on beside the next command
            _end(process)
        self._say(f"ended with {code}" if code is not None else "killed")
        if code not in {None, 0, -signal.SIGKILL, 128 + signal.SIGKILL} and way != "child":
            self._violation(f"ended with {code} by itself")
        self._process = process

    def _after_the_child(self, process: "subprocess.Popen[bytes]", *, service: bool) -> int:
        if service:
            with suppress(subprocess.TimeoutExpired):
                process.wait(self._chance.uniform(0.0, 1.0))
            process.kill()
        return process.wait(_TIMEOUT_S)

    def _follow(self, command: str) -> None:
        arguments, service = self._arguments(command)
        if command == "install":
            arguments = ["install"]
        self._say(f"then {' '.join(arguments)}")
        code = self.end_by_itself(self.start(arguments), service=service)
        nothing = command == "repair" and not self.node.prefix.installed_generations()  # it says so, with 1
        if code != (1 if nothing else 0):
            self._violation(f"{arguments[0]} after it ended with {code}")
        self._check(f"after {command}")
        if command != "run" and not nothing:
            for name in leftovers(self.node.prefix):
                self._violation(f"{command} left {name}")

    def _check(self, moment: str) -> None:
        self._violate(moment)
        if self._leased is not None and not self.node.prefix.generation(self._leased).is_dir():
            self._violation(f"{moment}: {self._leased} is leased, and is gone")

    def _violate(self, moment: str) -> None:
        for line in incomplete(self.node.prefix, self.world.reference):
            if _place(line) not in self._known and not _RIGHT_CONTENT.fullmatch(line):
                self._violation(f"{moment}: {line}")

    def _check_the_end(self) -> None:
        _end(self._process)
        if self._known:
            self._follow("repair")
        prefix, reference = self.node.prefix, self.world.reference
        for difference in self.node.differences():
            self._violation(f"at the end: {difference}")
        self._known = set()
        self._violate("at the end")
        standing = {str(path.relative_to(prefix.root)) for path in tree_paths(prefix)}
        for name in sorted(reference.trees.keys() ^ standing):
            self._violation(f"at the end: {name} is {'there' if name in standing else 'missing'}")
        if not prefix.latest.is_symlink() or str(prefix.latest.readlink()) != f"g{_NEWEST:05d}":
            self._violation("at the end: latest does not name the newest")
        names = {
            str(path.relative_to(prefix.root)) for path in (*prefix.root.glob("*"), *prefix.root.glob("uv/*"))
        }
        for name in sorted(names - self.world.names):
            self._violation(f"at the end: {name} has no business there")
        for name in held_locks(prefix.root) - {f"monobase/{self._leased}"}:
            self._violation(f"at the end: {name} is locked still")
        name = self._chance.choice(["g00000", "g00001", "g00002"])
        module = "beta" if name == "g00002" else "alpha"
        python = prefix.generation(name) / PLAIN / "bin" / "python"
        done = subprocess.run([python, "-c", f"import {module}"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self._violation(f"at the end: a model of {name} cannot import {module}: {done.stderr[-200:]}")

    _leased: str | None = None
    _started_at = 0
    _process: "subprocess.Popen[bytes]"
    _template = "none"

    @contextmanager
    def _lease(self) -> Iterator[None]:
        folder = self.node.prefix.generation("g00000")
        if self._chance.random() < 0.6 or not folder.is_dir():
            yield
            return
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        self._leased = "g00000"
        self._say("g00000 is leased")
        try:
            yield
        finally:
            os.close(descriptor)
            self._leased = None

    def _harm(self) -> None:
        prefix = self.node.prefix
        files = harmable(self._chance.choice(sorted(tree_paths(prefix))))
        if not files:
            return
        path, way = self._chance.choice(files), self._chance.choice(HARMS)
        self._say(f"{way}: {path.relative_to(prefix.root)}")
        harm(path, way)
        if self._chance.random() < 0.2:
            self._say("no cache")
            shutil.rmtree(prefix.uv_cache, ignore_errors=True)

    def _say(self, text: str) -> None:
        self._outcome.story.append(text)

    def _violation(self, text: str) -> None:
        self._outcome.violations.append(text)


def _place(line: str) -> str:
    """Return the subject of a line of `incomplete`; a damaged file may differ in another way later."""
    return line.partition(" is ")[0]


def held_locks(root: Path) -> set[str]:
    """Return the files below a folder that some process has locked."""
    inodes = {
        line.split()[5].rpartition(":")[2]
        for line in Path("/proc/locks").read_text().splitlines()
        if "->" not in line
    }
    return {str(path.relative_to(root)) for path in root.rglob("*") if str(path.lstat().st_ino) in inodes}


def _kill_in_one_way(process: "subprocess.Popen[bytes]", way: str, chance: random.Random) -> bool:
    children = _descendants(process.pid) if way == "child" else []
    try:
        if children:
            os.kill(chance.choice(children), signal.SIGKILL)
        elif way in {"main", "child"}:
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _descendants(process: int) -> list[int]:
    found: list[int] = []
    for path in Path("/proc").glob(f"{process}/task/*/children"):
        with suppress(OSError):
            for child in path.read_text().split():
                found += [int(child), *_descendants(int(child))]
    return found


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End what a command left of itself and of what it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
