"""The style and the script of the status page."""

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import get_args

import pytest

from daemon.service.page_code import POLICY, SCRIPT, STYLE
from daemon.upkeep.readiness import State

_WCAG_AA = 4.5


def _colours(style: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})\b", style))


def _schemes() -> Iterator[tuple[str, dict[str, str]]]:
    light, _, rest = STYLE.partition("@media (prefers-color-scheme: dark)")
    dark = rest.partition("} }")[0]
    yield "light", _colours(light)
    yield "dark", _colours(light) | _colours(dark)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    dark, light = sorted([_luminance(one), _luminance(other)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("text", ["text", "dim"])
@pytest.mark.parametrize("back", ["back", "head", "ready", "installing", "missing", "failed"])
def test_text_contrasts_with_each_background(text: str, back: str) -> None:
    for scheme, colours in _schemes():
        assert _contrast(colours[text], colours[back]) >= _WCAG_AA, scheme


def test_the_sign_of_a_failure_and_the_badges_contrast() -> None:
    for scheme, colours in _schemes():
        assert _contrast(colours["failed-line"], colours["failed"]) >= _WCAG_AA, scheme
        assert _contrast("#ffffff", colours["yes"]) >= _WCAG_AA, scheme
        assert _contrast("#ffffff", colours["no"]) >= _WCAG_AA, scheme


def test_each_state_has_a_colour() -> None:
    for state in get_args(State):
        assert re.search(rf"\.{state.replace(' ', '-')}\b[^}}]*{{", STYLE), state


def test_the_policy_allows_this_script_and_style_and_no_other() -> None:
    for kind, source in (("script", SCRIPT), ("style", STYLE)):
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in POLICY
    assert POLICY.startswith("default-src 'none';")
    assert "unsafe" not in POLICY


@pytest.mark.parametrize("source", [SCRIPT, STYLE])
def test_the_answer_changes_no_character_of_them(source: str) -> None:
    assert all(" " <= sign <= "~" or sign == "\n" for sign in source)
    assert "</" not in source
