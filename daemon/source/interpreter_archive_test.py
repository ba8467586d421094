"""Names of interpreters' archives."""

import pytest

from daemon.source.interpreter_archive import interpreter_key


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (
            "20251014/cpython-3.12.12+20251014-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz",
            "cpython-3.12.12-linux-x86_64-gnu",
        ),
        (
            "20251014/cpython-3.15.0a1+20251014-aarch64-unknown-linux-gnu-install_only_stripped.tar.gz",
            "cpython-3.15.0a1-linux-aarch64-gnu",
        ),
        (
            "20251014/cpython-3.13.9+20251014-x86_64-unknown-linux-musl-install_only_stripped.tar.gz",
            "cpython-3.13.9-linux-x86_64-musl",
        ),
        ("20251014/other.tar.gz", None),
        ("", None),
    ],
)
def test_the_key_is_read_from_the_name(path: str, key: str | None) -> None:
    assert interpreter_key(path) == key
