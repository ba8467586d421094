from collections.abc import Iterator

import pytest

from runtime.sample_prefix import PYTHON, SamplePrefix, question
from runtime.shells import RUNTIME, Outcome, Shell, activated

pytest_plugins = ["runtime.fixtures"]


def refusals() -> Iterator[object]:
    blocks = (RUNTIME / "refusal" / "refusals.txt").read_text().split("\n\n")[1:]
    count = 0
    for block in blocks:
        title, command, *lines = block.strip("\n").split("\n")
        variables, _, code = command.removeprefix("$ ").partition(" -> ")
        pairs = dict(item.split("=", 1) for item in variables.split(" "))
        message = "".join(f"{line}\n" for line in lines)
        count += 1
        yield pytest.param(pairs, int(code), message, id=title.removeprefix("## "))
    assert count > 20


@pytest.mark.parametrize(("variables", "code", "message"), list(refusals()))
def test_a_refusal_says_what_was_asked_what_decided_and_what_is_nearest(
    shell: Shell, prefix: SamplePrefix, variables: dict[str, str], code: int, message: str
) -> None:
    outcome = shell.run('. "$activate"', question(prefix, **variables))

    assert outcome == Outcome(code, "", message.format(python=PYTHON, prefix=prefix.root))


@pytest.mark.parametrize(
    ("variable", "value", "shown", "hint"),
    [
        ("PYTHON_VERSION", "3.11\r", "PYTHON_VERSION='3.11\\r' is not a version", "\\r is a carriage return"),
        ("TORCH_VERSION", "2.4.1\r", "TORCH_VERSION='2.4.1\\r' is not a version", "\\r is a carriage return"),
        ("CUDA_VERSION", "12.4\t", "CUDA_VERSION='12.4\\t' is not a version", "cannot be seen"),
        (
            "CUDA_VERSION",
            "12.4 ",
            "CUDA_VERSION='12.4 ' is not a version: it contains a blank",
            "Write numbers",
        ),
        ("PYTHON_VERSION", "3.11\u00a0", "PYTHON_VERSION=3.11\\u00a0 is not a version", "cannot be seen"),
        ("PYTHON_VERSION", "\ufeff3.11", "PYTHON_VERSION=\\ufeff3.11 is not a version", "cannot be seen"),
        ("PYTHON_VERSION", "3.\u200b11", "PYTHON_VERSION=3.\\u200b11 is not a version", "cannot be seen"),
        ("PYTHON_VERSION", "3.11\x1b[0m", "PYTHON_VERSION=3.11\\033[0m is not a version", "cannot be seen"),
        ("MONOBASE_GEN_ID", "2\r", "MONOBASE_GEN_ID=2\\r is not the number", "\\r is a carriage return"),
        ("MONOBASE_STACK", "vllm\r", "MONOBASE_STACK='vllm\\r' is not a stack", "\\r is a carriage return"),
        (
            "MONOBASE_STACK",
            "vllm ",
            "MONOBASE_STACK='vllm ' is not a stack: it contains a blank",
            "Write its",
        ),
        ("MONOBASE_STACK", "vl\u200blm", "MONOBASE_STACK=vl\\u200blm is not a stack", "cannot be seen"),
        ("MONOBASE_WAIT_S", "60\r", "MONOBASE_WAIT_S=60\\r is not a number", "\\r is a carriage return"),
        ("MONOBASE_LEASE", "1\r", "MONOBASE_LEASE=1\\r is neither", "\\r is a carriage return"),
        (
            "MONOBASE_PREFIX",
            "/srv/r8\r",
            "MONOBASE_PREFIX=/srv/r8\\r contains a control",
            "is a carriage return",
        ),
        ("MONOBASE_PREFIX", "/srv\n/r8", "MONOBASE_PREFIX=/srv\\n/r8 contains a control", "cannot be seen"),
        (
            "MONOBASE_USER_VENV",
            "/opt/v\r",
            "MONOBASE_USER_VENV=/opt/v\\r contains",
            "is a carriage return",
        ),
    ],
)
def test_what_cannot_be_seen_in_a_value_is_shown(
    shell: Shell, prefix: SamplePrefix, variable: str, value: str, shown: str, hint: str
) -> None:
    outcome = shell.run('. "$activate"', question(prefix) | {variable: value})

    assert outcome.code == 64
    assert outcome.stderr.startswith(f"monobase: error: {shown}")
    assert hint in outcome.stderr
    assert outcome.stderr.replace("\n", "").isprintable()


