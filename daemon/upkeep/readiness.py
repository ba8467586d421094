"""Reads whether a node is ready: what is selected of each active generation is sealed and undamaged.

And `latest` names the newest generation of which anything is selected.

Each answer reads the prefix, whichever process has changed it. Only damage that takes a scan of all files to
find comes from the last scan (`daemon/upkeep/scan.py`). The service answers with it, and so does the command
`ready`, which loads nothing of the service.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from daemon.host.retries import Retry
from daemon.prefix.environments_file import has_told
from daemon.prefix.finding import Finding, by_tree, count_differences
from daemon.prefix.generation import is_present, read_seal
from daemon.prefix.interpreter_folder import interpreter_names_of
from daemon.prefix.latest import latest_name
from daemon.prefix.manifest_memory import ManifestMemory
from daemon.prefix.mark import Mark
from daemon.prefix.mark_check import check_mark
from daemon.prefix.prefix import Prefix
from daemon.prefix.toolkit_tree import toolkit_behind
from daemon.prefix.tree_label import (
    generation_label,
    interpreter_label,
    is_interpreter,
    target_label,
    toolkit_label,
)
from gens.catalog import Catalog
from gens.errors import MonobaseError
from gens.generation import Generation, Target
from gens.selection import EVERYTHING, Selection

State = Literal["ready", "missing", "installing", "failed", "damaged", "left out", "on demand"]
NOT_REQUESTED = frozenset({"left out", "on demand"})
_NAMED = 5


@dataclass(frozen=True, slots=True)
class TargetReadiness:
    """An environment or toolkit of an active generation.

    Attributes:
        name: Such as `python3.11-torch2.4.1-cu121`.
        kind: `environment` or `toolkit`.
        state: `ready` when it is installed and not known to be damaged, whether or not it is selected;
            `left out` when it is not installed, as it is not selected; `on demand` when it is not installed,
            as no model has asked for it.
        reason: Why it is not ready, if that is known.
    """

    name: str
    kind: Literal["environment", "toolkit"]
    state: State
    reason: str = ""


@dataclass(frozen=True, slots=True)
class GenerationReadiness:
    """An active generation.

    Attributes:
        name: Such as `g00003`.
        ready: Whether what is selected of it is sealed and undamaged.
        sealed: Whether what is selected of it is sealed.
        reason: Why it is not ready; empty when it is.
        targets: Its environments, then its toolkits.
        whole: Whether it is ready, and nothing of its definition is left out.
        settled: Whether its mark and its list are those of the selection of now.
        checked: Whether its mark could be read, and its files were scanned since the daemon started.
    """

    name: str
    ready: bool
    sealed: bool
    reason: str
    targets: tuple[TargetReadiness, ...]
    whole: bool = False
    settled: bool = True
    checked: bool = True

    @property
    def requested(self) -> int:
        """Number of the environments and toolkits that are installed or required."""
        return sum(target.state not in NOT_REQUESTED for target in self.targets)


@dataclass(frozen=True, slots=True)
class Readiness:
    """The readiness of a node.

    Attributes:
        ready: Whether the node is ready.
        reasons: Why it is not; empty when it is.
        latest: What `latest` names, or None.
        generations: The active generations, newest first.
        retries: The failures, and when each is tried again; a node may be ready all the same.
        elsewhere: Names of the generations of the range that have nothing for this machine.
        selection: The option that says what this node holds of each generation; empty for everything.
        lagging: The sealed generation that `latest` should name, and does not; else None.
    """

    ready: bool
    reasons: tuple[str, ...]
    latest: str | None
    generations: tuple[GenerationReadiness, ...]
    retries: tuple[Retry, ...] = ()
    elsewhere: tuple[str, ...] = ()
    selection: str = ""
    lagging: str | None = None


@dataclass(frozen=True, slots=True)
class SourceKnown:
    """The work of a source of wheels since the daemon started.

    Attributes:
        name: Name of the source, without a password.
        received_bytes: Bytes that it sent.
        failures: Its failures by reason, such as `denied`; none that did not occur.
    """

    name: str
    received_bytes: int
    failures: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """The state of a daemon that the prefix itself does not show.

    Attributes:
        failures: Why an environment or toolkit could not be installed, by `g00003/NAME`; or a generation as a
            whole, by `g00003`.
        damage: The findings of the last scan, by name of the generation.
        installing: Names of the generations that are being installed.
        general: Why nothing can be installed, such as a full disk; empty when something can.
        scanned: Whether the daemon has scanned the files since it started.
        retries: The failures, and when each is tried again.
        unchecked: Why the files of a generation could not be scanned, by its name.
        sources: The work of each source of wheels, in their order.
    """

    failures: Mapping[str, str]
    damage: Mapping[str, Sequence[Finding]]
    installing: frozenset[str] = frozenset()
    general: str = ""
    scanned: bool = True
    retries: tuple[Retry, ...] = ()
    unchecked: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[SourceKnown, ...] = ()


NOTHING_KNOWN = Known({}, {})


def read_readiness(
    prefix: Prefix,
    catalog: Catalog,
    min_gen_id: int | None,
    max_gen_id: int | None,
    known: Known = NOTHING_KNOWN,
    selection: Selection = EVERYTHING,
    memory: ManifestMemory | None = None,
) -> Readiness:
    """Compare the active generations with the prefix, reading only marks and manifests.

    Args:
        prefix: The prefix; it may be empty or not exist.
        catalog: The generations.
        min_gen_id: Oldest active generation, or None.
        max_gen_id: Newest active generation, or None.
        known: The state of the daemon.
        selection: The part of each generation that this node holds.
        memory: The manifests that were read and need not be read again; None to read each.

    Returns:
        The readiness, with all reasons against it.

    Raises:
        DefinitionError: No generation is active, or there is no such pool.
    """
    selection = catalog.resolve(selection)
    active = sorted(catalog.between(min_gen_id, max_gen_id), key=lambda item: item.id, reverse=True)
    generations = tuple(_generation(prefix, generation, known, selection, memory) for generation in active)
    reasons = [
        f"{generation.name}: {generation.reason}" for generation in generations if not generation.ready
    ]
    latest = latest_name(prefix)
    newest = next((item.directory_name for item in active if selection.targets(item)), latest)
    broken = catalog.broken_between(min_gen_id, max_gen_id)
    reasons += [f"{name}: {error}" for name, error in broken.items()]
    if latest != newest:
        reasons.append(f"latest: names {latest or 'nothing'} instead of {newest}")
    if reasons and known.general:
        reasons.append(known.general)
    elsewhere = tuple(catalog.elsewhere_between(min_gen_id, max_gen_id))
    lagging = next((item.name for item in generations if item.name == newest != latest and item.sealed), None)
    return Readiness(
        not reasons, tuple(reasons), latest, generations, known.retries, elsewhere, selection.option, lagging
    )


def readiness_text(readiness: Readiness) -> str:
    """Return lines on whether the node is ready, on why it is not, and on failures that are tried again."""
    if readiness.ready:
        names = " ".join(generation.name for generation in readiness.generations)
        part = f", {readiness.selection}" if readiness.selection else ""
        lines = [f"ready: {names}, latest {readiness.latest or 'none'}{part}"]
    else:
        lines = ["not ready", *readiness.reasons]
        if readiness.selection:
            lines.append(f"selected: {readiness.selection}")
    if readiness.elsewhere:
        lines.append(f"nothing for this machine: {' '.join(readiness.elsewhere)}")
    lines += [retry_text(retry) for retry in readiness.retries]
    return "".join(f"{line}\n" for line in lines)


def retry_text(retry: Retry) -> str:
    """Return one line on a failure, and on when it is tried again."""
    often = "once" if retry.attempts == 1 else f"{retry.attempts} times in a row"
    at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(retry.next_try_s))
    return f"{retry.subject} failed {often}, next try at {at}: {retry.reason}"


def _generation(
    prefix: Prefix,
    generation: Generation,
    known: Known,
    selection: Selection,
    memory: ManifestMemory | None,
) -> GenerationReadiness:
    name = generation.directory_name
    mark, unreadable = None, ""
    marked: list[Finding] = []
    try:
        mark = read_seal(prefix, generation)
        if mark is not None:
            check_mark(prefix, name, marked, memory)
    except (MonobaseError, OSError) as error:
        unreadable = str(error)
    findings = list(dict.fromkeys([*known.damage.get(name, ()), *marked]))
    found = by_tree(findings)
    targets = tuple(
        _target(prefix, generation, target, found, known, selection) for target in generation.targets
    )
    holds, names = bool(selection.targets(generation)), selection.required(generation)
    sealed = mark is not None and mark.covers(names)
    settled = not holds or (
        sealed and mark is not None and _is_settled(prefix, mark, name, targets, selection)
    )
    reason = unreadable or next(_reasons(name, sealed or not holds, findings, targets, known), "")
    whole = not reason and all(target.state == "ready" for target in targets)
    checked = not unreadable and known.scanned and name not in known.unchecked
    return GenerationReadiness(name, not reason, sealed, reason, targets, whole, settled, checked)


def _is_settled(
    prefix: Prefix, mark: Mark, name: str, targets: Sequence[TargetReadiness], selection: Selection
) -> bool:
    """Return whether a mark and its list are those of the selection, as its pool is defined now."""
    if not mark.is_part:
        return True
    present = {target.name for target in targets if target.state in {"ready", "damaged"}}
    left_out = {target.name for target in targets if target.state == "left out"}
    return mark.is_settled(selection.option) and has_told(prefix, name, present, left_out)


def _reasons(
    name: str, sealed: bool, findings: Sequence[Finding], targets: Sequence[TargetReadiness], known: Known
) -> Iterator[str]:
    """Yield the reasons why a generation is not ready, the most important one first."""
    if findings:
        yield f"{count_differences(findings)} from what was sealed: {_some([str(item) for item in findings])}"
    missing = [target for target in targets if target.state in {"missing", "installing", "failed"}]
    if name in known.failures and (missing or not sealed):
        yield known.failures[name]
    requested = sum(target.state not in NOT_REQUESTED for target in targets)
    if missing:
        named = [f"{target.name} ({target.reason or target.state})" for target in missing]
        yield f"{requested - len(missing)} of {requested} ready; missing: {_some(named)}"
    if not sealed:
        yield "complete, not sealed yet"
    if name in known.unchecked:
        yield f"its files could not be scanned: {known.unchecked[name]}"
    if not known.scanned:
        yield "its files have not been scanned since the daemon started"


def _target(
    prefix: Prefix,
    generation: Generation,
    target: Target,
    found: Mapping[str, Sequence[Finding]],
    known: Known,
    selection: Selection,
) -> TargetReadiness:
    name = target.name
    label = f"{generation.directory_name}/{name}"
    try:
        present = is_present(prefix, generation, target)
    except OSError as error:
        return TargetReadiness(name, target.kind, "failed", f"cannot be read: {error.strerror}")
    if present:
        damage = _damage(prefix, generation.directory_name, name, found)
        if damage:
            return TargetReadiness(name, target.kind, "damaged", _some([str(item) for item in damage], 1))
        return TargetReadiness(name, target.kind, "ready")
    if not selection.has(name):
        return TargetReadiness(name, target.kind, "left out")
    if not selection.requires(name):
        return TargetReadiness(name, target.kind, "on demand", known.failures.get(label, ""))
    if label in known.failures:
        return TargetReadiness(name, target.kind, "failed", known.failures[label])
    if generation.directory_name in known.failures:
        return TargetReadiness(name, target.kind, "failed")
    installing = generation.directory_name in known.installing
    return TargetReadiness(name, target.kind, "installing" if installing else "missing")


def _damage(
    prefix: Prefix, generation: str, name: str, found: Mapping[str, Sequence[Finding]]
) -> list[Finding]:
    """Return the findings of a target: of its tree, its toolkit or its interpreter."""
    if not found:
        return []
    top = found.get(generation_label(generation), ())
    damage = [item for item in top if item.path == name or item.path.startswith(f"{name}/")]
    damage += found.get(target_label(generation, name), ())
    tree = prefix.target(generation, name)
    toolkit = toolkit_behind(tree)
    if toolkit is not None:
        return [*damage, *found.get(toolkit_label(toolkit), ())]
    if any(is_interpreter(label) for label in found):
        for interpreter in interpreter_names_of(prefix, tree):
            damage += found.get(interpreter_label(interpreter), ())
    return damage


def _some(texts: Sequence[str], count: int = _NAMED) -> str:
    more = f"; and {len(texts) - count} more" if len(texts) > count else ""
    return "; ".join(texts[:count]) + more
