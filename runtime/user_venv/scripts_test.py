import subprocess
from pathlib import Path

import pytest
import uv

from runtime.sample_prefix import SamplePrefix
from runtime.shells import SYSTEM_PATH, Outcome, run
from runtime.user_venv.preparation import prepare
from runtime.user_venv.sample_venv import make_venv

pytest_plugins = ["runtime.fixtures"]


def test_commands_of_a_venv_that_was_moved_run_with_its_own_interpreter(
    prefix: SamplePrefix, base: Path, tmp_path: Path, venv: Path
) -> None:
    former = tmp_path / "former"
    make_venv(former)
    command = [uv.find_uv_bin(), "--quiet", "--no-config", "--offline", "--no-cache", "pip", "install"]
    options = ["--no-index", "--no-deps", "--find-links", str(prefix.wheels), "--link-mode", "copy"]
    python = ["--python", str(former / "bin" / "python")]
    subprocess.run([*command, *options, *python, "tool", "mine"], check=True, env={"PATH": SYSTEM_PATH})
    (former / "bin" / "odd name").write_text(f"#!{former}/bin/python -E\nprint('odd')\n")
    (former / "bin" / "odd name").chmod(0o755)
    code = "# coding: latin-1\n'W\xf6rds.'\nfrom __future__ import annotations\nprint(ascii(__doc__))\n"
    (former / "bin" / "future").write_text(f"#!{former}/bin/python\n{code}", encoding="latin-1")
    (former / "bin" / "future").chmod(0o755)
    former.rename(venv)

    prepare(venv, base)

    assert run([str(venv / "bin" / "tool")], {"PATH": SYSTEM_PATH}) == Outcome(0, f"{venv} mine\n", "")
    assert run([str(venv / "bin" / "odd name")], {"PATH": SYSTEM_PATH}) == Outcome(0, "odd\n", "")
    assert run([str(venv / "bin" / "future")], {"PATH": SYSTEM_PATH}) == Outcome(0, "'W\\xf6rds.'\n", "")
    assert str(former) not in (venv / "bin" / "activate").read_text()


@pytest.mark.parametrize("name", ["former", "it's " + "long" * 40])
def test_the_first_lines_that_uv_writes_are_known_whatever_path_and_encoding_they_have(
    base: Path, tmp_path: Path, venv: Path, name: str
) -> None:
    former = tmp_path / name
    make_venv(former)
    python = f"{former}/bin/python"
    octal = " ".join(f"'\\'0{byte:03o}" for byte in python.encode())
    quoted = python.replace("'", "'\"'\"'")
    code = "# coding: latin-1\n'W\xf6rds.'\nprint(ascii(__doc__))\n"
    scripts = {
        "octal": f"# coding: latin-1\n'''exec' \"$(printf %b {octal})\" \"$0\" \"$@\"\n' '''\n{code}",
        "quoted": f"'''exec' '{quoted}' \"$0\" \"$@\"\n' '''\n{code}",
    }
    for script, text in scripts.items():
        (former / "bin" / script).write_text(f"#!/bin/sh\n{text}", encoding="latin-1")
        (former / "bin" / script).chmod(0o755)
    foreign = "#!/bin/sh\n'''exec' 'no end \"$0\" \"$@\"\n' '''\n"
    (former / "bin" / "foreign").write_text(foreign)
    former.rename(venv)

    prepare(venv, base)

    for script in scripts:
        outcome = run([str(venv / "bin" / script)], {"PATH": SYSTEM_PATH})
        assert outcome == Outcome(0, "'W\\xf6rds.'\n", "")
    assert (venv / "bin" / "foreign").read_text() == foreign
