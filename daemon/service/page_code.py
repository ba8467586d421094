"""The style and the script of the status page, and the policy that allows nothing else to run on it.

The script asks for the page again every few seconds and replaces the parts that changed, so that scrolling,
selection and keyboard focus stay. Without a script the page reloads itself.
"""

import base64
import hashlib

STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1f2328; --dim: #59636e; --line: #d1d9e0;
  --head: #f6f8fa; --ready: #d7f0de; --ready-line: #1a7f37; --installing: #d9ebff; --installing-line: #0969da;
  --missing: #fff3d1; --missing-line: #9a6700; --failed: #ffdfdb; --failed-line: #b42318;
  --yes: #1a7f37; --no: #b42318 }
@media (prefers-color-scheme: dark) { :root { --back: #0d1117; --text: #e6edf3; --dim: #a0aab5;
  --line: #3d444d; --head: #161b22; --ready: #12361f; --ready-line: #3fb950; --installing: #10325c;
  --installing-line: #58a6ff; --missing: #3d2f06; --missing-line: #d29922; --failed: #56201c;
  --failed-line: #ff7b72 } }
* { box-sizing: border-box }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 1rem;
  background: var(--back); color: var(--text); overflow-wrap: anywhere }
h1 { font-size: 1.3rem; margin: 0 } h2 { font-size: 1.05rem; margin: 1.8rem 0 .4rem }
p { margin: .3rem 0 } small, .dim { color: var(--dim) } small { font-size: .78rem; font-weight: 400 }
h2 .dim { font-weight: 400 }
.badge { display: inline-block; border-radius: 1rem; padding: .1rem .7rem; font-weight: 600; color: #fff }
.yes { background: var(--yes) } .no { background: var(--no) }
#stale { background: var(--missing); border: 1px solid var(--missing-line); border-radius: .4rem;
  padding: .3rem .6rem }
#stale:empty { display: none }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .4rem; margin: .4rem 0 }
.scroll:focus-visible { outline: 2px solid var(--installing-line) }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .25rem .5rem; vertical-align: top; border-top: 1px solid var(--line) }
thead th { background: var(--head); border-top: 0 } .n { text-align: right; white-space: nowrap }
.grid table { min-width: max-content } .grid th, .grid td { white-space: nowrap }
.grid td { border-left: 1px solid var(--line); min-width: 4.2rem; line-height: 1.25 }
.grid th:first-child { position: sticky; left: 0; width: 8rem; background: var(--head) }
.grid small { display: block } .grid small b { color: var(--text) }
.ready { background: var(--ready); box-shadow: inset 3px 0 var(--ready-line) }
.installing { background: var(--installing); box-shadow: inset 3px 0 var(--installing-line) }
.missing { background: var(--missing); box-shadow: inset 3px 0 var(--missing-line) }
.failed, .damaged { background: var(--failed); box-shadow: inset 3px 0 var(--failed-line) }
.failed b, .damaged b { color: var(--failed-line) } .left-out, .on-demand { color: var(--dim) }
ul.chips, ul.plain { list-style: none; padding: 0; margin: .4rem 0 }
ul.chips { display: flex; flex-wrap: wrap; gap: .3rem }
ul.chips li { border-radius: .3rem; padding: .1rem .6rem; border: 1px solid var(--line) }
ul.plain li { border-bottom: 1px solid var(--line); padding: .3rem 0 } ul.plain small { display: block }
.bar { display: block; width: 100%; height: 1.1rem; border-radius: .3rem; margin: .5rem 0 }
.disk th { font-weight: 400 }
.key { display: inline-block; width: .8rem; height: .8rem; border-radius: .15rem; margin-right: .4rem }
.k0 { fill: #1f6feb; background: #1f6feb } .k1 { fill: #a371f7; background: #a371f7 }
.k2 { fill: #2da44e; background: #2da44e } .k3 { fill: #e16f24; background: #e16f24 }
.k4 { fill: #bf8700; background: #bf8700 } .k5 { fill: #8b949e; background: #8b949e }
.saved { fill: var(--head); stroke: var(--line); background: var(--head); outline: 1px dashed var(--dim) }
@media (max-width: 40rem) { body { padding: .6rem; font-size: 14px } th, td { padding: .2rem .35rem }
  .grid td { min-width: 3.6rem } .grid th:first-child { width: 5.5rem } }
"""
SCRIPT = """
"use strict";
const EVERY_MS = 5000, PATIENCE_MS = 15000;
let timer = 0, since = new Date();
const put = (old, fresh) => {
  const lefts = [...old.querySelectorAll(".scroll")].map(item => item.scrollLeft);
  const focused = [...old.querySelectorAll(".scroll")].indexOf(document.activeElement);
  old.replaceWith(fresh);
  const scrolls = [...fresh.querySelectorAll(".scroll")];
  scrolls.forEach((item, place) => { item.scrollLeft = lefts[place] || 0; });
  if (scrolls[focused]) scrolls[focused].focus({preventScroll: true});
};
const show = page => {
  const ids = root => [...root.querySelectorAll("[data-live]")].map(part => part.id);
  document.title = page.title;
  if (ids(document).join() !== ids(page).join()) return put(document.body, page.body);
  for (const id of ids(page)) {
    const old = document.getElementById(id), fresh = page.getElementById(id);
    if (old.outerHTML !== fresh.outerHTML) put(old, fresh);
  }
};
const look = async () => {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, {cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS)});
    const text = await answer.text();
    if (!answer.ok) throw new Error(text.slice(0, 300));
    show(new DOMParser().parseFromString(text, "text/html"));
    since = new Date();
    document.getElementById("stale").textContent = "";
  } catch (error) {
    const time = since.toISOString().slice(11, 19);
    document.getElementById("stale").textContent =
      `No answer from the daemon since ${time} UTC: what follows may be old.`;
  }
  clearTimeout(timer);
  timer = setTimeout(look, EVERY_MS);
};
document.addEventListener("visibilitychange", look);
timer = setTimeout(look, EVERY_MS);
"""


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


POLICY = (
    f"default-src 'none'; style-src {_source(STYLE)}; script-src {_source(SCRIPT)}; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of the page: markup that got into it would neither run nor load anything."""
