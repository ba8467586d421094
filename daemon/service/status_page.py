"""The status page: one HTML file without script or external asset, readable on a phone."""

import html
import math
import time

from rich.filesize import decimal

from daemon.service.state import ErrorEntry, ServiceState
from daemon.upkeep.readiness import GenerationReadiness, Readiness, State

_REASON_CHARACTERS = 300
_SIGNS: dict[State, str] = {
    "ready": "✓",
    "installing": "…",
    "missing": "○",
    "failed": "✕",
    "damaged": "!",
    "left out": "·",
}
_KINDS = {
    "environments": "environments",
    "toolkits": "CUDA and cuDNN toolkits",
    "bytecode": "bytecode that no environment holds",
    "interpreters": "Python interpreters",
    "uv-cache": "uv's cache, beyond what is installed",
    "bookkeeping": "bookkeeping",
}
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
* { box-sizing: border-box }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1rem;
  overflow-wrap: anywhere }
h1 { font-size: 1.3rem; margin: 0 } h2 { font-size: 1.05rem; margin: 1.6rem 0 .5rem }
p { margin: .3rem 0 } .dim { opacity: .7 } code { overflow-wrap: anywhere }
.badge { display: inline-block; border-radius: 1rem; padding: .1rem .7rem; font-weight: 600; color: #fff }
.yes { background: #1a7f37 } .no { background: #b42318 }
ul.grid, ul.errors { list-style: none; padding: 0; margin: .5rem 0 }
ul.grid { display: grid; gap: .3rem; grid-auto-flow: dense;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)) }
ul.grid li { border: 1px solid var(--line); border-left-width: .4rem; border-radius: .3rem;
  padding: .2rem .5rem; font-size: .9rem }
ul.errors li { border-bottom: 1px solid var(--line); padding: .3rem 0 }
small { opacity: .8; font-size: .8rem } small.why, ul.errors small { display: block }
.s-ready { border-left-color: #1a7f37 !important } .s-installing { border-left-color: #0969da !important }
.s-failed, .s-damaged { border-left-color: #b42318 !important; background: #b4231818; grid-column: 1 / -1 }
.s-missing { border-left-color: #9a6700 !important } .s-left-out { opacity: .5 }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .25rem .4rem;
  border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere }
td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
.bar { background: var(--soft); border-radius: .3rem; height: .8rem; overflow: hidden; margin: .4rem 0 }
.bar i { display: block; height: 100%; background: #1a7f37 }
"""


def status_page(
    readiness: Readiness, state: ServiceState, prefix: str, free_bytes: int | None, now_s: float
) -> str:
    """Return the status page.

    Args:
        readiness: The readiness of the node.
        state: The state of the service.
        prefix: Path of the prefix.
        free_bytes: Free on its disk; None if that is unknown.
        now_s: Seconds since the epoch.

    Returns:
        HTML.
    """
    badge = (
        '<span class="badge yes">ready</span>'
        if readiness.ready
        else '<span class="badge no">not ready</span>'
    )
    reasons = "".join(f"<li>{_text(reason)}</li>" for reason in readiness.reasons)
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width,initial-scale=1">',
        "<meta http-equiv=refresh content=10>",
        f"<title>monobase: {'ready' if readiness.ready else 'not ready'}</title>",
        f"<style>{_STYLE}</style></head>",
        f"<body><h1>monobase {badge}</h1>",
        f"<p><code>{_text(prefix)}</code> · latest: <b>{_text(readiness.latest or 'none')}</b></p>",
        f"<p class=dim>{_text(state.activity)} · {_utc(now_s)}</p>",
        f"<ul>{reasons}</ul>" if reasons else "",
        _retries(state),
        *(_generation(generation, readiness.latest) for generation in readiness.generations),
        _disk(state, free_bytes),
        _errors(state.last_errors()),
        "</body></html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _retries(state: ServiceState) -> str:
    rows = []
    for retry in state.retries.pending():
        in_s = state.retries.next_s(retry.subject)
        rows.append(
            f"<tr><td>{_text(retry.subject)}</td><td class=n>{retry.attempts}</td>"
            f"<td class=n>{'now' if not in_s else f'in {math.ceil(in_s)} s'}</td>"
            f"<td>{_text(retry.reason[:_REASON_CHARACTERS])}</td></tr>"
        )
    if not rows:
        return ""
    return (
        "<h2>Failed, and tried again</h2><table><tr><th>what</th><th class=n>failures</th>"
        f"<th class=n>next try</th><th>why</th></tr>{''.join(rows)}</table>"
    )


def _generation(generation: GenerationReadiness, latest: str | None) -> str:
    ready = sum(target.state == "ready" for target in generation.targets)
    left_out = sum(target.state == "left out" for target in generation.targets)
    told = "sealed" if generation.sealed else "partial"
    if generation.name == latest:
        told += ", latest"
    told += f" · {ready} of {len(generation.targets) - left_out} ready"
    if left_out:
        told += f", {left_out} left out (--only)"
    cells = []
    for target in generation.targets:
        reason = (
            f"<small class=why>{_text(target.reason[:_REASON_CHARACTERS])}</small>" if target.reason else ""
        )
        cells.append(
            f'<li class="s-{target.state.replace(" ", "-")}" title="{_text(target.state)}">'
            f"{_SIGNS[target.state]} {_text(target.name)}"
            f"{'' if target.state == 'ready' else f' <small>{target.state}</small>'}{reason}</li>"
        )
    return (
        f"<h2>{_text(generation.name)} <span class=dim>{told}</span></h2><ul class=grid>{''.join(cells)}</ul>"
    )


def _disk(state: ServiceState, free_bytes: int | None) -> str:
    usage = state.usage
    if usage is None:
        return "<h2>Disk</h2><p class=dim>not counted yet</p>"
    rows = "".join(
        f"<tr><td>{_KINDS[kind]}</td><td class=n>{decimal(count)}</td></tr>"
        for kind, count in usage.disk_bytes.items()
    )
    share = 100 * usage.saved_bytes // usage.apparent_bytes if usage.apparent_bytes else 0
    free = f", {decimal(free_bytes)} free" if free_bytes is not None else ""
    return (
        f"<h2>Disk</h2><p><b>{decimal(usage.total_bytes)}</b> on disk{free}. Without sharing, "
        f"environments and toolkits would take {decimal(usage.apparent_bytes)}: "
        f"<b>{decimal(usage.saved_bytes)}</b> "
        f"({share} %) saved.</p><div class=bar><i style='width:{share}%'></i></div><table>{rows}</table>"
    )


def _errors(errors: list[ErrorEntry]) -> str:
    if not errors:
        return "<h2>Last errors</h2><p class=dim>none</p>"
    rows = "".join(
        f"<li><small>{_utc(error.time_s)} · {_text(error.kind)} · {_text(error.subject)}</small>"
        f"{_text(error.text)}</li>"
        for error in errors
    )
    return f"<h2>Last errors</h2><ul class=errors>{rows}</ul>"


def _utc(time_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(time_s))


def _text(value: str) -> str:
    return html.escape(value)
