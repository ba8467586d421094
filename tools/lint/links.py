"""Checks that the targets of links and Bazel labels in Markdown files exist.

Run in the root of the source tree as `python3 tools/lint/links.py FILES`; exits with 1 when it prints
something. It checks links to files and headings of this tree, and labels such as `//daemon:push`. It opens no
URL.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

_LINK = re.compile(r"\]\((?P<path>[^)#:\s]*)(?:#(?P<anchor>[^)\s]*))?\)")
_LABEL = re.compile(
    r"(?<![\w:/.])//(?P<package>[a-z](?:[\w/-]*\w)?)(?::(?P<target>[\w.-]+))?(?P<wildcard>/\.\.\.)?"
)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_WILDCARDS = {"all", "all-targets"}
_GENERATION = re.compile(r"g[0-9]{5}")  # targets that //gens makes from its definitions

_ARCHITECTURE = re.compile(r"_(?:amd64|arm64)$")


def broken(document: Path) -> Iterator[str]:
    """Yield a message for each link or label of a document whose target does not exist.

    Args:
        document: Markdown file, relative to the root of the source tree, which is the working directory.

    Yields:
        `FILE:LINE: what is wrong`.
    """
    text = document.read_text(encoding="utf-8")
    for link in _LINK.finditer(text):
        target = document.parent / link["path"] if link["path"] else document
        where = f"{document}:{text.count(chr(10), 0, link.start()) + 1}"
        if not target.exists():
            yield f"{where}: {link['path']} does not exist"
        elif link["anchor"] and link["anchor"] not in anchors(target):
            yield f"{where}: {target} has no heading #{link['anchor']}"
    for label in _LABEL.finditer(text):
        if not _is_label(label["package"], label["target"], is_wildcard=label["wildcard"] is not None):
            where = f"{document}:{text.count(chr(10), 0, label.start()) + 1}"
            yield f"{where}: {label[0]} is not a target"


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub derives from the headings of a Markdown file."""
    text = _FENCE.sub("", document.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(text)}


def _is_label(package: str, target: str | None, *, is_wildcard: bool) -> bool:
    folder = Path(package)
    if is_wildcard:
        return folder.is_dir()
    build = folder / "BUILD.bazel"
    if not build.is_file():
        return False
    if target is None or target in _WILDCARDS or _GENERATION.fullmatch(target):
        return True
    # Macros name targets after files, or add to a name: `requirements.update`, `lock_test`, `echo_arm64.run`.
    rules = build.read_text(encoding="utf-8")
    first = target.partition(".")[0]
    names = (target, first, target.removesuffix("_test"), _ARCHITECTURE.sub("", first))
    return any(f'"{name}"' in rules for name in names) or any(
        (folder / name).is_file() for name in (target, f"{target}.py")
    )


def main() -> None:
    """Print the broken links and labels of the files that the command line names."""
    messages = [message for name in sys.argv[1:] for message in broken(Path(name))]
    for message in messages:
        sys.stdout.write(f"{message}\n")
    sys.exit(1 if messages else 0)


if __name__ == "__main__":
    main()
