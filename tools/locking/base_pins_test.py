"""A stack keeps each pin of its base that it can have, and only those."""

import re

import pytest

from gens.generation import Inputs
from gens.lock import LockedWheel
from tools.locking.base_pins import resolve_on_base
from tools.locking.resolver import Resolution, UnsatisfiableError

_INPUTS = Inputs("3.12.16", "x86_64-manylinux_2_34", "2026-11-25T00:00:00Z", ("vllm==1.0",))


def _wheel(name: str, version: str, size_bytes: int = 1) -> LockedWheel:
    return LockedWheel(name, version, "0" * 64, f"{name}-{version}-py3-none-any.whl", size_bytes)


class _Index:
    """A resolver of a small world: the newest version of each package that its rules and the pins allow."""

    def __init__(self, versions: dict[str, list[str]], *rules: tuple[str, str]) -> None:
        self._versions = versions
        self._rules = rules  # pairs NAME==VERSION that exclude each other
        self.calls = 0

    def __call__(self, inputs: Inputs) -> Resolution:
        self.calls += 1
        pins = dict(re.split("==", pin) for pin in inputs.constraints)
        chosen: dict[str, str] = {}
        for name, versions in self._versions.items():
            fitting = [version for version in versions if pins.get(name, version) == version]
            fitting = [version for version in fitting if self._is_allowed(chosen, f"{name}=={version}")]
            if not fitting:
                raise UnsatisfiableError(f"No solution found: {name}")
            chosen[name] = fitting[-1]
        return Resolution(tuple(_wheel(name, version) for name, version in chosen.items()), ())

    def _is_allowed(self, chosen: dict[str, str], pin: str) -> bool:
        held = {f"{name}=={version}" for name, version in chosen.items()}
        return not any({one, other} == {pin, has} for one, other in self._rules for has in held)


def _versions(resolution: Resolution) -> dict[str, str]:
    return {wheel.name: wheel.version for wheel in resolution.wheels}


def test_all_pins_are_kept_where_they_can_be_and_two_calls_suffice() -> None:
    index = _Index({"vllm": ["1.0"], "numpy": ["2.4", "2.5"], "jinja2": ["3.1"]})
    found = resolve_on_base(index, _INPUTS, [_wheel("numpy", "2.4"), _wheel("jinja2", "3.1")])
    assert _versions(found) == {"vllm": "1.0", "numpy": "2.4", "jinja2": "3.1"}
    assert found.conflicts == ()
    assert index.calls == 2


def test_only_pins_in_conflict_are_dropped() -> None:
    index = _Index({"vllm": ["1.0"], "numpy": ["2.3"], "a": ["1", "2"], "b": ["1", "2"], "c": ["1", "2"]})
    base = [_wheel(name, "1") for name in ("a", "b", "c")] + [_wheel("numpy", "2.5")]
    found = resolve_on_base(index, _INPUTS, base)
    assert _versions(found) == {"vllm": "1.0", "numpy": "2.3", "a": "1", "b": "1", "c": "1"}
    assert [wheel.name for wheel in found.conflicts] == ["numpy"]


def test_of_two_pins_that_exclude_each_other_the_larger_wheel_is_kept() -> None:
    index = _Index({"vllm": ["1.0"], "a": ["1", "2"], "b": ["1", "2"]}, ("a==1", "b==1"))
    found = resolve_on_base(index, _INPUTS, [_wheel("a", "1", 10), _wheel("b", "1", 1000)])
    assert _versions(found)["b"] == "1"
    assert [wheel.name for wheel in found.conflicts] == ["a"]


def test_a_pin_that_leads_to_an_older_release_of_something_else_is_in_conflict() -> None:
    index = _Index(
        {"vllm": ["1.0"], "numpy": ["2.4", "2.5"], "numba": ["0.53", "0.70"]}, ("numpy==2.4", "numba==0.70")
    )
    found = resolve_on_base(index, _INPUTS, [_wheel("numpy", "2.4")])
    assert _versions(found) == {"vllm": "1.0", "numpy": "2.5", "numba": "0.70"}
    assert [wheel.name for wheel in found.conflicts] == ["numpy"]


def test_a_pin_of_what_the_stack_does_not_have_is_no_conflict() -> None:
    index = _Index({"vllm": ["1.0"]})
    assert resolve_on_base(index, _INPUTS, [_wheel("cython", "3.2")]).conflicts == ()


def test_a_stack_without_a_solution_says_why_it_has_none() -> None:
    index = _Index({"vllm": ["1.0"], "numpy": []})
    with pytest.raises(UnsatisfiableError, match="No solution found: numpy"):
        resolve_on_base(index, _INPUTS, [_wheel("numpy", "2.4")])
