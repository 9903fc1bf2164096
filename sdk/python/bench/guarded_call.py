"""What guarding a call costs: python bench/guarded_call.py

Microseconds of CPU per call, the least of several runs in turn, so that a busy machine
does not count. A recording tracer is measured against the two spans that a call and
its attempt need in any case: bare ones, and such as somebody writes by hand, with
`start_as_current_span` and what is called as attributes of the outer one. Needs
opentelemetry-sdk for that part.
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

NUMBER, REPEAT = 2000, 25
RULES = (
    {"kind": "retry", "selector": {}},
    {"kind": "timeout", "selector": {}},
    {"kind": "circuit_breaker", "selector": {}},
    {"kind": "rate_limit", "selector": {}, "limit": 1_000_000_000},
    {"kind": "concurrency", "selector": {}},
)


WHAT = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
Work = Callable[[], object]


def costs(works: dict[str, Work]) -> dict[str, float]:
    """Each in turn, so that all of them meet the same machine."""
    least = dict.fromkeys(works, float("inf"))
    for _ in range(REPEAT):
        for name, work in works.items():
            took_s = timeit.Timer(work, timer=time.thread_time).timeit(NUMBER)
            least[name] = min(least[name], took_s / NUMBER * 1e6)
    return least


def two_bare_spans(tracer: trace.Tracer) -> None:
    outer = tracer.start_span("outer")
    around = trace.set_span_in_context(outer)
    inner = tracer.start_span("inner", around)
    token = context.attach(trace.set_span_in_context(inner, around))
    context.detach(token)
    inner.end()
    outer.end()


def two_spans_by_hand(tracer: trace.Tracer) -> None:
    with (
        tracer.start_as_current_span("execute_tool search", attributes=WHAT),
        tracer.start_as_current_span("attempt 1"),
    ):
        len("shoes")


def measure() -> dict[str, float]:
    free, ruled = Client(endpoint=""), Client(endpoint="")
    search, search_by_rules = free.tool("search")(len), ruled.tool("search")(len)
    calls: dict[str, Work] = {
        "no rules": lambda: search("shoes"),
        "five rules": lambda: search_by_rules("shoes"),
    }
    with fixed_policy(ruled, *RULES) as seen:
        ruled._core.listeners.clear()  # the test kit would keep every call
        figures = costs(calls)
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
        tracer = provider.get_tracer("bench")
        figures |= costs(
            {f"{name}, recorded": call for name, call in calls.items()}
            | {
                "two bare spans": lambda: two_bare_spans(tracer),
                "two spans by hand": lambda: two_spans_by_hand(tracer),
            }
        )
        ruled._core.listeners.append(seen.calls.append)
    return figures


if __name__ == "__main__":
    found = {name: round(value, 1) for name, value in measure().items()}
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps(found))
    else:
        for name, value in found.items():
            sys.stdout.write(f"{value:8.1f} us  {name}\n")
