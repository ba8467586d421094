from pathlib import Path

from daemon.prefix.prefix import Prefix
from daemon.uv.call_log import begin_log, read_log, remove_logs, trusted_wheels
from gens.lock import LockedWheel

_WHEELS = [
    LockedWheel(name, "1.0", digit * 64, f"{name}-1.0-py3-none-any.whl", 1) for name, digit in ("a1", "b2")
]


def _prefix(tmp_path: Path) -> Prefix:
    prefix = Prefix(tmp_path)
    prefix.make_directories()
    return prefix


def test_what_a_call_left_out_is_read_wherever_it_stands(tmp_path: Path) -> None:
    log = begin_log(_prefix(tmp_path), _WHEELS)
    with log.open("ab") as file:
        file.write(
            b"Resolved 2 packages\n" + b"x" * 300_000 + b"\nWARN Skipping unsafe file name: ../../e vil\n"
        )
        file.write(b"y" * 300_000)
    assert read_log(log).unsafe == ("../../e vil",)
    assert read_log(log).wheels == {wheel.sha256 for wheel in _WHEELS}


def test_wheels_are_trusted_that_a_call_was_to_bring_and_left_nothing_out_of(tmp_path: Path) -> None:
    prefix = _prefix(tmp_path)
    begin_log(prefix, _WHEELS[:1])
    with begin_log(prefix, _WHEELS[1:]).open("ab") as file:
        file.write(b"WARN Skipping unsafe file name: /x\n")
    assert trusted_wheels(prefix) == {_WHEELS[0].sha256}
    remove_logs(prefix)
    assert trusted_wheels(prefix) == frozenset()


def test_of_a_log_that_the_power_was_lost_to_nothing_is_known(tmp_path: Path) -> None:
    prefix = _prefix(tmp_path)
    log = begin_log(prefix, _WHEELS)
    log.write_bytes(b"")
    assert trusted_wheels(prefix) == frozenset()
    log.write_bytes(b"wheels " + b"1" * 64)  # cut within the line
    assert trusted_wheels(prefix) == frozenset()
