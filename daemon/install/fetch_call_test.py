from daemon.install.fetch_call import FetchCall, divide_call, format_requirements, group_calls
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


def _call(**wheels: tuple[str, int]) -> FetchCall:
    """Return a call for wheels, each with its tags and its size in megabytes."""
    items = {
        name: WheelToFetch(
            LockedWheel(name, "1", name.encode().hex(), f"{name}-1-{tags}.whl", size * 1_000_000),
            None, "x86_64-manylinux_2_28", ("3.11.10",),
        )
        for name, (tags, size) in wheels.items()
    }  # fmt: skip
    return FetchCall(None, "x86_64-manylinux_2_28", "3.11.10", items)


def test_wheels_that_may_hold_sources_come_before_libraries() -> None:
    parts = divide_call(
        _call(
            torch=("cp311-cp311-manylinux_2_28_x86_64", 500),
            limited=("cp38-abi3-manylinux_2_17_x86_64", 3),
            pure=("py3-none-any", 6),
            old=("py2.py3-none-any", 1),
            nvidia_cublas=("py3-none-manylinux_2_27_x86_64", 400),
            uv=("py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64", 20),
        )
    )
    assert [sorted(part.items) for part in parts] == [
        ["limited", "old", "pure", "torch"], ["nvidia_cublas", "uv"]
    ]  # fmt: skip
    assert {(part.index_url, part.python, part.platform) for part in parts} == {
        (None, "3.11.10", "x86_64-manylinux_2_28")
    }


def test_a_call_with_few_bytes_of_either_kind_is_not_divided() -> None:
    for sizes in ((500, 49), (49, 500)):
        call = _call(
            torch=("cp311-cp311-manylinux_2_28_x86_64", sizes[0]),
            nvidia_cublas=("py3-none-manylinux_2_27_x86_64", sizes[1]),
        )
        assert divide_call(call) == [call]


def test_requirements_pin_the_one_hash() -> None:
    wheel = LockedWheel("a", "1.0+cu118", "ab" * 32, "a-1.0+cu118-py3-none-any.whl", 1)
    assert format_requirements([wheel]) == f"a==1.0+cu118 --hash=sha256:{'ab' * 32}\n"
