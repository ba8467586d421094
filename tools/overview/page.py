"""The page of all generations: one HTML file without script and external resource.

Equal definitions and locks make equal bytes: the page is checked in as `docs/matrix.html`.
"""

import html
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.filesize import decimal

from gens.drivers import minimum_driver
from gens.generation import Environment, Toolkit
from tools.overview.companions import COMPANIONS, companion
from tools.overview.sharing import GenerationBytes, PlatformBytes, TargetBytes

LockLink = Callable[[GenerationBytes, TargetBytes], str]
"""Returns the link to the lock of a target, relative to the page."""

_PYTHON = "Python only"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1f2328; --dim: #59636e; --line: #d1d9e0;
  --head: #f6f8fa; --link: #0757ba; --own: #b35900; --shared: #8fb8e8 }
@media (prefers-color-scheme: dark) { :root { --back: #0d1117; --text: #e6edf3; --dim: #9aa4af;
  --line: #3d444d; --head: #161b22; --link: #6cb0ff; --own: #f0a050; --shared: #2f5a8f } }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 1rem;
  background: var(--back); color: var(--text) }
h1 { font-size: 1.5rem; margin: .2rem 0 } h2 { font-size: 1.25rem; margin: 2.2rem 0 .3rem }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem } p { margin: .4rem 0; max-width: 60rem }
a { color: var(--link) } td a { text-decoration: none } td a:hover, td a:focus { text-decoration: underline }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .3rem 1rem; padding: 0; margin: .6rem 0 }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .4rem; margin: .5rem 0 }
.scroll:focus-visible { outline: 2px solid var(--link) }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-variant-numeric: tabular-nums }
caption { text-align: left; padding: .4rem .6rem; color: var(--dim); font-size: .87rem }
th, td { padding: .3rem .6rem; text-align: right; white-space: nowrap; vertical-align: top;
  border-top: 1px solid var(--line) }
thead th { background: var(--head); font-weight: 600 }
.scroll table { min-width: max-content }
th:first-child { text-align: left; position: sticky; left: 0; background: var(--head); font-weight: 600;
  border-right: 1px solid var(--line) }
small, .dim { color: var(--dim); font-size: .82rem; font-weight: 400 } td small { display: block }

.list { display: block; white-space: normal; text-align: left; min-width: 16rem; font-size: .82rem }
.none { color: var(--dim) }
.bar { display: block; height: .3rem; min-width: 3.2rem; margin: .2rem 0 0 auto; border-radius: .15rem;
  background: var(--shared); overflow: hidden }
