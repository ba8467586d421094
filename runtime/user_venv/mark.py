"""The mark of a prepared venv, by which later starts see that there is nothing to do.

`activate.sh` reads the same files, without starting a process:

- `.monobase` holds one line, the format (2) and the path of the base. It is removed first and written last.
- `.monobase-watched/` holds a link to each file that must exist. A link that leads nowhere shows that an
  installer has changed the venv since.
- `.monobase-note` exists if both sides have CUDA libraries (`note`).
"""

from pathlib import Path

from .files import NEW, naming, remove, write_file
from .layout import LIBRARY
from .note import NOTE, folders_of_both
from .overlay_module import HOOK, HOOK_PATH

_MARK = ".monobase"
_FORMAT = "2"
_WATCHED = ".monobase-watched"


def is_prepared(venv: Path, base: Path) -> bool:
    """Return whether all that a preparation wrote still exists.

    Args:
        venv: The venv.
        base: The environment that it is to be prepared for.
    """
    try:
        watched = list((venv / _WATCHED).iterdir())
    except OSError:
        return False
    noted = (venv / NOTE).exists() or not folders_of_both(venv, base)
    return is_marked(venv, base) and noted and bool(watched) and all(path.exists() for path in watched)


def is_marked(venv: Path, base: Path) -> bool:
    """Return whether a preparation for this base once came to its end.

    Args:
        venv: The venv.
        base: The environment.
    """
    try:
        return (venv / _MARK).read_text() == f"{_FORMAT} {base}\n"
    except (OSError, UnicodeDecodeError):
        return False


def remove_mark(venv: Path) -> None:
    """Remove the mark, before anything is changed."""
    if (venv / _MARK).exists():  # (removing what is not there fails too where nothing may be written)
        (venv / _MARK).unlink()


def write_mark(venv: Path, base: Path, watched: dict[str, Path]) -> None:
    """Write the mark, and the links to what must exist.

    Args:
        venv: The venv.
        base: The environment that it is prepared for.
        watched: What must exist beside the files that every venv has, by a name for it.
    """
    new = venv / f"{NEW}-watched"
    watched = watched | {
        "+python": venv / "bin" / "python",
        "+hook": venv / LIBRARY / HOOK,
        "+path": venv / LIBRARY / HOOK_PATH,
    }
    with naming(venv / _WATCHED):
        remove(new)
        new.mkdir()
        for name, path in watched.items():
            (new / name).symlink_to(Path("..") / path.relative_to(venv))
        remove(venv / _WATCHED)
        new.rename(venv / _WATCHED)
    write_file(venv / _MARK, f"{_FORMAT} {base}\n")
