"""Loops: one agent run that calls one target with the same arguments again and again.

From the third time on it is a loop, and everything but its first call is a repeat:
what repeats cost was wasted.
"""

from __future__ import annotations

from ingest.derive.drafts import Draft
from ingest.derive.trace import Trace
from ingest.records import Category

_LOOP = 3


def mark_loops(trace: Trace, drafts: list[Draft]) -> None:
    said = [trace.spans[draft.units[0].head].arguments for draft in drafts]
    if len(said) - len(set(said)) < _LOOP - 1:
        return
    rounds: dict[tuple[int, Category, str, bytes], list[Draft]] = {}
    for draft in drafts:
        head = draft.units[0].head
        span = trace.spans[head]
        if span.arguments:
            run = trace.contexts[head].run
            key = (run, draft.category, span.name, span.arguments)
            rounds.setdefault(key, []).append(draft)
    for calls in rounds.values():
        if len(calls) >= _LOOP:
            calls.sort(key=lambda draft: trace.order(draft.units[0].head))
            for draft in calls[1:]:
                draft.repeats = True
