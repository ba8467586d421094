"""A small prefix for tests: real environments and packages, and a list such as the installer writes."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from platform import machine

import uv

from tests.index.wheel import WheelSpec, write_wheel

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
SITE_PACKAGES = f"lib/python{PYTHON}/site-packages"
# As uv writes the commands of a relocatable environment.
_PIP = (
    "#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python' \"$0\" \"$@\"\n' '''\n"
    "import sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n"
)
BUILDS = {"cpu": "-", "cu121": "12.1", "cu124": "12.4", "cu130": "13.0"}


@dataclass(slots=True)
class SampleGeneration:
    """One generation of a prefix.

    Attributes:
        folder: Where it stands.
        lines: Its list of what it offers, line by line.
    """

    folder: Path
    lines: list[str] = field(default_factory=list)

    def offer(self, kind: str, name: str, state: str, *fields: str) -> None:
        """Add a line to the list."""
        self.lines.append(" ".join([kind, name, state, *fields]))

    def environment(self, python: str, torch: str = "-", build: str = "-", *, state: str = "ready") -> str:
        """List an environment, without making it.

        Args:
            python: Its Python, such as `3.11`.
            torch: Its Torch, or `-`.
            build: Its build, or `-`.
            state: `ready` or `missing`.

        Returns:
            Its name.
        """
        name = f"python{python}" + ("" if torch == "-" else f"-torch{torch}-{build}")
        cuda = BUILDS[build] if build != "-" else "-"
        self.offer("environment", name, state, python, f"{python}.9", torch, build, cuda)
        return name

    def stack(self, stack: str, like: str, *, python: str = PYTHON, state: str = "ready") -> None:
        """List an environment with a stack; one that is ready is a link to another environment.

        Args:
            stack: Name and version of the stack, such as `vllm 0.33.0`; `-` as the version for none.
            like: Torch, build and CUDA, such as `2.4.1 cu124 12.4`; `- - -` for none.
            python: Its Python.
            state: `ready` or `missing`.
        """
        name = f"python{python}-{stack.replace(' ', '').removesuffix('-')}"
        self.offer("stack", name, state, python, f"{python}.9", *like.split(), *stack.split())
        if state == "ready":
            torch, build, _ = like.split()
            target = f"python{python}" + ("" if torch == "-" else f"-torch{torch}-{build}")
            (self.folder / name).symlink_to(target)

    def write(self) -> None:
        """Write the list, as the installer does: by rename."""
        new = self.folder / "environments.new"
        new.write_text("".join(f"{line}\n" for line in self.lines))
        new.rename(self.folder / "environments")


@dataclass(frozen=True, slots=True)
class SamplePrefix:
    """A prefix in a folder of a test.

    Attributes:
        root: The prefix.
        wheels: Folder of the wheels that are installed in it, and of a later version of each.
        python: The interpreter of its environments.
    """

    root: Path
    wheels: Path
    python: Path = Path(sys.executable)

    def generation(self, name: str, state: str = "sealed") -> SampleGeneration:
        """Make the folder of a generation."""
        folder = self.root / "monobase" / name
        folder.mkdir(parents=True)
        platform = f"platform {machine()}-manylinux_2_28"
        return SampleGeneration(folder, ["monobase-environments 1", f"generation {name} {state}", platform])

    def install(self, environment: Path, requirements: Mapping[str, str]) -> None:
        """Make a virtual environment and install packages, with pip among them.

        Args:
            environment: Its folder.
            requirements: Version by package, of `wheels`.
        """
        _uv("venv", "--relocatable", "--python", self.python, environment)
        if requirements:
            _uv(
                *("pip", "install", "--python", environment / "bin" / "python", "--no-index"),
                *("--find-links", self.wheels),
                *[f"{name}=={version}" for name, version in requirements.items()],
            )
        pip = distribution("pip")
        source = Path(str(pip.locate_file("")))
        for name in ("pip", f"pip-{pip.version}.dist-info"):
            shutil.copytree(
                source / name,
                environment / SITE_PACKAGES / name,
                ignore=shutil.ignore_patterns("__pycache__"),
            )
        for name in ("pip", "pip3", f"pip{PYTHON}"):
            script = environment / "bin" / name
            script.write_text(_PIP)
            script.chmod(0o755)

    def toolkit(self, generation: SampleGeneration, directory_name: str, name: str) -> None:
        """Make a toolkit's tree and the link of a generation to it."""
        tree = self.root / "cuda" / directory_name
        for folder in ("bin", "include", "lib64/stubs") if name.startswith("cuda") else ("lib", "include"):
            (tree / folder).mkdir(parents=True, exist_ok=True)
        (generation.folder / name).symlink_to(f"../../cuda/{directory_name}")


