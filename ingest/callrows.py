"""How a call is laid out in ``ingest_call``, written and read in one place.

Words that its series row holds, and what has a column of its own, are not repeated in
``facts``. A word beyond the cardinality cap reads back as the series has it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from ingest.records import (
    FAILURE_CODES,
    OUTCOME_CODES,
    REASONS,
    REFUSAL_CODES,
    Call,
    Coverage,
    Usage,
)
from ingest.stores.base import Row, Transaction

COLUMNS = (
    "id",
    "project_id",
    "trace_id",
    "anchor",
    "series_id",
    "response_id",
    "ended_ns",
    "outcome",
    "failure_class",
    "refusal_reason",
    "latency_us",
    "session",
    "end_user",
    "message",
    "facts",
)
OUTCOMES = {code: word for word, code in OUTCOME_CODES.items()} | {0: ""}
# What ``stored_call`` needs, in its order.
READ = (
    "c.id",
    "c.project_id",
    "c.trace_id",
    "c.anchor",
    "c.series_id",
    "c.response_id",
    "c.ended_ns",
    "c.outcome",
    "c.failure_class",
    "c.refusal_reason",
    "c.latency_us",
    "c.session",
    "c.end_user",
    "c.message",
    "c.facts",
    "s.kind",
    "s.target",
    "s.service",
    "s.environment",
    "s.provider",
    "s.tenant",
    "s.agent",
    "r.response_id",
)
SOURCE = (
    "ingest_call c JOIN ingest_series s ON s.id = c.series_id "
    "LEFT JOIN ingest_response r ON r.id = c.response_id"
)


class Facts(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The part of a call that only deriving, rollups and the detail page read."""

    lasted_ns: int  # end minus start; of a call in flight, minus its start
    server: str | None
    attempts: int
    attempt_errors: tuple[tuple[str, int], ...]
    last_failed: bool
    work_us: int | None
    backoff_us: int | None
    ttft_us: int | None
    usage: Usage | None
    unpriced: bool
    wasted: int
    cache_hit: bool
    rank: tuple[int, ...]
    coverage: Coverage
    skewed: bool
    repeats: int
    policy_version: int | None
    rule: str | None
    decision: str | None
    lease: str | None


class StoredCall(NamedTuple):
    """A call and where it is."""

    id: int
    trace: int  # row of its trace
    response: int | None  # row of its response id
    call: Call


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Facts).decode


def row(project_id: int, stored: StoredCall, series: int) -> Row:
    call = stored.call
    facts = (
        call.ended_ns - call.started_ns,
        call.server,
        call.attempts,
        call.attempt_errors,
        call.last_failed,
        call.work_us,
        call.backoff_us,
        call.ttft_us,
        call.usage,
        call.unpriced,
        call.wasted,
        call.cache_hit,
        call.rank,
        call.coverage,
        call.skewed,
        call.repeats,
        call.policy_version,
        call.rule,
        call.decision,
        call.lease,
    )
    return (
        stored.id,
        project_id,
        stored.trace,
        call.anchor,
        series,
        stored.response,
        call.ended_ns,
        OUTCOME_CODES.get(call.outcome, 0),
        FAILURE_CODES[call.failure_class] if call.failure_class else 0,
        REFUSAL_CODES[call.refusal_reason] if call.refusal_reason else 0,
        call.latency_us,
        call.session,
        call.user,
        call.message,
        _pack(facts),
    )


def stored_call(found: Row) -> StoredCall:
    """The call of a row of ``READ``."""
    facts = _unpack(found[14])
    ended = found[6]
    call = Call(
        anchor=found[3],
        kind=found[15],
        target=found[16],
        service=found[17],
        environment=found[18],
        started_ns=ended - facts.lasted_ns,
        ended_ns=ended,
        outcome=OUTCOMES[found[7]],
        provider=found[19],
        tenant=found[20],
        agent=found[21],
        session=found[11],
        user=found[12],
        server=facts.server,
        failure_class=REASONS[found[8]] if found[8] else None,
        refusal_reason=REASONS[found[9]] if found[9] else None,
        message=found[13],
        attempts=facts.attempts,
        attempt_errors=facts.attempt_errors,
        last_failed=facts.last_failed,
        latency_us=found[10],
        work_us=facts.work_us,
        backoff_us=facts.backoff_us,
        ttft_us=facts.ttft_us,
        usage=facts.usage,
        unpriced=facts.unpriced,
        wasted=facts.wasted,
        cache_hit=facts.cache_hit,
        response_id=found[22] or b"",
        rank=facts.rank,
        coverage=facts.coverage,
        skewed=facts.skewed,
        repeats=facts.repeats,
        policy_version=facts.policy_version,
        rule=facts.rule,
        decision=facts.decision,
        lease=facts.lease,
    )
    return StoredCall(found[0], found[2], found[5], call)


def stored_calls(
    tx: Transaction, *, key: str, values: Iterable[int]
) -> list[StoredCall]:
    """The calls of some traces (``key="c.trace_id"``) or response ids."""
    found = tx.lookup(SOURCE, READ, key=key, values=values)
    return [stored_call(each) for each in found]
