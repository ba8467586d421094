"""`bazel run //tests/bench:activate`: what activation costs, against the reference implementation's way.

One run, one table. Each round runs every command once, in turn, so that all meet the same machine; the
medians are compared. One row has a list of a thousand environments more, and one a stack in that list, which
is read for it. With `--prefix` of a real installation, also `import torch` through the runtime, from a
read-only mount of the prefix, against a plain virtual environment of the same lock with uv's own bytecode.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from runtime.sample_prefix import PYTHON, SamplePrefix, make_sample_prefix
from runtime.shells import EXEC, SYSTEM_PATH
from tests.index.client import uv_binary

_REFERENCE = Path(__file__).parent / "reference_activate.sh"
_TRUE = "/bin/true"
_OVERHEAD_LIMIT_MS = 1.5
_TIMES_LESS = 10.0
_IMPORT_LIMIT = 1.05
_MANY = 1000
_LONG_LIST_LIMIT_MS = 0.1
_IMPORT = "import time; began = time.perf_counter(); import torch; print(time.perf_counter() - began)"


@click.command()
@click.option("--rounds", default=200, show_default=True, help="Runs of each command.")
@click.option(
    "--other",
    type=click.Path(exists=True, dir_okay=False, path_type=Path, resolve_path=True),
    help="The exec of another checkout: measure it in turn with ours.",
)
@click.option(
    "--prefix",
    type=click.Path(exists=True, file_okay=False, path_type=Path, resolve_path=True),
    help="A real prefix: measure `import torch` as well.",
)
@click.option("--gen-id", default="", help="Generation of --prefix; the latest if not given.")
@click.option("--python", default=PYTHON, show_default=True, help="PYTHON_VERSION for --prefix.")
@click.option(
    "--torch", default="2.13.0+cu130", show_default=True, help="TORCH_VERSION for --prefix, with its build."
)
@click.option(
    "--lock", type=click.Path(exists=True, path_type=Path, resolve_path=True), help="The lock of it."
)
@click.option("--import-rounds", default=11, show_default=True, help="Imports of each kind.")
def main(
    rounds: int,
    other: Path | None,
    prefix: Path | None,
    gen_id: str,
    python: str,
    torch: str,
    lock: Path | None,
    import_rounds: int,
) -> None:
    """Measure what activation costs."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="monobase-bench-") as folder:
        _start(console, Path(folder), rounds, other)
        if prefix is None:
            return
        if lock is None:
            raise click.UsageError(
                "--prefix needs --lock, the lock of the environment, for the plain environment"
            )
        variables = {
            "MONOBASE_PREFIX": str(prefix),
            "MONOBASE_GEN_ID": gen_id,
            "PYTHON_VERSION": python,
            "TORCH_VERSION": torch,
        }
        _import_torch(console, Path(folder), variables, lock, import_rounds)


def _start(console: Console, folder: Path, rounds: int, other: Path | None) -> None:
    """Compare the start of a program that does nothing."""
    (folder / "wheels").mkdir()
    sample = make_sample_prefix(folder / "prefix", folder / "wheels")
    variables = {
        "PATH": SYSTEM_PATH,
        "TMPDIR": str(folder),
        "MONOBASE_PREFIX": str(sample.root),
        "PYTHON_VERSION": PYTHON,
        "TORCH_VERSION": "2.4.1",
        "CUDA_VERSION": "12.4.1",
        "CUDNN_VERSION": "9.1.0.70",
    }
    _lengthen_list(sample)
    ours = [str(EXEC), _TRUE]
    seconds = _in_turn(
        {
            "true": [_TRUE],
            "sh": ["/bin/sh", "-c", f"exec {_TRUE}"],
            "ours": ours,
            "long list": ours,
            "stack": ours,
            "reference": [str(_REFERENCE), _TRUE],
        }
        | ({} if other is None else {"other": [str(other), _TRUE]}),
        variables,
        rounds,
        {
            "long list": {"MONOBASE_GEN_ID": "g00009"},
            "stack": {"MONOBASE_GEN_ID": "g00009", "MONOBASE_STACK": "vllm"},
        },
    )
    medians = {name: statistics.median(values) * 1000 for name, values in seconds.items()}
    overhead = medians["ours"] - medians["true"]
    reference = medians["reference"] - medians["true"]

    table = Table("command", "median ms", "over true, ms", title=f"{rounds} rounds", title_justify="left")
    for name, median in medians.items():
        table.add_row(name, f"{median:.2f}", f"{median - medians['true']:.2f}")
    console.print(table)
    _say(
        console,
        f"overhead: {overhead:.2f} ms",
        f"≤ {_OVERHEAD_LIMIT_MS:g} ms",
        reached=overhead <= _OVERHEAD_LIMIT_MS,
    )
    more = medians["long list"] - medians["ours"]
    _say(
        console,
        f"a list of {_MANY} environments more costs {more:.2f} ms",
        f"≤ {_LONG_LIST_LIMIT_MS:g} ms",
        reached=more <= _LONG_LIST_LIMIT_MS,
    )
    times = reference / overhead
    _say(
        console,
        f"the reference's way costs {times:.1f} times as much",
        f"≥ {_TIMES_LESS:g}",
        reached=times >= _TIMES_LESS,
    )