def make_sample_prefix(root: Path, wheels: Path, python: Path = Path(sys.executable)) -> SamplePrefix:
    """Make a prefix with two sealed generations and one that is half installed.

    Args:
        root: The prefix to make.
        wheels: An empty folder for wheels.
        python: The interpreter of its environments, of the version of the one that runs.

    Returns:
        The prefix.
    """
    prefix = SamplePrefix(root, wheels, python)
    _write_wheels(wheels)

    first = prefix.generation("g00001")
    first.offer("cuda", "cuda12.1", "ready", "12.1", "12.1.1")
    first.lines.append(f"python {PYTHON} {PYTHON}.9")
    prefix.toolkit(first, "cuda-12.1.1", "cuda12.1")
    prefix.install(
        first.folder / first.environment(PYTHON, "2.3.1", "cu121"), {"torch": "2.3.1", "shared": "1.0"}
    )
    first.write()

    second = prefix.generation("g00002")
    second.lines += [f"python {PYTHON} {PYTHON}.9", "python 3.99 3.99.1"]
    second.lines += [f"driver {cuda} 525.60.13" for cuda in ("12.1", "12.4")] + ["driver 13.0 580.65.06"]
    second.offer("cuda", "cuda12.4", "ready", "12.4", "12.4.1")
    second.offer("cuda", "cuda13.0", "missing", "13.0", "13.0.2")
    second.offer("cudnn", "cudnn8-cuda12", "ready", "8", "8.9.7.29", "12")
    second.offer("cudnn", "cudnn9-cuda12", "ready", "9", "9.1.0.70", "12")
    prefix.toolkit(second, "cuda-12.4.1", "cuda12.4")
    prefix.toolkit(second, "cudnn-8.9.7.29-cuda12", "cudnn8-cuda12")
    prefix.toolkit(second, "cudnn-9.1.0.70-cuda12", "cudnn9-cuda12")
    cudnn = second.folder / "cudnn9-cuda12" / "lib" / "libcudnn.so.9"
    cudnn.touch()
    prefix.install(second.folder / second.environment(PYTHON), {"shared": "1.0"})
    for torch, build in (("2.4.1", "cpu"), ("2.4.1", "cu124"), ("2.5.1", "cu121"), ("2.5.1", "cu130")):
        environment = second.folder / second.environment(PYTHON, torch, build)
        prefix.install(environment, {"torch": torch, "shared": "1.0", "tool": "1.0"})
        if build != "cpu":
            nvidia = environment / SITE_PACKAGES / "nvidia"
            for part in ("cublas", "cudnn"):
                (nvidia / part / "lib").mkdir(parents=True)
            (nvidia / "cublas" / "lib" / "libcublas.so.12").touch()
            # One version of cuDNN is one inode, as the installer links it.
            os.link(cudnn, nvidia / "cudnn" / "lib" / cudnn.name)
    second.environment(PYTHON, "2.6.0", "cu124", state="missing")
    second.stack("vllm 0.33.0", "2.4.1 cu124 12.4")
    second.stack("vllm 0.33.0", "2.4.1 cu124 12.4", python="3.99", state="missing")
    second.stack("train -", "2.5.1 cu130 13.0", state="missing")
    second.stack("jax 0.12.0", "- - 12.4")
    second.environment("3.99", "2.6.0", "cu124")
    second.write()
    (root / "monobase" / "latest").symlink_to("g00002")

    third = prefix.generation("g00003", "partial")
    third.lines.append("selection --pool small")
    third.lines += [f"left-out python{PYTHON}-{name}" for name in ("torch2.5.1-cu130", "big1.0")]
    third.lines += ["left-out cuda12.1", f"python {PYTHON} {PYTHON}.9"]
    third.offer("cuda", "cuda12.1", "missing", "12.1", "12.1.1")
    third.environment(PYTHON, "2.6.0", "cu124", state="missing")
    third.environment(PYTHON, "2.5.1", "cu130", state="missing")
    third.stack("big 1.0", "2.5.1 cu130 13.0", state="missing")
    third.write()
    return prefix


def question(prefix: SamplePrefix, **variables: str) -> dict[str, str]:
    """Return the variables that ask a prefix for its plain Python, and others on top."""
    return {"MONOBASE_PREFIX": str(prefix.root), "PYTHON_VERSION": PYTHON} | variables


def leave_out(prefix: SamplePrefix, *names: str, generation: str = "g00001") -> None:
    """Rewrite the list of a generation as on a node whose pool `small` leaves out some targets."""
    path = prefix.root / "monobase" / generation / "environments"
    lines = path.read_text().splitlines()
    lines[3:3] = ["selection --pool small", *(f"left-out {name}" for name in names)]
    path.write_text("".join(f"{line}\n" for line in lines))


def state_of(root: Path) -> dict[str, tuple[int, int, int]]:
    """Return inode, mtime and ctime of all paths below a folder."""
    return {
        str(path): (status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        for path in [root, *root.rglob("*")]
        for status in [path.lstat()]
    }


def _write_wheels(folder: Path) -> None:
    for torch in ("2.3.1", "2.4.1", "2.5.1"):
        write_wheel(
            WheelSpec(
                "torch",
                torch,
                requires_dist=("shared",),
                files={
                    "torch/__init__.py": f"__version__ = {torch!r}\n".encode(),
                    "torch/run.py": b"import sys\n\n\ndef main():\n    print('torchrun of', sys.prefix)\n",
                },
                console_scripts={"torchrun": "torch.run:main"},
            ),
            folder,
        )
    for version in ("1.0", "2.0"):
        code = f"__version__ = {version!r}\n".encode()
        write_wheel(WheelSpec("shared", version, files={"shared.py": code}), folder)
        command = b"import sys\n\n\ndef main():\n    import mine\n\n    print(sys.prefix, mine.__name__)\n"
        write_wheel(
            WheelSpec(
                "tool",
                version,
                files={"tool.py": code + command},
                console_scripts={"tool": "tool:main"},
            ),
            folder,
        )
    write_wheel(WheelSpec("mine", "1.0", requires_dist=("torch", "shared"), files={"mine.py": b""}), folder)


def _uv(*arguments: str | Path) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("UV_", "VIRTUAL_ENV"))
    }
    environment |= {"UV_NO_CONFIG": "1", "UV_OFFLINE": "1", "UV_NO_CACHE": "1", "UV_LINK_MODE": "copy"}
    subprocess.run([uv.find_uv_bin(), "--quiet", *map(str, arguments)], env=environment, check=True)
