"""Whatever mode a shell is in, activation works, or it refuses with a message and a code that is not 0."""

from pathlib import Path

import pytest

from runtime.sample_prefix import PYTHON, SamplePrefix
from runtime.shells import SYSTEM_PATH, Shell, run

pytest_plugins = ["runtime.fixtures"]

# Modes in which a shell runs no script at all, or goes through a file line by line for a person.
NOT_FOR_SCRIPTS = {"noexec", "onecmd", "singlecommand", "stdin", "shinstdin", "interactive", "monitor"}


def modes(shell: Shell) -> list[str]:
    """List, by what the shell itself tells, a command for each option to be on and one for it to be off."""
    script = "set -o; echo; command -v shopt >/dev/null && shopt"
    listed = run([*shell.command, "-c", script], {"PATH": SYSTEM_PATH}).stdout
    options, _, shopts = listed.partition("\n\n")
    found = []
    for line in options.splitlines():
        name, _, state = line.partition(" ")
        bare = name.removeprefix("no") if shell.command[0] == "zsh" else name
        if state.strip() in ("on", "off") and bare.replace("_", "") not in NOT_FOR_SCRIPTS | {"exec"}:
            found += [f"set -o {name}", f"set +o {name}"]
    for line in shopts.splitlines():
        found += [f"shopt -{flag} {line.split()[0]}" for flag in "su"]
    return found


def test_activation_works_in_every_mode_of_every_shell_or_says_that_it_does_not(
    shell: Shell, prefix: SamplePrefix, tmp_path: Path
) -> None:
    """Try each mode in a subshell of its own, which tells by files what became of it."""
    found = modes(shell)
    assert len(found) > 20
    variables = {
        "MONOBASE_PREFIX": str(prefix.root),
        "PYTHON_VERSION": PYTHON,
        "TORCH_VERSION": "2.4.1",
        "CUDA_VERSION": "12.4",
        "CUDNN_VERSION": "9",
    }
    lines = []
    for number, mode in enumerate(found):
        out = tmp_path / str(number)
        lines.append(
            f'({mode}\n. "$activate"\necho "$? $VIRTUAL_ENV" >|"{out}.end"\n'
            f'/usr/bin/env >|"{out}.env"\n) >"{out}.out" 2>"{out}.err"\necho "$?" >"{out}.code"\n'
        )

    script = tmp_path / "script"
    script.write_text("".join(lines))
    shell.run(f". '{script}'", variables)

    environment = f"{prefix.root}/monobase/g00002/python{PYTHON}-torch2.4.1-cu124"
    wrong = []
    for number, mode in enumerate(found):
        out = tmp_path / str(number)
        code = out.with_suffix(".code").read_text().strip()
        ended = out.with_suffix(".end")
        told = out.with_suffix(".err").read_text()
        if not ended.exists():  # the mode ended the subshell
            if code == "0" or not told:
                wrong.append(f"{mode}: ended with {code} and {told!r}")
            continue
        returned, _, virtual_env = ended.read_text().rstrip("\n").partition(" ")
        exported = out.with_suffix(".env").read_text().splitlines()
        works = virtual_env == environment and f"VIRTUAL_ENV={environment}" in exported
        works = works and any(line.startswith(f"PATH={environment}/bin:") for line in exported)
        works = works and any(line.startswith("CUDNN_HOME=") for line in exported)
        if (returned == "0") != works or (returned != "0" and not told):
            wrong.append(f"{mode}: returned {returned}, {virtual_env=}, {told[-300:]!r}")
        elif returned != "0":
            wrong.append(f"{mode}: refused: {told[-300:]!r}")
        if out.with_suffix(".out").read_text():
            wrong.append(f"{mode}: wrote to stdout")
    assert wrong == []


@pytest.mark.parametrize("torch", ["2.4.1", "9.9.9"], ids=["activated", "refused"])
def test_every_mode_is_as_it_was_after_an_activation(
    shell: Shell, prefix: SamplePrefix, tmp_path: Path, torch: str
) -> None:
    show = "set -o; command -v shopt >/dev/null && shopt"
    lines = [
        f'({mode}\n{show}\necho %%%%\n. "$activate" || :\n{show}\n) 2>/dev/null; echo ++++\n'
        for mode in modes(shell)
        if not any(name in mode for name in ("verbose", "xtrace"))
        and not (mode == "set -o errexit" and torch == "9.9.9" and shell.command[0] in ("dash", "busybox"))
    ]
    variables = {"MONOBASE_PREFIX": str(prefix.root), "PYTHON_VERSION": PYTHON, "TORCH_VERSION": torch}

    script = tmp_path / "script"
    script.write_text("".join(lines))
    outcome = shell.run(f". '{script}'", variables)

    pairs = [block.partition("%%%%\n") for block in outcome.stdout.split("++++\n")[:-1]]
    assert len(pairs) == len(lines)
    changed = [
        (line, mode)
        for line, (before, _, after) in zip(lines, pairs, strict=True)
        for mode in set(before.splitlines()) ^ set(after.splitlines())
        if mode.strip()
    ]
    assert changed == []


@pytest.mark.parametrize(
    ("modes", "shells"),
    [
        ("set -u; set -e; set -f; set -C; set -a", ("dash", "bash", "zsh", "busybox")),
        ("shopt -s failglob nullglob nocaseglob nocasematch extglob dotglob; set -k -u -f", ("bash",)),
        ("set -o posix; shopt -s failglob; set -eu", ("bash",)),
        ("GLOBIGNORE='*'; GLOBSORT=-name", ("bash",)),
        (
            "setopt cshjunkiequotes ksharrays shwordsplit globsubst nounset errexit rcquotes nobareglobqual",
            ("zsh",),
        ),
        ("setopt ksharrays cshnullglob nomatch warncreateglobal errreturn allexport", ("zsh",)),
    ],
)
def test_modes_together(shell: Shell, prefix: SamplePrefix, modes: str, shells: tuple[str, ...]) -> None:
    if shell.command[0] not in shells:
        pytest.skip("modes of another shell")
    variables = {"MONOBASE_PREFIX": str(prefix.root), "PYTHON_VERSION": PYTHON, "TORCH_VERSION": "2.4.1"}

    outcome = shell.run(f'{modes}; . "$activate"; echo "$?"; python -c "import torch"', variables)

    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "0\n", "")


@pytest.mark.parametrize("name", ["PATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH"])
def test_a_variable_that_is_read_only_is_no_silent_half(
    shell: Shell, prefix: SamplePrefix, name: str
) -> None:
    variables = {"MONOBASE_PREFIX": str(prefix.root), "PYTHON_VERSION": PYTHON, "TORCH_VERSION": "2.4.1"}

    outcome = shell.run(f'{name}=/usr/bin; readonly {name}; . "$activate"; exit $?', variables)

    assert outcome.code != 0
    assert outcome.stderr != ""
