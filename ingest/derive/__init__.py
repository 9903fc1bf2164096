"""The spans of one trace -> its calls. Every step, in order.

    spans -> tree, times, contexts -> drafts (which spans are one call)
          -> usage, fallbacks, loops -> calls

``derive`` is pure and total: it never raises on odd input, knows no other trace and no
clock, and any order of the same spans gives the same calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from ingest.derive.calls import finish
from ingest.derive.fallbacks import settle_fallbacks
from ingest.derive.models import model_calls
from ingest.derive.tools import tool_calls
from ingest.derive.trace import Trace
from ingest.derive.usage import bill_containers, promoted
from ingest.derive.waste import mark_loops
from ingest.records import Call, Span

__all__ = ["derive"]

_by_anchor = attrgetter("anchor")


def derive(spans: Sequence[Span]) -> list[Call]:
    """The calls of a trace, sorted by anchor."""
    trace = Trace(spans)
    drafts = tool_calls(trace) + model_calls(trace)
    trace.promoted = promoted(trace)
    bill_containers(trace, drafts)
    settle_fallbacks(trace, drafts)
    mark_loops(trace, drafts)
    calls = [finish(trace, draft) for draft in drafts]
    calls.sort(key=_by_anchor)
    return calls
