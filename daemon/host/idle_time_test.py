"""The idle time of the processors is that since the last look."""

from pathlib import Path

from daemon.host.idle_time import IdleTime


def test_idle_time_counts_from_the_last_look(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    idle = IdleTime(stat)
    stat.write_text("cpu  10 10 10 60 10 0 0 0 5 5\ncpu0 1 1 1 1 1 0 0 0 0 0\n")
    assert idle.share() == 0.7
    stat.write_text("cpu  70 10 20 70 20 10 0 0 5 5\ncpu0 1 1 1 1 1 0 0 0 0 0\n")
    assert idle.share() == 0.2
    assert idle.share() == 0.0


def test_the_kernel_of_this_machine_says_it() -> None:
    assert 0 <= IdleTime().share() <= 1
