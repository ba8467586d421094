"""Disk budgets: how they are written, and what they allow."""

import os
from pathlib import Path

import pytest

from daemon.prefix.disk_budget import Amount, BudgetUse, DiskBudget, parse_amount, read_budget_use
from daemon.prefix.prefix import Prefix


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("300G", 300 * 10**9), ("1.5T", 15 * 10**11), ("280Gi", 280 * 2**30), ("300GB", 300 * 10**9),
        ("2000000", 2_000_000), ("5000k", 5_000_000), (" 50M ", 50_000_000), ("1Ti", 2**40), ("1TiB", 2**40),
    ],
)  # fmt: skip
def test_an_amount_is_a_number_with_a_unit(text: str, size_bytes: int) -> None:
    assert parse_amount(text).of(10**15) == size_bytes


@pytest.mark.parametrize(("text", "size_bytes"), [("60%", 600), ("100%", 1000), ("0.5%", 5), ("33.3%", 333)])
def test_an_amount_may_be_a_share_of_the_disk(text: str, size_bytes: int) -> None:
    assert parse_amount(text).of(1000) == size_bytes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "neither a number"), ("G", "neither a number"), ("300 G", "neither a number"),
        ("-5G", "neither a number"), ("300g", "neither a number"), ("60 %", "neither a number"),
        ("1e9", "neither a number"), ("300Gb", "neither a number"), ("nan", "neither a number"),
        ("0%", "not a share"), ("100.1%", "not a share"), ("300", "less than 1M"), ("0G", "less than 1M"),
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused_with_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        parse_amount(text)
    assert repr(text) in str(raised.value)


def test_the_lower_limit_counts() -> None:
    most, keep = Amount("600", 600), Amount("150", 150)
    assert DiskBudget(most=most).limit_bytes(1000, 300, 500) == 600
    assert DiskBudget(keep_free=keep).limit_bytes(1000, 300, 500) == 650
    assert DiskBudget(most, keep).limit_bytes(1000, 300, 500) == 600
    assert DiskBudget(most, keep).limit_bytes(1000, 100, 500) == 450


def test_a_budget_above_the_disk_is_the_disk() -> None:
    assert DiskBudget(most=Amount("900", 900)).limit_bytes(1000, 300, 500) == 800
    assert DiskBudget().limit_bytes(1000, 300, 500) == 800


def test_what_others_take_can_leave_nothing_for_the_prefix() -> None:
    assert DiskBudget(keep_free=Amount("500", 500)).limit_bytes(1000, 0, 100) == 0


def test_what_has_to_go_is_what_does_not_fit() -> None:
    assert BudgetUse(600, 500, 900).over_bytes() == 0
    assert BudgetUse(600, 500, 900).over_bytes(100) == 0
    assert BudgetUse(600, 500, 900).over_bytes(101) == 1
    assert BudgetUse(600, 700, 900).over_bytes() == 100


def test_a_budget_is_below_the_disk_when_it_allows_less_than_the_prefix_could_take() -> None:
    assert BudgetUse(600, 500, 101).is_below_disk
    assert not BudgetUse(600, 500, 100).is_below_disk


def test_a_budget_is_named_by_its_options() -> None:
    assert str(DiskBudget(Amount("60%", share=0.6), Amount("50G", 50))) == "--disk-budget 60% --keep-free 50G"
    assert not DiskBudget().is_set
    assert DiskBudget(keep_free=Amount("1", 1)).is_set


def test_linked_files_are_counted_once(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path)
    (tmp_path / "one").write_bytes(os.urandom(100_000))
    used = read_budget_use(prefix, DiskBudget(Amount("1T", 10**12))).used_bytes
    (tmp_path / "two").hardlink_to(tmp_path / "one")
    use = read_budget_use(prefix, DiskBudget(Amount("5M", 5_000_000)))
    assert 100_000 <= use.used_bytes == used < 200_000
    assert use.limit_bytes == 5_000_000
    assert read_budget_use(prefix, DiskBudget(), 7).used_bytes == 7
