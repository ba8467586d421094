"""Resolves many targets at once."""

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from gens.generation import Inputs
from tools.locking.resolver import Resolution, Resolver, UnsatisfiableError, resolve

Outcome = Resolution | UnsatisfiableError


def resolve_all(
    resolver: Resolver, wanted: Iterable[Inputs], jobs: int, done: Callable[[Inputs, Outcome], None]
) -> dict[Inputs, Outcome]:
    """Resolve each of several inputs once; what has no solution does not keep the others from being tried.

    Args:
        resolver: The uv to ask.
        wanted: What to resolve, at least one; equal ones are resolved once.
        jobs: How many uv processes run at a time.
        done: Called with each outcome as it comes, in the caller's thread.

    Returns:
        The outcome by inputs, in the order that they were given in.

    Raises:
        ResolutionError: An index does not answer. What had not begun was not tried.
    """
    ordered = list(dict.fromkeys(wanted))
    outcomes: dict[Inputs, Outcome] = {}
    # One goes ahead, with as many requirements as any: all would else begin by fetching the same pages.
    ahead = max(ordered, key=lambda inputs: len(inputs.requirements))
    outcomes[ahead] = _attempt(resolver, ahead)
    done(ahead, outcomes[ahead])
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        running = {pool.submit(_attempt, resolver, inputs): inputs for inputs in ordered if inputs != ahead}
        try:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    inputs = running.pop(future)
                    outcomes[inputs] = future.result()
                    done(inputs, outcomes[inputs])
        except BaseException:
            _cancel(running)
            raise
    return {inputs: outcomes[inputs] for inputs in ordered}


def _attempt(resolver: Resolver, inputs: Inputs) -> Outcome:
    try:
        return resolve(resolver, inputs)
    except UnsatisfiableError as error:
        return error


def _cancel(futures: Iterable[Future[Outcome]]) -> None:
    for future in futures:
        future.cancel()
