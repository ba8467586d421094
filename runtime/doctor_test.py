"""The command `doctor`."""

import json
import shutil
from pathlib import Path

import pytest

from runtime.sample_prefix import PYTHON, SamplePrefix, question, state_of
from runtime.shells import RUNTIME, SYSTEM_PATH, Outcome, read_only, run

pytest_plugins = ["runtime.fixtures"]

SHELLS = [["dash"], ["bash", "--norc"], ["busybox", "ash"]]


def examine(
    variables: dict[str, str],
    *arguments: str,
    doctor: Path = RUNTIME / "doctor",
    shell: tuple[str, ...] = (),
    wrapper: tuple[str, ...] = (),
    **more: str,
) -> Outcome:
    environment = {"PATH": SYSTEM_PATH, "HOME": "/", "COLUMNS": "2000"} | variables | more
    return run([*wrapper, *shell, str(doctor), *arguments], environment)


def findings(outcome: Outcome) -> dict[str, dict[str, object]]:
    return {finding["subject"]: finding for finding in json.loads(outcome.stdout)["findings"]}


def test_an_environment_that_runs_is_right_and_nothing_is_written(
    prefix: SamplePrefix, tmp_path: Path
) -> None:
    before = state_of(prefix.root)
    asked = question(prefix, TORCH_VERSION="2.4.1", HOME=str(tmp_path))

    outcome = examine(asked, wrapper=read_only(prefix.root))

    environment = prefix.root / "monobase" / "g00002" / f"python{PYTHON}-torch2.4.1-cpu"
    rows = [line.split(maxsplit=2) for line in outcome.stdout.splitlines() if not line.startswith(" ")]
    assert outcome.code == 0, outcome.stdout
    assert outcome.stderr == ""
    assert ["ok", "environment", str(environment)] in rows
    assert rows[0] == ["ok", "variables", " ".join(f"{key}={asked[key]}" for key in (
        "PYTHON_VERSION", "TORCH_VERSION", "MONOBASE_PREFIX",
    ))]  # fmt: skip
    assert rows[-1][:2] == ["0", "problems,"]
    assert [row[1] for row in rows][:6] == ["variables", "prefix", "environment", "python", "image", "driver"]
    assert state_of(prefix.root) == before
    assert list(tmp_path.iterdir()) == []


def test_json_has_the_facts_as_well(prefix: SamplePrefix) -> None:
    outcome = examine(question(prefix, TORCH_VERSION="2.4.1", CUDA_VERSION="12.4"), "--json")

    read = json.loads(outcome.stdout)
    name = f"python{PYTHON}-torch2.4.1-cu124"
    assert (read["format"], read["exit_code"], read["generation"]) == (1, 0, "g00002")
    assert read["environment"] == {
        "name": name, "ready": True, "torch": "2.4.1", "build": "cu124", "cuda": "12.4",
    }  # fmt: skip
    assert read["variables"]["TORCH_VERSION"] == "2.4.1"
    assert set(read["cuda"]) == {"loaded", "error", "error_text", "version", "gpus"}


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_a_refusal_is_a_problem_with_what_the_refusal_says(prefix: SamplePrefix, shell: list[str]) -> None:
    if shutil.which(shell[0], path=SYSTEM_PATH) is None:
        pytest.skip(f"{shell[0]} is not installed")

    outcome = examine(question(prefix, TORCH_VERSION="9.9.9"), "--json", shell=tuple(shell))

    environment = findings(outcome)["environment"]
    assert outcome.code == 1
    assert environment["state"] == "problem"
    assert environment["found"] == "generation g00002 has no Torch 9.9.9. (exit code 69)"
    assert "decided by: TORCH_VERSION=9.9.9" in str(environment["advice"])


