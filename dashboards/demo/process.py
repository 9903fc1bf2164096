"""One service of the fleet as a process: the past as a backlog, then what happens now.

    python -m dashboards.demo.process support-agent --endpoint URL --history 86400

The key comes in on standard input, and the process ends when standard input does: a
fleet never outlives the server that started it.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
import time
from random import Random

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace import Tracer

from dashboards.demo import world
from dashboards.demo.backlog import SETTLE_S, moments
from dashboards.demo.exporting import Gather, Later, exporter
from dashboards.demo.services import FLEET, Service

SEED = 7
TICK_S = 0.2
BATCH = 512
TRIES = 10


def main() -> None:
    asked = arguments()
    service = FLEET[asked.service]
    key = sys.stdin.readline().strip()
    # Between the end of the server and ours, every export would complain.
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    threading.Thread(target=wait_for_end, args=(stop,), daemon=True).start()
    out = exporter(service.encoding, endpoint=asked.endpoint, key=key)
    now_s = time.time()  # noqa: TID251  the edge: everything below takes it
    past = threading.Thread(
        target=backfill, args=(service, out, now_s, asked.history, stop), daemon=True
    )
    past.start()
    live(service, out, now_s, stop)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("service", choices=FLEET)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--history", type=float, default=0, help="seconds to fill")
    return parser.parse_args()


def wait_for_end(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def resource(service: Service, instance: int = 1) -> Resource:
    return Resource.create(
        {
            "service.name": service.name,
            "service.instance.id": f"{service.name}-{instance}",
            "service.version": "1.4.0",
            "deployment.environment.name": service.environment,
        }
    )


def tracer_of(provider: TracerProvider) -> Tracer:
    return provider.get_tracer("demo.fleet", "1.4.0")


def live(
    service: Service, out: SpanExporter, now_s: float, stop: threading.Event
) -> None:
    """Runs begin at random moments, as often as the time of day wants."""
    later = Later(BatchSpanProcessor(out, schedule_delay_millis=1000))
    provider = TracerProvider(resource=resource(service), shutdown_on_exit=False)
    provider.add_span_processor(later)
    tracer = tracer_of(provider)
    rng = Random(f"{SEED} {service.name}")  # noqa: S311  a simulation
    next_s = now_s - SETTLE_S
    while not stop.wait(TICK_S):
        now_ns = time.time_ns()
        while next_s * 1e9 <= now_ns:
            service.run(tracer, rng, int(next_s * 1e9), live_from_s=now_s)
            next_s += rng.expovariate(service.runs_per_s * world.busy(next_s))
        later.release(now_ns)
    # What is not sent yet is lost: the server that would take it is stopping too.


def backfill(
    service: Service,
    out: SpanExporter,
    now_s: float,
    history_s: float,
    stop: threading.Event,
) -> None:
    """What would have been, the latest first, through the same exporter."""
    gather = Gather()
    provider = TracerProvider(resource=resource(service), shutdown_on_exit=False)
    provider.add_span_processor(gather)
    tracer = tracer_of(provider)
    rng = Random(f"{SEED} {service.name} past")  # noqa: S311  a simulation
    for at_s in moments(rng, service.runs_per_s, now_s=now_s, history_s=history_s):
        service.run(tracer, rng, int(at_s * 1e9), live_from_s=now_s)
        if len(gather) >= BATCH and not send(out, gather, stop):
            return
    if len(gather):
        send(out, gather, stop)


def send(out: SpanExporter, gather: Gather, stop: threading.Event) -> bool:
    """Whether to go on; a server that is busy with the others is asked again."""
    spans = gather.take()
    for _ in range(TRIES):
        if out.export(spans) is SpanExportResult.SUCCESS:
            return not stop.is_set()
        if stop.wait(1):
            break
    return False


if __name__ == "__main__":
    main()
