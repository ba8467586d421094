"""One install: plan → fetch → link → compile → lay out → seal, under the lock of the one writer."""

import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from daemon.download_limit.limiting_proxy import proxy_variables
from daemon.errors import DamageError, PrefixError
from daemon.host.durability import sync_filesystem
from daemon.host.fault import fault_point
from daemon.host.known_contents import KnownContents
from daemon.host.system_error import system_errors
from daemon.install.archive_check import drop_damaged_wheels
from daemon.install.fetch import Fetcher
from daemon.install.linked_tree import LinkedTree
from daemon.install.lock_index import CacheFolders
from daemon.install.plan import Plan, Wanted, check_room, make_plan, wheels_to_fetch
from daemon.install.seal import Finished, finish_environment, finish_toolkit
from daemon.install.toolkit import lay_out_toolkit
from daemon.install.workbench import Workbench, make_workbench
from daemon.interpreters.interpreter import provide_interpreters
from daemon.interpreters.running_interpreter import Interpreter
from daemon.prefix.environments_file import write_environments
from daemon.prefix.generation import is_present, is_sealed
from daemon.prefix.latest import point_latest
from daemon.prefix.prefix import LATEST_NAME, Prefix
from daemon.prefix.publication import CompleteTree, publish, seal
from daemon.prefix.staging import begin_staging, end_staging
from daemon.prefix.standing_tree import check_tree
from daemon.prefix.store_mounts import check_stores
from daemon.prefix.toolkit_tree import toolkit_directory_name
from daemon.prefix.writer_lock import WriterLock, writer_lock
from daemon.report.progress import Reporter, Stage
from daemon.uv.cache import remove_leftovers, remove_outdated
from daemon.uv.leftovers import clean_leftovers
from daemon.uv.program import Downloads, Uv
from gens.catalog import Catalog
from gens.errors import MonobaseError
from gens.generation import Generation, Toolkit

T = TypeVar("T")
R = TypeVar("R")
_UNWRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EXDEV)
# What stands in the way of one generation, such as a file in place of its folder, and of no other.
_IN_THE_WAY = (
    errno.EEXIST,
    errno.ENOTEMPTY,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENOENT,
    errno.ENAMETOOLONG,
    errno.ELOOP,
)


@dataclass(frozen=True, slots=True)
class InstallOptions:
    """What an operator decides about an install.

    Attributes:
        min_gen_id: Oldest active generation, or None.
        max_gen_id: Newest active generation, or None.
        only: Patterns of environments and toolkits; none means all.
        jobs: How many things are done at once.
        copy: Whether files are copied, where the file system has no hard links.
        downloads: Whether interpreters may be downloaded.
        index_url: Default index, or None for uv's own configuration.
        lock_timeout_s: How long to wait for another writer; None waits without end.
        proxy_url: The proxy that uv goes through for every host; None for what the machine's variables say.
        generation_id: The one generation of the range to install now; None for all of it. `latest` names
            the newest sealed one of the range all the same.
        uv_downloads: How uv downloads.
    """

    min_gen_id: int | None = None
    max_gen_id: int | None = None
    only: tuple[str, ...] = ()
    jobs: int = 2
    copy: bool = False
    downloads: bool = True
    index_url: str | None = None
    lock_timeout_s: float | None = None
    proxy_url: str | None = None
    generation_id: int | None = None
    uv_downloads: Downloads = field(default_factory=Downloads)


@dataclass(slots=True)
class InstallResult:
    """What an install did.

    Attributes:
        installed: Environments and toolkits that are new, as `g00003/cuda12.4`.
        sealed: Generations that are sealed now.
        partial: Generations that lack something still.
        latest: What `latest` names, or None.
        fetched_bytes: Bytes of the wheels that were downloaded.
        failures: What could not be done, and why: targets such as `g00003/cuda12.4`, a generation as a
            whole, such as `g00003`, or `latest`.
        seconds: How long it took.
    """

    installed: list[str] = field(default_factory=list)
    sealed: list[str] = field(default_factory=list)
    partial: list[str] = field(default_factory=list)
    latest: str | None = None
    fetched_bytes: int = 0
    failures: dict[str, MonobaseError] = field(default_factory=dict)
    seconds: float = 0.0

    def fail(self, label: str, error: MonobaseError, reporter: Reporter) -> None:
        """Note and tell what could not be installed, and why."""
        self.failures[label] = error
        reporter.error(str(error), target=label)


