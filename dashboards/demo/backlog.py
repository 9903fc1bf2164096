"""What would have been: the past of a service, told as fast as its server takes it.

Runs began as they do now, then the thinner the longer ago.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from random import Random

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from dashboards.demo import world
from dashboards.demo.byhand import Past, run_by_hand
from dashboards.demo.exporting import Gather
from dashboards.demo.services import Service

# A day at the full rate would take minutes to send; the customers came lately.
THINNEST = 0.03
FADES_S = 2700.0
BATCH = 512
TRIES = 10


def moments(
    rng: Random, runs_per_s: float, *, now_s: float, history_s: float
) -> Iterator[float]:
    """Backwards from now, so that the charts of the last hour fill first."""
    age_s = 0.0
    while True:
        at_s = now_s - age_s
        share = THINNEST + (1 - THINNEST) * math.exp(-age_s / FADES_S)
        age_s += rng.expovariate(runs_per_s * world.busy(at_s) * share)
        if age_s >= history_s:
            return
        yield now_s - age_s


async def backfill(
    service: Service,
    provider: TracerProvider,
    out: SpanExporter,
    rng: Random,
    *,
    now_s: float,
    history_s: float,
    stop: threading.Event,
) -> None:
    """The latest first, through the exporter of what happens now."""
    gather = Gather()
    provider.add_span_processor(gather)
    tracer = provider.get_tracer("demo.fleet")
    rate = service.runs_per_s / service.instances
    batch: list[ReadableSpan] = []
    for at_s in moments(rng, rate, now_s=now_s, history_s=history_s):
        clock = Past(at_s)
        await service.job(run_by_hand(service, tracer, rng, clock, live_from_s=now_s))
        spans = gather.take()
        if clock.now_ns() <= now_s * world.SECOND_NS:  # else it would not be over yet
            batch += spans
        if len(batch) >= BATCH:
            if not send(out, batch, stop):
                return
            batch = []
    if batch:
        send(out, batch, stop)


def send(
    out: SpanExporter, spans: Sequence[ReadableSpan], stop: threading.Event
) -> bool:
    """Whether to go on; a server that is busy with the others is asked again."""
    for _ in range(TRIES):
        if out.export(spans) is SpanExportResult.SUCCESS:
            return not stop.is_set()
        if stop.wait(1):
            break
    return False