@pytest.mark.parametrize("latest", [True, False])
@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"MONOBASE_STACK": "sglang"}, 69), ({"TORCH_VERSION": "9.9.9"}, 69), ({"CUDA_VERSION": "1.0"}, 69),
        ({"MONOBASE_STACK": "vllm>1"}, 64), ({"PYTHON_VERSION": ""}, 64), ({"MONOBASE_STACK": "train"}, 75),
        ({"MONOBASE_GEN_ID": "1", "TORCH_VERSION": "9.9.9"}, 69),
    ],
)  # fmt: skip
def test_where_an_environment_is_refused_the_prefix_is_right_all_the_same(
    own_prefix: SamplePrefix, asked: dict[str, str], code: int, latest: bool
) -> None:
    # Before a generation is sealed there is no `latest`: the newest counts.
    shutil.rmtree(own_prefix.root / "monobase" / "g00003")
    if not latest:
        (own_prefix.root / "monobase" / "latest").unlink()

    outcome = examine(question(own_prefix, **asked), "--json")

    found = findings(outcome)
    assert f"(exit code {code})" in str(found["environment"]["found"])
    assert found["prefix"]["state"] != "problem", found["prefix"]
    assert f"; g0000{asked.get('MONOBASE_GEN_ID', '2')} is sealed, " in str(found["prefix"]["found"])
    assert [name for name in found if found[name]["state"] == "problem"] == ["environment"]
    assert json.loads(outcome.stdout)["generation"] is not None


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="this machine has a GPU")
@pytest.mark.parametrize(
    ("asked", "advised"),
    [
        ({"TORCH_VERSION": "2.4.1", "CUDA_VERSION": "12.4"}, " TORCH_VERSION=2.4.1+cpu "),
        ({"TORCH_VERSION": "2.5.1", "CUDA_VERSION": "12.1"}, ""),
        ({"MONOBASE_STACK": "vllm"}, ""),
    ],
)
def test_without_a_gpu_the_build_for_cpus_is_advised_where_the_generation_has_it(
    prefix: SamplePrefix, asked: dict[str, str], advised: str
) -> None:
    driver = findings(examine(question(prefix, **asked), "--json"))["driver"]

    assert driver["state"] == "warning"
    assert ("TORCH_VERSION" in str(driver["advice"])) == bool(advised)
    assert advised in str(driver["advice"])


def test_variables_that_may_hold_secrets_are_not_shown(prefix: SamplePrefix) -> None:
    outcome = examine(question(prefix, HF_TOKEN="hf_secret", AWS_SECRET_ACCESS_KEY="secret"), "--json")

    assert "secret" not in outcome.stdout


def test_a_container_that_gets_no_libcuda_is_warned(prefix: SamplePrefix) -> None:
    outcome = examine(question(prefix, NVIDIA_DRIVER_CAPABILITIES="utility"), "--json")

    assert findings(outcome)["variables"]["state"] == "warning"


@pytest.mark.parametrize(("arguments", "code"), [(("--help",), 0), (("--yaml",), 64), (("--json", "x"), 64)])
def test_wrong_arguments_are_refused(arguments: tuple[str, ...], code: int) -> None:
    outcome = examine({}, *arguments)

    assert outcome.code == code
    assert "usage: " in (outcome.stdout if code == 0 else outcome.stderr)


# --- without a Python -----------------------------------------------------------------------------


@pytest.fixture
def without_python(tmp_path: Path) -> Path:
    """Return a doctor that looks for no Python outside of the prefix."""
    copy = tmp_path / "runtime"
    shutil.copytree(RUNTIME, copy, ignore=shutil.ignore_patterns("*_test.py", "__pycache__"))
    doctor = copy / "doctor"
    doctor.write_text(doctor.read_text().replace("/usr/bin/python3", "/nonexistent/python3"))
    return doctor


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_without_a_python_the_refusal_is_explained_all_the_same(
    without_python: Path, shell: list[str]
) -> None:
    if shutil.which(shell[0], path=SYSTEM_PATH) is None:
        pytest.skip(f"{shell[0]} is not installed")
    asked = {"PYTHON_VERSION": "3.12", "MONOBASE_PREFIX": '/no"where'}

    table = examine(asked, doctor=without_python, shell=tuple(shell))
    found = findings(examine(asked, "--json", doctor=without_python, shell=tuple(shell)))

    assert (table.code, table.stderr) == (1, "")
    assert 'problem   environment  the prefix is not mounted: there is no folder /no"where' in table.stdout
    assert found["environment"]["state"] == "problem"
    assert "(exit code 66)" in str(found["environment"]["found"])
    assert found["variables"]["found"] == ' PYTHON_VERSION=3.12 MONOBASE_PREFIX=/no"where'


def test_a_python_that_does_not_start_is_a_problem(without_python: Path, own_prefix: SamplePrefix) -> None:
    for python in (own_prefix.root / "monobase").glob("g*/python*/bin/python"):
        python.unlink()
        python.write_text("#!/nonexistent/loader\n")
        python.chmod(0o755)

    outcome = examine(question(own_prefix), "--json", doctor=without_python)

    assert outcome.code == 1
    assert findings(outcome)["python"]["state"] == "problem"
