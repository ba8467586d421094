from pathlib import Path

import pytest

from image.debian.lock.package_list import parse_package_list
from image.errors import ImageError

PATH = Path("packages.txt")


def test_names_stand_by_layer_in_their_order() -> None:
    text = (
        "# what\n\n[system]   # lowest\n?essential # all\ntini # PID 1\n\n"
        "[build]\n  g++   # builds\nlibc6-dev # headers\n"
    )
    assert parse_package_list(text, PATH) == {"system": ("?essential", "tini"), "build": ("g++", "libc6-dev")}
    assert list(parse_package_list(text, PATH)) == ["system", "build"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a]\ntini\n", "packages.txt:2: expected a package's name, a # and its reason"),
        ("[a]\ntini #  \n", "packages.txt:2: expected a package's name, a # and its reason"),
        (
            "tini # PID 1\n",
            "packages.txt:1: expected a package's name, a # and its reason, below a [layer]",
        ),
        ("[a]\ntini=1 # PID 1\n", "packages.txt:2: expected"),
        ("[a]\ntini git # both\n", "packages.txt:2: expected"),
        ("[a]\n--yes # an option of apt\n", "packages.txt:2: expected"),
        ("[a]\ntini- # taken away\n[b]\n", "layer b names no package"),
        ("[a]\ntini # 1\n[b]\ntini # 2\n", "packages.txt:4: lists tini twice"),
        ("[a]\ntini # 1\n[a]\n", "packages.txt:3: layer a is declared twice"),
        ("# nothing\n", "packages.txt: has no [layer]"),
        ("[a]\n", "packages.txt: layer a names no package"),
    ],
)
def test_a_malformed_list_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ImageError) as caught:
        parse_package_list(text, PATH)
    assert message in str(caught.value)
