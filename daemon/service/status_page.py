"""The status page: one HTML file without external asset, live with and without a script."""

import math
import time
from collections.abc import Mapping

from rich.filesize import decimal

from daemon.prefix.disk_budget import BudgetUse
from daemon.prefix.usage import Usage
from daemon.service.page_code import SCRIPT, STYLE
from daemon.service.page_facts import PageFacts
from daemon.service.state import ErrorEntry, ServiceState
from daemon.service.status_grid import SIGNS, generation_section, shortened, text
from daemon.upkeep.readiness import Readiness

_REASON_CHARACTERS = 300
_MOST_RETRIES = 20
_BAR_UNITS = 1000
_KINDS = {
    "environments": "environments",
    "toolkits": "CUDA and cuDNN toolkits",
    "bytecode": "bytecode that no environment holds",
    "interpreters": "Python interpreters",
    "uv-cache": "uv's cache, beyond what is installed",
    "bookkeeping": "bookkeeping",
}


def status_page(readiness: Readiness, state: ServiceState, prefix: str, facts: PageFacts) -> str:
    """Return the status page.

    Args:
        readiness: The readiness of the node.
        state: The state of the service.
        prefix: Path of the prefix.
        facts: What the page shows besides.

    Returns:
        HTML.
    """
    told = "ready" if readiness.ready else "not ready"
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width,initial-scale=1">',
        "<noscript><meta http-equiv=refresh content=10></noscript>",
        f"<title>monobase: {told}</title>",
        f"<style>{STYLE}</style></head>",
        f"<body>{_header(readiness, state, prefix, facts.now_s)}<p id=stale role=status></p><main>",
        _problems(readiness, state),
        *(generation_section(found, readiness.latest, facts) for found in readiness.generations),
        _legend(),
        _disk(state.usage, facts.free_bytes, state.budget),
        _errors(state.last_errors()),
        f"</main><script>{SCRIPT}</script></body></html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _header(readiness: Readiness, state: ServiceState, prefix: str, now_s: float) -> str:
    badge = (
        "<span class='badge yes'>✓ ready</span>"
        if readiness.ready
        else "<span class='badge no'>✕ not ready</span>"
    )
    part = f" · holds <code>{text(shortened(readiness.selection))}</code>" if readiness.selection else ""
    elsewhere = ", ".join(readiness.elsewhere)
    part += f" · nothing for this machine: {text(elsewhere)}" if elsewhere else ""
    return (
        f"<header id=live-header data-live><h1>monobase {badge}</h1>"
        f"<p><code>{text(prefix)}</code> · latest: <b>{text(readiness.latest or 'none')}</b>{part}</p>"
        f"<p class=dim>{text(state.activity)} · {_utc(now_s)}</p></header>"
    )


def _problems(readiness: Readiness, state: ServiceState) -> str:
    reasons = "".join(f"<li>{text(_shortened(reason))}</li>" for reason in readiness.reasons)
    listed = f"<ul>{reasons}</ul>" if reasons else ""
    return f"<section id=live-problems data-live>{listed}{_retries(state)}</section>"


def _shortened(reason: str) -> str:
    return reason if len(reason) <= _REASON_CHARACTERS else f"{reason[:_REASON_CHARACTERS]}…"


def _retries(state: ServiceState) -> str:
    pending = list(state.retries.pending())
    items = []
    for retry in pending[:_MOST_RETRIES]:
        in_s = state.retries.next_s(retry.subject)
        often = "once" if retry.attempts == 1 else f"{retry.attempts} times"
        items.append(
            f"<li><b>{text(retry.subject)}</b> failed {often}, next try "
            f"{'now' if not in_s else f'in {math.ceil(in_s)} s'}"
            f"<small>{text(_shortened(retry.reason))}</small></li>"
        )
    if len(pending) > _MOST_RETRIES:
        items.append(f"<li>and {len(pending) - _MOST_RETRIES} more: /readyz has them all</li>")
    return f"<h2>Failed, and tried again</h2><ul class=plain>{''.join(items)}</ul>" if items else ""


def _legend() -> str:
    signs = " · ".join(f"<b>{sign}</b> {state}" for state, sign in SIGNS.items())
    return (
        f"<p class=dim><small>{signs}. In a cell: the size of the environment; after + the bytes on "
        "the disk that no other environment or toolkit links; the models that lease it (●), or when it was "
        "last leased or installed.</small></p>"
    )


def _disk(usage: Usage | None, free_bytes: int | None, budget: BudgetUse | None) -> str:
    if usage is None:
        return "<section id=live-disk data-live><h2>Disk</h2><p class=dim>not counted yet</p></section>"
    keys = {kind: f"k{number}" for number, kind in enumerate(_KINDS)}
    rows = "".join(
        f"<tr><th scope=row><span class='key {keys.get(kind, '')}'></span>{text(_KINDS.get(kind, kind))}</th>"
        f"<td class=n>{decimal(count)}</td></tr>"
        for kind, count in usage.disk_bytes.items()
    )
    rows += (
        "<tr><th scope=row><span class='key saved'></span>saved by sharing</th>"
        f"<td class=n>{decimal(usage.saved_bytes)}</td></tr>"
    )
    share = 100 * usage.saved_bytes // usage.apparent_bytes if usage.apparent_bytes else 0
    free = f", {decimal(free_bytes)} free" if free_bytes is not None else ""
    free += f", the budget is {decimal(budget.limit_bytes)}" if budget is not None else ""
    return (
        f"<section id=live-disk data-live><h2>Disk</h2><p><b>{decimal(usage.total_bytes)}</b> on disk{free}. "
        f"Without sharing, environments and toolkits would take {decimal(usage.apparent_bytes)}: "
        f"<b>{decimal(usage.saved_bytes)}</b> ({share} %) saved.</p>{_bar(usage, keys)}"
        f"<table class=disk><tbody>{rows}</tbody></table></section>"
    )


def _bar(usage: Usage, keys: Mapping[str, str]) -> str:
    """Return a bar of the bytes by kind, then of those that sharing saves."""
    whole = usage.total_bytes + usage.saved_bytes
    if not whole:
        return ""
    parts = []
    start = 0.0
    for kind, count in [*usage.disk_bytes.items(), ("saved", usage.saved_bytes)]:
        width = _BAR_UNITS * count / whole
        parts.append(f"<rect class={keys.get(kind, 'saved')} x={start:.1f} width={width:.1f} height=10 />")
        start += width
    return (
        f"<svg class=bar viewBox='0 0 {_BAR_UNITS} 10' preserveAspectRatio=none aria-hidden=true>"
        f"{''.join(parts)}</svg>"
    )


def _errors(errors: list[ErrorEntry]) -> str:
    rows = "".join(
        f"<li><small>{_utc(error.time_s)} · {text(error.kind)} · {text(error.subject)}</small>"
        f"{text(error.text)}</li>"
        for error in errors
    )
    listed = f"<ul class=plain>{rows}</ul>" if rows else "<p class=dim>none</p>"
    return f"<section id=live-errors data-live><h2>Last errors</h2>{listed}</section>"


def _utc(time_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(time_s))
