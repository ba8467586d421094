import subprocess
from pathlib import Path

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
