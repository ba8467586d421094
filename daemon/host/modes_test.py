import os
from pathlib import Path

import pytest

from daemon.host.modes import FOLDER_MODE, make_folder


def test_a_folder_is_made_with_those_above_it_for_all_to_read(tmp_path: Path) -> None:
    umask = os.umask(0o077)
    try:
        make_folder(tmp_path / "a/b/c")
        make_folder(tmp_path / "a/b/c")
    finally:
        os.umask(umask)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "a").rglob("*")} == {FOLDER_MODE}


@pytest.mark.parametrize("path", ["/proc/x", "/proc/x/y/z", "/proc/self/fd/99999/x"])
def test_a_folder_that_takes_no_other_is_said_to_be_so(path: str) -> None:
    with pytest.raises(FileNotFoundError):
        make_folder(path)


def test_what_stands_there_and_is_no_folder_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to("nowhere")
    for name, error in (("file", FileExistsError), ("file/x", NotADirectoryError), ("link", FileExistsError)):
        with pytest.raises(error):
            make_folder(tmp_path / name)
