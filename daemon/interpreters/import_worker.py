"""Imports modules in an environment's own Python, and prints what of which files that reads.

It runs as `python -I -S -B import_worker.py FOLDER TEMPORARY MODULE...`, without `site`: whatever an
environment brings (`.pth` files, `sitecustomize`, the modules) runs after `confine`. It prints a JSON object:
`{"files": [[PATH, [[OFFSET, LENGTH], ...]], ...], "failed": {MODULE: ERROR}}`, with files below FOLDER in the
order in which they are needed first; a file without ranges is read from its beginning to its end.

Mapped files: /proc/self/pagemap names the pages that this process has touched, whatever else is in the page
cache. (mincore(2) reports what anybody has read, so one would have to drop the caches of running models.) The
kernel maps up to 16 pages around a fault, so a range is right to 64 KiB. Read files: Python reports each that
it opens. What is read when the process ends is not in the list.
"""

# ruff: noqa: PTH123, PLC0415 (pathlib and json are read as well, and are not what every import needs)
# It runs in each Python of a generation, and what it imports is read as well: only what every import needs.
import ctypes
import errno
import os
import resource
import sys
from array import array

PAGE_BYTES = os.sysconf("SC_PAGESIZE")
_GAP_BYTES = 128 * 1024  # what the kernel reads around a fault on most disks: another read costs more
_DATA_BYTES = 8 << 30
_FILE_BYTES = 64 << 20
_CPU_S = 600
_NICE = 10
_PRESENT_OR_SWAPPED = 62  # bits 63 and 62 of an entry (Documentation/admin-guide/mm/pagemap.rst)

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050001  # EPERM
_LOAD, _EQUALS, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_X32 = 0x40000000  # the same calls with other numbers
# By machine: AUDIT_ARCH, and the numbers of the calls that are refused: those that make a socket, change a
# file's owner, mode, time or length by its name, reach another process, or leave a namespace.
_MACHINES = {
    "x86_64": (
        0xC000003E,
        (
            41, 425, 76, 90, 91, 268, 452, 92, 93, 94, 260, 132, 235, 261, 280, 188, 189, 190, 197, 198, 199,
            62, 200, 101, 310, 311, 424, 438, 165, 166, 272, 308, 298, 321, 250,
        ),
    ),
    "aarch64": (
        0xC00000B7,
        (
            198, 425, 45, 52, 53, 452, 54, 55, 88, 5, 6, 7, 14, 15, 16, 129, 130, 117, 270, 271, 424, 438, 40,
            39, 97, 268, 241, 280, 219,
        ),
    ),
}  # fmt: skip
# Landlock (Documentation/userspace-api/landlock.rst), first version: to write a file; to make or remove any.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH = 1
_WRITE_FILE = 1 << 1
_CHANGE_FILES = 0b1_1111_1111_0010


def confine(temporary: str) -> None:
    """Take from this process, for good, what an import does not need: writing, the network, other processes.

    No power is needed for that, and none helps against it: the daemon's pod has none with which to become
    another user.

    Args:
        temporary: The one folder in which it may write.

    Raises:
        OSError: The kernel, or a sandbox, does not do it.
    """
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_DATA, (_DATA_BYTES, _DATA_BYTES))
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "new powers cannot be given up")
    _keep_from_writing(libc, temporary)
    _filter_calls(libc)


def _keep_from_writing(libc: ctypes.CDLL, temporary: str) -> None:
    handled = _CHANGE_FILES.to_bytes(8, sys.byteorder)
    ruleset = libc.syscall(_CREATE_RULESET, handled, len(handled), 0)
    _check(ruleset, "the kernel has no Landlock, or it is switched off")
    for path, access in ((temporary, _CHANGE_FILES), ("/dev/null", _WRITE_FILE)):
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = access.to_bytes(8, sys.byteorder) + descriptor.to_bytes(4, sys.byteorder)
        _check(libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0), f"no Landlock rule for {path}")
        os.close(descriptor)
    _check(libc.syscall(_RESTRICT_SELF, ruleset, 0), "Landlock cannot be used")
    os.close(ruleset)


