"""Whole traces as agents really run them, in every dialect, for hypothesis.

    stories()  what happened: agents, models, tools, retries, fallbacks, as a tree
    exports()  the same told by one dialect per trace, as span messages with their
               resource and scope: split, repeat and reorder them as you like
    spans()    the exports of one trace, normalised
    junk()     spans of one trace whose fields have nothing to do with each other

``exports`` also sends some spans twice, first while they run, and lets traces share a
provider response.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from ingest.normalise import normalise
from ingest.otlp.schema import AnyValue, ExportRequest, SpanMessage
from ingest.records import Category, Span, Usage
from switchgear.policy.vocabulary import FailureClass, Outcome, RefusalReason
from tests.ingest.dialects import DIALECTS, Node, attributes_of

T0 = 1_795_000_000 * 10**9
RECEIVED_NS = T0 + 10**12
_MS = 10**6


@dataclass(frozen=True)
class Sent:
    """One span message with what stands around it in an export."""

    service: str
    scope: str
    span: Any


# What happened


@st.composite
def stories(draw: st.DrawFn, depth: int = 2) -> Node:
    """An agent run: turns of a model and the tools it asked for."""
    turns = []
    for _ in range(draw(st.integers(1, 3))):
        turns += draw(asked())
        for _ in range(draw(st.integers(0, 2))):
            turns += draw(executed(depth))
    return Node("agent", draw(st.sampled_from(["planner", "biller"])), turns)


@st.composite
def asked(draw: st.DrawFn) -> list[Node]:
    """A model call: perhaps wrapped, failing first, or answered by another model."""
    answer = Node(
        "model",
        draw(st.sampled_from(["gpt-4o", "openai/gpt-4o-2024-11-20"])),
        response=draw(st.integers(1, 10**9)),
        tokens=draw(st.integers(1, 500)),
    )
    shape = draw(st.sampled_from(["plain", "wrapped", "retried", "fallback", "failed"]))
    broken = replace(answer, error="RateLimitError", response=None, tokens=None)
    if shape == "wrapped":
        return [replace(answer, inside=[answer])]
    if shape == "retried":
        return [broken, answer]
    if shape == "fallback":
        return [broken, replace(answer, name="gpt-4o-mini")]
    return [broken if shape == "failed" else answer]


@st.composite
def executed(draw: st.DrawFn, depth: int) -> list[Node]:
    """A tool call: plain, failed, run again, attempted inside, or an agent's run."""
    done = Node(
        "tool",
        draw(st.sampled_from(["search", "fetch"])),
        call=draw(st.none() | st.integers(1, 10**9)),
        arguments=draw(st.none() | st.sampled_from(["a", "b"])),
    )
    failed = replace(done, error=draw(st.sampled_from(["TimeoutError", "ValueError"])))
    shape = draw(
        st.sampled_from(["plain", "failed", "retried", "inside", "http", "agent"])
    )
    if shape == "agent" and depth:
        return [replace(done, inside=[draw(stories(depth - 1))])]
    if shape == "retried":
        return [failed, done]
    if shape == "inside":
        return [replace(done, inside=[failed, done])]
    if shape == "http":
        request = Node("http", "http://crm.local/search")
        refused = replace(request, error="503")
        return [replace(done, inside=[refused, request])]
    return [failed if shape == "failed" else done]


# How it is told


@st.composite
def exports(draw: st.DrawFn, traces: int = 2) -> list[Sent]:
    """The span messages of some traces, with early versions of some of them."""
    sent: list[Sent] = []
    responses: list[int] = []
    for number in range(1, draw(st.integers(1, traces)) + 1):
        story = draw(stories())
        if responses and draw(st.booleans()):
            story = _with_response(story, draw(st.sampled_from(responses)))
        responses += _responses(story)
        dialect = draw(st.sampled_from(sorted(DIALECTS)))
        tenant = draw(st.none() | st.sampled_from(["acme", "globex"]))
        sent += _tell(story, dialect, number.to_bytes(16, "big"), tenant)
    early = draw(st.sets(st.integers(0, len(sent) - 1), max_size=3))
    return [*sent, *(_running(sent[place]) for place in sorted(early))]


def spans() -> st.SearchStrategy[list[Span]]:
    return exports(traces=1).map(normalised)


def normalised(sent: Iterable[Sent]) -> list[Span]:
    from tests.ingest.corpus_reader import reading

    found = normalise(request_of(sent), reading(), received_ns=RECEIVED_NS)
    assert not found.rejected
    return found.spans


def request_of(sent: Iterable[Sent]) -> Any:
    """One export of these spans, in this order."""
    request = ExportRequest()
    for one in sent:
        group = request.resource_spans.add()
        group.resource.attributes["service.name"].CopyFrom(_value(one.service))
        part = group.scope_spans.add()
        part.scope.name = one.scope
        part.spans.add().CopyFrom(one.span)
    return request


