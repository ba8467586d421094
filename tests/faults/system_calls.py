"""Runs the installer under strace, and parses what it prints."""

import re
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

CHANGES = (
    "rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,"
    "fsync,fdatasync,syncfs"
)
_LINE = re.compile(r"(?P<process>\d+) +(?P<name>\w+)\(")
_RESUMED = re.compile(r"(?P<process>\d+) +<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)", re.DOTALL)
_UNFINISHED = " <unfinished ...>"


@dataclass(frozen=True, slots=True)
class Call:
    """One system call.

    Attributes:
        process: The thread that made it.
        name: Its name.
        arguments: Its arguments and result, as strace writes them.
        began: Its place in the trace, the line where it began.
        ended: The line where it ended.
    """

    process: int
    name: str
    arguments: str
    began: int
    ended: int

    @property
    def paths(self) -> list[str]:
        """The strings among its arguments."""
        return re.findall(r'"((?:[^"\\]|\\.)*)"', self.arguments)

    @property
    def descriptor_path(self) -> str:
        """The file that its first argument is open on."""
        found = re.match(r"\d+<([^>]*)>", self.arguments)
        return found[1] if found else ""

    @property
    def files(self) -> list[str]:
        """All paths that it names, by a string or by a descriptor."""
        return [*self.paths, *re.findall(r"\d+<([^>]*)>", self.arguments)]

    @property
    def failed(self) -> bool:
        """True if the call returned an error."""
        return re.search(r"\) += -1 ", self.arguments) is not None


def strace_program() -> str | None:
    """Return the path of strace, or None where there is none."""
    return shutil.which("strace")


def installer_only(*options: str) -> list[str]:
    """Return the start of a command line that traces the installer and its threads, but not uv."""
    return ["strace", "-f", "-b", "execve", "--quiet=all", *options]


def everything(*options: str) -> list[str]:
    """Return the start of a command line that traces the installer and all that it starts."""
    return ["strace", "-f", "--seccomp-bpf", "--quiet=all", *options]


def count_by_thread(trace: Path) -> Counter[tuple[int, str]]:
    """Count the calls of a trace by thread and name."""
    counts: Counter[tuple[int, str]] = Counter()
    for line in trace.read_text(errors="replace").splitlines():
        found = _LINE.match(line)
        if found is not None:
            counts[int(found["process"]), found["name"]] += 1
    return counts


def read_trace(trace: Path) -> list[Call]:
    """Read a trace, with the halves of calls that were interrupted put together."""
    calls = []
    pending: dict[int, tuple[str, str, int]] = {}
    for number, line in enumerate(trace.read_text(errors="replace").splitlines()):
        resumed = _RESUMED.match(line)
        if resumed is not None:
            name, arguments, began = pending.pop(int(resumed["process"]))
            calls.append(Call(int(resumed["process"]), name, arguments + resumed["rest"], began, number))
            continue
        found = _LINE.match(line)
        if found is None:
            continue
        process, name, arguments = int(found["process"]), found["name"], line[found.end() :]
        if arguments.endswith(_UNFINISHED):
            pending[process] = (name, arguments.removesuffix(_UNFINISHED), number)
        else:
            calls.append(Call(process, name, arguments, number, number))
    return calls