def install(
    prefix: Prefix, catalog: Catalog, uv_program: Path, options: InstallOptions, reporter: Reporter
) -> InstallResult:
    """Install what is missing of the active generations.

    What fails leaves the rest alone: every other environment is installed, every other generation sealed, and
    the failures are told at the end.

    Args:
        prefix: Where to.
        catalog: The generations and their locks.
        uv_program: The uv binary.
        options: What an operator decides.
        reporter: Where progress is told.

    Returns:
        What was done, with what could not be.

    Raises:
        MonobaseError: Nothing could be done at all: a usage error, a full disk, a prefix in use.
    """
    began = time.monotonic()
    result = InstallResult()
    with system_errors(prefix.root):
        prefix.make_directories()
        with writer_lock(prefix, options.lock_timeout_s, reporter.info) as writer:
            uv = make_uv(uv_program, writer, options)
            bench = make_workbench(prefix, uv, options.jobs, links=not options.copy)
            clean_leftovers(prefix, reporter)
            with reporter.stage("plan", 0) as stage:
                plan = _plan(prefix, catalog, options)
                stage.facts.update(_plan_facts(plan))
                check_room(prefix, plan, copy=options.copy)
            for label, error in plan.failures.items():
                result.fail(label, error, reporter)
            fault_point("plan:done")
            if plan.wanted:
                begin_staging(prefix)
                check_stores(prefix, copy=options.copy)
                _Install(writer, uv, options, reporter, result, bench).run(plan)
                end_staging(prefix)
                # A uv that gives up on a stalled download may end before its own cleaning does.
                remove_leftovers(prefix.uv_cache)
            for item in plan.generations:
                if item.can_be_sealed:
                    _seal(writer, item.generation, result, reporter, bench.known)
            active = catalog.between(options.min_gen_id, options.max_gen_id)
            _point_latest(writer, _sealed(prefix, active), result, reporter)
    result.seconds = round(time.monotonic() - began, 2)
    return result


def make_uv(program: Path, writer: WriterLock, options: InstallOptions) -> Uv:
    """Give uv as an operator wants it to be run.

    Args:
        program: The uv binary.
        writer: The lock, whose descriptors it keeps.
        options: What an operator decides.
    """
    return Uv(
        program, writer.prefix, options.index_url, "copy" if options.copy else "hardlink", writer.descriptors,
        proxy_variables(options.proxy_url) if options.proxy_url else {}, options.uv_downloads,
    )  # fmt: skip


def _plan(prefix: Prefix, catalog: Catalog, options: InstallOptions) -> Plan:
    one = options.generation_id
    return make_plan(
        prefix,
        catalog,
        min_gen_id=options.min_gen_id if one is None else one,
        max_gen_id=options.max_gen_id if one is None else one,
        only=options.only,
    )


def _seal(
    writer: WriterLock,
    generation: Generation,
    result: InstallResult,
    reporter: Reporter,
    known: KnownContents,
) -> None:
    name = generation.directory_name
    try:
        with _of_one(writer.prefix.generation(name)):
            if not is_sealed(writer.prefix, generation):
                _check_what_stood(writer.prefix, generation, result, known)
            if seal(writer, generation):
                result.sealed.append(name)
            elif writer.prefix.generation(name).is_dir():  # --only may leave all of it out
                result.partial.append(name)
    except PrefixError:
        raise
    except MonobaseError as error:
        result.fail(name, error, reporter)


def _check_what_stood(
    prefix: Prefix, generation: Generation, result: InstallResult, known: KnownContents
) -> None:
    """Read what an earlier run published: nothing is sealed whose bytes were not known to be right."""
    if not all(is_present(prefix, generation, target) for target in generation.targets):
        return
    for target in generation.targets:
        label = f"{generation.directory_name}/{target.name}"
        if label not in result.installed:
            check_tree(prefix, prefix.target(generation.directory_name, target.name), label, known)


def _point_latest(
    writer: WriterLock, sealed: Sequence[Generation], result: InstallResult, reporter: Reporter
) -> None:
    try:
        with _of_one(writer.prefix.latest):
            result.latest = point_latest(writer, sealed)
    except DamageError as error:
        result.fail(LATEST_NAME, error, reporter)


