"""The closed sets of words that services, spans, rules and pages have in common.

One word for one thing: these values stand in span attributes, in REST answers and
in policy documents, so they are never renamed and never reused.
"""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What is called."""

    TOOL = "tool"
    MODEL = "model"
    EMBEDDING = "embedding"
    RETRIEVAL = "retrieval"
    GUARDRAIL = "guardrail"


class Outcome(StrEnum):
    """How a call ended for its caller: exactly one, the first that holds."""

    OK = "ok"
    RECOVERED = "recovered"
    FALLBACK = "fallback"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    FAILED = "failed"


class FailureClass(StrEnum):
    """Why an attempt failed."""

    TRANSPORT = "transport"
    TIMEOUT = "timeout"
    SERVER_ERROR = "server_error"
    RATE_LIMITED = "rate_limited"
    UPSTREAM_QUOTA = "upstream_quota"
    AUTH = "auth"
    INVALID_REQUEST = "invalid_request"
    TOOL_ERROR = "tool_error"
    CONTENT_FILTER = "content_filter"
    CONTEXT_WINDOW = "context_window"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class RefusalReason(StrEnum):
    """Why a call was not attempted."""

    KILL_SWITCH = "kill_switch"
    ACCESS = "access"
    RUN_BUDGET = "run_budget"
    RATE_LIMIT = "rate_limit"
    CONCURRENCY = "concurrency"
    QUOTA = "quota"
    BREAKER = "breaker"


# Another attempt may succeed without anybody changing anything.
RETRYABLE = frozenset(
    {
        FailureClass.TRANSPORT,
        FailureClass.TIMEOUT,
        FailureClass.SERVER_ERROR,
        FailureClass.RATE_LIMITED,
    }
)