def _filter_calls(libc: ctypes.CDLL) -> None:
    class Program(ctypes.Structure):
        _fields_ = (("count", ctypes.c_ushort), ("code", ctypes.c_char_p))

    code = _filter(os.uname().machine)
    program = ctypes.byref(Program(len(code) // 8, code))
    _check(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program, 0, 0), "no filter of system calls")


def _filter(machine: str) -> bytes:
    """Return the filter as classic BPF: each instruction has a code, two jumps and a number."""
    if machine not in _MACHINES:
        raise OSError(errno.ENOSYS, f"no filter of system calls for {machine}")
    architecture, refused = _MACHINES[machine]
    # From the end to the beginning; jumps count from the next instruction, and the last one refuses.
    code = [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    for number in refused:
        code.insert(0, (_EQUALS, len(code) - 1, 0, number))
    code = [(_LOAD, 0, 0, 0), (_AT_LEAST, len(code) - 1, 0, _X32), *code]
    code = [(_LOAD, 0, 0, 4), (_EQUALS, 0, len(code) - 1, architecture), *code]
    order = sys.byteorder
    return b"".join(
        operation.to_bytes(2, order) + bytes((if_true, if_false)) + value.to_bytes(4, order)
        for operation, if_true, if_false, value in code
    )


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def import_modules(names: "list[str]") -> "dict[str, str]":
    """Import modules; return the errors of those that cannot be imported."""
    failed = {}
    for name in names:
        try:
            __import__(name)
        except BaseException as error:  # a module may raise SystemExit
            failed[name] = f"{type(error).__name__}: {error}"
    return failed


def mapped_files(folder: str) -> "dict[str, list[list[int]]]":
    """Return what this process has touched of each file below a folder that it has mapped, as pages."""
    touched: dict[str, set[int]] = {}
    with (
        open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps,
        open("/proc/self/pagemap", "rb", buffering=0) as pagemap,
    ):
        for line in maps:
            fields = line.rstrip("\n").split(None, 5)
            if len(fields) < 6 or not fields[5].startswith(folder):
                continue
            begin, end = (int(item, 16) // PAGE_BYTES for item in fields[0].split("-"))
            first = int(fields[2], 16) // PAGE_BYTES
            pagemap.seek(begin * 8)
            entries = array("Q", pagemap.read((end - begin) * 8))
            pages = touched.setdefault(fields[5], set())
            pages.update(first + at for at, entry in enumerate(entries) if entry >> _PRESENT_OR_SWAPPED)
    return {path: _ranges(pages) for path, pages in touched.items()}


def _ranges(pages: "set[int]") -> "list[list[int]]":
    ranges: list[list[int]] = []
    for page in sorted(pages):
        begin = page * PAGE_BYTES
        if ranges and begin - sum(ranges[-1]) <= _GAP_BYTES:
            ranges[-1][1] = begin + PAGE_BYTES - ranges[-1][0]
        else:
            ranges.append([begin, PAGE_BYTES])
    return ranges


def in_order(opened: "dict[str, None]", mapped: "dict[str, list[list[int]]]") -> "list[list[object]]":
    """Put files in the order in which they are needed first.

    Args:
        opened: What Python has opened or loaded, in this order.
        mapped: What is mapped, by descending address: the kernel maps from the top down.

    Returns:
        Each file with its ranges. A library that a module needs follows the module.
    """
    followers: dict[str, list[str]] = {}
    leader = ""
    for path in mapped:
        leader = path if path in opened else leader
        followers.setdefault(leader, []).append(path)
    paths = followers.pop("", [])
    for path in opened:
        paths += followers.get(path, [path])
    return [[path, mapped.get(path, [])] for path in dict.fromkeys(paths)]


def main(folder: str, temporary: str, names: "list[str]") -> None:
    """Import modules, and print what that reads below a folder."""
    opened = _loaded()

    def note(event: str, arguments: "tuple[object, ...]") -> None:
        if event in {"open", "import"} and isinstance(path := arguments[event == "import"], str):
            opened[path] = None

    answer = os.dup(1)  # which no program inherits that a module starts and leaves running
    os.setsid()  # so that all that the modules start ends with it
    os.nice(_NICE)
    confine(temporary)
    nothing = os.open("/dev/null", os.O_RDWR)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    sys.addaudithook(note)
    import site

    site.main()
    failed = import_modules(names)
    found = dict(opened)
    mapped = dict(reversed(mapped_files(folder).items()))
    files = in_order({path: None for path in found if path.startswith(folder)}, mapped)
    import json

    with open(answer, "w", encoding="utf-8") as stream:
        json.dump({"files": files, "failed": failed}, stream)
    os._exit(0)  # what ends with an interpreter reads much, and a model does not end


def _loaded() -> "dict[str, None]":
    """Return the bytecode of what is loaded so far: it was read before anything could be reported."""
    specifications = (getattr(module, "__spec__", None) for module in sys.modules.values())
    return {str(item.cached): None for item in specifications if item is not None and item.cached}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
