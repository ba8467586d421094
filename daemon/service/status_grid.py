"""A generation on the status page: its environments by Torch and Python, then its toolkits."""

import html
from collections.abc import Iterable

from rich.filesize import decimal

from daemon.prefix.progress_file import ProgressLine
from daemon.service.page_facts import PageFacts
from daemon.upkeep.readiness import GenerationReadiness, State, TargetReadiness
from gens.generation import Environment, Generation

SIGNS: dict[State, str] = {
    "ready": "✓",
    "installing": "…",
    "missing": "○",
    "failed": "✕",
    "damaged": "!",
    "left out": "·",
    "on demand": "◌",
}
_UNITS_S = {"d": 86_400, "h": 3_600, "min": 60}
_MOST_REASONS = 20
_REASON_CHARACTERS = 300
_SELECTION_CHARACTERS = 60


def generation_section(found: GenerationReadiness, latest: str | None, facts: PageFacts) -> str:
    """Return the section of a generation.

    Args:
        found: The generation on the node.
        latest: What `latest` names, or None.
        facts: Its definition, unless that was removed meanwhile, and facts on environments and toolkits.

    Returns:
        HTML.
    """
    definition = facts.definitions.get(found.name)
    name = text(found.name)
    cells = () if definition is None else definition.environments
    placed = {cell.name for cell in cells}
    others = [target for target in found.targets if target.name not in placed]
    parts = [
        f'<section id="live-{name}" data-live>',
        f"<h2>{name} <span class=dim>{_summary(found, latest, facts)}</span></h2>",
        _grid(found, definition, facts) if definition is not None and cells else "",
        _chips(found.name, others, facts),
        _reasons([target for target in found.targets if _label(found.name, target) not in facts.explained]),
    ]
    return "".join([*parts, "</section>"])


def _summary(found: GenerationReadiness, latest: str | None, facts: PageFacts) -> str:
    ready = sum(target.state == "ready" for target in found.targets)
    left_out = sum(target.state == "left out" for target in found.targets)
    summary = "sealed" if found.sealed else "partial"
    if found.name == latest:
        summary += ", latest"
    summary += f" · {ready} of {len(found.targets) - left_out} ready"
    if left_out:
        summary += f", {left_out} left out ({text(shortened(facts.selection))})"
    on_demand = sum(target.state == "on demand" for target in found.targets)
    if on_demand:
        summary += f", {on_demand} on demand"
    if found.name in facts.definitions:
        summary += f" · {text(facts.definitions[found.name].platform)}"
    if found.name in facts.leases.generations:
        summary += f" · {_users(found.name, facts)}, as a whole"
    return summary


def _users(label: str, facts: PageFacts) -> str:
    """Return who leases an environment or generation, as far as the kernel tells."""
    count = facts.models.get(label, 0)
    return "in use" if not count else f"{count} model{'s' if count > 1 else ''}"


def _grid(found: GenerationReadiness, definition: Generation, facts: PageFacts) -> str:
    targets = {target.name: target for target in found.targets}
    pythons = list(definition.python)
    head = "".join(f"<th scope=col>{text(python)}</th>" for python in pythons)
    rows = []
    for row in _rows(definition.environments):
        by_python = {cell.python: targets.get(cell.name) for cell in row}
        cells = "".join(_cell(found.name, by_python.get(python), facts) for python in pythons)
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


def _cell(generation: str, target: TargetReadiness | None, facts: PageFacts) -> str:
    if target is None:
        return "<td></td>"
    label = _label(generation, target)
    is_there = target.state in {"ready", "damaged"}
    parts = [f"<b>{SIGNS[target.state]}</b>"]
    size = facts.trees.get(label) if is_there else None
    if size is not None:
        parts.append(f" {short_size(size.apparent_bytes)}<small>+{short_size(size.own_bytes)}</small>")
    if is_there:
        parts.append(_use(label, facts))
    if label in facts.progress:
        parts.append(f"<small>{_progress(facts.progress[label])}</small>")
    elif target.state != "ready":
        parts.append(f"<small>{target.state}</small>")
    title = f"{text(target.name)}: {target.state}"
    return f'<td class={_class(target)} title="{title}">{"".join(parts)}</td>'


def _use(label: str, facts: PageFacts) -> str:
    """Return who uses an environment, or when it was last used."""
    if label in facts.leases.environments:
        return f"<small><b>● {_users(label, facts)}</b></small>"
    last_s = facts.leases.last_uses.get(label)
    return "" if last_s is None else f"<small>{short_age(facts.now_s - last_s)}</small>"


def _progress(line: ProgressLine) -> str:
    if line.stage == "fetch" and line.total_bytes:
        return f"fetch {100 * line.done_bytes // line.total_bytes} %"
    return text(line.stage)


def _chips(generation: str, targets: Iterable[TargetReadiness], facts: PageFacts) -> str:
    chips = []
    for target in targets:
        label = _label(generation, target)
        note: str = target.state
        if target.state == "ready" and label in facts.trees:
            note = short_size(facts.trees[label].apparent_bytes)
        elif label in facts.progress:
            note = _progress(facts.progress[label])
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


def _label(generation: str, target: TargetReadiness) -> str:
    return f"{generation}/{target.name}"


def _class(target: TargetReadiness) -> str:
    return target.state.replace(" ", "-")


def short_size(count: int) -> str:
    """Return a number of bytes in the few characters that fit a cell on a phone: `4.9 GB`, `253 MB`."""
    number, _, unit = decimal(count, precision=1).partition(" ")
    plain = float(number.replace(",", ""))
    return f"{plain:.0f} {unit}" if plain >= 10 or unit == "bytes" else f"{number} {unit}"


def short_age(age_s: float) -> str:
    """Return how long ago something was, in the few characters that fit a cell on a phone: `3 h ago`."""
    for unit, length_s in _UNITS_S.items():
        if age_s >= length_s:
            return f"{int(age_s // length_s)} {unit} ago"
    return "just now"


def shortened(selection: str) -> str:
    """Return a selection in the characters that a heading has room for."""
    return selection if len(selection) <= _SELECTION_CHARACTERS else f"{selection[:_SELECTION_CHARACTERS]}…"


def text(value: str) -> str:
    """Return a text as HTML, also within an attribute with double quotes."""
    return html.escape(value)
