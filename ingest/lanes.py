"""Many counters in one long integer: adding two rows of them is one addition.

Counter ``n`` is worth ``2**(64 * n)``. Counters are signed and within 63 bits, as
database columns are, so a sum stands for exactly one row of counters: those that are
negative borrow from the next, and a bias keeps all of them positive while they are
taken apart.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence

WIDTH = 64
HALF = 1 << (WIDTH - 1)
if sys.byteorder != "little":
    raise AssertionError


def units(count: int) -> list[int]:
    """What one of each counter is worth in the sum."""
    return [1 << (WIDTH * place) for place in range(count)]


def bias(count: int) -> int:
    """Half the range of every counter."""
    return sum(HALF << (WIDTH * place) for place in range(count))


def joined(counters: Sequence[int], biases: int) -> int:
    """The sum that stands for these counters; ``biases`` is ``bias`` of their count."""
    packed = int.from_bytes(array("q", counters).tobytes(), "little")
    # Two's complement with its upper bit turned over is the value plus half the range.
    return (packed ^ biases) - biases


def apart(total: int, count: int, biases: int) -> list[int]:
    """The counters a sum stands for."""
    packed = (total + biases) ^ biases
    return array("q", packed.to_bytes(count * WIDTH // 8, "little")).tolist()
