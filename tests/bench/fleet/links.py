"""Shares links among flows: max-min fairness, by filling."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_ROUNDS = 4
_FULL = 1e-9


def share_links(capacity: Floats, links: Integers) -> Floats:
    """Return the rate of each flow.

    All flows grow at the same speed until a link is full; its flows stay there and the others go on. That is
    done for a few rounds: then no link has more than its capacity, and at most a little is unused.

    Args:
        capacity: Bytes a second of each link; infinity for a link that limits nothing.
        links: The links of each flow, one row a flow.
    """
    left = capacity.copy()
    rates = np.zeros(len(links))
    growing = np.arange(len(links))
    for _ in range(_ROUNDS):
        rows = links[growing]
        counts = np.bincount(rows.ravel(), minlength=len(left))
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.where(counts > 0, left / counts, np.inf)
        more = shares[rows].min(axis=1)
        rates[growing] += more
        used = np.bincount(rows.ravel(), weights=np.repeat(more, rows.shape[1]), minlength=len(left))
        left = np.maximum(left - used, 0)
        is_full = np.isfinite(capacity) & (left <= capacity * _FULL)
        growing = growing[~is_full[rows].any(axis=1)]
        if not len(growing):
            break
    return rates
