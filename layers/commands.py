"""The commands in `bin/` of a layer: those of its wheels, and those of the base that see its packages."""

import re
from pathlib import Path

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
_SHEBANG_LIMIT_BYTES = 4096
_PYTHON_LINE = re.compile(rb"#!(?:/[^\s]*/)?python[0-9.]*(?:[ \t][^\n]*)?\n")
_PYTHON_LINES = re.compile(
    rb"#!/bin/sh\n'''exec' ['\"]?/[^'\"\n]*/python[0-9.]*['\"]? \"\$0\" \"\$@\"\n' '''\n"
)
# Runs the Python beside the script, wherever the layer is. It starts a process only if called through a link.
_OWN_PYTHON = b"""#!/bin/sh
''':' && case $0 in */*) [ -L "$0" ] || exec "${0%/*}/python" "$0" "$@" ;; esac
exec "$(dirname -- "$(realpath -- "$0")")/python" "$0" "$@"
'''
"""
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


def own_python(scripts: Path) -> list[Path]:
    """Make the scripts of wheels run with the Python beside them, at whatever path the layer is.

    Args:
        scripts: The folder `bin`.

    Returns:
        The scripts that were changed.
    """
    changed = []
    for script in sorted(scripts.iterdir()):
        if script.is_symlink() or not script.is_file():
            continue
        content = script.read_bytes()
        found = _PYTHON_LINE.match(content) or _PYTHON_LINES.match(content[:_SHEBANG_LIMIT_BYTES])
        if found is not None:
            script.write_bytes(_OWN_PYTHON + content[found.end() :])
            script.chmod(0o755)
            changed.append(script)
    return changed


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
