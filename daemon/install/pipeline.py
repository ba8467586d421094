"""Runs one install: plan, fetch, link, compile, lay out, seal, under the writer lock of the prefix."""

import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from daemon.errors import PrefixError
from daemon.host.durability import sync_filesystem
from daemon.host.fault import fault_point
from daemon.host.known_contents import KnownContents
from daemon.host.system_error import system_errors
from daemon.install.archive_check import drop_damaged_wheels
from daemon.install.batches import make_batches, make_steps
from daemon.install.cache_folders import CacheFolders
from daemon.install.fetch import Fetcher
from daemon.install.gpu_architectures import record_architectures
from daemon.install.install_progress import InstallProgress
from daemon.install.linked_tree import LinkedTree
from daemon.install.obstacle import obstacles_as_damage
from daemon.install.options import InstallOptions, make_uv
from daemon.install.plan import Plan, check_room, make_plan
from daemon.install.result import InstallResult
from daemon.install.seal import Finished, finish_environment, finish_toolkit
from daemon.install.toolkit import lay_out_toolkit
from daemon.install.wanted import Wanted, missing_bytes, wheels_to_fetch
from daemon.install.workbench import make_workbench
from daemon.interpreters.interpreter import provide_interpreters
from daemon.interpreters.running_interpreter import Interpreter
from daemon.prefix.bytecode_list import bytecode_list_path
from daemon.prefix.generation import is_present, is_sealed, read_seal
from daemon.prefix.inventory import Inventory
from daemon.prefix.latest import point_latest
from daemon.prefix.prefix import LATEST_NAME, Prefix
from daemon.prefix.publication import CompleteTree, publish, seal, write_list
from daemon.prefix.staging import begin_staging, end_staging
from daemon.prefix.standing_tree import check_tree
from daemon.prefix.store_mounts import check_stores
from daemon.prefix.toolkit_tree import toolkit_directory_name
from daemon.prefix.writer_lock import WriterLock, writer_lock
from daemon.report.progress import Reporter, Stage
from daemon.source.ledger import received_since
from daemon.uv.cache import find_archive, holds_wheels, remove_leftovers, remove_outdated
from daemon.uv.leftovers import clean_leftovers
from daemon.uv.program import Uv
from gens.catalog import Catalog
from gens.errors import MonobaseError
from gens.generation import Generation, Toolkit
from gens.lock import LockedWheel

_SHOWN = 3

T = TypeVar("T")
R = TypeVar("R")


def install(
    prefix: Prefix,
    catalog: Catalog,
    uv_program: Path,
    options: InstallOptions,
    reporter: Reporter,
    gives_way: Callable[[], bool] | None = None,
    known: KnownContents | None = None,
) -> InstallResult:
    """Install what is missing of the active generations.

    A failure concerns only its environment, toolkit or generation: the others are installed and sealed, and
    the result has the failures.

    Args:
        prefix: The prefix.
        catalog: The generations and their locks.
        uv_program: The uv binary.
        options: The options.
        reporter: Reports progress and failures.
        gives_way: Whether the install ends now, with its other batches left to a later one. Without it, all
            is one batch, which is faster.
        known: The contents that installs just before this one have read; None for none.

    Raises:
        MonobaseError: Nothing could be installed at all: a usage error, a full disk, a prefix in use.
    """
    began = time.monotonic()
    with system_errors(prefix.root):
        prefix.make_directories()
        with writer_lock(prefix, options.lock_timeout_s, reporter.info) as writer:
            uv = make_uv(uv_program, writer, options)
            run = _Install(writer, catalog, uv, options, reporter, gives_way, known)
            run.run()
    run.result.seconds = round(time.monotonic() - began, 2)
    return run.result