def test_what_cannot_be_seen_in_a_level_is_shown(shell: Shell, prefix: SamplePrefix) -> None:
    outcome = shell.run('. "$activate"', question(prefix, MONOBASE_LOG_LEVEL="info\r"))

    assert outcome.code == 0
    assert "MONOBASE_LOG_LEVEL=info\\r is none of debug" in outcome.stderr


@pytest.mark.parametrize("value", ["08", "09", "0", "000000000000000000001", "9999999"])
def test_a_number_of_seconds_is_read_as_people_write_it(
    shell: Shell, prefix: SamplePrefix, value: str
) -> None:
    assert activated(shell, question(prefix, MONOBASE_WAIT_S=value))["VIRTUAL_ENV"]


@pytest.mark.parametrize("value", ["10000000", "99999999999999999999", "-1", "1e3", "0x10", " 5", "1.5"])
def test_a_number_that_a_shell_cannot_count_to_is_refused(
    shell: Shell, prefix: SamplePrefix, value: str
) -> None:
    outcome = shell.run('. "$activate"', question(prefix, MONOBASE_WAIT_S=value))

    assert outcome.code == 64
    assert outcome.stderr.startswith(f"monobase: error: MONOBASE_WAIT_S={value} is ")


@pytest.mark.parametrize("venv", ["/", "//", "{prefix}", "{prefix}/monobase/g00002/python{python}/"])
def test_a_venv_that_nobody_can_mean_is_refused(shell: Shell, prefix: SamplePrefix, venv: str) -> None:
    named = venv.format(prefix=prefix.root, python=PYTHON)

    outcome = shell.run('. "$activate"', question(prefix, MONOBASE_USER_VENV=named))

    assert outcome.code == 64
    assert "cannot be a venv on top" in outcome.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("monobase-environments 1\r\ngeneration g00002 sealed\r\n", "is damaged"),
        ("monobase-environments 1", "is damaged"),
        ("monobase-environments 1\ngeneration ../../../x sealed\n", "is damaged"),
        ("monobase-environments 1\ngeneration\n", "is damaged"),
        ("monobase-environments\ngeneration g00002 sealed\n", "is damaged"),
        ("\x00\x01\x02" * 1000, "is damaged"),
        ("monobase-environments 23\nwhatever\n", "has format 23, and this runtime reads format 1"),
    ],
)
def test_a_list_that_is_none_of_ours_is_refused(
    shell: Shell, own_prefix: SamplePrefix, text: str, message: str
) -> None:
    (own_prefix.root / "monobase" / "g00002" / "environments").write_text(text, newline="")

    outcome = shell.run('. "$activate"', question(own_prefix))

    assert outcome.code == 72
    assert message in outcome.stderr


def test_a_list_without_an_end_of_line_is_read_to_its_end(shell: Shell, own_prefix: SamplePrefix) -> None:
    path = own_prefix.root / "monobase" / "g00002" / "environments"
    path.write_text(path.read_text().rstrip("\n"))

    outcome = shell.run(
        '. "$activate"',
        question(own_prefix, PYTHON_VERSION="3.99", TORCH_VERSION="2.6.0", CUDA_VERSION="12.4"),
    )

    assert outcome.code == 72  # its last line: listed as ready, and not there
    assert "torch2.6.0-cu124 has no Python that runs" in outcome.stderr


def test_a_list_of_a_newer_format_is_refused(shell: Shell, own_prefix: SamplePrefix) -> None:
    path = own_prefix.root / "monobase" / "g00002" / "environments"
    path.write_text(path.read_text().replace("monobase-environments 1", "monobase-environments 2"))

    outcome = shell.run('. "$activate"', question(own_prefix))

    assert outcome.code == 72
    assert "has format 2, and this runtime reads format 1" in outcome.stderr


def test_a_damaged_list_is_refused(shell: Shell, own_prefix: SamplePrefix) -> None:
    (own_prefix.root / "monobase" / "g00002" / "environments").write_text("")

    outcome = shell.run('. "$activate"', question(own_prefix))

    assert outcome.code == 72
    assert "is damaged" in outcome.stderr


def test_a_prefix_mounted_elsewhere_than_on_the_node_is_refused(
    shell: Shell, own_prefix: SamplePrefix
) -> None:
    python = own_prefix.root / "monobase" / "g00002" / f"python{PYTHON}" / "bin" / "python"
    python.unlink()
    python.symlink_to("/srv/of/the/node/uv/python/bin/python")

    outcome = shell.run('. "$activate"', question(own_prefix))

    assert outcome.code == 72
    assert "Is the prefix mounted at the same path as on the node?" in outcome.stderr
