"""Tests of the reasons for which a machine cannot emulate."""

import platform
from pathlib import Path

import pytest

from tests.emulation.emulator import refusal


def test_a_machine_without_unshare_is_told_which_package_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refusal() == "unshare is not on the PATH; the package util-linux has it"


def test_a_kernel_that_refuses_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    program = tmp_path / "unshare"
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
