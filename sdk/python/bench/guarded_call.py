"""What guarding a call costs: python bench/guarded_call.py

Microseconds of CPU per call, the least of several runs, so that a busy machine does not
count. A recording tracer is measured against the two bare spans that a call and its
attempt need in any case. Needs opentelemetry-sdk for that part.
"""

from __future__ import annotations

import json
import sys
import time
import timeit
from collections.abc import Callable

from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider

from switchgear import Client
from switchgear.testing import fixed_policy

NUMBER, REPEAT = 4000, 9
RULES = (
    {"kind": "retry", "selector": {}},
    {"kind": "timeout", "selector": {}},
    {"kind": "circuit_breaker", "selector": {}},
    {"kind": "rate_limit", "selector": {}, "limit": 1_000_000_000},
    {"kind": "concurrency", "selector": {}},
)


def cost(work: Callable[[], object]) -> float:
    timer = timeit.Timer(work, timer=time.thread_time)
    return min(timer.repeat(REPEAT, NUMBER)) / NUMBER * 1e6


def two_bare_spans(tracer: trace.Tracer) -> None:
    for depth in range(2):
        span = tracer.start_span("outer" if depth == 0 else "inner")
        token = context.attach(trace.set_span_in_context(span))
        context.detach(token)
        span.end()


def measure() -> dict[str, float]:
    client = Client(endpoint="")
    search = client.tool("search")(len)
    figures = {"no rules": cost(lambda: search("shoes"))}
    with fixed_policy(client, *RULES) as seen:
        client._core.listeners.clear()  # the test kit would keep every call
        figures["five rules"] = cost(lambda: search("shoes"))
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
        figures["five rules, recorded"] = cost(lambda: search("shoes"))
        client._core.listeners.append(seen.calls.append)
    figures["no rules, recorded"] = cost(lambda: search("shoes"))
    tracer = provider.get_tracer("bench")
    figures["two bare spans"] = cost(lambda: two_bare_spans(tracer))
    return figures


if __name__ == "__main__":
    found = {name: round(value, 1) for name, value in measure().items()}
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps(found))
    else:
        for name, value in found.items():
            sys.stdout.write(f"{value:8.1f} us  {name}\n")
