"""The laws of sharing wheels out among calls of uv."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from daemon.install.fetch_call import format_requirements, group_calls
from daemon.install.wanted import WheelToFetch
from tests.laws.wheels import locked_wheels

_PYTHONS = ("3.10.15", "3.11.10", "3.12.7")
_ITEMS = st.lists(
    st.builds(
        WheelToFetch,
        wheel=locked_wheels(st.sampled_from(["a", "b", "torch"]), st.sampled_from(["1.0", "2.0", "2.0+cpu"])),
        index_url=st.sampled_from([None, "https://one.example/cu118"]),
        platform=st.sampled_from(["x86_64-manylinux_2_28", "aarch64-manylinux_2_28"]),
        pythons=st.lists(st.sampled_from(_PYTHONS), min_size=1, unique=True).map(tuple),
    ),
    max_size=20,
    unique_by=lambda item: item.wheel.sha256,
)


@given(_ITEMS)
def test_each_wheel_is_in_exactly_one_call_which_suits_it(items: list[WheelToFetch]) -> None:
    calls = group_calls(items)
    given_out = [item for call in calls for item in call.items.values()]
    assert Counter(item.wheel.sha256 for item in given_out) == Counter(item.wheel.sha256 for item in items)
    for call in calls:
        assert call.items
        for name, item in call.items.items():
            assert name == item.wheel.name
            assert (call.index_url, call.platform) == (item.index_url, item.platform)
            assert call.python in item.pythons


@given(_ITEMS)
def test_a_call_asks_for_one_version_of_a_package(items: list[WheelToFetch]) -> None:
    for call in group_calls(items):
        lines = format_requirements(item.wheel for item in call.items.values()).splitlines()
        names = [line.partition("==")[0] for line in lines]
        assert len(names) == len(set(names)) == len(call.items)


@given(_ITEMS)
def test_there_are_no_more_calls_than_wheels_of_one_name_for_a_python_and_an_index(
    items: list[WheelToFetch],
) -> None:
    for_names = Counter(
        (item.index_url, item.platform, python, item.wheel.name) for item in items for python in item.pythons
    )
    most: Counter[tuple[str | None, str, str]] = Counter()
    for (index_url, platform, python, _), count in for_names.items():
        most[index_url, platform, python] = max(most[index_url, platform, python], count)
    calls = Counter((call.index_url, call.platform, call.python) for call in group_calls(items))
    assert all(count <= most[place] for place, count in calls.items())


@given(_ITEMS.filter(bool))
def test_wheels_of_different_names_for_one_python_and_index_take_one_call(items: list[WheelToFetch]) -> None:
    first = items[0]
    alike = [
        WheelToFetch(item.wheel, first.index_url, first.platform, first.pythons)
        for item in {item.wheel.name: item for item in items}.values()
    ]
    assert len(group_calls(alike)) == 1