.bar i { display: block; height: 100%; background: var(--own) }
@media (max-width: 40rem) { body { padding: .7rem } th, td { padding: .3rem .4rem } }
.key { display: inline-block; width: .8rem; height: .8rem; border-radius: .15rem; vertical-align: -.1rem }
.key.own { background: var(--own) } .key.shared { background: var(--shared) }
"""
_INTRODUCTION = """
<p>What each generation offers, on each platform, and how many bytes a node downloads for it. Written from the
definitions and locks in <code>gens/</code> by
<code>bazel run //tools:matrix -- --html docs/matrix.html</code>.</p>
"""
_SUMMARY = """
<p>Download: the distinct wheels, which a node fetches once. Separately: the sum over all environments and
toolkits. New: the wheels that no older generation has.</p>
"""
_LEGEND = """
<p>In a cell: the size of the wheels, linked to the lock; and what the environment or toolkit <b>adds</b>: the
wheels that no other of its generation and platform has. The bar shows both:
<span class="key own"></span> added, <span class="key shared"></span> shared. Driver: the oldest NVIDIA driver
that the CUDA of the row runs on.</p>
"""


def overview_page(generations: Sequence[GenerationBytes], link: LockLink) -> str:
    """Return the page of generations.

    Args:
        generations: The generations with their bytes, oldest first.
        link: Returns the link to the lock of a target.

    Returns:
        HTML.
    """
    newest_first = list(reversed(generations))
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        f"<title>Monobase: the generations</title><style>{_STYLE}</style></head><body>",
        "<header><h1>Monobase: the generations</h1>",
        _INTRODUCTION,
        _contents(newest_first),
        "</header><main>",
        _summary(newest_first),
        _LEGEND,
        *(_generation(generation, link) for generation in newest_first),
        "</main></body></html>",
    ]
    return "\n".join(parts) + "\n"


def lock_link(locks: str) -> LockLink:
    """Make links to the locks.

    Args:
        locks: Folder of the locks, relative to the page.
    """

    def link(generation: GenerationBytes, target: TargetBytes) -> str:
        return str(Path(locks, generation.generation.directory_name, target.target.lock_name))

    return link


def _contents(generations: Iterable[GenerationBytes]) -> str:
    items = "".join(
        f'<li><a href="#{name}">{name}</a></li>'
        for name in (_text(generation.generation.directory_name) for generation in generations)
    )
    return f'<nav aria-label="Generations"><ul>{items}</ul></nav>'


def _summary(generations: Iterable[GenerationBytes]) -> str:
    columns = (
        "Generation", "Platform", "Environments", "Torch", "Python", "Download", "Separately", "Shared",
        "New",
    )  # fmt: skip
    rows = []
    for generation in generations:
        for platform in generation.platforms:
            environments = _environments(platform)
            rows.append(
                _row(
                    _text(generation.generation.directory_name),
                    _text(platform.platform),
                    str(len(environments)),
                    _range([cell.torch for cell in environments if cell.torch is not None]),
                    _range(list(generation.generation.python)),
                    decimal(platform.wheel_bytes),
                    decimal(platform.locked_bytes),
                    f"{platform.shared_percent} %",
                    decimal(platform.new_bytes),
                )
            )
    return _SUMMARY + _table("Generations and platforms", "Generations", columns, rows)


def _generation(generation: GenerationBytes, link: LockLink) -> str:
    definition = generation.generation
    name = _text(definition.directory_name)
    packages = ", ".join(definition.packages) or "none"
    content = f"{generation.locks} locks name {generation.wheels} distinct wheels of"
    parts = [
        f'<section id="{name}" aria-labelledby="h-{name}"><h2 id="h-{name}">{name}</h2>',
        f"<p>Nothing newer than {_text(definition.exclude_newer)}. In each environment: {_text(packages)}.",
        f"{content} {decimal(generation.wheel_bytes)}.</p>",
    ]
    for platform in generation.platforms:
        parts.append(f"<h3>{name} on {_text(platform.platform)}</h3>")
        parts.append(_environments_table(generation, platform, link))
        parts.append(_stacks_table(generation, platform, link))
        parts.append(_toolkits_table(generation, platform, link))
    return "\n".join([*(part for part in parts if part), "</section>"])


def _environments_table(generation: GenerationBytes, platform: PlatformBytes, link: LockLink) -> str:
    rows = []
    grouped = _grouped(platform, lambda cell: cell.stack is None, lambda cell: (cell.torch, cell.build))
    for targets in sorted(grouped, key=lambda targets: targets[0][0].torch is not None):
        torch = _torch(targets[0][0])
        cells = [cell for cell, _ in targets]
        rows.append(
            _row(
                torch or _PYTHON,
                _driver(cells[0].cuda),
                *_cells(generation, targets, link),
                *(_or_none(companion(cells, package)) for package in COMPANIONS),
            )
        )
    if not rows:
        return ""
    name = f"Environments of {generation.generation.directory_name} on {platform.platform}"
    columns = ("Torch", "Driver", *generation.generation.python.values(), *COMPANIONS)
    return _table(name, "Environments, by Torch and Python", columns, rows)


def _stacks_table(generation: GenerationBytes, platform: PlatformBytes, link: LockLink) -> str:
    rows = []
    grouped = _grouped(
        platform,
        lambda cell: cell.stack is not None,
        lambda cell: (cell.stack, cell.stack_version, cell.torch, cell.build),
    )
    for targets in grouped:
        cell = targets[0][0]
        conflicts = sorted({pin.partition("==")[0] for _, target in targets for pin in target.conflicts})
        rows.append(
            _row(
                f"{_text(cell.stack or '')} <small>{_text(cell.stack_version or '')}</small>",
                _torch(cell) or _or_none("-"),
                _driver(cell.cuda),
                *_cells(generation, targets, link),
                f'<span class="list">{_or_none(", ".join(conflicts) or "-")}</span>',
            )
        )
    if not rows:
        return ""
    name = f"Stacks of {generation.generation.directory_name} on {platform.platform}"
    columns = (
        "Stack",
        "Torch",
        "Driver",
        *generation.generation.python.values(),
        "Other versions than with Torch alone",
    )
    return _table(name, "Stacks, by Python", columns, rows)


_Targets = list[tuple[Environment, TargetBytes]]


def _grouped(
    platform: PlatformBytes,
    belongs: Callable[[Environment], bool],
    key: Callable[[Environment], tuple[str | None, ...]],
) -> list[_Targets]:
    """Return the environments of each row, rows in the order of their first environments."""
    rows: dict[tuple[str | None, ...], _Targets] = {}
    for target in platform.targets:
        if isinstance(target.target, Environment) and belongs(target.target):
            rows.setdefault(key(target.target), []).append((target.target, target))
    return list(rows.values())


def _cells(generation: GenerationBytes, targets: _Targets, link: LockLink) -> list[str]:
    by_python = {cell.python: target for cell, target in targets}
    return [_cell(generation, by_python.get(python), link) for python in generation.generation.python]


def _torch(cell: Environment) -> str:
    return f"{_text(cell.torch)} <small>{_text(cell.build or '')}</small>" if cell.torch else ""


def _toolkits_table(generation: GenerationBytes, platform: PlatformBytes, link: LockLink) -> str:
    rows = [
        _row(
            _text(target.target.name),
            _driver(target.target.cuda_major or target.target.version),
            _text(target.target.full_version),
            _cell(generation, target, link),
        )
        for target in platform.targets
        if isinstance(target.target, Toolkit)
    ]
    name = f"Toolkits of {generation.generation.directory_name} on {platform.platform}"
    return _table(name, "Toolkits", ("Toolkit", "Driver", "Version", "Wheels"), rows) if rows else ""


def _cell(generation: GenerationBytes, target: TargetBytes | None, link: LockLink) -> str:
    if target is None:
        return _or_none("-")
    share = 100 * target.added_bytes // target.wheel_bytes if target.wheel_bytes else 0
    name = _text(target.target.name)
    return (
        f'<a href="{_text(link(generation, target))}" title="{name}">{decimal(target.wheel_bytes)}</a>'
        f"<small>adds {decimal(target.added_bytes)}</small>"
        f'<span class="bar" aria-hidden="true"><i style="width:{share}%"></i></span>'
    )


def _driver(cuda: str | None) -> str:
    driver = None if cuda is None else minimum_driver(cuda)
    return _or_none(driver or "-")


def _or_none(value: str) -> str:
    return '<span class="none">none</span>' if value == "-" else _text(value)


def _row(head: str, *cells: str) -> str:
    return f'<tr><th scope="row">{head}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _table(label: str, caption: str, columns: Sequence[str], rows: Sequence[str]) -> str:
    head = "".join(f'<th scope="col">{_text(column)}</th>' for column in columns)
    body = "\n".join(rows)
    # A region that scrolls must be reachable by keyboard, and so have a name (WCAG 2.1.1).
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{_text(label)}">'
        f"<table><caption>{_text(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _environments(platform: PlatformBytes) -> list[Environment]:
    return [target.target for target in platform.targets if isinstance(target.target, Environment)]


def _range(versions: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(versions))
    if len(distinct) < 3:
        return _text(", ".join(distinct) or "none")
    return _text(f"{distinct[0]} to {distinct[-1]}")


def _text(value: str) -> str:
    return html.escape(value)
