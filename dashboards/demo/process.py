"""One instance of a service as a process: what happens now, and the past as a backlog.

    python -m dashboards.demo.process support-agent --base http://127.0.0.1:8000

The key comes in on standard input, and the process ends when standard input does: a
fleet never outlives the server that started it.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from dashboards.demo import world
from dashboards.demo.backlog import backfill
from dashboards.demo.byhand import Present, run_by_hand
from dashboards.demo.exporting import exporter
from dashboards.demo.governed import Governed, Toolbox
from dashboards.demo.services import ENVIRONMENT, FLEET, Run, Service
from switchgear import Client

SEED = 7


@dataclass(frozen=True, slots=True)
class Instance:
    """Who this process is, and whom it knows."""

    service: Service
    number: int
    base: str
    key: str
    since: float  # when the fleet was started
    cache: str | None

    @property
    def name(self) -> str:
        return f"{self.service.name}-{self.number}"

    def dice(self, purpose: str) -> Random:
        return Random(f"{SEED} {self.name} {purpose}")  # noqa: S311  a simulation

    def provider(self) -> TracerProvider:
        resource = Resource.create(
            {
                "service.name": self.service.name,
                "service.instance.id": self.name,
                "service.version": "1.4.0",
                "deployment.environment.name": ENVIRONMENT,
            }
        )
        return TracerProvider(resource=resource, shutdown_on_exit=False)

    def down(self) -> str:
        return world.outage(now_s(), live_from_s=self.since)


def main() -> None:
    asked = arguments()
    key = sys.stdin.readline().strip()
    service = FLEET[asked.service]
    instance = Instance(
        service, asked.number, asked.base, key, asked.since, asked.cache
    )
    for name in ("opentelemetry", "switchgear"):
        # Between the end of the server and ours, they would complain that it is gone.
        logging.getLogger(name).setLevel(logging.ERROR)
    out = exporter(service.encoding, endpoint=f"{asked.base}/v1/traces", key=key)
    provider = instance.provider()
    provider.add_span_processor(BatchSpanProcessor(out, schedule_delay_millis=1000))
    trace.set_tracer_provider(provider)
    stop = threading.Event()
    past = backfill(
        service,
        instance.provider(),
        out,
        instance.dice("past"),
        now_s=asked.since,
        history_s=asked.history,
        stop=stop,
    )
    threading.Thread(target=asyncio.run, args=(past,), daemon=True).start()
    with suppress(asyncio.CancelledError):
        asyncio.run(live(instance))
    # What is not sent yet is lost: the server that would take it is stopping too.
    stop.set()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("service", choices=FLEET)
    parser.add_argument("--base", required=True, help="address of the server")
    parser.add_argument("--cache", help="folder of the policy that ran last")
    parser.add_argument("--number", type=int, default=1, help="of the instance")
    parser.add_argument("--history", type=float, default=0, help="seconds to fill")
    parser.add_argument("--since", type=float, default=now_s(), help="of the fleet")
    return parser.parse_args()


def now_s() -> float:
    return time.time()  # noqa: TID251  the edge: everything below takes it


async def live(instance: Instance) -> None:
    """Runs begin at random moments, as often as the time of day wants."""
    end_with_the_server()
    service, rng = instance.service, instance.dice("runs")
    begin = runs_of(instance)
    rate = service.runs_per_s / service.instances
    async with asyncio.TaskGroup() as running:
        while True:
            running.create_task(service.job(begin()))
            await asyncio.sleep(rng.expovariate(rate * world.busy(now_s())))


def runs_of(instance: Instance) -> Callable[[], Run]:
    """What begins one run of this service, for its next customer."""
    service, rng = instance.service, instance.dice("world")
    tracer = trace.get_tracer("demo.fleet")
    if not service.obeys:
        since = instance.since
        return lambda: run_by_hand(service, tracer, rng, Present(), live_from_s=since)
    client = Client(
        instance.base,
        instance.key,
        service.name,
        environment=ENVIRONMENT,
        instance=instance.name,
        cache_dir=instance.cache,
    )
    toolbox = Toolbox(client, rng, instance.down)
    return lambda: Governed(
        toolbox, tracer, rng, world.customer(rng, service.name, now_s())
    )


def end_with_the_server() -> None:
    """When asked to, and when nobody holds our standard input any more."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101  this runs in one
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, task.cancel)

    def wait() -> None:
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    main()
