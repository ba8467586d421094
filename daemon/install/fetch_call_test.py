from daemon.install.fetch_call import format_requirements, group_calls
from daemon.install.wanted import WheelToFetch
from gens.lock import LockedWheel


def _item(name: str, version: str = "1.0", *pythons: str, index_url: str | None = None) -> WheelToFetch:
    wheel = LockedWheel(
        name, version, f"{name} {version} {pythons}".encode().hex(), f"{name}-{version}-py3-none-any.whl", 10
    )
    return WheelToFetch(wheel, index_url, "x86_64-manylinux_2_28", pythons or ("3.11.10",))


def _names(items: list[WheelToFetch]) -> list[list[str]]:
    return [
        sorted(f"{item.wheel.name} {item.wheel.version}" for item in call.items.values())
        for call in group_calls(items)
    ]


def test_packages_of_one_python_take_one_call() -> None:
    assert _names([_item("a"), _item("b"), _item("c")]) == [["a 1.0", "b 1.0", "c 1.0"]]


def test_two_versions_of_a_package_take_two_calls() -> None:
    assert _names([_item("a", "1.0"), _item("a", "2.0"), _item("b")]) == [["a 1.0", "b 1.0"], ["a 2.0"]]


def test_each_wheel_is_in_exactly_one_call() -> None:
    items = [_item("a", version, python) for version in ("1", "2") for python in ("3.10.1", "3.11.1")]
    items += [_item("b", "1", "3.10.1", "3.11.1")]
    given = [item.wheel.sha256 for call in group_calls(items) for item in call.items.values()]
    assert sorted(given) == sorted(item.wheel.sha256 for item in items)


def test_a_wheel_for_several_pythons_joins_a_call_of_any_of_them() -> None:
    assert len(group_calls([_item("a", "1", "3.10.1", "3.11.1"), _item("b", "1", "3.11.1")])) == 1


def test_an_index_has_calls_of_its_own() -> None:
    calls = group_calls([_item("torch", "1", index_url="https://download.pytorch.org/whl/cu118"), _item("a")])
    assert [call.index_url for call in calls] == [None, "https://download.pytorch.org/whl/cu118"]


def test_requirements_pin_the_one_hash() -> None:
    wheel = LockedWheel("a", "1.0+cu118", "ab" * 32, "a-1.0+cu118-py3-none-any.whl", 1)
    assert format_requirements([wheel]) == f"a==1.0+cu118 --hash=sha256:{'ab' * 32}\n"
