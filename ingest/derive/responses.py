"""One provider response is one call, in however many traces it is told.

A pure decision over the calls that carry one response id. Two instrumentations of one
request land in different traces, so no trace can know this alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ingest.derive.outcome import OK, RECOVERED
from ingest.derive.usage import fullest
from ingest.records import Call
from ingest.rollup import Merged

_pack = msgspec.msgpack.Encoder().encode

Member = tuple[bytes, Call]  # trace id and call


def decide(members: Sequence[Member]) -> tuple[int, Merged]:
    """Which member counts, and what all of them say together about it.

    ``members`` are all calls of a project with the same ``response_id`` (``derive``
    leaves it empty on calls that failed and on anything but model calls), at least
    one. The answer does not depend on their order. The store contributes the winner
    with ``Merged`` in place of its own usage, attempts and outcome; every other member
    contributes nothing at all. When a member comes, goes or changes, the store takes
    back what the old winner contributed, with the old ``Merged``, and decides again.
    """
    winner = max(range(len(members)), key=lambda place: _order(members[place]))
    usages = [
        call.usage
        for _, call in sorted(members, key=_order, reverse=True)
        if call.usage is not None
    ]
    tried = max((call for _, call in members), key=_tries)
    usage = fullest(usages)
    outcome = members[winner][1].outcome
    if outcome == OK and tried.attempts > 1:
        outcome = RECOVERED
    return winner, Merged(
        usage=usage,
        attempts=tried.attempts,
        attempt_errors=tried.attempt_errors,
        outcome=outcome,
        unpriced=any(call.unpriced for _, call in members)
        and (usage is None or usage.cost is None),
    )


def _order(member: Member) -> tuple[tuple[int, ...], bytes, bytes, bytes]:
    """The greatest counts: by rank, then the smallest ids (so, inverted)."""
    trace_id, call = member
    return call.rank, _inverted(trace_id), _inverted(call.anchor), _pack(call)


def _inverted(identity: bytes) -> bytes:
    return bytes(255 - byte for byte in identity)


def _tries(call: Call) -> tuple[int, tuple[tuple[str, int], ...]]:
    return call.attempts, call.attempt_errors
