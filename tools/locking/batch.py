"""Resolves many targets at once."""

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from gens.generation import Inputs
from tools.locking.resolver import Resolution, UnsatisfiableError

Outcome = Resolution | UnsatisfiableError


def resolve_all(
    resolve: Callable[[Inputs], Resolution],
    wanted: Iterable[Inputs],
    jobs: int,
    done: Callable[[Inputs, Outcome], None],
) -> dict[Inputs, Outcome]:
    """Resolve each of several inputs once; one without a solution does not stop the others.

    Args:
        resolve: Resolves one of them.
        wanted: Inputs to resolve, at least one; equal inputs are resolved once.
        jobs: Number of uv processes at a time.
        done: Called with each outcome as soon as it is known, in the caller's thread.

    Returns:
        The outcome by inputs, in the order of `wanted`.

    Raises:
        ResolutionError: An index does not answer. The remaining inputs were not tried.
    """
    ordered = list(dict.fromkeys(wanted))
    outcomes: dict[Inputs, Outcome] = {}
    # The inputs with the most requirements run first and alone, which fills uv's cache: otherwise all
    # processes would fetch the same pages.
    ahead = max(ordered, key=lambda inputs: len(inputs.requirements))
    outcomes[ahead] = _attempt(resolve, ahead)
    done(ahead, outcomes[ahead])
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        running = {pool.submit(_attempt, resolve, inputs): inputs for inputs in ordered if inputs != ahead}
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


def _attempt(resolve: Callable[[Inputs], Resolution], inputs: Inputs) -> Outcome:
    try:
        return resolve(inputs)
    except UnsatisfiableError as error:
        return error


def _cancel(futures: Iterable[Future[Outcome]]) -> None:
    for future in futures:
        future.cancel()
