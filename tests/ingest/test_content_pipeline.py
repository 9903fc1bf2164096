"""Nothing of what the content policy forbids leaves the pipeline for the store."""

from __future__ import annotations

import contextlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ingest import pipeline
from ingest.errors import RejectedExport
from ingest.otlp.schema import ExportRequest
from tests.ingest.otlp import PROTOBUF, START_NS, export, spans_of
from tests.ingest.receiving import access

SECRET = "ghp_" + "Zx9" * 12
FAILURE = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "search",
    "error.type": "timeout",
}


def prepared(*spans, **others):
    body = export(*spans, **others).SerializeToString()
    return pipeline.prepare(access("ingest"), body, PROTOBUF, START_NS + 10**9)


def stored(batch):
    """All bytes of a batch that can reach a disk."""
    return b"".join(
        (
            zstandard.decompress(batch.wire),
            zstandard.decompress(batch.facts),
            repr(batch.spans).encode(),
        )
    )


@pytest.mark.parametrize(
    "span",
    [
        {"attributes": FAILURE | {"gen_ai.tool.call.arguments": f'{{"k":"{SECRET}"}}'}},
        {"attributes": FAILURE | {"tenant.id": SECRET, "session.id": SECRET}},
        {"attributes": FAILURE | {"gen_ai.tool.call.id": SECRET}},
        {"attributes": FAILURE | {"gen_ai.tool.name": SECRET}, "name": SECRET},
        {"attributes": FAILURE, "message": f"no access with {SECRET}"},
        {
            "attributes": FAILURE,
            "events": [("exception", {"exception.message": SECRET})],
        },
    ],
    ids=["arguments", "who", "call id", "name", "status", "event"],
)
def test_no_secret_of_a_span_is_stored(span):
    batch, told = prepared(span)

    assert len(batch.spans) == 1
    assert SECRET.encode() not in stored(batch)
    assert b"[masked:github_token]" in stored(batch)
    assert not told.rejected


def test_no_secret_of_a_resource_is_stored():
    batch, _ = prepared({}, resource={"service.name": "shop", "process.args": SECRET})

    assert SECRET.encode() not in stored(batch)


def test_nul_is_in_no_text_that_becomes_a_column():
    attributes = FAILURE | {
        "tenant.id": "a\0b",
        "gen_ai.tool.name": "frame\0by\0frame",
        "ke\0y": "v",
    }

    batch, _ = prepared({"attributes": attributes, "message": "it\0failed"})

    (span,) = batch.spans
    assert (span.tenant, span.name) == ("a\ufffdb", "frame\ufffdby\ufffdframe")
    assert "\0" not in repr(batch.spans)
    (kept,) = spans_of(ExportRequest.FromString(zstandard.decompress(batch.wire)))
    assert "ke\ufffdy" in kept.attributes
    assert kept.status.message == "it\ufffdfailed"


def test_a_rejected_span_is_not_in_the_stored_body():
    batch, told = prepared({"name": "good"}, {"span_id": b"", "name": "bad"})

    kept = spans_of(ExportRequest.FromString(zstandard.decompress(batch.wire)))
    assert [span.name for span in kept] == ["good"]
    assert told.rejected.total() == 1


def test_the_stored_body_of_a_clean_export_is_what_was_received():
    body = export({"attributes": FAILURE}).SerializeToString()

    batch, _ = pipeline.prepare(access("ingest"), body, PROTOBUF, START_NS + 10**9)

    assert zstandard.decompress(batch.wire) == body


KEYS = (
    "gen_ai.operation.name",
    "gen_ai.tool.name",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.cost",
    "gen_ai.request.model",
    "openinference.span.kind",
    "traceloop.span.kind",
    "mcp.method.name",
    "http.status_code",
    "error.type",
    "tenant.id",
    "session.id",
    "retry.attempt",
    "switchgear.outcome",
    "langfuse.observation.type",
)
WORDS = ("execute_tool", "chat", "TOOL", "tool", "LLM", "invoke_agent", '{"isError":')
values = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(WORDS)
    | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
attributes = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), values)


@given(attributes, attributes, st.text(max_size=20), attributes)
def test_any_attributes_pass_the_whole_way(own, others, message, resource):
    spans = ({"attributes": own, "message": message}, {"events": [(message, others)]})

    batch, told = prepared(*spans, resource=resource)

    assert len(batch.spans) == 2
    assert not told.rejected


@given(st.data())
def test_damaged_bodies_are_rejected_or_pass_the_whole_way(data):
    body = bytearray(export({"attributes": FAILURE}, {}).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place] = data.draw(st.integers(0, 255))

    with contextlib.suppress(RejectedExport):
        now = START_NS + 10**9
        batch, _ = pipeline.prepare(access("ingest"), bytes(body), PROTOBUF, now)
        kept = spans_of(ExportRequest.FromString(zstandard.decompress(batch.wire)))
        assert len(kept) == len(batch.spans)
