"""A generation on the status page: its environments by Torch and Python, then its toolkits."""

import html
from collections.abc import Container, Iterable, Mapping

from rich.filesize import decimal

from daemon.prefix.usage import TreeUsage
from daemon.upkeep.readiness import GenerationReadiness, State, TargetReadiness
from gens.generation import Environment, Generation

SIGNS: dict[State, str] = {
    "ready": "✓",
    "installing": "…",
    "missing": "○",
    "failed": "✕",
    "damaged": "!",
    "left out": "·",
    "on demand": "?",
}
_MOST_REASONS = 20
_REASON_CHARACTERS = 300


def generation_section(
    found: GenerationReadiness,
    definition: Generation | None,
    latest: str | None,
    trees: Mapping[str, TreeUsage],
    explained: Container[str] = (),
) -> str:
    """Return the section of a generation.

    Args:
        found: The generation on the node.
        definition: Its definition; None if it was removed meanwhile.
        latest: What `latest` names, or None.
        trees: The bytes of environments and toolkits, such as `g00003/python3.11`; what is not in it was not
            counted yet.
        explained: The targets whose failure the page explains elsewhere, such as `g00003/python3.11`.

    Returns:
        HTML.
    """
    name = text(found.name)
    cells = () if definition is None else definition.environments
    placed = {cell.name for cell in cells}
    others = [target for target in found.targets if target.name not in placed]
    parts = [
        f'<section id="live-{name}" data-live>',
        f"<h2>{name} <span class=dim>{_summary(found, definition, latest)}</span></h2>",
        _grid(found, definition, trees) if definition is not None and cells else "",
        _chips(found.name, others, trees),
        _reasons([target for target in found.targets if f"{found.name}/{target.name}" not in explained]),
    ]
    return "".join([*parts, "</section>"])


def _summary(found: GenerationReadiness, definition: Generation | None, latest: str | None) -> str:
    ready = sum(target.state == "ready" for target in found.targets)
    left_out = sum(target.state == "left out" for target in found.targets)
    summary = "sealed" if found.sealed else "partial"
    if found.name == latest:
        summary += ", latest"
    summary += f" · {ready} of {len(found.targets) - left_out} ready"
    if left_out:
        summary += f", {left_out} left out (--only)"
    on_demand = sum(target.state == "on demand" for target in found.targets)
    if on_demand:
        summary += f", {on_demand} on demand"
    if definition is not None:
        summary += f" · {text(definition.platform)}"
    return summary


def _grid(found: GenerationReadiness, definition: Generation, trees: Mapping[str, TreeUsage]) -> str:
    targets = {target.name: target for target in found.targets}
    pythons = list(definition.python)
    head = "".join(f"<th scope=col>{text(python)}</th>" for python in pythons)
    rows = []
    for row in _rows(definition.environments):
        by_python = {cell.python: targets.get(cell.name) for cell in row}
        cells = "".join(_cell(found.name, by_python.get(python), trees) for python in pythons)
        rows.append(f"<tr><th scope=row>{_row_head(row[0])}</th>{cells}</tr>")
    label = f"Environments of {text(found.name)} by Torch and Python"
    return (
        f'<div class="scroll grid" role=region tabindex=0 aria-label="{label}"><table><thead><tr>'
        f"<th scope=col>Torch</th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _rows(cells: Iterable[Environment]) -> list[list[Environment]]:
    """Return the cells of each row: Torch releases with the newest first, stacks, Python alone."""
    rows: dict[tuple[str | None, ...], list[Environment]] = {}
    for cell in cells:
        rows.setdefault((cell.stack, cell.stack_version, cell.torch, cell.build), []).append(cell)
    torches = [row for row in rows.values() if row[0].stack is None and row[0].torch is not None]
    stacks = [row for row in rows.values() if row[0].stack is not None]
    plain = [row for row in rows.values() if row[0].stack is None and row[0].torch is None]
    return [*reversed(torches), *stacks, *plain]


def _row_head(cell: Environment) -> str:
    torch = f"{cell.torch} {cell.build or ''}" if cell.torch else ""
    if cell.stack is not None:
        return (
            f"{text(cell.stack)} {text(cell.stack_version or '')}<small>{text(torch or 'no Torch')}</small>"
        )
    return f"{text(cell.torch)} <small>{text(cell.build or '')}</small>" if cell.torch else "no Torch"


def _cell(generation: str, target: TargetReadiness | None, trees: Mapping[str, TreeUsage]) -> str:
    if target is None:
        return "<td></td>"
    size = trees.get(f"{generation}/{target.name}") if target.state in {"ready", "damaged"} else None
    parts = [f"<b>{SIGNS[target.state]}</b>"]
    if size is not None:
        parts.append(f" {short_size(size.apparent_bytes)}<small>+{short_size(size.own_bytes)}</small>")
    if target.state != "ready":
        parts.append(f"<small>{target.state}</small>")
    title = f"{text(target.name)}: {target.state}"
    return f'<td class={_class(target)} title="{title}">{"".join(parts)}</td>'


def _chips(generation: str, targets: Iterable[TargetReadiness], trees: Mapping[str, TreeUsage]) -> str:
    chips = []
    for target in targets:
        size = trees.get(f"{generation}/{target.name}") if target.state == "ready" else None
        note = short_size(size.apparent_bytes) if size is not None else target.state
        chips.append(
            f"<li class={_class(target)}><b>{SIGNS[target.state]}</b> {text(target.name)} "
            f"<small>{note}</small></li>"
        )
    return f"<ul class=chips>{''.join(chips)}</ul>" if chips else ""


def _reasons(targets: Iterable[TargetReadiness]) -> str:
    explained = [target for target in targets if target.reason]
    items = [
        f"<li><b>{SIGNS[target.state]} {text(target.name)}</b> {target.state}"
        f"<small>{text(target.reason[:_REASON_CHARACTERS])}</small></li>"
        for target in explained[:_MOST_REASONS]
    ]
    if len(explained) > _MOST_REASONS:
        items.append(f"<li>and {len(explained) - _MOST_REASONS} more: /readyz has them all</li>")
    return f"<ul class=plain>{''.join(items)}</ul>" if items else ""


def _class(target: TargetReadiness) -> str:
    return target.state.replace(" ", "-")


def short_size(count: int) -> str:
    """Return a number of bytes in the few characters that fit a cell on a phone: `4.9 GB`, `253 MB`."""
    number, _, unit = decimal(count, precision=1).partition(" ")
    plain = float(number.replace(",", ""))
    return f"{plain:.0f} {unit}" if plain >= 10 or unit == "bytes" else f"{number} {unit}"


def text(value: str) -> str:
    """Return a text as HTML, also within an attribute with double quotes."""
    return html.escape(value)