def _tell(story: Node, dialect: str, trace_id: bytes, tenant: str | None) -> list[Sent]:
    sent: list[Sent] = []
    clock = [T0]

    def tell(node: Node, parent: bytes) -> None:
        number = len(sent) + 1
        span = SpanMessage(
            trace_id=trace_id,
            span_id=number.to_bytes(8, "big"),
            parent_span_id=parent,
            start_time_unix_nano=clock[0],
        )
        sent.append(Sent(f"{dialect}-service", DIALECTS[dialect].scope, span))
        clock[0] += 5 * _MS
        for child in node.inside:
            tell(child, span.span_id)
            clock[0] += _MS
        span.end_time_unix_nano = clock[0]
        _describe(span, node, dialect, None if parent else tenant)

    tell(story, b"")
    return sent


def _describe(span: Any, node: Node, dialect: str, tenant: str | None) -> None:
    span.name, attributes = attributes_of(node, dialect)
    if tenant:
        attributes["tenant.id"] = tenant
    for key, value in attributes.items():
        span.attributes[key].CopyFrom(_value(value))
    span.kind = 3 if node.kind == "http" else 1
    if node.error:
        span.status.code = 2
        span.status.message = f"{node.error}: it broke"
        event = span.events.add(name="exception", time_unix_nano=T0)
        event.attributes["exception.type"].CopyFrom(_value(node.error))


def _value(value: str | int) -> Any:
    if isinstance(value, int):
        return AnyValue(int_value=value)
    return AnyValue(string_value=value)


def _running(sent: Sent) -> Sent:
    """The version of a span that was sent while it ran."""
    span = SpanMessage()
    span.CopyFrom(sent.span)
    span.end_time_unix_nano = 0
    span.ClearField("status")
    span.ClearField("events")
    return replace(sent, span=span)


def _responses(node: Node) -> list[int]:
    own = [] if node.response is None else [node.response]
    return own + [found for child in node.inside for found in _responses(child)]


def _with_response(node: Node, response: int) -> Node:
    """The same story, answered by a response that another trace tells as well."""
    if node.response is not None:
        node = replace(node, response=response)
    inside = [_with_response(child, response) for child in node.inside[:1]]
    return replace(node, inside=inside + node.inside[1:])


# What nobody would send

_IDS = [bytes([0] * 7 + [number]) for number in range(12)]
_TIMES = st.sampled_from(
    [*(T0 + number * _MS for number in range(12)), 0, 1, 2**64 - 1]
)
_NAMES = st.sampled_from(["", "a", "b", "openai/a", "a-2024-11-20"])
_COUNTS = st.none() | st.integers(0, 10)
_USAGE = st.none() | st.builds(
    Usage, input=_COUNTS, output=_COUNTS, cache_read=_COUNTS, cost=_COUNTS
)
_WORDS = st.none() | st.sampled_from(["", "x", "y"])
_CLASSES = st.none() | st.sampled_from([*FailureClass, "no such class"]).map(str)


def junk(max_size: int = 14) -> st.SearchStrategy[list[Span]]:
    return st.lists(_junk_span(), max_size=max_size)


def _junk_span() -> st.SearchStrategy[Span]:
    short = st.sampled_from([b"", b"1", b"2"])
    return st.builds(
        Span,
        trace_id=st.just(b"t" * 16),
        span_id=st.sampled_from(_IDS[1:]),
        parent_id=st.sampled_from([b"", *_IDS[1:]]),
        start_ns=_TIMES,
        end_ns=_TIMES,
        received_ns=st.just(RECEIVED_NS),
        weight=st.integers(0, 3),
        category=st.sampled_from(Category),
        service=st.just("s"),
        environment=st.just("default"),
        name=_NAMES,
        tenant=_WORDS,
        session=_WORDS,
        call_id=short,
        arguments=short,
        response_id=short,
        failed=st.booleans(),
        failure_class=_CLASSES,
        refusal_reason=st.none() | st.sampled_from([*RefusalReason, "?"]).map(str),
        outcome=st.none() | st.sampled_from([*Outcome, "?"]).map(str),
        decision=st.sampled_from([None, None, "refuse", "fallback", "allow"]),
        fallbacks=st.lists(st.tuples(_NAMES, _NAMES), max_size=2).map(tuple),
        attempts=st.integers(0, 4),
        numbered=st.booleans(),
        backoff_us=_COUNTS,
        model_attempt=st.booleans(),
        response_model=_WORDS,
        usage=_USAGE,
        unpriced=st.booleans(),
        ttft_us=_COUNTS,
        native=st.booleans(),
        future=st.sampled_from([False, False, False, True]),
    )
