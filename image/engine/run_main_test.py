import os
import subprocess
import sys
from pathlib import Path

from image.oci.layout import Layout
from tests.registry.sample_layout import write_sample_layout

# An engine that knows an image once it has loaded one.
ENGINE = """\
#!/bin/sh
shift
echo "$*" >>"$calls"
case "$1" in
    image) [ -e "$loaded" ] && cat "$loaded" ;;
    load) cat >"$calls.archive"; echo "$digest" >"$loaded"; echo "Loaded image: localhost/a:latest" ;;
    run) echo ran; exit 3 ;;
esac
"""


def run(folder: Path, image: Layout, *words: str) -> "subprocess.CompletedProcess[str]":
    program = folder / "podman"
    program.write_text(ENGINE)
    program.chmod(0o755)
    variables = {
        "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": os.pathsep.join(sys.path),
        "calls": str(folder / "calls"), "loaded": str(folder / "loaded"),
        "digest": image.config.digest.removeprefix("sha256:"),
    }  # fmt: skip
    options = [f"--image={image.directory}", "--default-tag=a:latest", "--engine-arg=--root=/x"]
    command = [sys.executable, "-m", "image.engine.run_main", *options, *words]
    return subprocess.run(
        command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def test_a_command_runs_in_a_container_and_the_image_is_loaded_once(tmp_path: Path) -> None:
    image = write_sample_layout(tmp_path / "image", [1000])
    for _ in range(2):
        done = run(tmp_path, image, "--run-arg=--gpus=all", "python", "-c", "--version")
        assert (done.stdout, done.returncode) == ("ran\n", 3), done.stderr
    calls = (tmp_path / "calls").read_text().splitlines()
    look = "image inspect --format {{.Id}} localhost/a:latest"
    start = "run --rm --interactive --gpus=all localhost/a:latest python -c --version"
    assert calls == [look, "load", start, look, start]


def test_an_engine_that_has_another_image_of_that_name_gets_this_one(tmp_path: Path) -> None:
    image = write_sample_layout(tmp_path / "image", [1000])
    (tmp_path / "loaded").write_text(f"sha256:{'0' * 64}\n")
    done = run(tmp_path, image)
    assert done.returncode == 3, done.stderr
    assert "load" in (tmp_path / "calls").read_text().splitlines()
