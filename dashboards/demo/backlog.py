"""When runs of the past began: like now, then thinner the longer ago. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random

from dashboards.demo import world

# A day at the full rate would take minutes to send; the customers came lately.
THINNEST = 0.08
FADES_S = 5400.0
# Runs that began within this may not be over: they are told live.
SETTLE_S = 40


def moments(
    rng: Random, runs_per_s: float, *, now_s: float, history_s: float
) -> Iterator[float]:
    """Backwards from now, so that the charts of the last hour fill first."""
    age_s = float(SETTLE_S)
    while True:
        at_s = now_s - age_s
        share = THINNEST + (1 - THINNEST) * math.exp(-age_s / FADES_S)
        age_s += rng.expovariate(runs_per_s * world.busy(at_s) * share)
        if age_s >= history_s:
            return
        yield now_s - age_s