class _Install:
    """One install, with what its stages share."""

    def __init__(
        self,
        writer: WriterLock,
        catalog: Catalog,
        uv: Uv,
        options: InstallOptions,
        reporter: Reporter,
        gives_way: Callable[[], bool] | None,
        known: KnownContents | None,
    ) -> None:
        self.result = InstallResult()
        self._writer = writer
        self._prefix = writer.prefix
        self._catalog = catalog
        self._uv = uv
        self._options = options
        self._selection = catalog.resolve(options.selection)
        self._reporter = reporter
        self._bench = make_workbench(self._prefix, uv, options.jobs, links=not options.copy, known=known)
        self._gives_way = gives_way
        self._progress = InstallProgress(self._prefix)
        self._interpreters: dict[str, Interpreter] = {}
        self._users: dict[str, dict[str, Interpreter]] = {}
        self._checked: set[str] = set()
        self._bad_wheels: dict[str, MonobaseError] = {}

    def run(self) -> None:
        """Plan and install what is missing, seal what is complete, and point `latest` to the newest."""
        clean_leftovers(self._prefix, self._reporter)
        if self._options.sources is not None:
            self._options.sources.ledger.forget_wrong()
        plan = self._plan()
        if plan.wanted:
            begin_staging(self._prefix)
            check_stores(self._prefix, copy=self._options.copy)
            try:
                self._install(plan)
            finally:
                self._bench.compiler.pool.close()
                self._progress.end()
            end_staging(self._prefix)
            # A uv that gives up on a stalled download may end before its own cleaning does.
            remove_leftovers(self._prefix.uv_cache)
        for item in plan.generations:
            if item.can_be_sealed:
                self._seal(item.generation)
        self._point_latest()

    def _install(self, plan: Plan) -> None:
        """Install in batches, newest generation first, until all is done or it must give way."""
        possible = self._provide_interpreters(plan.wanted)
        if not possible:
            return
        interpreter = next(iter(self._interpreters.values()))
        self._remove_outdated(interpreter)
        bench = self._bench
        fetcher = Fetcher(
            self._prefix, self._uv, bench.store, interpreter, self._options.jobs, bench.known,
            self._compile_ahead, self._options.sources,
        )  # fmt: skip
        batches = [possible] if self._gives_way is None else make_batches(possible)
        for number, batch in enumerate(batches):
            if self._gives_way is not None and self._gives_way():
                self.result.gave_way = True
                return
            self._progress.begin(batch, (item for later in batches[number + 1 :] for item in later))
            self._install_batch(plan, batch, fetcher)

    def _install_batch(self, plan: Plan, batch: Sequence[Wanted], fetcher: Fetcher) -> None:
        """Install a batch in steps: while one is linked, compiled and published, the next one is fetched."""
        steps = make_steps(batch, missing_bytes(self._prefix, batch))
        with self._uv.pool(1) as ahead:
            fetched = ahead.submit(self._fetch, steps[0], fetcher)
            try:
                for number, step in enumerate(steps, 1):
                    bad_wheels = fetched.result()
                    if number < len(steps):
                        fetched = ahead.submit(self._fetch, steps[number], fetcher)
                    self._install_step(plan, step, bad_wheels)
            except BaseException:
                fetcher.stopped.set()
                raise

    def _install_step(self, plan: Plan, step: Sequence[Wanted], bad_wheels: dict[str, MonobaseError]) -> None:
        """Run the stages after the fetch, for one generation at a time, newest first."""
        labels = {item.label for item in step}
        for item in plan.generations:
            wanted = [each for each in item.wanted if each.label in labels]
            if wanted:
                name = item.generation.directory_name
                with self._failing_alone(name, self._prefix.generation(name)):
                    self._install_generation(item.generation, self._without(bad_wheels, wanted))

    def _install_generation(self, generation: Generation, wanted: Sequence[Wanted]) -> None:
        write_list(self._writer, generation, self._selection)
        wheels = [wheel for item in wanted for wheel in item.lock.wheels]
        record_architectures(self._prefix, wheels, self._reporter.warning)
        environments = self._link([item for item in wanted if not isinstance(item.target, Toolkit)])
        environments = self._compile(environments)
        toolkits = self._lay_out(wanted)
        self._publish(generation, environments, toolkits)

    # --- the stages ---

    def _plan(self) -> Plan:
        options, one = self._options, self._options.generation_id
        self._selection.check(self._catalog.between(options.min_gen_id, options.max_gen_id))
        with self._reporter.stage("plan", 0) as stage:
            plan = make_plan(
                self._prefix,
                self._catalog,
                min_gen_id=options.min_gen_id if one is None else one,
                max_gen_id=options.max_gen_id if one is None else one,
                selection=self._selection,
                due=options.due,
            )
            stage.facts.update(
                generations=len(plan.generations),
                to_install=len(plan.wanted),
                wheels_to_fetch=len(plan.fetch),
                download_bytes=plan.fetch_bytes,
                disk_bytes=plan.disk_bytes,
            )
            check_room(self._prefix, plan, copy=options.copy, budget=options.budget)
        for label, error in plan.failures.items():
            self._fail(label, error)
        fault_point("plan:done")
        return plan

    def _provide_interpreters(self, wanted: Sequence[Wanted]) -> list[Wanted]:
        """Find or install interpreters, and return what can be installed with them."""
        self._interpreters, missing = provide_interpreters(
            self._uv,
            {item.target.inputs.python for item in wanted},
            downloads=self._options.downloads,
            warn=self._reporter.warning,
        )
        possible = []
        for item in wanted:
            python = item.target.inputs.python
            # A toolkit needs no interpreter of its own, but uv fetches with one.
            if python in missing and not (isinstance(item.target, Toolkit) and self._interpreters):
                self._fail(item.label, missing[python])
            else:
                possible.append(item)
        return possible

    def _compile_ahead(self, wheel: LockedWheel, archive: Path, inventory: Inventory) -> None:
        """Compile the sources of a wheel that has arrived, for the environments that are being installed."""
        self._bench.compiler.compile_ahead(archive, inventory, self._users.get(wheel.sha256, {}).values())

    def _note_users(self, wanted: Sequence[Wanted]) -> None:
        """Note which interpreters will need the bytecode of which wheels."""
        users: dict[str, dict[str, Interpreter]] = {}
        for item in wanted:
            if not isinstance(item.target, Toolkit):
                interpreter = self._interpreters[item.target.inputs.python]
                for wheel in item.lock.wheels:
                    users.setdefault(wheel.sha256, {})[interpreter.bytecode_key] = interpreter
        self._users = users

    def _fetch(self, wanted: Sequence[Wanted], fetcher: Fetcher) -> dict[str, MonobaseError]:
        """Download what uv's cache lacks or has damaged, and return why wheels cannot be used, by digest."""
        self._note_users(wanted)
        sources = self._options.sources
        before = {} if sources is None else sources.ledger.received()
        with self._reporter.stage("fetch", unit="bytes") as stage:
            self._progress.enter("fetch", 0, wanted)
            unusable = self._check_wheels(wanted)
            items = [
                item for item in wheels_to_fetch(self._prefix, wanted) if item.wheel.sha256 not in unusable
            ]
            stage.total = sum(item.wheel.size_bytes for item in items)
            stage.watch, stage.watch_call = self._progress.arrived, self._progress.received
            self._progress.enter("fetch", stage.total, wanted)
            self._compile_held(wanted, {item.wheel.sha256 for item in items} | unusable.keys())
            failures = unusable | fetcher.fetch(items, stage)
            self._bad_wheels |= failures
            arrived = [item.wheel for item in items if item.wheel.sha256 not in failures]
            fetched_bytes = sum(wheel.size_bytes for wheel in arrived)
            self.result.fetched_bytes += fetched_bytes
            stage.facts.update(wheels=len(arrived), fetched_bytes=fetched_bytes)
            if sources is not None:
                stage.facts["from"] = received_since(before, sources.ledger.received())
            if failures:
                stage.facts["failed_wheels"] = len(failures)
        return failures

    def _check_wheels(self, wanted: Sequence[Wanted]) -> dict[str, MonobaseError]:
        """Drop what uv's cache has damaged, each wheel once; return why others cannot be used, by digest."""
        wheels = {wheel.sha256: wheel for item in wanted for wheel in item.lock.wheels}
        new = [wheel for sha256, wheel in wheels.items() if sha256 not in self._checked]
        self._checked.update(wheel.sha256 for wheel in new)
        self._bad_wheels |= drop_damaged_wheels(self._prefix, new, self._bench.known, self._reporter.warning)
        return {sha256: self._bad_wheels[sha256] for sha256 in wheels if sha256 in self._bad_wheels}

    def _compile_held(self, wanted: Sequence[Wanted], without: Container[str]) -> None:
        """Compile the sources of the wheels that the prefix holds, for interpreters that are new to them."""
        for wheel in {wheel.sha256: wheel for item in wanted for wheel in item.lock.wheels}.values():
            users = [
                interpreter
                for interpreter in self._users.get(wheel.sha256, {}).values()
                if not bytecode_list_path(self._prefix, wheel.sha256, interpreter.bytecode_key).exists()
            ]
            archive = find_archive(self._prefix.uv_cache, wheel) if users else None
            if archive is not None and wheel.sha256 not in without:
                self._bench.compiler.compile_ahead(archive, self._bench.inventories.get(wheel), users)

    def _link(self, wanted: Sequence[Wanted]) -> list[LinkedTree]:
        def link(item: Wanted) -> LinkedTree:
            return self._bench.linker.link_environment(item, self._interpreters[item.target.inputs.python])

        self._progress.enter("link", items=wanted)
        with self._reporter.stage("link", len(wanted)) as stage:
            trees = self._each([(item.label, item) for item in wanted], link, stage)
            sync_filesystem(self._prefix.root)
            for tree in trees:
                self._bench.linker.share(tree)
                self._report_overlaps(tree)
            stage.facts["environments"] = len(trees)
        fault_point("link:linked")
        return trees

    def _report_overlaps(self, tree: LinkedTree) -> None:
        """Report what packages of a stack overlay of each other."""
        if tree.overlaps:
            taken = [f"{path} of {item.owner}" for path, item in sorted(tree.overlaps.items())]
            rest = f" and {len(taken) - _SHOWN} more" if len(taken) > _SHOWN else ""
            self._reporter.info(
                f"{tree.wanted.label}: packages bring the same file with different contents; as with pip, "
                f"the later in the lock wins: {', '.join(taken[:_SHOWN])}{rest}"
            )

    def _compile(self, trees: Sequence[LinkedTree]) -> list[LinkedTree]:
        def link_bytecode(tree: LinkedTree) -> LinkedTree:
            self._bench.compiler.link_bytecode(tree)
            return tree

        self._progress.enter("compile", items=[tree.wanted for tree in trees])
        with self._reporter.stage("compile") as stage:
            stage.facts["sources"] = self._bench.compiler.compile_missing(trees, stage)
            return self._each([(tree.wanted.label, tree) for tree in trees], link_bytecode, stage)

    def _lay_out(self, wanted: Sequence[Wanted]) -> list[Finished]:
        toolkits = [(item.label, (item, item.target)) for item in wanted if isinstance(item.target, Toolkit)]
        self._progress.enter("lay-out", items=[wanted for _, (wanted, _) in toolkits])
        with self._reporter.stage("lay out", len(toolkits)) as stage:
            finished = self._each(toolkits, lambda item: self._make_toolkit(*item), stage)
            stage.facts["toolkits"] = len(finished)
            fault_point("layout:toolkit")
        return finished

    def _publish(
        self, generation: Generation, environments: Sequence[LinkedTree], toolkits: Sequence[Finished]
    ) -> None:
        self._progress.enter("seal", items=[tree.wanted for tree in environments])
        with self._reporter.stage("seal", len(environments)) as stage:
            trees = [(tree.wanted.label, tree) for tree in environments]
            finished = [
                *toolkits, *self._each(trees, lambda tree: finish_environment(self._prefix, tree), stage)
            ]  # fmt: skip
            publish(self._writer, generation, [item.tree for item in finished], self._selection)
            self._progress.leave(item.wanted for item in finished)
            self.result.installed += [item.wanted.label for item in finished]
            stage.facts.update(installed=len(finished), generation=generation.directory_name)

    def _seal(self, generation: Generation) -> None:
        name = generation.directory_name
        directory = self._prefix.generation(name)
        if not self._selection.targets(generation):
            return  # this node holds nothing of it
        with self._failing_alone(name, directory):
            complete = self._complete(generation)
            if seal(self._writer, generation, self._selection, complete):
                self.result.sealed.append(name)
            elif directory.is_dir():
                self.result.partial.append(name)

    def _point_latest(self) -> None:
        active = self._catalog.between(self._options.min_gen_id, self._options.max_gen_id)
        sealed = []
        for generation in active:
            holds, names = self._selection.targets(generation), self._selection.required(generation)
            with suppress(MonobaseError):  # a generation with a damaged mark is not sealed
                if holds and is_sealed(self._prefix, generation, names):
                    sealed.append(generation)
        with self._failing_alone(LATEST_NAME, self._prefix.latest):
            self.result.latest = point_latest(self._writer, sealed)

    # --- parts of stages ---

    def _remove_outdated(self, interpreter: Interpreter) -> None:
        if not holds_wheels(self._prefix.uv_cache):  # so uv need not be asked where it keeps them
            return
        folder = CacheFolders(self._uv, interpreter.executable).find()
        outdated = remove_outdated(self._prefix.uv_cache, folder)
        if outdated:
            self._reporter.warning(
                f"removed {' '.join(outdated)} from uv's cache: another uv wrote it and this one does not "
                "read it; what is needed of it is fetched again"
            )

    def _without(self, bad_wheels: dict[str, MonobaseError], wanted: Sequence[Wanted]) -> list[Wanted]:
        """Report what holds a wheel that cannot be used, and return the others."""
        good = []
        for item in wanted:
            bad = next((wheel.sha256 for wheel in item.lock.wheels if wheel.sha256 in bad_wheels), None)
            if bad is None:
                good.append(item)
            else:
                self._fail(item.label, bad_wheels[bad])
        return good

    def _make_toolkit(self, wanted: Wanted, toolkit: Toolkit) -> Finished:
        name, is_published = toolkit_directory_name(self._prefix, toolkit, wanted.lock)
        if is_published:  # by another generation
            tree = self._prefix.toolkit(name)
            check_tree(self._prefix, tree, wanted.label, self._bench.known)
            return Finished(wanted, CompleteTree(toolkit.name, None, tree))
        return finish_toolkit(self._prefix, wanted, lay_out_toolkit(self._bench, wanted, toolkit), name)

    def _complete(self, generation: Generation) -> set[str]:
        """Return the names of what is installed and complete, if all that is required is.

        What an earlier run published is read; sealed content was.
        """
        names = self._selection.required(generation)
        mark = read_seal(self._prefix, generation)
        present = [
            target.name for target in generation.targets if is_present(self._prefix, generation, target)
        ]
        if not names.issubset(present):
            return set()
        complete = set()
        for target in present:
            label = f"{generation.directory_name}/{target}"
            is_verified = mark is not None and mark.covers([target])
            if is_verified or label in self.result.installed:
                complete.add(target)
            elif target in names:
                self._check_earlier_tree(generation, target)
                complete.add(target)
            else:  # damage of what nobody required keeps nothing else from being sealed
                with self._failing_alone(label):
                    self._check_earlier_tree(generation, target)
                    complete.add(target)
        return complete

    def _check_earlier_tree(self, generation: Generation, target: str) -> None:
        name = generation.directory_name
        tree = self._prefix.target(name, target)
        check_tree(self._prefix, tree, f"{name}/{target}", self._bench.known)

    def _each(self, items: Sequence[tuple[str, T]], work: Callable[[T], R], stage: Stage) -> list[R]:
        """Work on items, several at once; report those that fail under their labels, and leave them out."""
        done = []
        with self._uv.pool(self._options.jobs) as pool:
            futures = [(label, pool.submit(work, item)) for label, item in items]
            for label, future in futures:
                with self._failing_alone(label):
                    done.append(future.result())
                stage.advance()
        return done

    @contextmanager
    def _failing_alone(self, label: str, folder: Path | None = None) -> Iterator[None]:
        """Report an error that concerns only one subject, and go on; `folder` belongs to it alone."""
        try:
            with obstacles_as_damage(label, folder):
                yield
        except PrefixError:
            raise
        except MonobaseError as error:
            self._fail(label, error)

    def _fail(self, label: str, error: MonobaseError) -> None:
        self.result.failures[label] = error
        self._reporter.error(str(error), target=label)
