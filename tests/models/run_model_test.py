import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from image.errors import ImageError
from image.model.code_layer import write_code_layer
from image.model.derived_image import DerivedSettings
from image.model.facts import ModelFacts
from image.model.run_model import Model, run_model, user_cache
from runtime.sample_prefix import PYTHON, SamplePrefix
from runtime.shells import EXEC
from tests.index.wheel import WheelSpec
from tests.layer.sample_lock import sample_lock

pytest_plugins = ["runtime.fixtures"]

ENVIRONMENT = f"python{PYTHON}-torch2.4.1-cpu"
VARIABLES = {"MONOBASE_GEN_ID": "2", "PYTHON_VERSION": PYTHON, "TORCH_VERSION": "2.4.1+cpu"}
SERVER = b"""\
import os, sys, mine, torch
here = os.path.dirname(os.path.abspath(__file__))
print(mine.__version__, torch.__version__, os.environ["SAID"], os.getcwd() == here)
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def model(tmp_path: Path) -> Model:
    lock = sample_lock(tmp_path, WheelSpec("mine", "1.0", files={"mine.py": b"__version__ = '1.0'\n"}))
    (tmp_path / "server.py").write_bytes(SERVER)
    write_code_layer(tmp_path / "code.tar.gz", "/opt/model", {"server.py": tmp_path / "server.py"})
    return Model(
        ModelFacts(2, ENVIRONMENT, lock.base, "amd64", VARIABLES, ()),
        DerivedSettings(
            ["python", "server.py", "7"],
            environment=VARIABLES | {"SAID": "so"},
            working_directory="/opt/model",
        ),
        lock,
        sorted(tmp_path.glob("*.whl")),
        [tmp_path / "code.tar.gz"],
    )


def run(model: Model, prefix: Path, cache: Path, *arguments: str) -> int:
    return run_model(model, prefix, cache, arguments, EXEC)


def test_a_model_runs_with_its_layer_its_environment_and_its_code(
    model: Model, prefix: SamplePrefix, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(model, prefix.root, tmp_path / "cache") == 7
    assert capfd.readouterr().out == "1.0 2.4.1 so True\n"


def test_the_layer_is_installed_once_for_each_lock_and_prefix(
    model: Model, prefix: SamplePrefix, tmp_path: Path
) -> None:
    for _ in range(2):
        assert run(model, prefix.root, tmp_path / "cache", "true") == 0
        (layer,) = (tmp_path / "cache").glob("*/.monobase-layer")
        for wheel in model.wheels:
            wheel.unlink(missing_ok=True)
    assert layer.is_file()


def test_another_command_takes_the_place_of_the_model_s(
    model: Model, prefix: SamplePrefix, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(model, prefix.root, tmp_path / "cache", "python", "-c", "import mine; print(mine)") == 0
    assert "mine.py" in capfd.readouterr().out


def test_nothing_stays_of_a_run_but_the_layer(
    model: Model, prefix: SamplePrefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    assert run(model, prefix.root, tmp_path / "cache", "true") == 0
    assert list((tmp_path / "scratch").iterdir()) == []


def test_an_environment_that_is_not_installed_is_named_with_the_command_that_installs_it(
    model: Model, tmp_path: Path
) -> None:
    expected = rf"{ENVIRONMENT}: is not installed .*--min-gen-id 2 --max-gen-id 2 --only {ENVIRONMENT}`"
    with pytest.raises(ImageError, match=expected):
        run(model, tmp_path / "nowhere", tmp_path / "cache")


def test_the_cache_is_where_the_user_has_it() -> None:
    assert user_cache({"XDG_CACHE_HOME": "/c", "HOME": "/h"}) == Path("/c/monobase/layers")
    assert user_cache({"HOME": "/h"}) == Path("/h/.cache/monobase/layers")
    assert user_cache({"XDG_CACHE_HOME": "c", "HOME": "/h"}) == Path("/h/.cache/monobase/layers")


def test_a_signal_reaches_the_model_and_the_exit_code_says_so(
    model: Model, prefix: SamplePrefix, tmp_path: Path
) -> None:
    code = (
        "import sys, pickle; from pathlib import Path; from image.model.run_model import run_model\n"
        "model, prefix, cache, program = pickle.load(sys.stdin.buffer)\n"
        "command = ['python', '-c', 'print(1, flush=True); import time; time.sleep(600)']\n"
        "sys.exit(run_model(model, prefix, cache, command, program))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(pickle.dumps((model, prefix.root, tmp_path / "cache", EXEC)))
        process.stdin.close()
        assert process.stdout.readline() == b"1\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 128 + signal.SIGTERM
