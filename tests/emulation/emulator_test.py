"""Tests of the reasons for which a machine cannot emulate."""

import platform
from pathlib import Path

import pytest

from tests.emulation.emulator import refusal


def test_programs_that_are_missing_are_named_with_their_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refusal() == "setpriv and unshare of the package util-linux are not on the PATH"


def test_a_kernel_that_refuses_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    for name in ("setpriv", "unshare"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2\nexit 1\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    said = refusal()
    assert said is not None
    assert "Linux 6.7" in said
    assert said.endswith("Operation not permitted")


def test_a_machine_of_another_architecture_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert refusal() == "the emulator is a program for x86_64, and this machine is aarch64"
