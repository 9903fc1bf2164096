"""The two records everything in ingest is about: a normalised span, and a call.

A ``Span`` is one version of one span after its dialect was understood: whatever
deriving needs is here, nothing else is. A ``Call`` is what ``derive`` makes of the
spans of one trace. Both are values: compared, packed and stored as they are, never
changed. Field order is the packed order, so new fields go to the end with a default.

Times are integer nanoseconds since 1970 (UTC), durations integer microseconds, money
integer nano-USD. ``None`` means "nobody said", which is never the same as zero.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from switchgear.policy.vocabulary import FailureClass, Outcome, RefusalReason

# Numbers stand for words in stored rows, so order is for ever: new words go to the
# end of their set. 0 means none (or, for an outcome, that nothing has ended yet).
OUTCOME_CODES = {word.value: code for code, word in enumerate(Outcome, start=1)}
FAILURE_CODES = {word.value: code for code, word in enumerate(FailureClass, start=1)}
REFUSAL_CODES = {word.value: code for code, word in enumerate(RefusalReason, start=101)}
REASONS = {code: word for word, code in (FAILURE_CODES | REFUSAL_CODES).items()}


class Category(IntEnum):
    """What a span is. The first five are kinds of calls; the rest is structure."""

    OTHER = 0
    TOOL = 1
    MODEL = 2
    EMBEDDING = 3
    RETRIEVAL = 4
    GUARDRAIL = 5
    AGENT = 6
    WORKFLOW = 7
    STEP = 8
    PSEUDO = 9  # looks like a tool, runs nothing: final_answer, handoffs, merged tools
    HTTP = 10
    RPC = 11
    DATABASE = 12
    PUBLISH = 13  # queue publish: breaks a nesting chain where HTTP and RPC do not


CALL_CATEGORIES = frozenset(
    {
        Category.TOOL,
        Category.MODEL,
        Category.EMBEDDING,
        Category.RETRIEVAL,
        Category.GUARDRAIL,
    }
)


class Usage(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Tokens and cost of one model answer; parts are included in the totals.

    ``cache_read`` and ``cache_write`` are parts of ``input``, ``reasoning`` is a part
    of ``output``. ``cost`` is nano-USD, reported by the span or frozen from the price
    book when the span was normalised.
    """

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    cost: int | None = None


class Span(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One version of one span, understood.

    ``start_ns``/``end_ns`` are as sent (0 when absent or still running); deriving
    repairs what is absurd. ``received_ns`` is when the first stored version came in.
    ``weight`` counts attributes and events: it orders versions of equal end.
    """

    trace_id: bytes
    span_id: bytes
    parent_id: bytes  # b"" for a root
    start_ns: int
    end_ns: int
    received_ns: int
    weight: int
    category: Category
    # Who and where
    service: str
    environment: str
    name: str  # target, agent or "METHOD url"; "" when the span names none
    provider: str | None = None
    server: str | None = None  # MCP server that offers the tool
    agent: str | None = None  # named on the span itself
    tenant: str | None = None  # on the span itself, or bound to the key
    tenant_copy: str | None = None  # baggage copy: after ancestors and root
    tenant_resource: str | None = None  # last resort
    session: str | None = None
    user: str | None = None
    # Identity of what it did
    call_id: bytes = b""  # 8-byte hash of the tool call id
    arguments: bytes = b""  # 8-byte keyed hash of the canonical arguments
    response_id: bytes = b""  # 16-byte hash of the provider's response id
    # How it went
    failed: bool = False
    failure_class: str | None = None  # a FailureClass when failed
    message: str | None = None  # first line of what the failure says, bounded
    refusal_reason: str | None = None
    outcome: str | None = None  # explicit switchgear.outcome
    decision: str | None = None  # explicit switchgear.decision
    fallbacks: tuple[tuple[str, str], ...] = ()  # (from, to) said by this span
    # Evidence about attempts
    attempts: int = 0  # largest count its own attributes and events give; 0 = silent
    numbered: bool = False  # carries the ordinal of one attempt (E1, not a total)
    backoff_us: int | None = None
    model_attempt: bool = False  # Pydantic AI's "model request attempt"
    # Model calls
    response_model: str | None = None
    usage: Usage | None = None
    unpriced: bool = False  # has usage and no price
    ttft_us: int | None = None
    native: bool = False  # written by the provider's own SDK
    cache_hit: bool = False
    # Rules in force
    policy_version: int | None = None
    rule: str | None = None
    lease: str | None = None
    # Said to start or end later than it came in, by more than clocks differ
    future: bool = False


class Coverage(IntEnum):
    """How well retries of a call can be seen."""

    INVISIBLE = 0
    INFERRED = 1
    EXPLICIT = 2


class Call(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One logical use of a target as its caller saw it.

    ``anchor`` is the span id that names the call within its trace for ever: that of
    the outermost and earliest member. ``ended_ns`` is 0 while nothing has ended; such
    a call is in no bucket. ``latency_us``, ``work_us``, ``backoff_us`` and ``ttft_us``
    are ``None`` where the distribution must not see the call (refused, cancelled,
    skewed, unknown). ``attempt_errors`` counts failed attempts by failure class.
    ``response_id`` joins model calls that are one across traces; ``rank`` orders them.
    ``rank_fullness`` is the number of usage fields.
    """

    anchor: bytes
    kind: str
    target: str
    service: str
    environment: str
    started_ns: int
    ended_ns: int
    outcome: str
    provider: str | None = None
    tenant: str | None = None
    agent: str | None = None
    session: str | None = None
    user: str | None = None
    server: str | None = None
    failure_class: str | None = None
    refusal_reason: str | None = None
    message: str | None = None
    attempts: int = 1
    attempt_errors: tuple[tuple[str, int], ...] = ()  # sorted (class, count)
    last_failed: bool = False  # the last attempt failed
    latency_us: int | None = None
    work_us: int | None = None
    backoff_us: int | None = None
    ttft_us: int | None = None
    usage: Usage | None = None
    unpriced: bool = False
    wasted: int = 0  # nano-USD of failed attempts and of repeats in a loop
    cache_hit: bool = False
    response_id: bytes = b""
    rank: tuple[int, ...] = ()  # (in an agent tree, has tenant, usage fields, native)
    coverage: Coverage = Coverage.INVISIBLE
    skewed: bool = False
    repeats: int = 0  # 1 when it repeats an earlier call of a detected loop
    policy_version: int | None = None
    rule: str | None = None
    decision: str | None = None
    lease: str | None = None


class Batch(msgspec.Struct, frozen=True, gc=False):
    """One export, ready to be stored: what came in, and what we understood.

    ``wire`` is the masked request and ``facts`` its packed spans in the same order;
    both are compressed before they get here, so that the writer does not wait.
    """

    project_id: int
    received_ns: int
    spans: list[Span]
    wire: bytes
    facts: bytes


_pack = msgspec.msgpack.Encoder().encode
_unpack_spans = msgspec.msgpack.Decoder(list[Span]).decode


def pack_spans(spans: list[Span]) -> bytes:
    """The stored form of normalised spans; ``unpack_spans`` gives equal records."""
    return _pack(spans)


def unpack_spans(packed: bytes) -> list[Span]:
    return _unpack_spans(packed)


def version_order(span: Span) -> tuple[bool, int, int, bytes]:
    """A total order over versions of one span: the greatest is the one that counts.

    Ended over not, later end, more attributes and events, then the packed bytes, so
    that no order of arrival can decide.
    """
    return (
        span.end_ns != 0,
        span.end_ns,
        span.weight,
        _pack(msgspec.structs.replace(span, received_ns=0, future=False)),
    )
