"""Scripts of wheels: they run with the Python beside them, and mean what their author wrote."""

import subprocess
import sys
from pathlib import Path

import pytest

from layers.install import LayerOptions, install_layer
from layers.lock import LayerLock
from layers.script_line import OWN_PYTHON
from layers.uv import WheelSources
from tests.index.wheel import WheelSpec
from tests.layer.sample_lock import sample_lock

_TELL = b"import sys\nprint(ascii(__doc__), __file__ == sys.argv[0], sys.argv[1:], sys.prefix)\n"
_STARTS = {
    "nothing": b"",
    "a docstring": b'"""Words."""\n',
    "an import from the future": b'"""Words."""\nfrom __future__ import annotations\nx: undefined = 1\n',
    "an encoding": b"# -*- coding: latin-1 -*-\n'''W\xf6rds.'''\n",
    "an encoding and the future": b"# fileencoding=cp1252\n'\x80'\nfrom __future__ import division\n",
    "lines of Windows": b'"""Words."""\r\nfrom __future__ import annotations\r\n',
    "comments": b"#\n#!/bin/sh\n\n'Words.'\n",
}
_FIRST_LINES = [b"#!python\n", b"#!python -E\n", b"#!pythonw\n", b"#!python3\n", b"#!python\r\n"]
_FOREIGN = {
    "sh": b"#!/bin/sh\necho sh\n",
    "elf": b"\x7fELF\0\0\xff",
    "empty": b"",
    "text": b"words\n",
    "mark": b"\xef\xbb\xbf#!python\nprint(1)\n",
    "system": b"#!/usr/bin/python3 -E\nprint(1)\n",
    "environment": b"#!/usr/bin/env python3\r\n",
    "long": b"#!/bin/sh\n'''exec' '/usr/bin/python3' \"$0\" \"$@\"\n' '''\nprint(1)\n",
    "same": f"#!{sys.executable}\nprint(1)\n".encode(),
}
_LONG = "a folder" * 20


def _install(lock: LayerLock, to: Path, wheels: Path) -> Path:
    install_layer(lock, to, LayerOptions(sources=WheelSources((wheels,), offline=True)))
    return to / "bin"


def _install_scripts(folder: Path, scripts: dict[str, bytes]) -> Path:
    """Install a wheel with scripts; return the folder of the layer's commands, whose Python is this one."""
    data = {f"scripts/{name}": content for name, content in scripts.items()}
    lock = sample_lock(folder / "wheels", WheelSpec("mine", "1.0", data=data))
    commands = _install(lock, folder / "layer", folder / "wheels")
    (commands / "python").unlink()
    (commands / "python").symlink_to(Path(sys.executable).resolve())
    return commands


def _printed(*command: str | Path) -> str:
    return subprocess.run(
        command, env={"PATH": "/usr/bin:/bin"}, check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize("parent", [".", _LONG], ids=["short", "long"])
@pytest.mark.parametrize("start", _STARTS.values(), ids=_STARTS)
def test_a_script_means_what_it_means_to_python_without_a_first_line(
    tmp_path: Path, start: bytes, parent: str
) -> None:
    tmp_path = tmp_path / parent
    commands = _install_scripts(tmp_path, {"mine": b"#!python\n" + start + _TELL})
    (tmp_path / "alone").write_bytes(b"#\n" + start + _TELL)

    printed = _printed(commands / "mine", "one", "two words")

    assert printed == _printed(commands / "python", tmp_path / "alone", "one", "two words")
    assert "True ['one', 'two words']" in printed
    assert str(tmp_path / "layer") in printed


@pytest.mark.parametrize("line", _FIRST_LINES, ids=ascii)
def test_each_first_line_that_names_no_path_becomes_one_for_the_python_beside(
    tmp_path: Path, line: bytes
) -> None:
    commands = _install_scripts(tmp_path, {"mine": line + b"import sys\r\nprint(__doc__)"})

    assert (commands / "mine").read_bytes() == OWN_PYTHON.encode() + b"import sys\r\nprint(__doc__)"
    assert _printed(commands / "mine") == "None\n"


def test_a_script_that_is_a_first_line_only_does_nothing(tmp_path: Path) -> None:
    assert _printed(_install_scripts(tmp_path, {"mine": b"#!python"}) / "mine") == ""


def test_other_scripts_keep_their_bytes_and_can_be_executed(tmp_path: Path) -> None:
    commands = _install_scripts(tmp_path, _FOREIGN)

    assert {name: (commands / name).read_bytes() for name in _FOREIGN} == _FOREIGN
    assert {(commands / name).stat().st_mode & 0o777 for name in _FOREIGN} == {0o755}
    assert _printed(commands / "sh") == "sh\n"


@pytest.mark.parametrize(
    "folder", [_LONG, "a folder", 'it\'s "$HOME" `id`', "-c"], ids=["long", "space", "quotes", "option"]
)
def test_scripts_run_in_a_folder_of_any_name_and_by_a_link(
    tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / folder).mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / folder))
    commands = _install_scripts(tmp_path / folder, {"mine": b"#!python\n" + _TELL})
    (tmp_path / "link").symlink_to(commands / "mine")
    told = f"None True ['x'] {tmp_path / folder / 'layer'}\n"

    assert (commands / "mine").read_bytes() == OWN_PYTHON.encode() + _TELL
    assert _printed(commands / "mine", "x") == told
    assert _printed(tmp_path / "link", "x") == told


def test_a_kernel_reads_the_whole_first_line() -> None:
    """Linux before 5.1 (RHEL 8) reads 127 bytes, as gVisor does."""
    assert len(OWN_PYTHON) <= 127
    assert OWN_PYTHON.count("\n") == 1
