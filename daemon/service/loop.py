"""Keeps a node at its desired state: the loop of `run`.

Each round compares the prefix with the definitions and does what is missing: it repairs damage, installs, and
prunes once the active generations are ready. A part that fails leaves the others alone (`context.py`).
"""

import time

from daemon.host.durability import DAEMON_SUFFIX, remove_temporary_files
from daemon.host.exclusive_lock import ExclusiveLock
from daemon.host.system_error import system_errors
from daemon.install.early_lists import write_early_lists
from daemon.prefix.machine import check_machine
from daemon.prefix.service_lock import service_lock
from daemon.prefix.usage import read_usage
from daemon.service.announcement import Announcement
from daemon.service.budget import Budget
from daemon.service.compile_caches import CompileCaches
from daemon.service.context import ServiceContext
from daemon.service.damage import DamageWatch
from daemon.service.demand import Demand
from daemon.service.first_fetch import FirstFetch
from daemon.service.installs import Installs
from daemon.service.lease_watch import LeaseWatch
from daemon.service.prefetching import Prefetching
from daemon.service.pruning import Pruning
from daemon.service.state import DEFINITION, SCAN
from daemon.upkeep.known_file import read_known


class Loop:
    """The rounds of the service.

    Args:
        context: The service.
    """

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._announcement = Announcement(context)
        self._demand = Demand(context)
        self._damage = DamageWatch(context, self._announcement.write, self._demand)
        self._budget = Budget(context, LeaseWatch(context), self._demand.offer)
        self._first_fetch = FirstFetch(context)
        self._installs = Installs(context, self._demand, self._budget, self._first_fetch)
        self._pruning = Pruning(context)
        self._prefetching = Prefetching(context, self._demand)
        self._compile_caches = CompileCaches(context)

    def run(self) -> None:
        """Run until `stop` is set.

        Raises:
            MonobaseError: No retry can help.
        """
        context = self._context
        try:
            while not context.stop.is_set():
                check_machine(context.prefix)
                with system_errors(context.prefix.root):
                    context.prefix.make_directories()
                with service_lock(context.prefix, context.stop, self._wait) as lock:
                    if lock is not None:
                        self._run_with(lock)
                        self._announcement.write_last()
        finally:
            context.state.alive = False

    def _wait(self, text: str) -> None:
        self._context.state.activity = text
        self._context.reporter.info(text)

    def _run_with(self, lock: ExclusiveLock) -> None:
        context, state = self._context, self._context.state
        state.remember_damage(read_known(context.prefix, context.reporter.warning).damage)
        while not context.stop.is_set():
            if lock.is_lost():
                context.reporter.warning(
                    "another process removed the lock of the one daemon; acquiring it again"
                )
                return
            began_s = state.round_began_s = time.monotonic()
            context.retries.draw_jitter()
            context.attempt("round", self._round)  # each of its parts is an attempt as well
            if context.stop.is_set():
                return  # a round that was cut short has not seen everything: it announces nothing
            context.attempt("tell", self._announcement.write)
            state.round_began_s = None
            state.activity = state.turn or "idle"
            soonest = (context.retries.soonest_s(began_s), self._first_fetch.left_s())
            pause_s = min([context.options.check_interval_s, *(each for each in soonest if each is not None)])
            self._demand.wait(pause_s, self._budget.has_room)

    def _round(self) -> None:
        """Do what is due."""
        context = self._context
        self._installs.install_demanded()  # before anything that takes time
        context.state.activity = "checking"
        self._read_definitions()
        context.attempt(
            "temporary files", lambda: remove_temporary_files(context.prefix.generations, DAEMON_SUFFIX)
        )
        context.attempt("leases", self._budget.look)
        context.attempt("lists", self._write_lists)
        context.attempt("demand", self._demand.offer)
        context.attempt("clean", self._pruning.clean)
        self._installs.install_demanded()
        context.attempt("check", self._damage.check)
        if self._installs.install_missing():
            context.attempt("check", self._damage.check)
        context.attempt("prune", self._pruning.prune)
        context.attempt("prefetch", self._prefetching.record)
        if not context.is_counted and not self._demand.is_due():
            context.attempt("count", self._count)
        context.attempt("budget", self._budget.keep)
        context.attempt("compile caches", self._compile_caches.keep)
        context.state.checked_s = time.time()

    def _read_definitions(self) -> None:
        context = self._context
        context.attempt("definitions", context.definitions.read)
        broken = context.definitions.broken
        for name, error in broken.items():
            subject = f"{DEFINITION} {name}"
            if context.retries.may(subject):
                context.fail(subject, error)
        context.retries.keep_only(DEFINITION, set(broken))
        context.retries.keep_only(SCAN, {generation.directory_name for generation in context.active()})

    def _write_lists(self) -> None:
        """Write the list of each active generation for models, before any of it is installed."""
        context = self._context
        write_early_lists(context.prefix, context.active(), context.selection(), context.reporter.info)

    def _count(self) -> None:
        self._context.state.activity = "counting bytes"
        self._context.state.usage = read_usage(self._context.prefix)
        self._context.is_counted = True
