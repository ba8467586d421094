"""The commands in `bin/` of a layer: those of its wheels, and those of the base that see its packages."""

import re
from pathlib import Path

from layers.script_line import OWN_PYTHON
from layers.uv import INTERPRETER_FOLDER

# A command of the base runs with the base's Python, which does not see the layer. The base is not there when
# a layer is made, so these are the commands that environments are known to have. Of one that the base lacks,
# the next on the PATH runs.
_OF_ENVIRONMENTS = (
    "cygdb", "cython", "cythonize", "f2py", "isympy", "numpy-config", "pip", "pip3", "proton",
    "proton-viewer", "torchfrtrace", "torchrun", "wheel",
)  # fmt: skip
_OF_STACKS = (
    "accelerate", "accelerate-config", "accelerate-launch", "datasets-cli", "deepspeed", "diffusers-cli",
    "ds", "ds_report", "fastapi", "gunicorn", "hf", "huggingface-cli", "ipython", "jupyter", "lightning",
    "lmdeploy", "openai", "ray", "serve", "sglang", "tensorboard", "tqdm", "transformers",
    "transformers-cli", "trl", "tune", "unsloth", "uvicorn", "vllm", "yolo",
)  # fmt: skip
# The first lines that uv writes into a script, with the interpreter that it is given (`layers.uv`). Others,
# such as `#!/usr/bin/python3` and `#!/bin/sh`, are what the wheel's author wrote, and stay. A path that is
# too long for the kernel is in a command of sh; in a script with an encoding, as octal numbers of its bytes.
_OCTAL_FOLDER = " ".join(f"'\\'0{byte:03o}" for byte in INTERPRETER_FOLDER.encode())
_WRITTEN_BY_UV = re.compile(
    rb"#!(?:/[^\n]*/%(folder)s[^/\n]*/python"
    rb"|/bin/sh\n(?:# coding: [^\n]*\n)?"
    rb"'''exec' [^\n]*(?:/%(folder)s|%(octal)s)[^\n]* \"\$0\" \"\$@\"\n' ''')\n"
    % {b"folder": INTERPRETER_FOLDER.encode(), b"octal": re.escape(_OCTAL_FOLDER.encode())}
)
# /usr/local/bin has launchers of Monobase, which would call this again.
_OF_BASE = """\
#!/bin/sh
# Runs a command of the environment with the Python of this layer, so that it sees the packages of both.
name={name} environment={base}
here=${{0%/*}}
[ ! -L "$0" ] && [ "$here" != "$0" ] || here=$(dirname -- "$(realpath -- "$0")")
[ "${{VIRTUAL_ENV-}}" != "${{here%/bin}}" ] || environment=${{MONOBASE_ENVIRONMENT:-$environment}}
[ ! -f "$environment/bin/$name" ] || exec "$here/python" "$environment/bin/$name" "$@"
todo=${{PATH-}}:
while [ -n "$todo" ]; do
    item=${{todo%%:*}}/$name todo=${{todo#*:}} second=''
    if [ -f "$item" ] && [ -x "$item" ] && [ ! "$item" -ef "$0" ]; then
        {{ read -r _ && read -r second; }} 2>/dev/null <"$item"
        case $second in '# A launcher of Monobase:'*) ;; *) exec "$item" "$@" ;; esac
    fi
done
echo "monobase: error: $name: no such command in $environment, nor elsewhere on the PATH." >&2
exit 127
"""


def own_python(scripts: Path) -> None:
    """Make the scripts of wheels run with the Python beside them, at whatever path the layer is.

    Only the first line changes.

    Args:
        scripts: The folder `bin`.
    """
    for script in sorted(scripts.iterdir()):
        if script.is_symlink() or not script.is_file():
            continue
        content = script.read_bytes()
        found = _WRITTEN_BY_UV.match(content)
        if found is not None:
            script.write_bytes(OWN_PYTHON.encode() + content[found.end() :])
            script.chmod(0o755)


def write_base_commands(scripts: Path, base: Path, python: str, *, has_stack: bool) -> None:
    """Write a script for each command that the base may have and that the layer has not.

    Args:
        scripts: The folder `bin`.
        base: The path of the base on the node.
        python: The minor version of its Python.
        has_stack: Whether it is an environment with a stack.
    """
    names = [*_OF_ENVIRONMENTS, f"pip{python}", *(_OF_STACKS if has_stack else ())]
    quoted = "'" + str(base).replace("'", "'\\''") + "'"
    for name in names:
        script = scripts / name
        if not script.exists() and not script.is_symlink():
            script.write_text(_OF_BASE.format(name=name, base=quoted), encoding="utf-8")
            script.chmod(0o755)