def _lengthen_list(sample: SamplePrefix) -> None:
    """Make a list of the second generation with many environments, under another number."""
    generations = sample.root / "monobase"
    (generations / "g00009").mkdir()
    more = "".join(
        f"environment python3.99-torch9.{number}.0-cu130 missing 3.99 3.99.1 9.{number}.0 cu130 13.0\n"
        for number in range(_MANY)
    )
    text = (generations / "g00002" / "environments").read_text()
    (generations / "g00009" / "environments").write_text(text + more)


def _import_torch(
    console: Console, folder: Path, variables: Mapping[str, str], lock: Path, rounds: int
) -> None:
    """Compare `import torch` through the runtime and in a plain environment."""
    prefix = Path(variables["MONOBASE_PREFIX"])
    plain = folder / "plain"
    uv = os.environ | {"UV_CACHE_DIR": str(prefix / "uv" / "cache"), "UV_PYTHON_DOWNLOADS": "never"}
    uv.pop("PYTHONPATH", None)
    python = subprocess.run(
        [str(EXEC), "python", "-c", "import sys; print(sys._base_executable)"],
        env={"PATH": SYSTEM_PATH, **variables},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.strip()
    for arguments in (
        ["venv", "--python", python, str(plain)],
        [
            "pip",
            "install",
            "--python",
            str(plain),
            "--no-deps",
            "--require-hashes",
            "--compile-bytecode",
            "-r",
            str(lock),
        ],
    ):
        subprocess.run([uv_binary(), "--quiet", *arguments], env=uv, check=True)

    mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    commands = {
        "plain": [str(plain / "bin" / "python"), "-c", _IMPORT],
        "ours": [
            *("unshare", "--mount", "--", "sh", "-c", mount, str(prefix)),
            *(str(EXEC), "python", "-c", _IMPORT),
        ],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            said = subprocess.run(
                command,
                env={"PATH": SYSTEM_PATH, "HOME": str(folder), **(variables if name == "ours" else {})},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            if number > 0:  # the first round fills the page cache
                seconds[name].append(float(said.stdout))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ratio = medians["ours"] / medians["plain"]
    _say(
        console,
        f"import torch: {medians['ours']:.3f} s through the runtime from a read-only mount, "
        f"{medians['plain']:.3f} s in a plain environment with uv's bytecode; ratio {ratio:.3f}",
        f"≤ {_IMPORT_LIMIT:g}",
        reached=ratio <= _IMPORT_LIMIT,
    )


def _in_turn(
    commands: Mapping[str, Sequence[str]],
    environment: Mapping[str, str],
    rounds: int,
    more: Mapping[str, Mapping[str, str]],
) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            variables = {**environment, **more.get(name, {})}
            began = time.perf_counter()
            subprocess.run(command, env=variables, check=True, close_fds=False)
            seconds[name].append(time.perf_counter() - began)
    return seconds


def _say(console: Console, text: str, limit: str, *, reached: bool) -> None:
    console.print(f"{text} (to reach: {limit}): {'reached' if reached else 'NOT REACHED'}")


if __name__ == "__main__":
    sys.exit(main())
