"""Durations as counts in exponential cells: mergeable by adding, within 1 %.

OpenTelemetry's exponential histogram with its scale fixed at 6: 64 cells per power of
two, never rescaled, so two histograms add cell by cell. Cell ``n`` holds what is in
``(2**((n - 1) / 64), 2**(n / 64)]`` microseconds (OpenTelemetry's index plus one, so
that none is negative). What is shorter than 1 us counts as 1 us, what is longer than
a day as a day.

Cells are a dict from cell to count, and counts are signed: a correction is a negative
count in another row. Packed they are that dict as MessagePack: four bytes a cell, and
no Python runs per cell when a few counts are added to a row that has many.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from math import ceil, floor, log2

import msgspec

Cells = dict[int, int]

SCALE = 6
_CELLS_PER_DOUBLING = 1 << SCALE
_DAY_US = 86_400_000_000
_BASE: float = 2.0 ** (1 / _CELLS_PER_DOUBLING)
LAST_CELL = ceil(log2(_DAY_US) * _CELLS_PER_DOUBLING)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[int, int]).decode


def cell_of(duration_us: int) -> int:
    """The cell that counts a duration."""
    if duration_us <= 1:
        return 0
    if duration_us >= _DAY_US:
        return LAST_CELL
    return ceil(log2(duration_us) * _CELLS_PER_DOUBLING)


def pack(cells: Cells | None) -> bytes | None:
    """The stored form; ``None`` when every count is zero."""
    if not cells:
        return None
    if 0 in cells.values():
        return pack({cell: count for cell, count in cells.items() if count})
    return _encode(cells)


def unpack(packed: bytes) -> Cells:
    return _decode(packed)


def add(into: Cells, cells: Cells, sign: int = 1) -> None:
    """Add ``cells`` to ``into``, or take them away with a negative ``sign``."""
    have = into.get
    for cell, count in cells.items():
        into[cell] = have(cell, 0) + sign * count


def upper_us(cell: int) -> float:
    """The longest duration a cell can hold."""
    upper: float = _BASE**cell
    return min(upper, float(_DAY_US))


def middle_us(cell: int) -> float:
    """What a cell stands for: ``2 * lower * upper / (lower + upper)``.

    The choice of DDSketch (Masson, Rim and Lee, VLDB 2019, lemma 2): the relative
    error is the same at both edges of the cell, 0.54 % at this scale.
    """
    if cell == 0:
        return 1.0
    return upper_us(cell) * 2 / (_BASE + 1)


class Ranks:
    """Filled cells in order, ready to be asked for quantiles."""

    def __init__(self, cells: Cells) -> None:
        filled = sorted(item for item in cells.items() if item[1] > 0)
        self._cells = [cell for cell, _ in filled]
        self._ends = list(accumulate(count for _, count in filled))

    def __bool__(self) -> bool:
        return bool(self._cells)

    def quantile_us(self, fraction: float) -> float:
        """Interpolated between neighbours by rank ``fraction * (n - 1)``.

        As PostgreSQL's ``percentile_cont`` and numpy have it. Both neighbours are
        within 0.54 %, so what lies between them is as well.
        """
        rank = fraction * (self._ends[-1] - 1)
        below = floor(rank)
        at = bisect_right(self._ends, below)
        value = middle_us(self._cells[at])
        if self._ends[at] == below + 1 < self._ends[-1]:
            above = middle_us(self._cells[at + 1])
            value += (rank - below) * (above - value)
        return value

    def highest_us(self) -> float:
        """The upper edge of the highest filled cell: no value was longer than that."""
        return upper_us(self._cells[-1])
