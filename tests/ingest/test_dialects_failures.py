"""Whether something failed, and why: the many ways senders have of saying it."""

from __future__ import annotations

import pytest

from tests.ingest.understanding import ERROR, model, tool, understood


def raised(kind, message="boom"):
    said = {"exception.type": kind, "exception.message": message}
    return {"events": [("exception", said)], "status": ERROR}


# Whether (T28 to T30)


@pytest.mark.parametrize(
    "said",
    [
        {"error.type": "tool_error"},
        {"langfuse.observation.level": "ERROR"},
        {"haystack.tool.error": "true"},
        {"mcp.tool.result.is_error": True},
        {"gen_ai.tool.status": "error"},
        {"gen_ai.task.status": "failure"},
        {"celery.state": "FAILURE"},
        {"celery.state": "REVOKED"},
        {"rpc.response.status_code": "-32602"},
        {"gen_ai.tool.call.result": '{"isError":true,"content":[]}'},
        {"gen_ai.tool.call.result": '{"jsonrpc":"2.0","error":{"code":-32602}}'},
        {"gen_ai.tool.call.result": "Tool 'hang' timed out after 0.15 seconds."},
    ],
    ids=str,
)
def test_a_span_fails_although_its_status_is_silent(said):
    assert tool(said).failed


@pytest.mark.parametrize(
    "said",
    [
        {"gen_ai.tool.call.result": '{"isError":false}'},
        {"gen_ai.tool.call.result": 'the word "isError" is only mentioned'},
        {"gen_ai.tool.call.result": '["isError", "jsonrpc"]'},
        {"gen_ai.tool.call.result": '{"jsonrpc": "2.0", "result": {}}'},
        {"gen_ai.tool.call.result": "The job timed out after 3 seconds in March."},
        {"gen_ai.tool.status": "success"},
        {"celery.state": "SUCCESS"},
        {"langfuse.observation.level": "WARNING"},
        {"rpc.response.status_code": "OK"},
        {"http.response.status_code": 500},
    ],
    ids=str,
)
def test_a_span_does_not_fail_by_mere_mention(said):
    span = tool(said)

    assert (span.failed, span.failure_class, span.message) == (False, None, None)


def test_a_handled_exception_is_no_failure():
    handled = {**raised("ValueError"), "status": 0}

    assert not tool(**handled).failed


def test_an_exception_of_langsmith_is_a_failure_whatever_the_status():
    assert tool(scope="langsmith", **{**raised("ValueError"), "status": 1}).failed


# Why


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("TimeoutError", "timeout"),
        ("httpx.ReadTimeout", "timeout"),
        ("billiard.exceptions.SoftTimeLimitExceeded", "timeout"),
        ("<class 'asyncio.CancelledError'>", "cancelled"),
        ("ConnectionError", "transport"),
        ("httpx.RemoteProtocolError", "transport"),
        ("openai.InternalServerError", "server_error"),
        ("overloaded_error", "server_error"),
        ("openai.RateLimitError", "rate_limited"),
        ("litellm.BudgetExceededError", "upstream_quota"),
        ("PermissionError", "auth"),
        ("openai.AuthenticationError", "auth"),
        ("pydantic_core._pydantic_core.ValidationError", "invalid_request"),
        ("AI_NoSuchToolError", "invalid_request"),
        ("litellm.ContextWindowExceededError", "context_window"),
        ("ContentPolicyViolationError", "content_filter"),
        ("tool_error", "tool_error"),
        ("TOOL_ERROR", "tool_error"),
        ("ValueError", "tool_error"),
        ("my.own.Trouble", "tool_error"),
        ("_OTHER", "unknown"),
        ("ToolRetryError", "unknown"),
    ],
)
def test_an_exception_has_a_class(kind, wanted):
    assert tool(**raised(kind)).failure_class == wanted
    assert tool({"error.type": kind}).failure_class == wanted


def test_an_unknown_exception_of_a_model_says_nothing_of_a_tool():
    assert model(**raised("my.own.Trouble")).failure_class == "unknown"


def test_the_exception_is_more_specific_than_the_error_type():
    span = tool({"error.type": "tool_error"}, **raised("TimeoutError"))

    assert span.failure_class == "timeout"


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        (400, "invalid_request"),
        (401, "auth"),
        (402, "upstream_quota"),
        (403, "auth"),
        (404, "invalid_request"),
        (408, "timeout"),
        (410, "tool_error"),
        (422, "invalid_request"),
        (429, "rate_limited"),
        (499, "cancelled"),
        (500, "server_error"),
        (501, "tool_error"),
        (503, "server_error"),
        (504, "timeout"),
        (529, "server_error"),
        (302, "unknown"),
    ],
)
def test_a_status_code_has_a_class(code, wanted):
    generic = {"error.type": "api_error", "http.response.status_code": code}

    assert model(generic, status=ERROR).failure_class == wanted
    assert model({"error.type": str(code)}).failure_class == wanted
    assert (
        model(status=ERROR, message=f"Error code: {code} - x").failure_class == wanted
    )


