"""Free what is no longer needed: old generations, and then what nothing else uses.

A generation goes when its ID is below `--min-gen-id` and another one can be used in its place; never an
active one, never the target of `latest`, never one that a model has leased. Then go the toolkits,
interpreters, wheels in uv's cache, bytecode and contents that no remaining generation links and no active
definition names.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from daemon.errors import DamageError, NewerFormatError
from daemon.host.durability import sync_directory
from daemon.host.fault import fault_point
from daemon.host.modes import make_folder, make_new_folder
from daemon.host.removal import LinkCount, remove, walk
from daemon.host.system_error import system_errors
from daemon.install.pipeline import clean_leftovers
from daemon.prefix.bytecode_list import bytecode_list_path, read_bytecode_list
from daemon.prefix.generation import is_present, is_sealed
from daemon.prefix.interpreter_folder import interpreter_names_of
from daemon.prefix.latest import latest_name
from daemon.prefix.lease import describe_lease, is_leased, reserve
from daemon.prefix.manifest import MANIFEST_NAME, read_manifest
from daemon.prefix.mark import read_mark
from daemon.prefix.prefix import Prefix
from daemon.prefix.writer_lock import writer_lock
from daemon.report.progress import Reporter
from daemon.upkeep.verify import is_strange_folder
from daemon.uv.program import Uv
from gens.catalog import Catalog
from gens.errors import MonobaseError
from gens.generation import Generation

_DIGEST = re.compile(rb"[0-9a-f]{64}")
_TOOLKIT = re.compile(r"cud(a|nn)-[0-9]")
_INTERPRETER = re.compile(r"cpython-[0-9]+\.[0-9]")
_BYTECODE_KEY = re.compile(r"cpython-[0-9]")
_CONTENT = re.compile(r"[0-9a-f]{64}(\.x)?")
_POINTERS = (".http", ".rev")
_LOOKS = 5


@dataclass(slots=True)
class PrunePlan:
    """What would go.

    Attributes:
        generations: Names of generations.
        kept: Generations that are old and stay, with the reason.
        toolkits: Names below `cuda/`.
        interpreters: Names below `uv/python/`.
        wheels: Names of packages whose wheels go from uv's cache.
        paths: All that goes beside the generations; toolkits and interpreters among it.
        freed_bytes: Bytes that are free on the disk afterwards, links counted.
        freed_inodes: Inodes that are free afterwards.
        incomplete: Why only generations would go; empty when nothing is in the way.
    """

    generations: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    toolkits: list[str] = field(default_factory=list)
    interpreters: list[str] = field(default_factory=list)
    wheels: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    freed_bytes: int = 0
    freed_inodes: int = 0
    incomplete: str = ""

    @property
    def empty(self) -> bool:
        """Whether nothing would go."""
        return not self.generations and not self.paths


@dataclass(slots=True)
class _Used:
    """What the remaining generations and the active definitions use."""

    toolkits: set[str] = field(default_factory=set)
    interpreters: set[str] = field(default_factory=set)
    wheels: set[str] = field(default_factory=set)
    lists: set[Path] = field(default_factory=set)
    bytecode: set[str] = field(default_factory=set)


def plan_prune(prefix: Prefix, catalog: Catalog, min_gen_id: int, max_gen_id: int | None) -> PrunePlan:
    """Find what may go. Nothing is written.

    Args:
        prefix: The prefix.
        catalog: The generations and their locks.
        min_gen_id: Oldest active generation.
        max_gen_id: Newest active generation, or None.

    Returns:
        The plan, with what it frees.

    Raises:
        DefinitionError: No generation is active.
    """
    for _ in range(_LOOKS):
        with suppress(FileNotFoundError):  # without the lock, something may go while it is looked at
            return _plan(prefix, catalog, min_gen_id, max_gen_id)
    return _plan(prefix, catalog, min_gen_id, max_gen_id)


def _plan(prefix: Prefix, catalog: Catalog, min_gen_id: int, max_gen_id: int | None) -> PrunePlan:
    active = catalog.between(min_gen_id, max_gen_id)
    plan = PrunePlan()
    latest = latest_name(prefix)
    remaining = []
    for name in prefix.installed_generations():
        if int(name[1:]) >= min_gen_id:
            remaining.append(name)
        elif reason := _of_newer(prefix, name):
            plan.kept[name] = reason
            remaining.append(name)
        elif name == latest:
            plan.kept[name] = "`latest` names it"
            remaining.append(name)
        elif is_leased(prefix.generation(name)):
            plan.kept[name] = describe_lease(prefix.generation(name))
            remaining.append(name)
        elif reason := _without_successor(prefix, name, active):
            plan.kept[name] = reason
            remaining.append(name)
        else:
            plan.generations.append(name)
    count = LinkCount()
    for name in plan.generations:
        count.take_tree(str(prefix.generation(name)))
    try:
        used = _read_used(prefix, catalog, active, remaining)
        for error in catalog.broken_between(min_gen_id, max_gen_id).values():
            raise error
    except (MonobaseError, OSError) as error:
        plan.incomplete = f"what is in use cannot be told: {error}"
    else:
        _plan_unused(prefix, used, plan, count)
    plan.freed_bytes, plan.freed_inodes = count.freed_bytes, count.freed_inodes
    return plan


def prune(
    prefix: Prefix,
    catalog: Catalog,
    uv_program: Path,
    min_gen_id: int,
    max_gen_id: int | None,
    reporter: Reporter,
    lock_timeout_s: float | None = None,
) -> PrunePlan:
    """Remove what may go.

    Args:
        prefix: The prefix.
        catalog: The generations and their locks.
        uv_program: The uv binary.
        min_gen_id: Oldest active generation.
        max_gen_id: Newest active generation, or None.
        reporter: Where it is told.
        lock_timeout_s: How long to wait for another writer; None waits without end.

    Returns:
        What went, with the bytes that were freed.

    Raises:
        MonobaseError: The prefix is in use, or cannot be written to.
    """
    if not prefix.generations.exists():  # nothing was installed yet, or all but the first folders
        return plan_prune(prefix, catalog, min_gen_id, max_gen_id)
    with (
        system_errors(prefix.root),
        writer_lock(prefix, lock_timeout_s, reporter.info) as writer,
    ):
        clean_leftovers(prefix, reporter)
        plan = plan_prune(prefix, catalog, min_gen_id, max_gen_id)
        if plan.empty:
            return plan
        with reporter.stage("prune") as stage:
            make_new_folder(prefix.staging)
            freed = LinkCount()
            for name in list(plan.generations):
                writer.check()
                if not _rename_away(prefix, name):
                    plan.generations.remove(name)
                    plan.kept[name] = describe_lease(prefix.generation(name))
                    # What it uses stays until the next prune.
                    plan.paths, plan.toolkits, plan.interpreters, plan.wheels = [], [], [], []
            sync_directory(prefix.generations)
            fault_point("prune:renamed")
            for path in (*(str(prefix.staging / name) for name in plan.generations), *plan.paths):
                writer.check()
                removed = _remove_path(prefix, path)
                freed.freed_bytes += removed.freed_bytes
                freed.freed_inodes += removed.freed_inodes
            remove([str(prefix.staging)])
            fault_point("prune:removed")
            Uv(uv_program, prefix, inherit=writer.descriptors).run("cache", "prune")
            plan.freed_bytes, plan.freed_inodes = freed.freed_bytes, freed.freed_inodes
            stage.facts.update(
                generations=plan.generations,
                toolkits=len(plan.toolkits),
                interpreters=len(plan.interpreters),
                wheels=len(plan.wheels),
                freed_bytes=freed.freed_bytes,
            )
        return plan


def clean_uv_cache(prefix: Prefix, reporter: Reporter, lock_timeout_s: float | None = None) -> int:
    """Empty uv's cache. Installed generations keep their files, and later wheels share with them again.

    Args:
        prefix: The prefix.
        reporter: Where it is told.
        lock_timeout_s: How long to wait for another writer; None waits without end.

    Returns:
        The bytes that were freed.

    Raises:
        MonobaseError: The prefix is in use, or cannot be written to.
    """
    with system_errors(prefix.root), writer_lock(prefix, lock_timeout_s, reporter.info) as writer:
        clean_leftovers(prefix, reporter)
        with reporter.stage("clean") as stage:
            make_new_folder(prefix.staging)
            if prefix.uv_cache.exists():
                writer.check()
                prefix.uv_cache.rename(prefix.staging / "cache")
            make_folder(prefix.uv_cache)
            sync_directory(prefix.uv_cache.parent)
            freed = remove([str(prefix.staging)])
            unused = [path for path, status, is_directory in walk(str(prefix.files))
                      if not is_directory and status.st_nlink == 1]  # fmt: skip
            freed_bytes = freed.freed_bytes + remove(unused).freed_bytes
            stage.facts["freed_bytes"] = freed_bytes
    return freed_bytes


def _without_successor(prefix: Prefix, name: str, active: Sequence[Generation]) -> str:
    """Say why nothing takes the place of a generation yet; empty when something does, or nothing needs to.

    A sealed active generation does, whatever it offers: that is what somebody asked for. So does one that is
    not sealed (a part, by `--only`), when all is there that the old one offers and the active one defines.
    """
    offered = {
        entry.name
        for entry in _entries(prefix.generation(name))
        if (Path(entry.path) / MANIFEST_NAME).exists()
    }
    if not offered:
        return ""
    lacking = []
    for generation in active:
        if _is_sealed(prefix, generation):
            return ""
        both = [target for target in generation.targets if target.name in offered]
        missing = [target.name for target in both if not is_present(prefix, generation, target)]
        if both and not missing:
            return ""
        lacking.append(
            f"{generation.directory_name} has no {missing[0] if missing else 'part of what it has'} yet"
        )
    return f"no active generation takes its place: {'; '.join(lacking)}"


def _of_newer(prefix: Prefix, name: str) -> str:
    """Say that a newer monobase has written to a generation, whose rules are not known here; else empty."""
    directory = prefix.generation(name)
    try:
        with suppress(DamageError):
            read_mark(prefix.sealed_mark(name))
        for entry in _entries(directory):
            if entry.is_dir():
                with suppress(DamageError):
                    read_manifest(Path(entry.path) / MANIFEST_NAME)
    except NewerFormatError as error:
        return str(error)
    return ""


def _is_sealed(prefix: Prefix, generation: Generation) -> bool:
    try:
        return is_sealed(prefix, generation)
    except (MonobaseError, OSError):
        return False


def _rename_away(prefix: Prefix, name: str) -> bool:
    """Let a generation disappear at once; False when a model has leased it meanwhile."""
    reserved = reserve(prefix.generation(name))
    if reserved is None:
        return False
    try:
        prefix.generation(name).rename(prefix.staging / name)
    finally:
        os.close(reserved)
    return True


def _remove_path(prefix: Prefix, path: str) -> LinkCount:
    """Remove something whose name must not stand for half of it."""
    if not os.path.isdir(path) or os.path.islink(path) or path.startswith(f"{prefix.staging}/"):  # noqa: PTH112, PTH114
        return remove([path])
    away = prefix.staging / f"removed.{Path(path).name}"
    Path(path).rename(away)
    sync_directory(Path(path).parent)
    return remove([str(away)])


def _read_used(
    prefix: Prefix, catalog: Catalog, active: tuple[Generation, ...], remaining: list[str]
) -> _Used:
    used = _Used()
    for generation in active:
        for target in generation.targets:
            used.wheels |= {wheel.sha256 for wheel in catalog.lock(generation, target).wheels}
            used.interpreters |= {
                path.name for path in prefix.uv_python.glob(f"cpython-{target.inputs.python}-*")
            }
    for name in remaining:
        for entry in _entries(prefix.generation(name)):
            if entry.is_symlink():
                used.toolkits.add(Path(os.readlink(entry.path)).name)  # noqa: PTH115
            elif entry.is_dir() and not is_strange_folder(Path(entry.path)):
                _use_environment(prefix, Path(entry.path), used)
    for path in used.lists:
        wheel_sha256, key = path.name.removesuffix(".pyc.gz").split(".", 1)
        used.bytecode |= {
            f"{key}/{file.source_sha256}-{file.sha256}"
            for file in read_bytecode_list(prefix, wheel_sha256, key) or ()
        }
    return used


def _use_environment(prefix: Prefix, tree: Path, used: _Used) -> None:
    manifest = read_manifest(tree / MANIFEST_NAME)
    used.wheels |= {part.wheel_sha256 for part in manifest.wheels}
    used.lists |= {bytecode_list_path(prefix, part.wheel_sha256, part.key) for part in manifest.bytecode}
    used.interpreters |= set(interpreter_names_of(prefix, tree))


def _plan_unused(prefix: Prefix, used: _Used, plan: PrunePlan, count: LinkCount) -> None:
    gone: set[str] = set()

    def go(path: Path | str) -> None:
        if str(path) not in gone:  # two names of a wheel may lead to one archive
            gone.add(str(path))
            plan.paths.append(str(path))
            count.take_tree(str(path))

    for entry in _entries(prefix.toolkits):
        # And not what a file system or a person keeps there: `verify` tells of that.
        made = _TOOLKIT.match(entry.name) and os.path.lexists(f"{entry.path}/{MANIFEST_NAME}")
        if entry.is_dir(follow_symlinks=False) and made and entry.name not in used.toolkits:
            plan.toolkits.append(entry.name)
            go(entry.path)
    for entry in _entries(prefix.uv_python):
        managed = entry.is_dir(follow_symlinks=False) and _INTERPRETER.match(entry.name)
        if managed and entry.name not in used.interpreters:
            plan.interpreters.append(entry.name)
            go(entry.path)
    for entry in _entries(prefix.uv_python):
        name = os.readlink(entry.path) if entry.is_symlink() else entry.name  # noqa: PTH115
        if Path(name).name.removeprefix(".").removesuffix(
            ".complete"
        ) in plan.interpreters and not entry.is_dir(follow_symlinks=False):
            go(entry.path)
    for name, pointer, archive in _unused_wheels(prefix.uv_cache, used.wheels):
        plan.wheels.append(name)
        link = pointer.with_name(pointer.name.removesuffix(pointer.suffix))
        go(pointer)
        if os.path.lexists(link):
            go(link)
        if archive is not None:
            go(archive)
    for entry in _entries(prefix.wheels):
        if entry.is_dir(follow_symlinks=False):
            continue
        is_list = entry.name.endswith(".pyc.gz")
        if (is_list and Path(entry.path) not in used.lists) or (
            not is_list and entry.name.partition(".")[0] not in used.wheels
        ):
            go(entry.path)
    keys = {name.partition("/")[0] for name in used.bytecode}
    for entry in _entries(prefix.bytecode):
        if entry.is_dir(follow_symlinks=False) and not _BYTECODE_KEY.match(entry.name):
            continue
        if entry.name not in keys:
            go(entry.path)
            continue
        for path, _, is_directory in walk(entry.path):
            if not is_directory and f"{entry.name}/{Path(path).stem}" not in used.bytecode:
                go(path)
    for path, status, is_directory in walk(str(prefix.files)):
        if not is_directory and _CONTENT.fullmatch(Path(path).name) and count.links_left(status) == 1:
            go(path)


def _unused_wheels(cache: Path, used: set[str]) -> Iterator[tuple[str, Path, Path | None]]:
    for package in (*cache.glob("wheels-v*/*/*"), *cache.glob("wheels-v*/index/*/*")):
        if not package.is_dir() or package.is_symlink():
            continue
        for pointer in package.iterdir():
            if pointer.suffix not in _POINTERS or not pointer.is_file():
                continue
            digests = {digest.decode() for digest in _DIGEST.findall(pointer.read_bytes())}
            if not digests or digests & used:
                continue
            link = pointer.with_name(pointer.name.removesuffix(pointer.suffix))
            archive = link.resolve()
            inside = link.is_symlink() and archive.is_dir() and archive.parent.parent == cache.resolve()
            yield package.name, pointer, archive if inside else None


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    try:
        return sorted(os.scandir(directory), key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
