"""Sets of pieces as bits of 64-bit words, one row a set."""

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]

_ONE = np.uint64(1)


def empty_sets(count: int, pieces: int) -> Words:
    """Return sets without a piece."""
    return np.zeros((count, pieces // 64), dtype=np.uint64)


def bits_from(pieces: int) -> Words:
    """Return for each number the set of the pieces with this number or a higher one."""
    found = empty_sets(pieces, pieces)
    for first in range(pieces):
        found[first, first // 64] = np.uint64((2**64 - 1) << (first % 64) & (2**64 - 1))
        found[first, first // 64 + 1 :] = np.uint64(2**64 - 1)
    return found


def add(sets: Words, rows: Integers, pieces: Integers) -> None:
    """Add a piece to each of some sets; a set may be named more than once."""
    np.bitwise_or.at(sets, (rows, pieces // 64), _bit(pieces))


def remove(sets: Words, rows: Integers, pieces: Integers) -> None:
    """Remove a piece from each of some sets."""
    np.bitwise_and.at(sets, (rows, pieces // 64), ~_bit(pieces))


def has(sets: Words, rows: Integers, pieces: Integers) -> npt.NDArray[np.bool_]:
    """Return for each of some sets whether it has a piece."""
    found: npt.NDArray[np.bool_] = (sets[rows, pieces // 64] & _bit(pieces)) != 0
    return found


def first_from(sets: Words, suffixes: Words, offsets: Integers) -> Integers:
    """Return of each set its first piece at or after an offset, beginning again at 0; -1 for an empty set."""
    behind = sets & suffixes[offsets]
    chosen = np.where((behind != 0).any(axis=1)[:, None], behind, sets)
    word = (chosen != 0).argmax(axis=1)
    value = chosen[np.arange(len(chosen)), word]
    lowest = value & (~value + _ONE)
    with np.errstate(divide="ignore"):
        number = np.log2(lowest.astype(np.float64))
    return np.where(value != 0, word * 64 + np.where(value != 0, number, 0).astype(np.int64), -1)


def _bit(pieces: Integers) -> Words:
    return _ONE << (pieces % 64).astype(np.uint64)