@pytest.mark.parametrize(
    "message",
    [
        "status_code: 503, model_name: gpt-4o",
        "Server error '503 Service Unavailable' for url 'http://x'",
        "Max retries exceeded (ResponseError('too many 503 error responses'))",
    ],
)
def test_a_code_may_hide_in_the_message(message):
    assert tool(**raised("RetryError", message)).failure_class == "server_error"


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"error.type": "-32602"}, "invalid_request"),
        ({"error.type": "-32603"}, "server_error"),
        ({"rpc.response.status_code": "DEADLINE_EXCEEDED"}, "unknown"),
        ({"error.type": "DEADLINE_EXCEEDED"}, "timeout"),
        ({"rpc.grpc.status_code": 16}, "auth"),
        ({"gen_ai.tool.call.result": '{"isError": true}'}, "tool_error"),
        (
            {"gen_ai.tool.call.result": '{"jsonrpc":"2.0","error":{"code":-32602}}'},
            "invalid_request",
        ),
        (
            {"gen_ai.tool.call.result": '{"jsonrpc":"2.0","error":{"code":1e9}}'},
            "tool_error",
        ),
        ({"gen_ai.tool.call.result": "Tool 'x' timed out after 3 seconds."}, "timeout"),
        ({"pydantic_ai.tool.failure_stage": "validation"}, "invalid_request"),
        ({"pydantic_ai.tool.retry.cause": "validation_error"}, "invalid_request"),
        ({"celery.state": "REVOKED"}, "cancelled"),
        (
            {"celery.retry.reason": "Retry in 1s: TimeoutError('x')"},
            "timeout",
        ),
        ({"switchgear.failure_class": "content_filter"}, "content_filter"),
        ({"switchgear.failure_class": "nonsense"}, "unknown"),
    ],
    ids=str,
)
def test_other_words_for_a_class(said, wanted):
    assert tool(said, status=ERROR).failure_class == wanted


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ("Timed out after 0.15 seconds.", "timeout"),
        ("lookup exceeded 0.1s", "timeout"),
        ("connection reset by peer", "transport"),
        ("Rate limit reached for gpt-4o", "rate_limited"),
        ("f() got an unexpected keyword argument 'x'", "invalid_request"),
        ("ConnectionError('reset')Traceback (most recent call last)", "transport"),
        ("PermissionError: tenant may not charge cards", "auth"),
        ("tenant may not charge cards", "unknown"),
        ("Error details are redacted.", "unknown"),
    ],
)
def test_a_message_decides_when_nothing_else_does(message, wanted):
    assert tool(status=ERROR, message=message).failure_class == wanted


@pytest.mark.parametrize(
    ("kind", "message", "wanted"),
    [
        ("RateLimitError", "code: insufficient_quota", "upstream_quota"),
        ("RateLimitError", "slow down", "rate_limited"),
        ("BadRequestError", "maximum context length is 128000", "context_window"),
        ("BadRequestError", "content_filter: violence", "content_filter"),
        ("BadRequestError", "temperature", "invalid_request"),
    ],
)
def test_a_message_makes_a_class_more_precise(kind, message, wanted):
    assert model(**raised(kind, message)).failure_class == wanted


# Refusals


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("pybreaker.CircuitBreakerError", "breaker"),
        ("Polly.CircuitBreaker.BrokenCircuitException", "breaker"),
        ("io.github.resilience4j.bulkhead.BulkheadFullException", "concurrency"),
    ],
)
def test_a_library_that_refuses_is_believed(kind, wanted):
    span = tool(**raised(kind))

    assert (span.failure_class, span.refusal_reason) == ("refused", wanted)


def test_an_unknown_reason_is_no_refusal():
    assert tool({"switchgear.refusal_reason": "mood"}).refusal_reason is None


# Messages


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (raised("ValueError", "first line\nsecond"), "first line"),
        ({"status": ERROR, "message": "\n  from the status\n"}, "from the status"),
        ({"status": ERROR, "message": "a\0b"}, "a\ufffdb"),
        ({"status": ERROR, "message": "x" * 5_000_000}, "x" * 300),
        ({"status": ERROR}, None),
        ({"status": ERROR, "attributes": {"error.message": "told"}}, "told"),
    ],
    ids=["exception", "status", "T54 NUL", "T55 huge", "nothing", "attribute"],
)
def test_the_first_line_of_the_best_account_is_kept(said, wanted):
    assert understood(**said).message == wanted


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("frame\0by\0frame", "frame\ufffdby\ufffdframe"),
        ("\u202ertl \U0001f600", "\u202ertl \U0001f600"),
        ("<img onerror=x>", "<img onerror=x>"),
        ("=cmd|' /C calc'!A0", "=cmd|' /C calc'!A0"),
        ("é" * 300, "é" * 256),
    ],
    ids=["T54 NUL", "T56 right to left", "T56 markup", "T56 formula", "T56 cut"],
)
def test_texts_stay_themselves_and_can_always_be_stored(text, kept):
    assert tool({"gen_ai.tool.name": text}).name == kept
    assert tool({"user.id": text}).user == kept


def test_texts_out_of_documents_can_always_be_stored():
    repr_of = "{'tenant': 'a\\x00\\ud800b'}"
    quoted = '"a\\u0000b"'

    assert tool({"metadata.requester_metadata": repr_of}).tenant == "a\ufffd?b"
    assert tool({"langfuse.trace.metadata.tenant": quoted}).tenant == "a\ufffdb"


@pytest.mark.parametrize(
    "text",
    [
        '{"tenant": "ac',
        "{'tenant': ",
        "(" * 9000,
        "[" * 9000,
        "{'a': '\\d'}",
        "-1",
        "x",
    ],
)
def test_a_document_that_cannot_be_read_says_nothing(text):
    assert tool({"metadata": text}).tenant is None