def _sealed(prefix: Prefix, generations: Sequence[Generation]) -> list[Generation]:
    """Give those that are sealed; one whose mark says nothing sound is not."""
    found = []
    for generation in generations:
        with suppress(MonobaseError):
            if is_sealed(prefix, generation):
                found.append(generation)
    return found


class _Install:
    """The stages of one install after its plan."""

    def __init__(
        self,
        writer: WriterLock,
        uv: Uv,
        options: InstallOptions,
        reporter: Reporter,
        result: InstallResult,
        bench: Workbench,
    ) -> None:
        self._writer = writer
        self._prefix = writer.prefix
        self._uv = uv
        self._options = options
        self._reporter = reporter
        self._result = result
        self._bench = bench

    def run(self, plan: Plan) -> None:
        """Run the stages: fetch for all, the others a generation at a time, newest first."""
        interpreters, missing = provide_interpreters(
            self._uv,
            {wanted.target.inputs.python for wanted in plan.wanted},
            downloads=self._options.downloads,
            warn=self._reporter.warning,
        )
        if not interpreters:  # toolkits need one as well: uv fetches with it
            for item in plan.wanted:
                self._fail(item, missing[item.target.inputs.python])
            return
        possible = [item for item in plan.wanted if _python(item) not in missing]
        for item in plan.wanted:
            if _python(item) in missing:
                self._fail(item, missing[item.target.inputs.python])
        bad_wheels = self._fetch(possible, next(iter(interpreters.values())))
        for generation in plan.generations:
            wanted = [item for item in generation.wanted if item in possible]
            if wanted:
                self._try_generation(generation.generation, wanted, interpreters, bad_wheels)

    def _fetch(self, wanted: Sequence[Wanted], interpreter: Interpreter) -> dict[str, MonobaseError]:
        """Bring the wheels that uv's cache lacks, or has damaged; why one cannot be used, by its digest."""
        bench = self._bench
        wheels = {wheel.sha256: wheel for item in wanted for wheel in item.lock.wheels}
        with self._reporter.stage("fetch", unit="bytes") as stage:
            folder = CacheFolders(self._uv, interpreter.executable).find()
            outdated = remove_outdated(self._prefix.uv_cache, folder)
            if outdated:
                self._reporter.warning(
                    f"this uv does not read {' '.join(outdated)} in its cache, which another one wrote: "
                    "removed; what is needed of it is fetched again"
                )
            unusable = drop_damaged_wheels(self._prefix, wheels.values(), bench.known, self._reporter.warning)
            items = [
                item for item in wheels_to_fetch(self._prefix, wanted) if item.wheel.sha256 not in unusable
            ]
            stage.total = sum(item.wheel.size_bytes for item in items)
            fetcher = Fetcher(
                self._prefix, self._uv, bench.store, interpreter, self._options.jobs, bench.known
            )
            failures = unusable | fetcher.fetch(items, stage)
            arrived = [item.wheel for item in items if item.wheel.sha256 not in failures]
            self._result.fetched_bytes = sum(wheel.size_bytes for wheel in arrived)
            stage.facts.update(wheels=len(arrived), fetched_bytes=self._result.fetched_bytes)
            if failures:
                stage.facts["failed_wheels"] = len(failures)
        return failures

    def _try_generation(
        self,
        generation: Generation,
        wanted: Sequence[Wanted],
        interpreters: dict[str, Interpreter],
        bad_wheels: dict[str, MonobaseError],
    ) -> None:
        name = generation.directory_name
        try:
            with _of_one(self._prefix.generation(name)):
                self._install_generation(generation, wanted, interpreters, bad_wheels)
        except PrefixError:
            raise
        except MonobaseError as error:
            self._result.fail(name, error, self._reporter)

    def _install_generation(
        self,
        generation: Generation,
        possible: Sequence[Wanted],
        interpreters: dict[str, Interpreter],
        bad_wheels: dict[str, MonobaseError],
    ) -> None:
        wanted = []
        for item in possible:
            bad = next((wheel.sha256 for wheel in item.lock.wheels if wheel.sha256 in bad_wheels), None)
            if bad is None:
                wanted.append(item)
            else:
                self._fail(item, bad_wheels[bad])
        write_environments(self._prefix, generation, sealed=False)
        toolkits = [(item, item.target) for item in wanted if isinstance(item.target, Toolkit)]
        environments = self._link(
            [item for item in wanted if not isinstance(item.target, Toolkit)], interpreters
        )
        fault_point("link:linked")
        with self._reporter.stage("compile") as stage:
            stage.facts["sources"] = self._bench.compiler.compile_missing(environments, stage)
            environments = self._each(environments, self._bytecode, lambda tree: tree.wanted, stage)
        with self._reporter.stage("lay out", len(toolkits)) as stage:
            finished = self._each(toolkits, self._lay_out, lambda item: item[0], stage)
            stage.facts["toolkits"] = len(finished)
            fault_point("layout:toolkit")
        with self._reporter.stage("seal", len(environments)) as stage:
            finished += self._each(environments, self._finish, lambda tree: tree.wanted, stage)
            publish(self._writer, generation, [item.tree for item in finished])
            self._result.installed += [item.wanted.label for item in finished]
            stage.facts.update(installed=len(finished), generation=generation.directory_name)

    def _link(self, wanted: Sequence[Wanted], interpreters: dict[str, Interpreter]) -> list[LinkedTree]:
        with self._reporter.stage("link", len(wanted)) as stage:
            trees = self._each(
                wanted,
                lambda item: self._bench.linker.link_environment(
                    item, interpreters[item.target.inputs.python]
                ),
                lambda item: item,
                stage,
            )
            sync_filesystem(self._prefix.root)
            for tree in trees:
                self._bench.linker.share(tree)
            stage.facts["environments"] = len(trees)
        return trees

    def _bytecode(self, tree: LinkedTree) -> LinkedTree:
        self._bench.compiler.link_bytecode(tree)
        return tree

    def _lay_out(self, item: tuple[Wanted, Toolkit]) -> Finished:
        wanted, toolkit = item
        name, stands = toolkit_directory_name(self._prefix, toolkit, wanted.lock)
        bench = self._bench
        if stands:  # another generation brought it
            tree = self._prefix.toolkit(name)
            check_tree(self._prefix, tree, wanted.label, bench.known)
            return Finished(wanted, CompleteTree(wanted.target.name, None, tree))
        laid_out = lay_out_toolkit(bench, wanted, toolkit)
        return finish_toolkit(self._prefix, wanted, laid_out, name)

    def _finish(self, tree: LinkedTree) -> Finished:
        return finish_environment(self._prefix, tree)

    def _each(
        self, items: Sequence[T], work: Callable[[T], R], wanted: Callable[[T], Wanted], stage: Stage
    ) -> list[R]:
        """Do something for each, several at once; what fails is told, and is not in the result."""
        done = []
        with ThreadPoolExecutor(self._options.jobs) as pool:
            try:
                futures = [(item, pool.submit(work, item)) for item in items]
                for item, future in futures:
                    try:
                        done.append(future.result())
                    except PrefixError:
                        raise
                    except MonobaseError as error:
                        self._fail(wanted(item), error)
                    except OSError as error:
                        if error.errno not in _IN_THE_WAY:
                            raise
                        self._fail(wanted(item), _in_the_way(error, wanted(item).label))
                    stage.advance()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self._uv.end_all()
                raise
        return done

    def _fail(self, wanted: Wanted, error: MonobaseError) -> None:
        self._result.fail(wanted.label, error, self._reporter)


def _python(wanted: Wanted) -> str | None:
    """Give the interpreter that a target cannot do without: a toolkit needs none."""
    return None if isinstance(wanted.target, Toolkit) else wanted.target.inputs.python


def _plan_facts(plan: Plan) -> dict[str, int]:
    return {
        "generations": len(plan.generations),
        "to_install": len(plan.wanted),
        "wheels_to_fetch": len(plan.fetch),
        "download_bytes": plan.fetch_bytes,
        "disk_bytes": plan.disk_bytes,
    }


@contextmanager
def _of_one(place: Path) -> Iterator[None]:
    """Tell what stands in the way at one place, such as a generation's folder; it leaves others alone."""
    try:
        yield
    except OSError as error:
        found = error.filename2 or error.filename
        inside = found is not None and Path(os.fsdecode(found)).is_relative_to(place)
        if error.errno not in _IN_THE_WAY and not (inside and error.errno in _UNWRITABLE):
            raise
        raise _in_the_way(error, str(place)) from error


def _in_the_way(error: OSError, place: str) -> DamageError:
    return DamageError(
        f"{error.filename2 or error.filename or place}: {error.strerror}; look at what "
        "stands there, and move what is not of monobase"
    )
