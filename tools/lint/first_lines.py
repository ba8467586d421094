"""Prints the first lines of docstrings that do not have the form that STYLE.md asks for.

Run as `python3 tools/lint/first_lines.py FILES`; exits with 1 when it prints something. It knows words, not
grammar: a line that it accepts may still be unclear.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Words that begin a line without a subject, such as "What linking needs to know."
_PRONOUNS = {
    "what",
    "whether",
    "how",
    "where",
    "who",
    "which",
    "something",
    "everything",
    "those",
    "its",
    "be",
    "let",
}
# Verbs to replace by "Return" or "Report".
_TELLING = {"give", "gives", "tell", "tells", "say", "says"}
_PROPERTIES = {"property", "cached_property"}


@dataclass(frozen=True, slots=True)
class Flaw:
    """A first line to rewrite.

    Attributes:
        path: File.
        line: Line of the module, class or function.
        text: First line of its docstring.
        reason: The rule of STYLE.md that it breaks.
    """

    path: Path
    line: int
    text: str
    reason: str


def find_flaws(path: Path) -> Iterator[Flaw]:
    """Yield the flaws of one Python file, in the order of its lines.

    Args:
        path: Python source.

    Yields:
        The flaws.

    Raises:
        SyntaxError: The file is not Python.
    """
    module = ast.parse(path.read_text(encoding="utf-8"))
    nodes = [
        module,
        *(node for node in ast.walk(module) if isinstance(node, _DOCUMENTED) and not _is_test(node)),
    ]
    for node in sorted(nodes, key=_line):
        text = (ast.get_docstring(node) or "").partition("\n")[0]
        reason = _reason(node, text) if text else None
        if reason is not None:
            yield Flaw(path, _line(node), text, reason)


_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_DOCUMENTED = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def _line(node: _Documented) -> int:
    return 1 if isinstance(node, ast.Module) else node.lineno


def _reason(node: _Documented, text: str) -> str | None:
    word = text.split(maxsplit=1)[0].rstrip(",;:.").lower()
    if word in _PRONOUNS:
        return "begins with a pronoun or an empty word: name the thing or the action"
    if not text.endswith((".", "…")):
        return "does not end with a full stop: one sentence on one line"
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not _is_property(node):
        if word in _TELLING:
            return f"says {word!r} where Return, Print or Report is meant"
        if word.endswith("s") and not word.endswith("ss"):
            return "is not an imperative"
    return None


def _is_test(node: ast.AST) -> bool:
    """Return whether a node is a test: its docstring gives the reason, not an imperative."""
    return getattr(node, "name", "").startswith("test_")


def _is_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    names = (
        item.attr if isinstance(item, ast.Attribute) else getattr(item, "id", "")
        for item in node.decorator_list
    )
    return any(name in _PROPERTIES for name in names)


def main() -> None:
    """Print the flaws of the files that the command line names."""
    flaws = [flaw for name in sys.argv[1:] for flaw in find_flaws(Path(name))]
    for flaw in flaws:
        sys.stdout.write(f"{flaw.path}:{flaw.line}: {flaw.text!r}: {flaw.reason}\n")
    sys.exit(1 if flaws else 0)


if __name__ == "__main__":
    main()
